//! sonic-rs into borrowed types.

use benches::task::Normal;

use super::{Content, Document, finish};

/// Reads the event.
///
/// # Panics
/// When it is none.
pub fn normalise<R>(payload: &[u8], text: &mut String, take: impl FnOnce(&Normal<'_>) -> R) -> R {
    let document: Document<'_> = sonic_rs::from_slice(payload).expect("an event");
    let content: Content<'_> =
        sonic_rs::from_str(&document.event.message.content).expect("a content");
    finish(&document, &content, text, take)
}
