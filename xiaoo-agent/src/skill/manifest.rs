//! The fields of a skill, whichever file they stand in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::allowed;
use super::fault::{Fault, Level};
use super::limits::{ARGUMENTS_MAX, COMPATIBILITY_CHARS_MAX, DESCRIPTION_CHARS_MAX};
use super::name;
use super::requires::Requires;
use super::value::{argument_name, as_flag, as_object, as_text, as_texts, bare, tool_words};

/// What a skill says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// What it is called by.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// Under which licence it is, or which file says so.
    pub license: Option<String>,
    /// What it needs around it, in words.
    pub compatibility: Option<String>,
    /// Further facts; structures are JSON texts.
    pub metadata: BTreeMap<String, String>,
    /// The tools that it is meant to use, as its author calls them; can only narrow what an agent
    /// has.
    pub allowed_tools: Option<Vec<String>>,
    /// Whether people can call it by `/name`.
    pub user_invocable: bool,
    /// Whether it is hidden from models.
    pub disable_model_invocation: bool,
    /// Its named arguments, in their order.
    pub arguments: Vec<String>,
    /// What to write after `/name`, for people.
    pub argument_hint: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whether its body belongs into every prompt.
    pub always: bool,
    /// What must be on the machine.
    pub requires: Requires,
    /// Commands that it brings, of SKILL.toml's `[[tools]]`.
    pub commands: Vec<SkillCommand>,
}

/// A command that a skill brings. It is told to the model; nothing runs it by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkillCommand {
    /// What the skill calls it.
    pub name: String,
    /// What it does.
    pub description: String,
    /// `shell`, `http` or `script`.
    pub kind: String,
    /// The command line, the address or the file.
    pub command: String,
    /// What its arguments mean.
    pub arguments: BTreeMap<String, String>,
}

/// The fields checked, with the text that the manifest itself holds.
pub(super) struct Read {
    pub(super) manifest: Manifest,
    pub(super) prompt: Option<String>,
}

/// Reads the fields. `None` when no skill can be made of them.
pub(super) fn read(
    fields: Map<String, Value>,
    directory: &str,
    faults: &mut Vec<Fault>,
) -> Option<Read> {
    let mut fields = Fields::new(fields, faults);
    let written_name = fields.text("name");
    let name = name::check(written_name.as_deref(), directory, fields.faults);
    let description = fields.text("description").unwrap_or_default();
    match description.chars().count() {
        0 => fields.faults.push(Fault::DescriptionMissing),
        length if length > DESCRIPTION_CHARS_MAX => {
            fields.faults.push(Fault::DescriptionLength(length));
        }
        _ => {}
    }
    let compatibility = fields.text("compatibility");
    if let Some(text) = &compatibility
        && !(1..=COMPATIBILITY_CHARS_MAX).contains(&text.chars().count())
    {
        let length = text.chars().count();
        fields.faults.push(Fault::CompatibilityLength(length));
    }
    let (metadata, of_products) = fields.metadata();
    let mut requires = Requires::default();
    let mut always = fields.flag("always").unwrap_or(false);
    for product in of_products {
        requires.add(&product);
        always |= product.get("always").and_then(as_flag).unwrap_or(false);
    }
    let manifest = Manifest {
        name,
        description,
        license: fields.text("license"),
        compatibility,
        metadata,
        allowed_tools: fields.allowed_tools(),
        user_invocable: fields.flag("user-invocable").unwrap_or(true),
        disable_model_invocation: fields.flag("disable-model-invocation").unwrap_or(false),
        arguments: fields.arguments(),
        argument_hint: fields.text("argument-hint"),
        version: fields.text("version"),
        author: fields.text("author"),
        tags: fields.texts("tags").unwrap_or_default(),
        always,
        requires,
        commands: fields.commands(),
    };
    let prompt = fields.prompt();
    fields.finish();
    let is_hopeless = faults.iter().any(|fault| fault.at_load() == Level::Error);
    (!is_hopeless).then_some(Read { manifest, prompt })
}

/// Fields that are taken out one by one; what is left at the end is unknown.
struct Fields<'a> {
    left: Map<String, Value>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Fields<'a> {
    fn new(fields: Map<String, Value>, faults: &'a mut Vec<Fault>) -> Self {
        let mut left = Map::new();
        for (key, value) in fields {
            // Both spellings of a key are the same one, and the first counts.
            let usual = key.replace('_', "-");
            let key = if is_known(&usual) { usual } else { key };
            left.entry(key).or_insert(value);
        }
        Self { left, faults }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let value = self.left.remove(key)?;
        if !SPECIFIED.contains(&key) {
            self.faults.push(Fault::Extension(key.to_owned()));
        }
        (!value.is_null()).then_some(value)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let value = self.take(key)?;
        let text = as_text(&value);
        if text.is_none() {
            self.wrong(key, "a string");
        }
        text.map(|text| text.trim().to_owned())
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.take(key)?;
        let flag = as_flag(&value);
        if flag.is_none() {
            self.wrong(key, "true or false");
        }
        flag
    }

    /// A list of strings, or one string with commas or blanks between the words.
    fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let texts = as_texts(&value);
        if texts.is_none() {
            self.wrong(key, "a list of strings");
        }
        texts
    }

    fn allowed_tools(&mut self) -> Option<Vec<String>> {
        let tools: Vec<String> = match self.take("allowed-tools")? {
            Value::String(text) => tool_words(&text),
            Value::Array(list) => {
                self.faults.push(Fault::AllowedToolsList);
                list.iter().filter_map(as_text).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                self.wrong("allowed-tools", "one string");
                return None;
            }
        };
        if allowed::ours(&tools).is_empty() {
            self.faults
                .push(Fault::AllowedToolsUnknown(tools.join(" ")));
        }
        Some(tools)
    }

    fn arguments(&mut self) -> Vec<String> {
        let names: Option<Vec<String>> = match self.take("arguments") {
            None => return Vec::new(),
            Some(Value::String(text)) => Some(text.split_whitespace().map(bare).collect()),
            Some(Value::Array(list)) => list.iter().map(argument_name).collect(),
            Some(_) => None,
        };
        let Some(mut names) = names else {
            self.wrong("arguments", "a list of names");
            return Vec::new();
        };
        names.retain(|name| !name.is_empty());
        if names.len() > ARGUMENTS_MAX {
            self.faults.push(Fault::TooManyArguments);
            names.truncate(ARGUMENTS_MAX);
        }
        names
    }

    /// Keys with their values as texts, and the structures among them that products keep their
    /// own facts in.
    fn metadata(&mut self) -> (BTreeMap<String, String>, Vec<Map<String, Value>>) {
        let found = match self.take("metadata") {
            None => return Default::default(),
            Some(Value::Object(found)) => Some(found),
            Some(Value::String(text)) => as_object(&text),
            Some(_) => None,
        };
        let Some(found) = found else {
            self.wrong("metadata", "a map of strings");
            return Default::default();
        };
        let mut texts = BTreeMap::new();
        let mut structures = Vec::new();
        for (key, value) in found {
            let text = as_text(&value).unwrap_or_else(|| value.to_string());
            match value {
                Value::Object(structure) => structures.push(structure),
                // Some products write the structure as JSON in a string.
                Value::String(json) => structures.extend(as_object(&json)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
            }
            texts.insert(key, text);
        }
        (texts, structures)
    }

    fn commands(&mut self) -> Vec<SkillCommand> {
        let Some(value) = self.take("tools") else {
            return Vec::new();
        };
        let list = value.as_array();
        let commands: Option<Vec<_>> = list.and_then(|list| list.iter().map(command).collect());
        if commands.is_none() {
            self.wrong("tools", "tables with `name` and `command`");
        }
        commands.unwrap_or_default()
    }

    fn prompt(&mut self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        for key in ["instructions", "prompt", "body"] {
            parts.extend(self.text(key));
        }
        match self.take("prompts") {
            None => {}
            Some(Value::Array(list)) => parts.extend(list.iter().filter_map(as_text)),
            Some(other) => match as_text(&other) {
                Some(text) => parts.push(text),
                None => self.wrong("prompts", "a list of strings"),
            },
        }
        (!parts.is_empty()).then(|| parts.join("\n\n").trim().to_owned())
    }

    fn finish(self) {
        for (key, _) in self.left {
            let fault = if TOLERATED.contains(&key.as_str()) {
                Fault::Extension(key)
            } else {
                Fault::UnknownKey(key)
            };
            self.faults.push(fault);
        }
    }

    fn wrong(&mut self, key: &str, wanted: &'static str) {
        self.faults.push(Fault::WrongType {
            key: key.to_owned(),
            wanted,
        });
    }
}

fn command(value: &Value) -> Option<SkillCommand> {
    let table = value.as_object()?;
    let text = |key: &str| table.get(key).and_then(as_text);
    let arguments = table.get("args").and_then(Value::as_object);
    Some(SkillCommand {
        name: text("name")?,
        description: text("description").unwrap_or_default(),
        kind: text("kind").unwrap_or_else(|| "shell".to_owned()),
        command: text("command")?,
        arguments: arguments
            .into_iter()
            .flatten()
            .filter_map(|(name, meaning)| Some((name.clone(), as_text(meaning)?)))
            .collect(),
    })
}

fn is_known(key: &str) -> bool {
    SPECIFIED.contains(&key) || EXTENDED.contains(&key) || TOLERATED.contains(&key)
}

/// The open format's keys.
const SPECIFIED: [&str; 6] = [
    "allowed-tools",
    "compatibility",
    "description",
    "license",
    "metadata",
    "name",
];

/// Keys of other products that mean something here too.
const EXTENDED: [&str; 13] = [
    "always",
    "argument-hint",
    "arguments",
    "author",
    "body",
    "disable-model-invocation",
    "instructions",
    "prompt",
    "prompts",
    "tags",
    "tools",
    "user-invocable",
    "version",
];

/// Keys of other products that change nothing here.
const TOLERATED: [&str; 5] = ["context", "homepage", "model", "paths", "when-to-use"];
