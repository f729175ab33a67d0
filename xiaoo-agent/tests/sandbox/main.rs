//! Commands that try to get out, for real. Each act is first done outside, where it must succeed:
//! otherwise its failure inside would show nothing. All of it runs as the user of the tests, and
//! if that is root, as an ordinary user, too.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that is wrong about what it has should stop there"
)]

mod enforcement;
mod files;
mod limits;
mod network;
mod processes;
mod rig;
