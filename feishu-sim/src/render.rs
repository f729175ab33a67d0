//! Message content to plain text and to HTML that is safe to insert.
//!
//! Everything here is total: strange content gives its raw text. The only HTML
//! that comes out is written here or by pulldown-cmark's renderer; raw HTML in
//! Markdown becomes text, and links lead to `http`, `https` and `mailto` only.

mod card;
mod controls;
mod emoji;
mod markdown;

use serde_json::Value;

pub(crate) use card::{card, card_text, children, elements};
pub(crate) use controls::{Element, interactive};
pub(crate) use emoji::{emoji, is_emoji_type};

use crate::view::Mention;

/// Names for `<at>` tags.
pub(crate) trait Names {
    /// Name of a person, if known.
    fn name(&self, open_id: &str) -> Option<String>;
    /// Whether this is the bot under test.
    fn is_self(&self, open_id: &str) -> bool;
}

/// Plain text and HTML of a message that is not a card.
pub(crate) fn message(
    msg_type: &str,
    content: &str,
    mentions: &[Mention],
    names: &dyn Names,
) -> (String, String) {
    let Ok(value) = serde_json::from_str::<Value>(content) else {
        return (content.to_owned(), paragraph(content));
    };
    let scope = Scope { mentions, names };
    match msg_type {
        "text" => {
            let text = str_of(&value, "text");
            (scope.plain(text), scope.text_html(text))
        }
        "post" => scope.post(&value),
        "image" => image(str_of(&value, "image_key")),
        "file" | "audio" | "media" | "folder" => file(&value),
        "share_chat" => labelled("群名片", str_of(&value, "chat_id")),
        "share_user" => {
            let id = str_of(&value, "user_id");
            labelled("名片", &names.name(id).unwrap_or_else(|| id.to_owned()))
        }
        "sticker" => labelled("表情", str_of(&value, "file_key")),
        "location" => labelled("位置", str_of(&value, "name")),
        other => labelled(other, content),
    }
}

pub(crate) fn str_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Text for HTML content and double-quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escape(text).replace('\n', "<br>"))
}

fn labelled(label: &str, text: &str) -> (String, String) {
    let plain = format!("[{label}] {text}");
    let html = paragraph(&plain);
    (plain, html)
}

fn image(key: &str) -> (String, String) {
    (
        "[图片]".to_owned(),
        format!("<p>{}</p>", image_html(key, "")),
    )
}

/// Keys are ours: letters, digits, `_` and `-`; anything else shows nothing.
fn image_html(key: &str, alt: &str) -> String {
    if is_key(key) {
        format!("<img src=\"/sim/resources/{key}\" alt=\"{}\">", escape(alt))
    } else {
        escape(alt)
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn file(value: &Value) -> (String, String) {
    let name = match str_of(value, "file_name") {
        "" => "file",
        name => name,
    };
    let key = str_of(value, "file_key");
    let plain = format!("[文件] {name}");
    let html = if is_key(key) {
        format!(
            "<p>📎 <a href=\"/sim/resources/{key}\" download=\"{0}\">{0}</a></p>",
            escape(name)
        )
    } else {
        paragraph(&plain)
    };
    (plain, html)
}

/// Only these schemes are let out as links.
fn safe_link(url: &str) -> Option<&str> {
    let lower = url.trim_start().to_ascii_lowercase();
    ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| lower.starts_with(scheme))
        .then_some(url)
}

/// What placeholders and tags of one message mean.
struct Scope<'a> {
    mentions: &'a [Mention],
    names: &'a dyn Names,
}

/// A piece of a text message.
enum Piece<'t> {
    Text(&'t str),
    At { open_id: String, name: String },
    Style { tag: &'static str, closes: bool },
}

impl Scope<'_> {
    fn plain(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for piece in self.pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::At { name, .. } => {
                    out.push('@');
                    out.push_str(&name);
                }
                Piece::Style { .. } => {}
            }
        }
        out
    }

    fn text_html(&self, text: &str) -> String {
        let mut out = String::from("<p>");
        let mut open: Vec<&'static str> = Vec::new();
        for piece in self.pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(&links(text).replace('\n', "<br>")),
                Piece::At { open_id, name } => out.push_str(&self.at_html(&open_id, &name)),
                Piece::Style { tag, closes: false } => {
                    open.push(tag);
                    out.push_str(&format!("<{tag}>"));
                }
                Piece::Style { tag, closes: true } => {
                    if open.last() == Some(&tag) {
                        open.pop();
                        out.push_str(&format!("</{tag}>"));
                    }
                }
            }
        }
        for tag in open.iter().rev() {
            out.push_str(&format!("</{tag}>"));
        }
        out.push_str("</p>");
        out
    }

    fn at_html(&self, open_id: &str, name: &str) -> String {
        let class = if open_id == "all" {
            "at at-all"
        } else if self.names.is_self(open_id) {
            "at at-self"
        } else {
            "at"
        };
        format!(
            "<span class=\"{class}\" data-open-id=\"{}\">@{}</span>",
            escape(open_id),
            escape(name)
        )
    }

    /// The id and name behind a `user_id` of an `at`: a placeholder, `all`, or an id.
    fn who(&self, id: &str, said: &str) -> (String, String) {
        if matches!(id, "all" | "@_all") {
            return ("all".to_owned(), "所有人".to_owned());
        }
        let mention = self.mentions.iter().find(|mention| mention.key == id);
        let open_id = mention.map_or(id, |mention| mention.open_id.as_str());
        let name = mention
            .map(|mention| mention.name.clone())
            .or_else(|| self.names.name(open_id))
            .unwrap_or_else(|| said.to_owned());
        (open_id.to_owned(), name)
    }

    /// Placeholders (`@_user_1`, the longest that fits), `<at …>` and the four styles.
    fn pieces<'t>(&self, text: &'t str) -> Vec<Piece<'t>> {
        let mut pieces = Vec::new();
        let (mut plain_from, mut at) = (0, 0);
        while let Some(rest) = text.get(at..) {
            let Some(step) = rest.find(['@', '<']) else {
                break;
            };
            let start = at + step;
            let Some((piece, len)) = text.get(start..).and_then(|rest| self.special(rest)) else {
                at = start + 1;
                continue;
            };
            if let Some(before) = text.get(plain_from..start).filter(|text| !text.is_empty()) {
                pieces.push(Piece::Text(before));
            }
            pieces.push(piece);
            at = start + len;
            plain_from = at;
        }
        if let Some(rest) = text.get(plain_from..).filter(|text| !text.is_empty()) {
            pieces.push(Piece::Text(rest));
        }
        pieces
    }

    fn special(&self, rest: &str) -> Option<(Piece<'static>, usize)> {
        if rest.starts_with('@') {
            let mention = self
                .mentions
                .iter()
                .filter(|mention| !mention.key.is_empty() && rest.starts_with(&mention.key))
                .max_by_key(|mention| mention.key.len());
            if let Some(mention) = mention {
                let piece = Piece::At {
                    open_id: mention.open_id.clone(),
                    name: mention.name.clone(),
                };
                return Some((piece, mention.key.len()));
            }
            return rest.starts_with("@_all").then(|| {
                let (open_id, name) = self.who("all", "");
                (Piece::At { open_id, name }, "@_all".len())
            });
        }
        for tag in ["b", "i", "u", "s"] {
            for closes in [false, true] {
                let written = format!("<{}{tag}>", if closes { "/" } else { "" });
                if rest.starts_with(&written) {
                    return Some((Piece::Style { tag, closes }, written.len()));
                }
            }
        }
        let (id, said, len) = at_tag(rest)?;
        let (open_id, name) = self.who(id, said);
        Some((Piece::At { open_id, name }, len))
    }

    fn post(&self, value: &Value) -> (String, String) {
        let Some(post) = post_body(value) else {
            let raw = value.to_string();
            return (raw.clone(), paragraph(&raw));
        };
        let (mut plain, mut html) = (String::new(), String::new());
        let title = str_of(post, "title");
        if !title.is_empty() {
            plain.push_str(title);
            html.push_str(&format!("<h4>{}</h4>", escape(title)));
        }
        let rows = post.get("content").and_then(Value::as_array);
        for row in rows.into_iter().flatten() {
            if !plain.is_empty() {
                plain.push('\n');
            }
            let mut inline = String::new();
            for element in row.as_array().into_iter().flatten() {
                self.post_element(element, &mut plain, &mut inline, &mut html);
            }
            flush(&mut inline, &mut html);
        }
        (plain, html)
    }

    fn post_element(
        &self,
        element: &Value,
        plain: &mut String,
        inline: &mut String,
        html: &mut String,
    ) {
        let text = str_of(element, "text");
        match str_of(element, "tag") {
            "text" => {
                plain.push_str(text);
                inline.push_str(&styled(element, &escape(text).replace('\n', "<br>")));
            }
            "a" => {
                plain.push_str(text);
                inline.push_str(&styled(element, &link(str_of(element, "href"), text)));
            }
            "at" => {
                let (id, name) = self.who(str_of(element, "user_id"), str_of(element, "user_name"));
                plain.push('@');
                plain.push_str(&name);
                inline.push_str(&self.at_html(&id, &name));
            }
            "img" => {
                plain.push_str("[图片]");
                inline.push_str(&image_html(str_of(element, "image_key"), ""));
            }
            "media" => {
                plain.push_str("[视频]");
                inline.push('🎬');
            }
            "emotion" => {
                let kind = str_of(element, "emoji_type");
                plain.push_str(&emoji(kind));
                inline.push_str(&escape(&emoji(kind)));
            }
            "md" => {
                plain.push_str(text);
                flush(inline, html);
                html.push_str(&markdown::to_html(text, self.names));
            }
            "code_block" => {
                plain.push_str(text);
                flush(inline, html);
                html.push_str(&format!("<pre><code>{}</code></pre>", escape(text)));
            }
            "hr" => {
                plain.push_str("---");
                flush(inline, html);
                html.push_str("<hr>");
            }
            _ => {
                plain.push_str(text);
                inline.push_str(&escape(text));
            }
        }
    }
}

fn flush(inline: &mut String, html: &mut String) {
    if !inline.is_empty() {
        html.push_str(&format!("<p>{inline}</p>"));
        inline.clear();
    }
}

/// `{"title","content"}`, with or without a locale around it.
pub(crate) fn post_body(value: &Value) -> Option<&Value> {
    if value.get("content").is_some_and(Value::is_array) {
        return Some(value);
    }
    let locales = value.as_object()?;
    ["zh_cn", "en_us"]
        .iter()
        .find_map(|locale| locales.get(*locale))
        .or_else(|| locales.values().next())
        .filter(|post| post.get("content").is_some_and(Value::is_array))
}

fn styled(element: &Value, inner: &str) -> String {
    let mut out = inner.to_owned();
    let styles = element.get("style").and_then(Value::as_array);
    for style in styles.into_iter().flatten().filter_map(Value::as_str) {
        let tag = match style {
            "bold" => "b",
            "italic" => "i",
            "underline" => "u",
            "lineThrough" => "s",
            _ => continue,
        };
        out = format!("<{tag}>{out}</{tag}>");
    }
    out
}

fn link(url: &str, text: &str) -> String {
    match safe_link(url) {
        Some(url) => format!(
            "<a href=\"{}\" rel=\"noopener noreferrer\" target=\"_blank\">{}</a>",
            escape(url),
            escape(text)
        ),
        None => escape(text),
    }
}

/// `[text](url)` in plain text.
fn links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let parsed = after.split_once("](").and_then(|(label, tail)| {
            let (url, tail) = tail.split_once(')')?;
            (!label.contains(['[', '\n'])).then_some((label, url, tail))
        });
        out.push_str(&escape(before));
        if let Some((label, url, tail)) = parsed {
            out.push_str(&link(url, label));
            rest = tail;
        } else {
            out.push('[');
            rest = after;
        }
    }
    out.push_str(&escape(rest));
    out
}

/// `<at user_id="x">name</at>` or `<at id=x></at>` at the start of `rest`: id,
/// name, length.
pub(crate) fn at_tag(rest: &str) -> Option<(&str, &str, usize)> {
    let attributes = rest.strip_prefix("<at ")?;
    let (attributes, after) = attributes.split_once('>')?;
    let attributes = attributes.trim().trim_end_matches('/');
    let (name, value) = attributes.split_once('=')?;
    if !matches!(name.trim(), "user_id" | "id" | "open_id" | "email") {
        return None;
    }
    let id = value.trim().trim_matches(['"', '\'']);
    let head = rest.len() - after.len();
    match after.split_once("</at>") {
        Some((said, _)) if !said.contains('<') => Some((
            id,
            said.trim_start_matches('@'),
            head + said.len() + "</at>".len(),
        )),
        _ => Some((id, "", head)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folk;

    impl Names for Folk {
        fn name(&self, open_id: &str) -> Option<String> {
            (open_id == "ou_1").then(|| "李雷".to_owned())
        }
        fn is_self(&self, open_id: &str) -> bool {
            open_id == "ou_bot"
        }
    }

    fn mention(key: &str, open_id: &str, name: &str) -> Mention {
        Mention {
            key: key.into(),
            open_id: open_id.into(),
            name: name.into(),
        }
    }

    #[test]
    fn content_becomes_text_and_safe_html() {
        let mentions = [
            mention("@_user_1", "ou_bot", "小欧"),
            mention("@_user_10", "ou_1", "李雷"),
        ];
        for (name, msg_type, content, text, html) in [
            (
                "markup is text",
                "text",
                r#"{"text":"<script>alert(1)</script>\n&"}"#,
                "<script>alert(1)</script>\n&",
                "<p>&lt;script&gt;alert(1)&lt;/script&gt;<br>&amp;</p>",
            ),
            (
                "the longest placeholder wins",
                "text",
                r#"{"text":"@_user_1 @_user_10"}"#,
                "@小欧 @李雷",
                "<p><span class=\"at at-self\" data-open-id=\"ou_bot\">@小欧</span> <span class=\"at\" data-open-id=\"ou_1\">@李雷</span></p>",
            ),
            (
                "an at tag gets its name",
                "text",
                r#"{"text":"<at user_id=\"ou_1\"></at> 好 <at user_id=\"all\"></at>"}"#,
                "@李雷 好 @所有人",
                "<p><span class=\"at\" data-open-id=\"ou_1\">@李雷</span> 好 <span class=\"at at-all\" data-open-id=\"all\">@所有人</span></p>",
            ),
            (
                "styles nest and are closed",
                "text",
                r#"{"text":"<b>x<i>y</i>"}"#,
                "xy",
                "<p><b>x<i>y</i></b></p>",
            ),
            (
                "only web links are links",
                "text",
                r#"{"text":"[a](https://x.cn/) [b](javascript:alert(1))"}"#,
                "[a](https://x.cn/) [b](javascript:alert(1))",
                "<p><a href=\"https://x.cn/\" rel=\"noopener noreferrer\" target=\"_blank\">a</a> b)</p>",
            ),
            (
                "a post has paragraphs and markdown",
                "post",
                r#"{"zh_cn":{"title":"T","content":[[{"tag":"text","text":"a","style":["bold"]},{"tag":"at","user_id":"ou_1"}],[{"tag":"md","text":"**x**"}]]}}"#,
                "T\na@李雷\n**x**",
                "<h4>T</h4><p><b>a</b><span class=\"at\" data-open-id=\"ou_1\">@李雷</span></p><p><strong>x</strong></p>\n",
            ),
            (
                "an image key that is none shows nothing",
                "image",
                r#"{"image_key":"\" onerror=x"}"#,
                "[图片]",
                "<p></p>",
            ),
            (
                "broken content is shown raw",
                "text",
                "{<",
                "{<",
                "<p>{&lt;</p>",
            ),
        ] {
            assert_eq!(
                message(msg_type, content, &mentions, &Folk),
                (text.to_owned(), html.to_owned()),
                "{name}"
            );
        }
    }
}
