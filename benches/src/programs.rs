//! The programs that run cases, for ours alone and for ours beside the peers.

#![expect(clippy::print_stdout, reason = "printing is what programs do")]

use std::hint::black_box;
use std::process::ExitCode;

use crate::ours::Case;

/// `count CASE N` runs one case N times; `count --list` names all.
///
/// For callgrind: see [`crate::callgrind`].
#[must_use]
pub fn count(mut cases: Vec<Case>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--list"] => {
            for case in cases {
                println!("{}", case.name);
            }
            ExitCode::SUCCESS
        }
        [name, runs] => {
            let case = cases.iter_mut().find(|case| case.name == *name);
            let (Some(case), Ok(runs)) = (case, runs.parse::<u32>()) else {
                return ExitCode::FAILURE;
            };
            run(case, runs);
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// Named, so that a profile can leave out what came before.
#[inline(never)]
fn run(case: &mut Case, runs: u32) {
    for _ in 0..runs {
        black_box((case.run)());
    }
}

/// Prints the allocations of one run of each case, after a few to fill what is
/// reused.
///
/// For a program of its own, which brings the counting allocator (`counted`):
/// elsewhere it would weigh on instructions.
pub fn allocations(cases: Vec<Case>, counted: impl Fn(&mut dyn FnMut() -> usize) -> u64) {
    for mut case in cases {
        for _ in 0..3 {
            (case.run)();
        }
        println!("{} {}", case.name, counted(&mut case.run));
    }
}
