//! An engine in memory, for tests and simulation: no file, no thread, no clock.
//!
//! What it does not forget is a [`MemoryDisk`], which outlives the stores that are
//! opened on it. The disk can be told what becomes of each commit, and can be
//! switched off: then it holds what was synced and nothing else.

mod state;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::call::{Delivery, Job, Orphanage, Task};
use crate::command::{Answer, Bounds, Command, Question};
use crate::desk::Told;
use crate::error::StoreError;
use crate::types::Health;

use state::State;

/// What a store in memory keeps its data on. A cheap handle: clone it.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Disk>>);

/// What becomes of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is durable, and then answered.
    Synced,
    /// It is answered but not durable until a later one is: a disk that lies.
    Unsynced,
    /// It is never answered: the process is dying in the middle of it. Whether it
    /// got to the disk is for the next start to find out.
    Torn {
        /// Whether it did.
        stored: bool,
    },
    /// Nothing of it is stored, and this is the answer. Some errors end the store.
    Fails(StoreError),
    /// It waits, and what comes after it too, until [`MemoryDisk::resume`].
    Held,
}

/// A commit that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Counted from 1 since the disk was made.
    pub number: u64,
    /// The method of [`crate::Store`] that asks for it.
    pub call: &'static str,
}

#[derive(Default)]
struct Disk {
    live: State,
    /// The states before each commit that is not durable yet.
    unsynced: Vec<State>,
    fates: Option<Box<dyn FnMut(Commit) -> Fate + Send>>,
    commits: u64,
    held: VecDeque<Job>,
    /// Commands that will never be answered.
    limbo: Vec<Job>,
    opened: u64,
    open: Option<Open>,
}

/// The store that is open now; there is one at most, as with a file.
struct Open {
    bounds: Bounds,
    told: Told,
}

/// An open store's way to its disk.
#[derive(Clone)]
pub(crate) struct Memory {
    disk: MemoryDisk,
    /// Which opening this is: those before it are processes that are gone.
    number: u64,
    health: watch::Receiver<Health>,
    changes: watch::Receiver<u64>,
}

/// Opens a store on the disk. Whoever had it open is dead from here on.
pub(crate) fn open(disk: &MemoryDisk, bounds: Bounds) -> Memory {
    let told = Told::new();
    let mut inner = disk.lock();
    inner.kill();
    inner.opened += 1;
    inner.live.recover();
    let memory = Memory {
        disk: disk.clone(),
        number: inner.opened,
        health: told.health.subscribe(),
        changes: told.changes(),
    };
    inner.open = Some(Open { bounds, told });
    memory
}

impl MemoryDisk {
    /// An empty one, on which every commit is [`Fate::Synced`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides from here on what becomes of each commit. It is asked again about a
    /// commit that was held. It must not call the disk or a store.
    pub fn set_fates(&self, fates: impl FnMut(Commit) -> Fate + Send + 'static) {
        self.lock().fates = Some(Box::new(fates));
    }

    /// Goes on with what was held.
    pub fn resume(&self) {
        let done = {
            let mut disk = self.lock();
            let waiting = core::mem::take(&mut disk.held);
            waiting
                .into_iter()
                .filter_map(|job| disk.take(job))
                .collect::<Vec<_>>()
        };
        answer(done);
    }

    /// Ends the process that has the store open, as `kill -9` does: what it had
    /// committed stays, synced or not, and what was under way is never answered.
    pub fn kill(&self) {
        self.lock().kill();
    }

    /// Switches the machine off: what was not synced is gone.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Switches the machine off when the first so many of the commits that were
    /// not synced had got to the disk all the same.
    pub fn crash_keeping(&self, commits: usize) {
        let mut disk = self.lock();
        disk.kill();
        let mut unsynced = core::mem::take(&mut disk.unsynced);
        if commits < unsynced.len() {
            disk.live = unsynced.swap_remove(commits);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that is done, to be answered when the disk is not locked any more: an
/// answer that nobody takes comes back as a command.
type Done = (Job, Result<Answer, StoreError>);

fn answer(done: impl IntoIterator<Item = Done>) {
    for (job, result) in done {
        job.answer(result);
    }
}

impl Disk {
    /// Does a job, or keeps it for later or for ever.
    fn take(&mut self, job: Job) -> Option<Done> {
        if !self.held.is_empty() {
            self.held.push_back(job);
            return None;
        }
        let Task::Command(command) = &job.task else {
            return None;
        };
        if job.is_void() {
            return None;
        }
        let open = self.open.as_ref()?;
        if let Err(failed) = open.told.check() {
            return Some((job, Err(failed)));
        }
        let commit = Commit {
            number: self.commits + 1,
            call: name(command),
        };
        let fate = self
            .fates
            .as_mut()
            .map_or(Fate::Synced, |fates| fates(commit));
        if fate == Fate::Held {
            self.held.push_back(job);
            return None;
        }
        self.commits += 1;
        let result = match fate {
            Fate::Synced => {
                self.unsynced.clear();
                self.live.run(&open.bounds, command)
            }
            Fate::Unsynced => {
                self.unsynced.push(self.live.clone());
                self.live.run(&open.bounds, command)
            }
            Fate::Torn { stored } => {
                if stored {
                    self.unsynced.clear();
                    // Nobody will hear what came of it.
                    drop(self.live.run(&open.bounds, command));
                }
                self.limbo.push(job);
                return None;
            }
            Fate::Fails(error) => {
                if error.is_fatal() {
                    open.told.failed(&error);
                }
                return Some((job, Err(error)));
            }
            Fate::Held => return None,
        };
        open.told.committed(1);
        if command.makes_ready() {
            open.told.changed();
        }
        Some((job, result))
    }

    fn kill(&mut self) {
        self.open = None;
        self.held.clear();
        self.limbo.clear();
    }
}

impl Memory {
    pub(crate) async fn write(&self, command: Command) -> Result<Delivery, StoreError> {
        let (job, wait) = Job::new(command, Arc::new(self.clone()) as _);
        self.submit([job]);
        wait.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) fn read(&self, question: &Question) -> Result<Answer, StoreError> {
        let disk = self.disk.lock();
        let told = match &disk.open {
            Some(open) if disk.opened == self.number => &open.told,
            Some(_) | None => return Err(StoreError::Closed),
        };
        let answer = disk.live.ask(question)?;
        if let Answer::Stats(stats) = answer {
            return Ok(Answer::Stats(told.counters.counted(stats)));
        }
        Ok(answer)
    }

    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Ends the store in good order.
    pub(crate) fn close(&self) -> Health {
        let mut disk = self.disk.lock();
        if disk.opened == self.number {
            disk.kill();
        }
        self.health.borrow().clone()
    }

    fn submit(&self, jobs: impl IntoIterator<Item = Job>) {
        let done: Vec<_> = {
            let mut disk = self.disk.lock();
            if disk.opened != self.number {
                return;
            }
            jobs.into_iter().filter_map(|job| disk.take(job)).collect()
        };
        answer(done);
    }
}

impl Orphanage for Memory {
    fn adopt(&self, undo: Vec<Command>) {
        self.submit(undo.into_iter().map(Job::unheard));
    }
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Admit(_) => "admit",
        Command::Claim { .. } => "claim",
        Command::Release(_) => "release",
        Command::NoteSign(..) => "note_sign",
        Command::NoteStep(..) => "note_step",
        Command::Finish(..) => "finish",
        Command::ClearHistory { .. } => "clear_conversation",
        Command::OutboxTake { .. } => "outbox_take",
        Command::OutboxUntake(_) => "outbox_untake",
        Command::OutboxDone { .. } => "outbox_done",
        Command::OutboxRetry { .. } => "outbox_retry",
        Command::OutboxDead { .. } => "outbox_dead",
        Command::Prune { .. } => "prune",
    }
}
