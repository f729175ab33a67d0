//! What there is to send, in the form that is kept.

use serde::{Deserialize, Serialize};
use xiaoo_store::Body;

use crate::fail_point::FailPoint;

/// One thing to send, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "send", rename_all = "snake_case")]
pub enum Sending {
    /// An answer or a notice, as a reply to the person's message.
    Reply {
        /// The person's message.
        message_id: String,
        /// Where to, if that message is gone.
        chat_id: String,
        /// Whether the message is in a thread.
        in_thread: bool,
        /// Which thread.
        #[serde(default)]
        thread_id: Option<String>,
        /// How many parts of the same answer come before this one.
        #[serde(default)]
        part: usize,
        /// When the person's message came in, Unix milliseconds.
        #[serde(default)]
        asked_ms: i64,
        /// `post` or `text`.
        msg_type: String,
        /// The content's JSON.
        content: String,
        /// The same as the content of a plain text message, for when Feishu
        /// does not take the first form.
        fallback: Option<String>,
    },
    /// A file that goes with an answer, or the word that it does not. It is at Feishu already, so
    /// any daemon can send it.
    File {
        /// The person's message.
        message_id: String,
        /// Where to, if that message is gone.
        chat_id: String,
        /// Whether the message is in a thread.
        in_thread: bool,
        /// Which thread.
        thread_id: Option<String>,
        /// How many parts of the same answer come before this one.
        part: usize,
        /// When the person's message came in, Unix milliseconds.
        asked_ms: i64,
        /// `image`, `file`, `audio` or `media`; `text` for the word.
        msg_type: String,
        /// The content's JSON: the key by which Feishu has it.
        content: String,
        /// The content of a text that says so where Feishu does not take it.
        fallback: Option<String>,
    },
    /// The final state of a progress card.
    FinishCard {
        /// The card's message; `None` if it is not known whether it was sent.
        card: Option<String>,
        /// The message that the card replies to.
        reply_to: String,
        /// The uuid under which the card was or will be sent.
        create_uuid: String,
        /// The card's JSON.
        content: String,
        /// Where the card is.
        #[serde(default)]
        chat_id: String,
        /// The thread where it is.
        #[serde(default)]
        thread_id: Option<String>,
        /// When the person's message came in, Unix milliseconds.
        #[serde(default)]
        asked_ms: i64,
        /// Not to be sent before, Unix milliseconds.
        #[serde(default)]
        not_before_ms: i64,
    },
    /// A reaction on a message that is not worked on; it stays.
    Mark {
        /// The person's message.
        message_id: String,
        /// Its chat.
        chat_id: String,
        /// Whether the message is in a thread.
        in_thread: bool,
        /// Which reaction.
        emoji: String,
        /// A text's JSON, to be sent where reactions are not taken.
        instead: String,
    },
    /// The reaction on the person's message, to be taken away.
    TakeReactionAway {
        /// The person's message.
        message_id: String,
        /// The reaction's id; `None` if it is not known whether there is one.
        reaction: Option<String>,
        /// Which reaction it is.
        #[serde(default)]
        emoji: String,
        /// Not to be sent before, Unix milliseconds.
        #[serde(default)]
        not_before_ms: i64,
    },
}

impl Sending {
    /// The word for it in the store.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::File { .. } => "file",
            Self::FinishCard { .. } => "card",
            Self::Mark { .. } => "mark",
            Self::TakeReactionAway { .. } => "unreact",
        }
    }

    /// The form that is kept.
    #[must_use]
    pub fn to_body(&self) -> Body {
        // Strings and a tag: this cannot fail.
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Where a test can stop the process: before, between and after.
    pub(super) fn fail_points(&self) -> [FailPoint; 3] {
        use FailPoint as At;
        match self {
            Self::Reply { .. } => [At::ReplyTaken, At::ReplySent, At::ReplySettled],
            Self::File { .. } => [At::FileTaken, At::FileSent, At::FileSettled],
            Self::FinishCard { .. } => [At::CardTaken, At::CardSent, At::CardSettled],
            Self::Mark { .. } => [At::MarkTaken, At::MarkSent, At::MarkSettled],
            Self::TakeReactionAway { .. } => {
                [At::UnreactTaken, At::UnreactSent, At::UnreactSettled]
            }
        }
    }

    /// When it may be sent, Unix milliseconds.
    pub(super) fn not_before_ms(&self) -> i64 {
        match self {
            Self::Reply { .. } | Self::File { .. } | Self::Mark { .. } => 0,
            Self::FinishCard { not_before_ms, .. }
            | Self::TakeReactionAway { not_before_ms, .. } => *not_before_ms,
        }
    }

    /// Whether people can do without it.
    pub(super) fn is_sign(&self) -> bool {
        match self {
            Self::Reply { .. } | Self::File { .. } | Self::Mark { .. } => false,
            Self::FinishCard { .. } | Self::TakeReactionAway { .. } => true,
        }
    }
}
