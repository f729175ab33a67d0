//! Under systemd: it is told when the daemon can do its work, what is in the way, and, for as long
//! as the loops turn, that they do.
//!
//! Its protocol is one datagram of lines to the socket that `NOTIFY_SOCKET` names (sd_notify(3)).
//! Without that variable nothing here does anything.

mod socket;
pub mod unit;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::config::Env;
use crate::routes::ready::Readiness;
use socket::Socket;
pub use watch::{Pulse, Watch};

/// How long `systemctl start` waits for Feishu. After that the daemon counts as started: it goes
/// on trying, its status says what is in the way, and starting it again would help nobody.
const READY_PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked at whether the daemon can do its work: while somebody waits for it, and
/// afterwards.
const LOOK_WHILE_STARTING: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_secs(5);
/// Looks of the watchdog in its time. More of them find a loop that is only slow alive again
/// before time is up.
const LOOKS_IN_TIME: u32 = 4;
/// Beats of a heart between two of those looks.
const BEATS_IN_LOOK: u32 = 2;
/// What stopping takes beside the grace of running turns: goodbyes, last sends, closing the store.
const STOPPING: Duration = Duration::from_secs(40);

/// Systemd, if it is there.
#[derive(Clone, Debug, Default)]
pub struct Systemd {
    socket: Option<Arc<Socket>>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As this process' environment has it.
    #[must_use]
    pub fn from_env(env: &dyn Env) -> Self {
        let socket = env
            .var("NOTIFY_SOCKET")
            .and_then(|name| match Socket::open(&name) {
                Ok(socket) => Some(Arc::new(socket)),
                Err(why) => {
                    error!("systemd cannot be told anything: NOTIFY_SOCKET: {why}");
                    None
                }
            });
        let watchdog = socket.is_some().then(|| watchdog(env)).flatten();
        Self { socket, watchdog }
    }

    /// How often a heart should beat, if anybody listens.
    #[must_use]
    pub fn beat_every(&self) -> Option<Duration> {
        Some(self.watchdog? / (LOOKS_IN_TIME * BEATS_IN_LOOK))
    }

    /// What the daemon does now, for `systemctl status`.
    pub fn status(&self, doing: &str) {
        self.tell(&format!("STATUS={}", one_line(doing)));
    }

    /// The daemon stops, and turns that run have so long.
    pub fn stopping(&self, grace: Duration) {
        let micros = grace.saturating_add(STOPPING).as_micros();
        self.tell(&format!(
            "STOPPING=1\nSTATUS=stopping: running turns may end\nEXTEND_TIMEOUT_USEC={micros}"
        ));
    }

    /// Tells it how the daemon is, until `stop`.
    pub async fn supervise(self, readiness: Readiness, watch: Watch, stop: CancellationToken) {
        if self.socket.is_some() {
            let told = async { tokio::join!(self.tell_state(&readiness), self.feed(watch)) };
            stop.run_until_cancelled(told).await;
        }
    }

    async fn tell_state(&self, readiness: &Readiness) {
        let patience = Instant::now() + READY_PATIENCE;
        let (mut is_started, mut told) = (false, None);
        loop {
            let obstacles = readiness.obstacles();
            let starts = !is_started && (obstacles.is_empty() || patience <= Instant::now());
            let status = if obstacles.is_empty() {
                "Feishu delivers".to_owned()
            } else {
                one_line(&format!("not ready: {}", obstacles.join("; ")))
            };
            let changed = told.as_ref() != Some(&status);
            // What could not be told is told at the next look: a start that systemd does not hear
            // of has failed to it.
            let is_told = if starts {
                self.tell(&format!("READY=1\nSTATUS={status}"))
            } else if changed {
                self.tell(&format!("STATUS={status}"))
            } else {
                true
            };
            if is_told {
                is_started |= starts;
                told = Some(status);
            }
            tokio::time::sleep(if is_started {
                LOOK
            } else {
                LOOK_WHILE_STARTING
            })
            .await;
        }
    }

    /// Feeds the watchdog for as long as all that must turn does.
    async fn feed(&self, mut watch: Watch) {
        let Some(time) = self.watchdog else {
            return;
        };
        let (mut fed, mut is_told) = (Instant::now(), false);
        loop {
            tokio::time::sleep(time / LOOKS_IN_TIME).await;
            let silent = watch.look();
            if silent.is_empty() {
                self.tell("WATCHDOG=1");
                (fed, is_told) = (Instant::now(), false);
            } else if !is_told && fed.elapsed() >= time / 2 {
                is_told = true;
                let silent = silent.join(", ");
                error!(
                    "stands still: {silent}; systemd will start the daemon again if that does not change"
                );
                self.status(&format!("stands still: {silent}"));
            }
        }
    }

    /// Whether it was told. If it does not listen it acts as if it had heard nothing.
    fn tell(&self, lines: &str) -> bool {
        let socket = self.socket.as_ref();
        socket.is_some_and(|socket| socket.send(lines).is_ok())
    }
}

/// The time after which systemd gives up on this process, if it was asked to.
fn watchdog(env: &dyn Env) -> Option<Duration> {
    let is_for_us = env
        .var("WATCHDOG_PID")
        .is_none_or(|pid| pid.trim().parse() == Ok(std::process::id()));
    let micros = env.var("WATCHDOG_USEC")?.trim().parse().ok()?;
    (is_for_us && micros > 0).then(|| Duration::from_micros(micros))
}

/// A value ends with its line.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_this_process_own_or_none() {
        let own = std::process::id().to_string();
        for (usec, pid, expected) in [
            (None, None, None),
            (Some("60000000"), None, Some(Duration::from_secs(60))),
            (
                Some("60000000"),
                Some(own.as_str()),
                Some(Duration::from_secs(60)),
            ),
            (Some("60000000"), Some("1"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
        ] {
            let env = |name: &str| {
                let value = match name {
                    "WATCHDOG_USEC" => usec,
                    "WATCHDOG_PID" => pid,
                    _ => None,
                };
                value.map(str::to_owned)
            };
            assert_eq!(watchdog(&env), expected, "{usec:?} {pid:?}");
        }
    }

    #[test]
    fn a_status_is_one_line_whatever_it_says() {
        assert_eq!(one_line("a\nREADY=1\r\nb"), "a READY=1  b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_systemd_was_too_busy_to_hear_of_is_told_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let heard = || {
            let mut buffer = [0; 64];
            let bytes = listener.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..bytes]).into_owned())
        };
        let path = path.to_str().unwrap().to_owned();
        let systemd =
            Systemd::from_env(&|name: &str| (name == "NOTIFY_SOCKET").then(|| path.clone()));
        while systemd.tell("STATUS=of somebody else") {}
        let readiness = Readiness {
            channels: Arc::default(),
            stopping: Arc::default(),
        };
        let stop = CancellationToken::new();
        let supervised = systemd.supervise(readiness, Watch::default(), stop.clone());
        let supervised = tokio::spawn(supervised);
        tokio::time::sleep(LOOK_WHILE_STARTING / 2).await;
        while let Some(other) = heard() {
            assert_eq!(other, "STATUS=of somebody else");
        }
        tokio::time::sleep(LOOK_WHILE_STARTING).await;
        assert_eq!(heard().unwrap(), "READY=1\nSTATUS=Feishu delivers");
        stop.cancel();
        supervised.await.unwrap();
    }

    #[test]
    fn without_systemd_nobody_is_told_and_no_heart_need_beat() {
        let nothing = Systemd::from_env(&|_: &str| None);
        assert_eq!(nothing.beat_every(), None);
        nothing.status("works");
        nothing.stopping(Duration::MAX);
    }
}
