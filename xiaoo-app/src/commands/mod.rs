//! One module for each command.

pub mod daemon;
pub mod demo;
pub mod doctor;
pub mod init;
pub mod inspect;
pub mod pairing;
pub mod skill;
pub mod store;
