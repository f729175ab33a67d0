//! Prints the tables and rewrites the marked part of the README.
//!
//! `table FOLDER`: criterion's results are in `FOLDER/criterion`, the servers'
//! in `FOLDER/servers.jsonl`; instructions and allocations it takes itself from
//! the programs `count` and `allocations` beside it.

mod jobs;
mod servers;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

type Failure = Box<dyn Error + Send + Sync>;

const START: &str = "<!-- figures: benches/run.sh writes what follows -->";
const END: &str = "<!-- end of figures -->";

/// One row of the table of goals: what, goal, measured, whether it is reached.
type Goal = (String, String, String, bool);

#[expect(clippy::print_stdout, reason = "printing the tables is its job")]
fn main() -> Result<(), Failure> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: table FOLDER")?);
    let jobs = jobs::Figures::collect(&folder)?;
    let servers = servers::Figures::read(&folder.join("servers.jsonl"))?;

    let mut text = String::new();
    writeln!(text, "Taken {}.\n", circumstances()?)?;
    let goals: Vec<Goal> = jobs.goals().into_iter().chain(servers.goals()).collect();
    writeln!(
        text,
        "| goal | reach | measured | |\n| --- | --- | --- | --- |"
    )?;
    for (what, goal, measured, reached) in goals {
        let mark = if reached { "reached" } else { "**missed**" };
        writeln!(text, "| {what} | {goal} | {measured} | {mark} |")?;
    }
    jobs.write(&mut text)?;
    servers.write(&mut text)?;
    println!("{text}");

    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let old = std::fs::read_to_string(&readme)?;
    let (before, rest) = old
        .split_once(START)
        .ok_or("the README has no start mark")?;
    let (_, after) = rest.split_once(END).ok_or("the README has no end mark")?;
    let new = format!("{before}{START}\n\n{text}\n{END}{after}");
    Ok(std::fs::write(readme, new)?)
}

/// Machine, compiler, day.
fn circumstances() -> Result<String, Failure> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unnamed processor", |(_, model)| model.trim());
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let said = |program: &str, arguments: &[&str]| -> Result<String, Failure> {
        let output = Command::new(program).args(arguments).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    Ok(format!(
        "{} on {cores} cores ({model}), {}, at commit {}, load average {}: times mean something \
         where it is below {cores}",
        said("date", &["-u", "+%Y-%m-%d"])?,
        said("rustc", &["--version"])?,
        said("git", &["rev-parse", "--short", "HEAD"])?,
        load.split_whitespace().nth(1).unwrap_or("unknown"),
    ))
}
