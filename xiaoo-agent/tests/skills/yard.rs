//! Directories of skills to break.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use xiaoo_agent::skill::Host;
use xiaoo_agent::{Diagnostic, Origin, Skill, SkillLimits, SkillRegistry, SkillRoot, Skills};

/// A root of skills that lasts as long as the test.
pub(crate) struct Yard {
    folder: TempDir,
}

impl Yard {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// With one skill in it.
    pub(crate) fn with(name: &str, skill_md: impl AsRef<[u8]>) -> Self {
        let yard = Self::new();
        yard.put(&format!("{name}/SKILL.md"), skill_md);
        yard
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn root(&self) -> SkillRoot {
        SkillRoot {
            origin: Origin::Configured,
            path: self.path().to_path_buf(),
        }
    }

    pub(crate) fn registry(&self) -> SkillRegistry {
        SkillRegistry::new(vec![self.root()], eager())
    }

    pub(crate) fn skills(&self) -> Arc<Skills> {
        self.registry().snapshot()
    }

    /// The only skill, and what was said beside it.
    pub(crate) fn only(&self) -> (Option<Arc<Skill>>, Vec<Diagnostic>) {
        let skills = self.skills();
        let mut all = skills.iter();
        let only = all.next().cloned();
        assert!(all.next().is_none(), "more than one skill");
        (only, skills.diagnostics().to_vec())
    }
}

/// Looks at the disk whenever it is asked.
pub(crate) fn eager() -> SkillLimits {
    let mut limits = SkillLimits::default();
    limits.rescan_every = Duration::ZERO;
    limits
}

/// A machine with no programs and no variables.
pub(crate) fn bare_host() -> Host {
    Host {
        path: Vec::new(),
        has_variable: Arc::new(|_| false),
    }
}

/// A SKILL.md that is right.
pub(crate) fn skill_md(name: &str, description: &str, body: &str) -> String {
    format!("---\nname: {name}\ndescription: {description}\n---\n{body}\n")
}
