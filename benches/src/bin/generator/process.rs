//! The program under load, with all its child processes.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::Failure;

/// A running program; killed when dropped.
pub(crate) struct Subject {
    child: Child,
    strace: Option<PathBuf>,
}

/// Processor time and memory so far.
pub(crate) struct Usage {
    pub(crate) cpu_micros: f64,
    pub(crate) resident_mb: f64,
}

impl Subject {
    pub(crate) fn start(command: &[String], port: u16, strace: bool) -> Result<Self, Failure> {
        let (program, arguments) = command.split_first().ok_or("no command")?;
        let log =
            strace.then(|| std::env::temp_dir().join(format!("strace-{}.txt", std::process::id())));
        let mut run = if let Some(log) = &log {
            let mut run = Command::new("strace");
            run.args(["-f", "--seccomp-bpf", "-qq", "-c", "-U", "calls,name"])
                .args(["-e", "trace=write,writev,sendto,sendmsg,pwrite64"])
                .arg("-o")
                .arg(log)
                .arg(program);
            run
        } else {
            Command::new(program)
        };
        let child = run
            .args(arguments)
            .env("BENCH_PORT", port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        Ok(Self { child, strace: log })
    }

    /// Of the program and its children, as the kernel has it.
    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        let mut total = Usage {
            cpu_micros: 0.0,
            resident_mb: 0.0,
        };
        for id in family(self.child.id()) {
            // A child may have gone meanwhile.
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else {
                continue;
            };
            // What follows the name in brackets: state is field 3 of the page.
            let fields: Vec<&str> = stat
                .rsplit_once(')')
                .map(|(_, fields)| fields.split_whitespace().collect())
                .ok_or("an odd stat file")?;
            let number = |field: usize| -> Result<f64, Failure> {
                Ok(fields.get(field - 3).ok_or("a short stat file")?.parse()?)
            };
            // Clock ticks are 10 ms, pages 4 KiB, on every Linux that this runs on.
            total.cpu_micros += (number(14)? + number(15)?) * 10_000.0;
            total.resident_mb += number(24)? * 4096.0 / 1e6;
        }
        Ok(total)
    }

    /// Ends the program; the write calls that strace counted, if it did.
    pub(crate) fn stop(mut self) -> Result<Option<f64>, Failure> {
        let Some(log) = self.strace.take() else {
            return Ok(None);
        };
        // With its program gone, strace writes its table and ends.
        self.end_children();
        self.child.wait()?;
        let table = std::fs::read_to_string(&log)?;
        std::fs::remove_file(&log)?;
        let calls = table
            .lines()
            .filter_map(|line| {
                let mut columns = line.split_whitespace();
                let calls: f64 = columns.next()?.parse().ok()?;
                columns
                    .next()
                    .filter(|name| *name != "total")
                    .map(|_| calls)
            })
            .sum();
        Ok(Some(calls))
    }
}

impl Subject {
    fn end_children(&self) {
        for id in family(self.child.id()).into_iter().skip(1) {
            let _ = Command::new("kill").arg(id.to_string()).status();
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.end_children();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process and its descendants.
fn family(id: u32) -> Vec<u32> {
    let mut ids = vec![id];
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    for child in children.unwrap_or_default().split_whitespace() {
        if let Ok(child) = child.parse() {
            ids.extend(family(child));
        }
    }
    ids
}
