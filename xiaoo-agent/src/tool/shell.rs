//! Commands, in a sandbox.

use core::time::Duration;
use std::path::PathBuf;

use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::{number, parse};
use super::files::{either, workspace};
use super::{Intent, Tool, ToolContext, ToolOutput};
use crate::cut::{head, tail};
use crate::outputs;
use crate::sandbox::{
    Ended, Enforcement, Output, Sandbox, SandboxError, SandboxLimits, SandboxPolicy,
};
use crate::workspace::Workspace;

/// What commands may do. Set by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShellSettings {
    /// How long a command may run; the model may ask for less. Default 60 s. Should be less than
    /// [`TurnLimits::tool_timeout`](crate::TurnLimits), which tells the model nothing of what the
    /// command wrote.
    pub timeout: Duration,
    /// Whether commands may reach the network: other machines, and the services of this one.
    /// Default false.
    pub network: bool,
    /// Memory of all processes of a command together. Default 1 GiB.
    pub memory_bytes_max: u64,
    /// Processes and threads of a command. Default 256.
    pub processes_max: u64,
    /// The longest file that a command may write. Default 256 MiB. What the workspace may hold is
    /// the workspace's own limit.
    pub file_bytes_max: u64,
    /// Further directories and files that commands may read and run, for tools that live outside
    /// of `/usr`. Default none.
    pub readable: Vec<PathBuf>,
    /// Run commands without a sandbox, with all rights of the daemon. Default false.
    pub unsandboxed: bool,
}

impl Default for ShellSettings {
    fn default() -> Self {
        let limits = SandboxLimits::default();
        Self {
            timeout: limits.time_max,
            network: false,
            memory_bytes_max: limits.memory_bytes_max,
            processes_max: limits.processes_max,
            file_bytes_max: limits.file_bytes_max,
            readable: Vec::new(),
            unsandboxed: false,
        }
    }
}

/// `shell`: a command line, run in the workspace.
#[derive(Clone, Debug)]
pub struct Shell {
    sandbox: Sandbox,
    settings: ShellSettings,
    description: String,
}

#[derive(Deserialize)]
struct Arguments {
    command: String,
    #[serde(default)]
    directory: Option<String>,
    #[serde(default, deserialize_with = "number")]
    timeout_secs: Option<usize>,
}

impl Shell {
    /// Commands run in `sandbox`.
    #[must_use]
    pub fn new(sandbox: Sandbox, settings: ShellSettings) -> Self {
        Self {
            description: describe(&settings),
            sandbox,
            settings,
        }
    }

    /// What a command in this workspace may do; see [`Sandbox::check`].
    #[must_use]
    pub fn policy(&self, workspace: &Workspace) -> SandboxPolicy {
        let skills = workspace.read_only().map(PathBuf::from);
        SandboxPolicy {
            root: workspace.root().to_owned(),
            readable: skills.chain(self.settings.readable.clone()).collect(),
            network: self.settings.network,
            enforcement: if self.settings.unsandboxed {
                Enforcement::Waived
            } else {
                Enforcement::Required
            },
            limits: SandboxLimits {
                time_max: self.settings.timeout,
                memory_bytes_max: self.settings.memory_bytes_max,
                processes_max: self.settings.processes_max,
                file_bytes_max: self.settings.file_bytes_max,
                disk_bytes_max: workspace.bytes_max(),
                ..SandboxLimits::default()
            },
        }
    }

    async fn run(&self, arguments: Value, context: &ToolContext) -> Result<ToolOutput, ToolOutput> {
        let arguments: Arguments = parse(arguments)?;
        check(&arguments.command)?;
        let workspace = workspace(context)?;
        let directory = {
            let directory = arguments.directory.unwrap_or_default();
            workspace
                .blocking(move |workspace| {
                    let named = Some(directory.as_str()).filter(|named| !named.is_empty());
                    workspace
                        .directory(named.unwrap_or("."))
                        .map_err(ToolOutput::from)
                })
                .await?
        };
        let mut policy = self.policy(&workspace);
        if let Some(secs) = arguments.timeout_secs {
            let asked = Duration::from_secs(u64::try_from(secs).unwrap_or(u64::MAX).max(1));
            policy.limits.time_max = policy.limits.time_max.min(asked);
        }
        let command = ["/bin/sh", "-c", &arguments.command].map(str::to_owned);
        let ran = self
            .sandbox
            .run(command.to_vec(), &directory, &policy, &context.cancel)
            .await;
        match ran {
            Ok(output) => Ok(self.told(output, &policy, &workspace, context).await),
            Err(SandboxError::Refused(why)) => Err(ToolOutput::error(format!(
                "Error: the command was not run: {why}. Do without commands, and tell the person \
                 that the operator has to look at this."
            ))),
            Err(error) => Err(ToolOutput::error(format!("Error: {error}"))),
        }
    }

    /// How it ended, and what it wrote: all of it, or both ends and where the whole is.
    async fn told(
        &self,
        output: Output,
        policy: &SandboxPolicy,
        workspace: &Workspace,
        context: &ToolContext,
    ) -> ToolOutput {
        let how = ending(&output, policy);
        let is_error = output.ended != Ended::Status(0);
        let whole = whole(&output);
        let body = if whole.len() <= SHOWN_BYTES_MAX {
            whole
        } else {
            let kept = outputs::keep(workspace, &context.call_id, whole.clone());
            let note = match kept.await {
                Ok(path) => format!("the whole is in {path}: use read_file or search"),
                Err(error) => format!("the whole could not be kept: {error}"),
            };
            both_ends(&whole, &note)
        };
        let body = if body.trim().is_empty() {
            "(no output)"
        } else {
            body.trim_end()
        };
        ToolOutput {
            content: format!("{how}\n{body}"),
            is_error,
            attachments: Vec::new(),
        }
    }
}

impl Tool for Shell {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "A command line for sh"},
                "directory": {"type": "string", "description": "Where to run it, relative to the workspace's root; default is the root"},
                "timeout_secs": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": self.settings.timeout.as_secs(),
                    "description": "When to stop it",
                },
            },
            "required": ["command"],
        })
    }

    fn intent(&self, arguments: &Value, context: &ToolContext) -> Intent {
        let text = |name| arguments.get(name).and_then(Value::as_str);
        let root = context.workspace.as_ref().map(Workspace::root);
        let place = root.map(|root| root.join(text("directory").unwrap_or_default()));
        Intent {
            what: text("command").unwrap_or_default().to_owned(),
            place: place
                .map(|place| place.display().to_string())
                .unwrap_or_default(),
        }
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move { either(self.run(arguments, context).await) }.boxed()
    }
}

fn describe(settings: &ShellSettings) -> String {
    let contained = if settings.unsandboxed {
        ""
    } else if settings.network {
        " It can write the workspace only, and $TMPDIR for what is not to be kept. It can reach \
         the internet. Permissions of files can't be changed: run scripts by their interpreter, \
         as in `sh script.sh`."
    } else {
        " It can write the workspace only, and $TMPDIR for what is not to be kept. It has no \
         network. Permissions of files can't be changed: run scripts by their interpreter, as in \
         `sh script.sh`."
    };
    format!(
        "Run a command line with sh, in the workspace.{contained} Nothing can be typed into it, \
         and what it leaves running is stopped when it ends. At most {} seconds.",
        settings.timeout.as_secs()
    )
}

/// What can't be handed over.
fn check(command: &str) -> Result<(), ToolOutput> {
    /// Linux takes 128 KiB in one argument; the order that carries it needs up to six for one.
    const COMMAND_BYTES_MAX: usize = 16 << 10;
    let error = |why: &str| Err(ToolOutput::error(format!("Error: {why}")));
    if command.trim().is_empty() {
        return error("the command is empty.");
    }
    if command.contains('\0') {
        return error("the command holds a zero byte.");
    }
    if command.len() > COMMAND_BYTES_MAX {
        return error(
            "the command is too long. Write a script with write_file and run that instead.",
        );
    }
    Ok(())
}

fn ending(output: &Output, policy: &SandboxPolicy) -> String {
    /// What a shell says of a file that it may not run.
    const NOT_EXECUTABLE: i32 = 126;
    let limits = &policy.limits;
    match output.ended {
        Ended::Status(NOT_EXECUTABLE) => format!(
            "exit status {NOT_EXECUTABLE} (a file is not executable: run it by its interpreter, \
             as in `sh script.sh`)"
        ),
        Ended::Status(status) => format!("exit status {status}"),
        Ended::Signal(signal) => format!("ended by signal {signal}"),
        Ended::TimedOut => format!(
            "stopped: it took longer than {} seconds",
            limits.time_max.as_secs()
        ),
        Ended::TooManyProcesses => format!(
            "stopped: it had more than {} processes and threads",
            limits.processes_max
        ),
        Ended::TooMuchMemory => format!(
            "stopped: it used more than {} MiB of memory",
            limits.memory_bytes_max >> 20
        ),
        Ended::TooMuchDisk => format!(
            "stopped: the workspace may hold {} MiB. Remove what is not needed",
            limits.disk_bytes_max >> 20
        ),
    }
}

/// All that was kept, as text.
fn whole(output: &Output) -> String {
    let mut bytes = output.head.clone();
    if output.bytes_left_out > 0 {
        let note = format!("\n[{} bytes left out]\n", output.bytes_left_out);
        bytes.extend_from_slice(note.as_bytes());
    }
    bytes.extend_from_slice(&output.tail);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A third from the beginning and the rest from the end, where errors are.
fn both_ends(text: &str, note: &str) -> String {
    let (head, tail) = (
        head(text, SHOWN_BYTES_MAX / 3),
        tail(text, SHOWN_BYTES_MAX * 2 / 3),
    );
    let rest = text.len().saturating_sub(head.len() + tail.len());
    format!("{head}\n[{rest} bytes not shown; {note}]\n{tail}")
}

/// Below what the loop cuts at.
const SHOWN_BYTES_MAX: usize = 24 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_shows_both_ends() {
        let text = format!("first{}last", "字".repeat(20_000));
        let shown = both_ends(&text, "kept");
        assert!(shown.starts_with("first") && shown.ends_with("last"));
        assert!(shown.contains("bytes not shown; kept]"), "{shown}");
        assert!(shown.len() < SHOWN_BYTES_MAX + 100);
    }

    #[test]
    fn what_can_not_be_handed_over_is_refused() {
        for command in ["", "  \n", "a\0b", &"x".repeat((16 << 10) + 1)] {
            assert!(check(command).is_err());
        }
        for command in ["true", &"x".repeat(16 << 10)] {
            assert!(check(command).is_ok());
        }
    }
}
