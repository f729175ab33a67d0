//! What is in an event.

use core::ptr;

use proto_core::{Event, EventKind, Identity, Json, JsonStr};

use crate::Bytes;

/// A message that somebody sent.
#[repr(C)]
pub struct Message {
    /// `om_…`; empty if the event is no message.
    pub message_id: Bytes,
    /// `oc_…`
    pub chat_id: Bytes,
    /// Whether it is for this bot: sent to it alone, or with its mention.
    pub addressed: bool,
    /// Bytes of what it says that were written to `text`.
    pub text_len: usize,
    /// Whether there was no room for more; the cut is between two characters.
    pub text_cut: bool,
}

/// Reads the message in an event.
///
/// What it says is written to `text`, at most `text_size` bytes of UTF-8 without
/// a zero at the end; `text` may be null if `text_size` is 0. `bot_open_id` may
/// be empty; then only messages sent to the bot alone are for it. The ids are
/// good as long as `event` is.
///
/// # Safety
/// As the header says of `feishu_bytes`; `text` points to `text_size` writable
/// bytes that are not part of the other arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn feishu_read_message(
    event: Bytes,
    app_id: Bytes,
    bot_open_id: Bytes,
    text: *mut u8,
    text_size: usize,
) -> Message {
    // SAFETY: the caller vouches for `event` for as long as it uses the ids.
    let event = unsafe { event.borrow() };
    // SAFETY: the caller vouches for `app_id` during this call.
    let app_id = unsafe { app_id.borrow() };
    // SAFETY: the caller vouches for `bot_open_id` during this call.
    let open_id = unsafe { bot_open_id.borrow() };
    let identity = Identity {
        open_id: str::from_utf8(open_id).unwrap_or_default(),
        app_id: str::from_utf8(app_id).unwrap_or_default(),
    };
    let Some((mut message, words)) = read(event, identity) else {
        return Message::NONE;
    };
    if !text.is_null() {
        let fits = (0..=words.len().min(text_size))
            .rfind(|end| words.is_char_boundary(*end))
            .unwrap_or_default();
        // SAFETY: `words` has at least `fits` bytes and `text` room for
        // `text_size`, which is no less; `words` is ours alone, so the two do
        // not overlap.
        unsafe { ptr::copy_nonoverlapping(words.as_ptr(), text, fits) };
        message.text_len = fits;
    }
    message.text_cut = message.text_len < words.len();
    message
}

/// The message, and what it says.
fn read(event: &[u8], identity: Identity<'_>) -> Option<(Message, String)> {
    let EventKind::Message(message) = Event::parse(event).ok()?.kind else {
        return None;
    };
    let (mut scratch, mut words) = (String::new(), String::new());
    let normalized = message
        .normalize(identity, &mut scratch, &mut words, &mut |_| {})
        .ok()?;
    // Ids have no escapes.
    let lend = |id: Option<JsonStr<'_>>| Bytes::lend(id.map_or("", JsonStr::raw).as_bytes());
    let message = Message {
        message_id: lend(message.message_id),
        chat_id: lend(message.chat_id),
        addressed: normalized.addressed,
        ..Message::NONE
    };
    Some((message, words))
}

impl Message {
    const NONE: Self = Self {
        message_id: Bytes::EMPTY,
        chat_id: Bytes::EMPTY,
        addressed: false,
        text_len: 0,
        text_cut: false,
    };
}

/// A member of a JSON object: of a string what is between its quotes, escapes
/// and all; of anything else its JSON. Empty if there is none. Good as long as
/// `object` is.
///
/// # Safety
/// As the header says of `feishu_bytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn feishu_json_member(object: Bytes, key: Bytes) -> Bytes {
    // SAFETY: the caller vouches for `object` for as long as it uses the member.
    let object = unsafe { object.borrow() };
    // SAFETY: the caller vouches for `key` during this call.
    let key = unsafe { key.borrow() };
    let member = str::from_utf8(key)
        .ok()
        .and_then(|key| Json::parse(object).ok()?.get(key))
        .map_or("", |value| value.as_str().map_or(value.raw(), JsonStr::raw));
    Bytes::lend(member.as_bytes())
}
