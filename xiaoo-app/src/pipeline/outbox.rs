//! Sending what turns have left in the outbox.
//!
//! A row's uuid is the same at every try, so Feishu shows it once however
//! often it is sent within the hour. After that the chat is read back before
//! anything is sent again. Rows of one conversation go out one after the other.

use std::sync::Arc;
use std::time::Duration;

use planted::Defect;
use runtime_tokio::openapi::{ApiError, ReplyTarget};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};
use xiaoo_store::{Body, OutboxRow, Store};

use super::busy;
use super::lookup::{self, Fate, Ourselves, Sought, What};
use super::signs::SETTLED_AFTER;
use super::{Counters, SharedPipeline};
use crate::fail_point;

/// Rows that are sent at once, over all conversations. Feishu takes 50 calls a
/// second of each kind.
const SENDS_MAX: usize = 16;
/// The first wait after a failed try; doubles with each.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two tries.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How long after its first try a row is sent again without a look at the chat.
/// Feishu remembers a uuid for one hour; the rest is for a call under way.
pub const RESENT_BLINDLY: Duration = Duration::from_secs(50 * 60);
/// How long a row is tried at all. An outage may last that long; an answer that
/// comes later answers nothing.
pub const TRIED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Tries of what is only a sign of life, about two minutes: what follows in the
/// conversation waits for it.
const SIGN_TRIES_MAX: u32 = 8;
/// How often the outbox is looked at without a bell.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The wait before what became of a row is written down again.
const SETTLE_AGAIN: Duration = Duration::from_secs(1);

/// How often the store is asked, while the daemon stops, whether all is sent.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// One thing to send, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "send", rename_all = "snake_case")]
pub enum Sending {
    /// An answer or a notice, as a reply to the person's message.
    Reply {
        /// The person's message.
        message_id: String,
        /// Where to, if that message is gone.
        chat_id: String,
        /// Whether the message is in a thread.
        in_thread: bool,
        /// Which thread.
        #[serde(default)]
        thread_id: Option<String>,
        /// How many parts of the same answer come before this one.
        #[serde(default)]
        part: usize,
        /// When the person's message came in, Unix milliseconds.
        #[serde(default)]
        asked_ms: i64,
        /// `post` or `text`.
        msg_type: String,
        /// The content's JSON.
        content: String,
        /// The same as the content of a plain text message, for when Feishu
        /// does not take the first form.
        fallback: Option<String>,
    },
    /// The final state of a progress card.
    FinishCard {
        /// The card's message; `None` if it is not known whether it was sent.
        card: Option<String>,
        /// The message that the card replies to.
        reply_to: String,
        /// The uuid under which the card was or will be sent.
        create_uuid: String,
        /// The card's JSON.
        content: String,
        /// Where the card is.
        #[serde(default)]
        chat_id: String,
        /// The thread where it is.
        #[serde(default)]
        thread_id: Option<String>,
        /// When the person's message came in, Unix milliseconds.
        #[serde(default)]
        asked_ms: i64,
        /// Not to be sent before, Unix milliseconds.
        #[serde(default)]
        not_before_ms: i64,
    },
    /// A reaction on a message that is not worked on; it stays.
    Mark {
        /// The person's message.
        message_id: String,
        /// Its chat.
        chat_id: String,
        /// Whether the message is in a thread.
        in_thread: bool,
        /// Which reaction.
        emoji: String,
        /// A text's JSON, to be sent where reactions are not taken.
        instead: String,
    },
    /// The reaction on the person's message, to be taken away.
    TakeReactionAway {
        /// The person's message.
        message_id: String,
        /// The reaction's id; `None` if it is not known whether there is one.
        reaction: Option<String>,
        /// Which reaction it is.
        #[serde(default)]
        emoji: String,
        /// Not to be sent before, Unix milliseconds.
        #[serde(default)]
        not_before_ms: i64,
    },
}

impl Sending {
    /// The word for it in the store.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::FinishCard { .. } => "card",
            Self::Mark { .. } => "mark",
            Self::TakeReactionAway { .. } => "unreact",
        }
    }

    /// The form that is kept.
    #[must_use]
    pub fn to_body(&self) -> Body {
        // Strings and a tag: this cannot fail.
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Where a test can stop the process: before, between and after.
    fn fail_points(&self) -> [&'static str; 3] {
        match self {
            Self::Reply { .. } => [
                "outbox.reply.taken",
                "outbox.reply.sent",
                "outbox.reply.settled",
            ],
            Self::FinishCard { .. } => [
                "outbox.card.taken",
                "outbox.card.sent",
                "outbox.card.settled",
            ],
            Self::Mark { .. } => [
                "outbox.mark.taken",
                "outbox.mark.sent",
                "outbox.mark.settled",
            ],
            Self::TakeReactionAway { .. } => [
                "outbox.unreact.taken",
                "outbox.unreact.sent",
                "outbox.unreact.settled",
            ],
        }
    }

    /// When it may be sent, Unix milliseconds.
    fn not_before_ms(&self) -> i64 {
        match self {
            Self::Reply { .. } | Self::Mark { .. } => 0,
            Self::FinishCard { not_before_ms, .. }
            | Self::TakeReactionAway { not_before_ms, .. } => *not_before_ms,
        }
    }

    /// Whether people can do without it.
    fn is_sign(&self) -> bool {
        match self {
            Self::Reply { .. } | Self::Mark { .. } => false,
            Self::FinishCard { .. } | Self::TakeReactionAway { .. } => true,
        }
    }
}

/// Sends until `stop`; what is being sent then goes on in `sends`.
pub async fn run(pipeline: SharedPipeline, sends: TaskTracker, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(SENDS_MAX));
    loop {
        let free = places.available_permits();
        let rows = if free == 0 {
            Vec::new()
        } else {
            pipeline
                .store
                .outbox_take(pipeline.now_ms(), free)
                .await
                .unwrap_or_else(|error| {
                    error!("the outbox cannot be read: {error}");
                    Vec::new()
                })
        };
        if rows.is_empty() {
            let wait = wait_for_next(&pipeline).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = pipeline.outbox_bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            continue;
        }
        for row in rows {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let pipeline = Arc::clone(&pipeline);
            sends.spawn(async move {
                send(&pipeline, &row).await;
                drop(place);
                // The conversation's next row may go out now.
                pipeline.outbox_bell.notify_one();
            });
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

/// Waits until [`run`] has nothing left to send, or until `deadline`: what is
/// left then goes out after the next start.
pub async fn drained(pipeline: &SharedPipeline, deadline: Instant) {
    while Instant::now() < deadline {
        match pipeline.store.stats().await {
            Ok(stats) if stats.outbox_open > 0 => tokio::time::sleep(DRAIN_POLL).await,
            Ok(_) | Err(_) => return,
        }
    }
}

async fn wait_for_next(pipeline: &SharedPipeline) -> Duration {
    if planted::is(Defect::LostTimer) {
        return Duration::MAX;
    }
    match pipeline.store.outbox_next_ms().await {
        Ok(Some(due)) => {
            let millis = u64::try_from(due.saturating_sub(pipeline.now_ms())).unwrap_or(0);
            // A row can be due and still wait for the one before it.
            Duration::from_millis(millis.max(100)).min(LOOK_AGAIN)
        }
        Ok(None) | Err(_) => LOOK_AGAIN,
    }
}

/// What becomes of a row that was tried.
enum End {
    /// It is there, under this id.
    Sent(String),
    /// It is tried again then (Unix milliseconds), for this reason.
    Later(i64, String),
    /// It is given up, for this reason.
    Dead(String),
}

/// Why a row was not sent.
enum Unsent {
    /// The call failed.
    Api(ApiError),
    /// Nobody can tell whether it was sent, or how.
    Unknown(String),
}

impl From<ApiError> for Unsent {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

async fn send(pipeline: &SharedPipeline, row: &OutboxRow) {
    let store = &pipeline.store;
    let Ok(sending) = serde_json::from_slice::<Sending>(&row.body) else {
        settle(store, row, End::Dead("the row cannot be read".into())).await;
        return;
    };
    let early_ms = sending.not_before_ms().saturating_sub(pipeline.now_ms());
    // A longer wait is a clock that was put back.
    if (1..=millis(SETTLED_AFTER)).contains(&early_ms) {
        let due = sending.not_before_ms();
        settle(store, row, End::Later(due, "too early".into())).await;
        return;
    }
    let [taken, sent, settled] = sending.fail_points();
    fail_point::pass(taken);
    match perform(pipeline, row, &sending).await {
        Ok(external_id) => {
            fail_point::pass(sent);
            info!(turn = %row.turn, kind = row.kind, "sent");
            settle(store, row, End::Sent(external_id)).await;
            fail_point::pass(settled);
        }
        Err(Unsent::Api(failure)) if is_tried_again(pipeline, row, &sending, &failure) => {
            warn!(turn = %row.turn, kind = row.kind, "not sent yet: {failure}");
            let wait = if failure.is_fatal_config() {
                // A person has to act, and what waits is not worse for it.
                RETRY_MAX
            } else {
                failure.retry_after().unwrap_or_default()
            };
            let wait = wait.max(backoff(row.key.attempt));
            let due = pipeline.now_ms().saturating_add(millis(wait));
            settle(store, row, End::Later(due, failure.to_string())).await;
        }
        Err(unsent) => {
            let reason = match unsent {
                Unsent::Api(failure) => failure.to_string(),
                Unsent::Unknown(reason) => format!("not known whether it was sent: {reason}"),
            };
            error!(turn = %row.turn, kind = row.kind, "given up: {reason}");
            Counters::count(&pipeline.counters.given_up);
            settle(store, row, End::Dead(reason)).await;
        }
    }
}

fn is_tried_again(
    pipeline: &SharedPipeline,
    row: &OutboxRow,
    sending: &Sending,
    failure: &ApiError,
) -> bool {
    let may_help =
        failure.is_retryable() || failure.outcome_is_unknown() || failure.is_fatal_config();
    let too_often = sending.is_sign() && row.key.attempt >= SIGN_TRIES_MAX;
    may_help && !too_often && !pipeline.is_older(row.first_try_at_ms, TRIED_FOR)
}

async fn perform(
    pipeline: &SharedPipeline,
    row: &OutboxRow,
    sending: &Sending,
) -> Result<String, Unsent> {
    match sending {
        Sending::Reply {
            message_id,
            chat_id,
            in_thread,
            thread_id,
            msg_type,
            content,
            fallback,
            part,
            asked_ms,
        } => {
            let is_old = pipeline.is_older(row.first_try_at_ms, RESENT_BLINDLY);
            if is_old && !planted::is(Defect::NoLookup) {
                let sought = Sought {
                    chat_id,
                    thread_id: thread_id.as_deref(),
                    reply_to: message_id,
                    asked_ms: *asked_ms,
                    first_try_ms: row.first_try_at_ms,
                    what: What::Part {
                        ordinal: *part,
                        content,
                    },
                };
                match look_up(pipeline, &sought).await? {
                    Fate::Sent(found) => {
                        info!(turn = %row.turn, message_id = found, "it was sent before");
                        return Ok(found);
                    }
                    Fate::Absent => info!(turn = %row.turn, "certainly not sent, once more"),
                    Fate::Unknown(reason) => return Err(Unsent::Unknown(reason)),
                }
            }
            let target = ReplyTarget {
                message_id: message_id.clone(),
                chat_id: chat_id.clone(),
                in_thread: *in_thread,
            };
            let mut uuid = row.uuid.clone();
            if planted::is(Defect::NoUuid) {
                uuid = fastrand::u64(..).to_string();
            }
            reply(
                pipeline,
                &target,
                (msg_type, content),
                fallback.as_deref(),
                &uuid,
            )
            .await
            .map_err(Unsent::Api)
        }
        Sending::FinishCard {
            card,
            reply_to,
            create_uuid,
            content,
            chat_id,
            thread_id,
            asked_ms,
            not_before_ms: _,
        } => {
            let card = if let Some(card) = card {
                card.clone()
            } else if pipeline.is_older(*asked_ms, RESENT_BLINDLY) {
                let sought = Sought {
                    chat_id,
                    thread_id: thread_id.as_deref(),
                    reply_to,
                    asked_ms: *asked_ms,
                    first_try_ms: row.first_try_at_ms,
                    what: What::Card,
                };
                match look_up(pipeline, &sought).await? {
                    Fate::Sent(found) => found,
                    // Nothing to finish.
                    Fate::Absent => return Ok(String::new()),
                    Fate::Unknown(reason) => return Err(Unsent::Unknown(reason)),
                }
            } else {
                // The same uuid: the card that is there, or a new one.
                let api = &pipeline.api;
                let about = (reply_to.as_str(), chat_id.as_str());
                api.reply_message(about, "interactive", content, create_uuid, false)
                    .await?
                    .message_id
            };
            pipeline.api.patch_card(&card, content).await?;
            Ok(card)
        }
        Sending::Mark {
            message_id,
            chat_id,
            in_thread,
            emoji,
            instead,
        } => {
            let target = ReplyTarget {
                message_id: message_id.clone(),
                chat_id: chat_id.clone(),
                in_thread: *in_thread,
            };
            let is_old = pipeline.is_older(row.first_try_at_ms, RESENT_BLINDLY);
            let uuid = (row.uuid.as_str(), is_old);
            busy::mark(pipeline, &target, emoji, instead, uuid)
                .await
                .map_err(Unsent::Api)
        }
        Sending::TakeReactionAway {
            message_id,
            reaction,
            emoji,
            not_before_ms: _,
        } => {
            let reactions = match reaction {
                Some(reaction) => vec![reaction.clone()],
                None => own_reactions(pipeline, message_id, emoji).await?,
            };
            for reaction in &reactions {
                match pipeline.api.delete_reaction(message_id, reaction).await {
                    Ok(()) => {}
                    Err(error) if error.is_retryable() => return Err(error.into()),
                    Err(error) => debug!("the reaction is gone already: {error}"),
                }
            }
            Ok(reactions.into_iter().next().unwrap_or_default())
        }
    }
}

/// Sends an answer, as plain text if Feishu does not take its form.
pub(super) async fn reply(
    pipeline: &SharedPipeline,
    target: &ReplyTarget,
    (msg_type, content): (&str, &str),
    fallback: Option<&str>,
    uuid: &str,
) -> Result<String, ApiError> {
    let api = &pipeline.api;
    let sent = match (
        api.reply_or_create(target, msg_type, content, uuid).await,
        fallback,
    ) {
        (Err(refused), Some(plain)) if refused.is_content_refused() => {
            warn!("Feishu did not take the formatted answer, sending plain text: {refused}");
            // Another content needs another uuid; it is derived too.
            let uuid = format!("{uuid}-t");
            api.reply_or_create(target, "text", plain, &uuid).await?
        }
        (sent, _) => sent?,
    };
    Ok(sent.message_id)
}

/// What the chat says about a send that Feishu no longer knows by its uuid.
pub(super) async fn look_up(
    pipeline: &SharedPipeline,
    sought: &Sought<'_>,
) -> Result<Fate, ApiError> {
    let open_id = pipeline.identity.borrow().clone();
    let ourselves = Ourselves {
        app_id: &pipeline.settings.app_id,
        open_id: open_id.as_deref(),
    };
    lookup::fate(&pipeline.api, ourselves, sought).await
}

/// The bot's own reactions of a kind. Its first page does: people's reactions
/// of the same kind on one message are few.
pub(super) async fn own_reactions(
    pipeline: &SharedPipeline,
    message_id: &str,
    emoji: &str,
) -> Result<Vec<String>, ApiError> {
    let listed = pipeline.api.list_reactions(message_id, emoji, None).await;
    let listed = match listed {
        Ok(listed) => listed.items,
        Err(error) if error.is_retryable() => return Err(error),
        Err(error) => {
            debug!("whether there is a reaction cannot be known: {error}");
            Vec::new()
        }
    };
    let bot = pipeline.identity.borrow().clone();
    Ok(listed
        .into_iter()
        .filter(|reaction| {
            let operator = reaction.operator.operator_id.as_str();
            operator == pipeline.settings.app_id || Some(operator) == bot.as_deref()
        })
        .map(|reaction| reaction.reaction_id)
        .collect())
}

fn backoff(attempt: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    let bound = doubled.min(RETRY_MAX);
    bound.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Writes down what became of a row. Until then it stands still, and its conversation
/// with it; so what passes (a full disk, a server that is away) is waited for.
async fn settle(store: &Store, row: &OutboxRow, end: End) {
    loop {
        let settled = match &end {
            End::Sent(external_id) => store.outbox_done(row.key, external_id).await,
            End::Later(due_ms, why) => store.outbox_retry(row.key, *due_ms, why).await,
            End::Dead(reason) => store.outbox_dead(row.key, reason).await,
        };
        // Done, or it was another's already.
        let Err(error) = settled else {
            return;
        };
        if !error.is_retryable() || planted::is(Defect::SettledOnce) {
            error!("the outbox could not be updated; the row comes again: {error}");
            return;
        }
        warn!("the outbox could not be updated, trying again: {error}");
        tokio::time::sleep(SETTLE_AGAIN).await;
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
