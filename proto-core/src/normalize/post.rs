//! Rich text (`post`) as Markdown.

use super::words::{Blanks, Words, Writer, Written};
use super::{Resource, ResourceKind, filled};
use crate::TextBuffer;
use crate::json::{Json, Name};

/// A post: title and paragraphs, with its images and videos.
pub(super) fn write<T: TextBuffer>(out: &mut Writer<'_, '_, T>, content: Json<'_>) -> Written {
    let post = unwrap_locale(content);
    let start = out.len();
    if let Some(title) = filled(post.get_str("title")) {
        out.raw("# ")?;
        let title_start = out.len();
        out.words(title)?;
        // It may have been the bot's mention and no more.
        if out.len() == title_start {
            out.truncate(start);
        }
    }
    for row in post.get("content").into_iter().flat_map(Json::items) {
        out.line(start, "\n\n", |out| {
            row.items()
                .try_for_each(|element| write_element(out, element))
        })?;
    }
    out.trim_end(start);
    if out.len() == start {
        out.raw("[rich text message]")?;
    }
    Ok(())
}

/// The words of a post's text and link elements alone, a line a paragraph.
pub(super) fn write_plain<T: TextBuffer>(out: &mut Writer<'_, '_, T>, post: Json<'_>) -> Written {
    let start = out.len();
    let rows = unwrap_locale(post).get("content");
    for row in rows.into_iter().flat_map(Json::items) {
        out.line(start, "\n", |out| {
            let mut words = Words::new(out, Blanks::Kept);
            for element in row.items() {
                let tag = element.get_str("tag");
                if tag.is_some_and(|tag| tag == "text" || tag == "a")
                    && let Some(text) = element.get_str("text")
                {
                    words.string(text)?;
                }
            }
            words.finish()
        })?;
    }
    Ok(())
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

fn write_element<T: TextBuffer>(out: &mut Writer<'_, '_, T>, element: Json<'_>) -> Written {
    let text = element.get_str("text");
    let tag = element.get_str("tag");
    match tag.map_or("", |tag| tag.as_plain().unwrap_or_default()) {
        "text" => write_styled(out, element),
        "a" => write_link(out, element),
        "at" => write_at(out, element),
        "emotion" => {
            out.raw(":")?;
            if let Some(emoji) = element.get_str("emoji_type") {
                out.string(emoji)?;
            }
            out.raw(":")
        }
        "img" => match filled(element.get_str("image_key")) {
            Some(key) => {
                out.raw("![image](")?;
                out.string(key)?;
                (out.resources)(Resource::new(ResourceKind::Image, key));
                out.raw(")")
            }
            None => Ok(()),
        },
        "media" => match filled(element.get_str("file_key")) {
            Some(key) => {
                out.raw("[media:")?;
                out.string(key)?;
                (out.resources)(Resource {
                    cover_image_key: filled(element.get_str("image_key")),
                    ..Resource::new(ResourceKind::Video, key)
                });
                out.raw("]")
            }
            None => Ok(()),
        },
        "code_block" => {
            out.raw("```")?;
            let language = element.get_str("language");
            for character in language.into_iter().flat_map(|language| language.chars()) {
                for lower in character.to_lowercase() {
                    out.raw(lower.encode_utf8(&mut [0; 4]))?;
                }
            }
            out.raw("\n")?;
            if let Some(text) = text {
                out.string(text)?;
            }
            out.raw("\n```")
        }
        "hr" => out.raw("---"),
        // `md`, and what may come: its words are not lost.
        _ => text.map_or(Ok(()), |text| out.words(text)),
    }
}

/// `[text](href)`; a link without text shows its address.
pub(super) fn write_link<T: TextBuffer>(out: &mut Writer<'_, '_, T>, element: Json<'_>) -> Written {
    let href = element.get_str("href");
    out.raw("[")?;
    if let Some(shown) = filled(element.get_str("text")).or(href) {
        out.string(shown)?;
    }
    out.raw("](")?;
    if let Some(href) = href {
        out.string(href)?;
    }
    out.raw(")")
}

/// A person by name, or everyone.
pub(super) fn write_at<T: TextBuffer>(out: &mut Writer<'_, '_, T>, element: Json<'_>) -> Written {
    let id = filled(element.get_str("user_id"));
    let everyone = id.is_some_and(|id| id == "all" || id == "@_all" || id == "@all");
    out.mentions_all |= everyone;
    let known = id.and_then(|id| out.mentions.find(id)?.name);
    out.raw("@")?;
    match (filled(element.get_str("user_name")).or(known), id) {
        (Some(name), _) => out.string(name),
        (None, _) if everyone => out.raw("all"),
        (None, Some(id)) => {
            let mut characters = id.chars().skip_while(|character| *character == '@');
            characters.try_for_each(|character| out.raw(character.encode_utf8(&mut [0; 4])))
        }
        (None, None) => Ok(()),
    }
}

/// Styles as they are written around a text, the innermost first.
const STYLES: [(&str, &str, &[&str]); 5] = [
    ("**", "**", &["bold"]),
    ("*", "*", &["italic"]),
    ("<u>", "</u>", &["underline"]),
    ("`", "`", &["code", "codeInline"]),
    ("~~", "~~", &["strikethrough", "lineThrough"]),
];

fn write_styled<T: TextBuffer>(out: &mut Writer<'_, '_, T>, element: Json<'_>) -> Written {
    let mut has = [false; STYLES.len()];
    for style in element.get("style").into_iter().flat_map(Json::items) {
        let name = style.as_str();
        for (has, (_, _, names)) in has.iter_mut().zip(STYLES) {
            *has |= name.is_some_and(|name| names.contains(&name.name(&mut Name::new())));
        }
    }
    let styles = || has.into_iter().zip(STYLES).filter(|(has, _)| *has);
    let start = out.len();
    for (_, (open, _, _)) in styles().rev() {
        out.raw(open)?;
    }
    let text_start = out.len();
    if let Some(text) = element.get_str("text") {
        out.words(text)?;
    }
    if out.len() == text_start {
        out.truncate(start);
        return Ok(());
    }
    styles().try_for_each(|(_, (_, close, _))| out.raw(close))
}
