//! The one thread that writes.
//!
//! It takes a command, drains what else waits, runs all in one transaction with
//! a savepoint each, commits (one sync), and only then answers. The sync is the
//! batching window: no timer is needed. What one command gets wrong is undone by
//! its savepoint and hurts no other.

use core::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::Counters;
use super::checkpoint::Nudge;
use crate::error::StoreError;
use crate::limits::BATCH_MAX;
use crate::types::Health;

/// The writer's thread; see the module.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) queue: mpsc::Receiver<Box<dyn Job>>,
    pub(super) orphans: Arc<Orphans>,
    pub(super) gauges: Gauges,
    pub(super) counters: Arc<Counters>,
    pub(super) health: watch::Sender<Health>,
    pub(super) nudge: Nudge,
}

/// Numbers about the store that the writer keeps beside it, as counting them
/// anew for each command would cost more than the command. They follow the
/// transaction: what is rolled back is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauges {
    /// Turns that wait.
    pub(crate) queued: u64,
}

/// Whether a command is still to be done when its caller has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    /// Yes: it tells of something that has happened.
    Always,
    /// No: it is a question whose answer nobody would hear.
    WhileAwaited,
}

/// Takes back what a command has done, if its answer reached nobody.
pub(crate) type Undo<T> = fn(&Connection, &mut Gauges, &T) -> Result<(), StoreError>;

/// What comes back from the writer.
pub(super) type Answer<T> = Result<Delivery<T>, StoreError>;

/// A command on its way through the writer.
pub(crate) trait Job: Send {
    /// Whether nobody needs it any more.
    fn is_void(&self) -> bool;
    /// Does it, inside a savepoint, and keeps the result.
    fn run(&mut self, tx: &Connection, gauges: &mut Gauges) -> Result<(), StoreError>;
    /// Answers; `batch` says whether the transaction is on disk.
    fn answer(self: Box<Self>, batch: Result<(), StoreError>);
}

/// A result under way to its caller. If the caller goes away before it takes the
/// value, the command is undone.
pub(crate) struct Delivery<T: Send + 'static> {
    value: Option<T>,
    undo: Option<(Undo<T>, Arc<Orphans>)>,
}

/// Undo commands of deliveries that were not taken. They don't go through the
/// queue, which may be full at that moment; each belongs to a command that has
/// left the queue, so their number is bounded by the callers that wait.
pub(crate) struct Orphans {
    jobs: Mutex<Vec<Box<dyn Job>>>,
    wake: mpsc::WeakSender<Box<dyn Job>>,
}

/// Makes a command out of a closure, and the way its answer comes.
pub(crate) fn call<T, F>(
    needed: Needed,
    undo: Option<Undo<T>>,
    orphans: &Arc<Orphans>,
    operation: F,
) -> (Box<dyn Job>, oneshot::Receiver<Answer<T>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection, &mut Gauges) -> Result<T, StoreError> + Send + 'static,
{
    let (answer, wait) = oneshot::channel();
    let job = Call {
        needed,
        operation: Some(operation),
        result: Err(StoreError::Closed),
        undo: undo.map(|undo| (undo, Arc::clone(orphans))),
        answer,
    };
    (Box::new(job), wait)
}

impl Writer {
    /// Works until every sender is gone and the queue is empty.
    pub(super) fn run(mut self) {
        let _told = TellPanic(self.health.clone());
        while let Some(first) = self.queue.blocking_recv() {
            let batch = self.gather(first);
            self.commit(batch);
            self.nudge.after_commit(&self.db);
        }
        let left = self.orphans.take();
        self.commit(left);
    }

    fn gather(&mut self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let mut batch = self.orphans.take();
        batch.push(first);
        while batch.len() < BATCH_MAX
            && let Ok(job) = self.queue.try_recv()
        {
            batch.push(job);
        }
        batch
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        batch.retain(|job| !job.is_void());
        if batch.is_empty() {
            return;
        }
        let before = self.gauges;
        let outcome = self.transact(&mut batch);
        match &outcome {
            Ok(()) => {
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                let commands = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                self.counters
                    .commands
                    .fetch_add(commands, Ordering::Relaxed);
            }
            Err(error) => {
                self.gauges = before;
                if error.is_fatal() {
                    tracing::error!(%error, "the store has failed and takes nothing more");
                    self.health.send_replace(Health::Failed {
                        reason: error.to_string(),
                    });
                }
            }
        }
        for job in batch {
            job.answer(outcome.clone());
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        if let Health::Failed { reason } = &*self.health.borrow() {
            return Err(StoreError::Failed {
                reason: reason.clone(),
            });
        }
        let mut tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for job in batch {
            let before = self.gauges;
            let savepoint = tx.savepoint()?;
            match job.run(&savepoint, &mut self.gauges) {
                Ok(()) => savepoint.commit()?,
                Err(error) => {
                    self.gauges = before;
                    drop(savepoint);
                    // After some errors SQLite has rolled the whole transaction
                    // back by itself; then nothing of the batch may be answered
                    // as done.
                    if error.is_fatal() || tx.is_autocommit() {
                        return Err(error);
                    }
                }
            }
        }
        tx.commit()?;
        Ok(())
    }
}

struct Call<T: Send + 'static, F> {
    needed: Needed,
    operation: Option<F>,
    result: Result<T, StoreError>,
    undo: Option<(Undo<T>, Arc<Orphans>)>,
    answer: oneshot::Sender<Answer<T>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Connection, &mut Gauges) -> Result<T, StoreError> + Send,
{
    fn is_void(&self) -> bool {
        self.needed == Needed::WhileAwaited && self.answer.is_closed()
    }

    fn run(&mut self, tx: &Connection, gauges: &mut Gauges) -> Result<(), StoreError> {
        if let Some(operation) = self.operation.take() {
            self.result = operation(tx, gauges);
        }
        match &self.result {
            Ok(_) => Ok(()),
            Err(error) => Err(error.clone()),
        }
    }

    fn answer(self: Box<Self>, batch: Result<(), StoreError>) {
        let Self {
            result,
            undo,
            answer,
            ..
        } = *self;
        let delivery = batch.and(result).map(|value| Delivery {
            value: Some(value),
            undo,
        });
        // Nobody waits: the delivery comes back in the error, and its drop undoes.
        drop(answer.send(delivery));
    }
}

impl<T: Send + 'static> Delivery<T> {
    /// Takes the value; from here on it is the caller's.
    pub(crate) fn take(mut self) -> T {
        #[expect(
            clippy::expect_used,
            reason = "only this method takes the value, and it takes self"
        )]
        self.value.take().expect("a delivery is taken once")
    }
}

impl<T: Send + 'static> Drop for Delivery<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take()
            && let Some((undo, orphans)) = self.undo.take()
        {
            orphans.push(Box::new(Undoing { value, undo }));
        }
    }
}

impl Orphans {
    pub(super) fn new(wake: mpsc::WeakSender<Box<dyn Job>>) -> Self {
        Self {
            jobs: Mutex::default(),
            wake,
        }
    }

    fn push(&self, job: Box<dyn Job>) {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(job);
        // A full queue means that the writer has a batch to gather anyway.
        if let Some(commands) = self.wake.upgrade() {
            drop(commands.try_send(Box::new(Wake)));
        }
    }

    fn take(&self) -> Vec<Box<dyn Job>> {
        core::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Undoing<T> {
    value: T,
    undo: Undo<T>,
}

impl<T: Send> Job for Undoing<T> {
    fn is_void(&self) -> bool {
        false
    }

    fn run(&mut self, tx: &Connection, gauges: &mut Gauges) -> Result<(), StoreError> {
        (self.undo)(tx, gauges, &self.value)
    }

    fn answer(self: Box<Self>, batch: Result<(), StoreError>) {
        if let Err(error) = batch {
            tracing::warn!(%error, "what a cancelled call had taken stays taken until the next start");
        }
    }
}

/// Makes the writer look at the orphans.
struct Wake;

impl Job for Wake {
    fn is_void(&self) -> bool {
        true
    }

    fn run(&mut self, _: &Connection, _: &mut Gauges) -> Result<(), StoreError> {
        Ok(())
    }

    fn answer(self: Box<Self>, _: Result<(), StoreError>) {}
}

/// A writer that panics must not look healthy.
struct TellPanic(watch::Sender<Health>);

impl Drop for TellPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.send_replace(Health::Failed {
                reason: "the writer stopped by a mistake of the program".to_owned(),
            });
        }
    }
}
