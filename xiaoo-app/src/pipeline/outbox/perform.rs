//! Sending one thing, once.

use planted::Defect;
use runtime_tokio::openapi::{ApiError, ReplyTarget};
use tracing::{debug, info, warn};
use xiaoo_store::OutboxRow;

use super::super::lookup::{self, Fate, Ourselves, Sought, What};
use super::super::{SharedPipeline, busy};
use super::RESENT_BLINDLY;
use super::sending::Sending;

/// Why a row was not sent.
pub(super) enum Unsent {
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

/// Sends a row; gives the id of what is there then.
pub(super) async fn perform(
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
        }
        | Sending::File {
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
            if let Some(found) = sent_before(pipeline, row, &sought).await? {
                return Ok(found);
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
            let content = (msg_type.as_str(), content.as_str());
            Ok(reply(pipeline, &target, content, fallback.as_deref(), &uuid).await?)
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

/// The message, if an earlier try of an old row has sent it after all.
async fn sent_before(
    pipeline: &SharedPipeline,
    row: &OutboxRow,
    sought: &Sought<'_>,
) -> Result<Option<String>, Unsent> {
    let is_old = pipeline.is_older(row.first_try_at_ms, RESENT_BLINDLY);
    if !is_old || planted::is(Defect::NoLookup) {
        return Ok(None);
    }
    match look_up(pipeline, sought).await? {
        Fate::Sent(found) => {
            info!(turn = %row.turn, message_id = found, "it was sent before");
            Ok(Some(found))
        }
        Fate::Absent => {
            info!(turn = %row.turn, "certainly not sent, once more");
            Ok(None)
        }
        Fate::Unknown(reason) => Err(Unsent::Unknown(reason)),
    }
}

/// Sends an answer or a file of it; a plain text if Feishu does not take that.
pub(in super::super) async fn reply(
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
            warn!("Feishu did not take a {msg_type}, sending plain text: {refused}");
            // Another content needs another uuid; it is derived too.
            let uuid = format!("{uuid}-t");
            api.reply_or_create(target, "text", plain, &uuid).await?
        }
        (sent, _) => sent?,
    };
    Ok(sent.message_id)
}

/// What the chat says about a send that Feishu no longer knows by its uuid.
pub(in super::super) async fn look_up(
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
pub(in super::super) async fn own_reactions(
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

impl Unsent {
    /// Why, in words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Api(failure) => failure.to_string(),
            Self::Unknown(reason) => format!("not known whether it was sent: {reason}"),
        }
    }
}
