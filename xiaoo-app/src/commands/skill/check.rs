//! `skill check`: the open format's rules, to the letter.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use xiaoo_agent::skill::{Checked, Level, SkillLimits, check};

use super::{SKILL_FILES, is_skill, skills_below, write_json};
use crate::cli::SkillCheckArgs;

/// Checks each skill, and fails if one is broken.
pub(super) fn run(args: &SkillCheckArgs, out: &mut impl Write) -> Result<()> {
    let mut results = Vec::new();
    for path in &args.paths {
        for directory in skills_at(path)? {
            let checked = check(&directory, SkillLimits::default().file_bytes_max)
                .with_context(|| format!("{} can't be read", directory.display()))?;
            results.push((directory, checked));
        }
    }
    if args.json {
        let results: Vec<_> = results
            .iter()
            .map(|(path, found)| as_json(path, found))
            .collect();
        write_json(&json!({ "skills": results }), out)?;
    } else {
        for (path, checked) in &results {
            write_result(path, checked, out)?;
        }
    }
    let broken = results.iter().filter(|(_, checked)| is_broken(checked));
    match broken.count() {
        0 => Ok(()),
        broken => bail!("{broken} of {} skills are broken", results.len()),
    }
}

/// The skill that a path means, or the skills in a directory of them.
fn skills_at(path: &Path) -> Result<Vec<PathBuf>> {
    let means_its_directory = SKILL_FILES.iter().any(|file| path.ends_with(file));
    let directory = match path.parent() {
        Some(parent) if means_its_directory && path.is_file() => {
            if parent.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                parent.to_path_buf()
            }
        }
        _ => path.to_path_buf(),
    };
    if !directory.is_dir() {
        bail!(
            "{} is not a directory; name a skill's directory or its SKILL.md",
            path.display()
        );
    }
    if is_skill(&directory) {
        return Ok(vec![directory]);
    }
    let below = skills_below(&directory)
        .with_context(|| format!("{} can't be listed", directory.display()))?;
    if below.is_empty() {
        bail!(
            "there is no skill in {}: a skill is a directory with a SKILL.md",
            directory.display()
        );
    }
    Ok(below)
}

fn is_broken(checked: &Checked) -> bool {
    let mut faults = checked.faults.iter();
    faults.any(|fault| fault.strict() == Level::Error)
}

fn write_result(path: &Path, checked: &Checked, out: &mut impl Write) -> Result<()> {
    if !is_broken(checked) {
        writeln!(out, "ok       {}", path.display())?;
    } else {
        writeln!(out, "FAILED   {}", path.display())?;
    }
    let mut faults: Vec<_> = checked.faults.iter().collect();
    faults.sort_by_key(|fault| core::cmp::Reverse(fault.strict()));
    for fault in faults {
        writeln!(out, "         {}: {fault}", fault.strict())?;
    }
    Ok(())
}

fn as_json(path: &Path, checked: &Checked) -> serde_json::Value {
    let found = checked
        .faults
        .iter()
        .map(|fault| json!({"level": fault.strict().name(), "text": fault.to_string()}));
    json!({
        "path": path,
        "name": checked.name,
        "ok": !is_broken(checked),
        "findings": found.collect::<Vec<_>>(),
    })
}
