//! Processes that descend from this one, and their end.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process_group, pidfd_open,
    pidfd_send_signal, wait,
};

use super::files::Enclosed;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: i32,
    threads: u64,
    started: u64,
    resident_pages: u64,
}

/// All that descend from this process, at one moment. Those whose parents died are among them,
/// because this process is their reaper.
#[derive(Debug, Default)]
pub(super) struct Family(Vec<Process>);

impl Family {
    pub(super) fn now() -> Self {
        let mut by_parent: HashMap<i32, Vec<Process>> = HashMap::new();
        for pid in all_pids() {
            if let Some(process) = look_at(pid) {
                by_parent.entry(process.parent).or_default().push(process);
            }
        }
        let mut family = Vec::new();
        let mut parents = vec![getpid().as_raw_nonzero().get()];
        while let Some(parent) = parents.pop() {
            for child in by_parent.remove(&parent).unwrap_or_default() {
                parents.push(child.pid.as_raw_nonzero().get());
                family.push(child);
            }
        }
        Self(family)
    }

    /// Processes and their threads.
    pub(super) fn threads(&self) -> u64 {
        self.0.iter().map(|process| process.threads).sum()
    }

    /// Memory that they hold.
    pub(super) fn resident_bytes(&self) -> u64 {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let pages = self.0.iter().map(|process| process.resident_pages);
        pages.sum::<u64>().saturating_mul(page)
    }

    /// What the files take up that have no name any more and are still open.
    pub(super) fn unnamed_bytes(&self) -> u64 {
        let mut seen = HashSet::new();
        let mut bytes = 0_u64;
        for process in &self.0 {
            let open = fs::read_dir(format!("/proc/{}/fd", process.pid));
            for file in open.into_iter().flatten().flatten() {
                let Ok(file) = fs::metadata(file.path()) else {
                    continue;
                };
                if file.is_file() && file.nlink() == 0 && seen.insert((file.dev(), file.ino())) {
                    let on_disk = file.blocks().saturating_mul(512);
                    bytes = bytes.saturating_add(file.len().max(on_disk));
                }
            }
        }
        bytes
    }

    fn kill(&self) {
        for process in &self.0 {
            // It may be gone, and its number another's: whoever holds it open can be sure.
            let Ok(open) = pidfd_open(process.pid, PidfdFlags::empty()) else {
                continue;
            };
            if look_at(process.pid).is_some_and(|now| now.started == process.started) {
                // Gone is as good as killed.
                let _ = pidfd_send_signal(open, Signal::KILL);
            }
        }
    }
}

/// Ends all that descend from this process, until there is none left.
pub(super) fn end_all(enclosed: Option<&Enclosed>) {
    loop {
        match enclosed {
            // The kernel does it in one go, in which nobody can fork away.
            Some(Enclosed { .. }) => {
                // None left is as good as killed.
                let _ = kill_process_group(EVERYBODY_IN_REACH, Signal::KILL);
            }
            None => Family::now().kill(),
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                // No children: done.
                Err(_) => return,
            }
        }
        pause(ROUND_NANOS);
    }
}

/// Tasks of the whole machine: a cheap question.
pub(super) fn threads_of_all() -> Option<u64> {
    // As in `0.20 0.18 0.12 1/80 11206`.
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let (_, total) = load.split_whitespace().nth(3)?.split_once('/')?;
    total.parse().ok()
}

/// Tasks of this user, on the whole machine.
pub(super) fn threads_of_this_user() -> u64 {
    let user = rustix::process::getuid().as_raw();
    all_pids()
        .filter(|pid| fs::metadata(format!("/proc/{pid}")).is_ok_and(|proc| proc.uid() == user))
        .filter_map(look_at)
        .map(|process| process.threads)
        .sum()
}

fn all_pids() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

fn look_at(pid: Pid) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// A line of /proc/…/stat; the fields are numbered as in proc(5).
fn parse(pid: Pid, stat: &str) -> Option<Process> {
    const STATE: usize = 3;
    const PARENT: usize = 4;
    const THREADS: usize = 20;
    const STARTED: usize = 22;
    const RESIDENT: usize = 24;
    // The name before may hold anything, spaces and brackets included.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - STATE).copied();
    Some(Process {
        pid,
        parent: field(PARENT)?.parse().ok()?,
        threads: field(THREADS)?.parse().ok()?,
        started: field(STARTED)?.parse().ok()?,
        resident_pages: field(RESIDENT)?.parse().unwrap_or(0),
    })
}

/// Lets others run.
fn pause(nanos: i64) {
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: nanos,
    };
    // A signal that shortens it does no harm.
    let _ = poll(&mut [], Some(&time));
}

/// A signal to this group is one to every process that it may be sent to (kill(2), -1).
const EVERYBODY_IN_REACH: Pid = Pid::INIT;

/// Long enough for the kernel to take down what was killed.
const ROUND_NANOS: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_confuse_the_reading() {
        let pid = Pid::from_raw(7).unwrap();
        let stat = "7 (a) S 1 (b c) R 5 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 3 0 1234 9 42 1";
        assert_eq!(
            parse(pid, stat),
            Some(Process {
                pid,
                parent: 5,
                threads: 3,
                started: 1234,
                resident_pages: 42,
            })
        );
        for broken in ["", "7 (a", "7 (a) S", "7 (a) S x"] {
            assert_eq!(parse(pid, broken), None);
        }
    }
}
