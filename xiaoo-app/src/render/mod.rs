//! What people see, as Feishu content: cards, answers and notices; and what a model reads of
//! what people said. Pure functions, no I/O.
//!
//! Neither side is trusted: nothing that a model wrote can mention everybody, and nothing that a
//! person wrote can pass for the structure around it.

pub mod action;
pub mod answer;
pub mod ask;
pub mod card;
pub mod context;
pub mod language;
pub mod notice;
pub mod people;
pub mod reply;
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
