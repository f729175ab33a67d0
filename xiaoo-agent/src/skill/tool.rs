//! How a model loads a skill.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};

use super::Skills;
use crate::tool::{Intent, Tool, ToolContext, ToolOutput};

/// Gives the model the body of a skill that it chose from the catalogue.
#[derive(Clone, Debug)]
pub struct LoadSkill {
    skills: Arc<Skills>,
}

impl LoadSkill {
    /// The tool's name.
    pub const NAME: &'static str = "load_skill";

    /// For the skills that a turn has; `None` when there is none that a model may load.
    #[must_use]
    pub fn new(skills: Arc<Skills>) -> Option<Self> {
        skills.for_model().next()?;
        Some(Self { skills })
    }

    fn names(&self) -> Vec<&str> {
        self.skills.for_model().map(|skill| skill.name()).collect()
    }
}

impl Tool for LoadSkill {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn description(&self) -> &'static str {
        "Loads a skill: instructions for one kind of task, and the files that come with it. Load \
         it before the work when a task matches its description; then follow it. Its files are \
         read with read_file, by their path in its directory. Where it says allowed_tools, no \
         others can be used to change or reach something."
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "skill": {
                    "type": "string",
                    "enum": self.names(),
                    "description": "The skill's name.",
                },
                "args": {
                    "type": "string",
                    "description": "What it is to work on, if it takes arguments.",
                },
            },
            "required": ["skill"],
        })
    }

    fn intent(&self, arguments: &Value, _: &ToolContext) -> Intent {
        let name = text(arguments, "skill");
        let directory = self.skills.get(&name).map(|skill| skill.directory());
        Intent {
            what: name.clone(),
            place: directory.map_or_else(String::new, |path| path.display().to_string()),
        }
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn call<'a>(&'a self, arguments: Value, _: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        let name = text(&arguments, "skill");
        let args = text(&arguments, "args");
        let found = self
            .skills
            .for_model()
            .find(|skill| skill.name() == name)
            .cloned();
        async move {
            let Some(skill) = found else {
                let names = self.names().join(", ");
                return ToolOutput::error(format!(
                    "there is no skill {name:?}; there are: {names}"
                ));
            };
            // Its files are listed, which waits for a disk.
            match tokio::task::spawn_blocking(move || skill.render(&args)).await {
                Ok(text) => ToolOutput::ok(text),
                Err(_) => ToolOutput::error("the skill could not be read"),
            }
        }
        .boxed()
    }
}

/// An argument as text; models give lists and numbers, too.
fn text(arguments: &Value, key: &str) -> String {
    match arguments.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Array(list)) => {
            let words = list.iter().map(|word| {
                let text = word.as_str().map(str::to_owned);
                text.unwrap_or_else(|| word.to_string())
            });
            words.collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}
