//! One module for each command.

pub mod daemon;
pub mod demo;
pub mod init;
pub mod inspect;
pub mod skill;
pub mod store;
