//! The list of skills that a model chooses from.

use core::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation as _;

use super::Skill;
use super::limits::{CATALOGUE_DESCRIPTION_MAX, CATALOGUE_DESCRIPTION_MIN};
use super::render::escape;

/// The block for a prompt, in at most `bytes_max` bytes: shorter descriptions before fewer
/// skills. `None` when there is nothing to list, or no room for one.
pub(super) fn write<'a>(
    skills: impl Iterator<Item = &'a Skill> + Clone,
    bytes_max: usize,
) -> Option<String> {
    let mut graphemes_max = CATALOGUE_DESCRIPTION_MAX;
    loop {
        let entries: Vec<String> = skills
            .clone()
            .map(|skill| entry(skill, graphemes_max))
            .collect();
        if entries.is_empty() {
            return None;
        }
        let bytes: usize = entries.iter().map(String::len).sum();
        if bytes + FRAME_BYTES <= bytes_max {
            return Some(frame(&entries, 0));
        }
        if graphemes_max == 0 {
            return as_many_as_fit(&entries, bytes_max);
        }
        graphemes_max = match graphemes_max / 2 {
            half if half < CATALOGUE_DESCRIPTION_MIN => 0,
            half => half,
        };
    }
}

fn as_many_as_fit(entries: &[String], bytes_max: usize) -> Option<String> {
    let mut bytes = FRAME_BYTES;
    let fitting = entries.iter().take_while(|entry| {
        bytes += entry.len();
        bytes <= bytes_max
    });
    let fitting = fitting.count();
    let listed = entries.get(..fitting).filter(|listed| !listed.is_empty())?;
    Some(frame(listed, entries.len() - fitting))
}

fn frame(entries: &[String], left_out: usize) -> String {
    let mut text = String::from("<available_skills>\n");
    text.extend(entries.iter().map(String::as_str));
    if left_out > 0 {
        let _ = writeln!(text, "<more count=\"{left_out}\"/>");
    }
    text.push_str("</available_skills>");
    text
}

fn entry(skill: &Skill, graphemes_max: usize) -> String {
    let name = escape(skill.name());
    if graphemes_max == 0 {
        return format!("<skill><name>{name}</name></skill>\n");
    }
    let description = escape(&shorten(&skill.manifest.description, graphemes_max));
    format!("<skill><name>{name}</name><description>{description}</description></skill>\n")
}

/// In one line, and cut where a reader would cut it.
pub(super) fn shorten(text: &str, graphemes_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.grapheme_indices(true).nth(graphemes_max) {
        None => line,
        Some(_) => {
            let kept = line.graphemes(true).take(graphemes_max.saturating_sub(1));
            kept.chain(["…"]).collect()
        }
    }
}

/// What stands around the entries, the line about the left out ones included.
const FRAME_BYTES: usize = 80;
