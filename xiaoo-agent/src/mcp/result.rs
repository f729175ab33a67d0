//! What a call gave, as text for a model.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{CallToolResult, ContentBlock, Resource, ResourceContents};

use crate::tool::head::split_head;
use crate::tool::{ToolOutput, downloads};
use crate::workspace::Workspace;

/// Longest text of one result; the loop shows less of it and keeps the rest.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// Files that are saved of one result.
const FILES_MAX: usize = 16;

/// Texts as they are, files by the paths that they were saved under, the rest in a word each.
pub(super) async fn output(
    tool: &str,
    result: CallToolResult,
    workspace: Option<&Workspace>,
) -> ToolOutput {
    let mut teller = Teller {
        tool,
        workspace,
        parts: Vec::new(),
        files: 0,
    };
    for block in result.content {
        teller.block(block).await;
    }
    if teller.parts.is_empty()
        && let Some(structured) = result.structured_content
    {
        teller.parts.push(structured.to_string());
    }
    let mut text = teller.parts.join("\n");
    let (head, rest) = split_head(&text, TEXT_BYTES_MAX);
    if !rest.is_empty() {
        text = format!(
            "{head}\n[cut: the first {} of {} bytes]",
            head.len(),
            text.len()
        );
    }
    match (result.is_error.unwrap_or(false), text.is_empty()) {
        (true, true) => ToolOutput::error("Error: the tool failed and did not say why"),
        (true, false) => ToolOutput::error(text),
        (false, true) => ToolOutput::ok("(no output)"),
        (false, false) => ToolOutput::ok(text),
    }
}

struct Teller<'a> {
    tool: &'a str,
    workspace: Option<&'a Workspace>,
    parts: Vec<String>,
    files: usize,
}

impl Teller<'_> {
    async fn block(&mut self, block: ContentBlock) {
        // What is new in the protocol is named as unknown.
        let part = match block {
            ContentBlock::Text(text) => text.text,
            ContentBlock::Image(image) => self.file("image", &image.mime_type, &image.data).await,
            ContentBlock::Audio(audio) => self.file("audio", &audio.mime_type, &audio.data).await,
            ContentBlock::ResourceLink(link) => describe(&link),
            ContentBlock::Resource(embedded) => match embedded.resource {
                ResourceContents::TextResourceContents { uri, text, .. } => {
                    format!("[resource {uri}]\n{text}")
                }
                ResourceContents::BlobResourceContents {
                    uri,
                    mime_type,
                    blob,
                    ..
                } => {
                    let mime_type = mime_type.unwrap_or_default();
                    let saved = self.file("resource", &mime_type, &blob).await;
                    format!("[resource {uri}]\n{saved}")
                }
                _ => "[a resource of an unknown kind]".to_owned(),
            },
            _ => "[content of an unknown kind]".to_owned(),
        };
        self.parts.push(part);
    }

    /// Saves what comes in base64, and says where.
    async fn file(&mut self, kind: &str, mime_type: &str, data: &str) -> String {
        let Ok(bytes) = STANDARD.decode(data.trim()) else {
            return format!("[{kind} {mime_type}: it can't be read]");
        };
        let length = bytes.len();
        let what = format!("{kind} {mime_type}, {length} bytes");
        let Some(workspace) = self.workspace else {
            return format!("[{what}: there is no workspace to save it into]");
        };
        if self.files >= FILES_MAX {
            return format!("[{what}: not saved, there are more than {FILES_MAX} files]");
        }
        self.files += 1;
        let name = format!("{}{}", self.tool, ending(mime_type));
        match downloads::save(workspace, &name, &bytes).await {
            Ok(path) => format!("[{what}, saved as the file {path}]"),
            Err(error) => format!("[{what}: it could not be saved: {error}]"),
        }
    }
}

fn describe(link: &Resource) -> String {
    let title = link.title.as_deref().unwrap_or(&link.name);
    let mut text = format!("[link to {title}: {}", link.uri);
    if let Some(mime_type) = &link.mime_type {
        text.push_str(&format!(", {mime_type}"));
    }
    text.push(']');
    if let Some(description) = &link.description {
        text.push_str(&format!(" {description}"));
    }
    text
}

/// The usual ending of files of that type.
fn ending(mime_type: &str) -> &'static str {
    let bare = mime_type.split(';').next().unwrap_or_default();
    match bare.trim().to_ascii_lowercase().as_str() {
        "application/json" => ".json",
        "application/pdf" => ".pdf",
        "application/zip" => ".zip",
        "audio/mpeg" => ".mp3",
        "audio/ogg" => ".ogg",
        "audio/wav" | "audio/x-wav" => ".wav",
        "image/gif" => ".gif",
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/svg+xml" => ".svg",
        "image/webp" => ".webp",
        "text/csv" => ".csv",
        "text/html" => ".html",
        "text/plain" => ".txt",
        _ => ".bin",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn every_kind_of_content_is_told() {
        let content = json!([
            {"type": "text", "text": "one"},
            {"type": "text", "text": "two"},
            {"type": "image", "mimeType": "image/png", "data": "iVBORw=="},
            {"type": "audio", "mimeType": "audio/wav", "data": "UklGRg=="},
            {"type": "image", "mimeType": "image/png", "data": "!"},
            {"type": "resource", "resource": {"uri": "a://t", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "a://b", "mimeType": "application/pdf", "blob": "JVBERg=="}},
            {"type": "resource_link", "uri": "a://l", "name": "n", "mimeType": "text/csv", "description": "d"},
        ]);
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(root.path()).unwrap();
        let told = tell(json!({"content": content}), Some(&workspace)).await;
        assert_eq!(
            told,
            ToolOutput::ok(
                "one\ntwo\n\
                 [image image/png, 4 bytes, saved as the file downloads/draw.png]\n\
                 [audio audio/wav, 4 bytes, saved as the file downloads/draw.wav]\n\
                 [image image/png: it can't be read]\n\
                 [resource a://t]\ninside\n\
                 [resource a://b]\n[resource application/pdf, 4 bytes, saved as the file downloads/draw.pdf]\n\
                 [link to n: a://l, text/csv] d"
            )
        );
        let png = std::fs::read(root.path().join("downloads/draw.png")).unwrap();
        assert_eq!(png, b"\x89PNG");
    }

    #[tokio::test]
    async fn results_say_whether_they_went_wrong() {
        let text = json!([{"type": "text", "text": "t"}]);
        let cases = [
            (json!({"content": text}), ToolOutput::ok("t")),
            (
                json!({"content": text, "isError": true}),
                ToolOutput::error("t"),
            ),
            (
                json!({"content": [], "isError": true}),
                ToolOutput::error("Error: the tool failed and did not say why"),
            ),
            (json!({"content": []}), ToolOutput::ok("(no output)")),
            (
                json!({"content": [], "structuredContent": {"a": [1]}}),
                ToolOutput::ok("{\"a\":[1]}"),
            ),
            (
                json!({"content": text, "structuredContent": {"a": 1}}),
                ToolOutput::ok("t"),
            ),
        ];
        for (result, expected) in cases {
            assert_eq!(tell(result.clone(), None).await, expected, "{result}");
        }
    }

    #[tokio::test]
    async fn a_result_has_bounds() {
        let text = |bytes| json!({"content": [{"type": "text", "text": "x".repeat(bytes)}]});
        let told = tell(text(TEXT_BYTES_MAX), None).await;
        assert_eq!(told.content.len(), TEXT_BYTES_MAX);
        let told = tell(text(TEXT_BYTES_MAX + 1), None).await;
        assert!(
            told.content
                .ends_with("\n[cut: the first 262144 of 262145 bytes]")
        );

        let image = json!({"type": "image", "mimeType": "image/png", "data": "AAAA"});
        let images = vec![image; FILES_MAX + 1];
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(root.path()).unwrap();
        let told = tell(json!({"content": images}), Some(&workspace)).await;
        assert!(told.content.contains("not saved"), "{told:?}");
        let saved = std::fs::read_dir(root.path().join("downloads")).unwrap();
        assert_eq!(saved.count(), FILES_MAX);
    }

    async fn tell(result: Value, workspace: Option<&Workspace>) -> ToolOutput {
        output("draw", serde_json::from_value(result).unwrap(), workspace).await
    }
}
