//! The process that watches. It is not in the sandbox, and does nothing that its inmates say.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, WaitOptions, WaitStatus, getpid, pidfd_open, set_child_subreaper, setsid,
    wait as wait_any,
};
use tempfile::TempDir;

use super::family::{Family, end_all, threads_of_all};
use super::files::enclose;
use super::order::{End, Excess, Order, Report, environment};
use super::{COMMAND, Enforcement, SandboxLimits, inmate};
use crate::workspace::{measure, root::Root};

pub(super) const PART: &str = "warden";

/// The file that this process runs, wherever it is by now.
pub(super) const THIS_PROGRAM: &str = "/proc/self/exe";

/// Standard input is the leash, standard output is for the report, standard error becomes the
/// command's output.
pub(super) fn main(order: &str) -> ExitCode {
    let report = watch(order).unwrap_or_else(|error| Report::Refused(error.to_string()));
    match serde_json::to_vec(&report) {
        Ok(json) if io::stdout().write_all(&json).is_ok() => ExitCode::SUCCESS,
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

fn watch(order: &str) -> io::Result<Report> {
    let order: Order = serde_json::from_str(order)?;
    // Already a leader is as good.
    let _ = setsid();
    // Whoever loses their parent becomes a child of this process.
    set_child_subreaper(Some(getpid()))?;
    let root = Root::open(&order.policy.root)?;
    // Goes with this process, however it ends but for a kill.
    let temp = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempdir_in(root.path())?;
    let mut disk = Disk::new(root, &order.policy.limits);
    let enclosed = match order.policy.enforcement {
        Enforcement::Required => enclose(),
        Enforcement::Waived => None,
    };
    let report = match start(&order, temp.path()) {
        Ok(Ok(inmate)) => wait(inmate, &order.policy.limits, &mut disk),
        Ok(Err(why)) => Ok(Report::Refused(why)),
        Err(error) => Err(error),
    };
    // Nothing of it is left when the daemon reads the report.
    end_all(enclosed.as_ref());
    remove(temp);
    report
}

/// Starts the command; why it would not, if it says so.
fn start(order: &Order, temp: &Path) -> io::Result<Result<Pid, String>> {
    let (mut refusal, writer) = io::pipe()?;
    let output = || -> io::Result<Stdio> {
        let output: OwnedFd = io::stderr().as_fd().try_clone_to_owned()?;
        Ok(output.into())
    };
    let mut command = Command::new(THIS_PROGRAM);
    command
        .args([COMMAND, inmate::PART, &serde_json::to_string(order)?])
        .env_clear()
        .envs(environment(order, temp))
        .current_dir(&order.directory)
        .process_group(0)
        .stdin(writer)
        .stdout(output()?)
        .stderr(output()?);
    let child = command.spawn()?;
    // The writing end must be the inmate's alone.
    drop(command);
    let mut why = String::new();
    refusal.read_to_string(&mut why)?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    match pid {
        Some(pid) if why.is_empty() => Ok(Ok(pid)),
        Some(_) | None => Ok(Err(why)),
    }
}

/// Until it ends, or there is too much of something.
fn wait(inmate: Pid, limits: &SandboxLimits, disk: &mut Disk) -> io::Result<Report> {
    let deadline = Instant::now().checked_add(limits.time_max);
    let open = pidfd_open(inmate, PidfdFlags::empty())?;
    let leash = io::stdin();
    let mut census = Census::new(limits);
    loop {
        let left = deadline.map_or(TICK, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        let tick = Timespec::try_from(left.min(TICK)).unwrap_or_default();
        let mut events = [
            PollFd::new(&leash, PollFlags::IN),
            PollFd::new(&open, PollFlags::IN),
        ];
        match poll(&mut events, Some(&tick)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [leash, _] = &events;
        if let Some(end) = reap(inmate) {
            return Ok(Report::Ended(end));
        }
        // Nobody writes to it: whatever happens to it is its end.
        if !leash.revents().is_empty() {
            return Ok(Report::Killed(Excess::Leash));
        }
        if left.is_zero() {
            return Ok(Report::Killed(Excess::Time));
        }
        if let Some(excess) = census.take(disk) {
            return Ok(Report::Killed(excess));
        }
    }
}

/// Counts now and then what the command has; at once, when the machine has many more processes
/// than before.
struct Census<'a> {
    limits: &'a SandboxLimits,
    next: Instant,
    threads_before: Option<u64>,
}

impl<'a> Census<'a> {
    fn new(limits: &'a SandboxLimits) -> Self {
        Self {
            limits,
            next: Instant::now(),
            threads_before: threads_of_all(),
        }
    }

    fn take(&mut self, disk: &mut Disk) -> Option<Excess> {
        let now = Instant::now();
        let grown = threads_of_all()
            .zip(self.threads_before)
            .map_or(0, |(all, before)| all.saturating_sub(before));
        if now < self.next && grown <= self.limits.processes_max {
            return None;
        }
        let family = Family::now();
        // Looking takes at most a tenth of this process' time.
        let wait = now.elapsed().saturating_mul(10).max(CENSUS);
        self.next = Instant::now().checked_add(wait).unwrap_or(now);
        let own = family.threads();
        if grown > self.limits.processes_max && own <= self.limits.processes_max {
            // They are others'.
            self.threads_before = threads_of_all().map(|all| all.saturating_sub(own));
        }
        if own > self.limits.processes_max {
            Some(Excess::Processes)
        } else if family.resident_bytes() > self.limits.memory_bytes_max {
            Some(Excess::Memory)
        } else if disk.is_overfull(&family) {
            Some(Excess::Disk)
        } else {
            None
        }
    }
}

/// Buries the dead; how the inmate ended, if it is among them.
fn reap(inmate: Pid) -> Option<End> {
    let mut end = None;
    while let Ok(Some((pid, status))) = wait_any(WaitOptions::NOHANG) {
        if pid == inmate {
            end = ending(status);
        }
    }
    end
}

fn ending(status: WaitStatus) -> Option<End> {
    status
        .exit_status()
        .map(End::Status)
        .or_else(|| status.terminating_signal().map(End::Signal))
}

/// What is left in it belongs to nobody; what can't be removed counts as part of the workspace.
fn remove(temp: TempDir) {
    let _ = temp.close();
}

/// How full the root is, looked at not too often.
struct Disk {
    root: Root,
    bytes_max: u64,
    next: Instant,
}

impl Disk {
    fn new(root: Root, limits: &SandboxLimits) -> Self {
        // A workspace that is full already must be able to be emptied.
        let bytes = measure(&root).bytes.saturating_add(ROOM_TO_TIDY);
        Self {
            root,
            bytes_max: limits.disk_bytes_max.max(bytes),
            next: Instant::now(),
        }
    }

    fn is_overfull(&mut self, family: &Family) -> bool {
        let began = Instant::now();
        if began < self.next {
            return false;
        }
        let usage = measure(&self.root);
        let bytes = usage.bytes.saturating_add(family.unnamed_bytes());
        // Looking takes at most a tenth of this process' time.
        let wait = began.elapsed().saturating_mul(10).max(DISK_TICK);
        self.next = Instant::now().checked_add(wait).unwrap_or(began);
        bytes > self.bytes_max || !usage.is_complete
    }
}

/// Those that fork as fast as they can make some dozens in that time.
const TICK: Duration = Duration::from_millis(5);

/// Memory fills by some hundred megabytes in that time.
const CENSUS: Duration = Duration::from_millis(50);

/// A disk takes some hundred megabytes in that time.
const DISK_TICK: Duration = Duration::from_millis(200);

/// For a list of what is to be removed.
const ROOM_TO_TIDY: u64 = 4 << 20;
