//! What the integration tests share: a log that can be read back, and waits
//! that end.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;

/// A wait that lasts longer has failed. Far above anything these tests need,
/// so that a busy machine does not fail them.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Ends a test that would wait for ever, naming what it waited for.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("never happened: {what}"),
    }
}

/// Waits until `condition` holds, which other tasks bring about.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let look = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(what, look).await;
}

/// Everything logged on this thread while the guard lives, at every level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts to listen. A `#[tokio::test]` runs all its tasks on its own
    /// thread, so tests don't read each other's lines.
    ///
    /// Every test of a binary starts with it: a line that is first come by where
    /// nobody listens may never be offered to anybody (tracing keeps for each line
    /// whether it is wanted).
    pub(crate) fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
