//! What others pay for the same jobs. See the README one folder up.

pub mod cases;
pub mod frame;
pub mod json;
pub mod plain;
pub mod sealed;
