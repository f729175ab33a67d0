//! Files of the workspace, for the model.

mod edit;
mod list;
mod read;
mod send;
mod write;

use std::sync::Arc;

use serde_json::Value;

pub use edit::EditFile;
pub use list::ListDir;
pub use read::ReadFile;
pub use send::SendFile;
pub use write::WriteFile;

use super::{Intent, Search, Tool, ToolContext, ToolOutput};
use crate::document::DocumentReader;
use crate::workspace::{Workspace, WorkspaceError};

/// All tools that work with files: `read_file`, `write_file`, `edit_file`, `list_dir`, `search`
/// and `send_file`. Documents are read with `reader`.
#[must_use]
pub fn file_tools(reader: DocumentReader) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(ReadFile::new(reader)),
        Arc::new(WriteFile),
        Arc::new(EditFile),
        Arc::new(ListDir),
        Arc::new(Search),
        Arc::new(SendFile),
    ]
}

/// The workspace of the call; what to tell the model when there is none.
pub(super) fn workspace(context: &ToolContext) -> Result<Workspace, ToolOutput> {
    context
        .workspace
        .clone()
        .ok_or_else(|| ToolOutput::error("Error: this conversation has no workspace for files."))
}

/// What a call to one of these does: the verb, and the file it names.
pub(super) fn intent(verb: &str, arguments: &Value, context: &ToolContext) -> Intent {
    let path = arguments.get("path").and_then(Value::as_str);
    Intent {
        what: format!("{verb} {}", path.unwrap_or(".")),
        place: context
            .workspace
            .as_ref()
            .map(|workspace| workspace.root().display().to_string())
            .unwrap_or_default(),
    }
}

impl From<WorkspaceError> for ToolOutput {
    fn from(error: WorkspaceError) -> Self {
        Self::error(format!("Error: {error}"))
    }
}

/// One of the two, whichever it came to.
pub(super) fn either(result: Result<ToolOutput, ToolOutput>) -> ToolOutput {
    result.unwrap_or_else(|error| error)
}
