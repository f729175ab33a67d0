//! Work that waits for the disk, away from the threads that serve sockets.

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// The runtime is ending, and takes no more work.
#[derive(Debug)]
pub(crate) struct Ending;

/// Does the work on a thread that may wait; only so many do at a time. Work that was begun goes
/// on to its end when the future is dropped.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Ending> {
    let permit = SLOTS.acquire().await.map_err(|_| Ending)?;
    let worker = spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    match worker.await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Ending),
        },
    }
}

/// Tokio lends up to 512 threads to those who wait; a disk is not faster for more than a few.
static SLOTS: Semaphore = Semaphore::const_new(SLOTS_MAX);
const SLOTS_MAX: usize = 8;
