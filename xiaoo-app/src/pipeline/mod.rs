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
//! | the bot itself is told something | [`command`], [`orders`] | answered at once, also while a turn runs |
//! | a person is asked something | [`ask`], [`action`], `grants` | the answer is durable before anybody is told |
//! | what the message brings along | [`intake`] | files, quotes, people; best effort, in bounded time |
//! | a file goes out | `upload` | at Feishu before the result: any daemon can send it |
//! | a file of theirs comes in | `fetch` | once on each daemon's disk, as long as it is talked about |
//! | signs of life | [`signs`] | reaction and progress card, at most one update a second |
//! | things are sent | [`outbox`] | in order, with a derived uuid: never shown twice |
//! | what was missed in an outage? | [`recovery`] | chats are read back, if the operator wants it |
//! | what happened last? | [`diary`] | for who looks; bounded, no word of anybody |
//! | was it sent, an hour ago? | [`lookup`] | the chat is read back before anything is sent again |

pub mod action;
pub mod admission;
pub mod ask;
pub mod budget;
pub mod busy;
pub mod command;
pub mod diary;
mod fetch;
mod grants;
pub mod guests;
pub mod heart;
pub mod identity;
pub mod intake;
pub mod lanes;
mod listed;
pub mod lookup;
pub mod notes;
pub mod orders;
pub mod outbox;
pub mod outcome;
pub mod pairing;
pub mod people;
pub mod policy;
pub mod recovery;
pub mod running;
pub mod setting;
pub mod signs;
pub mod spending;
pub mod turn;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto_core::Identity;
use runtime_tokio::link::LinkStatus;
use runtime_tokio::openapi::OpenApi;
use runtime_tokio::{Histogram, WallClock};
use tokio::sync::{Notify, watch};
use tracing::{Span, info_span};
use xiaoo_agent::{ModelUsage, Usage};
use xiaoo_store::Store;

use crate::agents::Agents;
use crate::config::Prices;
use budget::Budgets;
use diary::Diary;
use heart::Hearts;
use people::Groups;
use policy::Policy;
use running::Running;
use spending::Spending;

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
    /// Rings when an urgent one may be.
    pub urgent_bell: Notify,
    /// Rings when the outbox may have something to send.
    pub outbox_bell: Notify,
    /// What happened so far.
    pub counters: Counters,
    /// What happened last.
    pub diary: Diary,
    /// The turns that run here.
    pub running: Running,
    /// Who is in the groups.
    pub groups: Groups,
    /// The long connection, for whoever asks how it is; `None` in webhook mode.
    pub link: Option<LinkStatus>,
    /// The loops that must turn.
    pub hearts: Hearts,
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
    /// The age after which a message is no longer answered.
    pub message_age_max: Option<Duration>,
    /// Whether the sender of such a message is told.
    pub late_notice: bool,
    /// What may be used in a day.
    pub budgets: Budgets,
    /// What models cost.
    pub prices: Prices,
    /// In which time somebody must agree to what a tool would do.
    pub approval_timeout: Duration,
    /// Answers in a row that bots get in one chat.
    pub bot_turns_max: u32,
    /// What of files is taken.
    pub files: FileLimits,
    /// The length of an outage after which the known chats are read back; `None` for
    /// never.
    pub recover_after: Option<Duration>,
}

/// What of people's files is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of one.
    pub file_bytes_max: u64,
    /// Bytes of all of one conversation.
    pub conversation_bytes_max: u64,
}

impl Settings {
    /// For an app of this name, with the usual behaviour.
    #[must_use]
    pub fn usual(app_id: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            app_id: app_id.into(),
            instance: instance.into(),
            policy: Policy::default(),
            reaction: Some("Get".into()),
            progress_card: true,
            turns_max: 8,
            message_age_max: None,
            late_notice: true,
            budgets: Budgets::default(),
            prices: Prices::default(),
            approval_timeout: Duration::from_secs(600),
            bot_turns_max: 5,
            files: FileLimits {
                file_bytes_max: 30 << 20,
                conversation_bytes_max: 512 << 20,
            },
            recover_after: None,
        }
    }

    /// Who the bot is, as far as that is known.
    pub(crate) fn identity<'a>(&'a self, bot_open_id: Option<&'a str>) -> Identity<'a> {
        Identity {
            open_id: bot_open_id.unwrap_or_default(),
            app_id: &self.app_id,
        }
    }
}

/// Counts of what happened; they only grow.
#[derive(Debug)]
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
    /// Turns that somebody has stopped.
    pub stopped: AtomicU64,
    /// Messages of people who may not talk to the bot, or not any more today.
    pub turned_away: AtomicU64,
    /// Buttons that were pressed.
    pub clicks: AtomicU64,
    /// Commands that were obeyed.
    pub commands: AtomicU64,
    /// Turns that run now.
    pub running: AtomicU64,
    /// Tokens that models read.
    pub prompt_tokens: AtomicU64,
    /// Tokens that models wrote.
    pub completion_tokens: AtomicU64,
    /// What that cost.
    pub spending: Spending,
    /// Times that a model had to be asked again.
    pub model_retries: AtomicU64,
    /// Times that another model stood in for one that is down.
    pub model_fallbacks: AtomicU64,
    /// From an event's last byte to its acknowledgement given to the system.
    pub ack_time: Histogram,
    /// From a question to the model's whole reply, with all tries.
    pub model_time: Histogram,
}

/// The platform waits 3 s; a healthy disk takes a few milliseconds.
const ACK_BOUNDS: &[Duration] = &[
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1_000),
    Duration::from_millis(1_500),
    Duration::from_millis(3_000),
];
/// A short answer of a fast model, up to a long one of a slow one.
const MODEL_BOUNDS: &[Duration] = &[
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
    Duration::from_secs(600),
];

impl Default for Counters {
    fn default() -> Self {
        let none = AtomicU64::default;
        Self {
            events: none(),
            admitted: none(),
            duplicates: none(),
            ignored: none(),
            not_understood: none(),
            refused: none(),
            busy: none(),
            late: none(),
            answered: none(),
            failed: none(),
            given_up: none(),
            stopped: none(),
            turned_away: none(),
            clicks: none(),
            commands: none(),
            running: none(),
            prompt_tokens: none(),
            completion_tokens: none(),
            spending: Spending::default(),
            model_retries: none(),
            model_fallbacks: none(),
            ack_time: Histogram::new(ACK_BOUNDS),
            model_time: Histogram::new(MODEL_BOUNDS),
        }
    }
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what a turn has used, and says how many tokens that are.
    pub(crate) fn spent(&self, used: &[ModelUsage]) -> u64 {
        self.spending.count(used);
        let sum = used
            .iter()
            .fold(Usage::default(), |sum, used| sum.plus(used.usage));
        for (count, tokens) in [
            (&self.prompt_tokens, sum.prompt_tokens),
            (&self.completion_tokens, sum.completion_tokens),
        ] {
            count.fetch_add(tokens, Ordering::Relaxed);
        }
        sum.prompt_tokens.saturating_add(sum.completion_tokens)
    }
}

/// A pipeline that tasks share.
pub type SharedPipeline = Arc<Pipeline>;

impl Pipeline {
    /// A pipeline in which nothing runs yet.
    #[must_use]
    pub fn new(
        store: Store,
        api: OpenApi,
        agents: Agents,
        settings: Settings,
        clock: WallClock,
        identity: watch::Receiver<Option<String>>,
        link: Option<LinkStatus>,
    ) -> Self {
        let counters = Counters {
            spending: Spending::new(&settings.prices),
            ..Counters::default()
        };
        Self {
            store,
            api,
            agents,
            settings,
            clock,
            identity,
            lanes_bell: Notify::new(),
            urgent_bell: Notify::new(),
            outbox_bell: Notify::new(),
            counters,
            diary: Diary::default(),
            running: Running::default(),
            groups: Groups::default(),
            link,
            hearts: Hearts::default(),
        }
    }

    /// What is logged on behalf of this bot is logged in it.
    pub(crate) fn span(&self) -> Span {
        info_span!("bot", channel = self.settings.instance)
    }

    /// Wall-clock time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.unix_ms()
    }

    /// Says that turns may be claimed.
    pub fn ring_lanes(&self) {
        self.lanes_bell.notify_one();
        self.urgent_bell.notify_one();
    }

    /// Whether so much time has passed since then.
    pub(crate) fn is_older(&self, since_ms: i64, age: Duration) -> bool {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.now_ms().saturating_sub(since_ms) >= age
    }
}
