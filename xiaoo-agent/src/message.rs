//! What a conversation is made of, in the form that is kept.
//!
//! The kept form is ours, not a server's: it outlives the provider that produced it. The model
//! client turns it into the wire's shape when it asks.

use serde::{Deserialize, Serialize};

use crate::chat::Attachment;

/// One message of a conversation.
///
/// The system prompt is not one of them: it belongs to the turn that is being run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum Message {
    /// What the person said; the start of a turn.
    User {
        /// Plain text or Markdown.
        content: String,
        /// Pictures that came with it, for models that can see.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<Image>,
        /// Whether this is the message before said once more: it takes that one's place, and
        /// with it all that came after.
        #[serde(default, skip_serializing_if = "is_false")]
        again: bool,
    },
    /// What the model said, and what it asked to have run.
    Assistant {
        /// The visible text; may be empty when there are tool calls.
        #[serde(default)]
        content: String,
        /// The model's thinking, as far as the server told; never shown as the answer.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reasoning: String,
        /// Calls that the following [`Message::Tool`] messages answer, in any order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
    },
    /// The result of one tool call.
    Tool {
        /// The [`ToolCall::id`] that this answers.
        tool_call_id: String,
        /// What the tool said, or what went wrong.
        content: String,
        /// Files that go out with the answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Attachment>,
    },
    /// What the conversation was until here, in few words: it stands for all that came before,
    /// but for the messages that it keeps. See [`effective_history`](crate::effective_history).
    Summary {
        /// The summary.
        content: String,
        /// Instructions that hold on and may not be put in other words: texts of skills.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        verbatim: Vec<String>,
        /// How many messages right before this one, summaries not counted, it does not cover.
        #[serde(default)]
        keeps: usize,
    },
}

/// A picture of a conversation: a file of the workspace, read when a model is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Relative to the workspace's root.
    pub path: String,
    /// `image/png`, for example.
    pub media_type: String,
}

impl Message {
    /// A user message.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self::User {
            content: content.into(),
            images: Vec::new(),
            again: false,
        }
    }

    /// An assistant message without tool calls.
    #[must_use]
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::Assistant {
            content: content.into(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
        }
    }

    /// The answer to one tool call.
    #[must_use]
    pub fn tool(tool_call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Tool {
            tool_call_id: tool_call_id.into(),
            content: content.into(),
            attachments: Vec::new(),
        }
    }

    /// The text of the message, whoever said it.
    #[must_use]
    pub fn content(&self) -> &str {
        match self {
            Self::User { content, .. }
            | Self::Assistant { content, .. }
            | Self::Tool { content, .. }
            | Self::Summary { content, .. } => content,
        }
    }

    /// Bytes that this message takes up in a request, without the JSON around them.
    #[must_use]
    pub fn size(&self) -> usize {
        /// What the role, the quotes and the brackets of one message come to, rounded up.
        const FRAMING: usize = 64;
        /// What a picture costs a model, some 1,300 tokens, said in bytes of text.
        const IMAGE: usize = 4 << 10;
        FRAMING
            + match self {
                Self::User {
                    content, images, ..
                } => content.len() + images.len().saturating_mul(IMAGE),
                Self::Assistant {
                    content,
                    reasoning,
                    tool_calls,
                } => {
                    content.len()
                        + reasoning.len()
                        + tool_calls.iter().map(ToolCall::size).sum::<usize>()
                }
                Self::Tool {
                    tool_call_id,
                    content,
                    ..
                } => tool_call_id.len() + content.len(),
                Self::Summary {
                    content, verbatim, ..
                } => content.len() + verbatim.iter().map(String::len).sum::<usize>(),
            }
    }
}

/// A tool call as the model asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within the history; made up by us where the server gave none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, a JSON text. In a history that [`repair_history`](crate::repair_history)
    /// has seen it is always valid JSON.
    pub arguments: String,
}

impl ToolCall {
    fn size(&self) -> usize {
        const FRAMING: usize = 64;
        FRAMING + self.id.len() + self.name.len() + self.arguments.len()
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_form_is_stable() {
        let messages = [
            (Message::user("你好"), r#"{"role":"user","content":"你好"}"#),
            (
                Message::assistant("hi"),
                r#"{"role":"assistant","content":"hi"}"#,
            ),
            (
                Message::Assistant {
                    content: String::new(),
                    reasoning: "r".into(),
                    tool_calls: vec![ToolCall {
                        id: "call_1".into(),
                        name: "now".into(),
                        arguments: "{}".into(),
                    }],
                },
                r#"{"role":"assistant","content":"","reasoning":"r","tool_calls":[{"id":"call_1","name":"now","arguments":"{}"}]}"#,
            ),
            (
                Message::tool("call_1", "12:00"),
                r#"{"role":"tool","tool_call_id":"call_1","content":"12:00"}"#,
            ),
            (
                Message::Summary {
                    content: "s".into(),
                    verbatim: vec!["v".into()],
                    keeps: 2,
                },
                r#"{"role":"summary","content":"s","verbatim":["v"],"keeps":2}"#,
            ),
        ];
        for (message, json) in messages {
            assert_eq!(serde_json::to_string(&message).unwrap(), json);
            assert_eq!(serde_json::from_str::<Message>(json).unwrap(), message);
        }
    }
}
