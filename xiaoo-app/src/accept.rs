//! The HTTP server's listener, with a heart: it beats while nobody waits at the door and with
//! everybody who is let in.
//!
//! A server that lets nobody in is silent: one whose connections are all taken and none ends, one
//! that may open no more files, one that hangs. Systemd then starts the daemon again.

use core::pin::pin;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use runtime_tokio::server::Accept;
use tokio::net::TcpStream;

use crate::fail_point::{self, Loop};
use crate::pipeline::heart::Heart;

/// A listener that is watched.
#[derive(Debug)]
pub(crate) struct Watched<L> {
    listener: L,
    heart: Arc<Heart>,
}

impl<L: Accept> Watched<L> {
    /// With the heart that beats for it.
    pub(crate) fn new(listener: L, heart: Arc<Heart>) -> Self {
        Self { listener, heart }
    }
}

impl<L: Accept> Accept for Watched<L> {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        fail_point::stand_still(Loop::Http).await;
        let mut next = pin!(self.listener.accept());
        let accepted = match next.as_mut().now_or_never() {
            Some(accepted) => accepted,
            // Whoever fails does so at once: this one is well, for as long as nobody comes.
            None => self.heart.wait(next).await,
        };
        if accepted.is_ok() {
            self.heart.beat();
        }
        accepted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    /// Lets nobody in: one that waits for ever, or fails.
    struct Nobody {
        fails: bool,
    }

    impl Accept for Nobody {
        async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
            if self.fails {
                return Err(io::Error::other("too many open files"));
            }
            core::future::pending().await
        }
    }

    fn watched<L: Accept>(listener: L) -> (Watched<L>, Arc<Heart>) {
        let heart = Arc::new(Heart::default());
        heart.beat_every(EVERY);
        (Watched::new(listener, Arc::clone(&heart)), heart)
    }

    #[tokio::test(start_paused = true)]
    async fn a_door_at_which_nobody_waits_is_well() {
        let (door, heart) = watched(Nobody { fails: false });
        let minute = Duration::from_secs(60) - EVERY / 2;
        assert!(tokio::time::timeout(minute, door.accept()).await.is_err());
        assert_eq!(heart.beats(), 12);
    }

    #[tokio::test]
    async fn a_door_that_lets_nobody_in_is_silent() {
        let (door, heart) = watched(Nobody { fails: true });
        for _ in 0..100 {
            assert!(door.accept().await.is_err());
        }
        assert_eq!(heart.beats(), 0);
    }

    #[tokio::test]
    async fn everybody_who_is_let_in_is_a_sign_of_life() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (door, heart) = watched(listener);
        for _ in 0..3 {
            let before = heart.beats();
            let (came, let_in) = tokio::join!(TcpStream::connect(address), door.accept());
            assert!(came.is_ok() && let_in.is_ok());
            assert!(heart.beats() > before);
        }
    }
}
