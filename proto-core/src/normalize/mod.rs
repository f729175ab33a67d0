//! Messages of every type as one shape: who, where, what it says, what hangs
//! on it.
//!
//! These functions are total: strange content gives a marked text, never a
//! panic and never a lost message. What a message says is rendered as plain
//! text with a few tags of ours (`<file …/>`, `<vote>…</vote>`). Values inside
//! tags are escaped; a person's own words are passed on as they were typed, so
//! whoever shows them to a model must mark them as a person's words.

mod card;
mod content;
#[cfg(feature = "alloc")]
mod inbound;
#[cfg(feature = "alloc")]
mod inspect;
mod mention;
mod post;
mod text;
mod words;

#[cfg(feature = "alloc")]
pub use content::time_in_china;
#[cfg(feature = "alloc")]
pub use inbound::{InboundMention, InboundMessage, InboundResource};
#[cfg(feature = "alloc")]
pub use inspect::inspect_event_json;

use crate::event::{Body, Message};
use crate::json::{Json, JsonStr};
use crate::{BufferFull, GUESS, TextBuffer};
use mention::Mentions;
use words::Writer;

/// Bytes that a text may grow to by names and values put in: a small event must
/// not become a huge text. Feishu's own messages end at 150 KB.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Who the bot is. Mentions are judged by its open_id, never by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The bot's open_id; empty while it is not known.
    pub open_id: &'a str,
    /// The app's id.
    pub app_id: &'a str,
}

/// What a message is to this bot. What it says is in the text buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normalized {
    /// Whether this bot is mentioned.
    pub mentions_bot: bool,
    /// Whether everyone is mentioned.
    pub mentions_all: bool,
    /// Whether this bot sent it.
    pub self_sent: bool,
    /// Whether what it says can only be had by asking for the message.
    pub needs_fetch: bool,
    /// Whether it is for this bot by the default policy.
    pub addressed: bool,
}

/// Something that can be downloaded with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// What it is.
    pub kind: ResourceKind,
    /// `img_…` or `file_…`: opaque.
    pub file_key: JsonStr<'a>,
    /// Its name.
    pub file_name: Option<JsonStr<'a>>,
    /// How long it plays, in ms.
    pub duration_ms: Option<i64>,
    /// The image shown for a video.
    pub cover_image_key: Option<JsonStr<'a>>,
}

/// Kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// Downloaded with `type=image`; all others with `type=file`.
    Image,
    /// A file.
    File,
    /// Opus audio.
    Audio,
    /// A video.
    Video,
    /// Can be sent again and never downloaded.
    Sticker,
}

impl Message<'_> {
    /// Reads what the message says into `text` and tells what it is to the bot.
    ///
    /// Both buffers are emptied first. `scratch` takes the content without its
    /// outer escapes (a message of type `text` hardly ever needs it); it and
    /// `text` may become as long as the content. `resources` is called for each
    /// file and image in order; the same one may come twice.
    ///
    /// # Errors
    /// [`BufferFull`] when one of the buffers is too small.
    pub fn normalize(
        &self,
        identity: Identity<'_>,
        scratch: &mut impl TextBuffer,
        text: &mut impl TextBuffer,
        resources: &mut dyn FnMut(Resource<'_>),
    ) -> Result<Normalized, BufferFull> {
        text.truncate(0);
        let mentions = Mentions::of(self, identity);
        let mut out = Writer::new(text, &mentions, resources);
        let mut mentions_bot = mentions.bot;
        match self.body {
            Body::Content(content) => {
                let content = content.unwrap_or(JsonStr::EMPTY);
                if !(GUESS && self.is_text() && text::write(&mut out, content)?) {
                    out.start_again();
                    scratch.truncate(0);
                    content.unescape(scratch)?;
                    let object = Json::of_text(scratch.as_str()).filter(|inner| inner.is_object());
                    let object = object.unwrap_or(Json::EMPTY_OBJECT);
                    content::write(&mut out, self.message_type, object)?;
                }
            }
            Body::Flat {
                event,
                mentions_bot: stated,
                text_without_at_bot,
            } => {
                mentions_bot = stated;
                match text_without_at_bot.filter(|_| stated && self.is_text()) {
                    Some(words) => text::write_words(&mut out, Some(words))?,
                    None => content::write(&mut out, self.message_type, event)?,
                }
            }
        }
        let self_sent = self.is_from(identity);
        Ok(Normalized {
            mentions_bot,
            mentions_all: mentions.all || out.mentions_all,
            self_sent,
            needs_fetch: out.needs_fetch,
            addressed: (self.is_direct() || mentions_bot) && !self_sent && !self.is_recalled(),
        })
    }

    /// Whether this bot sent it.
    #[must_use]
    pub fn is_from(&self, identity: Identity<'_>) -> bool {
        let own = |id: Option<JsonStr<'_>>, own: &str| id.is_some_and(|id| id == *own);
        own(self.sender_open_id, identity.open_id)
            || own(self.sender_open_id, identity.app_id)
            || own(self.sender_app_id, identity.app_id)
    }

    fn is_text(&self) -> bool {
        self.message_type.is_some_and(|kind| kind == "text")
    }
}

impl<'a> Resource<'a> {
    const fn new(kind: ResourceKind, file_key: JsonStr<'a>) -> Self {
        Self {
            kind,
            file_key,
            file_name: None,
            duration_ms: None,
            cover_image_key: None,
        }
    }
}

impl ResourceKind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::File => "file",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Sticker => "sticker",
        }
    }

    /// The `type` of the download call.
    #[must_use]
    pub const fn download_type(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::File | Self::Audio | Self::Video | Self::Sticker => "file",
        }
    }
}

/// Feishu writes what is absent as `""` as well as leaving it out.
fn filled(text: Option<JsonStr<'_>>) -> Option<JsonStr<'_>> {
    text.filter(|text| !text.is_empty())
}
