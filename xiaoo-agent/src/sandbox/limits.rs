//! What a process gives up that is a number or a capability.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
};

use super::SandboxLimits;
use super::family::threads_of_this_user;

/// Limits that this process and those after it can't raise again.
pub(super) fn apply(limits: &SandboxLimits) -> io::Result<()> {
    // When memory ends, these go before anything else of the machine; and they wait behind all
    // others. Not vital: some containers refuse it.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let _ = setpriority_process(None, PRIORITY);
    // The kernel counts all that the user has, other sandboxes included. That is why the warden
    // counts each one, and this is only for what is faster than it. Root has no such limit.
    let processes = limits.processes_max.saturating_mul(USERS_PROCESSES);
    let all = [
        (Resource::Core, 0),
        (Resource::Cpu, limits.time_max.as_secs().saturating_add(1)),
        (Resource::Data, limits.memory_bytes_max),
        (Resource::Fsize, limits.file_bytes_max),
        (Resource::Memlock, MEMLOCK_BYTES),
        (Resource::Msgqueue, 0),
        (Resource::Nofile, limits.open_files_max),
        (
            Resource::Nproc,
            threads_of_this_user().saturating_add(processes),
        ),
    ];
    for (resource, most) in all {
        limit(resource, most)?;
    }
    Ok(())
}

/// Whatever this process may as root, it may no longer, and nothing it runs may either.
pub(super) fn drop_capabilities() -> io::Result<()> {
    // Older kernels have none.
    let _ = clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, none)?)
}

/// Sets one limit; one that is lower already stays.
pub(super) fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let most = now.maximum.map_or(most, |maximum| maximum.min(most));
    let rlimit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    Ok(setrlimit(resource, rlimit)?)
}

/// So many sandboxes at their limit leave room for others.
const USERS_PROCESSES: u64 = 8;

/// Behind the daemon and everything else; a thousand of them leave the warden its turn.
const PRIORITY: i32 = 19;

/// What the kernel gives by default to those who ask for nothing.
const MEMLOCK_BYTES: u64 = 64 << 10;
