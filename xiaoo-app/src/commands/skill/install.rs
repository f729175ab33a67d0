//! `skill install`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use xiaoo_agent::skill::audit::{Audit, audit};
use xiaoo_agent::skill::{Fault, Level, SkillLimits, check};

use super::audit::write_audit;
use super::{Places, is_skill, skills_below, source, stage};
use crate::cli::SkillInstallArgs;

/// Gets the skills, looks at all of them, and only then places them.
pub(super) fn run(args: &SkillInstallArgs, places: &Places, out: &mut impl Write) -> Result<()> {
    let into = match (&args.into, places.configured(), &places.home) {
        (Some(into), _, _) => into.clone(),
        // The home is of whoever types, and a daemon may be somebody else.
        (None, Some(configured), _) => configured.to_path_buf(),
        (None, None, Some(home)) => home.join(".xiaoo/skills"),
        (None, None, None) => {
            bail!("HOME is not set: name the directory to install into with --into")
        }
    };
    let fetched = source::fetch(&args.source)?;
    let found = chosen(find(fetched.path(), &args.source)?, &args.only)?;

    fs::create_dir_all(&into).with_context(|| format!("{} can't be made", into.display()))?;
    let staging = tempfile::Builder::new()
        .prefix(".install-")
        .tempdir_in(&into)
        .with_context(|| format!("{} can't be written to", into.display()))?;
    let mut staged = Vec::new();
    for (name, directory) in &found {
        staged.push(prepare(name, directory, &staging, args.force)?);
    }
    for skill in &staged {
        if skill.audit.count(Level::Warning) > 0 || skill.audit.has_errors() {
            write_audit(&skill.name, &skill.audit, out)?;
        }
    }
    let refused: Vec<&str> = staged
        .iter()
        .filter(|skill| skill.audit.has_errors())
        .map(|skill| skill.name.as_str())
        .collect();
    if !refused.is_empty() && !args.force {
        bail!(
            "not installed, because of what the audit found in {}. Read what is named above; if you \
             trust it, --force installs it all the same",
            refused.join(", ")
        );
    }
    if !args.force {
        for skill in &staged {
            let target = into.join(&skill.name);
            if target.symlink_metadata().is_ok() {
                bail!(
                    "nothing was installed: {} is there already; --force replaces it",
                    target.display()
                );
            }
        }
    }
    for skill in &staged {
        place(skill, &into, &staging, args.force)?;
        writeln!(
            out,
            "Installed {} in {}.",
            skill.name,
            into.join(&skill.name).display()
        )?;
    }
    staging
        .close()
        .context("what was left over can't be removed")?;
    write_outlook(&staged, &into, places, out)
}

struct Staged {
    name: String,
    path: PathBuf,
    audit: Audit,
}

/// The skills in what was fetched, by their names.
fn find(folder: &Path, source: &str) -> Result<BTreeMap<String, PathBuf>> {
    let directories = if is_skill(folder) {
        vec![folder.to_path_buf()]
    } else {
        let mut below = skills_below(folder)?;
        let skills = folder.join("skills");
        if skills.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            below.extend(skills_below(&skills)?);
        }
        // Archives often have everything in one directory.
        if below.is_empty()
            && let Some(only) = only_folder(folder)?
        {
            below = skills_below(&only)?;
            let skills = only.join("skills");
            if skills.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                below.extend(skills_below(&skills)?);
            }
        }
        below
    };
    if directories.is_empty() {
        bail!(
            "there is no skill in {source}: a skill is a directory with a SKILL.md or SKILL.toml; they \
             are looked for at the top, one directory below, and in skills/*"
        );
    }
    let mut found = BTreeMap::new();
    for directory in directories {
        let name = name_of(&directory)?;
        if let Some(first) = found.insert(name.clone(), directory.clone()) {
            bail!(
                "two skills are called {name:?}: {} and {}",
                first.display(),
                directory.display()
            );
        }
    }
    Ok(found)
}

fn only_folder(folder: &Path) -> Result<Option<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(match folders.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    })
}

/// What a skill is called, which is where it will be.
fn name_of(directory: &Path) -> Result<String> {
    let checked = check(directory, SkillLimits::default().file_bytes_max)?;
    let Some(name) = checked.name else {
        let broken = |fault: &&Fault| fault.at_load() == Level::Error;
        let why: Vec<_> = checked
            .faults
            .iter()
            .filter(broken)
            .map(Fault::to_string)
            .collect();
        bail!(
            "the skill in {} is broken: {}",
            directory.display(),
            why.join("; ")
        );
    };
    let is_plain = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if !is_plain {
        bail!("{name:?} can't be the name of a directory");
    }
    Ok(name)
}

fn chosen(
    mut found: BTreeMap<String, PathBuf>,
    only: &[String],
) -> Result<BTreeMap<String, PathBuf>> {
    if only.is_empty() {
        return Ok(found);
    }
    for name in only {
        if !found.contains_key(name) {
            let names: Vec<&str> = found.keys().map(String::as_str).collect();
            bail!(
                "there is no skill {name:?} in it; there are: {}",
                names.join(", ")
            );
        }
    }
    found.retain(|name, _| only.contains(name));
    Ok(found)
}

fn prepare(name: &str, from: &Path, staging: &TempDir, is_forced: bool) -> Result<Staged> {
    let path = staging.path().join(name);
    stage::copy(from, &path, is_forced)
        .with_context(|| format!("the skill {name} can't be installed"))?;
    let audit = audit(&path).with_context(|| format!("{name} can't be looked at"))?;
    Ok(Staged {
        name: name.to_owned(),
        path,
        audit,
    })
}

/// Moves a skill to its place, so that it is there as a whole or not at all.
fn place(skill: &Staged, into: &Path, staging: &TempDir, is_forced: bool) -> Result<()> {
    let target = into.join(&skill.name);
    let old = staging.path().join(format!(".old-{}", skill.name));
    let is_replaced = is_forced && target.symlink_metadata().is_ok();
    if is_replaced {
        fs::rename(&target, &old)
            .with_context(|| format!("{} can't be moved away", target.display()))?;
    }
    if let Err(why) = fs::rename(&skill.path, &target) {
        if is_replaced {
            fs::rename(&old, &target)
                .with_context(|| format!("{} was moved to {}", target.display(), old.display()))?;
        }
        return Err(why).with_context(|| format!("{} can't be put in its place", target.display()));
    }
    Ok(())
}

/// Whether a daemon will use what was installed.
fn write_outlook(
    staged: &[Staged],
    into: &Path,
    places: &Places,
    out: &mut impl Write,
) -> Result<()> {
    let skills = places.skills();
    for skill in staged {
        let placed = into.join(&skill.name);
        let is_read = places.root_of(&placed).is_some();
        if !is_read {
            writeln!(
                out,
                "The daemon does not read {}: add it to `dirs` in the [skills] of its configuration.",
                into.display()
            )?;
            return Ok(());
        }
        let Some(used) = skills.get(&skill.name) else {
            continue;
        };
        if placed
            .canonicalize()
            .is_ok_and(|placed| placed != used.directory())
        {
            writeln!(
                out,
                "Another skill called {} takes precedence: {}",
                skill.name,
                used.directory().display()
            )?;
        }
        for missing in used.missing() {
            writeln!(out, "{} is not available yet: {missing}.", skill.name)?;
        }
    }
    Ok(())
}
