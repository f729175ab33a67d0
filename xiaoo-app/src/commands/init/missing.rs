//! What only a person could say, and there is none: all options, and which of them are missing.

use core::fmt;

use clap::{Args as _, Command};

use super::answers::{ENCRYPT_VARIABLE, SECRET_VARIABLE};
use super::texts;
use crate::cli::InitArgs;
use crate::render::language::Language;

/// What only a person could say, and there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    names: Vec<String>,
    language: Language,
}

impl Missing {
    pub(super) fn new(names: Vec<String>, language: Language) -> Self {
        Self { names, language }
    }

    pub(super) fn consent(language: Language) -> Self {
        Self::new(vec!["--yes".to_owned()], language)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = texts::of(self.language);
        f.write_str(texts.nobody_to_ask)?;
        let mut named = named(self.language);
        // A variable may have another name than usual.
        for name in &self.names {
            if !named.iter().any(|(known, _)| known == name) {
                named.push((name.clone(), texts.secret_of_environment.to_owned()));
            }
        }
        // Chinese words are wider than they are long; both marks have a width of seven.
        let (mark, no_mark) = (texts.missing, " ".repeat(7));
        let mark = match self.language {
            Language::English => format!("{mark:<7}"),
            Language::Chinese => format!("{mark:<5}"),
        };
        for (name, meaning) in named {
            let mark = if self.names.contains(&name) {
                &mark
            } else {
                &no_mark
            };
            write!(f, "\n  {mark}  {name:<22} {meaning}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Missing {}

/// Every option, each secret behind the one that it belongs to, and what it is for.
fn named(language: Language) -> Vec<(String, String)> {
    let texts = texts::of(language);
    let command = InitArgs::augment_args(Command::new("init"));
    let mut named = Vec::new();
    for option in command.get_arguments() {
        let Some(long) = option.get_long() else {
            continue;
        };
        let name = format!("--{long}");
        let help = option.get_help().map(ToString::to_string);
        let meaning = (texts.option)(&name).map(str::to_owned).or(help);
        let secret = match long {
            "app-id" => Some(SECRET_VARIABLE),
            "verification-token" => Some(ENCRYPT_VARIABLE),
            _ => None,
        };
        named.push((name, meaning.unwrap_or_default()));
        if let Some(variable) = secret {
            let name = format!("${variable}");
            let meaning = (texts.option)(&name).unwrap_or_default().to_owned();
            named.push((name, meaning));
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_listed_and_explained_in_both_languages() {
        let [english, chinese] = [Language::English, Language::Chinese].map(named);
        assert_eq!(english.len(), chinese.len());
        for ((name, english), (same, chinese)) in english.iter().zip(&chinese) {
            assert_eq!(name, same);
            assert!(
                english.is_ascii() || english.contains('…'),
                "{name}: {english}"
            );
            let is_chinese = chinese.chars().any(|letter| letter > '\u{4e00}');
            let is_a_name = matches!(chinese.as_str(), "App ID" | "App Secret");
            assert!(
                !english.is_empty() && (is_chinese || is_a_name),
                "{name}: {chinese}"
            );
        }
        for known in [
            "--config",
            "$FEISHU_APP_SECRET",
            "--account",
            "--yes",
            "--lang",
        ] {
            assert!(english.iter().any(|(name, _)| name == known), "{known}");
        }
    }
}
