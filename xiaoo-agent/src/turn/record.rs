//! What must survive a crash of a turn, step by step.

use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::model::Usage;

/// One step of a turn, in the form that is kept.
///
/// As JSON they tell themselves apart; a plain [`Message`], which earlier versions kept, is read
/// too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recorded {
    /// What a model said: a reply, or a summary. Of each call that it asks for, the start is
    /// recorded as well.
    Reply {
        /// An [`Message::Assistant`] or a [`Message::Summary`].
        reply: Message,
        /// The model that said it.
        model: String,
        /// What it cost.
        #[serde(default)]
        usage: Usage,
    },
    /// A call starts now; from here on nobody knows how far it got until its result is there.
    Started {
        /// The [`ToolCall::id`](crate::ToolCall::id).
        started: String,
    },
    /// Any other message: the result of a call. In what an earlier version kept also a reply,
    /// whose calls may have started without a word.
    Message(Message),
}

impl Recorded {
    /// The message, if it is one.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Reply { reply: message, .. } | Self::Message(message) => Some(message),
            Self::Started { .. } => None,
        }
    }

    pub(super) fn into_message(self) -> Option<Message> {
        match self {
            Self::Reply { reply: message, .. } | Self::Message(message) => Some(message),
            Self::Started { .. } => None,
        }
    }
}

impl From<Message> for Recorded {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_form_is_stable() {
        let usage = Usage {
            prompt_tokens: 1,
            cached_tokens: 0,
            completion_tokens: 2,
            total_tokens: 3,
        };
        let records = [
            (
                Recorded::Reply {
                    reply: Message::assistant("hi"),
                    model: "m".into(),
                    usage,
                },
                r#"{"reply":{"role":"assistant","content":"hi"},"model":"m","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
            ),
            (
                Recorded::Started {
                    started: "call_1".into(),
                },
                r#"{"started":"call_1"}"#,
            ),
            (
                Message::tool("call_1", "12:00").into(),
                r#"{"role":"tool","tool_call_id":"call_1","content":"12:00"}"#,
            ),
            (
                Message::assistant("of an earlier version").into(),
                r#"{"role":"assistant","content":"of an earlier version"}"#,
            ),
        ];
        for (record, json) in records {
            assert_eq!(serde_json::to_string(&record).unwrap(), json);
            assert_eq!(serde_json::from_str::<Recorded>(json).unwrap(), record);
        }
        assert!(serde_json::from_str::<Recorded>(r#"{"of":"a later version"}"#).is_err());
    }
}
