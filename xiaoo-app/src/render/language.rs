//! Which language a person writes.

use proto_core::InboundMessage;
use serde::{Deserialize, Serialize};

use super::placeholder::without_placeholders;

/// The two languages that notices come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// 中文, also where a text does not tell.
    #[default]
    Chinese,
    /// English.
    English,
}

impl Language {
    /// The language in which somebody wrote: who is mentioned and what is attached do not tell.
    #[must_use]
    pub fn of_message(message: &InboundMessage) -> Self {
        // The text of any other type is the platform's or ours.
        if !["text", "post"].contains(&message.message_type.as_str()) {
            return Self::default();
        }
        let mentions = message.mentions.iter();
        let words = mentions.fold(without_placeholders(&message.text), |words, mention| {
            words.replace(&format!("@{}", mention.name), "")
        });
        Self::of(&words)
    }

    /// The language of a text: Chinese if a Chinese character is in it,
    /// English if there are only other letters.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let chinese = |character: char| matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3134f}');
        if text.chars().any(chinese) || !text.chars().any(char::is_alphabetic) {
            Self::Chinese
        } else {
            Self::English
        }
    }

    /// The words of this language.
    #[must_use]
    pub const fn pick(self, chinese: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Chinese => chinese,
            Self::English => english,
        }
    }
}

#[cfg(test)]
mod tests {
    use proto_core::InboundMention;

    use super::*;

    #[test]
    fn names_and_files_tell_no_language() {
        let of = |message_type: &str, text: &str, name: &str| {
            let mention = InboundMention {
                key: "@_user_1".into(),
                open_id: "ou_1".into(),
                name: name.into(),
                is_bot: false,
            };
            Language::of_message(&InboundMessage {
                message_type: message_type.into(),
                text: text.into(),
                mentions: vec![mention],
                ..InboundMessage::default()
            })
        };
        for (message_type, text, name, language) in [
            ("text", "@xiaoO", "xiaoO", Language::Chinese),
            ("text", "@小欧 hello", "小欧", Language::English),
            ("image", "![image](img_1)", "", Language::Chinese),
            (
                "file",
                "<file key=\"k\" name=\"a.pdf\"/>",
                "",
                Language::Chinese,
            ),
            ("post", "![image](img_1)", "", Language::Chinese),
            ("post", "![image](img_1) what is it?", "", Language::English),
        ] {
            assert_eq!(of(message_type, text, name), language, "{text}");
        }
    }

    #[test]
    fn one_chinese_character_makes_a_text_chinese() {
        for (text, language) in [
            ("你好", Language::Chinese),
            ("fix the 构建 please", Language::Chinese),
            ("hello", Language::English),
            ("привет", Language::English),
            ("", Language::Chinese),
            ("👍 42", Language::Chinese),
        ] {
            assert_eq!(Language::of(text), language, "{text}");
        }
    }
}
