//! What people see, as Feishu content: cards, answers and notices; and what a model reads of
//! what people said. Pure functions, no I/O.
//!
//! Neither side is trusted: nothing that a model wrote can mention everybody, and nothing that a
//! person wrote can pass for the structure around it.

pub mod action;
pub mod answer;
pub mod ask;
pub mod attachment;
pub mod card;
pub mod context;
pub mod language;
pub mod mention;
pub mod notice;
pub mod people;
pub mod placeholder;
pub mod reply;
pub mod split;
pub(crate) mod time;

pub(crate) use mention::without_mentions;
