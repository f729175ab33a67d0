//! `xiaoo-app skill`: skills looked after from outside the daemon.

mod audit;
mod check;
mod install;
mod list;
mod remove;
mod show;
mod source;
mod stage;

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use xiaoo_agent::Origin;
use xiaoo_agent::skill::{Skill, SkillLimits, SkillRegistry, SkillRoot, Skills};

use crate::cli::{SkillCommand, SkillPlaceArgs};
use crate::config::schema::nearest;
use crate::config::{Config, ConfigErrors, Env, home, locate};

/// Where skills are.
#[derive(Clone, Debug)]
pub struct Places {
    roots: Vec<SkillRoot>,
    /// Of the person who types.
    home: Option<PathBuf>,
}

impl Places {
    /// Those of the daemon whose configuration is meant. Without any, those of a daemon that
    /// has this directory as its agent's workspace.
    ///
    /// # Errors
    /// What is wrong with the configuration that should say so.
    pub fn find(args: Option<&SkillPlaceArgs>, env: &dyn Env) -> Result<Self, ConfigErrors> {
        let home = home(env);
        let Some(args) = args else {
            return Ok(Self {
                roots: Vec::new(),
                home,
            });
        };
        let path = locate(args.config.as_deref(), env);
        let was_named = args.config.is_some() || env.var("XIAOO_CONFIG").is_some();
        let (workspace, dirs) = if was_named || path.exists() {
            let (workspace, skills) = Config::skill_places(&path, env)?;
            (workspace, skills.dirs)
        } else {
            (env::current_dir().ok(), Vec::new())
        };
        Ok(Self {
            roots: SkillRoot::levels(workspace.as_deref(), &dirs, home.as_deref()),
            home,
        })
    }

    fn skills(&self) -> Arc<Skills> {
        SkillRegistry::new(self.roots.clone(), SkillLimits::default()).snapshot()
    }

    /// The first directory that the configuration names.
    fn configured(&self) -> Option<&Path> {
        let mut roots = self.roots.iter();
        let root = roots.find(|root| root.origin == Origin::Configured)?;
        Some(&root.path)
    }

    /// The root that a directory is in.
    fn root_of(&self, directory: &Path) -> Option<&SkillRoot> {
        let parent = directory.parent()?.canonicalize().ok()?;
        let mut roots = self.roots.iter();
        roots.find(|root| root.path.canonicalize().is_ok_and(|path| path == parent))
    }
}

/// Runs one of the `skill` commands. Blocks, and must not be called in a runtime.
///
/// # Errors
/// What keeps it from being done, or what was found to be wrong.
pub fn run(command: &SkillCommand, places: &Places, out: &mut impl Write) -> Result<()> {
    match command {
        SkillCommand::List(args) => list::run(args, places, out),
        SkillCommand::Show(args) => show::run(args, places, out),
        SkillCommand::Check(args) => check::run(args, out),
        SkillCommand::Audit(args) => audit::run(args, places, out),
        SkillCommand::Install(args) => install::run(args, places, out),
        SkillCommand::Remove(args) => remove::run(args, places, out),
    }
}

/// The skill of that name.
fn named(skills: &Skills, name: &str) -> Result<Arc<Skill>> {
    if let Some(skill) = skills.get(name) {
        return Ok(Arc::clone(skill));
    }
    let mut diagnostics = skills.diagnostics().iter();
    if let Some(broken) = diagnostics.find(|found| found.path.ends_with(name)) {
        bail!("the skill {name:?} can't be used: {broken}");
    }
    match nearest(name, skills.iter().map(|skill| skill.name())) {
        Some(meant) => bail!("there is no skill {name:?}; did you mean `{meant}`?"),
        None => bail!("there is no skill {name:?}; `xiaoo-app skill list` shows what there is"),
    }
}

/// Writes `value` as JSON that people can read, too.
fn write_json(value: &serde_json::Value, out: &mut impl Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// The format's own names of the file that makes a directory a skill.
const SKILL_FILES: [&str; 3] = ["SKILL.toml", "SKILL.md", "skill.md"];

fn is_skill(directory: &Path) -> bool {
    SKILL_FILES
        .iter()
        .any(|file| directory.join(file).symlink_metadata().is_ok())
}

/// The directories in `directory` that are skills, in order.
fn skills_below(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)?.take(ENTRIES_MAX) {
        let entry = entry?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // A link is none: what it leads to is another skill's, or outside.
        if !is_hidden && entry.file_type()?.is_dir() && is_skill(&entry.path()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Entries of one directory that are looked at: more are no directory of skills.
const ENTRIES_MAX: usize = 2000;
