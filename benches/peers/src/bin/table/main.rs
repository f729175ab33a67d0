//! Prints the tables and rewrites the marked part of the README.
//!
//! `table FOLDER`: criterion's results are in `FOLDER/criterion`, the servers'
//! in `FOLDER/servers.jsonl`, what `paired` said in `FOLDER/paired.jsonl` and what
//! `targets/run.sh` said in `FOLDER/targets.txt`; instructions and allocations it
//! takes itself from the programs `count` and `allocations` beside it.

mod jobs;
mod servers;
mod sizes;

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
    let sizes = sizes::goals(&std::fs::read_to_string(folder.join("targets.txt"))?)?;

    let mut text = String::new();
    let load = std::fs::read_to_string(folder.join("load.txt"))?;
    writeln!(text, "Taken {}.\n", circumstances(&load)?)?;
    let goals = jobs.goals().into_iter().chain(servers.goals()).chain(sizes);
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

/// Machine, compiler, day; `load` is how busy it was before anything was measured.
fn circumstances(load: &str) -> Result<String, Failure> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unnamed processor", |(_, model)| model.trim());
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let said = |program: &str, arguments: &[&str]| -> Result<String, Failure> {
        let output = Command::new(program).args(arguments).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    Ok(format!(
        "{} on {cores} cores ({model}), {}, at commit {}; load average before it began {}: times \
         mean something where that is below 1",
        said("date", &["-u", "+%Y-%m-%d"])?,
        said("rustc", &["--version"])?,
        said("git", &["rev-parse", "--short", "HEAD"])?,
        load.split_whitespace().next().unwrap_or("unknown"),
    ))
}
