//! The table of findings as a page: docs/troubleshooting.md.

use std::fmt::Write as _;

use super::findings::{ALL, Finding};

/// The page. A test compares it with the file.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Troubleshooting · 排查\n\n\
         Generated from the table that `xiaoo-app doctor` uses; a test keeps them equal.\n\
         `xiaoo-app doctor` finds which of these it is. `xiaoo-app doctor explain TEXT` looks up\n\
         what the console says, or a code.\n\n\
         本页由 `xiaoo-app doctor` 所用的表生成。运行 `xiaoo-app doctor` 即可定位；\n\
         `xiaoo-app doctor explain 文字或错误码` 解释后台提示。\n\n\
         While it dials, doctor is one more long connection of the app for a moment. It closes it\n\
         at once and acknowledges nothing: an event that Feishu pushes to it just then is pushed\n\
         again to the daemon after 15 s. A card's button pressed in that moment fails, and can be\n\
         pressed again.\n",
    );
    for finding in ALL {
        section(finding, &mut page);
    }
    page
}

fn section(finding: &Finding, page: &mut String) {
    // Writing to a String doesn't fail.
    let _ = write!(
        page,
        "\n## {}\n\n**{}.** {}\n{}\n\n**{}。** {}\n{}\n",
        finding.id,
        finding.title.en,
        finding.cause.en,
        finding.fix.en,
        finding.title.zh,
        finding.cause.zh,
        finding.fix.zh,
    );
    let codes = finding.codes.iter().map(i64::to_string);
    let says = finding.says.iter().map(|says| (*says).to_owned());
    let all: Vec<String> = says.chain(codes).map(|text| format!("`{text}`")).collect();
    if !all.is_empty() {
        let _ = write!(page, "\nSeen as · 表现为: {}\n", all.join(", "));
    }
    if let Some(link) = finding.page.link("", "APP_ID") {
        let _ = write!(page, "\nConsole · 后台: <{link}>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_the_one_that_the_table_gives() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/troubleshooting.md");
        if std::env::var_os("XIAOO_UPDATE_REFERENCE").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            page(),
            "run XIAOO_UPDATE_REFERENCE=1 cargo test -p xiaoo-app --lib doctor"
        );
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
