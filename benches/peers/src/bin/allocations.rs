//! Allocations of one run of each case, ours and theirs.

fn main() {
    benches::programs::allocations(peers::cases::all(), |run| {
        let counted = allocation_counter::measure(|| {
            run();
        });
        counted.count_total
    });
}
