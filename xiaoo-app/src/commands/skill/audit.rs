//! `skill audit`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use xiaoo_agent::skill::Level;
use xiaoo_agent::skill::audit::{Audit, audit};

use super::{Places, is_skill, named, write_json};
use crate::cli::SkillAuditArgs;

/// Audits what is meant, and fails if there is something that must not be.
pub(super) fn run(args: &SkillAuditArgs, places: &Places, out: &mut impl Write) -> Result<()> {
    let mut results = Vec::new();
    for directory in targets(args.target.as_deref(), places)? {
        let found =
            audit(&directory).with_context(|| format!("{} can't be read", directory.display()))?;
        results.push((directory, found));
    }
    if args.json {
        let results: Vec<_> = results
            .iter()
            .map(|(path, found)| as_json(path, found))
            .collect();
        write_json(&json!({ "skills": results }), out)?;
    } else if results.is_empty() {
        writeln!(out, "There are no skills to look at.")?;
    } else {
        for (path, found) in &results {
            write_audit(&path.display().to_string(), found, out)?;
        }
    }
    let refused = results.iter().filter(|(_, found)| found.has_errors());
    match refused.count() {
        0 => Ok(()),
        refused => bail!(
            "{refused} of {} skills must not be used as they are",
            results.len()
        ),
    }
}

fn targets(target: Option<&str>, places: &Places) -> Result<Vec<PathBuf>> {
    let Some(target) = target else {
        let skills = places.skills();
        let directories = skills.iter().map(|skill| skill.directory().to_path_buf());
        return Ok(directories.collect());
    };
    // A name first: what is installed is what is meant.
    let skills = places.skills();
    if let Some(skill) = skills.get(target) {
        return Ok(vec![skill.directory().to_path_buf()]);
    }
    let path = Path::new(target);
    if path.is_dir() {
        if !is_skill(path) {
            bail!("{target} is no skill: there is no SKILL.md and no SKILL.toml in it");
        }
        return Ok(vec![path.to_path_buf()]);
    }
    named(&skills, target).map(|skill| vec![skill.directory().to_path_buf()])
}

/// One skill's findings, the worst first.
pub(super) fn write_audit(title: &str, found: &Audit, out: &mut impl Write) -> Result<()> {
    let verdict = if found.has_errors() { "FAILED" } else { "ok" };
    let kib = found.bytes.div_ceil(1 << 10);
    writeln!(
        out,
        "{verdict:<8} {title} ({} files, {kib} KiB)",
        found.files
    )?;
    let mut findings: Vec<_> = found.findings.iter().collect();
    findings.sort_by_key(|finding| core::cmp::Reverse(finding.level));
    for finding in findings {
        let place = match finding.line {
            Some(line) => format!("{}:{line}: ", finding.file),
            None if finding.file.is_empty() => String::new(),
            None => format!("{}: ", finding.file),
        };
        writeln!(
            out,
            "         {}: {}{}",
            finding.level,
            visible(&place),
            visible(&finding.text)
        )?;
    }
    Ok(())
}

/// File names come from strangers; nothing of them may steer a terminal.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn as_json(path: &Path, found: &Audit) -> serde_json::Value {
    let findings = found.findings.iter().map(|finding| {
        json!({
            "level": finding.level.name(),
            "file": finding.file,
            "line": finding.line,
            "text": finding.text,
        })
    });
    json!({
        "path": path,
        "ok": !found.has_errors(),
        "files": found.files,
        "bytes": found.bytes,
        "errors": found.count(Level::Error),
        "warnings": found.count(Level::Warning),
        "findings": findings.collect::<Vec<_>>(),
    })
}
