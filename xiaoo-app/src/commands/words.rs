//! Texts in the two languages of the terminal.

use crate::render::language::Language;

/// The same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// English.
    pub en: &'static str,
    /// 中文.
    pub zh: &'static str,
}

impl Words {
    /// In this language.
    #[must_use]
    pub const fn in_language(self, language: Language) -> &'static str {
        language.pick(self.zh, self.en)
    }
}
