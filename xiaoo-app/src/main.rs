//! The xiaoO daemon.
fn main() {}
