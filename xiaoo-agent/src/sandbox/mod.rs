//! Running what a model wrote, so that it can't do harm.
//!
//! Three processes:
//!
//! * the daemon, which asks with [`Sandbox::run`] and reads what comes out;
//! * the **warden**, which stays outside of the sandbox and watches: it ends the command and all
//!   that descends from it, whatever session they moved to, when time is up, when there are too
//!   many of them, when they hold too much memory or fill the disk, and when the daemon ends or
//!   loses interest;
//! * the **inmate**, which gives up its rights for good and then becomes the command.
//!
//! The two helpers are the daemon's own program, started again with [`COMMAND`] as its first
//! argument: giving up rights between a fork and an exec would take unsafe code. The program's
//! `main` begins with [`entered`].
//!
//! What the inmate gives up:
//!
//! * Files (Landlock): it reads the system's programs and what the policy names, and writes the
//!   policy's root alone.
//! * Capabilities, all of them. What is left of root is the owner of root's files.
//! * System calls (seccomp): no sockets unless the network is granted, and then none but
//!   internet sockets; no tracing, no namespaces, no mounts, no keys, no io_uring; nothing that
//!   changes another process or outlives its own. Landlock does not watch over the modes, owners
//!   and times of files. So changing those is refused: in silence, because tools like git and tar
//!   could not work otherwise. A file that is not executable can't be made so.
//! * Signals and abstract sockets (Landlock): it reaches its own kind only. Kernels before 6.12
//!   can't tell; there it may send no signals at all.
//!
//! What stays possible: to see whether a file exists, its size and its times, wherever directories
//! may be searched.

mod calls;
mod document;
mod family;
mod files;
mod inmate;
mod limits;
mod numbers;
mod order;
mod run;
mod warden;

use core::time::Duration;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

pub use run::{Ended, Output, Sandbox, SandboxError};

/// The first argument of a process that is to be a helper.
pub const COMMAND: &str = "sandbox-exec";

/// What a command may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxPolicy {
    /// The directory that may be written.
    pub root: PathBuf,
    /// What may be read and run besides it and the system's programs. What is not there is left
    /// out.
    pub readable: Vec<PathBuf>,
    /// Whether it may reach the network: other machines, and the services of this one.
    pub network: bool,
    /// Whether the kernel must be able to enforce all of this.
    pub enforcement: Enforcement,
    /// How much it may use.
    pub limits: SandboxLimits,
}

/// Whether a command runs when the kernel can't keep it to the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcement {
    /// It does not.
    #[default]
    Required,
    /// The operator has said that it runs without a sandbox. Limits, a clean environment and the
    /// end of all its processes are all that is left.
    Waived,
}

/// How much a command may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SandboxLimits {
    /// How long it may run. Default 60 s.
    pub time_max: Duration,
    /// Memory of all its processes together, and of each one. Default 1 GiB.
    pub memory_bytes_max: u64,
    /// Its processes and their threads. Default 256: a build uses some dozens.
    pub processes_max: u64,
    /// What the root may hold, files that were deleted and are still open included. Default
    /// [`Workspace::BYTES_MAX`](crate::Workspace::BYTES_MAX).
    pub disk_bytes_max: u64,
    /// The longest file. Default 256 MiB.
    pub file_bytes_max: u64,
    /// Open files of one process. Default 512.
    pub open_files_max: u64,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            time_max: Duration::from_secs(60),
            memory_bytes_max: 1 << 30,
            processes_max: 256,
            disk_bytes_max: crate::Workspace::BYTES_MAX,
            file_bytes_max: 256 << 20,
            open_files_max: 512,
        }
    }
}

/// The beginning of `main`: when this process was started as a helper, it is one, and ends with
/// the returned code. Must be called before there is a second thread.
pub fn entered(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != OsStr::new(COMMAND) {
        return None;
    }
    let part = arguments.next()?;
    let order = arguments.next().unwrap_or_default();
    let order = order.to_string_lossy();
    Some(match part.to_str() {
        Some(warden::PART) => warden::main(&order),
        Some(inmate::PART) => inmate::main(&order),
        Some(document::PART) => document::main(&order),
        _ => ExitCode::from(BAD_USAGE),
    })
}

/// As for any wrong usage of a program.
const BAD_USAGE: u8 = 2;
