//! `skill remove`.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use xiaoo_agent::skill::{Origin, SkillRoot};

use super::{Places, named};
use crate::cli::SkillRemoveArgs;

/// Removes a skill from the configured directories or the user's own.
pub(super) fn run(args: &SkillRemoveArgs, places: &Places, out: &mut impl Write) -> Result<()> {
    let (directory, root) = find(&args.name, places)?;
    match root.origin {
        Origin::Configured | Origin::User => {}
        Origin::Workspace => bail!(
            "{} belongs to the agent's workspace; remove it there by hand",
            directory.display()
        ),
        Origin::System => bail!(
            "{} was installed with the system; its package manager removes it",
            directory.display()
        ),
    }
    if !args.yes && !is_confirmed(&format!("Remove {}?", directory.display()))? {
        writeln!(out, "Nothing was removed.")?;
        return Ok(());
    }
    let is_link = fs::symlink_metadata(&directory).is_ok_and(|found| found.is_symlink());
    if is_link {
        fs::remove_file(&directory)
    } else {
        remove_at_once(&directory, root)
    }
    .with_context(|| format!("{} can't be removed", directory.display()))?;
    writeln!(out, "Removed {}.", directory.display())?;
    if let Some(other) = places.skills().get(&args.name) {
        writeln!(
            out,
            "There is another one of that name, which is used now: {}",
            other.directory().display()
        )?;
    }
    Ok(())
}

/// A skill by its name, or a broken one by its directory's.
fn find<'a>(name: &str, places: &'a Places) -> Result<(PathBuf, &'a SkillRoot)> {
    let skills = places.skills();
    let directory = match skills.get(name) {
        Some(skill) => skill.directory().to_path_buf(),
        None => {
            let mut diagnostics = skills.diagnostics().iter();
            let broken = diagnostics.find(|found| {
                found.path.file_name().is_some_and(|file| file == name)
                    && places.root_of(&found.path).is_some()
            });
            match broken {
                Some(broken) => broken.path.clone(),
                None => named(&skills, name)?.directory().to_path_buf(),
            }
        }
    };
    match places.root_of(&directory) {
        Some(root) => Ok((directory, root)),
        None => bail!(
            "{} is not directly in one of the directories of skills",
            directory.display()
        ),
    }
}

fn is_confirmed(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("{question} Nobody can be asked here; --yes does it without asking");
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Out of the way first, so that a daemon never sees half of it.
fn remove_at_once(directory: &std::path::Path, root: &SkillRoot) -> io::Result<()> {
    let aside = tempfile::Builder::new()
        .prefix(".removed-")
        .tempdir_in(&root.path)?;
    fs::rename(directory, aside.path().join("skill"))?;
    aside.close()
}
