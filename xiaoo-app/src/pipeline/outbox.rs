//! Sending what turns have left in the outbox.
//!
//! A row's uuid is the same at every try, so Feishu shows it once however
//! often it is sent. Rows of one conversation go out one after the other.

use std::sync::Arc;
use std::time::Duration;

use runtime_tokio::openapi::{ApiError, ReplyTarget};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};
use xiaoo_store::{Body, OutboxRow, StoreError};

use super::{SharedPipeline, unix_ms};

/// Rows that are sent at once, over all conversations. Feishu takes 50 calls a
/// second of each kind.
const SENDS_MAX: usize = 16;
/// The first wait after a failed try; doubles with each.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two tries.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How long a row is tried. Feishu remembers a uuid for one hour; a send that
/// is repeated after that could be shown twice.
const TRIED_FOR: Duration = Duration::from_secs(50 * 60);
/// Tries of what is only a sign of life: the answer behind it waits.
const SIGN_TRIES_MAX: u32 = 3;
/// How often the outbox is looked at without a bell.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

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
    },
    /// The reaction on the person's message, to be taken away.
    TakeReactionAway {
        /// The person's message.
        message_id: String,
        /// The reaction's id.
        reaction: String,
    },
}

impl Sending {
    /// The word for it in the store.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::FinishCard { .. } => "card",
            Self::TakeReactionAway { .. } => "unreact",
        }
    }

    /// The form that is kept.
    #[must_use]
    pub fn to_body(&self) -> Body {
        // Strings and a tag: this cannot fail.
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Whether people can do without it.
    fn is_sign(&self) -> bool {
        match self {
            Self::Reply { .. } => false,
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
                .outbox_take(unix_ms(), free)
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
    match pipeline.store.outbox_next_ms().await {
        Ok(Some(due)) => {
            let millis = u64::try_from(due.saturating_sub(unix_ms())).unwrap_or(0);
            // A row can be due and still wait for the one before it.
            Duration::from_millis(millis.max(100)).min(LOOK_AGAIN)
        }
        Ok(None) | Err(_) => LOOK_AGAIN,
    }
}

async fn send(pipeline: &SharedPipeline, row: &OutboxRow) {
    let Ok(sending) = serde_json::from_slice::<Sending>(&row.body) else {
        settle(
            pipeline
                .store
                .outbox_dead(row.key, "the row cannot be read")
                .await,
        );
        return;
    };
    match perform(pipeline, row, &sending).await {
        Ok(external_id) => {
            info!(turn = %row.turn, kind = row.kind, "sent");
            settle(pipeline.store.outbox_done(row.key, &external_id).await);
        }
        Err(failure) => {
            let age = unix_ms().saturating_sub(row.first_try_at_ms);
            let too_old = u128::try_from(age).is_ok_and(|age| age >= TRIED_FOR.as_millis());
            let too_often = sending.is_sign() && row.key.attempt >= SIGN_TRIES_MAX;
            if failure.is_retryable() && !too_old && !too_often {
                warn!(turn = %row.turn, kind = row.kind, "not sent yet: {failure}");
                let wait = failure
                    .retry_after()
                    .unwrap_or_default()
                    .max(backoff(row.key.attempt));
                let due = unix_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(0));
                settle(
                    pipeline
                        .store
                        .outbox_retry(row.key, due, &failure.to_string())
                        .await,
                );
            } else {
                error!(turn = %row.turn, kind = row.kind, "given up: {failure}");
                settle(
                    pipeline
                        .store
                        .outbox_dead(row.key, &failure.to_string())
                        .await,
                );
            }
        }
    }
}

async fn perform(
    pipeline: &SharedPipeline,
    row: &OutboxRow,
    sending: &Sending,
) -> Result<String, ApiError> {
    let api = &pipeline.api;
    match sending {
        Sending::Reply {
            message_id,
            chat_id,
            in_thread,
            msg_type,
            content,
            fallback,
        } => {
            let target = ReplyTarget {
                message_id: message_id.clone(),
                chat_id: chat_id.clone(),
                in_thread: *in_thread,
            };
            match api
                .reply_or_create(&target, msg_type, content, &row.uuid)
                .await
            {
                Ok(sent) => Ok(sent.message_id),
                Err(refused) => match fallback {
                    Some(plain) if refused.is_content_refused() => {
                        warn!(
                            "Feishu did not take the formatted answer, sending plain text: {refused}"
                        );
                        // Another content needs another uuid; it is derived too.
                        let uuid = format!("{}-t", row.uuid);
                        let sent = api.reply_or_create(&target, "text", plain, &uuid).await?;
                        Ok(sent.message_id)
                    }
                    _ => Err(refused),
                },
            }
        }
        Sending::FinishCard {
            card,
            reply_to,
            create_uuid,
            content,
        } => {
            let card = match card {
                Some(card) => card.clone(),
                // The same uuid: the card that is there, or a new one.
                None => {
                    let sent = api
                        .reply_message(reply_to, "interactive", content, create_uuid, false)
                        .await?;
                    sent.message_id
                }
            };
            api.patch_card(&card, content).await?;
            Ok(card)
        }
        Sending::TakeReactionAway {
            message_id,
            reaction,
        } => {
            match api.delete_reaction(message_id, reaction).await {
                Ok(()) => {}
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => debug!("the reaction is gone already: {error}"),
            }
            Ok(reaction.clone())
        }
    }
}

fn backoff(attempt: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    let bound = doubled.min(RETRY_MAX);
    bound.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn settle<T>(settled: Result<T, StoreError>) {
    if let Err(error) = settled {
        error!("the outbox could not be updated; the row comes again: {error}");
    }
}
