//! What the page shows, section by section, as JSON. Times are Unix milliseconds and not ages,
//! so that what stands still stays the same.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use runtime_tokio::Histogram;
use runtime_tokio::link::LinkStatus;
use serde_json::{Map, Value, json};

use super::Dashboard;
use crate::pipeline::Counters;
use crate::render::card::{CardView, Stage};
use crate::routes::in_time;
use crate::routes::ready::{Channel, state};

/// What stays as it is for as long as the daemon runs, and its clock.
pub(super) fn hello(dashboard: &Dashboard) -> Value {
    let bots = dashboard.readiness.channels.iter().map(|channel| {
        let settings = &channel.pipeline.settings;
        json!({
            "instance": settings.instance,
            "app_id": settings.app_id,
            "transport": if channel.link.is_some() { "websocket" } else { "webhook" },
            "model": channel.pipeline.agents.default_agent().models.first().config().model,
            "turns_max": settings.turns_max,
        })
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_ms": unix_ms(dashboard.started),
        "now_ms": unix_ms(SystemTime::now()),
        "bots": bots.collect::<Vec<_>>(),
        "config": *dashboard.in_force,
    })
}

/// All that is known without asking anybody.
pub(super) fn quick(dashboard: &Dashboard) -> [(&'static str, Value); 6] {
    let readiness = &dashboard.readiness;
    let reasons = readiness.obstacles();
    [
        (
            "ready",
            json!({
                "ready": reasons.is_empty(),
                "stopping": readiness.stopping.load(Ordering::Acquire),
                "reasons": reasons,
            }),
        ),
        ("link", of_each(dashboard, link)),
        ("turns", of_each(dashboard, turns)),
        (
            "ends",
            of_each(dashboard, |bot| json!(bot.pipeline.diary.ends())),
        ),
        (
            "events",
            of_each(dashboard, |bot| json!(bot.pipeline.diary.events())),
        ),
        ("numbers", of_each(dashboard, numbers)),
    ]
}

/// What the stores say; a bot whose store does not answer has `null`.
pub(super) async fn store(dashboard: &Dashboard) -> Value {
    let mut stores = Map::new();
    for channel in dashboard.readiness.channels.iter() {
        let pipeline = &channel.pipeline;
        let stats = in_time(pipeline.store.stats()).await.ok();
        let told = stats.map(|stats| {
            json!({
                "queued": stats.queued,
                "running": stats.running,
                "oldest_queued_ms": stats.oldest_queued_ms,
                "outbox": stats.outbox_open,
                "dead": stats.outbox_dead,
                "file_bytes": stats.file_bytes,
                "wal_bytes": stats.wal_bytes,
                "commits": stats.commits,
                "commands": stats.commands,
                "commit_micros": stats.commit_micros,
            })
        });
        stores.insert(pipeline.settings.instance.clone(), told.into());
    }
    stores.into()
}

fn of_each(dashboard: &Dashboard, section: fn(&Channel) -> Value) -> Value {
    let channels = dashboard.readiness.channels.iter();
    let told = channels.map(|channel| {
        let instance = channel.pipeline.settings.instance.clone();
        (instance, section(channel))
    });
    Value::Object(told.collect())
}

fn link(channel: &Channel) -> Value {
    let identity = channel.pipeline.identity.borrow().clone();
    let Some(status) = &channel.link else {
        let webhook = channel.webhook.as_ref().map(|stats| {
            let read = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
            json!({
                "accepted": read(&stats.accepted),
                "challenges": read(&stats.challenges),
                "rejected": read(&stats.rejected),
                "refused": read(&stats.refused),
            })
        });
        return json!({ "bot_open_id": identity, "webhook": webhook });
    };
    let now = status.snapshot();
    json!({
        "bot_open_id": identity,
        "state": state(now.state),
        "since_ms": unix_ms(now.since),
        "last_event_ms": now.last_event.map(unix_ms),
        "last_pong_ms": now.last_pong.map(unix_ms),
        "last_error": now.last_error,
        "attempts": now.stats.attempts,
        "opened": now.stats.opened,
        "delivered": now.stats.delivered,
        "acknowledged": now.stats.acknowledged,
        "overdue": now.stats.overdue,
        "history": history(status),
    })
}

fn history(status: &LinkStatus) -> Vec<Value> {
    let changes = status.history().into_iter();
    let told = changes.map(
        |change| json!({ "at_ms": unix_ms(change.at), "to": state(change.to), "why": change.why }),
    );
    told.collect()
}

/// The turns that run, without a word of what is written.
fn turns(channel: &Channel) -> Value {
    let pipeline = &channel.pipeline;
    let turns = pipeline.running.list().into_iter();
    let told = turns.map(|(conversation, turn, board)| {
        let CardView {
            phase: _,
            stage,
            tools,
            elapsed: _,
            model,
            language: _,
        } = board.look();
        let (stage, detail) = match stage {
            Stage::Thinking => ("thinking", Value::Null),
            Stage::Writing { chars, preview: _ } => ("writing", json!(chars)),
            Stage::Retrying { attempt } => ("retrying", json!(attempt)),
            Stage::AwaitingApproval { tool } => ("approval", json!(tool)),
            Stage::AwaitingAnswer => ("answer", Value::Null),
        };
        let tools = tools
            .iter()
            .map(|tool| json!({ "name": tool.name, "ok": tool.ok }));
        json!({
            "turn": turn.to_string(),
            "conversation": conversation,
            "began_ms": board.began_ms(),
            "stage": stage,
            "detail": detail,
            "tools": tools.collect::<Vec<_>>(),
            "model": model,
        })
    });
    told.collect()
}

fn numbers(channel: &Channel) -> Value {
    let pipeline = &channel.pipeline;
    let counters: &Counters = &pipeline.counters;
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (waits, _) = pipeline.api.stats().waits();
    json!({
        "received": read(&counters.events),
        "admitted": read(&counters.admitted),
        "duplicates": read(&counters.duplicates),
        "ignored": read(&counters.ignored),
        "refused": read(&counters.refused),
        "answered": read(&counters.answered),
        "failed": read(&counters.failed),
        "stopped": read(&counters.stopped),
        "given_up": read(&counters.given_up),
        "prompt_tokens": read(&counters.prompt_tokens),
        "completion_tokens": read(&counters.completion_tokens),
        "openapi_calls": pipeline.api.stats().total(),
        "openapi_waits": waits,
        "ack_time": histogram(&counters.ack_time),
        "model_time": histogram(&counters.model_time),
    })
}

/// Counts of each bucket alone, the last of what is longer than every bound.
fn histogram(histogram: &Histogram) -> Value {
    let snapshot = histogram.snapshot();
    let mut below = 0;
    let mut buckets = Vec::with_capacity(snapshot.buckets.len() + 1);
    for (bound, count) in &snapshot.buckets {
        let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        buckets.push(json!([millis, count.saturating_sub(below)]));
        below = *count;
    }
    buckets.push(json!([null, snapshot.count.saturating_sub(below)]));
    json!({ "buckets": buckets, "count": snapshot.count, "sum_ms": snapshot.sum.as_secs_f64() * 1_000.0 })
}

fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
