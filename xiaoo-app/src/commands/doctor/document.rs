//! The table of findings as pages: docs/troubleshooting.md, and the same in Chinese.

use std::fmt::Write as _;

use super::findings::{ALL, Finding, Words};
use crate::render::language::Language;

const TITLE: Words = Words {
    en: "Troubleshooting",
    zh: "排查",
};
const INTRODUCTION: Words = Words {
    en: "[中文](troubleshooting.zh-CN.md)\n\n\
         Generated from the table that `xiaoo-app doctor` uses; a test keeps them equal.\n\
         `xiaoo-app doctor` finds which of these it is. `xiaoo-app doctor explain TEXT` looks up\n\
         what the console says, or a code.\n\n\
         While it dials, doctor is one more long connection of the app for a moment. It closes it\n\
         at once and acknowledges nothing: an event that Feishu pushes to it just then is pushed\n\
         again to the daemon after 15 s. A card's button pressed in that moment fails, and can be\n\
         pressed again.\n",
    zh: "[English](troubleshooting.md)\n\n\
         本页由 `xiaoo-app doctor` 所用的表生成，并由测试保证一致。运行 `xiaoo-app doctor` 即可\n\
         定位是哪一项；`xiaoo-app doctor explain 文字或错误码` 解释后台提示。\n\n\
         doctor 拨号时会短暂地成为该应用的另一条长连接，随即关闭，且不确认任何事件：飞书恰好在\n\
         此时推给它的事件，会在 15 秒后重新推给守护进程；此刻点击的卡片按钮会失败，再点一次即可。\n",
};
const CAUSE: Words = Words {
    en: "Why",
    zh: "原因",
};
const FIX: Words = Words {
    en: "What to do",
    zh: "办法",
};
const SEEN_AS: Words = Words {
    en: "Seen as",
    zh: "表现为",
};
const CONSOLE: Words = Words {
    en: "Console",
    zh: "后台",
};

/// The page in a language. A test compares it with the file.
#[must_use]
pub fn page(language: Language) -> String {
    let title = TITLE.in_language(language);
    let mut page = format!("# {title}\n\n{}", INTRODUCTION.in_language(language));
    for finding in ALL {
        section(finding, language, &mut page);
    }
    page
}

fn section(finding: &Finding, language: Language, page: &mut String) {
    let codes = finding.codes.iter().map(i64::to_string);
    let says = finding.says.iter().map(|says| (*says).to_owned());
    let seen: Vec<String> = says.chain(codes).map(|text| format!("`{text}`")).collect();
    let link = finding
        .page
        .link("", "APP_ID")
        .map(|link| format!("<{link}>"));
    let lines = [
        (CAUSE, Some(finding.cause.in_language(language).to_owned())),
        (FIX, Some(finding.fix.in_language(language).to_owned())),
        (SEEN_AS, (!seen.is_empty()).then(|| seen.join(", "))),
        (CONSOLE, link),
    ];
    let title = finding.title.in_language(language);
    // Writing to a String doesn't fail.
    let _ = write!(page, "\n## {}\n\n**{title}**\n", finding.id);
    for (label, text) in lines {
        if let Some(text) = text {
            let colon = language.pick("：", ": ");
            let label = label.in_language(language);
            let _ = write!(page, "\n{label}{colon}{text}\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pages_are_those_that_the_table_gives() {
        for (language, name) in [
            (Language::English, "troubleshooting.md"),
            (Language::Chinese, "troubleshooting.zh-CN.md"),
        ] {
            let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
            if std::env::var_os("XIAOO_UPDATE_REFERENCE").is_some() {
                std::fs::write(&path, page(language)).unwrap();
            }
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                page(language),
                "run XIAOO_UPDATE_REFERENCE=1 cargo test -p xiaoo-app --lib doctor"
            );
        }
    }

    #[test]
    fn each_finding_has_a_name_of_its_own_and_all_its_words() {
        for (at, finding) in ALL.iter().enumerate() {
            assert!(ALL[at + 1..].iter().all(|other| other.id != finding.id));
            for words in [finding.title, finding.cause, finding.fix] {
                assert!(!words.en.is_empty() && !words.zh.is_empty());
            }
        }
    }
}
