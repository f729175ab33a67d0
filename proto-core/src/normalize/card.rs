//! The visible words of a card, whichever of its forms it comes in: the
//! simplified rows of an event, a card of version 1, or one of version 2.

use alloc::string::String;
use alloc::vec::Vec;

use super::content::Rendered;
use super::mention::Mentions;
use crate::json::Json;

/// Where visible words hang, in the order in which a card shows them.
const BRANCHES: [&str; 14] = [
    "title",
    "header",
    "subtitle",
    "body",
    "elements",
    "fields",
    "columns",
    "actions",
    "text",
    "placeholder",
    "options",
    "label",
    "extra",
    "content",
];

pub(super) fn render(content: Json<'_>, mentions: &Mentions) -> Rendered {
    let mut lines = Vec::new();
    collect(content, &mut lines);
    // The same words side by side are one label, said twice by the format.
    lines.dedup();
    let text = lines.join("\n");
    if text.is_empty() {
        return Rendered::plain("[interactive]".into());
    }
    let resolved = mentions.resolve(&text);
    Rendered {
        text: resolved.text,
        mentions_all: resolved.mentions_all,
        ..Rendered::default()
    }
}

/// Depth is bounded by the JSON document's own bound.
fn collect(value: Json<'_>, lines: &mut Vec<String>) {
    if let Some(text) = value.as_str() {
        push(lines, &text.to_text());
        return;
    }
    if value.is_array() {
        let row: Vec<_> = value.items().collect();
        if !row.is_empty() && row.iter().all(|item| is_inline(*item)) {
            let line: String = row.iter().map(|item| inline(*item)).collect();
            push(lines, &line);
            return;
        }
        for item in row {
            collect(item, lines);
        }
        return;
    }
    // One pass over the members: cards nest deeply.
    let mut children = [None; BRANCHES.len()];
    for (key, child) in value.members() {
        let place = BRANCHES.iter().position(|branch| key == **branch);
        if let Some(slot) = place.and_then(|place| children.get_mut(place)) {
            *slot = Some(child);
        }
    }
    for child in children.into_iter().flatten() {
        collect(child, lines);
    }
}

/// An element of a simplified row that stands in the row's line.
fn is_inline(element: Json<'_>) -> bool {
    let tag = element.get_str("tag").map(|tag| tag.to_text());
    matches!(tag.as_deref(), Some("text" | "a" | "at" | "emotion"))
}

fn inline(element: Json<'_>) -> String {
    let text = element
        .get_str("text")
        .or_else(|| element.get_str("user_name"));
    text.map(|text| text.to_owned_text()).unwrap_or_default()
}

fn push(lines: &mut Vec<String>, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        lines.push(text.into());
    }
}
