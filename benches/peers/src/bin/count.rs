//! Runs one case of ours or theirs N times: `count CASE N`, or `count --list`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::programs::count(peers::cases::all())
}
