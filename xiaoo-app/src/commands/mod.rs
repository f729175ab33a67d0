//! One module for each command, and what several share.

pub mod daemon;
pub mod demo;
pub mod doctor;
pub mod init;
pub mod inspect;
pub mod language;
pub mod pairing;
pub mod skill;
pub mod store;
