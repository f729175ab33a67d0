//! What a turn tells while it runs.

use core::time::Duration;

use tokio::sync::watch;

use super::Recorded;

/// Who follows a turn: shows it, and keeps what must survive a crash.
pub trait Observer: Send {
    /// Something to show. Must not block: the model's stream waits behind it.
    fn progress(&mut self, progress: Progress);

    /// A step that must survive a crash: each reply of the model before its tools run, each call
    /// before it starts, each tool's result as it comes, the final answer last. The user's
    /// message is not among them: it was the caller's before the turn began. The turn goes on
    /// when the future ends.
    ///
    /// # Errors
    /// When the step could not be kept; the turn ends then.
    fn record(&mut self, step: &Recorded) -> impl Future<Output = Result<(), RecordFailed>> + Send {
        let _ = step;
        core::future::ready(Ok(()))
    }
}

/// Nobody watches.
impl Observer for () {
    fn progress(&mut self, _: Progress) {}
}

/// The newest progress wins; a slow reader skips, and delays nobody.
impl Observer for watch::Sender<Progress> {
    fn progress(&mut self, progress: Progress) {
        self.send_replace(progress);
    }
}

/// What a turn is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The model was asked and has not begun to answer, or is reasoning.
    Thinking,
    /// The model is writing.
    Writing {
        /// Characters so far.
        chars: usize,
        /// The text of this step so far. Sent at most every [`Progress::WRITING_INTERVAL`].
        preview: String,
    },
    /// A tool runs.
    ToolStarted {
        /// Its name, as the model called it.
        name: String,
    },
    /// A tool is done.
    ToolFinished {
        /// Its name, as the model called it.
        name: String,
        /// Whether it worked.
        ok: bool,
    },
    /// A call waits for somebody to agree to it.
    WaitingForApproval {
        /// The tool's name.
        tool: String,
    },
    /// A tool waits for the answer of a person.
    WaitingForPerson {
        /// The tool's name.
        tool: String,
    },
    /// The conversation became too long and is being shortened.
    Compacting,
    /// A model is down; this one is asked instead.
    FellBack {
        /// Its name.
        model: String,
        /// [`ModelError::class`](crate::ModelError::class) of what went wrong with the one before;
        /// `known` when an earlier turn has found that out.
        why: &'static str,
    },
    /// The model failed and will be asked again.
    Retrying {
        /// The number of the request that comes next; the first one was 1.
        attempt: u32,
        /// [`ModelError::class`](crate::ModelError::class) of what went wrong.
        why: &'static str,
        /// How long until then.
        wait: Duration,
    },
}

impl Progress {
    /// How often [`Progress::Writing`] is sent at most: each carries the whole text so far, and
    /// no chat card may be updated faster.
    pub const WRITING_INTERVAL: Duration = Duration::from_millis(200);
}

/// The observer could not keep a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the step could not be recorded: {0}")]
pub struct RecordFailed(pub String);
