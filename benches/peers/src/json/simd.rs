//! simd-json into borrowed types. It parses in place, so the received bytes
//! are copied first, and so is the content.

use benches::task::Normal;
use simd_json::Buffers;

use super::{Content, Document, finish};

/// What it can reuse from call to call.
#[derive(Default)]
pub struct Work {
    document: Vec<u8>,
    content: Vec<u8>,
    buffers: Buffers,
}

/// Reads the event.
///
/// # Panics
/// When it is none.
pub fn normalise<R>(
    payload: &[u8],
    work: &mut Work,
    text: &mut String,
    take: impl FnOnce(&Normal<'_>) -> R,
) -> R {
    let Work {
        document,
        content,
        buffers,
    } = work;
    document.clear();
    document.extend_from_slice(payload);
    let document: Document<'_> =
        simd_json::serde::from_slice_with_buffers(document, buffers).expect("an event");
    content.clear();
    content.extend_from_slice(document.event.message.content.as_bytes());
    let content: Content<'_> =
        simd_json::serde::from_slice_with_buffers(content, buffers).expect("a content");
    finish(&document, &content, text, take)
}
