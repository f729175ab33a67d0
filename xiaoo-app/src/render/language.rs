//! Which language a person writes.

use serde::{Deserialize, Serialize};

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
    use super::Language;

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
