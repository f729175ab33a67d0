//! Runs one case N times: `count CASE N`, or `count --list`.
//!
//! For callgrind: the instructions of N and of M runs, difference divided, are
//! the instructions of one.

use std::hint::black_box;
use std::process::ExitCode;

use benches::ours;

#[expect(clippy::print_stdout, reason = "printing names is its job")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut cases = ours::cases();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => {
            for case in cases {
                println!("{}", case.name);
            }
            ExitCode::SUCCESS
        }
        [name, runs] => {
            let case = cases.iter_mut().find(|case| case.name == name);
            let (Some(case), Ok(runs)) = (case, runs.parse::<u32>()) else {
                return ExitCode::FAILURE;
            };
            for _ in 0..runs {
                black_box((case.run)());
            }
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}
