//! Time for every job, ours and the peers' side by side.
//!
//! One group for each job and size; criterion's own comparison with the last
//! run is off by default, as the machine's mood is bigger than it. The table
//! with ratios is made by `benches/run.sh`.

use std::time::Duration;

use benches::ours::Case;
use criterion::{Criterion, criterion_group, criterion_main};

criterion_group! {
    name = costs;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900));
    targets = jobs
}
criterion_main!(costs);

fn jobs(criterion: &mut Criterion) {
    let mut cases = peers::cases::all();
    // Neighbours in the table are neighbours in time.
    cases.sort_by_key(|case| place(&case.name));
    for Case { name, mut run } in cases {
        criterion.bench_function(&name, |bencher| bencher.iter(&mut run));
    }
}

/// Size first, then the job, ours before the peers.
fn place(name: &str) -> (usize, String) {
    let (job, size) = name.rsplit_once('/').unwrap_or((name, ""));
    (size.len(), format!("{size}/{job}"))
}
