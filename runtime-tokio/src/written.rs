//! Says when an answer has left: what is true only then is told then. One that its client does
//! not take ends the connection.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Who wants to hear of it.
pub(crate) trait Told: Send + Sync {
    /// It has left, so long after its request was received.
    fn told(&self, after: Duration);
}

/// Who is to hear when the response that carries it has been given to the system.
#[derive(Clone)]
pub(crate) struct WhenWritten {
    pub(crate) who: Arc<dyn Told>,
    /// When the request was received.
    pub(crate) received: Instant,
}

/// What waits for the next flush of one connection. A cheap handle: clone it.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<Acts>);

#[derive(Default)]
struct Acts {
    any: AtomicBool,
    acts: Mutex<Vec<WhenWritten>>,
}

impl Waiting {
    /// Does it with the next flush: the response goes out before that.
    pub(crate) fn add(&self, act: WhenWritten) {
        let mut acts = self.0.acts.lock().unwrap_or_else(PoisonError::into_inner);
        acts.push(act);
        self.0.any.store(true, Ordering::Release);
    }

    fn act(&self) {
        if !self.0.any.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut acts = self.0.acts.lock().unwrap_or_else(PoisonError::into_inner);
        for WhenWritten { who, received } in acts.drain(..) {
            who.told(received.elapsed());
        }
    }
}

/// A connection that acts when what was written to it has been flushed, and fails when nothing of
/// it is taken for too long.
pub(crate) struct Flushed<S> {
    stream: S,
    waiting: Waiting,
    patience: Duration,
    /// Until when something must be taken, while nothing is.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Flushed<S> {
    pub(crate) fn new(stream: S, waiting: Waiting, patience: Duration) -> Self {
        Self {
            stream,
            waiting,
            patience,
            stuck: None,
        }
    }

    /// What a write has come to, once its time is over at the latest.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let patience = self.patience;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Flushed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, out)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flushed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        let flushed = ready!(self.in_time(cx, flushed));
        if flushed.is_ok() {
            self.waiting.act();
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[derive(Default)]
    struct Once(AtomicBool);

    impl Told for Once {
        fn told(&self, _: Duration) {
            assert!(!self.0.swap(true, Ordering::Relaxed), "told twice");
        }
    }

    #[tokio::test]
    async fn it_is_done_once_and_not_before_everything_has_left() {
        const ANSWER: [u8; 32] = [7; 32];
        let (ours, mut theirs) = duplex(ANSWER.len() / 2);
        let waiting = Waiting::default();
        let mut connection = Flushed::new(BufWriter::new(ours), waiting.clone(), PATIENCE);
        let told = Arc::new(Once::default());
        waiting.add(WhenWritten {
            who: told.clone(),
            received: Instant::now(),
        });
        connection.write_all(&ANSWER).await.unwrap();
        let mut flushed = Box::pin(connection.flush());
        assert!(futures_util::poll!(&mut flushed).is_pending());
        assert!(!told.0.load(Ordering::Relaxed));
        let mut read = [0; ANSWER.len()];
        let (left, came) = tokio::join!(flushed, theirs.read_exact(&mut read));
        left.unwrap();
        came.unwrap();
        assert!(told.0.load(Ordering::Relaxed));
        connection.flush().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_for_too_long_is_left_and_whoever_takes_little_is_not() {
        let (ours, mut theirs) = duplex(1);
        let mut connection = Flushed::new(ours, Waiting::default(), PATIENCE);
        let slow = async {
            for _ in 0..4 {
                sleep(PATIENCE - Duration::from_millis(1)).await;
                theirs.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(connection.write_all(&[7; 5]), slow);
        written.unwrap();
        let began = Instant::now();
        let stuck = connection.write_all(&[7]).await.unwrap_err();
        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
