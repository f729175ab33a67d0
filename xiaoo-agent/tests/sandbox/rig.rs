//! A workspace with a sandbox, and a world outside of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use xiaoo_agent::sandbox::{
    Ended, Enforcement, Sandbox, SandboxError, SandboxLimits, SandboxPolicy,
};

/// Who runs the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The user of the tests.
    Me,
    /// Somebody without rights; only root can become that.
    Nobody,
}

impl Who {
    pub(crate) fn all() -> Vec<Self> {
        if rustix::process::getuid().is_root() {
            vec![Self::Me, Self::Nobody]
        } else {
            vec![Self::Me]
        }
    }
}

/// Who that is, for what has no rights of its own.
const NOBODY: u32 = 65534;

pub(crate) struct Rig {
    /// Beside the workspace: what must stay as it is.
    pub(crate) outside: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) helper: PathBuf,
    pub(crate) who: Who,
    pub(crate) sandbox: Sandbox,
    pub(crate) policy: SandboxPolicy,
    _all: TempDir,
}

impl Rig {
    pub(crate) fn new(who: Who) -> Self {
        let all = TempDir::new().unwrap();
        fs::set_permissions(all.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let base = all.path().canonicalize().unwrap();
        let (root, outside, bin) = (base.join("root"), base.join("outside"), base.join("bin"));
        for directory in [&root, &outside, &bin] {
            fs::create_dir(directory).unwrap();
        }
        let helper = bin.join("helper");
        install(Path::new(env!("CARGO_BIN_EXE_sandbox-helper")), &helper);
        fs::write(outside.join("secret"), "planted-secret").unwrap();
        let program = match who {
            Who::Me => helper.clone(),
            Who::Nobody => {
                for owned in [&root, &outside, &outside.join("secret")] {
                    chown(owned, Some(NOBODY), Some(NOBODY)).unwrap();
                }
                let line = format!(
                    "exec {} {} \"$@\"",
                    become_nobody().join(" "),
                    helper.display()
                );
                script(&bin.join("as-nobody"), &line)
            }
        };
        let mut limits = SandboxLimits::default();
        limits.time_max = Duration::from_secs(30);
        Self {
            policy: SandboxPolicy {
                root: root.clone(),
                readable: vec![helper.clone()],
                network: false,
                enforcement: Enforcement::Required,
                limits,
            },
            sandbox: Sandbox::new(program),
            outside,
            root,
            helper,
            who,
            _all: all,
        }
    }

    /// Runs it inside: how it ended, and what it wrote.
    pub(crate) async fn inside(&self, command: &str) -> (Ended, String) {
        self.try_inside(command).await.unwrap()
    }

    pub(crate) async fn try_inside(&self, command: &str) -> Result<(Ended, String), SandboxError> {
        let command = ["/bin/sh", "-c", command].map(str::to_owned).to_vec();
        let cancel = CancellationToken::new();
        let ran = self.sandbox.run(command, &self.root, &self.policy, &cancel);
        let output = ran.await?;
        assert_eq!(output.bytes_left_out, 0);
        let bytes = [output.head, output.tail].concat();
        Ok((output.ended, String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Runs it outside, as the same user: whether it succeeded, and what it wrote.
    pub(crate) fn outside(&self, command: &str) -> (bool, String) {
        let mut line = match self.who {
            Who::Me => Vec::new(),
            Who::Nobody => become_nobody(),
        };
        line.extend(["/bin/sh", "-c", command].map(str::to_owned));
        let output = Command::new(&line[0])
            .args(&line[1..])
            .current_dir(&self.root)
            .output()
            .unwrap();
        let wrote = [output.stdout, output.stderr].concat();
        let wrote = String::from_utf8_lossy(&wrote).into_owned();
        (output.status.success(), wrote)
    }

    /// The act works outside and does not inside.
    pub(crate) async fn is_stopped(&self, act: &str) {
        let (succeeded, wrote) = self.outside(act);
        assert!(succeeded, "{:?} outside: {act}: {wrote}", self.who);
        let (ended, wrote) = self.inside(act).await;
        assert!(
            matches!(ended, Ended::Status(1..)),
            "{:?} inside: {act}: {ended:?} {wrote}",
            self.who
        );
    }

    /// The command lines of the processes that work in the workspace.
    pub(crate) fn processes(&self) -> Vec<String> {
        let lines = self
            .working()
            .map(|process| fs::read_to_string(process.join("cmdline")));
        lines.map(Result::unwrap_or_default).collect()
    }

    /// Ends what was left outside of any sandbox.
    pub(crate) fn kill_all(&self) {
        for process in self.working() {
            let pid = process.file_name().unwrap().to_str().unwrap().parse();
            let pid = rustix::process::Pid::from_raw(pid.unwrap()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    fn working(&self) -> impl Iterator<Item = PathBuf> {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.map(|process| process.path()).filter(|process| {
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&self.root))
        })
    }

    /// Waits until nothing works in the workspace any more.
    pub(crate) async fn is_quiet(&self) {
        let wait = async {
            while !self.processes().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(waited.is_ok(), "left: {:?}", self.processes());
    }

    /// A script beside the helper.
    pub(crate) fn script(&self, name: &str, line: &str) -> PathBuf {
        script(&self.helper.with_file_name(name), line)
    }
}

/// A script, in a place that all may run it from.
pub(crate) fn script(path: &Path, line: &str) -> PathBuf {
    let draft = path.with_extension("draft");
    fs::write(&draft, format!("#!/bin/sh\n{line}\n")).unwrap();
    install(&draft, path);
    path.to_owned()
}

/// Another process writes it: a file that this one has written can't be run while a test beside
/// this one forks.
fn install(from: &Path, to: &Path) {
    let mut install = Command::new("install");
    let installed = install.args(["-m", "755"]).args([from, to]).status();
    assert!(installed.unwrap().success());
}

fn become_nobody() -> Vec<String> {
    [
        "/usr/bin/setpriv",
        &format!("--reuid={NOBODY}"),
        &format!("--regid={NOBODY}"),
        "--clear-groups",
    ]
    .map(str::to_owned)
    .to_vec()
}
