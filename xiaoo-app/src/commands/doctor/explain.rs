//! `doctor explain`: what a message or a code means.

use std::io::Write;

use anyhow::bail;
use runtime_tokio::openapi::codes;

use super::findings::{ALL, Finding};
use super::report::Reader;

/// Shorter texts stand in too many messages.
const TEXT_CHARS_MIN: usize = 2;

/// Says what is known of `text`.
///
/// # Errors
/// When nothing is, or `out` can't be written to.
pub fn run(text: &str, reader: &Reader, out: &mut impl Write) -> anyhow::Result<()> {
    let code = text.trim().parse::<i64>().ok();
    let known = code.and_then(codes::lookup);
    let found = match code {
        Some(code) => by_code(code),
        None => by_text(text),
    };
    if let Some(known) = known {
        writeln!(out, "{}: {}", known.code, known.meaning)?;
    }
    for finding in &found {
        writeln!(out, "{}", finding.title.in_language(reader.language))?;
        reader.write_help(finding, out)?;
    }
    if found.is_empty() && known.is_none() {
        let advice = reader.language.pick(
            "没有关于它的说明；运行 xiaoo-app doctor 逐项检查",
            "nothing is known of it; run xiaoo-app doctor, which checks layer by layer",
        );
        bail!("{text:?}: {advice}");
    }
    Ok(())
}

fn by_code(code: i64) -> Vec<&'static Finding> {
    let of_code = |finding: &&&'static Finding| finding.codes.contains(&code);
    ALL.iter().filter(of_code).copied().collect()
}

fn by_text(text: &str) -> Vec<&'static Finding> {
    let wanted = plain(text);
    if wanted.chars().count() < TEXT_CHARS_MIN {
        return Vec::new();
    }
    let names_it = |finding: &&&'static Finding| {
        finding.id == text.trim()
            || finding.says.iter().any(|says| {
                let says = plain(says);
                wanted.contains(&says) || says.contains(&wanted)
            })
    };
    ALL.iter().filter(names_it).copied().collect()
}

/// Letters and digits alone, small: people copy with other blanks and stops.
fn plain(text: &str) -> String {
    let letters = text.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_console_says_is_known_in_both_languages() {
        for (text, id) in [
            ("请求超时", "public-unreachable"),
            ("timeout while verifying callback URL", "public-unreachable"),
            ("challenge 校验失败", "route-missing"),
            ("Challenge verification failed.", "route-missing"),
            ("verification token invalid", "token-mismatch"),
            ("收不到消息", "no-events"),
            ("bot receives messages but cannot reply", "scope-missing"),
            ("secret-wrong", "secret-wrong"),
        ] {
            let found: Vec<_> = by_text(text).iter().map(|finding| finding.id).collect();
            assert!(found.contains(&id), "{text}: {found:?}");
        }
        for (code, id) in [(99_991_672, "scope-missing"), (10_014, "secret-wrong")] {
            assert_eq!(by_code(code).first().map(|finding| finding.id), Some(id));
        }
        assert!(by_text("。").is_empty());
    }

    /// What people say who are stuck, and what each of the likely causes is called here.
    #[test]
    fn each_symptom_leads_to_all_its_likely_causes() {
        let cases: [(&str, &[&str]); 19] = [
            ("Feishu says challenge failed", &["route-missing"]),
            (
                "Feishu callback configuration times out",
                &["public-unreachable"],
            ),
            (
                "No request reaches xiaoO logs",
                &["no-events", "public-unreachable"],
            ),
            ("invalid verification token", &["token-mismatch"]),
            (
                "local websocket mode starts but receives no messages",
                &["no-events", "subscription-mode"],
            ),
            (
                "persistent connection never receives messages",
                &["no-events", "not-ready", "subscription-mode"],
            ),
            (
                "persistent connection repeatedly reconnects",
                &["link-blocked", "link-flaps"],
            ),
            ("tenant token fetch fails", &["secret-wrong"]),
            (
                "xiaoO receives challenge but not message events",
                &["event-unsubscribed", "no-events"],
            ),
            (
                "service works locally but Feishu cannot reach it",
                &["public-unreachable"],
            ),
            (
                "bot replies fail after message is received",
                &["scope-missing"],
            ),
            (
                "Feishu says callback configured successfully but real messages still do not arrive",
                &["no-events", "not-published"],
            ),
            (
                "challenge succeeds but browser access works while Feishu still fails",
                &["public-unreachable"],
            ),
            ("请求超时", &["public-unreachable"]),
            (
                "timeout while verifying callback URL",
                &["public-unreachable"],
            ),
            ("challenge verification failed", &["route-missing"]),
            (
                "callback URL configured successfully but real messages do not arrive",
                &["no-events", "not-published"],
            ),
            (
                "persistent connection mode enabled but the bot receives no messages",
                &["no-events", "not-ready", "subscription-mode"],
            ),
            ("bot receives messages but cannot reply", &["scope-missing"]),
        ];
        for (symptom, causes) in cases {
            let mut found: Vec<_> = by_text(symptom).iter().map(|finding| finding.id).collect();
            found.sort_unstable();
            assert_eq!(found, causes, "{symptom}");
        }
    }
}
