//! Allocations of one run of each of our cases.

fn main() {
    benches::programs::allocations(benches::ours::cases(), |run| {
        let counted = allocation_counter::measure(|| {
            run();
        });
        counted.count_total
    });
}
