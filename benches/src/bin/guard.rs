//! The guard: fails when a job of ours takes over 5 % more instructions than
//! `instructions.json` says, or allocates at all. `--bless` rewrites the file.
//!
//! Run it by `benches/guard.sh`, which installs and builds what it needs.

#![expect(clippy::print_stdout, reason = "printing the table is its job")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use benches::callgrind;
use serde::{Deserialize, Serialize};

/// A rise beyond this fails, in hundredths.
const RISE_MAX: u64 = 5;

/// The committed counts.
#[derive(Default, Serialize, Deserialize)]
struct Committed {
    /// The compiler that they were measured with: another one moves them.
    rustc: String,
    /// Instructions by case.
    instructions: BTreeMap<String, u64>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let bless = std::env::args().any(|argument| argument == "--bless");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let committed: Committed = match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) if bless => Committed::default(),
        Err(error) => return Err(error.into()),
    };
    let rustc = output(Command::new("rustc").arg("--version"))?;
    if committed.rustc != rustc && !bless {
        println!("note: counted with {}, this is {rustc}", committed.rustc);
    }

    let count = sibling("count")?;
    let allocations = allocations()?;
    let mut now = BTreeMap::new();
    let mut failed = Vec::new();
    println!(
        "{:<26}{:>12}{:>12}{:>9}{:>8}",
        "job/size", "now", "committed", "change", "allocs"
    );
    for case in output(Command::new(&count).arg("--list"))?.lines() {
        if case.starts_with("memcpy/") {
            continue; // libc's, not ours
        }
        let measured = callgrind::instructions(&count, case)?;
        let allocated = allocations.get(case).copied();
        let before = committed.instructions.get(case).copied();
        println!(
            "{case:<26}{measured:>12}{:>12}{:>9}{:>8}",
            before.map_or_else(|| "-".to_owned(), |before| before.to_string()),
            before.map_or_else(|| "new".to_owned(), |before| change(before, measured)),
            allocated.map_or_else(|| "-".to_owned(), |allocated| allocated.to_string()),
        );
        if allocated != Some(0) {
            failed.push(format!("{case} allocates"));
        }
        match before {
            _ if bless => {}
            None => failed.push(format!("{case} has no committed count")),
            Some(before) if measured * 100 > before * (100 + RISE_MAX) => {
                failed.push(format!("{case} takes {}", change(before, measured)));
            }
            Some(_) => {}
        }
        now.insert(case.to_owned(), measured);
    }
    for gone in committed.instructions.keys() {
        if !now.contains_key(gone) && !bless {
            failed.push(format!("{gone} is no longer measured"));
        }
    }

    if bless {
        let blessed = Committed {
            rustc,
            instructions: now,
        };
        std::fs::write(&file, serde_json::to_string_pretty(&blessed)? + "\n")?;
        println!("wrote {}", file.display());
    }
    for reason in &failed {
        println!("FAILED: {reason}");
    }
    if !failed.is_empty() && !bless {
        println!("If that is meant: benches/guard.sh --bless, and say why in the commit.");
    }
    Ok(ExitCode::from(u8::from(!failed.is_empty())))
}

fn change(before: u64, now: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
    let percent = (now as f64 / before.max(1) as f64 - 1.0) * 100.0;
    format!("{percent:+.1} %")
}

fn allocations() -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let said = output(&mut Command::new(sibling("allocations")?))?;
    let mut by_case = BTreeMap::new();
    for line in said.lines() {
        let (case, count) = line.split_once(' ').ok_or("no count")?;
        by_case.insert(case.to_owned(), count.parse()?);
    }
    Ok(by_case)
}

/// A program that was built beside this one.
fn sibling(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
