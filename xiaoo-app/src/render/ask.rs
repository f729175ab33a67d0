//! Cards that ask a person something and take the answer by a press.
//!
//! They are cards of schema 2.0, built anew for each state; what a press sends
//! back is read by [`super::action`]. Nothing that a model wrote reaches a
//! card's Markdown but inside a block of code, with all that is invisible in it
//! made visible: what a person agrees to must be what they see.

mod approval;
mod question;

use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation as _;

pub use approval::{ApprovalCard, ApprovalOutcome, Choice};
pub use question::{QuestionCard, QuestionOutcome};

use super::language::Language;
use super::mention::{in_card, without_mentions};

/// Characters of a command or file that a card shows: its beginning, and its
/// end, where what matters may hide as well.
const CODE_HEAD_CHARS: usize = 2_400;
const CODE_TAIL_CHARS: usize = 600;
/// Characters of one line of text: names, labels, places.
const LINE_CHARS_MAX: usize = 200;

/// Who settled something, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By<'a> {
    /// The person's open_id.
    pub open_id: &'a str,
    /// Unix milliseconds.
    pub at_ms: i64,
}

impl By<'_> {
    fn line(self, language: Language, did: (&str, &str)) -> Value {
        let time = proto_core::time_in_china(self.at_ms);
        let who = in_card(self.open_id);
        markdown(match language {
            Language::Chinese => format!("{who} {} · {time}（UTC+8）", did.0),
            Language::English => format!("{who} {} · {time} (UTC+8)", did.1),
        })
    }
}

/// A whole card.
fn card(title: &str, template: &str, elements: &[Value]) -> Value {
    json!({
        "schema": "2.0",
        "config": { "update_multi": true, "summary": { "content": title } },
        "header": {
            "title": { "tag": "plain_text", "content": title },
            "template": template
        },
        "body": { "elements": elements }
    })
}

/// Markdown of ours. What is put into it went through [`line`] or
/// [`code_block`] before.
fn markdown(text: String) -> Value {
    json!({ "tag": "markdown", "content": text })
}

/// Somebody's words, in which nothing is markup.
fn words(text: &str) -> Value {
    json!({ "tag": "div", "text": plain_text(text) })
}

fn plain_text(text: &str) -> Value {
    json!({ "tag": "plain_text", "content": without_mentions(&visible(text)) })
}

/// A button that sends a value.
fn button(label: &str, style: &str, value: &Value) -> Value {
    json!({
        "tag": "button",
        "text": plain_text(label),
        "type": style,
        "behaviors": [{ "type": "callback", "value": value }]
    })
}

/// Buttons beside each other, as far as the screen is wide.
fn row(buttons: Vec<Value>) -> Value {
    let columns: Vec<Value> = buttons
        .into_iter()
        .map(|button| json!({ "tag": "column", "width": "auto", "elements": [button] }))
        .collect();
    json!({ "tag": "column_set", "flex_mode": "flow", "columns": columns })
}

/// One line of text, for a card's Markdown: without any of its marks.
fn line(text: &str) -> String {
    let visible = visible(text);
    let mut plain = String::new();
    for character in visible.chars() {
        match character {
            '*' | '`' | '[' | ']' | '<' | '>' => {
                // A mark that stands for itself in Markdown of any flavour.
                plain.push(full_width(character));
            }
            '\n' | '\t' => plain.push(' '),
            other => plain.push(other),
        }
    }
    without_mentions(&cut(plain.trim(), LINE_CHARS_MAX))
}

/// The wide form of an ASCII mark: it looks the same and means nothing.
fn full_width(mark: char) -> char {
    char::from_u32(u32::from(mark) + 0xFEE0).unwrap_or(' ')
}

/// Code, as far as there is room for it, in a block that it cannot end.
fn code_block(code: &str, language: Language) -> String {
    let visible = visible(code);
    let graphemes: Vec<&str> = visible.graphemes(true).collect();
    let shown = if graphemes.len() > CODE_HEAD_CHARS + CODE_TAIL_CHARS {
        let (head, rest) = graphemes
            .split_at_checked(CODE_HEAD_CHARS)
            .unwrap_or((&graphemes, &[]));
        let (middle, tail) = rest
            .split_at_checked(rest.len().saturating_sub(CODE_TAIL_CHARS))
            .unwrap_or((&[], rest));
        let left_out = middle.len();
        let note = match language {
            Language::Chinese => format!("⟪中间 {left_out} 个字符没有显示⟫"),
            Language::English => format!("⟪{left_out} characters here are not shown⟫"),
        };
        format!("{}\n{note}\n{}", head.concat(), tail.concat())
    } else {
        visible
    };
    // Three in a row would end the block.
    let shown = shown.replace("``", "`\u{200b}`");
    format!("```\n{}\n```", without_mentions(shown.trim_end()))
}

/// The text with whatever is not seen, or turns the order of what is seen,
/// written out.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\r' => {}
            '\n' | '\t' => out.push(character),
            character if character.is_control() || is_invisible(character) => {
                out.push_str(&format!("⟨U+{:04X}⟩", u32::from(character)));
            }
            character => out.push(character),
        }
    }
    out
}

/// Blanks without width, marks of direction, and tags. Joiners are not among
/// them: emoji and some scripts need those.
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// At most so many characters as people see them.
fn cut(text: &str, chars_max: usize) -> String {
    let mut graphemes = text.graphemes(true);
    let kept: String = graphemes.by_ref().take(chars_max).collect();
    match graphemes.next() {
        Some(_) => format!("{kept}…"),
        None => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stays_in_its_block_and_shows_what_is_in_it() {
        for (code, expected) in [
            ("rm -rf x\n", "```\nrm -rf x\n```"),
            ("a\n```\n**b**", "```\na\n`\u{200b}``\n**b**\n```"),
            (
                "<at id=all></at>",
                "```\n<\u{200b}at id=all><\u{200b}/at>\n```",
            ),
            ("ls \u{202e}txt.sh", "```\nls ⟨U+202E⟩txt.sh\n```"),
            ("a\u{1b}[2Kb\r", "```\na⟨U+001B⟩[2Kb\n```"),
        ] {
            assert_eq!(code_block(code, Language::English), expected, "{code:?}");
        }
        let long = format!("start{}end", "x".repeat(5_000));
        let shown = code_block(&long, Language::English);
        assert!(
            shown.contains("⟪2008 characters here are not shown⟫"),
            "{shown}"
        );
        assert!(shown.starts_with("```\nstart") && shown.ends_with("end\n```"));
    }

    #[test]
    fn a_line_has_no_mark_left() {
        let line = line("**b** [x](http://a)\n<at id=all> ![i](k) `c`");
        assert!(
            !line.contains(['*', '[', ']', '<', '>', '`', '\n']),
            "{line}"
        );
        assert_eq!(
            super::line(&"x".repeat(300)).chars().count(),
            LINE_CHARS_MAX + 1
        );
    }
}
