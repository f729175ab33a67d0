//! Shows a turn's progress, and makes each of its steps durable before it goes on.

use tokio::time::Instant;
use tracing::warn;
use xiaoo_agent::{Message, Observer, Progress, RecordFailed, Recorded};
use xiaoo_store::{Body, Fenced, Step, Store, StoreError, Turn, TurnKey};

use super::super::Counters;
use super::super::signs::Board;
use super::Ended;
use crate::fail_point::{self, FailPoint};
use crate::render::notice::Notice;

/// The kind of step that the model sees again: what it said, what a tool returned.
const MESSAGE: &str = "message";
/// The kind of step that only says that a call was begun.
const STARTED: &str = "started";
/// The kind of step that holds what the model reads as the person's words.
const SAID: &str = "said";

/// What earlier runs of a turn have recorded.
#[derive(Default)]
pub(super) struct Steps {
    /// What the model reads as the person's words, if they got so far.
    pub(super) said: Option<Message>,
    /// What came after.
    pub(super) resume: Vec<Recorded>,
}

/// Reads them. Also of a first attempt: one that was handed back at a stop does not count, but
/// its steps do.
pub(super) async fn steps(store: &Store, turn: &Turn) -> Result<Steps, StoreError> {
    let mut steps = Steps::default();
    for step in store.steps(turn.key.id).await? {
        if step.kind == SAID {
            steps.said = kept(&step.body);
        } else {
            steps.resume.extend(kept::<Recorded>(&step.body));
        }
    }
    Ok(steps)
}

/// A row that cannot be read (of a newer version, say) is left out and said;
/// the conversation goes on without it.
pub(super) fn kept<T: serde::de::DeserializeOwned>(body: &Body) -> Option<T> {
    serde_json::from_slice(body)
        .inspect_err(|error| warn!("a kept message cannot be read: {error}"))
        .ok()
}

/// Follows a turn.
pub(super) struct Recorder<'a> {
    pub(super) store: &'a Store,
    pub(super) turn: TurnKey,
    pub(super) board: &'a Board,
    pub(super) counters: &'a Counters,
    /// When the model was asked what it has not answered yet.
    pub(super) asked: Option<Instant>,
    /// Why a step could not be kept.
    pub(super) cut_off: Option<Ended>,
}

impl Recorder<'_> {
    /// Keeps what the model reads as the person's words, so that what they bring along is
    /// fetched once.
    pub(super) async fn said(&mut self, said: &Message) -> Result<(), Ended> {
        match self.keep(SAID, said).await {
            Ok(()) => Ok(()),
            Err(why) => Err(self
                .cut_off
                .take()
                .unwrap_or_else(|| Ended::notice(Notice::Failed, why))),
        }
    }

    async fn keep(&mut self, kind: &str, step: &impl serde::Serialize) -> Result<(), String> {
        let body = serde_json::to_string(step).map_err(|error| error.to_string())?;
        let step = Step {
            kind: kind.to_owned(),
            body: body.into(),
        };
        let (ended, why) = match self.store.note_step(self.turn, step).await {
            Ok(Fenced::Done) => return Ok(()),
            Ok(Fenced::Replaced) => (
                Ended::Replaced,
                "the turn belongs to another run now".to_owned(),
            ),
            Err(error) => {
                let why = error.to_string();
                (Ended::by_store(error), why)
            }
        };
        self.cut_off = Some(ended);
        Err(why)
    }
}

impl Observer for Recorder<'_> {
    fn progress(&mut self, progress: Progress) {
        match &progress {
            Progress::Thinking => {
                self.asked.get_or_insert_with(Instant::now);
            }
            Progress::Retrying { .. } => Counters::count(&self.counters.model_retries),
            Progress::FellBack { .. } => Counters::count(&self.counters.model_fallbacks),
            Progress::Writing { .. }
            | Progress::ToolStarted { .. }
            | Progress::ToolFinished { .. }
            | Progress::WaitingForApproval { .. }
            | Progress::WaitingForPerson { .. }
            | Progress::Compacting => {}
        }
        self.board.update(progress);
    }

    async fn record(&mut self, step: &Recorded) -> Result<(), RecordFailed> {
        let (kind, before, after) = match step {
            Recorded::Reply { .. } => (MESSAGE, FailPoint::ModelReplied, FailPoint::ModelRecorded),
            Recorded::Started { .. } => (STARTED, FailPoint::ToolStarts, FailPoint::ToolStarted),
            Recorded::Message(_) => (MESSAGE, FailPoint::ToolReturned, FailPoint::ToolRecorded),
        };
        if let Recorded::Reply { .. } = step
            && let Some(asked) = self.asked.take()
        {
            self.counters.model_time.observe(asked.elapsed());
        }
        fail_point::pass(before);
        self.keep(kind, step).await.map_err(RecordFailed)?;
        fail_point::pass(after);
        Ok(())
    }
}
