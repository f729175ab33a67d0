//! Rich text (`post`) as Markdown.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::content::Rendered;
use super::mention::Mentions;
use super::{Resource, ResourceKind, filled, owned};
use crate::json::Json;

/// A post: title and paragraphs, with its images and videos.
pub(super) fn render(content: Json<'_>, mentions: &Mentions) -> Rendered {
    let post = unwrap_locale(content);
    let mut out = Rendered::default();
    let mut paragraphs = Vec::new();
    if let Some(title) = filled(post.get_str("title")) {
        let resolved = mentions.resolve(&title);
        out.mentions_all |= resolved.mentions_all;
        paragraphs.push(format!("# {}", resolved.text));
    }
    for row in post.get("content").into_iter().flat_map(Json::items) {
        let mut line = String::new();
        for element in row.items() {
            render_element(element, mentions, &mut line, &mut out);
        }
        if !line.is_empty() {
            paragraphs.push(line);
        }
    }
    // The same resource twice is one to download.
    let mut seen = BTreeSet::new();
    out.resources
        .retain(|resource| seen.insert((resource.kind, resource.file_key.clone())));
    out.text = paragraphs.join("\n\n").trim_end().into();
    if out.text.is_empty() {
        out.text = "[rich text message]".into();
    }
    out
}

/// The words of a post's text and link elements alone, a line a paragraph.
pub(super) fn words(post: Json<'_>, mentions: &Mentions) -> String {
    let rows = unwrap_locale(post).get("content");
    let lines: Vec<_> = rows
        .into_iter()
        .flat_map(Json::items)
        .map(|row| {
            row.items()
                .filter(|element| {
                    element
                        .get_str("tag")
                        .is_some_and(|tag| tag == "text" || tag == "a")
                })
                .map(|element| owned(element.get_str("text")))
                .collect::<String>()
        })
        .filter(|line| !line.is_empty())
        .map(|line| mentions.resolve(&line).text)
        .collect();
    lines.join("\n")
}

/// Content may be wrapped once more, by locale: the first one counts.
fn unwrap_locale(content: Json<'_>) -> Json<'_> {
    if content.get("content").is_some() || content.get("title").is_some() {
        return content;
    }
    content
        .members()
        .map(|(_, value)| value)
        .find(|value| value.is_object())
        .unwrap_or(content)
}

fn render_element(element: Json<'_>, mentions: &Mentions, line: &mut String, out: &mut Rendered) {
    let tag = element.get_str("tag").map(|tag| tag.to_text());
    let text = || owned(element.get_str("text"));
    match tag.as_deref().unwrap_or_default() {
        "text" => {
            let resolved = mentions.resolve(&text());
            out.mentions_all |= resolved.mentions_all;
            line.push_str(&styled(resolved.text, element));
        }
        "a" => {
            let href = owned(element.get_str("href"));
            let text = text();
            let shown = if text.is_empty() { href.clone() } else { text };
            line.push_str(&format!("[{shown}]({href})"));
        }
        "at" => line.push_str(&at(element, mentions, out)),
        "emotion" => line.push_str(&format!(":{}:", owned(element.get_str("emoji_type")))),
        "img" => {
            if let Some(key) = filled(element.get_str("image_key")) {
                line.push_str(&format!("![image]({key})"));
                out.resources.push(Resource::new(ResourceKind::Image, key));
            }
        }
        "media" => {
            if let Some(key) = filled(element.get_str("file_key")) {
                line.push_str(&format!("[media:{key}]"));
                let cover_image_key = filled(element.get_str("image_key"));
                let video = Resource::new(ResourceKind::Video, key);
                out.resources.push(Resource {
                    cover_image_key,
                    ..video
                });
            }
        }
        "code_block" => {
            let language = owned(element.get_str("language")).to_lowercase();
            line.push_str(&format!("```{language}\n{}\n```", text()));
        }
        "hr" => line.push_str("---"),
        // `md`, and what may come: its words are not lost.
        _ => {
            let resolved = mentions.resolve(&text());
            out.mentions_all |= resolved.mentions_all;
            line.push_str(&resolved.text);
        }
    }
}

fn at(element: Json<'_>, mentions: &Mentions, out: &mut Rendered) -> String {
    let id = owned(element.get_str("user_id"));
    let everyone = matches!(id.as_str(), "all" | "@_all" | "@all");
    out.mentions_all |= everyone;
    let known = mentions
        .get(&id)
        .map(|mention| mention.name.clone())
        .filter(|name| !name.is_empty());
    let name = filled(element.get_str("user_name")).or(known);
    match name {
        Some(name) => format!("@{name}"),
        None if everyone => "@all".into(),
        None => format!("@{}", id.trim_start_matches('@')),
    }
}

fn styled(text: String, element: Json<'_>) -> String {
    let has = |name: &str| {
        let mut styles = element.get("style").into_iter().flat_map(Json::items);
        styles.any(|style| style.as_str().is_some_and(|style| style == *name))
    };
    let mut text = text;
    for (names, open, close) in [
        (&["bold"][..], "**", "**"),
        (&["italic"][..], "*", "*"),
        (&["underline"][..], "<u>", "</u>"),
        (&["code", "codeInline"][..], "`", "`"),
        (&["strikethrough", "lineThrough"][..], "~~", "~~"),
    ] {
        if !text.is_empty() && names.iter().any(|name| has(name)) {
            text = format!("{open}{text}{close}");
        }
    }
    text
}
