//! Plain notices: what a person gets when there is no answer.

use serde_json::json;

use super::answer::Content;
use super::language::Language;
use super::mention::plain;
use crate::pipeline::budget::UsedUp;
use crate::pipeline::policy::Refusal;

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
    /// The conversation does not fit into the model any more.
    TooLong,
    /// The sender has said nothing here that could be answered once more.
    NothingToRetry,
    /// What may be used in a day is used up.
    UsedUp(UsedUp),
    /// The sender may not talk to the bot.
    Refused(Refusal),
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
            Self::TooLong => language.pick(
                "抱歉，这个对话太长了，模型已经读不下。发送 /new 开始新对话。",
                "Sorry, this conversation has become too long for the model. /new begins another one.",
            ),
            Self::NothingToRetry => language.pick(
                "你在这里还没有可以重新回答的消息。",
                "There is no message of yours here that I could answer once more.",
            ),
            Self::UsedUp(UsedUp::Person) => language.pick(
                "你今天的用量已经用完，明天（北京时间 0 点后）可以继续。",
                "You have used up your share for today. It begins anew at midnight (UTC+8).",
            ),
            Self::UsedUp(UsedUp::Chat) => language.pick(
                "这个会话今天的用量已经用完，明天（北京时间 0 点后）可以继续。",
                "This chat has used up its share for today. It begins anew at midnight (UTC+8).",
            ),
            Self::Refused(Refusal::NotAllowed) => language.pick(
                "抱歉，你还没有使用权限，请联系管理员。",
                "Sorry, you are not on the list of people I may talk to. Please ask an admin.",
            ),
            Self::Refused(Refusal::Disabled) => language.pick(
                "抱歉，我不接受私聊，请在群里 @ 我。",
                "Sorry, I do not take direct messages. Please mention me in a group.",
            ),
            Self::Refused(Refusal::NotPaired) => language.pick(
                "抱歉，需要管理员允许后才能和我私聊。请把下面这条命令发给管理员，由管理员发给我：",
                "Sorry, an admin has to let you in first. Please have an admin send me this command:",
            ),
        }
    }
}

/// A file that goes with an answer could not be sent.
#[must_use]
pub fn file_not_sent(language: Language, name: &str) -> String {
    match language {
        Language::Chinese => format!("（文件 {name} 无法发送）"),
        Language::English => format!("(The file {name} could not be sent.)"),
    }
}

/// So many files more than go with one answer were not sent.
#[must_use]
pub fn files_left_out(language: Language, count: usize, files_max: usize) -> String {
    match language {
        Language::Chinese => {
            format!("（一次最多发送 {files_max} 个文件，还有 {count} 个没有发送）")
        }
        Language::English => {
            format!("({count} more were not sent: {files_max} files go with one answer.)")
        }
    }
}

/// A notice as a message. Nobody is mentioned in it, whatever it quotes.
#[must_use]
pub fn content(text: &str) -> Content {
    Content {
        msg_type: "text",
        content: json!({ "text": plain(text) }).to_string(),
        fallback: None,
    }
}
