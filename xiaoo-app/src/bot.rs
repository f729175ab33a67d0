//! One bot: an app at Feishu with its transport, its route, its store and its pipeline. Several
//! in one daemon share the agents and nothing else.

use std::sync::Arc;
use std::time::Duration;

use proto_core::Verifier;
use runtime_tokio::WallClock;
use runtime_tokio::http::HttpOptions;
use runtime_tokio::link::{Dialer, LinkOptions, LinkStatus};
use runtime_tokio::openapi::{OpenApi, OpenApiConfig, Patience};
use runtime_tokio::webhook::{EventRoute, WebhookLimits, WebhookStats};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use xiaoo_store::{Health, StoreGuard, StoreOptions, StoreUrl};

use crate::agents::Agents;
use crate::config::{
    Access, AccessConfig, DirectAccess, FeishuConfig, LimitsConfig, Prices, ProgressStyle,
    ToolsConfig, Transport,
};
use crate::pipeline::admission::Admission;
use crate::pipeline::budget::Budgets;
use crate::pipeline::heart::Hearts;
use crate::pipeline::policy::{self, ChatRule, Policy};
use crate::pipeline::{FileLimits, Pipeline, Settings, SharedPipeline};
use crate::stages::Stages;
use crate::store;
use crate::systemd::Pulse;

/// The routes that take events of the first bot: the internal one, and the public alias for
/// deployments without nginx. Every bot has one with its own name besides.
pub const EVENT_ROUTES: [&str; 2] = [
    "/api/v1/channels/feishu/events",
    "/api/v1/channels/xiaoo/events",
];

/// What all bots of a daemon have in common beside the agents.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// What may be used up.
    pub limits: &'a LimitsConfig,
    /// What models may do.
    pub tools: &'a ToolsConfig,
    /// What models cost.
    pub prices: &'a Prices,
}

/// The route that every bot has for itself.
#[must_use]
pub fn event_route(instance: &str) -> String {
    format!("/api/v1/channels/{instance}/events")
}

/// A bot that is ready to run.
pub struct Bot {
    /// What its steps need.
    pub pipeline: SharedPipeline,
    guard: StoreGuard,
    store_url: StoreUrl,
    feishu: FeishuConfig,
    identity: watch::Sender<Option<String>>,
    verifier: Option<Verifier>,
    webhook_stats: Arc<WebhookStats>,
    link_status: Option<LinkStatus>,
    is_first: bool,
}

/// A bot that runs.
pub struct RunningBot {
    /// What its steps need.
    pub pipeline: SharedPipeline,
    stages: Stages,
    guard: StoreGuard,
    store_url: StoreUrl,
}

impl Bot {
    /// Opens the store and prepares everything; binds and dials nothing. The first bot of a
    /// daemon has the store itself and the usual routes, others what is derived from them.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub fn new(
        feishu: FeishuConfig,
        agents: Agents,
        common: Common<'_>,
        store_url: StoreUrl,
        is_first: bool,
        client: reqwest::Client,
    ) -> anyhow::Result<Self> {
        let verifier = match feishu.transport {
            Transport::Websocket => None,
            Transport::Webhook => Some(Verifier::new(
                feishu
                    .verification_token
                    .as_ref()
                    .map(|token| token.expose_secret()),
                feishu.encrypt_key.as_ref().map(|key| key.expose_secret()),
            )?),
        };
        let options = StoreOptions {
            admit_deadline: common.limits.ack_deadline,
            queued_max: common.limits.max_queue,
            queued_per_conversation_max: common.limits.max_queue_per_conversation,
            ..StoreOptions::default()
        };
        let (store, guard) = store::open(&store_url, options)?;
        let api = OpenApi::new(
            client,
            OpenApiConfig {
                base_url: feishu.base_url.clone(),
                app_id: feishu.app_id.clone(),
                app_secret: feishu.app_secret.clone(),
                patience: Patience::default(),
            },
        );
        let (identity, known) = watch::channel(None);
        let link_status = (feishu.transport == Transport::Websocket).then(LinkStatus::default);
        let pipeline = Arc::new(Pipeline::new(
            store,
            api,
            agents,
            settings(&feishu, common),
            WallClock::default(),
            known,
            link_status.clone(),
        ));
        Ok(Self {
            pipeline,
            guard,
            store_url,
            feishu,
            identity,
            verifier,
            webhook_stats: Arc::default(),
            link_status,
            is_first,
        })
    }

    /// The long connection; `None` in webhook mode.
    #[must_use]
    pub fn link_status(&self) -> Option<&LinkStatus> {
        self.link_status.as_ref()
    }

    /// What must turn for as long as it runs.
    pub fn pulses(&self) -> Vec<Pulse> {
        type Beats = fn(&Hearts) -> u64;
        let hearts: [(_, Beats); 3] = [
            ("turns", |hearts| hearts.lanes.beats()),
            ("urgent turns", |hearts| hearts.urgent.beats()),
            ("outbox", |hearts| hearts.outbox.beats()),
        ];
        let instance = &self.pipeline.settings.instance;
        let mut pulses = Vec::with_capacity(hearts.len() + 1);
        for (name, beats) in hearts {
            let pipeline = Arc::clone(&self.pipeline);
            let count = move || beats(&pipeline.hearts);
            pulses.push(Pulse::new(format!("the {name} of {instance}"), count));
        }
        if let Some(status) = self.link_status().cloned() {
            let count = move || status.snapshot().rounds;
            pulses.push(Pulse::new(format!("feishu websocket of {instance}"), count));
        }
        pulses
    }

    /// What happens on its event route; `None` when events come over the long connection.
    #[must_use]
    pub fn webhook_stats(&self) -> Option<&Arc<WebhookStats>> {
        self.verifier.as_ref().map(|_| &self.webhook_stats)
    }

    /// How events come in.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.feishu.transport
    }

    /// Starts it, and gives the paths that are its own.
    pub fn start(self) -> (RunningBot, EventPaths) {
        let link = self.link_status.clone().map(|status| {
            let http = HttpOptions {
                ca_file: self.feishu.ca_file.clone(),
                no_proxy: false,
            };
            let options = LinkOptions {
                core: proto_core::Config {
                    hosts: self.feishu.host_policy(),
                    ..proto_core::Config::default()
                },
                dialer: Dialer::like_http(http),
                clock: self.pipeline.clock.clone(),
            };
            (options, status)
        });
        let own = event_route(&self.feishu.instance);
        let mut paths: Vec<String> = Vec::new();
        if self.is_first {
            paths.extend(EVENT_ROUTES.map(str::to_owned));
        }
        if !paths.contains(&own) {
            paths.push(own);
        }
        let stages = Stages::start(Arc::clone(&self.pipeline), self.identity, link);
        let admission = Arc::clone(stages.admission());
        let span = self.pipeline.span();
        let events = EventPaths {
            paths,
            route: self.verifier.map(|verifier| {
                let limits = WebhookLimits::default();
                EventRoute::new(verifier, admission, limits, self.webhook_stats).within(span)
            }),
        };
        let running = RunningBot {
            pipeline: self.pipeline,
            stages,
            guard: self.guard,
            store_url: self.store_url,
        };
        (running, events)
    }
}

/// Where a bot's events are pushed to.
pub struct EventPaths {
    /// All the same.
    pub paths: Vec<String>,
    /// What answers there; `None` when events come over the long connection.
    pub route: Option<EventRoute<Admission>>,
}

impl RunningBot {
    /// Waits until its store has failed: what it answered before stands, and nothing more can be
    /// promised.
    pub async fn store_failed(&self) {
        let mut health = self.pipeline.store.health_changes();
        let has_failed = |health: &Health| matches!(health, Health::Failed { .. });
        if health.wait_for(has_failed).await.is_err() {
            core::future::pending::<()>().await;
        }
    }

    /// Ends in good order: no new events, running turns to their end within the grace period,
    /// the link and the store closed.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn stop(self, grace: Duration) -> anyhow::Result<()> {
        // Nothing that a turn still does could be kept.
        let has_failed = matches!(self.pipeline.store.health(), Health::Failed { .. });
        self.stages
            .stop(if has_failed { Duration::ZERO } else { grace })
            .await;
        match self.guard.close() {
            Health::Failed { reason } => anyhow::bail!(
                "the store {url}: {reason}\n\
                 Nothing that was acknowledged before is lost. When the disk is well again, see \
                 whether the store is: xiaoo-app store check",
                url = self.store_url
            ),
            Health::Good | Health::Full { .. } | Health::Unreachable { .. } => Ok(()),
        }
    }
}

fn settings(feishu: &FeishuConfig, common: Common<'_>) -> Settings {
    let Common {
        limits,
        tools,
        prices,
    } = common;
    Settings {
        app_id: feishu.app_id.clone(),
        instance: feishu.instance.clone(),
        policy: policy(&feishu.access),
        reaction: feishu.reaction.clone(),
        progress_card: match feishu.progress {
            ProgressStyle::Card | ProgressStyle::Stream => true,
            ProgressStyle::Off => false,
        },
        turns_max: feishu
            .max_concurrent_turns
            .unwrap_or(limits.max_concurrent_turns),
        message_age_max: limits.message_age_max,
        late_notice: limits.late_notice,
        budgets: Budgets {
            person: limits.person_per_day,
            chat: limits.chat_per_day,
        },
        prices: prices.clone(),
        approval_timeout: tools.approval_timeout,
        bot_turns_max: feishu.access.bot_turns_max,
        files: FileLimits {
            file_bytes_max: limits.file_bytes_max,
            conversation_bytes_max: limits.conversation_bytes_max,
        },
        recover_after: feishu.recover_after,
    }
}

fn policy(access: &AccessConfig) -> Policy {
    Policy {
        direct: match access.dm_policy {
            DirectAccess::Open => policy::DirectAccess::Open,
            DirectAccess::Allowlist => policy::DirectAccess::Allowlist,
            DirectAccess::Pairing => policy::DirectAccess::Pairing,
            DirectAccess::Disabled => policy::DirectAccess::Disabled,
        },
        group: match access.group_policy {
            Access::Open => policy::Access::Open,
            Access::Allowlist => policy::Access::Allowlist,
            Access::Disabled => policy::Access::Disabled,
        },
        require_mention: access.require_mention,
        respond_to_all: access.respond_to_all,
        allow_users: access.allow_users.clone(),
        allow_chats: access.allow_chats.clone(),
        admins: access.admins.clone(),
        allow_bots: access.allow_bots,
        chats: access
            .chats
            .iter()
            .map(|chat| ChatRule {
                chat_id: chat.chat_id.clone(),
                enabled: chat.enabled,
                require_mention: chat.require_mention,
                respond_to_all: chat.respond_to_all,
            })
            .collect(),
    }
}
