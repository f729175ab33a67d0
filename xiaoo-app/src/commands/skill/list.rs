//! `skill list`.

use std::io::Write;

use anyhow::Result;
use serde_json::json;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;
use xiaoo_agent::skill::{Level, Skill, Skills};

use super::{Places, write_json};
use crate::cli::SkillListArgs;

/// Lists the skills, and what was found beside them.
pub(super) fn run(args: &SkillListArgs, places: &Places, out: &mut impl Write) -> Result<()> {
    let skills = places.skills();
    if args.json {
        return write_json(&as_json(&skills, places), out);
    }
    if skills.is_empty() {
        writeln!(out, "There are no skills. Looked in:")?;
        for root in &places.roots {
            let there = if root.path.is_dir() {
                ""
            } else {
                " (not there)"
            };
            writeln!(out, "  {}{there}", root.path.display())?;
        }
        writeln!(
            out,
            "`xiaoo-app skill install SOURCE` installs one: a directory, a git URL or an archive."
        )?;
    }
    let name_width = widest(skills.iter().map(|skill| skill.name()));
    for skill in skills.iter() {
        let name = skill.name();
        let blanks = " ".repeat(name_width.saturating_sub(name.width()));
        writeln!(
            out,
            "{name}{blanks}  {:<10}  {:<6}  {}",
            skill.origin().name(),
            audience(skill),
            shorten(&skill.manifest().description)
        )?;
        for missing in skill.missing() {
            writeln!(out, "{}  not available: {missing}", " ".repeat(name_width))?;
        }
    }
    let worth_saying = |found: &&xiaoo_agent::skill::Diagnostic| found.level > Level::Note;
    let mut found = skills.diagnostics().iter().filter(worth_saying).peekable();
    if found.peek().is_some() {
        writeln!(out)?;
    }
    for diagnostic in found {
        writeln!(out, "{}: {diagnostic}", diagnostic.level)?;
    }
    Ok(())
}

/// Who may call it.
fn audience(skill: &Skill) -> &'static str {
    let manifest = skill.manifest();
    match (manifest.user_invocable, !manifest.disable_model_invocation) {
        (true, true) => "all",
        (true, false) => "people",
        (false, true) => "model",
        (false, false) => "nobody",
    }
}

fn as_json(skills: &Skills, places: &Places) -> serde_json::Value {
    let listed = skills.iter().map(|skill| {
        let manifest = skill.manifest();
        json!({
            "name": skill.name(),
            "description": manifest.description,
            "version": manifest.version,
            "level": skill.origin().name(),
            "directory": skill.directory(),
            "available": skill.missing().is_empty(),
            "missing": skill.missing(),
            "for_people": manifest.user_invocable,
            "for_model": !manifest.disable_model_invocation,
        })
    });
    let found = skills
        .diagnostics()
        .iter()
        .map(|found| json!({"level": found.level.name(), "path": found.path, "text": found.text}));
    let roots = places.roots.iter().map(|root| {
        json!({"level": root.origin.name(), "path": root.path, "exists": root.path.is_dir()})
    });
    json!({
        "skills": listed.collect::<Vec<_>>(),
        "diagnostics": found.collect::<Vec<_>>(),
        "roots": roots.collect::<Vec<_>>(),
    })
}

fn widest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let widths = names.map(|name| name.width());
    widths.max().unwrap_or_default().min(NAME_WIDTH_MAX)
}

/// One line, and not more of it than a terminal shows.
fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.width() <= DESCRIPTION_WIDTH {
        return line;
    }
    let mut width = 0;
    let kept = line.graphemes(true).take_while(|grapheme| {
        width += grapheme.width();
        width < DESCRIPTION_WIDTH
    });
    kept.chain(["…"]).collect()
}

/// Columns of a name; longer ones push their line to the right.
const NAME_WIDTH_MAX: usize = 32;
/// Columns of a description: with the rest, a line fits into a terminal of 120.
const DESCRIPTION_WIDTH: usize = 64;
