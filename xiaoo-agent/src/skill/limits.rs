//! Every bound of skills, with its reason.

use core::time::Duration;

/// What may be read of the directories of skills.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkillLimits {
    /// Skills in all. A catalogue of more would leave a model little room for anything else.
    pub skills_max: usize,
    /// Entries of one root that are looked at. A root that has more is some other directory
    /// that was named by mistake.
    pub entries_max: usize,
    /// Bytes of SKILL.md and of SKILL.toml, each. Five times what the format advises at most.
    pub file_bytes_max: usize,
    /// How often the directories are looked at again, at most: a look costs a few system calls
    /// a skill, and nobody waits longer than this for an edit to count.
    pub rescan_every: Duration,
}

impl Default for SkillLimits {
    fn default() -> Self {
        Self {
            skills_max: 256,
            entries_max: 1024,
            file_bytes_max: 256 << 10,
            rescan_every: Duration::from_secs(2),
        }
    }
}

/// Characters of a name, as the format says.
pub(super) const NAME_CHARS_MAX: usize = 64;
/// Characters of a name that is loaded with a warning; nobody would type, and no server take
/// as an enum's value, a longer one.
pub(super) const LOADED_NAME_CHARS_MAX: usize = 256;
/// Characters of a description, as the format says.
pub(super) const DESCRIPTION_CHARS_MAX: usize = 1024;
/// Characters of the compatibility, as the format says.
pub(super) const COMPATIBILITY_CHARS_MAX: usize = 500;
/// Lines of a body that the format advises not to exceed: it stays in the conversation.
pub(super) const BODY_LINES_ADVISED: usize = 500;
/// Graphemes of one description in the catalogue: enough to choose by, and what the upstream
/// system shows.
pub(super) const CATALOGUE_DESCRIPTION_MAX: usize = 250;
/// Graphemes below which a description says nothing; names alone are listed then.
pub(super) const CATALOGUE_DESCRIPTION_MIN: usize = 20;
/// Bundled files that are named beside a body.
pub(super) const FILES_NAMED_MAX: usize = 50;
/// Directories below a skill's that are looked into for them, and how deep: the format advises
/// one level.
pub(super) const FOLDERS_MAX: usize = 100;
/// See [`FOLDERS_MAX`].
pub(super) const FOLDER_DEPTH_MAX: usize = 4;
/// Arguments that a skill can declare; no person types more.
pub(super) const ARGUMENTS_MAX: usize = 32;
/// Bytes of the arguments of one call; longer texts belong into a file.
pub(super) const ARGUMENT_BYTES_MAX: usize = 16 << 10;
/// Nodes of one front matter, aliases resolved. The longest seen has under a hundred.
pub(super) const YAML_NODES_MAX: usize = 4096;
/// Nesting of a front matter; `metadata` with an object in it needs five.
pub(super) const YAML_DEPTH_MAX: usize = 32;
