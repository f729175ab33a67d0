//! What is known of people and bots that are not simply let in: who was let in by a code, who was
//! told that they may not, how long bots have talked among themselves, and which files somebody
//! brought before turning to the bot.

use std::time::Duration;

use proto_core::{InboundMessage, InboundResource, ResourceKind};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use xiaoo_store::StoreError;

use super::Pipeline;

/// How long somebody stays let in: as long as anybody works somewhere.
const PAIRED_KEPT: Duration = Duration::from_secs(3_650 * 24 * 3_600);
/// How long a code holds: an admin may be at lunch.
const CODE_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How long a run of bots' messages is remembered.
const BOTS_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Messages of bots that are known again when they come once more. One that is not costs them an
/// answer.
const BOT_MESSAGES_MAX: usize = 16;
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

/// How long bots have talked among themselves in a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct BotRun {
    /// Answers since a person last spoke.
    answers: u32,
    /// The newest messages that have them: one that comes again is no other one.
    messages: Vec<String>,
}

/// Somebody who wants to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    /// Who.
    pub open_id: String,
}

/// Whether an admin has let the sender in, where that makes a difference.
pub(super) async fn is_paired(pipeline: &Pipeline, message: &InboundMessage) -> bool {
    if !pipeline.settings.policy.asks_for_pairing(message) {
        return false;
    }
    let paired = pipeline
        .note::<bool>(&paired(&message.sender_open_id), NOTE)
        .await;
    paired
        .inspect_err(|error| warn!("who was let in cannot be read: {error}"))
        .is_ok_and(|paired| paired == Some(true))
}

/// The code by which an admin lets this person in.
pub(super) async fn pairing_code(pipeline: &Pipeline, open_id: &str) -> Result<String, StoreError> {
    let scope = format!("code_of:{open_id}");
    if let Some(code) = pipeline.note::<String>(&scope, NOTE).await? {
        return Ok(code);
    }
    let stranger = Stranger {
        open_id: open_id.to_owned(),
    };
    let mut code = String::new();
    for _ in 0..CODE_TRIES_MAX {
        code = format!("{:06}", fastrand::u32(0..1_000_000));
        let there = pipeline
            .change_note(
                &code_scope(&code),
                NOTE,
                CODE_KEPT,
                |known: Option<&Stranger>| known.is_none().then(|| stranger.clone()),
            )
            .await?;
        if there.as_ref() == Some(&stranger) {
            break;
        }
    }
    pipeline.keep_note(&scope, NOTE, &code, CODE_KEPT).await?;
    Ok(code)
}

/// Lets in whoever was given the code; `None` if nobody was.
pub(super) async fn let_in(pipeline: &Pipeline, code: &str) -> Result<Option<String>, StoreError> {
    let scope = code_scope(code);
    let Some(stranger) = pipeline.note::<Stranger>(&scope, NOTE).await? else {
        return Ok(None);
    };
    pipeline
        .keep_note(&paired(&stranger.open_id), NOTE, &true, PAIRED_KEPT)
        .await?;
    pipeline
        .store
        .delete_note(&scope, NOTE, pipeline.now_ms())
        .await?;
    info!(open_id = stranger.open_id, "somebody was let in by a code");
    Ok(Some(stranger.open_id))
}

/// Whether the sender has not been told for a while that they may not talk to the bot; from now
/// on they have.
pub(super) async fn is_refused_anew(
    pipeline: &Pipeline,
    message: &InboundMessage,
    again: Duration,
) -> bool {
    let scope = format!("refused:{}", message.sender_open_id);
    let mut is_new = false;
    let told = pipeline
        .change_note(&scope, NOTE, again, |told: Option<&String>| {
            // A redelivery of the message that was told is no other message.
            is_new = told.is_none_or(|told| *told == message.message_id);
            told.is_none().then(|| message.message_id.clone())
        })
        .await;
    if let Err(error) = told {
        warn!("who was refused cannot be noted: {error}");
        return false;
    }
    is_new
}

/// Whether a bot's message may be answered: in each chat so many in a row are. It is counted then,
/// before it is taken in, so that many at once are counted one after another.
pub(super) async fn bot_may_speak(pipeline: &Pipeline, message: &InboundMessage) -> bool {
    let answers_max = pipeline.settings.bot_turns_max;
    let run = pipeline
        .change_note(
            &bots(&message.chat_id),
            NOTE,
            BOTS_KEPT,
            |run: Option<&BotRun>| {
                let mut run = run.cloned().unwrap_or_default();
                let may_speak = run.answers < answers_max && !run.has(message);
                may_speak.then(|| {
                    run.count_in(message);
                    run
                })
            },
        )
        .await;
    run.inspect_err(|error| warn!("how long bots have talked cannot be noted: {error}"))
        .is_ok_and(|run| run.is_some_and(|run| run.has(message)))
}

/// A person has spoken in a chat: bots may again.
pub(super) async fn person_spoke(pipeline: &Pipeline, chat_id: &str) {
    if !pipeline.settings.policy.allow_bots {
        return;
    }
    let scope = bots(chat_id);
    let now_ms = pipeline.now_ms();
    if let Err(error) = pipeline.store.delete_note(&scope, NOTE, now_ms).await {
        warn!("that a person has spoken cannot be noted: {error}");
    }
}

impl BotRun {
    fn has(&self, message: &InboundMessage) -> bool {
        self.messages.contains(&message.message_id)
    }

    fn count_in(&mut self, message: &InboundMessage) {
        self.answers = self.answers.saturating_add(1);
        self.messages.push(message.message_id.clone());
        let old = self.messages.len().saturating_sub(BOT_MESSAGES_MAX);
        self.messages.drain(..old);
    }
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

/// The files that the sender of a message has brought before it.
pub(super) async fn brought_before(
    pipeline: &Pipeline,
    message: &InboundMessage,
) -> Result<Vec<Brought>, StoreError> {
    let scope = brought_scope(&message.chat_id, &message.sender_open_id);
    let brought = pipeline.note::<Vec<Brought>>(&scope, NOTE).await?;
    Ok(brought.unwrap_or_default())
}

/// Forgets them: their turn has them now.
pub(super) async fn forget_brought(pipeline: &Pipeline, message: &InboundMessage) {
    let scope = brought_scope(&message.chat_id, &message.sender_open_id);
    if let Err(error) = pipeline
        .store
        .delete_note(&scope, NOTE, pipeline.now_ms())
        .await
    {
        warn!("files that somebody brought could not be forgotten: {error}");
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

/// The key where a scope has one note.
const NOTE: &str = "it";

fn paired(open_id: &str) -> String {
    format!("paired:{open_id}")
}

fn code_scope(code: &str) -> String {
    format!("code:{code}")
}

fn bots(chat_id: &str) -> String {
    format!("bots:{chat_id}")
}

fn brought_scope(chat_id: &str, open_id: &str) -> String {
    format!("brought:{chat_id}:{open_id}")
}
