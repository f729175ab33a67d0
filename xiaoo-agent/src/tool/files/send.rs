use core::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{either, intent, workspace};
use crate::chat::{Attachment, OutgoingFile};
use crate::document::is_picture;
use crate::tool::arguments::parse;
use crate::tool::{Intent, Tool, ToolContext, ToolOutput};
use crate::workspace::{WorkspaceError, file_name};

/// `send_file`: a file of the workspace goes out with the answer.
///
/// The chat takes it at once, so that it goes out as it is now, and from any machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendFile;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    #[serde(default)]
    name: Option<String>,
}

impl SendFile {
    /// Larger pictures go as files.
    pub const IMAGE_BYTES_MAX: u64 = 10 << 20;
    /// The largest file that the platform takes.
    pub const FILE_BYTES_MAX: u64 = 30 << 20;
    /// How long the chat may take: the largest file on a slow line, and another try.
    pub const TAKEN_WITHIN: Duration = Duration::from_secs(300);
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

    // Nobody sees what was taken and not sent.
    fn is_repeatable(&self) -> bool {
        true
    }

    fn time_max(&self) -> Duration {
        Self::TAKEN_WITHIN
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
    if bytes > SendFile::FILE_BYTES_MAX {
        let bytes_max = SendFile::FILE_BYTES_MAX;
        return Err(WorkspaceError::TooLarge { path, bytes_max }.into());
    }
    let own = path.rsplit('/').next().unwrap_or_default();
    let name = name
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let name = file_name(name.unwrap_or(own));
    let outgoing = OutgoingFile {
        file,
        name: name.clone(),
        is_image,
    };
    let taken = context.chat.take_file(outgoing).await;
    let content = match &taken {
        Ok(_) => format!(
            "{path} ({bytes} bytes) will be sent with your answer as {name}{}.",
            if is_image { ", shown as a picture" } else { "" }
        ),
        Err(why) => format!(
            "Error: {path} can't be sent: {why}. People will see a note with your answer that \
             {name} could not be sent."
        ),
    };
    Ok(ToolOutput {
        content,
        is_error: taken.is_err(),
        attachments: vec![Attachment {
            key: taken.ok(),
            name,
            is_image,
        }],
    })
}
