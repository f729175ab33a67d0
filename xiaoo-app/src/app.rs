//! The daemon: put together, run, and brought down in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::routing::get;
use futures_util::FutureExt as _;
use futures_util::future::{join_all, select_all};
use runtime_tokio::server::{self, ServerLimits};
use runtime_tokio::webhook::{self, EventRoutes};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::accept::Watched;
use crate::agents::Roster;
use crate::bot::{Bot, Common, EventPaths};
use crate::clients::Clients;
use crate::config::{Config, HttpConfig, InForce, store_of_bot};
use crate::pipeline::heart::Heart;
use crate::routes;
use crate::routes::access::Access;
use crate::routes::dashboard::Dashboard;
use crate::routes::ready::{Channel, Readiness};
use crate::systemd::{Pulse, Systemd, Watch};

/// How long the HTTP surface may take to end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// A daemon that is ready to run.
pub struct App {
    bots: Vec<Bot>,
    shutdown_grace: Duration,
    http: HttpConfig,
    in_force: InForce,
    systemd: Systemd,
    /// The HTTP server's.
    http_heart: Arc<Heart>,
}

impl App {
    /// Opens the stores and prepares everything; binds and dials nothing.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let Some(first) = config.channels.first() else {
            bail!("no channel is enabled: set `enabled = true` in [channels.feishu]");
        };
        let mut clients = Clients::new(first.ca_file.clone());
        let roster = Roster::new(&config, &mut clients)?;
        let prices = config.prices();
        let common = Common {
            limits: &config.limits,
            tools: &config.tools,
            prices: &prices,
        };
        let mut bots = Vec::with_capacity(config.channels.len());
        for (at, feishu) in config.channels.into_iter().enumerate() {
            let is_first = at == 0;
            let store = store_of_bot(&config.store.url, is_first, &feishu.instance);
            let agents = roster
                .of_bot(feishu.agent.as_deref())
                .context("there is no agent")?;
            let client = Clients::new(feishu.ca_file.clone()).of(&feishu.base_url)?;
            let name = feishu.instance.clone();
            let bot = Bot::new(feishu, agents, common, store, is_first, client)
                .with_context(|| format!("the bot {name} cannot run"))?;
            bots.push(bot);
        }
        Ok(Self {
            bots,
            shutdown_grace: config.limits.shutdown_grace,
            http: config.http,
            in_force: config.in_force,
            systemd: Systemd::default(),
            http_heart: Arc::default(),
        })
    }

    /// Has systemd told how the daemon is.
    #[must_use]
    pub fn supervised_by(mut self, systemd: Systemd) -> Self {
        if let Some(interval) = systemd.beat_every() {
            for bot in &self.bots {
                bot.pipeline.hearts.beat_every(interval);
            }
            self.http_heart.beat_every(interval);
        }
        self.systemd = systemd;
        self
    }

    /// Runs until `stop`, then ends in good order: no new events, running turns
    /// to their end within the grace period, the links closed, the stores closed.
    ///
    /// # Errors
    /// When a store has failed.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        let stopping = Arc::new(AtomicBool::new(false));
        let channels = self.bots.iter().map(|bot| Channel {
            pipeline: Arc::clone(&bot.pipeline),
            link: bot.link_status().cloned(),
            webhook: bot.webhook_stats().cloned(),
        });
        let readiness = Readiness {
            channels: channels.collect(),
            stopping: Arc::clone(&stopping),
        };
        let mut router = router(&readiness, &self.http, self.in_force);
        let http = Arc::clone(&self.http_heart);
        let http = Pulse::new("the HTTP server", move || http.beats());
        let watch = Watch::new(self.bots.iter().flat_map(Bot::pulses).chain([http]));
        let mut running = Vec::with_capacity(self.bots.len());
        let mut event_routes = Vec::new();
        for bot in self.bots {
            info!(
                %address,
                transport = bot.transport().name(),
                app_id = bot.pipeline.settings.app_id,
                instance = bot.pipeline.settings.instance,
                model = bot.pipeline.agents.default_agent().models.first().config().model,
                "the daemon runs"
            );
            let (bot, EventPaths { paths, route }) = bot.start();
            match route {
                Some(route) => {
                    let routes = paths.into_iter().map(|path| (path, route.clone()));
                    event_routes.extend(routes);
                }
                None => router = router.merge(webhook::disabled(&paths)),
            }
            running.push(bot);
        }
        let no_http = CancellationToken::new();
        let serving = tokio::spawn(server::serve(
            Watched::new(listener, self.http_heart),
            EventRoutes::new(event_routes, router.fallback(routes::not_found)),
            ServerLimits::default(),
            no_http.clone(),
        ));

        let no_word = stop.child_token();
        let systemd = self.systemd.clone();
        let supervised = systemd.supervise(readiness, watch, no_word.clone());
        let supervised = tokio::spawn(supervised);

        let failures = running.iter().map(|bot| bot.store_failed().boxed());
        tokio::select! {
            () = stop.cancelled() => {}
            _ = select_all(failures) => {}
        }

        stopping.store(true, Ordering::Release);
        let grace = self.shutdown_grace;
        // From here on nobody says that all is well.
        no_word.cancel();
        let _ = supervised.await;
        self.systemd.stopping(grace);
        let stopped = join_all(running.into_iter().map(|bot| bot.stop(grace))).await;
        no_http.cancel();
        let _ = tokio::time::timeout(LAST_ANSWERS, serving).await;
        info!("the daemon has stopped");
        stopped.into_iter().collect()
    }
}

/// The daemon's own pages.
fn router(readiness: &Readiness, http: &HttpConfig, in_force: InForce) -> Router {
    let access = Access::new(http.bearer_token.clone());
    let mut router = Router::new()
        .route("/api/v1/health", get(routes::health::health))
        .merge(routes::ready::routes(readiness.clone(), access.clone()));
    if http.metrics {
        router = router.merge(routes::metrics::routes(readiness.clone(), access.clone()));
    }
    if http.dashboard {
        let dashboard = Dashboard::new(readiness.clone(), in_force);
        router = router.merge(routes::dashboard::routes(dashboard, access));
    }
    router
}
