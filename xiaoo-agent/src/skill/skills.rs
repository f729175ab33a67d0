//! The skills that were found, and what was wrong with others.

use core::fmt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::Level;
use super::manifest::Manifest;
use super::roots::Origin;
use super::{catalogue, render};

/// One skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    pub(super) manifest: Manifest,
    pub(super) body: String,
    pub(super) directory: PathBuf,
    pub(super) origin: Origin,
    pub(super) missing: Vec<String>,
}

impl Skill {
    /// What it is called by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its instructions, as they were written.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Where it is, without links: a turn that may load it may read here.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Which level it comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What it needs and this machine has not, in words; empty for a skill that works.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Whether models may load it.
    #[must_use]
    pub fn is_for_model(&self) -> bool {
        self.missing.is_empty() && !self.manifest.disable_model_invocation
    }

    /// The instructions for the model, with `args` where the body wants them: in a tag that
    /// names the skill, its directory and some of its files. Reads that directory, so it
    /// blocks for as long as a disk takes.
    #[must_use]
    pub fn render(&self, args: &str) -> String {
        render::write(self, args)
    }
}

/// All skills of one moment, by name. A turn keeps the one that it began with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skills {
    by_name: BTreeMap<String, Arc<Skill>>,
    diagnostics: Arc<[Diagnostic]>,
}

impl Skills {
    pub(super) fn new(by_name: BTreeMap<String, Arc<Skill>>, diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            by_name,
            diagnostics: diagnostics.into(),
        }
    }

    /// The skill of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Skill>> {
        self.by_name.get(name)
    }

    /// All of them by name, with those that need something that is missing.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Skill>> + Clone {
        self.by_name.values()
    }

    /// Those that models may load.
    pub fn for_model(&self) -> impl Iterator<Item = &Arc<Skill>> + Clone {
        self.iter().filter(|skill| skill.is_for_model())
    }

    /// Those that people may call by `/name`.
    pub fn for_people(&self) -> impl Iterator<Item = &Arc<Skill>> + Clone {
        self.iter().filter(|skill| skill.manifest.user_invocable)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What was found beside them: broken ones, shadowed ones, what should be looked at.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Only those of these names; all of them for `None`.
    #[must_use]
    pub fn filtered(&self, allow: Option<&[String]>) -> Self {
        let Some(allow) = allow else {
            return self.clone();
        };
        let mut kept = self.clone();
        kept.by_name.retain(|name, _| allow.contains(name));
        kept
    }

    /// The block of a prompt that lists what a model may load, in at most `bytes_max` bytes.
    /// `None` when there is nothing, and then [`LoadSkill`](super::LoadSkill) is not offered
    /// either.
    #[must_use]
    pub fn catalogue(&self, bytes_max: usize) -> Option<String> {
        catalogue::write(self.for_model().map(Arc::as_ref), bytes_max)
    }

    /// The bodies that belong into every prompt (`always`), as far as they fit into `bytes_max`
    /// bytes. Blocks as [`Skill::render`] does.
    #[must_use]
    pub fn standing(&self, bytes_max: usize) -> Option<String> {
        let mut text = String::new();
        for skill in self.for_model().filter(|skill| skill.manifest.always) {
            let rendered = skill.render("");
            if text.len() + rendered.len() + 1 > bytes_max {
                continue;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&rendered);
        }
        (!text.is_empty()).then_some(text)
    }

    /// The skill that a message calls: `/name`, and everything after it as arguments. A `/name`
    /// that is none (or not for people) is text as any other.
    #[must_use]
    pub fn invocation(&self, text: &str) -> Option<Invocation> {
        let call = text.trim();
        // The second is what a Chinese keyboard writes.
        let call = call.strip_prefix(['/', '／'])?;
        let (word, args) = match call.split_once(char::is_whitespace) {
            Some((word, args)) => (word, args.trim()),
            None => (call, ""),
        };
        let skill = self.get(word).or_else(|| self.get(&word.to_lowercase()))?;
        skill.manifest.user_invocable.then(|| Invocation {
            skill: Arc::clone(skill),
            args: args.to_owned(),
        })
    }
}

/// A skill called by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Which one.
    pub skill: Arc<Skill>,
    /// What was written after its name.
    pub args: String,
}

/// Something that was found while skills were loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// [`Level::Error`] for a skill that was left out.
    pub level: Level,
    /// The directory that it is about.
    pub path: PathBuf,
    /// What, in one sentence.
    pub text: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.text)
    }
}
