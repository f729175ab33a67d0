//! The load side: plays the platform to one program and prints one line of
//! JSON with what was measured.
//!
//! ```sh
//! generator [--strace] link SECONDS COMMAND…
//! generator [--strace] hook|hook-encrypted SECONDS COMMAND…
//! ```
//!
//! The command is started with `BENCH_PORT` in its environment: for `link` the
//! platform's port, for `hook` the port to listen on.

mod hook;
mod link;
mod process;
mod spin;

use std::error::Error;
use std::time::Duration;

use serde::Serialize;

type Failure = Box<dyn Error + Send + Sync>;

/// How long a program runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long it may take to listen or to connect.
const START_MAX: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Serialize)]
struct Measured {
    /// Events acknowledged, or requests answered 200, per second.
    per_second: f64,
    /// Time on a processor for each, all processes of the program together.
    cpu_micros: f64,
    /// Resident memory of all of them at the end, in MB.
    resident_mb: f64,
    /// System calls that write to a descriptor, for each; only with `--strace`.
    write_calls: Option<f64>,
}

#[expect(clippy::print_stdout, reason = "printing figures is its job")]
fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let strace = arguments.first().is_some_and(|first| first == "--strace");
    if strace {
        arguments.remove(0);
    }
    let [kind, seconds, command @ ..] = arguments.as_slice() else {
        return Err("usage: generator [--strace] link|hook|hook-encrypted SECONDS COMMAND…".into());
    };
    let time = Duration::from_secs(seconds.parse()?);
    let measured = match kind.as_str() {
        "link" => link::measure(command, time, strace)?,
        "hook" => hook::measure(command, time, false, strace)?,
        "hook-encrypted" => hook::measure(command, time, true, strace)?,
        other => return Err(format!("what is {other}?").into()),
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}
