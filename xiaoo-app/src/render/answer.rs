//! An answer in Markdown as Feishu messages.
//!
//! The form is a post of `md` elements: Feishu renders their Markdown, except
//! for headings, tables and remote images, which are rewritten here. Prose and
//! code get an element each, since text right behind a fence can vanish in the
//! client.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::mention::{Mentionable, expanded, marked};
use super::split::{Fence, split};

/// Bytes of a post's content. Feishu refuses requests above 30 KB; the rest of
/// the request needs a little.
const CONTENT_BYTES_MAX: usize = 28_000;
/// Bytes of Markdown in one message: with quotes and line ends escaped it
/// usually stays below the limit, else it is cut again.
const PIECE_BYTES_MAX: usize = 12_000;
/// Messages of one answer. Whoever wants more should ask for a file.
const PIECES_MAX: usize = 20;

/// One message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `post` or `text`.
    pub msg_type: &'static str,
    /// The content's JSON.
    pub content: String,
    /// The same as plain text, for when Feishu does not take the post.
    pub fallback: Option<String>,
}

/// The messages of an answer, in order; at least one. Of `people` those are
/// mentioned whom it names.
#[must_use]
pub fn contents(markdown: &str, people: &Mentionable) -> Vec<Content> {
    let text = marked(&for_feishu(markdown), people);
    let text = if text.trim().is_empty() {
        "(no content)"
    } else {
        text.trim_end()
    };
    let mut contents = Vec::new();
    for piece in split(text, PIECE_BYTES_MAX) {
        push(piece, PIECE_BYTES_MAX, people, &mut contents);
    }
    if contents.len() > PIECES_MAX {
        contents.truncate(PIECES_MAX - 1);
        contents.push(content(
            "…\n\n（回答过长，其余部分没有发送。The answer is too long; the rest was not sent.）",
        ));
    }
    contents
}

/// Text that is dense in quotes or mentions grows when it is written
/// out: such a piece is cut again.
fn push(piece: String, bytes: usize, people: &Mentionable, contents: &mut Vec<Content>) {
    let made = content(&expanded(&piece, people));
    if made.content.len() <= CONTENT_BYTES_MAX || bytes <= 1024 {
        contents.push(made);
        return;
    }
    for half in split(&piece, bytes / 2) {
        push(half, bytes / 2, people, contents);
    }
}

fn content(markdown: &str) -> Content {
    let rows: Vec<Value> = blocks(markdown)
        .into_iter()
        .map(|block| json!([{ "tag": "md", "text": block }]))
        .collect();
    Content {
        msg_type: "post",
        content: json!({ "zh_cn": { "title": "", "content": rows } }).to_string(),
        fallback: Some(json!({ "text": markdown }).to_string()),
    }
}

/// Prose and fences, one after the other.
fn blocks(markdown: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut open: Option<Fence> = None;
    for line in markdown.split_inclusive('\n') {
        let starts = open.is_none().then(|| Fence::opened_by(line)).flatten();
        if starts.is_some() {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
        }
        match &open {
            Some(fence) if fence.is_closed_by(line) => {
                open = None;
                blocks.push(String::new());
            }
            Some(_) => {}
            None => open = starts,
        }
    }
    blocks.retain(|block| !block.trim().is_empty());
    for block in &mut blocks {
        // Blank lines between the rows are the client's business.
        *block = block.trim_end().trim_start_matches('\n').to_owned();
    }
    blocks
}

/// Headings become bold lines, tables code, and images links, outside fences.
fn for_feishu(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len() + 64);
    let mut open: Option<Fence> = None;
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        match &open {
            Some(fence) => {
                if fence.is_closed_by(line) {
                    open = None;
                }
                out.push_str(line);
            }
            None => {
                open = Fence::opened_by(line);
                if open.is_some() {
                    out.push_str(line);
                } else if line.contains('|') && lines.peek().is_some_and(|next| is_rule(next)) {
                    let mut rows = vec![line];
                    while let Some(row) = lines.next_if(|row| row.contains('|')) {
                        rows.push(row);
                    }
                    out.push_str("```\n");
                    out.push_str(&table(&rows));
                    out.push_str("```");
                } else {
                    out.push_str(&heading_as_bold(&images_as_links(line)));
                }
            }
        }
        out.push('\n');
    }
    if let Some(fence) = open {
        // The model left it open, or was cut off inside.
        let marker: String = fence
            .opening
            .trim_start()
            .chars()
            .take_while(|character| matches!(character, '`' | '~'))
            .collect();
        out.push_str(&marker);
        out.push('\n');
    }
    out
}

/// Columns of a table that are kept apart, and how wide one is padded at most:
/// wider ones would not fit a phone in any case.
const COLUMNS_MAX: usize = 20;
const COLUMN_WIDTH_MAX: usize = 40;

/// A table as lines of a code block, its columns aligned by what a terminal
/// would show: a Chinese character is two wide.
fn table(rows: &[&str]) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let row = row.trim().trim_start_matches('|').trim_end_matches('|');
            row.splitn(COLUMNS_MAX, '|')
                .map(|cell| cell.trim().replace("**", "").replace('`', ""))
                .collect()
        })
        .collect();
    let mut widths = Vec::new();
    for (number, row) in cells.iter().enumerate() {
        // The second row is the rule and follows the others' widths.
        for (column, cell) in row.iter().enumerate().filter(|_| number != 1) {
            let width = cell.width().min(COLUMN_WIDTH_MAX);
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for (number, row) in cells.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let cell = if number == 1 {
                "-".repeat(*width)
            } else {
                cell.clone()
            };
            line.push_str(&cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The second line of a table: `| --- | :-: |`.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.contains('-')
        && line.contains('|')
        && line
            .chars()
            .all(|character| matches!(character, '|' | '-' | ':' | ' ' | '\t'))
}

fn heading_as_bold(line: &str) -> String {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let title = text.trim().trim_end_matches('#').trim();
    if !(1..=6).contains(&level) || !text.starts_with([' ', '\t']) || title.is_empty() {
        return line.to_owned();
    }
    if title.contains("**") {
        title.to_owned()
    } else {
        format!("**{title}**")
    }
}

/// Feishu shows only images that were uploaded to it: others fail the message.
fn images_as_links(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, from)) = rest.split_once("![") {
        out.push_str(before);
        // In code, and without an address, it is no image.
        let in_code = out.matches('`').count() % 2 == 1;
        if in_code || !from.contains("](") {
            out.push('!');
        }
        out.push('[');
        rest = from;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::mention::Person;

    fn rows(content: &Content) -> Vec<String> {
        let post: Value = serde_json::from_str(&content.content).unwrap();
        post["zh_cn"]["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[0]["text"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn prose_and_code_get_a_row_each() {
        let made = contents(
            "# Title\n\nWords **bold**\n```rust\nfn main() {}\n```\nafter\n",
            &Mentionable::default(),
        );
        assert_eq!(made.len(), 1);
        assert_eq!(
            rows(&made[0]),
            [
                "**Title**\n\nWords **bold**",
                "```rust\nfn main() {}\n```",
                "after"
            ]
        );
    }

    #[test]
    fn what_feishu_cannot_render_is_rewritten() {
        for (markdown, expected) in [
            ("### A ###", vec!["**A**"]),
            ("#hashtag", vec!["#hashtag"]),
            ("`vec![1]` and vec![2]", vec!["`vec![1]` and vec![2]"]),
            (
                "![alt](https://a.example/x.png)",
                vec!["[alt](https://a.example/x.png)"],
            ),
            (
                "| a | b |\n|---|:-:|\n| 甲 | `22` |\n\nend",
                vec!["```\na   b\n--  --\n甲  22\n```", "end"],
            ),
            (
                "```\n# not a heading\n| a |\n|---|\n```",
                vec!["```\n# not a heading\n| a |\n|---|\n```"],
            ),
            ("```\nleft open", vec!["```\nleft open\n```"]),
            ("", vec!["(no content)"]),
        ] {
            assert_eq!(
                rows(&contents(markdown, &Mentionable::default())[0]),
                expected,
                "{markdown}"
            );
        }
    }

    #[test]
    fn long_answers_stay_below_the_platforms_limit_and_end_somewhere() {
        for text in [
            "\"quoted\" \\ text\n".repeat(4000),
            "中文内容。".repeat(20_000),
            "x".repeat(900_000),
        ] {
            let made = contents(&text, &Mentionable::default());
            assert!(made.len() > 1 && made.len() <= PIECES_MAX);
            assert!(
                made.iter()
                    .all(|content| content.content.len() <= CONTENT_BYTES_MAX)
            );
        }
    }

    #[test]
    fn a_mention_is_whole_in_post_and_fallback_wherever_the_text_is_cut() {
        let people = Mentionable::new([Person {
            open_id: "ou_1".into(),
            name: "Li Lei".into(),
        }]);
        let tag = "<at user_id=\"ou_1\">Li Lei</at>";
        let made = contents("# For @Li Lei\n`@Li Lei` and @all", &people);
        assert_eq!(
            rows(&made[0]),
            [format!("**For {tag}**\n`@Li Lei` and @\u{200b}all")]
        );
        let made = contents(&"@Li Lei, ".repeat(4000), &people);
        assert!(made.len() > 2);
        let shown = |content: &Content| rows(content).concat().matches(tag).count();
        assert_eq!(made.iter().map(shown).sum::<usize>(), 4000);
        for content in &made {
            assert!(content.content.len() <= CONTENT_BYTES_MAX);
            let fallback = content.fallback.as_ref().unwrap();
            let text: Value = serde_json::from_str(fallback).unwrap();
            let text = text["text"].as_str().unwrap();
            assert_eq!(text.matches("<at ").count(), shown(content));
            assert_eq!(text.matches(tag).count(), shown(content));
        }
    }

    #[test]
    fn the_recorded_markdown_texts_keep_their_words() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../vectors/markdown_post_oracle.jsonl"
        );
        let corpus = std::fs::read_to_string(path).unwrap();
        let mut seen = 0;
        for line in corpus.lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let Some(markdown) = ["markdown", "text", "input"]
                .iter()
                .find_map(|key| case[*key].as_str())
            else {
                panic!("no Markdown in {case}");
            };
            let shown: String = contents(markdown, &Mentionable::default())
                .iter()
                .flat_map(rows)
                .collect();
            for word in markdown
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| word.len() > 2)
            {
                assert!(
                    shown.contains(word),
                    "{word:?} of {markdown:?} is not in {shown:?}"
                );
            }
            seen += 1;
        }
        assert_eq!(seen, 25);
    }

    proptest! {
        #[test]
        fn no_answer_can_mention_anybody(text in "(<at user_id=\"all\">|</at>|<AT id=all>|\\| a<\\*\\*t b>\n\\|---\\|\n|[a-z<>/ \n`#|*!-]){0,80}") {
            for made in contents(&text, &Mentionable::default()) {
                let content = made.content.to_lowercase();
                prop_assert!(!content.contains("<at"));
                prop_assert!(!made.fallback.unwrap_or_default().to_lowercase().contains("<at"));
            }
        }
    }
}
