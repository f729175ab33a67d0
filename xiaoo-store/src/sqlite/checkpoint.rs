//! Folding the write-ahead log into the file, off the commit path.
//!
//! A checkpoint syncs twice and is the long tail of SQLite's commits; so it runs
//! on a connection and a thread of its own, when the log has grown or when
//! nothing has been written for a while. Only if it can't keep up does the writer
//! stop for it: the log is bounded.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use rusqlite::Connection;

/// Pages in the log at which it is folded in: 4 MiB, what a start after a crash
/// reads in a few milliseconds.
const PAGES_DUE: u32 = 1_000;

/// Pages in the log at which the writer waits for the checkpoint: 64 MiB.
const PAGES_MAX: u32 = 16_000;

/// Quiet after which even a small log is folded in.
const IDLE: Duration = Duration::from_secs(2);

/// The checkpointer's thread; see the module.
pub(super) struct Checkpointer {
    db: Connection,
    commits: Receiver<()>,
    pages: Arc<AtomicU32>,
}

/// The writer's end.
pub(super) struct Nudge {
    commits: SyncSender<()>,
    pages: Arc<AtomicU32>,
}

impl Checkpointer {
    /// Takes over the checkpoints of `writer`.
    pub(super) fn new(db: Connection, writer: &mut Connection) -> rusqlite::Result<(Self, Nudge)> {
        let pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&pages);
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
        Ok((Self { db, commits, pages }, nudge))
    }

    /// Works until the writer is gone.
    pub(super) fn run(self) {
        while self.commits.recv().is_ok() {
            loop {
                if self.pages.load(Ordering::Relaxed) >= PAGES_DUE {
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

fn checkpoint(db: &Connection, mode: &str) {
    // Not done is not lost: the log keeps everything, and the next commit tries again.
    if let Err(error) = db.pragma(None, "wal_checkpoint", mode, |_| Ok(())) {
        tracing::warn!(%error, "the store's log could not be folded into its file");
    }
}
