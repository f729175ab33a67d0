//! Whether a job's time depends on the size of the payload: `paired [ROUNDS]`.
//!
//! The frames of the three sizes differ in nothing but the payload. They are
//! measured by turns in short rounds, so that the machine's mood meets all of
//! them alike, and each round gives a ratio of its own; what is printed is the
//! median of the ratios. What was never touched before is warmed up first.

#![expect(clippy::print_stdout, reason = "printing is what programs do")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use benches::inputs::Size;
use benches::ours::{self, Case};

/// Jobs that must not look at the payload.
const JOBS: [&str; 2] = ["decode", "decode+ack"];
/// Rounds, unless the caller says how many. An odd number has a middle.
const ROUNDS: usize = 1001;
/// Runs of one size in a round: about a tenth of a millisecond, shorter than
/// most of what disturbs.
const RUNS: u32 = 1000;

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |n| n.parse());
    let Ok(rounds @ 1..) = rounds else {
        return ExitCode::FAILURE;
    };
    let mut cases = ours::cases();
    for job in JOBS {
        let mut sizes = Size::ALL.map(|size| {
            let name = format!("{job}/{}", size.name());
            let place = cases.iter().position(|case| case.name == name);
            place.map(|place| cases.swap_remove(place))
        });
        let [Some(small), Some(medium), Some(large)] = &mut sizes else {
            return ExitCode::FAILURE;
        };
        for _ in 0..rounds / 10 + 1 {
            for case in [&mut *small, medium, large] {
                nanos(case);
            }
        }
        let (mut smalls, mut mediums, mut larges) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            // The small one on both sides of the others.
            let before = nanos(small);
            let (medium, large) = (nanos(medium), nanos(large));
            let of_small = f64::midpoint(before, nanos(small));
            smalls.push(of_small);
            mediums.push(medium / of_small);
            larges.push(large / of_small);
        }
        println!(
            r#"{{"job":"{job}","nanos":{:.1},"over_16k":{:.3},"over_64k":{:.3}}}"#,
            median(smalls),
            median(mediums),
            median(larges),
        );
    }
    ExitCode::SUCCESS
}

/// Nanoseconds of one run.
fn nanos(case: &mut Case) -> f64 {
    let start = Instant::now();
    for _ in 0..RUNS {
        black_box((case.run)());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
