use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{either, intent, workspace};
use crate::chat::Attachment;
use crate::document::is_picture;
use crate::tool::arguments::parse;
use crate::tool::{Intent, Tool, ToolContext, ToolOutput};
use crate::workspace::file_name;

/// `send_file`: a file of the workspace goes out with the answer.
///
/// What goes out is a copy, so that it stays as it is now.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendFile;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    #[serde(default)]
    name: Option<String>,
}

impl SendFile {
    /// Where the copies are, in the workspace.
    pub const OUTGOING: &'static str = ".outgoing";
    /// Larger pictures go as files.
    pub const IMAGE_BYTES_MAX: u64 = 10 << 20;
    /// The largest file that the platform takes.
    pub const FILE_BYTES_MAX: u64 = 30 << 20;
}

impl Tool for SendFile {
    fn name(&self) -> &'static str {
        "send_file"
    }

    fn description(&self) -> &'static str {
        "Send a file of the workspace to the people in this chat, together with your answer. \
         Pictures (PNG, JPEG, GIF, WebP, BMP) are shown as pictures. At most 30 MB. Call it once \
         for each file, after the file is finished, and mention it in the answer."
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Relative to the workspace's root"},
                "name": {"type": "string", "description": "The name that people see; default is the file's own"},
            },
            "required": ["path"],
        })
    }

    fn intent(&self, arguments: &Value, context: &ToolContext) -> Intent {
        intent("send", arguments, context)
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move { either(send(arguments, context).await) }.boxed()
    }
}

async fn send(arguments: Value, context: &ToolContext) -> Result<ToolOutput, ToolOutput> {
    let Arguments { path, name } = parse(arguments)?;
    let workspace = workspace(context)?;
    let (file, bytes, is_image) = {
        let path = path.clone();
        workspace
            .blocking(move |workspace| {
                let bytes = workspace.metadata(&path)?.bytes;
                let file = workspace.open_file(&path)?;
                let is_image = bytes <= SendFile::IMAGE_BYTES_MAX && is_picture(&file);
                Ok::<_, ToolOutput>((file, bytes, is_image))
            })
            .await?
    };
    if bytes == 0 {
        return Err(ToolOutput::error(format!(
            "Error: {path} is empty, and the chat takes no empty files. Write something into it first."
        )));
    }
    let own = path.rsplit('/').next().unwrap_or_default();
    let name = name
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let name = file_name(name.unwrap_or(own));
    let copy = workspace
        .write_new(
            SendFile::OUTGOING,
            &format!("{}-{name}", context.call_id),
            tokio::fs::File::from_std(file),
            SendFile::FILE_BYTES_MAX,
        )
        .await?;
    Ok(ToolOutput {
        content: format!(
            "{path} ({bytes} bytes) will be sent with your answer as {name}{}.",
            if is_image { ", shown as a picture" } else { "" }
        ),
        is_error: false,
        attachments: vec![Attachment {
            path: copy.path,
            name,
            is_image,
        }],
    })
}
