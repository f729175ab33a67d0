//! What people may tell the bot itself: `/help`, `/stop` and the like, in Chinese and English.

use proto_core::InboundMessage;

/// Something that the bot is told, not the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatCommand {
    /// What there is to be told.
    Help,
    /// The conversation begins anew.
    New,
    /// What runs and waits here ends.
    Stop,
    /// What the bot is doing.
    Status,
    /// Which model answers here; with a name, which one shall.
    Model(Option<String>),
    /// What it can read up on.
    Skills,
    /// The last message of whoever says so, once more.
    Retry,
    /// What may always be done here is asked again.
    Revoke {
        /// Whoever it was allowed to, and not only whoever says so.
        of_all: bool,
        /// Only this tool.
        tool: Option<String>,
    },
    /// Lets in whoever was given this code.
    Pair(String),
    /// Shuts this person out again.
    Unpair(String),
}

/// The words that begin a command, with or without the slash's full-width form.
const WORDS: [(&str, &str, Make); 10] = [
    ("help", "帮助", |_| ChatCommand::Help),
    ("new", "新对话", |_| ChatCommand::New),
    ("stop", "停止", |_| ChatCommand::Stop),
    ("status", "状态", |_| ChatCommand::Status),
    ("model", "模型", |rest| {
        ChatCommand::Model((!rest.is_empty()).then(|| rest.to_owned()))
    }),
    ("skills", "技能", |_| ChatCommand::Skills),
    ("retry", "重试", |_| ChatCommand::Retry),
    ("revoke", "撤销", revoke),
    ("pair", "配对", |rest| ChatCommand::Pair(rest.to_owned())),
    ("unpair", "取消配对", |rest| {
        ChatCommand::Unpair(rest.to_owned())
    }),
];

type Make = fn(&str) -> ChatCommand;

impl ChatCommand {
    /// What it is called. What was said besides is nobody's business but the bot's.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::New => "new",
            Self::Stop => "stop",
            Self::Status => "status",
            Self::Model(_) => "model",
            Self::Skills => "skills",
            Self::Retry => "retry",
            Self::Revoke { .. } => "revoke",
            Self::Pair(_) => "pair",
            Self::Unpair(_) => "unpair",
        }
    }

    /// The command that a message is, if it is one.
    #[must_use]
    pub fn of(message: &InboundMessage) -> Option<Self> {
        Self::parse(&words(message))
    }

    /// The command that a text is, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let Some(said) = text.strip_prefix(['/', '／']) else {
            return is_stop(text).then_some(Self::Stop);
        };
        let (word, rest) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
        let word = word.to_lowercase();
        let (_, _, make) = WORDS
            .iter()
            .find(|(english, chinese, _)| word == *english || word == *chinese)?;
        Some(make(rest.trim()))
    }
}

/// Whoever wants something to stop does not look for the slash.
fn is_stop(text: &str) -> bool {
    let word = text.trim_end_matches(['.', '!', '。', '！']);
    word.eq_ignore_ascii_case("stop") || word == "停止" || word == "停"
}

/// `all` first, if it is meant, then the tool, if only one is meant; it may be written as code, as
/// the bot writes it.
fn revoke(rest: &str) -> ChatCommand {
    let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let of_all = first.eq_ignore_ascii_case("all") || first == "全部";
    let tool = if of_all { after } else { rest };
    let tool = tool.trim().trim_matches('`');
    ChatCommand::Revoke {
        of_all,
        tool: (!tool.is_empty()).then(|| tool.to_owned()),
    }
}

/// What a message says to the bot: a mention of it behind the words is as good as one before them.
#[must_use]
pub(super) fn words(message: &InboundMessage) -> String {
    let bots = message.mentions.iter().filter(|mention| mention.is_bot);
    bots.fold(message.text.clone(), |text, mention| {
        text.replace(&format!("@{}", mention.name), "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_in_both_languages_and_nothing_else_is_one() {
        let model = |name: &str| Some(ChatCommand::Model(Some(name.to_owned())));
        let revoke = |of_all, tool: Option<&str>| {
            let tool = tool.map(str::to_owned);
            Some(ChatCommand::Revoke { of_all, tool })
        };
        for (text, command) in [
            ("/help", Some(ChatCommand::Help)),
            (" /HELP ", Some(ChatCommand::Help)),
            ("／帮助", Some(ChatCommand::Help)),
            ("/new", Some(ChatCommand::New)),
            ("/新对话", Some(ChatCommand::New)),
            ("stop", Some(ChatCommand::Stop)),
            ("Stop!", Some(ChatCommand::Stop)),
            ("停止。", Some(ChatCommand::Stop)),
            ("/停止", Some(ChatCommand::Stop)),
            ("/stop now", Some(ChatCommand::Stop)),
            ("/model", Some(ChatCommand::Model(None))),
            ("/model  z-ai/glm-5 ", model("z-ai/glm-5")),
            ("/模型 a b", model("a b")),
            ("/retry", Some(ChatCommand::Retry)),
            ("/skills", Some(ChatCommand::Skills)),
            ("/状态", Some(ChatCommand::Status)),
            ("/revoke", revoke(false, None)),
            ("/revoke `shell` ", revoke(false, Some("shell"))),
            ("/revoke All ", revoke(true, None)),
            ("/撤销 全部", revoke(true, None)),
            ("/revoke all  web_fetch", revoke(true, Some("web_fetch"))),
            ("/revoke allow", revoke(false, Some("allow"))),
            ("/pair 123456", Some(ChatCommand::Pair("123456".into()))),
            ("/unpair ou_1", Some(ChatCommand::Unpair("ou_1".into()))),
            ("/取消配对 ou_1", Some(ChatCommand::Unpair("ou_1".into()))),
            ("please stop", None),
            ("停止部署了吗", None),
            ("/weekly-report this week", None),
            ("/", None),
            ("help", None),
            ("/helpme", None),
            ("", None),
        ] {
            assert_eq!(ChatCommand::parse(text), command, "{text:?}");
        }
    }

    #[test]
    fn a_mention_behind_the_command_is_left_out() {
        let mention = proto_core::InboundMention {
            key: "@_user_1".into(),
            open_id: "ou_b".into(),
            name: "xiaoO".into(),
            is_bot: true,
        };
        let message = InboundMessage {
            text: "/stop @xiaoO".into(),
            mentions: vec![mention],
            ..InboundMessage::default()
        };
        assert_eq!(ChatCommand::of(&message), Some(ChatCommand::Stop));
    }
}
