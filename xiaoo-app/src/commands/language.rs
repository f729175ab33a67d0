//! Which language a command speaks at the terminal.

use crate::cli::LanguageFlag;
use crate::config::Env;
use crate::render::language::Language;

/// What names the locale of messages; the first that is set and not empty counts, as POSIX says.
const LOCALE: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// The language that was asked for, else that of the locale; English where neither tells.
#[must_use]
pub fn chosen(flag: Option<LanguageFlag>, env: &dyn Env) -> Language {
    match flag {
        Some(LanguageFlag::Zh) => Language::Chinese,
        Some(LanguageFlag::En) => Language::English,
        None => of_locale(env),
    }
}

fn of_locale(env: &dyn Env) -> Language {
    let mut set = LOCALE.iter().filter_map(|name| env.var(name));
    let locale = set.find(|locale| !locale.is_empty()).unwrap_or_default();
    // zh, zh_CN.UTF-8, zh-Hans, but no other language that begins alike.
    match locale
        .split(|letter: char| !letter.is_ascii_alphabetic())
        .next()
    {
        Some("zh") => Language::Chinese,
        Some(_) | None => Language::English,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_counts_before_the_locale_and_the_first_name_that_is_set_before_the_others() {
        let (en, zh) = (Some(LanguageFlag::En), Some(LanguageFlag::Zh));
        for (flag, set, language) in [
            (zh, &[("LC_ALL", "C")][..], Language::Chinese),
            (en, &[("LC_ALL", "zh_CN.UTF-8")], Language::English),
            (None, &[], Language::English),
            (None, &[("LANG", "zh_CN.UTF-8")], Language::Chinese),
            (None, &[("LANG", "zh")], Language::Chinese),
            (None, &[("LANG", "zh-Hans")], Language::Chinese),
            (None, &[("LANG", "zha_CN")], Language::English),
            (None, &[("LANG", "en_GB.UTF-8")], Language::English),
            (None, &[("LC_MESSAGES", "zh_TW")], Language::Chinese),
            (
                None,
                &[("LC_MESSAGES", "C"), ("LANG", "zh_CN")],
                Language::English,
            ),
            (
                None,
                &[("LC_ALL", ""), ("LANG", "zh_CN")],
                Language::Chinese,
            ),
            (
                None,
                &[("LC_ALL", "en_US"), ("LC_MESSAGES", "zh_CN")],
                Language::English,
            ),
        ] {
            let env = |name: &str| {
                let mut set = set.iter();
                let (_, value) = set.find(|(its, _)| *its == name)?;
                Some((*value).to_owned())
            };
            assert_eq!(chosen(flag, &env), language, "{flag:?} {set:?}");
        }
    }
}
