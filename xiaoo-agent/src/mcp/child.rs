//! A server that is a program: its start, its pipes, and its end with all that it started.

use core::time::Duration;
use std::io;
use std::process::Stdio;
use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret as _;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::MESSAGE_BYTES_MAX;
use super::settings::McpCommand;

/// Variables of our environment that every server gets.
const ENV_PASSED: [&str; 3] = ["HOME", "LANG", "PATH"];
/// How long a server may take to end after its input has, and once more after it was asked to.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Longest line of a server's complaints that is logged; what is longer comes in parts.
const LINE_BYTES_MAX: usize = 1 << 10;

/// The pipes to a running server. The server ends with it.
pub(super) struct ChildTransport {
    pipes: AsyncRwTransport<RoleClient, ChildStdout, ChildStdin>,
    group: Group,
}

impl ChildTransport {
    /// Starts the program.
    pub(super) fn start(name: &Arc<str>, settings: &McpCommand) -> io::Result<Self> {
        let mut command = Command::new(&settings.program);
        command
            .args(&settings.args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let passed = settings.pass_env.iter().map(String::as_str);
        for variable in ENV_PASSED.into_iter().chain(passed) {
            if let Some(value) = std::env::var_os(variable) {
                command.env(variable, value);
            }
        }
        for (variable, value) in &settings.env {
            command.env(variable, value.expose_secret());
        }
        if let Some(directory) = &settings.directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log(Arc::clone(name), stderr));
        }
        let group = Group::new(child);
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            pipes: AsyncRwTransport::new(stdout, stdin).with_max_line_length(MESSAGE_BYTES_MAX),
            group,
        })
    }
}

impl Transport<RoleClient> for ChildTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.pipes.send(item)
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleClient>>> + Send {
        self.pipes.receive()
    }

    /// As the protocol says: the end of its input, a request to end, and then no more questions.
    async fn close(&mut self) -> Result<(), Self::Error> {
        self.pipes.close().await?;
        if timeout(END_WITHIN, self.group.child.wait()).await.is_err() {
            self.group.signal(Signal::TERM);
            let _ = timeout(END_WITHIN, self.group.child.wait()).await;
        }
        self.group.end();
        Ok(())
    }
}

/// A process that leads a group, and whatever it started in that.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn new(child: Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            child,
            leader: id.and_then(Pid::from_raw),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // An error says that nobody is left.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Once: later the number may be another's.
    fn end(&mut self) {
        self.signal(Signal::KILL);
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The runtime reaps the leader itself.
        self.end();
    }
}

/// Logs what a server complains about. Its pipe is emptied until it ends: a full one would stop
/// the server.
async fn log(server: Arc<str>, mut stderr: ChildStderr) {
    let mut buffer = [0; LINE_BYTES_MAX];
    let mut line = Vec::new();
    loop {
        let read = match stderr.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => buffer.iter().take(read),
        };
        for byte in read {
            if *byte == b'\n' || line.len() >= LINE_BYTES_MAX {
                log_line(&server, &mut line);
            }
            if *byte != b'\n' {
                line.push(*byte);
            }
        }
    }
    log_line(&server, &mut line);
}

fn log_line(server: &str, line: &mut Vec<u8>) {
    if !line.is_empty() {
        let text = String::from_utf8_lossy(line);
        tracing::debug!(
            server,
            line = text.trim_end(),
            "an MCP server wrote to its stderr"
        );
    }
    line.clear();
}
