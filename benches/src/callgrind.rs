//! Instructions of one run of a case, by callgrind: of [`FEW`] runs and of
//! [`MANY`], the difference divided. What happens once cancels out, and the
//! count repeats to the digit on any machine with the same libc and compiler.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs of the short measurement: enough to fill buffers that are reused.
pub const FEW: u32 = 20;
/// Runs of the long one.
pub const MANY: u32 = 120;

/// Instructions of one run of `case` in `program`, whose arguments are a case
/// and a number of runs.
///
/// # Errors
/// When valgrind or the program fails.
pub fn instructions(program: &Path, case: &str) -> io::Result<u64> {
    let (few, many) = (start(program, case, FEW)?, start(program, case, MANY)?);
    let (few, many) = (collected(few)?, collected(many)?);
    Ok(many.saturating_sub(few) / u64::from(MANY - FEW))
}

fn start(program: &Path, case: &str, runs: u32) -> io::Result<Child> {
    Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([case, &runs.to_string()])
        // The size of the environment moves the stack, and with it alignments.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

fn collected(child: Child) -> io::Result<u64> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match collected {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(io::Error::other(format!("callgrind failed:\n{said}"))),
    }
}
