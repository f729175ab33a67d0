//! Plain notices: what a person gets when there is no answer.

use serde_json::json;

use super::answer::Content;
use super::language::Language;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The model failed, after all its tries.
    Failed,
    /// The turn was cut off again and again.
    Interrupted,
    /// The turn took longer than a turn may.
    TimedOut,
    /// The conversation's backlog is full.
    Busy,
    /// The message came too long ago.
    Late,
}

impl Notice {
    /// The notice in a language.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        match self {
            Self::Failed => language.pick(
                "抱歉，这条消息处理失败了：模型服务暂时没有给出回答。请稍后再试一次。",
                "Sorry, this message could not be answered: the model gave no answer. Please try again in a while.",
            ),
            Self::Interrupted => language.pick(
                "抱歉，这条消息的处理被多次中断，已经停止。请再发一次。",
                "Sorry, work on this message was interrupted several times and has stopped. Please send it again.",
            ),
            Self::TimedOut => language.pick(
                "抱歉，这条消息处理超时，已经停止。可以把问题拆小一些再试。",
                "Sorry, this message took too long and was stopped. A smaller question may work.",
            ),
            Self::Busy => language.pick(
                "这里排队的消息太多了，这一条和接下来标了叉的消息不会处理。请等我回复完再发。",
                "Too many messages are waiting here. This one, and those after it that I mark with a cross, will not be answered: please send them again later.",
            ),
            Self::Late => language.pick(
                "抱歉，这条消息我很久之后才收到，没有处理。如果还需要，请再发一次。",
                "Sorry, this message reached me too late and was not worked on. If it still matters, please send it again.",
            ),
        }
    }
}

/// A notice as a message.
#[must_use]
pub fn content(text: &str) -> Content {
    Content {
        msg_type: "text",
        content: json!({ "text": text }).to_string(),
        fallback: None,
    }
}
