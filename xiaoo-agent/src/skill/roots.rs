//! The directories that skills are in.

use std::path::{Path, PathBuf};

/// Where a skill comes from, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// `.xiaoo/skills` of the agent's workspace.
    Workspace,
    /// One of `[skills].dirs`.
    Configured,
    /// `~/.xiaoo/skills`.
    User,
    /// `/usr/lib/.xiaoo/skills`.
    System,
}

impl Origin {
    /// As it is written in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Configured => "configured",
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// A directory whose direct children are skills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillRoot {
    /// Which level it is of.
    pub origin: Origin,
    /// Where it is; it need not exist.
    pub path: PathBuf,
}

impl SkillRoot {
    /// The four levels, the first of which takes precedence.
    #[must_use]
    pub fn levels(workspace: Option<&Path>, dirs: &[PathBuf], home: Option<&Path>) -> Vec<Self> {
        let root = |origin, path| Self { origin, path };
        let below = |path: &Path| path.join(BELOW);
        let workspace = workspace.map(|path| root(Origin::Workspace, below(path)));
        let configured = dirs
            .iter()
            .map(|path| root(Origin::Configured, path.clone()));
        let home = home.map(|path| root(Origin::User, below(path)));
        let system = root(Origin::System, PathBuf::from(SYSTEM));
        let mut levels: Vec<Self> = workspace
            .into_iter()
            .chain(configured)
            .chain(home)
            .chain([system])
            .collect();
        // A workspace may be the home directory; nothing is its own shadow.
        let mut seen = Vec::new();
        levels.retain(|level| {
            let is_new = !seen.contains(&level.path);
            seen.push(level.path.clone());
            is_new
        });
        levels
    }
}

const BELOW: &str = ".xiaoo/skills";
const SYSTEM: &str = "/usr/lib/.xiaoo/skills";
