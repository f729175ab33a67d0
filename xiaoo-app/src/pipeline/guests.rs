//! What is known of people and bots that are not simply let in: who was let in by a code (see
//! [`pairing`]), who was told that they may not, how long bots have talked among themselves, and
//! which files somebody brought before turning to the bot.

use std::time::Duration;

use proto_core::{InboundMessage, InboundResource, ResourceKind};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use xiaoo_store::StoreError;

use super::Pipeline;
use super::pairing::{self, CODE_KEPT, Change, NOTE, Paired, Stranger};

/// How long a run of bots' messages is remembered.
const BOTS_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How long files that were brought wait for the words about them.
const BROUGHT_KEPT: Duration = Duration::from_secs(600);
/// Messages with files that are remembered of one person in one chat.
const BROUGHT_MAX: usize = 8;
/// Tries to find a code that nobody has.
const CODE_TRIES_MAX: usize = 8;

/// A message with files, sent before the bot was mentioned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The message.
    pub message_id: String,
    /// When it was sent, Unix milliseconds.
    pub sent_ms: i64,
    /// Its files.
    pub files: Vec<BroughtFile>,
}

/// One of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroughtFile {
    /// `image`, or what else it is.
    pub is_image: bool,
    /// The platform's key.
    pub file_key: String,
    /// Its name.
    pub name: Option<String>,
}

/// How long bots have talked in a chat without a word of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotsRun {
    /// Messages of bots that were answered.
    pub answered: u32,
    /// The last of them.
    pub last: String,
}

/// Whether an admin has let the sender in, where that makes a difference.
pub(super) async fn is_paired(
    pipeline: &Pipeline,
    message: &InboundMessage,
) -> Result<bool, StoreError> {
    if !pipeline.settings.policy.asks_for_pairing(message) {
        return Ok(false);
    }
    let scope = pairing::paired(&message.sender_open_id);
    let paired = pipeline.note::<Paired>(&scope, NOTE).await?;
    Ok(paired.is_some_and(|paired| paired.holds()))
}

/// The code by which an admin lets this person in; `None` when all that were tried are others'.
pub(super) async fn pairing_code(
    pipeline: &Pipeline,
    open_id: &str,
) -> Result<Option<String>, StoreError> {
    let scope = pairing::code_of(open_id);
    let stranger = Stranger {
        open_id: open_id.to_owned(),
    };
    if let Some(code) = pipeline.note::<String>(&scope, NOTE).await?
        && pipeline.note(&pairing::code(&code), NOTE).await?.as_ref() == Some(&stranger)
    {
        return Ok(Some(code));
    }
    for _ in 0..CODE_TRIES_MAX {
        let code = format!("{:06}", fastrand::u32(0..1_000_000));
        let there = pipeline
            .change_note(
                &pairing::code(&code),
                NOTE,
                CODE_KEPT,
                |known: Option<&Stranger>| known.is_none().then(|| stranger.clone()),
            )
            .await?;
        // Another stranger's code would let in the other one.
        if there.as_ref() == Some(&stranger) {
            pipeline.keep_note(&scope, NOTE, &code, CODE_KEPT).await?;
            return Ok(Some(code));
        }
    }
    Ok(None)
}

/// Lets in whoever was given the code, on an admin's word; `None` if nobody was.
pub(super) async fn let_in(
    pipeline: &Pipeline,
    code: &str,
    by: &str,
) -> Result<Option<String>, StoreError> {
    let Some(Stranger { open_id }) = pipeline.note(&pairing::code(code), NOTE).await? else {
        return Ok(None);
    };
    let now_ms = pipeline.now_ms();
    apply(pipeline, pairing::let_in(&open_id, code, Some(by), now_ms)).await?;
    info!(open_id, by, "somebody was let in by a code");
    Ok(Some(open_id))
}

/// Shuts somebody out again; says whether they were let in.
pub(super) async fn shut_out(
    pipeline: &Pipeline,
    open_id: &str,
    by: &str,
) -> Result<bool, StoreError> {
    let (paired, code_of) = (pairing::paired(open_id), pairing::code_of(open_id));
    let paired = pipeline.note::<Paired>(&paired, NOTE).await?;
    let was_let_in = paired.is_some_and(|paired| paired.holds());
    let code = pipeline.note::<String>(&code_of, NOTE).await?;
    apply(pipeline, pairing::shut_out(open_id, code.as_deref())).await?;
    info!(open_id, by, was_let_in, "somebody was shut out");
    Ok(was_let_in)
}

async fn apply(pipeline: &Pipeline, changes: Vec<Change>) -> Result<(), StoreError> {
    for change in changes {
        match change {
            Change::Put(put) => drop(pipeline.store.put_note(put).await?),
            Change::Delete(scope) => {
                let now_ms = pipeline.now_ms();
                drop(pipeline.store.delete_note(&scope, NOTE, now_ms).await?);
            }
        }
    }
    Ok(())
}

/// Whether the sender has not been told for a while that they may not talk to the bot; from now
/// on they have.
pub(super) async fn is_refused_anew(
    pipeline: &Pipeline,
    message: &InboundMessage,
    again: Duration,
) -> Result<bool, StoreError> {
    let scope = pairing::refused(&message.sender_open_id);
    let mut is_new = false;
    pipeline
        .change_note(&scope, NOTE, again, |told: Option<&String>| {
            // A redelivery of the message that was told is no other message.
            is_new = told.is_none_or(|told| *told == message.message_id);
            told.is_none().then(|| message.message_id.clone())
        })
        .await?;
    Ok(is_new)
}

/// Whether a message is a person's, who ends all runs of bots, or a bot's within its run. A bot's
/// is counted before it is taken in: what cannot be counted is not answered, or two bots could go
/// on for ever.
pub(super) async fn is_within_bots_run(
    pipeline: &Pipeline,
    message: &InboundMessage,
) -> Result<bool, StoreError> {
    if !pipeline.settings.policy.allow_bots {
        return Ok(true);
    }
    let scope = format!("bots:{}", message.chat_id);
    if !message.sender_is_bot {
        let now_ms = pipeline.now_ms();
        if let Err(error) = pipeline.store.delete_note(&scope, NOTE, now_ms).await {
            warn!("that a person has spoken among bots cannot be noted: {error}");
        }
        return Ok(true);
    }
    let mut is_within = false;
    pipeline
        .change_note(&scope, NOTE, BOTS_KEPT, |run: Option<&BotsRun>| {
            let run = run.cloned().unwrap_or_default();
            // A redelivery was counted before.
            let is_counted = run.last == message.message_id;
            is_within = is_counted || run.answered < pipeline.settings.bot_turns_max;
            (is_within && !is_counted).then(|| BotsRun {
                answered: run.answered.saturating_add(1),
                last: message.message_id.clone(),
            })
        })
        .await?;
    Ok(is_within)
}

/// Remembers files of somebody who may turn to the bot with the next words.
pub(super) async fn brought(pipeline: &Pipeline, message: &InboundMessage) {
    if message.resources.is_empty() || message.sender_open_id.is_empty() {
        return;
    }
    let brought = Brought {
        message_id: message.message_id.clone(),
        sent_ms: message.create_time_ms,
        files: message.resources.iter().map(BroughtFile::from).collect(),
    };
    let scope = brought_scope(&message.chat_id, &message.sender_open_id);
    let kept = pipeline
        .change_note(
            &scope,
            NOTE,
            BROUGHT_KEPT,
            |known: Option<&Vec<Brought>>| {
                let mut known = known.cloned().unwrap_or_default();
                known.retain(|other| other.message_id != brought.message_id);
                known.push(brought.clone());
                let old = known.len().saturating_sub(BROUGHT_MAX);
                known.drain(..old);
                Some(known)
            },
        )
        .await;
    if let Err(error) = kept {
        warn!("files that somebody brought could not be noted: {error}");
    }
}

/// The files that the sender of a message has brought shortly before it.
pub(super) async fn brought_before(
    pipeline: &Pipeline,
    message: &InboundMessage,
) -> Result<Vec<Brought>, StoreError> {
    let scope = brought_scope(&message.chat_id, &message.sender_open_id);
    let brought = pipeline.note::<Vec<Brought>>(&scope, NOTE).await?;
    let mut brought = brought.unwrap_or_default();
    // Each that comes keeps the note; of what is in it, the older may be of long before.
    brought.retain(|one| one.is_shortly_before(message.create_time_ms));
    Ok(brought)
}

/// Forgets these of them: their turn has them now. What came meanwhile stays.
pub(super) async fn forget_brought(pipeline: &Pipeline, message: &InboundMessage, had: &[Brought]) {
    if had.is_empty() {
        return;
    }
    let scope = brought_scope(&message.chat_id, &message.sender_open_id);
    let kept = pipeline
        .change_note(
            &scope,
            NOTE,
            BROUGHT_KEPT,
            |known: Option<&Vec<Brought>>| {
                let is_left =
                    |one: &&Brought| had.iter().all(|had| had.message_id != one.message_id);
                known.map(|known| known.iter().filter(is_left).cloned().collect())
            },
        )
        .await;
    if let Err(error) = kept {
        warn!("files that somebody brought could not be forgotten: {error}");
    }
}

impl Brought {
    fn is_shortly_before(&self, at_ms: i64) -> bool {
        let kept_ms = i64::try_from(BROUGHT_KEPT.as_millis()).unwrap_or(i64::MAX);
        at_ms.saturating_sub(self.sent_ms) <= kept_ms
    }
}

impl From<&InboundResource> for BroughtFile {
    fn from(resource: &InboundResource) -> Self {
        Self {
            is_image: resource.kind == ResourceKind::Image,
            file_key: resource.file_key.clone(),
            name: resource.file_name.clone(),
        }
    }
}

fn brought_scope(chat_id: &str, open_id: &str) -> String {
    format!("brought:{chat_id}:{open_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_brought_shortly_before_belongs_to_a_message() {
        let brought = Brought {
            message_id: "om_1".into(),
            sent_ms: 1_700_000_000_000,
            files: Vec::new(),
        };
        for (after_ms, belongs) in [(0, true), (600_000, true), (600_001, false)] {
            let at_ms = brought.sent_ms + after_ms;
            assert_eq!(brought.is_shortly_before(at_ms), belongs, "{after_ms}");
        }
    }
}
