//! The one thread that writes.
//!
//! It takes a command, drains what else waits, runs all in one transaction with
//! a savepoint each, commits (one sync), and only then answers. The sync is the
//! batching window: no timer is needed. What one command gets wrong is undone by
//! its savepoint and hurts no other.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc;

use super::checkpoint::Nudge;
use super::{admission, history, notes, outbox, turns, upkeep};
use crate::call::{Job, Orphans, Task};
use crate::command::{Answer, Bounds, Command};
use crate::desk::Told;
use crate::error::StoreError;
use crate::limits::BATCH_MAX;
use crate::types::Health;

/// The writer's thread; see the module.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) queue: mpsc::Receiver<Job>,
    pub(super) orphans: Arc<Orphans>,
    pub(super) bounds: Bounds,
    pub(super) gauges: Gauges,
    pub(super) told: Told,
    pub(super) nudge: Nudge,
}

/// Numbers about the store that the writer keeps beside it, as counting them
/// anew for each command would cost more than the command. They follow the
/// transaction: what is rolled back is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauges {
    /// Turns that wait.
    pub(crate) queued: u64,
    /// Notes, those that have expired included.
    pub(crate) notes: u64,
}

impl Writer {
    /// Works until every sender is gone and the queue is empty.
    pub(super) fn run(mut self) {
        let _told = TellPanic(self.told.clone());
        while let Some(first) = self.queue.blocking_recv() {
            let batch = self.gather(first);
            self.commit(batch);
            self.nudge.after_commit(&self.db);
        }
        let left = self.orphans.take_all();
        self.commit(left);
    }

    fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut batch = self.orphans.take();
        batch.push(first);
        while batch.len() < BATCH_MAX
            && let Ok(job) = self.queue.try_recv()
        {
            batch.push(job);
        }
        batch
    }

    fn commit(&mut self, mut batch: Vec<Job>) {
        batch.retain(|job| !job.is_void());
        if batch.is_empty() {
            return;
        }
        let before = self.gauges;
        let began = Instant::now();
        match self.transact(&batch) {
            Ok(answers) => {
                self.told.committed(batch.len(), began.elapsed());
                if batch
                    .iter()
                    .zip(&answers)
                    .any(|(job, answer)| match &job.task {
                        Task::Command(command) => command.is_news(answer),
                        Task::Wake => false,
                        #[cfg(test)]
                        Task::Test(_) => false,
                    })
                {
                    self.told.changed();
                }
                for (job, answer) in batch.into_iter().zip(answers) {
                    job.answer(answer);
                }
            }
            Err(error) => {
                self.gauges = before;
                if error.is_fatal() {
                    self.told.failed(&error);
                } else if let StoreError::Full { .. } = &error {
                    self.told.full(&error);
                }
                for job in batch {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// The answers of a batch that is on disk.
    fn transact(&mut self, batch: &[Job]) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        self.told.check()?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for job in batch {
            let before = self.gauges;
            let savepoint = tx.savepoint()?;
            let answer = run(&savepoint, &mut self.gauges, &self.bounds, &job.task);
            match &answer {
                Ok(_) => savepoint.commit()?,
                Err(error) => {
                    self.gauges = before;
                    drop(savepoint);
                    // After some errors SQLite has rolled the whole transaction
                    // back by itself; then nothing of the batch may be answered
                    // as done.
                    if error.is_fatal() || tx.is_autocommit() {
                        return Err(error.clone());
                    }
                }
            }
            answers.push(answer);
        }
        tx.commit()?;
        Ok(answers)
    }
}

fn run(
    tx: &Connection,
    gauges: &mut Gauges,
    bounds: &Bounds,
    task: &Task,
) -> Result<Answer, StoreError> {
    let command = match task {
        Task::Command(command) => command,
        Task::Wake => return Err(StoreError::Closed),
        #[cfg(test)]
        Task::Test(test) => {
            let test = test.lock().unwrap().take().unwrap();
            return test(tx, gauges);
        }
    };
    Ok(match command {
        Command::Admit(event) => Answer::Admission(admission::admit(tx, gauges, bounds, event)?),
        Command::Claim { max, which } => Answer::Turns(turns::claim(tx, gauges, *max, *which)?),
        Command::Release(turn) => Answer::Fenced(turns::release(tx, gauges, *turn)?),
        Command::NoteSign(turn, sign) => Answer::Fenced(turns::note_sign(tx, *turn, sign)?),
        Command::NoteStep(turn, step) => Answer::Fenced(turns::note_step(tx, *turn, step)?),
        Command::Finish(turn, result) => Answer::Fenced(turns::finish(tx, *turn, result)?),
        Command::ClearHistory { conversation } => {
            Answer::Count(history::clear_history(tx, conversation)?)
        }
        Command::OutboxTake { now_ms, max } => {
            Answer::Rows(outbox::outbox_take(tx, *now_ms, *max)?)
        }
        Command::OutboxUntake(row) => Answer::Fenced(outbox::outbox_untake(tx, *row)?),
        Command::OutboxDone { row, external_id } => {
            Answer::Fenced(outbox::outbox_done(tx, *row, external_id)?)
        }
        Command::OutboxRetry {
            row,
            not_before_ms,
            error,
        } => Answer::Fenced(outbox::outbox_retry(tx, *row, *not_before_ms, error)?),
        Command::OutboxDead { row, reason } => {
            Answer::Fenced(outbox::outbox_dead(tx, *row, reason)?)
        }
        Command::PutNote(put) => Answer::NotePut(notes::put(tx, gauges, bounds, put)?),
        Command::DeleteNote { scope, key, now_ms } => {
            Answer::Note(notes::delete(tx, gauges, scope, key, *now_ms)?)
        }
        Command::Prune { now_ms, batch } => {
            Answer::Count(upkeep::prune(tx, gauges, *now_ms, *batch)?)
        }
    })
}

/// A writer that panics must not look healthy.
struct TellPanic(Told);

impl Drop for TellPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.health.send_replace(Health::Failed {
                reason: "the writer stopped by a mistake of the program".to_owned(),
            });
        }
    }
}
