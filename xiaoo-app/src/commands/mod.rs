//! One module for each command, and what several share.

pub mod console;
pub mod daemon;
pub mod demo;
pub mod doctor;
pub mod init;
pub mod inspect;
pub mod language;
mod model_probe;
pub mod pairing;
pub mod skill;
pub mod store;
pub mod words;
