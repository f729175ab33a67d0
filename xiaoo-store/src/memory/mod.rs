//! An engine in memory, for tests and simulation: no file, no thread, no clock.
//!
//! What it does not forget is a [`MemoryDisk`], which outlives the stores that are
//! opened on it. The disk can be told what becomes of each commit, and can be
//! switched off: then it holds what was synced and nothing else.

mod deed;
mod notes;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::call::{Delivery, Job, Orphanage, Task};
use crate::command::{Answer, Bounds, Command, Question};
use crate::desk::Told;
use crate::error::StoreError;
use crate::types::Health;

pub use deed::Deed;
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
    witness: Option<deed::Witness>,
    commits: u64,
    held: VecDeque<(u64, Job)>,
    /// Commands that will never be answered.
    limbo: Vec<(u64, Job)>,
    opened: u64,
    /// By their number: one at most as with a file, several as with a server.
    open: BTreeMap<u64, Open>,
}

/// A store that is open now.
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

/// Opens a store on the disk. Whoever had it open is dead from here on, unless it
/// is opened beside them.
pub(crate) fn open(disk: &MemoryDisk, bounds: Bounds, beside: bool) -> Memory {
    let told = Told::new();
    let mut inner = disk.lock();
    inner.opened += 1;
    if !beside {
        inner.kill();
        inner.live.recover(|_| true);
    }
    let memory = Memory {
        disk: disk.clone(),
        number: inner.opened,
        health: told.health.subscribe(),
        changes: told.changes(),
    };
    let number = inner.opened;
    inner.open.insert(number, Open { bounds, told });
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

    /// Tells `witness` from here on of everything that is done, in order. It must not
    /// call the disk or a store.
    pub fn set_witness(&self, witness: impl FnMut(Deed<'_>) + Send + 'static) {
        self.lock().witness = Some(Box::new(witness));
    }

    /// Lets the leases of those run out that are gone, as a server does after a while.
    pub fn lapse_of_the_dead(&self) {
        let mut disk = self.lock();
        let Disk { live, open, .. } = &mut *disk;
        live.recover(|owner| !open.contains_key(&owner));
        open.values().for_each(|open| open.told.changed());
    }

    /// Lets every lease run out, of those too that are alive and do not know it.
    pub fn lapse(&self) {
        let mut disk = self.lock();
        disk.live.recover(|_| true);
        disk.open.values().for_each(|open| open.told.changed());
    }

    /// How many commands wait for a commit that is held.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().held.len()
    }

    /// Goes on with what was held.
    pub fn resume(&self) {
        let done = {
            let mut disk = self.lock();
            let waiting = core::mem::take(&mut disk.held);
            waiting
                .into_iter()
                .filter_map(|(owner, job)| disk.take(owner, job))
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
    fn take(&mut self, owner: u64, job: Job) -> Option<Done> {
        if !self.held.is_empty() {
            self.held.push_back((owner, job));
            return None;
        }
        let Task::Command(command) = &job.task else {
            return None;
        };
        if job.is_void() {
            return None;
        }
        let open = self.open.get(&owner)?;
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
            self.held.push_back((owner, job));
            return None;
        }
        self.commits += 1;
        let result = match fate {
            Fate::Synced => {
                self.unsynced.clear();
                self.live.run(owner, &open.bounds, command)
            }
            Fate::Unsynced => {
                self.unsynced.push(self.live.clone());
                self.live.run(owner, &open.bounds, command)
            }
            Fate::Torn { stored } => {
                if stored {
                    self.unsynced.clear();
                    // Nobody but the witness will hear what came of it.
                    if let Ok(answer) = self.live.run(owner, &open.bounds, command) {
                        deed::tell(self.witness.as_mut(), command, &answer);
                    }
                }
                self.limbo.push((owner, job));
                return None;
            }
            Fate::Fails(error) => {
                if error.is_fatal() {
                    open.told.failed(&error);
                } else if let StoreError::Full { .. } = &error {
                    open.told.full(&error);
                }
                return Some((job, Err(error)));
            }
            Fate::Held => return None,
        };
        open.told.has_room();
        // It has no disk to wait for.
        open.told.committed(1, core::time::Duration::ZERO);
        if command.is_news(&result) {
            for open in self.open.values() {
                open.told.changed();
            }
        }
        if let Ok(answer) = &result {
            deed::tell(self.witness.as_mut(), command, answer);
        }
        Some((job, result))
    }

    fn kill(&mut self) {
        self.open.clear();
        self.held.clear();
        self.limbo.clear();
    }

    fn kill_one(&mut self, owner: u64) {
        self.open.remove(&owner);
        self.held.retain(|(other, _)| *other != owner);
        self.limbo.retain(|(other, _)| *other != owner);
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
        let Some(Open { told, .. }) = disk.open.get(&self.number) else {
            return Err(StoreError::Closed);
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

    /// Ends the store in good order: what it had under way is anybody's.
    pub(crate) fn close(&self) -> Health {
        let mut disk = self.disk.lock();
        disk.kill_one(self.number);
        disk.live.recover(|owner| owner == self.number);
        self.health.borrow().clone()
    }

    /// Ends the store as a kill does.
    pub(crate) fn abandon(&self) {
        self.disk.lock().kill_one(self.number);
    }

    fn submit(&self, jobs: impl IntoIterator<Item = Job>) {
        let done: Vec<_> = {
            let mut disk = self.disk.lock();
            if !disk.open.contains_key(&self.number) {
                return;
            }
            jobs.into_iter()
                .filter_map(|job| disk.take(self.number, job))
                .collect()
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
        Command::PutNote(_) => "put_note",
        Command::DeleteNote { .. } => "delete_note",
        Command::Prune { .. } => "prune",
    }
}
