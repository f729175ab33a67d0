//! What a skill needs on the machine, and whether it is there.

use core::fmt;
use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::value::as_texts;

/// What must be on the machine for a skill to be offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requires {
    /// Programs, all of them.
    pub programs: Vec<String>,
    /// Programs, one of each list.
    pub one_program_of: Vec<Vec<String>>,
    /// Environment variables, all of them.
    pub variables: Vec<String>,
    /// Systems that it runs on; any when empty.
    pub systems: Vec<String>,
}

impl Requires {
    /// Adds what a product's structure in the metadata asks for.
    pub(super) fn add(&mut self, structure: &Map<String, Value>) {
        let list = |from: &Map<String, Value>, key: &str| from.get(key).and_then(as_texts);
        self.systems
            .extend(list(structure, "os").unwrap_or_default());
        let Some(requires) = structure.get("requires").and_then(Value::as_object) else {
            return;
        };
        self.programs
            .extend(list(requires, "bins").unwrap_or_default());
        self.variables
            .extend(list(requires, "env").unwrap_or_default());
        let choice = list(requires, "anyBins").unwrap_or_default();
        if !choice.is_empty() {
            self.one_program_of.push(choice);
        }
    }

    /// What of it is missing, in words; empty when all is there.
    #[must_use]
    pub fn missing(&self, host: &Host) -> Vec<String> {
        let programs = self.programs.iter().filter(|name| !host.has_program(name));
        let choices = self.one_program_of.iter();
        let choices = choices.filter(|choice| !choice.iter().any(|name| host.has_program(name)));
        let variables = self
            .variables
            .iter()
            .filter(|name| !host.has_variable(name));
        let mut missing: Vec<String> = programs
            .map(|name| format!("the program `{name}` is not installed"))
            .chain(choices.map(|choice| format!("none of `{}` is installed", choice.join("`, `"))))
            .chain(variables.map(|name| format!("the environment variable `{name}` is not set")))
            .collect();
        if !self.systems.is_empty() && !self.systems.iter().any(|system| is_this_system(system)) {
            missing.push(format!("it is for {} only", self.systems.join(", ")));
        }
        missing
    }
}

/// The machine, as far as skills ask for it.
#[derive(Clone)]
pub struct Host {
    /// Where programs are.
    pub path: Vec<PathBuf>,
    /// Whether an environment variable is set, and not to nothing.
    pub has_variable: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Host {
    /// This machine, as this process sees it.
    #[must_use]
    pub fn this() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        Self {
            path: env::split_paths(&path).collect(),
            has_variable: Arc::new(|name| env::var_os(name).is_some_and(|value| !value.is_empty())),
        }
    }

    fn has_program(&self, name: &str) -> bool {
        !name.is_empty()
            && self.path.iter().any(|directory| {
                std::fs::metadata(directory.join(name))
                    .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
            })
    }

    fn has_variable(&self, name: &str) -> bool {
        (self.has_variable)(name)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Products name systems as Node and Python do.
fn is_this_system(name: &str) -> bool {
    name.eq_ignore_ascii_case(env::consts::OS)
        || (name.eq_ignore_ascii_case("darwin") && env::consts::OS == "macos")
}
