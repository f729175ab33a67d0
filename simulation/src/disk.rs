//! The disk's moods.

use xiaoo_store::{Commit, Fate, MemoryDisk, StoreError};

use crate::ledger;
use crate::world::World;

/// How the disk is.
#[derive(Default)]
pub struct DiskState {
    /// A commit is held until somebody lets it go.
    is_held: bool,
    /// When it last was anything but well, Unix milliseconds.
    pub unwell_ms: i64,
    /// The disk itself. Never called while the world is locked.
    pub memory: Option<MemoryDisk>,
}

/// A disk of this world.
pub fn disk(world: &World) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let told = world.clone();
    disk.set_witness(move |deed| ledger::witness(&told, deed));
    let (fated, again) = (world.clone(), disk.clone());
    disk.set_fates(move |commit| fate(&fated, &again, commit));
    world.lock().disk.memory = Some(disk.clone());
    disk
}

fn fate(world: &World, disk: &MemoryDisk, commit: Commit) -> Fate {
    let faults = &world.plan().faults;
    {
        let mut state = world.lock();
        if std::mem::take(&mut state.disk.is_held) {
            state.disk.unwell_ms = state.now_ms();
            return Fate::Synced;
        }
    }
    let unwell = || {
        let mut state = world.lock();
        state.disk.unwell_ms = state.now_ms();
    };
    if world.strikes(faults.disk_slow, "slow disk") {
        unwell();
        let pause = world.millis(5..4_000);
        world.step(format_args!("disk: {} waits {pause:?}", commit.call));
        world.lock().disk.is_held = true;
        let (world, disk) = (world.clone(), disk.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            world.step(format_args!("disk: goes on"));
            disk.resume();
        });
        return Fate::Held;
    }
    if world.strikes(faults.disk_fails, "failing disk") {
        unwell();
        world.step(format_args!("disk: {} fails", commit.call));
        let detail = "the disk is full".to_owned();
        return Fate::Fails(StoreError::Full { detail });
    }
    if world.strikes(faults.disk_torn, "torn commit") {
        unwell();
        let stored = world.lock().rng.bool();
        world.step(format_args!("disk: {} torn, stored: {stored}", commit.call));
        // Everything dies that has the file open; with a server it is the one that asked.
        let world = world.clone();
        tokio::spawn(async move {
            let pids: Vec<u32> = world.lock().processes.keys().copied().collect();
            for pid in pids {
                world.kill(pid, "killed in a commit");
            }
        });
        return Fate::Torn { stored };
    }
    if world.strikes(faults.disk_broken, "broken disk") {
        unwell();
        world.step(format_args!("disk: {} breaks it", commit.call));
        let detail = "input/output error".to_owned();
        return Fate::Fails(StoreError::Io { detail });
    }
    Fate::Synced
}

/// How long after it was unwell the disk does not count as well yet.
pub const CONVALESCENCE_MS: i64 = 5_000;
