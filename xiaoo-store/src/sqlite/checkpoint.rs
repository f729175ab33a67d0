//! Folding the write-ahead log into the file, off the commit path.
//!
//! A checkpoint syncs twice and is the long tail of SQLite's commits; so it runs
//! on a connection and a thread of its own, when the log has grown or when
//! nothing has been written for a while. Only if it can't keep up does the writer
//! stop for it: the log is bounded.
//!
//! When the disk is full this thread also looks now and then whether it still is.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use rusqlite::Connection;

use crate::desk::Told;

/// Pages in the log at which it is folded in: 4 MiB, what a start after a crash
/// reads in a few milliseconds.
const PAGES_DUE: u32 = 1_000;

/// Pages in the log at which the writer waits for the checkpoint: 64 MiB.
const PAGES_MAX: u32 = 16_000;

/// Quiet after which even a small log is folded in.
const IDLE: Duration = Duration::from_secs(2);

/// Between two looks at a disk that is full.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Room that a disk must have to be full no longer: as much as the log takes until it
/// is folded in.
const ROOM_BYTES: usize = 4 << 20;

/// The checkpointer's thread; see the module.
pub(super) struct Checkpointer {
    db: Connection,
    commits: Receiver<()>,
    pages: Arc<AtomicU32>,
    told: Told,
    /// A file that may be made to see whether there is room.
    room: PathBuf,
}

/// The writer's end.
pub(super) struct Nudge {
    commits: SyncSender<()>,
    pages: Arc<AtomicU32>,
}

impl Checkpointer {
    /// Takes over the checkpoints of `writer`.
    pub(super) fn new(
        db: Connection,
        writer: &mut Connection,
        told: Told,
        room: PathBuf,
    ) -> rusqlite::Result<(Self, Nudge)> {
        let pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&pages);
        // Of a process that was killed in the middle of a look.
        drop(std::fs::remove_file(&room));
        // The pragma also clears the hook, so it comes first.
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        writer.wal_hook(Some(move |_: &mut _, pages: i32| {
            seen.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        // One nudge that waits says as much as many.
        let (tell, commits) = sync_channel(1);
        let nudge = Nudge {
            commits: tell,
            pages: Arc::clone(&pages),
        };
        let checkpointer = Self {
            db,
            commits,
            pages,
            told,
            room,
        };
        Ok((checkpointer, nudge))
    }

    /// Works until the writer is gone.
    pub(super) fn run(self) {
        while self.commits.recv().is_ok() {
            loop {
                if self.pages.load(Ordering::Relaxed) >= PAGES_DUE || self.told.is_full() {
                    break;
                }
                match self.commits.recv_timeout(IDLE) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    // The last connection to close folds the log in.
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            checkpoint(&self.db, "PASSIVE");
            while self.told.is_full() {
                if self.is_closed_within(LOOK_AGAIN) {
                    return;
                }
                // Makes room in the log, if not on the disk.
                checkpoint(&self.db, "PASSIVE");
                if has_room(&self.room).is_ok() {
                    self.told.has_room();
                }
            }
        }
    }

    /// Waits, whatever is tried to be committed meanwhile.
    fn is_closed_within(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.commits.recv_timeout(left) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }
}

impl Nudge {
    /// To be called after each commit.
    pub(super) fn after_commit(&self, writer: &Connection) {
        if self.pages.load(Ordering::Relaxed) >= PAGES_MAX {
            checkpoint(writer, "RESTART");
        }
        // Full means that a nudge waits already; closed, that nobody needs it.
        let _ = self.commits.try_send(());
    }
}

/// Whether a file of that size can be made, on the disk and not in a cache alone.
fn has_room(path: &Path) -> io::Result<()> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(&vec![0; ROOM_BYTES])?;
        file.sync_data()
    });
    std::fs::remove_file(path)?;
    written
}

fn checkpoint(db: &Connection, mode: &str) {
    // Not done is not lost: the log keeps everything, and the next commit tries again.
    if let Err(error) = db.pragma(None, "wal_checkpoint", mode, |_| Ok(())) {
        tracing::warn!(%error, "the store's log could not be folded into its file");
    }
}
