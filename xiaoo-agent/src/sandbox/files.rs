//! Which files a process may open, and whom it may signal.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use rustix::io::Errno;
use rustix::process::{getppid, test_kill_process};

use super::SandboxPolicy;

/// Who keeps signals inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signals {
    /// The kernel: they reach the sandbox's own processes only.
    Scoped,
    /// Nobody: so none may be sent.
    Unscoped,
}

/// The kernel can't, or would not.
#[derive(Debug, thiserror::Error)]
pub(super) enum CannotRestrict {
    #[error(
        "the kernel does not enforce Landlock: it needs Linux 6.2 or newer with `landlock` among \
         its security modules"
    )]
    Unsupported(#[source] RulesetError),
    #[error("the workspace can't be opened: {0}")]
    Root(#[source] landlock::PathFdError),
    #[error("Landlock refused: {0}")]
    Refused(#[from] RulesetError),
}

/// Gives up all files but those of the policy, for good.
pub(super) fn restrict(policy: &SandboxPolicy) -> Result<Signals, CannotRestrict> {
    let everything = AccessFs::from_all(KNOWN);
    // Devices, and sockets that others could connect to, are nothing that a command makes.
    let write = everything
        & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::IoctlDev);
    let read = AccessFs::from_read(KNOWN);
    let root = PathFd::new(&policy.root).map_err(CannotRestrict::Root)?;
    ruleset(policy.network)?
        .add_rule(PathBeneath::new(root, write))?
        .add_rules(path_beneath_rules(&policy.readable, read))?
        .add_rules(path_beneath_rules(PROGRAMS, read))?
        .add_rules(path_beneath_rules(
            DATA,
            AccessFs::ReadFile | AccessFs::ReadDir,
        ))?
        .add_rules(path_beneath_rules(
            ["/dev/null"],
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate,
        ))?
        .restrict_self()
        .map_err(CannotRestrict::Refused)
        .map(|status| signals(status.landlock))
}

/// Gives up signals to all that this process does not start from now on. `None` when the kernel
/// can't keep that: then nothing has changed.
pub(super) fn enclose() -> Option<Enclosed> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::Signal)
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .ok()?;
    // The kernel has said it; that it is so costs one question to the one process that is
    // certainly outside.
    let parent = getppid()?;
    let is_out_of_reach = test_kill_process(parent) == Err(Errno::PERM);
    (status.ruleset == RulesetStatus::FullyEnforced && is_out_of_reach).then_some(Enclosed(()))
}

/// Proof that this process reaches with signals only those that it has started. Without it, a
/// signal to all would be one to the whole machine.
#[derive(Debug)]
pub(super) struct Enclosed(());

/// Gives up all files.
pub(super) fn restrict_all() -> Result<Signals, CannotRestrict> {
    let status = ruleset(false)?.restrict_self()?;
    Ok(signals(status.landlock))
}

fn ruleset(network: bool) -> Result<landlock::RulesetCreated, CannotRestrict> {
    let net = if network {
        BitFlags::EMPTY
    } else {
        AccessNet::from_all(KNOWN)
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))
        .map_err(CannotRestrict::Unsupported)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?;
    if !net.is_empty() {
        ruleset = ruleset.handle_access(net)?;
    }
    Ok(ruleset.create()?)
}

fn signals(status: LandlockStatus) -> Signals {
    match status {
        LandlockStatus::Available { effective_abi, .. } if effective_abi >= SCOPES_SIGNALS => {
            Signals::Scoped
        }
        LandlockStatus::Available { .. }
        | LandlockStatus::NotEnabled
        | LandlockStatus::NotImplemented => Signals::Unscoped,
    }
}

/// Before, the kernel let any file be truncated (Linux 6.2).
const NEEDED: ABI = ABI::V3;

/// What was tried with these rules (Linux 6.15).
const KNOWN: ABI = ABI::V7;

/// Linux 6.12.
const SCOPES_SIGNALS: ABI = ABI::V6;

/// Programs, and what they load.
const PROGRAMS: [&str; 7] = [
    "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr",
];

/// What programs look up. Nothing here is secret, and nothing is a directory that an operator
/// keeps secrets in: `/etc` as a whole, homes, `/proc` (the command lines of all processes),
/// `/opt`, `/var` and `/tmp` are absent on purpose.
const DATA: [&str; 39] = [
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/perl",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/profile",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
];
