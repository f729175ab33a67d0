//! Skills: instructions for one kind of task each, that an operator keeps in directories.
//!
//! A skill is a directory with a SKILL.md (YAML between `---` lines, then Markdown) or a
//! SKILL.toml, and whatever files belong to it. A [`SkillRegistry`] finds them in four levels
//! of directories and sees when they change; the [`Skills`] of one moment are what a turn works
//! with: [`Skills::catalogue`] goes into its prompt, [`LoadSkill`] among its tools, and
//! [`Skills::invocation`] finds the `/name` that a person wrote.
//!
//! Nothing that is in a skill runs by being loaded. A broken one is left out with one warning
//! and a [`Diagnostic`], and takes nothing else down. Links that lead out of a root or of a
//! skill are refused.

mod allowed;
mod arguments;
pub mod audit;
mod catalogue;
mod document;
mod fault;
mod folder;
mod limits;
mod load;
mod manifest;
mod name;
mod registry;
mod render;
mod requires;
mod roots;
mod skills;
mod tool;
mod value;

pub(crate) use allowed::InForce;
pub use fault::{Fault, Level};
pub use limits::SkillLimits;
pub use load::{Checked, check};
pub use manifest::{Manifest, SkillCommand};
pub use registry::SkillRegistry;
pub use requires::{Host, Requires};
pub use roots::{Origin, SkillRoot};
pub use skills::{Diagnostic, Invocation, Skill, Skills};
pub use tool::LoadSkill;
