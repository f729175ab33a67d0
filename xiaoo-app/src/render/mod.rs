//! What people see, as Feishu content: cards, answers and notices. Pure
//! functions, no I/O.
//!
//! What a model or a person wrote is not trusted: of it, only the names of people
//! who are known to be there become mentions, and everyone never does.

pub mod action;
pub mod answer;
pub mod ask;
pub mod attachment;
pub mod card;
pub mod command;
pub mod context;
pub mod language;
pub mod mention;
pub mod notice;
pub mod split;

pub(crate) use mention::without_mentions;
