//! The content of each message type as text and resources.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::mention::{Mentions, TEXT_BYTES_MAX};
use super::{Resource, ResourceKind, card, filled, owned, post};
use crate::json::{Json, JsonStr};

/// What a content says and holds.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) resources: Vec<Resource>,
    pub(super) mentions_all: bool,
    pub(super) needs_fetch: bool,
}

impl Rendered {
    /// Renders a content: JSON inside a JSON string. What is not an object
    /// counts as an empty one.
    pub(super) fn of(
        message_type: &str,
        content: Option<JsonStr<'_>>,
        mentions: &Mentions,
    ) -> Self {
        let text = content.map(JsonStr::to_text).unwrap_or_default();
        let object = Json::parse(text.as_bytes())
            .ok()
            .filter(|content| content.is_object())
            .unwrap_or(Json::EMPTY_OBJECT);
        Self::of_object(message_type, object, mentions)
    }

    pub(super) fn of_object(message_type: &str, content: Json<'_>, mentions: &Mentions) -> Self {
        match message_type {
            "text" => Self::text(content, mentions),
            "post" => post::render(content, mentions),
            "image" => Self::image(content),
            "file" => Self::resource(content, ResourceKind::File, "file"),
            "audio" => Self::resource(content, ResourceKind::Audio, "audio"),
            "media" | "video" => Self::resource(content, ResourceKind::Video, "video"),
            "sticker" => Self::resource(content, ResourceKind::Sticker, "sticker"),
            "folder" => Self {
                // Folders cannot be downloaded.
                resources: Vec::new(),
                ..Self::resource(content, ResourceKind::File, "folder")
            },
            "interactive" => card::render(content, mentions),
            "share_chat" => Self::tag("group_card", &[("id", content.get_str("chat_id"))]),
            "share_user" => Self::tag("contact_card", &[("id", content.get_str("user_id"))]),
            "hongbao" => Self::tag("hongbao", &[("text", content.get_str("text"))]),
            "location" => Self::tag(
                "location",
                &[
                    ("name", content.get_str("name")),
                    ("lng", content.get_str("longitude")),
                    ("lat", content.get_str("latitude")),
                ],
            ),
            "system" => Self::plain(system(content)),
            "calendar" => Self::plain(calendar("calendar_invite", content)),
            "general_calendar" => Self::plain(calendar("calendar", content)),
            "share_calendar_event" => Self::plain(calendar("calendar_share", content)),
            "video_chat" => Self::plain(meeting(content)),
            "todo" => Self::plain(todo(content, mentions)),
            "vote" => Self::plain(vote(content)),
            "merge_forward" => Self {
                needs_fetch: true,
                ..Self::plain("<forwarded_messages/>".into())
            },
            _ => Self::plain(match content.get_str("text") {
                Some(text) => mentions.resolve(&text.to_text()).text,
                None => "[unsupported message]".into(),
            }),
        }
    }

    pub(super) fn plain(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    fn text(content: Json<'_>, mentions: &Mentions) -> Self {
        let text = content
            .get_str("text")
            .map(JsonStr::to_text)
            .unwrap_or_default();
        let resolved = mentions.resolve(&text);
        Self {
            text: resolved.text.trim().to_string(),
            mentions_all: resolved.mentions_all,
            ..Self::default()
        }
    }

    fn image(content: Json<'_>) -> Self {
        let Some(key) = filled(content.get_str("image_key")) else {
            return Self::plain("[image]".into());
        };
        Self {
            text: format!("![image]({key})"),
            resources: alloc::vec![Resource::new(ResourceKind::Image, key)],
            ..Self::default()
        }
    }

    fn resource(content: Json<'_>, kind: ResourceKind, tag: &'static str) -> Self {
        let Some(file_key) = filled(content.get_str("file_key")) else {
            return Self::plain(format!("[{tag}]"));
        };
        let resource = Resource {
            file_name: filled(content.get_str("file_name")),
            duration_ms: content.get("duration").and_then(Json::as_i64),
            cover_image_key: filled(content.get_str("image_key")),
            ..Resource::new(kind, file_key)
        };
        let mut text = format!("<{tag} key=\"{}\"", Attribute(&resource.file_key));
        if let Some(name) = &resource.file_name {
            text.push_str(&format!(" name=\"{}\"", Attribute(name)));
        }
        if let Some(millis) = resource.duration_ms {
            text.push_str(&format!(" duration=\"{}s\"", seconds(millis)));
        }
        text.push_str("/>");
        Self {
            text,
            resources: alloc::vec![resource],
            ..Self::default()
        }
    }

    fn tag(name: &str, attributes: &[(&str, Option<JsonStr<'_>>)]) -> Self {
        let mut text = format!("<{name}");
        for (key, value) in attributes {
            text.push_str(&format!(" {key}=\"{}\"", Attribute(&owned(*value))));
        }
        text.push_str("/>");
        Self::plain(text)
    }
}

impl Resource {
    pub(super) fn new(kind: ResourceKind, file_key: String) -> Self {
        Self {
            kind,
            file_key,
            file_name: None,
            duration_ms: None,
            cover_image_key: None,
        }
    }
}

/// A block of lines in a tag. What people typed cannot end it or open another.
fn block(tag: &str, lines: &[String]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            line.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
        })
        .collect();
    format!("<{tag}>\n{}\n</{tag}>", lines.join("\n"))
}

/// A template like `{from_user} invited {to_chatters}`: lower-case names are
/// filled from the members beside it, lists joined by commas.
fn system(content: Json<'_>) -> String {
    let Some(template) = content.get_str("template").filter(|text| !text.is_empty()) else {
        return "[system message]".into();
    };
    let template = template.to_text();
    // Looked up once, however often a template names them.
    let values: BTreeMap<_, _> = content
        .members()
        .map(|(key, value)| (key.to_text(), value))
        .collect();
    let mut text = String::new();
    let mut rest = &*template;
    while let Some((before, from)) = rest.split_once('{') {
        text.push_str(before);
        let name = from.split_once('}').filter(|(name, _)| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        });
        match name {
            Some((name, after)) => {
                match values.get(name).filter(|_| text.len() < TEXT_BYTES_MAX) {
                    Some(value) => text.push_str(&variable(*value)),
                    None => text.push_str(&format!("{{{name}}}")),
                }
                rest = after;
            }
            None => {
                text.push('{');
                rest = from;
            }
        }
    }
    text.push_str(rest);
    text
}

fn variable(value: Json<'_>) -> String {
    if value.is_array() {
        let items: Vec<_> = value.items().map(variable_item).collect();
        return items.join(", ");
    }
    variable_item(value)
}

fn variable_item(value: Json<'_>) -> String {
    if value.is_object() {
        let known = ["name", "open_id", "id"]
            .into_iter()
            .find_map(|key| filled(value.get_str(key)));
        return known.unwrap_or_default();
    }
    if value.is_null() {
        return String::new();
    }
    value
        .as_str()
        .map_or_else(|| value.raw().into(), JsonStr::to_owned_text)
}

fn calendar(tag: &str, content: Json<'_>) -> String {
    let mut lines = Vec::new();
    if let Some(summary) = filled(content.get_str("summary")) {
        lines.push(format!("📅 {summary}"));
    }
    let time = |key| content.get(key).and_then(Json::as_i64).map(local_time);
    match (time("start_time"), time("end_time")) {
        (Some(start), Some(end)) => lines.push(format!("🕙 {start} ~ {end}")),
        (Some(start), None) => lines.push(format!("🕙 {start}")),
        (None, _) => {}
    }
    if lines.is_empty() {
        lines.push("[calendar event]".into());
    }
    block(tag, &lines)
}

fn meeting(content: Json<'_>) -> String {
    let mut lines = Vec::new();
    if let Some(topic) = filled(content.get_str("topic")) {
        lines.push(format!("📹 {topic}"));
    }
    if let Some(start) = content.get("start_time").and_then(Json::as_i64) {
        lines.push(format!("🕙 {}", local_time(start)));
    }
    if lines.is_empty() {
        lines.push("[video chat]".into());
    }
    block("meeting", &lines)
}

fn todo(content: Json<'_>, mentions: &Mentions) -> String {
    let mut lines = Vec::new();
    if let Some(summary) = content.get("summary") {
        lines.extend(filled(summary.get_str("title")));
        let body = post::words(summary, mentions);
        if !body.is_empty() {
            lines.push(body);
        }
    }
    if let Some(due) = content.get("due_time").and_then(Json::as_i64) {
        lines.push(format!("Due: {}", local_time(due)));
    }
    if lines.is_empty() {
        lines.push("[todo]".into());
    }
    block("todo", &lines)
}

fn vote(content: Json<'_>) -> String {
    let mut lines: Vec<_> = filled(content.get_str("topic")).into_iter().collect();
    let options = content.get("options").into_iter().flat_map(Json::items);
    lines.extend(options.filter_map(|option| {
        let text = option.as_str().or_else(|| option.get_str("text"))?;
        Some(format!("• {}", text.to_text()))
    }));
    if lines.is_empty() {
        lines.push("[vote]".into());
    }
    block("vote", &lines)
}

/// An attribute's value that cannot end the attribute or open a tag.
pub(super) struct Attribute<'a>(pub(super) &'a str);

impl core::fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write as _;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\r' => f.write_str(" ")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Milliseconds as seconds, without needless zeros: 2500 is `2.5`.
fn seconds(millis: i64) -> String {
    let text = format!("{}.{:03}", millis / 1000, (millis % 1000).abs());
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// A time in China, `2025-10-10 16:00:00`. Values up to 10^12 are seconds.
fn local_time(value: i64) -> String {
    const CHINA_SECS: i64 = 8 * 3600;
    let seconds = if value > 1_000_000_000_000 {
        value / 1000
    } else {
        value
    };
    let seconds = seconds.saturating_add(CHINA_SECS);
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

/// The Gregorian date of a day counted from 1970-01-01, by the algorithm that
/// counts years from March, so that leap days come last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
