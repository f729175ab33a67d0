//! What all parts of one simulator share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::SimError;
use crate::changes::Changes;
use crate::clock::unix_ms;
use crate::config::SimConfig;
use crate::faults::{FaultKind, Faults, Point};
use crate::link::Links;
use crate::lock::lock;
use crate::log::Log;
use crate::openapi::{Limiter, Tokens};
use crate::view::{Link, Transport, Violation};
use crate::world::World;

/// The state. Locks are held for moments, never across an await, and at most
/// one after another in the order of the fields.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    pub(crate) address: SocketAddr,
    pub(crate) world: Mutex<World>,
    pub(crate) links: Mutex<Links>,
    pub(crate) log: Mutex<Log>,
    pub(crate) tokens: Mutex<Tokens>,
    pub(crate) limits: Mutex<Limiter>,
    pub(crate) faults: Faults,
    pub(crate) changes: Arc<Changes>,
    pub(crate) webhook_url: Mutex<Option<String>>,
    pub(crate) http: reqwest::Client,
    pub(crate) cancel: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Shared {
    pub(crate) fn new(config: SimConfig, address: SocketAddr) -> Result<Arc<Self>, SimError> {
        let mut rng = config
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let changes = Arc::new(Changes::new());
        // A second installation is refused and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|why| SimError::Invalid(format!("no HTTP client: {why}")))?;
        Ok(Arc::new(Self {
            world: Mutex::new(World::new(&config, rng.fork(), Arc::clone(&changes))),
            links: Mutex::new(Links::new(rng.fork())),
            log: Mutex::default(),
            tokens: Mutex::new(Tokens::new(config.token_lifetime, rng.fork())),
            limits: Mutex::new(Limiter::new(config.limits_on)),
            faults: Faults::new(rng.fork()),
            changes,
            webhook_url: Mutex::new(config.webhook_url.clone()),
            http,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            address,
            config,
        }))
    }

    /// State of the way to the bot.
    pub(crate) fn link(&self) -> Link {
        let has_webhook = lock(&self.webhook_url).is_some();
        let connections = lock(&self.links).open_count();
        Link {
            up: has_webhook || connections > 0,
            connections,
            transport: if has_webhook {
                Transport::Webhook
            } else {
                Transport::Websocket
            },
        }
    }

    /// Forgets messages, statistics, faults and rate windows; people, chats,
    /// tokens and connections stay.
    pub(crate) fn reset(&self) {
        self.faults.clear();
        *lock(&self.log) = Log::default();
        lock(&self.limits).reset();
        lock(&self.world).reset();
    }

    /// Notes that the client broke a rule.
    pub(crate) fn violation(&self, rule: &str, detail: impl Into<String>) {
        let violation = Violation {
            at: unix_ms(),
            rule: rule.to_owned(),
            detail: detail.into(),
        };
        tracing::warn!(rule, detail = %violation.detail, "protocol violation");
        lock(&self.log).violation(violation.clone());
        self.changes.announce("violation", || json!(violation));
    }

    /// Notes an oddity of official clients that the platform lets pass.
    pub(crate) fn quirk(&self, rule: &str, detail: impl Into<String>) {
        let quirk = Violation {
            at: unix_ms(),
            rule: rule.to_owned(),
            detail: detail.into(),
        };
        lock(&self.log).quirk(quirk);
        self.changes.touch();
    }

    /// What strikes here and now; tells what is left when something did.
    pub(crate) fn strike(&self, point: Point, target: &str) -> Vec<FaultKind> {
        let hits = self.faults.strike(point, target);
        if !hits.is_empty() {
            let changes = &self.changes;
            changes.announce("faults", || json!({"faults": self.faults.list()}));
        }
        hits
    }
}
