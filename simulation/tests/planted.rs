//! Every planted defect is found, and soon. A simulation that finds nothing
//! shows nothing.

use planted::Defect;

/// Seeds within which each must be found.
const SEEDS: u64 = 200;

#[test]
fn every_planted_defect_is_found() {
    let mut missed = Vec::new();
    for defect in Defect::ALL {
        let found = (0..SEEDS).find_map(|seed| {
            let report = simulation::run(seed, Some(defect), false);
            Some((seed, report.violations.into_iter().next()?))
        });
        match found {
            Some((seed, how)) => println!("{defect:?}: seed {seed}, {how}"),
            None => missed.push(defect),
        }
    }
    assert_eq!(missed, [], "not found within {SEEDS} seeds");
}
