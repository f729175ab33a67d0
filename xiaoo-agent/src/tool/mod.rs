//! What a model may call.

mod arguments;
mod ask_user;
mod chat_members;
mod current_time;
pub(crate) mod downloads;
mod files;
pub(crate) mod head;
mod search;
mod shell;
mod web_fetch;

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use ask_user::AskUser;
pub use chat_members::ChatMembers;
pub use current_time::CurrentTime;
pub use files::{EditFile, ListDir, ReadFile, SendFile, WriteFile, file_tools};
pub use search::Search;
pub use shell::{Shell, ShellSettings};
pub use web_fetch::{HostRule, InvalidHostRule, WebFetch, WebFetchSettings};

use crate::chat::{Attachment, Chat, NoChat};
use crate::workspace::Workspace;

/// Something that a model may have done.
///
/// A tool never fails the turn: what goes wrong is told to the model as an error output.
pub trait Tool: Send + Sync + 'static {
    /// What the model calls it: 1 to 64 of `a-z A-Z 0-9 _ -`.
    fn name(&self) -> &str;
    /// When to use it and what it gives, for the model.
    fn description(&self) -> &str;
    /// The JSON Schema (an object) of the arguments.
    fn parameters(&self) -> Value;
    /// What a call would do and where, for a person who is asked to agree; `arguments` as in
    /// [`Tool::call`].
    fn intent(&self, arguments: &Value, context: &ToolContext) -> Intent {
        Intent {
            what: arguments.to_string(),
            place: context
                .workspace
                .as_ref()
                .map(|workspace| workspace.root().display().to_string())
                .unwrap_or_default(),
        }
    }
    /// Whether a call that was cut off by a crash may simply be made again, because it changes
    /// nothing: reading is, writing is not.
    fn is_repeatable(&self) -> bool {
        false
    }
    /// Whether a person has to agree to this call first, whatever the operator's rules say.
    fn needs_approval(&self, arguments: &Value) -> bool {
        let _ = arguments;
        false
    }
    /// Whether a call waits for a person. The time that takes is not the turn's, and the tool
    /// itself bounds it.
    fn waits_for_people(&self) -> bool {
        false
    }
    /// How long a call may take, where that is more than
    /// [`TurnLimits::tool_timeout`](crate::TurnLimits).
    fn time_max(&self) -> Duration {
        Duration::ZERO
    }
    /// Does it. `arguments` is a JSON object, not checked against the schema.
    ///
    /// The future may be dropped at any await point, when the turn is cancelled or the tool takes
    /// too long.
    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput>;
}

/// What a call would do, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The command, the file, the address.
    pub what: String,
    /// The directory, the host.
    pub place: String,
}

/// What a call may know about the turn that it is part of.
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolContext {
    /// The [`ToolCall::id`](crate::ToolCall::id).
    pub call_id: String,
    /// Fires when the turn is given up; for tools that started something that outlives a drop.
    pub cancel: CancellationToken,
    /// Where files are; `None` for a turn without any.
    pub workspace: Option<Workspace>,
    /// The chat that the turn belongs to.
    pub chat: Arc<dyn Chat>,
}

impl ToolContext {
    /// A context for one call.
    #[must_use]
    pub fn new(call_id: impl Into<String>, cancel: CancellationToken) -> Self {
        Self {
            call_id: call_id.into(),
            cancel,
            workspace: None,
            chat: Arc::new(NoChat),
        }
    }

    /// With the files of a turn.
    #[must_use]
    pub fn with_workspace(mut self, workspace: Option<Workspace>) -> Self {
        self.workspace = workspace;
        self
    }

    /// With the chat of a turn.
    #[must_use]
    pub fn with_chat(mut self, chat: Arc<dyn Chat>) -> Self {
        self.chat = chat;
        self
    }
}

impl fmt::Debug for ToolContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolContext")
            .field("call_id", &self.call_id)
            .field("workspace", &self.workspace)
            .finish_non_exhaustive()
    }
}

/// What a tool says to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// The text; cut to [`TurnLimits::tool_output_bytes_max`](crate::TurnLimits) by the loop.
    pub content: String,
    /// Whether it went wrong.
    pub is_error: bool,
    /// Files that go out with the answer.
    pub attachments: Vec<Attachment>,
}

impl ToolOutput {
    /// It worked.
    #[must_use]
    pub fn ok(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            is_error: false,
            attachments: Vec::new(),
        }
    }

    /// It did not, and this is why.
    #[must_use]
    pub fn error(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            is_error: true,
            attachments: Vec::new(),
        }
    }
}

/// The tools of a turn, by name. Cheap to clone.
#[derive(Clone, Default)]
pub struct ToolSet {
    tools: Arc<BTreeMap<String, Arc<dyn Tool>>>,
}

impl ToolSet {
    /// No tools.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one tool.
    ///
    /// # Errors
    /// When its name is not one that servers take, or is taken already.
    pub fn with(self, tool: impl Tool) -> Result<Self, InvalidTool> {
        self.with_shared(Arc::new(tool))
    }

    /// Adds one tool that others have, too.
    ///
    /// # Errors
    /// As [`ToolSet::with`].
    pub fn with_shared(mut self, tool: Arc<dyn Tool>) -> Result<Self, InvalidTool> {
        let name = tool.name().to_owned();
        if !is_name(&name) {
            return Err(InvalidTool::Name(name));
        }
        let tools = Arc::make_mut(&mut self.tools);
        if tools.contains_key(&name) {
            return Err(InvalidTool::Twice(name));
        }
        tools.insert(name, tool);
        Ok(self)
    }

    /// The tool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.tools.values()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.tools.keys()).finish()
    }
}

/// A tool that can't be offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTool {
    /// Servers would refuse the name.
    #[error("tool name {0:?} is not 1 to 64 of a-z A-Z 0-9 _ -")]
    Name(String),
    /// There is one of that name.
    #[error("two tools are called {0:?}")]
    Twice(String),
}

fn is_name(name: &str) -> bool {
    /// Longest name that OpenAI and its followers take.
    const NAME_BYTES_MAX: usize = 64;
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
