//! The way into an engine that works in threads of its own: two bounded queues,
//! and what it tells everybody.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use crate::call::{Delivery, Job, Orphans};
use crate::command::{Answer, Command, Question};
use crate::error::StoreError;
use crate::limits::{COMMANDS_MAX, READS_MAX};
use crate::types::{Health, StoreStats};

/// The callers' side; weak, so that the guard's end is the store's end.
#[derive(Clone)]
pub(crate) struct Desk {
    commands: mpsc::WeakSender<Job>,
    reads: mpsc::WeakSender<Read>,
    orphans: Arc<Orphans>,
    health: watch::Receiver<Health>,
    changes: watch::Receiver<u64>,
}

/// The engine's side.
pub(crate) struct Behind {
    pub(crate) commands: mpsc::Receiver<Job>,
    pub(crate) reads: mpsc::Receiver<Read>,
    pub(crate) orphans: Arc<Orphans>,
    pub(crate) told: Told,
}

/// What an engine tells everybody.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) counters: Arc<Counters>,
    pub(crate) health: Arc<watch::Sender<Health>>,
    changes: Arc<watch::Sender<u64>>,
}

/// What is counted since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    commands: AtomicU64,
    commit_micros: AtomicU64,
}

/// The threads and what keeps them alive.
pub(crate) struct Threads {
    commands: Option<mpsc::Sender<Job>>,
    reads: Option<mpsc::Sender<Read>>,
    handles: Vec<JoinHandle<()>>,
    /// Ends the threads at once, where they can be.
    die: Option<oneshot::Sender<()>>,
    health: watch::Receiver<Health>,
    /// Released last, when nothing touches the store any more.
    lock: Option<Box<dyn Send + Sync>>,
}

/// A question, and where its answer goes.
pub(crate) struct Read {
    pub(crate) question: Question,
    reply: oneshot::Sender<Result<Answer, StoreError>>,
}

/// Sets up a desk; `lock` is held until the last thread has ended.
pub(crate) fn open(lock: Option<Box<dyn Send + Sync>>) -> (Desk, Threads, Behind) {
    let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
    let (reads, read_queue) = mpsc::channel(READS_MAX);
    let told = Told::new();
    let orphans = Orphans::new(commands.downgrade());
    let desk = Desk {
        commands: commands.downgrade(),
        reads: reads.downgrade(),
        orphans: Arc::clone(&orphans),
        health: told.health.subscribe(),
        changes: told.changes(),
    };
    let threads = Threads {
        commands: Some(commands),
        reads: Some(reads),
        handles: Vec::new(),
        die: None,
        health: told.health.subscribe(),
        lock,
    };
    let behind = Behind {
        commands: command_queue,
        reads: read_queue,
        orphans,
        told,
    };
    (desk, threads, behind)
}

impl Desk {
    pub(crate) async fn write(&self, command: Command) -> Result<Delivery, StoreError> {
        let (job, answer) = Job::new(command, Arc::clone(&self.orphans) as _);
        self.send(job).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn send(&self, job: Job) -> Result<(), StoreError> {
        let commands = self.commands.upgrade().ok_or(StoreError::Closed)?;
        commands.send(job).await.map_err(|_| StoreError::Closed)
    }

    pub(crate) async fn read(&self, question: Question) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let reads = self.reads.upgrade().ok_or(StoreError::Closed)?;
            let read = Read { question, reply };
            reads.send(read).await.map_err(|_| StoreError::Closed)?;
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

#[cfg(test)]
impl Desk {
    pub(crate) fn test_commands(&self) -> mpsc::Sender<Job> {
        self.commands.upgrade().unwrap()
    }

    pub(crate) fn test_job(
        &self,
        task: crate::call::TestTask,
    ) -> (Job, oneshot::Receiver<Result<Delivery, StoreError>>) {
        let task = crate::call::Task::Test(std::sync::Mutex::new(Some(task)));
        Job::of(task, Arc::clone(&self.orphans) as _)
    }
}

impl Told {
    pub(crate) fn new() -> Self {
        Self {
            counters: Arc::default(),
            health: Arc::new(watch::Sender::new(Health::Good)),
            changes: Arc::new(watch::Sender::new(0)),
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Counts a commit of so many commands that took so long.
    pub(crate) fn committed(&self, commands: usize, took: Duration) {
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        let commands = u64::try_from(commands).unwrap_or(u64::MAX);
        self.counters
            .commands
            .fetch_add(commands, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counters
            .commit_micros
            .fetch_add(micros, Ordering::Relaxed);
    }

    /// Says that there may be something to claim or to take.
    pub(crate) fn changed(&self) {
        self.changes
            .send_modify(|change| *change = change.wrapping_add(1));
    }

    /// Says so for good.
    pub(crate) fn failed(&self, error: &StoreError) {
        tracing::error!(%error, "the store has failed and takes nothing more");
        self.health.send_replace(Health::Failed {
            reason: error.to_string(),
        });
    }

    /// Says so until there is room again; a store that has failed stays so.
    pub(crate) fn full(&self, error: &StoreError) {
        self.health.send_if_modified(|health| {
            let is_new = *health == Health::Good;
            if is_new {
                tracing::error!(%error, "the disk is full: events are refused until there is room");
                *health = Health::Full {
                    reason: error.to_string(),
                };
            }
            is_new
        });
    }

    pub(crate) fn is_full(&self) -> bool {
        matches!(&*self.health.borrow(), Health::Full { .. })
    }

    pub(crate) fn has_room(&self) {
        self.health.send_if_modified(|health| {
            let was_full = matches!(health, Health::Full { .. });
            if was_full {
                tracing::info!("the disk has room again");
                *health = Health::Good;
            }
            was_full
        });
    }

    /// The error of every write once the store has failed.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match &*self.health.borrow() {
            Health::Failed { reason } => Err(StoreError::Failed {
                reason: reason.clone(),
            }),
            Health::Good | Health::Full { .. } | Health::Unreachable { .. } => Ok(()),
        }
    }
}

impl Counters {
    /// Adds what was counted to what was asked of the data.
    pub(crate) fn counted(&self, stats: StoreStats) -> StoreStats {
        StoreStats {
            commits: self.commits.load(Ordering::Relaxed),
            commands: self.commands.load(Ordering::Relaxed),
            commit_micros: self.commit_micros.load(Ordering::Relaxed),
            ..stats
        }
    }
}

impl Threads {
    pub(crate) fn add(&mut self, handle: JoinHandle<()>) {
        self.handles.push(handle);
    }

    pub(crate) fn die_by(&mut self, die: oneshot::Sender<()>) {
        self.die = Some(die);
    }

    /// Ends the threads in the middle of what they do, where they can be.
    pub(crate) fn abandon(&mut self) {
        if let Some(die) = self.die.take() {
            // Gone means dead already.
            let _ = die.send(());
        }
        self.join();
    }

    /// Ends the threads when they have done what waits for them.
    pub(crate) fn join(&mut self) -> Health {
        self.commands = None;
        self.reads = None;
        for handle in self.handles.drain(..) {
            // A panic there has already been told by the thread itself.
            drop(handle.join());
        }
        self.lock = None;
        self.health.borrow().clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.join();
    }
}

impl Read {
    /// Whether nobody waits any more.
    pub(crate) fn is_void(&self) -> bool {
        self.reply.is_closed()
    }

    pub(crate) fn answer(self, answer: Result<Answer, StoreError>) {
        drop(self.reply.send(answer));
    }
}
