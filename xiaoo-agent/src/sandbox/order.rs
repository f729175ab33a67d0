//! What the three processes say to each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SandboxPolicy;

/// The daemon's, to the warden; the warden's, to the inmate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// Where it starts.
    pub(super) directory: PathBuf,
    pub(super) policy: SandboxPolicy,
}

/// The warden's, to the daemon, when all is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// It came to an end by itself.
    Ended(End),
    /// It was ended.
    Killed(Excess),
    /// It was not started.
    Refused(String),
}

/// How a command ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    Status(i32),
    Signal(i32),
}

/// What there was too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Excess {
    Time,
    Processes,
    Memory,
    Disk,
    /// Nobody waits for it any more.
    Leash,
}

/// The environment of a command: nothing of the daemon's.
pub(super) fn environment(
    order: &Order,
    temp: &std::path::Path,
) -> BTreeMap<&'static str, PathBuf> {
    BTreeMap::from([
        ("HOME", order.policy.root.clone()),
        ("LANG", "C.UTF-8".into()),
        ("PATH", SEARCH_PATH.into()),
        ("SHELL", "/bin/sh".into()),
        ("TERM", "dumb".into()),
        ("TMPDIR", temp.to_owned()),
    ])
}

const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
