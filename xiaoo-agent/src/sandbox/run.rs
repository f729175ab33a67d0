//! The daemon's side.

use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::order::{End, Excess, Order, Report};
use super::{COMMAND, SandboxPolicy, warden};

/// Starts commands in sandboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    program: PathBuf,
}

/// What a command wrote, standard output and errors as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// The beginning.
    pub head: Vec<u8>,
    /// The end, as far as it is not in the beginning.
    pub tail: Vec<u8>,
    /// How much is missing between the two.
    pub bytes_left_out: u64,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It took too long.
    TimedOut,
    /// It had too many processes.
    TooManyProcesses,
    /// It used too much memory.
    TooMuchMemory,
    /// It wrote too much to the disk.
    TooMuchDisk,
}

/// A command that was not run, or whose end is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// This machine can't keep it to the policy, so it was not run.
    #[error("the command was not run, because this machine can't contain it: {0}")]
    Refused(String),
    /// The turn was given up; nothing of the command is left.
    #[error("the command was cancelled")]
    Cancelled,
    /// The helper could not be started.
    #[error("the sandbox can't be started: {0}")]
    Start(#[source] io::Error),
    /// The helper ended without a word.
    #[error("the sandbox broke")]
    Broken,
}

impl Sandbox {
    /// `program` is one that begins with [`super::entered`].
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
        }
    }

    /// With this program, even when its file was replaced since it started.
    #[must_use]
    pub fn of_this_program() -> Self {
        Self::new(warden::THIS_PROGRAM)
    }

    /// Whether this machine can keep a command to a policy.
    ///
    /// # Errors
    /// When it can't: why.
    pub async fn check(&self, policy: &SandboxPolicy) -> Result<(), SandboxError> {
        let command = vec!["/bin/true".to_owned()];
        self.run(command, &policy.root, policy, &CancellationToken::new())
            .await
            .map(|_| ())
    }

    /// Runs a command: a program and its arguments. When the future is dropped, or `cancel`
    /// fires, it and all that descends from it is killed.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn run(
        &self,
        command: Vec<String>,
        directory: &Path,
        policy: &SandboxPolicy,
        cancel: &CancellationToken,
    ) -> Result<Output, SandboxError> {
        let order = Order {
            command,
            directory: directory.to_owned(),
            policy: policy.clone(),
        };
        let (output, writer) = io::pipe().map_err(SandboxError::Start)?;
        let mut warden = self.start(&order, writer)?;
        let output = pipe::Receiver::from_owned_fd(output.into()).map_err(SandboxError::Start)?;
        // While this end is open, somebody waits for the command.
        let leash = warden.stdin.take();
        let mut captured = Captured::default();
        let done = {
            let both = async {
                let (report, ()) = tokio::join!(report(&mut warden), captured.drain(output));
                report
            };
            // The warden watches the clock, too; this is for the case that it can't.
            let patience = policy.limits.time_max.saturating_add(KILL_PATIENCE);
            tokio::select! {
                done = timeout(patience, both) => Some(done),
                () = cancel.cancelled() => None,
            }
        };
        drop(leash);
        let report = match done {
            Some(Ok(report)) => report,
            Some(Err(_)) => Some(Report::Killed(Excess::Time)),
            None => Some(Report::Killed(Excess::Leash)),
        };
        // Whoever cancels is told when it is over, or soon after.
        let _ = timeout(KILL_PATIENCE, warden.wait()).await;
        let ended = match report {
            None => return Err(SandboxError::Broken),
            Some(Report::Refused(why)) => return Err(SandboxError::Refused(why)),
            Some(Report::Killed(Excess::Leash)) => return Err(SandboxError::Cancelled),
            Some(Report::Ended(End::Status(status))) => Ended::Status(status),
            Some(Report::Ended(End::Signal(signal))) => Ended::Signal(signal),
            Some(Report::Killed(Excess::Time)) => Ended::TimedOut,
            Some(Report::Killed(Excess::Processes)) => Ended::TooManyProcesses,
            Some(Report::Killed(Excess::Memory)) => Ended::TooMuchMemory,
            Some(Report::Killed(Excess::Disk)) => Ended::TooMuchDisk,
        };
        Ok(Output {
            ended,
            head: captured.head,
            tail: captured.tail.into(),
            bytes_left_out: captured.left_out,
        })
    }

    fn start(&self, order: &Order, output: io::PipeWriter) -> Result<Child, SandboxError> {
        let order = serde_json::to_string(order).map_err(|error| {
            SandboxError::Start(io::Error::new(io::ErrorKind::InvalidInput, error))
        })?;
        self.helper(warden::PART, &order)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(output)
            .spawn()
            .map_err(SandboxError::Start)
    }

    /// The program in one of its other parts, without anything of the environment.
    pub(super) fn helper(&self, part: &str, order: &str) -> Command {
        let mut helper = Command::new(&self.program);
        helper.args([COMMAND, part, order]).env_clear();
        helper
    }
}

/// What the warden says in the end.
async fn report(warden: &mut Child) -> Option<Report> {
    let mut json = Vec::new();
    let said = warden.stdout.take()?.take(REPORT_BYTES_MAX);
    let mut said = std::pin::pin!(said);
    said.read_to_end(&mut json).await.ok()?;
    serde_json::from_slice(&json).ok()
}

/// The beginning and the end of what was written.
#[derive(Debug, Default)]
struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Captured {
    /// Reads until nobody can write any more. What is not kept is read all the same: the command
    /// would wait otherwise.
    async fn drain(&mut self, mut output: pipe::Receiver) {
        let mut buffer = vec![0; READ_BYTES];
        // An error is an end, too.
        while let Ok(read @ 1..) = output.read(&mut buffer).await {
            self.take(buffer.get(..read).unwrap_or_default());
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = PART_BYTES_MAX.saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(PART_BYTES_MAX);
        self.tail.drain(..excess);
        let excess = u64::try_from(excess).unwrap_or(u64::MAX);
        self.left_out = self.left_out.saturating_add(excess);
    }
}

/// How much is kept of the beginning, and of the end: some ten thousand lines each.
const PART_BYTES_MAX: usize = 512 << 10;

/// What a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// A report is a line.
const REPORT_BYTES_MAX: u64 = 64 << 10;

/// How long the end of a command may take beyond its time.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        for piece in [1000, 4096, READ_BYTES] {
            let mut captured = Captured::default();
            let total = 3 * PART_BYTES_MAX;
            let all: Vec<u8> = (0..total).map(|at| (at % 251) as u8).collect();
            for piece in all.chunks(piece) {
                captured.take(piece);
            }
            assert_eq!(captured.head, all[..PART_BYTES_MAX]);
            assert_eq!(captured.tail, &all[2 * PART_BYTES_MAX..]);
            assert_eq!(captured.left_out, PART_BYTES_MAX as u64);
        }
        let mut short = Captured::default();
        short.take(b"hello");
        assert_eq!(
            (short.head.as_slice(), short.tail.len(), short.left_out),
            (&b"hello"[..], 0, 0)
        );
    }
}
