//! The way of one message: admission, inbox, lane, turn, outbox.
//!
//! | step | module | what it guarantees |
//! | --- | --- | --- |
//! | an event comes in | [`admission`] | acknowledged only when durable, once; no network call before |
//! | is there no room for it? | [`busy`] | a notice, then marks: none without a sign |
//! | may it be answered? | [`policy`] | pure; bots and groups without a mention are left alone |
//! | its turn comes | [`lanes`] | one at a time per conversation, in order; a global bound |
//! | it is answered | [`turn`] | every step recorded; a crash goes on from the last one |
//! | what is left of it | [`outcome`] | result, history and what to send: one transaction |
//! | signs of life | [`signs`] | reaction and progress card, at most one update a second |
//! | things are sent | [`outbox`] | in order, with a derived uuid: never shown twice |
//! | what was missed in an outage? | [`recovery`] | chats are read back, if the operator wants it |
//! | was it sent, an hour ago? | [`lookup`] | the chat is read back before anything is sent again |

pub mod admission;
pub mod busy;
pub mod identity;
pub mod lanes;
pub mod lookup;
pub mod outbox;
pub mod outcome;
pub mod policy;
pub mod recovery;
pub mod signs;
pub mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto_core::Identity;
use runtime_tokio::WallClock;
use runtime_tokio::openapi::OpenApi;
use tokio::sync::{Notify, watch};
use xiaoo_store::Store;

use crate::agents::Agents;
use policy::Policy;

/// What every step needs. One per channel.
pub struct Pipeline {
    /// The durable inbox, turns and outbox.
    pub store: Store,
    /// Feishu.
    pub api: OpenApi,
    /// Who answers.
    pub agents: Agents,
    /// How to behave.
    pub settings: Settings,
    /// The wall clock: ages of messages and sends are told by it.
    pub clock: WallClock,
    /// The bot's open_id; `None` until Feishu has told.
    pub identity: watch::Receiver<Option<String>>,
    /// Rings when a turn may be claimed.
    pub lanes_bell: Notify,
    /// Rings when the outbox may have something to send.
    pub outbox_bell: Notify,
    /// What happened so far.
    pub counters: Counters,
}

/// How the pipeline behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The app's id; part of every derived uuid.
    pub app_id: String,
    /// The channel's name: the first part of every conversation's id.
    pub instance: String,
    /// Who is answered.
    pub policy: Policy,
    /// The reaction shown while a turn runs; `None` for no reaction.
    pub reaction: Option<String>,
    /// Whether a progress card is shown.
    pub progress_card: bool,
    /// Turns that run at once.
    pub turns_max: usize,
    /// How long one turn may take.
    pub turn_timeout: Duration,
    /// The age after which a message is no longer answered.
    pub message_age_max: Option<Duration>,
    /// Whether the sender of such a message is told.
    pub late_notice: bool,
    /// The length of an outage after which the known chats are read back; `None` for
    /// never.
    pub recover_after: Option<Duration>,
}

impl Settings {
    /// Who the bot is, as far as that is known.
    pub(crate) fn identity<'a>(&'a self, bot_open_id: Option<&'a str>) -> Identity<'a> {
        Identity {
            open_id: bot_open_id.unwrap_or_default(),
            app_id: &self.app_id,
        }
    }
}

/// Counts of what happened; they only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events that came in.
    pub events: AtomicU64,
    /// Events that asked for a turn and were new.
    pub admitted: AtomicU64,
    /// Events that were known already.
    pub duplicates: AtomicU64,
    /// Events that policy left alone or that nobody handles.
    pub ignored: AtomicU64,
    /// Authentic events that could not be understood.
    pub not_understood: AtomicU64,
    /// Events refused because the store could not take them.
    pub refused: AtomicU64,
    /// Messages that their conversation's backlog had no room for.
    pub busy: AtomicU64,
    /// Messages that were too old to be answered.
    pub late: AtomicU64,
    /// Turns that ended with an answer.
    pub answered: AtomicU64,
    /// Turns that ended with a notice.
    pub failed: AtomicU64,
    /// Things to send that were given up; the store keeps them with the reason.
    pub given_up: AtomicU64,
    /// Turns that run now.
    pub running: AtomicU64,
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A pipeline that tasks share.
pub type SharedPipeline = Arc<Pipeline>;

impl Pipeline {
    /// Wall-clock time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.unix_ms()
    }

    /// Whether so much time has passed since then.
    pub(crate) fn is_older(&self, since_ms: i64, age: Duration) -> bool {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.now_ms().saturating_sub(since_ms) >= age
    }
}
