//! Allocations of one run of each case, after a few to fill what is reused.
//!
//! A program of its own: the counting allocator would weigh on instructions.

use benches::ours;

#[expect(clippy::print_stdout, reason = "printing figures is its job")]
fn main() {
    for mut case in ours::cases() {
        for _ in 0..3 {
            (case.run)();
        }
        let counted = allocation_counter::measure(|| {
            (case.run)();
        });
        println!("{} {}", case.name, counted.count_total);
    }
}
