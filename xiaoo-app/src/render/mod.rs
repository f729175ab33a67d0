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
pub mod reply;
pub mod split;

pub(crate) use mention::without_mentions;

/// Whether a character is there for the layout alone: it has no width, or turns the direction of
/// the text around it, so that people see something else than what is written.
pub(crate) fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}
