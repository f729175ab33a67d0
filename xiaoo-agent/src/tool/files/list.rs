use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{either, intent, workspace};
use crate::tool::arguments::parse;
use crate::tool::current_time::stamp;
use crate::tool::{Intent, Tool, ToolContext, ToolOutput};
use crate::workspace::{Entry, Kind};

/// `list_dir`: what is in a directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListDir;

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    path: Option<String>,
}

impl Tool for ListDir {
    fn name(&self) -> &'static str {
        "list_dir"
    }

    fn description(&self) -> &'static str {
        "List a directory of the workspace: names, sizes in bytes, and when files last changed \
         (UTC). Files that people sent to this chat are among them. A name that ends in / is a \
         directory. To find files by name in all directories, use search."
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Relative to the workspace's root; default is the root itself"},
            },
        })
    }

    fn intent(&self, arguments: &Value, context: &ToolContext) -> Intent {
        intent("list", arguments, context)
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move { either(list(arguments, context).await) }.boxed()
    }
}

async fn list(arguments: Value, context: &ToolContext) -> Result<ToolOutput, ToolOutput> {
    let Arguments { path } = parse(arguments)?;
    let path = path.filter(|path| !path.is_empty());
    workspace(context)?
        .blocking(move |workspace| {
            let listing = workspace.list(path.as_deref().unwrap_or("."), ENTRIES_MAX)?;
            let mut lines: Vec<String> = listing.entries.iter().map(line).collect();
            if lines.is_empty() {
                lines.push("(empty)".into());
            }
            if !listing.is_complete {
                lines.push(format!(
                    "[the first {ENTRIES_MAX} by name; use search to find the others]"
                ));
            }
            Ok(ToolOutput::ok(lines.join("\n")))
        })
        .await
}

fn line(entry: &Entry) -> String {
    // A line end in a name would make two entries of one.
    let name = entry.name.escape_debug();
    match entry.metadata.kind {
        Kind::Directory => format!("{name}/"),
        Kind::Link => format!("{name} (link)"),
        Kind::Other => format!("{name} (not a file)"),
        Kind::File => {
            let since = entry
                .metadata
                .modified
                .duration_since(std::time::UNIX_EPOCH);
            let secs = since.map_or(0, |since| since.as_secs());
            let changed = stamp(i64::try_from(secs).unwrap_or(i64::MAX), 0).text;
            let changed = changed.get(..MINUTES).unwrap_or_default();
            format!("{name}  {}  {changed}", entry.metadata.bytes)
        }
    }
}

/// A hundred bytes each, at most.
const ENTRIES_MAX: usize = 250;

/// `2026-09-21T22:13`
const MINUTES: usize = 16;
