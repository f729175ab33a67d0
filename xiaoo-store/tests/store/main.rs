//! The promises of the store, seen from outside: through its public face alone,
//! so that another engine can be put under the same tests.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that is wrong about what it has should stop there"
)]

mod crash;
mod inbox;
mod model;
mod open;
mod outbox;
mod rig;
mod turns;
mod upkeep;
