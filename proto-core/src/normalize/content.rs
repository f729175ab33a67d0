//! The content of each message type as text and resources.

use super::words::{Writer, Written};
use super::{Resource, ResourceKind, TEXT_BYTES_MAX, card, filled, post, text};
use crate::TextBuffer;
use crate::decimal::push_padded;
use crate::json::{Json, JsonStr, Name};

/// How many variables of a system message's template are filled in. Feishu's
/// own have two or three; each takes a walk over the content.
const VARIABLES_MAX: usize = 64;

/// Writes a content. What is not an object counts as an empty one.
pub(super) fn write<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    message_type: Option<JsonStr<'_>>,
    content: Json<'_>,
) -> Written {
    let string = |key| content.get_str(key);
    match message_type.map_or("", |kind| kind.as_plain().unwrap_or_default()) {
        "text" => text::write_words(out, string("text")),
        "post" => post::write(out, content),
        "image" => write_image(out, content),
        "file" => write_resource(out, content, ResourceKind::File, "file"),
        "audio" => write_resource(out, content, ResourceKind::Audio, "audio"),
        "media" | "video" => write_resource(out, content, ResourceKind::Video, "video"),
        "sticker" => write_resource(out, content, ResourceKind::Sticker, "sticker"),
        "folder" => write_folder(out, content),
        "interactive" => card::write(out, content),
        "share_chat" => write_tag(out, "group_card", &[("id", string("chat_id"))]),
        "share_user" => write_tag(out, "contact_card", &[("id", string("user_id"))]),
        "hongbao" => {
            let text = filled(string("text")).or_else(|| string("title"));
            write_tag(out, "hongbao", &[("text", text)])
        }
        "location" => write_tag(
            out,
            "location",
            &[
                ("name", string("name")),
                ("lng", string("longitude")),
                ("lat", string("latitude")),
            ],
        ),
        "system" => write_system(out, content),
        "calendar" => write_calendar(out, "calendar_invite", content),
        "general_calendar" => write_calendar(out, "calendar", content),
        "share_calendar_event" => write_calendar(out, "calendar_share", content),
        "video_chat" => write_meeting(out, content),
        "todo" => write_todo(out, content),
        "vote" => write_vote(out, content),
        "merge_forward" => {
            out.needs_fetch = true;
            out.raw("<forwarded_messages/>")
        }
        _ => {
            let start = out.len();
            if let Some(text) = string("text") {
                out.words(text)?;
            }
            or_else(out, start, "[unsupported message]")
        }
    }
}

fn write_image<T: TextBuffer>(out: &mut Writer<'_, '_, T>, content: Json<'_>) -> Written {
    let Some(key) = filled(content.get_str("image_key")) else {
        return out.raw("[image]");
    };
    out.raw("![image](")?;
    out.string(key)?;
    (out.resources)(Resource::new(ResourceKind::Image, key));
    out.raw(")")
}

fn write_resource<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    content: Json<'_>,
    kind: ResourceKind,
    tag: &str,
) -> Written {
    let Some(file_key) = filled(content.get_str("file_key")) else {
        return write_placeholder(out, tag);
    };
    let resource = Resource {
        file_name: filled(content.get_str("file_name")),
        duration_ms: content.get("duration").and_then(Json::as_i64),
        cover_image_key: filled(content.get_str("image_key")),
        ..Resource::new(kind, file_key)
    };
    write_resource_tag(out, &resource, tag)?;
    (out.resources)(resource);
    Ok(())
}

/// Folders cannot be downloaded.
fn write_folder<T: TextBuffer>(out: &mut Writer<'_, '_, T>, content: Json<'_>) -> Written {
    let Some(file_key) = filled(content.get_str("file_key")) else {
        return write_placeholder(out, "folder");
    };
    let name = filled(content.get_str("file_name"));
    let folder = Resource {
        file_name: name.or_else(|| filled(content.get_str("name"))),
        ..Resource::new(ResourceKind::File, file_key)
    };
    write_resource_tag(out, &folder, "folder")
}

fn write_placeholder<T: TextBuffer>(out: &mut Writer<'_, '_, T>, tag: &str) -> Written {
    out.raws(&["[", tag, "]"])
}

fn write_resource_tag<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    resource: &Resource<'_>,
    tag: &str,
) -> Written {
    out.raw("<")?;
    out.raw(tag)?;
    write_attribute(out, "key", Some(resource.file_key))?;
    if resource.file_name.is_some() {
        write_attribute(out, "name", resource.file_name)?;
    }
    if let Some(millis) = resource.duration_ms {
        out.raw(" duration=\"")?;
        out.raw(&seconds(millis))?;
        out.raw("s\"")?;
    }
    out.raw("/>")
}

fn write_tag<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    tag: &str,
    attributes: &[(&str, Option<JsonStr<'_>>)],
) -> Written {
    out.raw("<")?;
    out.raw(tag)?;
    for (key, value) in attributes {
        write_attribute(out, key, *value)?;
    }
    out.raw("/>")
}

fn write_attribute<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    key: &str,
    value: Option<JsonStr<'_>>,
) -> Written {
    out.raws(&[" ", key, "=\""])?;
    if let Some(value) = value {
        out.attribute(value)?;
    }
    out.raw("\"")
}

/// A template like `{from_user} invited {to_chatters}`: lower-case names are
/// filled from the members beside it, lists joined by commas.
fn write_system<T: TextBuffer>(out: &mut Writer<'_, '_, T>, content: Json<'_>) -> Written {
    let Some(template) = filled(content.get_str("template")) else {
        return out.raw("[system message]");
    };
    let mut variables_left = VARIABLES_MAX;
    // The name that is being read, behind its bracket.
    let mut name: Option<Name> = None;
    for character in template.chars() {
        if let Some(open) = &mut name {
            let goes_on = character.is_ascii_lowercase() || character == '_';
            if goes_on && open.push(character).is_ok() {
                continue;
            }
            let value = (character == '}' && !open.is_empty() && variables_left > 0)
                .then(|| content.members().filter(|(key, _)| *key == **open).last())
                .flatten()
                .filter(|_| out.len() < TEXT_BYTES_MAX);
            if let Some((_, value)) = value {
                variables_left -= 1;
                name = None;
                write_variable(out, value)?;
                continue;
            }
            out.raw("{")?;
            out.raw(open)?;
            name = None;
        }
        if character == '{' {
            name = Some(Name::new());
        } else {
            out.raw(character.encode_utf8(&mut [0; 4]))?;
        }
    }
    match name {
        Some(open) => {
            out.raw("{")?;
            out.raw(&open)
        }
        None => Ok(()),
    }
}

fn write_variable<T: TextBuffer>(out: &mut Writer<'_, '_, T>, value: Json<'_>) -> Written {
    if !value.is_array() {
        return write_variable_item(out, value);
    }
    for (at, item) in value.items().enumerate() {
        if at > 0 {
            out.raw(", ")?;
        }
        write_variable_item(out, item)?;
    }
    Ok(())
}

fn write_variable_item<T: TextBuffer>(out: &mut Writer<'_, '_, T>, value: Json<'_>) -> Written {
    if value.is_object() {
        let known = ["name", "open_id", "id"]
            .into_iter()
            .find_map(|key| filled(value.get_str(key)));
        return known.map_or(Ok(()), |known| out.string(known));
    }
    match value.as_str() {
        Some(text) => out.string(text),
        None if value.is_null() => Ok(()),
        None => out.raw(value.raw()),
    }
}

fn write_calendar<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    tag: &str,
    content: Json<'_>,
) -> Written {
    write_appointment(
        out,
        tag,
        (
            "📅 ",
            filled(content.get_str("summary")).or_else(|| content.get_str("title")),
        ),
        (time(content, "start_time"), time(content, "end_time")),
        "[calendar event]",
    )
}

fn write_meeting<T: TextBuffer>(out: &mut Writer<'_, '_, T>, content: Json<'_>) -> Written {
    let start = time(content, "start_time");
    let topic = ("📹 ", content.get_str("topic"));
    write_appointment(out, "meeting", topic, (start, None), "[video chat]")
}

fn write_appointment<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    tag: &str,
    (sign, what): (&str, Option<JsonStr<'_>>),
    (from, to): (Option<i64>, Option<i64>),
    nothing: &str,
) -> Written {
    out.block(tag, |out| {
        let start = out.len();
        if let Some(what) = filled(what) {
            out.raw(sign)?;
            out.string(what)?;
        }
        if let Some(from) = from {
            out.line(start, "\n", |out| {
                out.raw("🕙 ")?;
                out.raw(&local_time(from))?;
                let Some(to) = to else { return Ok(()) };
                out.raw(" ~ ")?;
                out.raw(&local_time(to))
            })?;
        }
        or_else(out, start, nothing)
    })
}

fn write_todo<T: TextBuffer>(out: &mut Writer<'_, '_, T>, content: Json<'_>) -> Written {
    out.block("todo", |out| {
        let start = out.len();
        if let Some(summary) = content.get("summary") {
            if let Some(title) = summary.as_str().or_else(|| summary.get_str("title")) {
                out.string(title)?;
            }
            out.line(start, "\n", |out| post::write_plain(out, summary))?;
        }
        if let Some(due) = time(content, "due_time") {
            out.line(start, "\n", |out| {
                out.raw("Due: ")?;
                out.raw(&local_time(due))
            })?;
        }
        or_else(out, start, "[todo]")
    })
}

fn write_vote<T: TextBuffer>(out: &mut Writer<'_, '_, T>, content: Json<'_>) -> Written {
    out.block("vote", |out| {
        let start = out.len();
        if let Some(topic) = content.get_str("topic") {
            out.string(topic)?;
        }
        for option in content.get("options").into_iter().flat_map(Json::items) {
            if let Some(text) = option.as_str().or_else(|| option.get_str("text")) {
                out.line(start, "\n", |out| {
                    out.raw("• ")?;
                    out.string(text)
                })?;
            }
        }
        or_else(out, start, "[vote]")
    })
}

/// A stated time; 0 says that there is none.
fn time(content: Json<'_>, key: &str) -> Option<i64> {
    let stated = content.get(key).and_then(Json::as_i64);
    stated.filter(|time| *time != 0)
}

/// Writes `nothing` if nothing was written since `start`.
fn or_else<T: TextBuffer>(out: &mut Writer<'_, '_, T>, start: usize, nothing: &str) -> Written {
    if out.len() == start {
        out.raw(nothing)?;
    }
    Ok(())
}

/// A number or a time: every one fits.
type Short = heapless::String<64>;

/// Milliseconds as seconds, without needless zeros: 2500 is `2.5`.
fn seconds(millis: i64) -> Short {
    let mut text = Short::new();
    let _ = push_padded(&mut text, millis / 1000, 1);
    let _ = text.push('.');
    let _ = push_padded(&mut text, (millis % 1000).abs(), 3);
    let len = text.trim_end_matches('0').trim_end_matches('.').len();
    text.truncate(len);
    text
}

/// A time in China, `2025-10-10 16:00:00`. Values up to 10^12 are seconds.
fn local_time(value: i64) -> Short {
    const CHINA_SECS: i64 = 8 * 3600;
    let seconds = if value > 1_000_000_000_000 {
        value / 1000
    } else {
        value
    };
    let seconds = seconds.saturating_add(CHINA_SECS);
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let mut text = Short::new();
    for (before, number, width) in [
        ("", year, 4),
        ("-", month, 2),
        ("-", day, 2),
        (" ", time / 3600, 2),
        (":", time / 60 % 60, 2),
        (":", time % 60, 2),
    ] {
        let _ = text.push_str(before);
        let _ = push_padded(&mut text, number, width);
    }
    text
}

/// A time as texts here write it, in China's zone: `2025-10-10 16:00:00`.
/// Values up to 10^12 are seconds, larger ones milliseconds since 1970.
#[cfg(feature = "alloc")]
#[must_use]
pub fn time_in_china(value: i64) -> alloc::string::String {
    local_time(value).as_str().into()
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
