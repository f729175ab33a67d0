//! A skill as the model reads it.

use core::fmt::Write as _;
use std::path::Path;

use super::arguments::fill;
use super::limits::{ARGUMENT_BYTES_MAX, FILES_NAMED_MAX, FOLDER_DEPTH_MAX, FOLDERS_MAX};
use super::{Skill, allowed};

/// The body with its arguments, wrapped so that it can be told from everything else.
pub(super) fn write(skill: &Skill, args: &str) -> String {
    let args = cut(args.trim(), ARGUMENT_BYTES_MAX);
    let directory = skill.directory.to_string_lossy();
    let mut body = skill.body.clone();
    for placeholder in DIRECTORY_PLACEHOLDERS {
        body = body.replace(placeholder, &directory);
    }
    let filled = fill(&body, args, &skill.manifest.arguments);
    let mut body = filled.text;
    if !filled.has_used_any && !args.is_empty() {
        let _ = write!(body, "\n\nARGUMENTS: {args}");
    }
    let mut text = format!(
        "<skill name=\"{}\" directory=\"{}\"",
        escape(skill.name()),
        escape(&directory),
    );
    if let Some(tools) = &skill.manifest.allowed_tools {
        let tools = allowed::ours(tools).join(" ");
        let _ = write!(text, " {}=\"{}\"", allowed::ATTRIBUTE, escape(&tools));
    }
    let _ = write!(text, ">\n{}\n", harmless(&body));
    write_commands(skill, &mut text);
    write_files(&skill.directory, &mut text);
    for missing in &skill.missing {
        let _ = writeln!(
            text,
            "<skill_note>Not available here: {}</skill_note>",
            escape(missing)
        );
    }
    text.push_str("</skill>");
    text
}

fn write_commands(skill: &Skill, text: &mut String) {
    if skill.manifest.commands.is_empty() {
        return;
    }
    text.push_str("<skill_commands>\n");
    for command in &skill.manifest.commands {
        let mut line = format!("{} ({}): {}", command.name, command.kind, command.command);
        if !command.description.is_empty() {
            let _ = write!(line, " - {}", command.description);
        }
        for (name, meaning) in &command.arguments {
            let _ = write!(line, "; {name}: {meaning}");
        }
        let _ = writeln!(text, "{}", harmless(&line));
    }
    text.push_str("</skill_commands>\n");
}

fn write_files(directory: &Path, text: &mut String) {
    let files = bundled_files(directory);
    if files.is_empty() {
        return;
    }
    text.push_str("<skill_files>\n");
    for file in files.iter().take(FILES_NAMED_MAX) {
        let _ = writeln!(text, "{}", escape(file));
    }
    if files.len() > FILES_NAMED_MAX {
        text.push_str("…\n");
    }
    text.push_str("</skill_files>\n");
}

/// The files beside SKILL.md, relative and in order; one more than are named if there are more.
/// Links are not followed and not named.
fn bundled_files(directory: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders_left = FOLDERS_MAX;
    collect(
        directory,
        "",
        FOLDER_DEPTH_MAX,
        &mut folders_left,
        &mut files,
    );
    files
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    folders_left: &mut usize,
    files: &mut Vec<String>,
) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().take(ENTRIES_MAX).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut folders = Vec::new();
    for entry in entries {
        let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
            continue;
        };
        let is_hidden = name.starts_with('.') || NOT_CONTENT.contains(&name.as_str());
        if is_hidden || prefix.is_empty() && OWN_FILES.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            folders.push((entry.path(), format!("{prefix}{name}/")));
        } else if kind.is_file() {
            files.push(format!("{prefix}{name}"));
        }
        if files.len() > FILES_NAMED_MAX {
            return;
        }
    }
    for (path, prefix) in folders {
        if depth == 0 || *folders_left == 0 || files.len() > FILES_NAMED_MAX {
            return;
        }
        *folders_left -= 1;
        collect(&path, &prefix, depth - 1, folders_left, files);
    }
}

/// For a place where only text may stand: names, descriptions, attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A body keeps its `<` and `&`, which its code needs; only what could pass for one of the tags
/// around it is taken apart. It holds what a person wrote as arguments, too.
fn harmless(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let name = after.trim_start_matches(|c: char| c == '/' || c.is_whitespace());
        let is_tag = name
            .get(..TAG.len())
            .is_some_and(|begins| begins.eq_ignore_ascii_case(TAG));
        out.push_str(if is_tag { "&lt;" } else { "<" });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Every tag around a body begins with it.
const TAG: &str = "skill";
/// How other products write a skill's own directory.
const DIRECTORY_PLACEHOLDERS: [&str; 3] = ["{baseDir}", "${CLAUDE_SKILL_DIR}", "$CLAUDE_SKILL_DIR"];
/// What the model reads anyway.
const OWN_FILES: [&str; 3] = ["SKILL.md", "SKILL.toml", "skill.md"];
/// What programs leave behind.
const NOT_CONTENT: [&str; 2] = ["__pycache__", "node_modules"];
/// Entries of one directory that are looked at.
const ENTRIES_MAX: usize = 1000;
