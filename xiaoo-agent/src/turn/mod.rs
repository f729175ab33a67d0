//! The agent loop: ask, run what was asked for, ask again, until there is an answer.

mod history;
mod observe;
mod run;

use core::time::Duration;

use tokio_util::sync::CancellationToken;

pub use history::{estimate_tokens, fit_history, repair_history};
pub use observe::{Observer, Progress, RecordFailed};

use crate::message::Message;
use crate::model::{Model, ModelError, Usage};
use crate::tool::ToolSet;

/// One turn: what was said before, what is said now.
#[derive(Clone, Debug)]
pub struct TurnRequest<'a> {
    /// The system prompt; left out when empty.
    pub system: &'a str,
    /// Earlier turns, oldest first.
    pub history: &'a [Message],
    /// What the person says now.
    pub user: Message,
    /// What an earlier, interrupted run of this very turn recorded after `user`; empty for a
    /// fresh turn. Calls that it began and never saw answered are not run again: the model is told.
    pub resume: Vec<Message>,
    /// What the model may call.
    pub tools: &'a ToolSet,
    /// The bounds.
    pub limits: TurnLimits,
}

/// The bounds of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnLimits {
    /// Questions to the model. Default 20; the last one is asked without tools, so that a turn
    /// ends with words.
    pub steps_max: u32,
    /// How long one tool call may take. Default 120 s.
    pub tool_timeout: Duration,
    /// How much of a tool's output the model gets. Default 32 KiB.
    pub tool_output_bytes_max: usize,
    /// How much history is sent, in bytes. Default 256 KiB, some 85 thousand tokens.
    pub history_bytes_max: usize,
}

impl Default for TurnLimits {
    fn default() -> Self {
        Self {
            steps_max: 20,
            tool_timeout: Duration::from_secs(120),
            tool_output_bytes_max: 32 << 10,
            history_bytes_max: 256 << 10,
        }
    }
}

/// A turn that ended with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnOutcome {
    /// What the turn adds to the history: the user's message and everything after it, what was
    /// passed in `resume` included.
    pub new_messages: Vec<Message>,
    /// What to show.
    pub answer: String,
    /// Whether the model met its limit of tokens inside the answer.
    pub cut_off: bool,
    /// The sum over all steps.
    pub usage: Usage,
    /// Questions to the model.
    pub steps: u32,
}

/// A turn that did not.
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
}

impl TurnError {
    /// A fixed word for logs and metric labels.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Model(error) => error.class(),
            Self::Record(_) => "record",
        }
    }
}

/// Runs one turn to its end.
///
/// Dropping the future, or cancelling, closes the connection to the model at once.
///
/// # Errors
/// See [`TurnError`]. What was recorded with the observer until then stays recorded.
pub async fn run_turn<O: Observer>(
    model: &Model,
    request: TurnRequest<'_>,
    observer: &mut O,
    cancel: &CancellationToken,
) -> Result<TurnOutcome, TurnError> {
    let turn = run::Turn::new(model, request, observer, cancel);
    cancel
        .run_until_cancelled(turn.run())
        .await
        .unwrap_or(Err(TurnError::Cancelled))
}
