//! Runs one of our cases N times: `count CASE N`, or `count --list`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::programs::count(benches::ours::cases())
}
