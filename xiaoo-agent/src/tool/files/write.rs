use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{either, intent, workspace};
use crate::tool::arguments::parse;
use crate::tool::{Intent, Tool, ToolContext, ToolOutput};

/// `write_file`: a whole file at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteFile;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    content: String,
    #[serde(default)]
    append: bool,
}

impl Tool for WriteFile {
    fn name(&self) -> &'static str {
        "write_file"
    }

    fn description(&self) -> &'static str {
        "Write a text file in the workspace: makes it and the directories on the way, or replaces \
         all of it. With append it adds to the end instead. To change a part of a file, use \
         edit_file. People don't see the file: use send_file for that."
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Relative to the workspace's root, for example notes/plan.md"},
                "content": {"type": "string", "description": "The whole content"},
                "append": {"type": "boolean", "description": "Add to the end of the file; default false"},
            },
            "required": ["path", "content"],
        })
    }

    fn intent(&self, arguments: &Value, context: &ToolContext) -> Intent {
        intent("write", arguments, context)
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move { either(write(arguments, context).await) }.boxed()
    }
}

async fn write(arguments: Value, context: &ToolContext) -> Result<ToolOutput, ToolOutput> {
    let Arguments {
        path,
        content,
        append,
    } = parse(arguments)?;
    workspace(context)?
        .blocking(move |workspace| {
            if append {
                workspace.append(&path, content.as_bytes())?;
                return Ok(ToolOutput::ok(format!(
                    "Added {} bytes to {path}.",
                    content.len()
                )));
            }
            workspace.write(&path, content.as_bytes())?;
            Ok(ToolOutput::ok(format!(
                "Wrote {path}: {} lines, {} bytes.",
                content.lines().count(),
                content.len()
            )))
        })
        .await
}
