//! The agent loop: ask, run what was asked for, ask again, until there is an answer.

mod approval;
mod calls;
mod deadline;
mod history;
mod models;
mod observe;
mod output;
mod pictures;
mod record;
mod resume;
mod room;
mod run;
mod summary;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use approval::ApprovalRules;
pub use history::{effective_history, estimate_tokens, fit_history, repair_history};
pub use models::ModelUsage;
pub use observe::{Observer, Progress, RecordFailed};
pub use record::Recorded;

use crate::chat::{Attachment, Chat, NoChat};
use crate::message::Message;
use crate::model::{ModelChain, ModelError, Usage};
use crate::tool::ToolSet;
use crate::workspace::Workspace;

/// One turn: what was said before, what is said now.
#[derive(Clone)]
pub struct TurnRequest<'a> {
    /// The system prompt; left out when empty.
    pub system: &'a str,
    /// Earlier turns as they were kept, oldest first: what [`effective_history`] leaves of them
    /// is what counts.
    pub history: &'a [Message],
    /// What the person says now.
    pub user: Message,
    /// What an earlier, interrupted run of this very turn recorded; empty for a fresh turn. Calls
    /// that had started and have no result are not made again: the model is told. Those that had
    /// not started are made now.
    pub resume: Vec<Recorded>,
    /// What the model may call.
    pub tools: &'a ToolSet,
    /// Which of these ask first.
    pub approvals: ApprovalRules,
    /// Where the tools' files are, and the pictures of the conversation.
    pub workspace: Option<Workspace>,
    /// The chat that the turn belongs to.
    pub chat: Arc<dyn Chat>,
    /// The bounds.
    pub limits: TurnLimits,
}

impl<'a> TurnRequest<'a> {
    /// A turn that knows nothing but what is said now.
    #[must_use]
    pub fn new(user: Message, tools: &'a ToolSet) -> Self {
        Self {
            system: "",
            history: &[],
            user,
            resume: Vec::new(),
            tools,
            approvals: ApprovalRules::none(),
            workspace: None,
            chat: Arc::new(NoChat),
            limits: TurnLimits::default(),
        }
    }
}

impl fmt::Debug for TurnRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnRequest")
            .field("history", &self.history.len())
            .field("resume", &self.resume.len())
            .field("tools", &self.tools)
            .field("approvals", &self.approvals)
            .field("workspace", &self.workspace)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The bounds of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnLimits {
    /// Questions to the model. Default 20; the last one is asked without tools, so that a turn
    /// ends with words.
    pub steps_max: u32,
    /// How long the turn may take, without the time in which people are waited for. Default
    /// 600 s.
    pub turn_timeout: Duration,
    /// How long one tool call may take. Default 120 s.
    pub tool_timeout: Duration,
    /// How much of a tool's output the model gets. Default 32 KiB.
    pub tool_output_bytes_max: usize,
    /// How much history is sent word for word, in bytes, however large the model's window is;
    /// what goes beyond it is summarised. Default 256 KiB, some 85 thousand tokens.
    pub history_bytes_max: usize,
    /// How many messages of history are sent word for word; what goes beyond it is summarised.
    /// Default 300. Whoever keeps the history keeps so many and what the longest turn adds, or
    /// what falls out of it was never summarised.
    pub history_messages_max: usize,
}

impl Default for TurnLimits {
    fn default() -> Self {
        Self {
            steps_max: 20,
            turn_timeout: Duration::from_secs(600),
            tool_timeout: Duration::from_secs(120),
            tool_output_bytes_max: 32 << 10,
            history_bytes_max: 256 << 10,
            history_messages_max: 300,
        }
    }
}

/// A turn that ended with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnOutcome {
    /// What the turn adds to the history: the user's message and everything after it, what was
    /// recorded before included. A [`Message::Summary`] among them says what of the history
    /// before it no longer counts.
    pub new_messages: Vec<Message>,
    /// What to show.
    pub answer: String,
    /// Whether the model met its limit of tokens inside the answer.
    pub cut_off: bool,
    /// The sum over all questions, those for summaries included; where a server does not tell, a
    /// guess.
    pub usage: Usage,
    /// The same by model, in the order in which they were first asked.
    pub by_model: Vec<ModelUsage>,
    /// Questions to the model.
    pub steps: u32,
    /// The name of the model that gave the answer.
    pub model: String,
}

impl TurnOutcome {
    /// The files that go out with the answer.
    pub fn attachments(&self) -> impl Iterator<Item = &Attachment> {
        attachments(&self.new_messages)
    }
}

/// A turn that did not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct TurnFailed {
    /// Why.
    pub error: TurnError,
    /// How far it came: the user's message and what was recorded after it, every call answered.
    /// Whoever adds a last word to it has a valid history.
    pub messages: Vec<Message>,
    /// As [`TurnOutcome::usage`].
    pub usage: Usage,
    /// As [`TurnOutcome::by_model`].
    pub by_model: Vec<ModelUsage>,
}

impl TurnFailed {
    /// The files that its tools have attached.
    pub fn attachments(&self) -> impl Iterator<Item = &Attachment> {
        attachments(&self.messages)
    }
}

/// Why a turn has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// The caller cancelled it.
    #[error("the turn was cancelled")]
    Cancelled,
    /// The model gave no answer.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A step could not be made durable, so the turn may not go on.
    #[error(transparent)]
    Record(#[from] RecordFailed),
    /// It took longer than it may.
    #[error("the turn took longer than {limit:?}")]
    TimedOut {
        /// [`TurnLimits::turn_timeout`].
        limit: Duration,
    },
}

impl TurnError {
    /// A fixed word for logs and metric labels.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Model(error) => error.class(),
            Self::Record(_) => "record",
            Self::TimedOut { .. } => "timed_out",
        }
    }
}

/// Runs one turn to its end.
///
/// Dropping the future, or cancelling, closes the connection to the model at once, and leaves
/// behind a tool that does not stop when it is told to.
///
/// # Errors
/// See [`TurnError`]. What was recorded with the observer until then stays recorded.
pub async fn run_turn<O: Observer>(
    models: &ModelChain,
    request: TurnRequest<'_>,
    observer: &mut O,
    cancel: &CancellationToken,
) -> Result<TurnOutcome, Box<TurnFailed>> {
    let limit = request.limits.turn_timeout;
    let mut turn = run::Turn::new(models, request, observer, cancel);
    let passed = turn.deadline().passed();
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(TurnError::Cancelled),
        ended = turn.run() => ended,
        () = passed => Err(TurnError::TimedOut { limit }),
    };
    match ended {
        Ok(answer) => Ok(turn.outcome(answer)),
        Err(error) => Err(Box::new(turn.failed(error))),
    }
}

fn attachments(messages: &[Message]) -> impl Iterator<Item = &Attachment> {
    messages.iter().flat_map(|message| match message {
        Message::Tool { attachments, .. } => attachments.as_slice(),
        Message::User { .. } | Message::Assistant { .. } | Message::Summary { .. } => &[],
    })
}
