//! What a batch of commands locks, sends and counts.

use core::pin::Pin;
use core::task::Poll;
use std::future::poll_fn;

use futures_util::future::{MaybeDone, maybe_done};
use tokio::time::Instant;

use crate::call::{Job, Task};
use crate::command::{Answer, Command};
use crate::error::StoreError;
use crate::types::{Admission, Fenced};

/// Locks the conversations of [`lanes`], in the order of their keys.
pub(super) const LOCK: &str = "
SELECT pg_advisory_xact_lock($1, key) FROM (
    SELECT hashtext(conversation) AS key FROM turn WHERE id = ANY($2)
    UNION SELECT hashtext(conversation) FROM outbox WHERE id = ANY($3)
    UNION SELECT hashtext(name) FROM unnest($4::text[]) AS name
    ORDER BY key) AS lanes";

/// Where a batch may move the next one up: turns, outbox rows, and conversations by
/// name. An event without work is locked by its own key, so that two daemons don't
/// take it in at once.
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

/// How many turns wait in the whole store, as far as we know.
#[derive(Default)]
pub(super) struct Queued {
    pub(super) count: u64,
    pub(super) counted: Option<Instant>,
}

impl Queued {
    /// Follows what a command that is durable has changed.
    pub(super) fn follow(&mut self, job: &Job, answer: &Result<Answer, StoreError>) {
        let Task::Command(command) = &job.task else {
            return;
        };
        let Ok(answer) = answer else {
            return;
        };
        match (command, answer) {
            (_, Answer::Admission(Admission::New(_)))
            | (Command::Release(_), Answer::Fenced(Fenced::Done)) => self.count += 1,
            (_, Answer::Turns(turns)) => {
                self.count = self.count.saturating_sub(turns.len() as u64);
            }
            (_, _) => {}
        }
    }
}
