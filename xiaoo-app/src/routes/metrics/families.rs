//! Which numbers there are, and where they are read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use proto_core::conn::LinkState;
use runtime_tokio::Histogram;
use runtime_tokio::link::LinkSnapshot;
use xiaoo_store::{Health, StoreStats};

use super::text::Kind;
use super::{Look, number};
use crate::pipeline::Counters;

/// A number of each bot, of those that have it.
pub(super) struct Single {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) read: fn(&Look<'_>) -> Option<f64>,
}

/// Counts of each bot that one more label tells apart.
pub(super) struct ByLabel {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) label: &'static str,
    pub(super) read: fn(&Look<'_>) -> Vec<(&'static str, u64)>,
}

/// Durations of each bot.
pub(super) struct Durations {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) read: for<'a> fn(&Look<'a>) -> &'a Histogram,
}

/// Numbers without a further label.
pub(super) const SINGLE: &[Single] = &[
    Single {
        name: "xiaoo_link_up",
        help: "Whether the long connection is open.",
        kind: Kind::Gauge,
        read: |look| link(look, |link| truth(link.state == LinkState::Open)),
    },
    Single {
        name: "xiaoo_link_refused",
        help: "Whether Feishu has refused the long connection for good.",
        kind: Kind::Gauge,
        read: |look| link(look, |link| truth(link.state == LinkState::Fatal)),
    },
    Single {
        name: "xiaoo_link_last_event_age_seconds",
        help: "Time since the last event over the long connection; absent before the first.",
        kind: Kind::Gauge,
        read: |look| age(look, look.link.as_ref()?.last_event?),
    },
    Single {
        name: "xiaoo_link_last_pong_age_seconds",
        help: "Time since Feishu last answered a ping; absent before the first.",
        kind: Kind::Gauge,
        read: |look| age(look, look.link.as_ref()?.last_pong?),
    },
    Single {
        name: "xiaoo_link_attempts_total",
        help: "Attempts to open the long connection.",
        kind: Kind::Counter,
        read: |look| link(look, |link| number(link.stats.attempts)),
    },
    Single {
        name: "xiaoo_link_opened_total",
        help: "Long connections that opened.",
        kind: Kind::Counter,
        read: |look| link(look, |link| number(link.stats.opened)),
    },
    Single {
        name: "xiaoo_link_pings_total",
        help: "Pings that were sent.",
        kind: Kind::Counter,
        read: |look| link(look, |link| number(link.stats.pings)),
    },
    Single {
        name: "xiaoo_link_in_flight",
        help: "Events of the long connection that are not acknowledged yet.",
        kind: Kind::Gauge,
        read: |look| link(look, |link| number(link.in_flight)),
    },
    Single {
        name: "xiaoo_identity_known",
        help: "Whether Feishu has told who the bot is; nothing is answered before.",
        kind: Kind::Gauge,
        read: |look| {
            let identity = look.channel.pipeline.identity.borrow();
            Some(truth(identity.is_some()))
        },
    },
    Single {
        name: "xiaoo_events_received_total",
        help: "Authentic events that came in, over either transport.",
        kind: Kind::Counter,
        read: |look| Some(read(&counters(look).events)),
    },
    Single {
        name: "xiaoo_messages_busy_total",
        help: "Messages that their conversation's backlog had no room for.",
        kind: Kind::Counter,
        read: |look| Some(read(&counters(look).busy)),
    },
    Single {
        name: "xiaoo_turns_running",
        help: "Turns that run in this process.",
        kind: Kind::Gauge,
        read: |look| Some(read(&counters(look).running)),
    },
    Single {
        name: "xiaoo_queue_turns",
        help: "Turns in the store that wait to be run.",
        kind: Kind::Gauge,
        read: |look| store(look, |stats| stats.queued),
    },
    Single {
        name: "xiaoo_queue_oldest_age_seconds",
        help: "How long the oldest waiting turn has waited; 0 when none waits.",
        kind: Kind::Gauge,
        read: |look| {
            let oldest = look.store?.oldest_queued_ms;
            let Some(oldest) = oldest else {
                return Some(0.0);
            };
            let now = look.channel.pipeline.now_ms();
            let waited = u64::try_from(now.saturating_sub(oldest)).unwrap_or(0);
            Some(Duration::from_millis(waited).as_secs_f64())
        },
    },
    Single {
        name: "xiaoo_model_retries_total",
        help: "Times that a model had to be asked again.",
        kind: Kind::Counter,
        read: |look| Some(read(&counters(look).model_retries)),
    },
    Single {
        name: "xiaoo_model_fallbacks_total",
        help: "Times that another model stood in for one that is down.",
        kind: Kind::Counter,
        read: |look| Some(read(&counters(look).model_fallbacks)),
    },
    Single {
        name: "xiaoo_outbox_open",
        help: "Things to send that are not settled.",
        kind: Kind::Gauge,
        read: |look| store(look, |stats| stats.outbox_open),
    },
    Single {
        name: "xiaoo_outbox_dead",
        help: "Things to send that were given up and are still kept.",
        kind: Kind::Gauge,
        read: |look| store(look, |stats| stats.outbox_dead),
    },
    Single {
        name: "xiaoo_sends_given_up_total",
        help: "Things to send that were given up by this process.",
        kind: Kind::Counter,
        read: |look| Some(read(&counters(look).given_up)),
    },
    Single {
        name: "xiaoo_openapi_waits_total",
        help: "Calls that waited so as not to be faster than Feishu allows.",
        kind: Kind::Counter,
        read: |look| Some(number(look.channel.pipeline.api.stats().waits().0)),
    },
    Single {
        name: "xiaoo_openapi_wait_seconds_total",
        help: "How long those calls waited.",
        kind: Kind::Counter,
        read: |look| {
            let (_, waited) = look.channel.pipeline.api.stats().waits();
            Some(waited.as_secs_f64())
        },
    },
    Single {
        name: "xiaoo_store_up",
        help: "Whether the store answers and takes what comes.",
        kind: Kind::Gauge,
        read: |look| {
            let is_good = look.channel.pipeline.store.health() == Health::Good;
            Some(truth(is_good && look.store.is_some()))
        },
    },
    Single {
        name: "xiaoo_store_commits_total",
        help: "Transactions that were committed.",
        kind: Kind::Counter,
        read: |look| store(look, |stats| stats.commits),
    },
    Single {
        name: "xiaoo_store_commands_total",
        help: "Commands that those transactions held.",
        kind: Kind::Counter,
        read: |look| store(look, |stats| stats.commands),
    },
    Single {
        name: "xiaoo_store_commit_seconds_total",
        help: "How long those transactions took, from their first command to the disk.",
        kind: Kind::Counter,
        read: |look| {
            let micros = look.store?.commit_micros;
            Some(Duration::from_micros(micros).as_secs_f64())
        },
    },
    Single {
        name: "xiaoo_store_file_bytes",
        help: "Size of the database.",
        kind: Kind::Gauge,
        read: |look| store(look, |stats| stats.file_bytes),
    },
    Single {
        name: "xiaoo_store_wal_bytes",
        help: "Size of SQLite's write-ahead log.",
        kind: Kind::Gauge,
        read: |look| store(look, |stats| stats.wal_bytes),
    },
];

/// Counts by one more label.
pub(super) const BY_LABEL: &[ByLabel] = &[
    ByLabel {
        name: "xiaoo_link_endings_total",
        help: "Ends of long connections and of attempts to open one: each but the last at a stop \
               is followed by a reconnect.",
        label: "reason",
        read: |look| {
            let Some(link) = &look.link else {
                return Vec::new();
            };
            let endings = &link.endings;
            vec![
                ("connect_timeout", endings.connect_timeout),
                ("connect_failed", endings.connect_failed),
                ("refused", endings.refused),
                ("closed_by_peer", endings.peer),
                ("network", endings.transport),
                ("pong_timeout", endings.pong_timeout),
                ("shutdown", endings.shutdown),
                ("other", endings.other),
            ]
        },
    },
    ByLabel {
        name: "xiaoo_link_frames_total",
        help: "Messages over the long connection. An event may take several; of event, each that \
               is whole is counted.",
        label: "kind",
        read: |look| {
            let Some(link) = &look.link else {
                return Vec::new();
            };
            vec![
                ("event", link.stats.delivered),
                ("pong", link.stats.pongs),
                ("broken", link.stats.bad_frames),
                ("unknown", link.stats.ignored),
                ("oversize", link.oversize),
                ("part_twice", link.stats.doubles),
            ]
        },
    },
    ByLabel {
        name: "xiaoo_link_events_total",
        help: "Events of the long connection by what became of them. Feishu pushes again what is \
               not acknowledged.",
        label: "outcome",
        read: |look| {
            let Some(link) = &look.link else {
                return Vec::new();
            };
            vec![
                ("acknowledged", link.stats.acknowledged),
                ("overdue", link.stats.overdue),
                ("link_lost", link.stats.link_lost),
                ("no_room", link.stats.shed),
                ("parts_dropped", link.stats.discarded),
            ]
        },
    },
    ByLabel {
        name: "xiaoo_webhook_requests_total",
        help: "Requests on the event route by what became of them.",
        label: "outcome",
        read: |look| {
            let Some(stats) = &look.channel.webhook else {
                return Vec::new();
            };
            vec![
                ("accepted", count(&stats.accepted)),
                ("challenge", count(&stats.challenges)),
                ("rejected", count(&stats.rejected)),
                ("refused", count(&stats.refused)),
            ]
        },
    },
    ByLabel {
        name: "xiaoo_events_total",
        help: "Events by what admission made of them.",
        label: "outcome",
        read: |look| {
            let counters = counters(look);
            vec![
                ("admitted", count(&counters.admitted)),
                ("duplicate", count(&counters.duplicates)),
                ("ignored", count(&counters.ignored)),
                ("not_understood", count(&counters.not_understood)),
                ("refused", count(&counters.refused)),
                ("click", count(&counters.clicks)),
            ]
        },
    },
    ByLabel {
        name: "xiaoo_turns_total",
        help: "Turns that ended here by their outcome.",
        label: "outcome",
        read: |look| {
            let counters = counters(look);
            vec![
                ("answered", count(&counters.answered)),
                ("failed", count(&counters.failed)),
                ("stopped", count(&counters.stopped)),
                ("late", count(&counters.late)),
                ("turned_away", count(&counters.turned_away)),
                ("command", count(&counters.commands)),
            ]
        },
    },
    ByLabel {
        name: "xiaoo_model_tokens_total",
        help: "Tokens of turns that ended here, as the model's server counts them.",
        label: "kind",
        read: |look| {
            let counters = counters(look);
            vec![
                ("prompt", count(&counters.prompt_tokens)),
                ("completion", count(&counters.completion_tokens)),
            ]
        },
    },
];

/// The calls of the OpenAPI: name and help.
pub(super) const BY_CALL: (&str, &str) = (
    "xiaoo_openapi_requests_total",
    "Requests to Feishu, repeated ones included, by call and by Feishu's code; -1 is no answer.",
);

/// What models cost: name and help.
pub(super) const BY_MODEL: (&str, &str) = (
    "xiaoo_model_cost_total",
    "What turns that ended here have cost, by the prices of the configuration; absent for a model \
     without one.",
);

/// Durations.
pub(super) const HISTOGRAMS: &[Durations] = &[
    Durations {
        name: "xiaoo_ack_seconds",
        help: "From an event's last byte to its acknowledgement. Feishu waits 3 s.",
        read: |look| &counters(look).ack_time,
    },
    Durations {
        name: "xiaoo_model_reply_seconds",
        help: "From a question to the model's whole reply, with all tries.",
        read: |look| &counters(look).model_time,
    },
];

fn counters<'a>(look: &Look<'a>) -> &'a Counters {
    &look.channel.pipeline.counters
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn read(counter: &AtomicU64) -> f64 {
    number(count(counter))
}

fn link(look: &Look<'_>, of: fn(&LinkSnapshot) -> f64) -> Option<f64> {
    look.link.as_ref().map(of)
}

fn store(look: &Look<'_>, of: fn(&StoreStats) -> u64) -> Option<f64> {
    look.store.as_ref().map(of).map(number)
}

fn age(look: &Look<'_>, since: SystemTime) -> Option<f64> {
    // A clock that was set back makes it now.
    let age = look.at.duration_since(since).unwrap_or_default();
    Some(age.as_secs_f64())
}

fn truth(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}
