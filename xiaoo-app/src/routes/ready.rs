//! `GET /api/v1/ready`: whether Feishu is really delivering to this process,
//! and what stands in the way if it is not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Version};
use axum::routing::get;
use axum::{Json, Router};
use proto_core::conn::LinkState;
use runtime_tokio::link::{LinkSnapshot, LinkStatus};
use runtime_tokio::webhook::WebhookStats;
use serde_json::{Map, Value, json};
use xiaoo_store::Health;

use super::access::{Access, Denied};
use super::in_time;
use crate::pipeline::{Counters, SharedPipeline};

/// What readiness is judged by.
#[derive(Clone)]
pub struct Readiness {
    /// The bots.
    pub channels: Arc<[Channel]>,
    /// Set when the daemon begins to stop.
    pub stopping: Arc<AtomicBool>,
}

/// One bot.
#[derive(Clone)]
pub struct Channel {
    /// Its pipeline.
    pub pipeline: SharedPipeline,
    /// Its long connection; `None` in webhook mode.
    pub link: Option<LinkStatus>,
    /// Its event route; `None` when events come over the long connection.
    pub webhook: Option<Arc<WebhookStats>>,
}

impl Readiness {
    /// What stands in the way, as far as that is known without asking anybody.
    #[must_use]
    pub fn obstacles(&self) -> Vec<String> {
        let mut reasons = self.stopping_reason();
        for channel in self.channels.iter() {
            let mut own = Vec::new();
            judge_store(channel, &mut own);
            judge_channel(channel, &mut own);
            self.name(channel, own, &mut reasons);
        }
        reasons
    }

    fn stopping_reason(&self) -> Vec<String> {
        let stopping = self.stopping.load(Ordering::Acquire);
        let reason = stopping.then(|| "the daemon is stopping".to_owned());
        reason.into_iter().collect()
    }

    /// Of several bots each reason says whose it is.
    fn name(&self, channel: &Channel, own: Vec<String>, reasons: &mut Vec<String>) {
        let instance = &channel.pipeline.settings.instance;
        let is_one = self.channels.len() == 1;
        reasons.extend(own.into_iter().map(|reason| match is_one {
            true => reason,
            false => format!("{instance}: {reason}"),
        }));
    }
}

/// The page.
pub fn routes(readiness: Readiness, access: Access) -> Router {
    Router::new()
        .route("/api/v1/ready", get(ready))
        .with_state((readiness, access))
}

/// 200 or 503. With a token in force the details are for whoever may see what operators see; a
/// load balancer needs none.
async fn ready(
    State((readiness, access)): State<(Readiness, Access)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    version: Version,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    let (status, body) = judged(&readiness).await;
    match access.check(peer, version, &headers) {
        Err(Denied::NoToken) => (status, Json(json!({ "ready": status == StatusCode::OK }))),
        Ok(()) | Err(Denied::NotHere) => (status, Json(body)),
    }
}

async fn judged(readiness: &Readiness) -> (StatusCode, Value) {
    let mut reasons = readiness.stopping_reason();
    let mut channels = Map::new();
    let mut first_store = Value::Null;
    for (at, channel) in readiness.channels.iter().enumerate() {
        let instance = &channel.pipeline.settings.instance;
        let mut own = Vec::new();
        let store = store(channel, &mut own).await;
        judge_channel(channel, &mut own);
        let mut described = describe_channel(channel);
        if at == 0 {
            first_store = store;
        } else if let Value::Object(described) = &mut described {
            described.insert("store".into(), store);
        }
        channels.insert(instance.clone(), described);
        readiness.name(channel, own, &mut reasons);
    }
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "ready": ready,
        "reasons": reasons,
        "channels": channels,
        "store": first_store,
    });
    (status, body)
}

fn judge_channel(channel: &Channel, reasons: &mut Vec<String>) {
    if let Some(link) = &channel.link {
        judge_link(&link.snapshot(), reasons);
    }
    if channel.pipeline.identity.borrow().is_none() {
        reasons
            .push("the bot's identity is not known yet: Feishu's OpenAPI has not answered".into());
    }
}

fn describe_channel(channel: &Channel) -> Value {
    let link = channel.link.as_ref().map(LinkStatus::snapshot);
    let identity = channel.pipeline.identity.borrow().clone();
    json!({
        "transport": if link.is_some() { "websocket" } else { "webhook" },
        "link": link.as_ref().map(describe),
        "bot_open_id": identity,
        "events": counters(&channel.pipeline.counters),
        "openapi_calls": channel.pipeline.api.stats().total(),
    })
}

fn judge_link(link: &LinkSnapshot, reasons: &mut Vec<String>) {
    let why = link
        .last_error
        .as_deref()
        .unwrap_or("no attempt has ended yet");
    match link.state {
        LinkState::Open => {}
        LinkState::Waiting | LinkState::Connecting => {
            reasons.push(format!("feishu websocket: not connected ({why})"));
        }
        LinkState::Fatal => reasons.push(format!("feishu websocket: refused for good ({why})")),
        LinkState::Closed => reasons.push("feishu websocket: closed".into()),
    }
}

fn describe(link: &LinkSnapshot) -> Value {
    json!({
        "state": state(link.state),
        "for_ms": age_ms(link.since),
        "last_event_age_ms": link.last_event.map(age_ms),
        "last_pong_age_ms": link.last_pong.map(age_ms),
        "last_error": link.last_error,
        "attempts": link.stats.attempts,
        "opened": link.stats.opened,
        "delivered": link.stats.delivered,
        "acknowledged": link.stats.acknowledged,
        "overdue": link.stats.overdue,
        "bad_frames": link.stats.bad_frames,
        "oversize": link.oversize,
        "ignored": link.stats.ignored,
        "discarded": link.stats.discarded,
        "in_flight": link.in_flight,
        "writes": link.flushes,
    })
}

/// What a link's state is called.
pub(super) fn state(state: LinkState) -> &'static str {
    match state {
        LinkState::Waiting => "waiting",
        LinkState::Connecting => "connecting",
        LinkState::Open => "open",
        LinkState::Fatal => "refused",
        LinkState::Closed => "closed",
    }
}

fn judge_store(channel: &Channel, reasons: &mut Vec<String>) {
    match channel.pipeline.store.health() {
        Health::Good => {}
        Health::Failed { reason } => reasons.push(format!("the store has failed: {reason}")),
        Health::Full { reason } | Health::Unreachable { reason } => reasons.push(reason),
    }
}

async fn store(channel: &Channel, reasons: &mut Vec<String>) -> Value {
    judge_store(channel, reasons);
    match in_time(channel.pipeline.store.stats()).await {
        Ok(stats) => json!({
            "queued": stats.queued,
            "running": stats.running,
            "outbox": stats.outbox_open,
            "dead": stats.outbox_dead,
            "commits": stats.commits,
            "commands": stats.commands,
            "file_bytes": stats.file_bytes,
            "wal_bytes": stats.wal_bytes,
        }),
        Err(error) => {
            reasons.push(format!("the store does not answer: {error}"));
            Value::Null
        }
    }
}

fn counters(counters: &Counters) -> Value {
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    json!({
        "received": read(&counters.events),
        "admitted": read(&counters.admitted),
        "duplicates": read(&counters.duplicates),
        "ignored": read(&counters.ignored),
        "not_understood": read(&counters.not_understood),
        "refused": read(&counters.refused),
        "answered": read(&counters.answered),
        "failed": read(&counters.failed),
        "running": read(&counters.running),
        "busy": read(&counters.busy),
        "late": read(&counters.late),
        "given_up": read(&counters.given_up),
    })
}

fn age_ms(since: SystemTime) -> u64 {
    let age = since.elapsed().unwrap_or_default().as_millis();
    u64::try_from(age).unwrap_or(u64::MAX)
}
