//! Runs seeds.
//!
//!     simulation                     2,000 seeds, or as many as fit 60 s
//!     simulation --seconds 3600      as long as that, and as many as fit
//!     simulation --from 5000         other seeds
//!     simulation --seed 17 --trace   one seed, step by step
//!     simulation --plant NoUuid      with a defect planted
//!     simulation --planted           whether every planted defect is found, and soon

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use planted::Defect;
use simulation::{Report, run};

/// Seeds of a run, unless it is told how long to go on.
const SEEDS: u64 = 2_000;
/// How long a run may take.
const SECONDS: u64 = 60;
/// Every so many seeds one runs twice, and must do the same.
const TWICE: u64 = 50;
/// Simulated hours in a second of one core, at least: the median of the seeds, so that
/// neither a few long worlds nor a busy machine decide.
const HOURS_A_SECOND: f64 = 100.0;
/// Seeds from which on that is judged.
const JUDGED: usize = 50;
/// Seeds within which each planted defect must be found.
const FOUND_WITHIN: u64 = 200;
/// Seeds that once found something.
const KEPT: &str = include_str!("../seeds.txt");

struct Options {
    from: u64,
    seeds: u64,
    limit: Duration,
    one: Option<u64>,
    trace: bool,
    plant: Option<Defect>,
    planted: bool,
}

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("simulation: {why}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = options.one {
        let report = run(seed, options.plant, options.trace);
        say(seed, &report);
        return code(report.violations.is_empty());
    }
    code(if options.planted {
        all_planted_are_found()
    } else {
        many(&options)
    })
}

/// Plants every defect. A simulation that finds nothing shows nothing.
fn all_planted_are_found() -> bool {
    let mut missed = 0;
    for defect in Defect::ALL {
        let found = (0..FOUND_WITHIN).find_map(|seed| {
            let report = run(seed, Some(defect), false);
            Some((seed, report.violations.into_iter().next()?))
        });
        if let Some((seed, how)) = found {
            println!("{defect:?}: seed {seed}, {how}");
        } else {
            println!("{defect:?}: NOT FOUND within {FOUND_WITHIN} seeds");
            missed += 1;
        }
    }
    println!("{} planted defects, {missed} not found", Defect::ALL.len());
    missed == 0
}

/// Runs what was found before, then seed after seed.
fn many(options: &Options) -> bool {
    let began = Instant::now();
    let mut sum = Sum::default();
    let kept = KEPT
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().parse().ok());
    let seeds = options.from..options.from.saturating_add(options.seeds);
    for seed in kept.chain(seeds) {
        if began.elapsed() >= options.limit {
            break;
        }
        let report = run(seed, options.plant, false);
        if seed % TWICE == 0 {
            sum.repeats += 1;
            let again = run(seed, options.plant, false);
            if again.trace != report.trace {
                println!("seed {seed}: two runs differ");
                sum.bad += 1;
            }
        }
        sum.add(seed, &report);
    }
    sum.print(began.elapsed())
}

/// What came of all seeds.
#[derive(Default)]
struct Sum {
    seeds: u64,
    bad: u64,
    repeats: u64,
    simulated: Duration,
    cpu: Duration,
    /// Of each seed, simulated hours in a second.
    speeds: Vec<f64>,
    seen: BTreeMap<&'static str, u64>,
}

impl Sum {
    fn add(&mut self, seed: u64, report: &Report) {
        self.seeds += 1;
        self.simulated += report.simulated;
        self.cpu += report.cpu;
        self.speeds.push(speed(report.simulated, report.cpu));
        for (what, times) in &report.seen {
            *self.seen.entry(what).or_default() += times;
        }
        if !report.violations.is_empty() {
            self.bad += 1;
            say(seed, report);
        }
    }

    /// Prints it; whether all is well.
    fn print(&mut self, took: Duration) -> bool {
        for (what, times) in &self.seen {
            println!("{times:>9}  {what}");
        }
        let missed: Vec<_> = simulation::PLACES
            .iter()
            .filter(|place| !self.seen.contains_key(**place))
            .collect();
        for place in &missed {
            println!("never reached: {place}");
        }
        self.speeds.sort_by(f64::total_cmp);
        let count = self.speeds.len();
        let median = self.speeds.get(count / 2).copied().unwrap_or_default();
        println!(
            "{} seeds and {} of them twice in {:.0} s; {:.0} simulated hours, in a second of \
             one core {median:.0} (the median of the seeds; {:.0} all together); {} bad",
            self.seeds,
            self.repeats,
            took.as_secs_f64(),
            self.simulated.as_secs_f64() / 3_600.0,
            speed(self.simulated, self.cpu),
            self.bad
        );
        let is_slow = count >= JUDGED && median < HOURS_A_SECOND;
        if is_slow {
            println!(
                "too slow: at least {HOURS_A_SECOND} simulated hours in a second are promised"
            );
        }
        self.bad == 0 && missed.is_empty() && !is_slow
    }
}

/// Simulated hours in a second of a core.
fn speed(simulated: Duration, cpu: Duration) -> f64 {
    simulated.as_secs_f64() / 3_600.0 / cpu.as_secs_f64()
}

fn say(seed: u64, report: &Report) {
    for what in &report.violations {
        println!("seed {seed}: {what}");
    }
}

fn code(is_well: bool) -> ExitCode {
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            from: 0,
            seeds: SEEDS,
            limit: Duration::from_secs(SECONDS),
            one: None,
            trace: false,
            plant: None,
            planted: false,
        };
        while let Some(arg) = args.next() {
            let mut number = || {
                let value = args.next().and_then(|value| value.parse().ok());
                value.ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "--seed" => options.one = Some(number()?),
                "--from" => options.from = number()?,
                "--seeds" => options.seeds = number()?,
                "--seconds" => {
                    options.limit = Duration::from_secs(number()?);
                    options.seeds = u64::MAX;
                }
                "--trace" => options.trace = true,
                "--planted" => options.planted = true,
                "--plant" => {
                    let name = args.next().unwrap_or_default();
                    let mut all = Defect::ALL.into_iter();
                    let named = all.find(|defect| format!("{defect:?}") == name);
                    options.plant = Some(named.ok_or_else(|| format!("no defect {name:?}"))?);
                }
                _ => return Err(format!("what is {arg}?")),
            }
        }
        Ok(options)
    }
}
