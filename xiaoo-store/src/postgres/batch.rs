//! What a batch of commands locks, sends and counts.

use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;
use std::future::poll_fn;

use futures_util::future::{MaybeDone, maybe_done};
use tokio::time::Instant;

use crate::call::{Job, Task};
use crate::command::{Answer, Command};
use crate::error::StoreError;
use crate::note::{NotePut, PutNote};
use crate::types::{Admission, Fenced};

/// How long a count is good; other daemons change what is counted, too.
const COUNT_KEPT: Duration = Duration::from_secs(5);

/// Locks the conversations of [`lanes`], in the order of their keys.
pub(super) const LOCK: &str = "
SELECT pg_advisory_xact_lock($1, key) FROM (
    SELECT hashtext(conversation) AS key FROM turn WHERE id = ANY($2)
    UNION SELECT hashtext(conversation) FROM outbox WHERE id = ANY($3)
    UNION SELECT hashtext(name) FROM unnest($4::text[]) AS name
    ORDER BY key) AS lanes";

/// Where a batch may move the next one up: turns, outbox rows, and conversations by
/// name. An event without work is locked by its own key, so that two daemons don't
/// take it in at once, and a note by its scope.
pub(super) fn lanes(batch: &[Job]) -> (Vec<i64>, Vec<i64>, Vec<&str>) {
    let (mut turns, mut sends, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for command in commands_of(batch) {
        match command {
            Command::Admit(event) => names.push(
                event
                    .work
                    .as_ref()
                    .map_or(event.event_id.as_str(), |work| work.conversation.as_str()),
            ),
            Command::Finish(key, _) => turns.push(key.id.0),
            Command::PutNote(PutNote { scope, .. }) | Command::DeleteNote { scope, .. } => {
                names.push(scope);
            }
            Command::OutboxDone { row, .. } | Command::OutboxDead { row, .. } => {
                sends.push(row.id);
            }
            Command::Claim { .. }
            | Command::Release(_)
            | Command::NoteSign(..)
            | Command::NoteStep(..)
            | Command::ClearHistory { .. }
            | Command::OutboxTake { .. }
            | Command::OutboxUntake(_)
            | Command::OutboxRetry { .. }
            | Command::Prune { .. } => {}
        }
    }
    (turns, sends, names)
}

pub(super) fn commands_of<'a>(
    batch: impl IntoIterator<Item = &'a Job>,
) -> impl Iterator<Item = &'a Command> {
    batch.into_iter().filter_map(|job| match &job.task {
        Task::Command(command) => Some(command),
        Task::Wake => None,
        #[cfg(test)]
        Task::Test(_) => None,
    })
}

/// Whether others may wait for what a batch has done, with these answers.
pub(super) fn is_news(batch: &[Job], answers: &[Result<Answer, StoreError>]) -> bool {
    batch
        .iter()
        .zip(answers)
        .any(|(job, answer)| match &job.task {
            Task::Command(command) => command.is_news(answer),
            Task::Wake => false,
            #[cfg(test)]
            Task::Test(_) => false,
        })
}

/// Runs statements in one go: the first look at each sends it, and all are looked at
/// in order before any is waited for. The server works them off in that order.
pub(super) async fn in_order<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<Pin<Box<MaybeDone<F>>>> =
        futures.map(|future| Box::pin(maybe_done(future))).collect();
    poll_fn(|context| {
        for future in &mut all {
            // Done or not, it has sent what it had to send.
            let _ = future.as_mut().poll(context);
        }
        Poll::Ready(())
    })
    .await;
    let mut outputs = Vec::with_capacity(all.len());
    for mut future in all {
        future.as_mut().await;
        outputs.extend(future.as_mut().take_output());
    }
    outputs
}

/// What is counted in the whole store, as far as we know.
#[derive(Default)]
pub(super) struct Counts {
    /// Turns that wait.
    pub(super) queued: Count,
    /// Notes; one that replaces another is taken for new until it is asked again.
    pub(super) notes: Count,
}

/// A count that others change, too: it is asked only now and then, and always before
/// something is refused.
#[derive(Default)]
pub(super) struct Count {
    count: u64,
    counted: Option<Instant>,
}

impl Counts {
    /// Follows what a command that is durable has changed.
    pub(super) fn follow(&mut self, job: &Job, answer: &Result<Answer, StoreError>) {
        let Task::Command(command) = &job.task else {
            return;
        };
        let Ok(answer) = answer else {
            return;
        };
        let queued = &mut self.queued.count;
        match (command, answer) {
            (_, Answer::Admission(Admission::New(_)))
            | (Command::Release(_), Answer::Fenced(Fenced::Done)) => *queued += 1,
            (_, Answer::Turns(turns)) => *queued = queued.saturating_sub(turns.len() as u64),
            (_, Answer::NotePut(NotePut::Done { .. })) => self.notes.count += 1,
            (_, _) => {}
        }
    }

    /// Others may have changed anything meanwhile.
    pub(super) fn forget(&mut self) {
        self.queued.counted = None;
        self.notes.counted = None;
    }
}

impl Count {
    /// Whether it must be asked before so many new ones come.
    pub(super) fn is_due(&self, new: u64, max: u64) -> bool {
        let is_young = self
            .counted
            .is_some_and(|counted| counted.elapsed() < COUNT_KEPT);
        let fits = self.count.saturating_add(new) <= max;
        new > 0 && !(is_young && fits)
    }

    pub(super) fn set(&mut self, count: i64) {
        self.count = u64::try_from(count).unwrap_or(0);
        self.counted = Some(Instant::now());
    }

    /// How many more there may be.
    pub(super) fn room(&self, max: u64) -> u64 {
        max.saturating_sub(self.count)
    }
}
