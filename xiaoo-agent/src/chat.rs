//! What the agent may ask of the chat that its turn belongs to, and nothing more of it.
//!
//! The agent knows no platform: whoever runs a turn brings an implementation. Each method is
//! one small question, so that a chat that can't do one still does the others.

use core::time::Duration;
use std::fs::File;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// The chat of one turn.
pub trait Chat: Send + Sync {
    /// The people in it, as far as that is known; the bot itself is not among them.
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, ChatError>>;

    /// Asks the person of the turn whether a call may be made, and waits for the answer.
    ///
    /// Asked again with the same `call_id` after a restart, it goes on waiting for the first
    /// question's answer. Whoever may not answer is not heard, and silence is [`Approval::Denied`].
    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Approval>;

    /// Asks the person of the turn, and waits for the answer; as [`Chat::approve`].
    fn ask<'a>(&'a self, question: &'a PersonQuestion) -> BoxFuture<'a, Result<String, ChatError>>;

    /// Takes a file that is to go out with the answer, as it is now, and gives the key by which it
    /// is sent from wherever the answer is. Nobody sees it before that, so it may be taken twice.
    ///
    /// What passes is tried again for as long as a turn can wait.
    fn take_file(&self, file: OutgoingFile) -> BoxFuture<'_, Result<String, ChatError>>;
}

/// A file that is to go out.
#[derive(Debug)]
pub struct OutgoingFile {
    /// Its bytes.
    pub file: File,
    /// The name that people see.
    pub name: String,
    /// Whether it is shown as an image.
    pub is_image: bool,
}

/// A person in the chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The platform's id, by which a mention is made.
    pub id: String,
    /// The name that people see.
    pub name: String,
}

/// A call that somebody has to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// The [`ToolCall::id`](crate::ToolCall::id).
    pub call_id: String,
    /// The tool's name.
    pub tool: String,
    /// What exactly would be done, for a person to read: the command, the file, the address.
    pub what: String,
    /// Where it would be done: the directory, the host.
    pub place: String,
}

/// What became of an [`ApprovalRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// It may be done.
    Allowed,
    /// Somebody said no.
    Denied,
    /// Nobody said anything in time, which is a no.
    TimedOut,
    /// Nobody can be asked here, which is a no.
    Unavailable,
}

/// A question of the model to the person of the turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonQuestion {
    /// The [`ToolCall::id`](crate::ToolCall::id).
    pub call_id: String,
    /// The question.
    pub text: String,
    /// Answers to choose from; free text is asked for when there are none.
    pub options: Vec<String>,
    /// How long the answer is waited for.
    pub patience: Duration,
}

/// The chat could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// This chat has no such thing.
    #[error("this is not possible in this chat")]
    Unavailable,
    /// Nobody answered in time.
    #[error("nobody answered in time")]
    TimedOut,
    /// The platform said no, or was away.
    #[error("the chat platform could not do it: {0}")]
    Platform(String),
}

/// A file that goes out with the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What [`Chat::take_file`] has given; `None` for one that the chat did not take, which people
    /// are told.
    #[serde(default)]
    pub key: Option<String>,
    /// The name that people see.
    pub name: String,
    /// Whether it is shown as an image.
    #[serde(default)]
    pub is_image: bool,
}

/// A chat that nobody is in: for turns without one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoChat;

impl Chat for NoChat {
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, ChatError>> {
        Box::pin(core::future::ready(Err(ChatError::Unavailable)))
    }

    fn approve<'a>(&'a self, _: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        Box::pin(core::future::ready(Approval::Unavailable))
    }

    fn ask<'a>(&'a self, _: &'a PersonQuestion) -> BoxFuture<'a, Result<String, ChatError>> {
        Box::pin(core::future::ready(Err(ChatError::Unavailable)))
    }

    fn take_file(&self, _: OutgoingFile) -> BoxFuture<'_, Result<String, ChatError>> {
        Box::pin(core::future::ready(Err(ChatError::Unavailable)))
    }
}
