//! What people see, as Feishu content: cards, answers and notices. Pure
//! functions, no I/O.
//!
//! What a model wrote is not trusted: nothing in it can mention anybody.

pub mod answer;
pub mod card;
pub mod language;
pub mod notice;
pub mod split;

/// Takes the force out of mention tags: `<at …>` in a text pings people, and
/// `<at user_id="all">` everyone. Feishu documents no escape, so an invisible
/// blank goes between the bracket and the name.
pub(crate) fn without_mentions(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('<') {
        safe.push_str(before);
        safe.push('<');
        let name = from.trim_start_matches('/').trim_start();
        let is_at = name
            .get(..2)
            .is_some_and(|name| name.eq_ignore_ascii_case("at"));
        // `<atomic>` is a word of its own.
        let goes_on = name
            .get(2..)
            .and_then(|rest| rest.chars().next())
            .is_some_and(|next| next.is_ascii_alphanumeric() || next == '_');
        if is_at && !goes_on {
            safe.push('\u{200b}');
        }
        rest = from;
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use super::without_mentions;

    #[test]
    fn no_text_can_mention_anybody() {
        for text in [
            "<at user_id=\"all\"></at>",
            "<AT id=all>",
            "a < b <at x",
            "< at id=all>",
            "<\tat",
        ] {
            let safe = without_mentions(text);
            assert!(!safe.to_lowercase().contains("<at"), "{safe:?}");
            assert_eq!(safe.replace('\u{200b}', ""), text);
        }
        assert_eq!(without_mentions("<atomic>"), "<atomic>");
        assert_eq!(without_mentions("a < b, <b>bold</b>"), "a < b, <b>bold</b>");
    }
}
