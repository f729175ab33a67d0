//! Images and files.

use bytes::Bytes;
use serde_json::json;

use super::error::ApiError;
use super::multipart::{self, Field};
use super::routes::{Call, Reply};
use crate::lock::lock;
use crate::world::{Forwarded, MessageState, Resource};

/// Largest image, 10 MB.
const IMAGE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Largest file, 30 MB.
const FILE_BYTES_MAX: usize = 30 * 1024 * 1024;
/// Largest file that is given out, 100 MB.
const DOWNLOAD_BYTES_MAX: usize = 100 * 1024 * 1024;

/// `POST /open-apis/im/v1/images`
pub(super) fn upload_image(call: &Call<'_>) -> Result<Reply, ApiError> {
    let fields = multipart::parse(&call.content_type, &call.body)?;
    if text(&fields, "image_type") != Some("message") {
        return Err(ApiError::new(234_001, "image_type must be message"));
    }
    let bytes = content(&fields, "image", IMAGE_BYTES_MAX)?;
    let mime = image_mime(&bytes)
        .ok_or_else(|| ApiError::new(234_011, "Can't recognize image format."))?;
    let resource = Resource {
        name: "image".to_owned(),
        mime: mime.to_owned(),
        kind: "image".to_owned(),
        by_app: true,
        bytes,
    };
    let mut world = lock(&call.shared.world);
    let key = world.id("img_v3_");
    world.resources.put(&key, resource);
    Ok(Reply::Data(json!({"image_key": key})))
}

/// `POST /open-apis/im/v1/files`
pub(super) fn upload_file(call: &Call<'_>) -> Result<Reply, ApiError> {
    let fields = multipart::parse(&call.content_type, &call.body)?;
    let kind = text(&fields, "file_type").unwrap_or_default().to_owned();
    if !matches!(
        kind.as_str(),
        "opus" | "mp4" | "pdf" | "doc" | "xls" | "ppt" | "stream"
    ) {
        return Err(ApiError::new(234_001, "file_type is not known"));
    }
    let name = text(&fields, "file_name")
        .filter(|name| !name.is_empty())
        .ok_or_else(|| ApiError::new(234_001, "file_name is required"))?
        .to_owned();
    let bytes = content(&fields, "file", FILE_BYTES_MAX)?;
    let resource = Resource {
        name,
        mime: "application/octet-stream".to_owned(),
        kind,
        by_app: true,
        bytes,
    };
    let mut world = lock(&call.shared.world);
    let key = world.id("file_v3_");
    world.resources.put(&key, resource);
    Ok(Reply::Data(json!({"file_key": key})))
}

/// `GET /open-apis/im/v1/messages/:message_id/resources/:file_key`
pub(super) fn resource(call: &Call<'_>) -> Result<Reply, ApiError> {
    if !matches!(call.param("type"), Some("image" | "file")) {
        return Err(ApiError::new(234_001, "type is image or file"));
    }
    let world = lock(&call.shared.world);
    let is_inside = |one: &Forwarded| one.message.message_id == call.id(0);
    if world.bundles.values().flatten().any(is_inside) {
        // As bots in the field saw it: only by the bundle's own id.
        return Err(ApiError::new(234_003, "File not in msg."));
    }
    let message = world
        .message(call.id(0))
        .map_err(|_| ApiError::new(234_001, "message_id is invalid"))?;
    let sees = world
        .chats
        .get(&message.chat_id)
        .is_some_and(|chat| chat.members.contains(&world.bot));
    if !sees {
        return Err(ApiError::new(234_004, "App not in chat."));
    }
    if matches!(
        message.msg_type.as_str(),
        "interactive" | "sticker" | "folder"
    ) {
        return Err(ApiError::new(234_043, "Unsupported message type."));
    }
    let is_there = world
        .with_forwarded(message)
        .any(|(_, one)| !one.deleted && mentions_key(one, call.id(1)));
    if message.deleted || !is_there {
        return Err(ApiError::new(234_003, "File not in msg."));
    }
    let resource = world.resources.get(call.id(1));
    let is_image = resource.is_some_and(|resource| resource.kind == "image");
    if is_image != (call.param("type") == Some("image")) {
        return Err(ApiError::new(234_001, "type does not fit the key"));
    }
    if resource.is_some_and(|resource| resource.bytes.len() > DOWNLOAD_BYTES_MAX) {
        return Err(ApiError::new(
            234_037,
            "Downloaded file size exceeds limit.",
        ));
    }
    found(resource)
}

/// `GET /open-apis/im/v1/images/:image_key` and `…/files/:file_key`: only what
/// the app uploaded itself.
pub(super) fn download(call: &Call<'_>) -> Result<Reply, ApiError> {
    let world = lock(&call.shared.world);
    found(
        world
            .resources
            .get(call.id(0))
            .filter(|resource| resource.by_app),
    )
}

fn found(resource: Option<&Resource>) -> Result<Reply, ApiError> {
    let resource = resource.ok_or_else(|| ApiError::new(234_001, "key is not known"))?;
    Ok(Reply::Bytes {
        mime: resource.mime.clone(),
        name: resource.name.clone(),
        bytes: resource.bytes.clone(),
    })
}

fn mentions_key(message: &MessageState, key: &str) -> bool {
    message.content.contains(&format!("\"{key}\""))
}

fn text<'f>(fields: &'f [Field], name: &str) -> Option<&'f str> {
    let field = fields.iter().find(|field| field.name == name)?;
    std::str::from_utf8(&field.content).ok()
}

fn content(fields: &[Field], name: &str, max: usize) -> Result<Bytes, ApiError> {
    let field = fields
        .iter()
        .find(|field| field.name == name)
        .ok_or_else(|| ApiError::new(234_001, format!("{name} is required")))?;
    if field.content.is_empty() {
        return Err(ApiError::new(234_010, "File's size can't be 0."));
    }
    if field.content.len() > max {
        return Err(ApiError::new(
            234_006,
            "The file size exceed the max value.",
        ));
    }
    Ok(field.content.clone())
}

/// By the first bytes, as the platform does.
pub(crate) fn image_mime(bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"\x89PNG", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"RIFF", "image/webp"),
        (b"BM", "image/bmp"),
        (b"\x00\x00\x01\x00", "image/x-icon"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00*", "image/tiff"),
    ];
    KNOWN
        .iter()
        .find(|(start, _)| bytes.starts_with(start))
        .map(|(_, mime)| *mime)
}

/// By the first bytes, else by the end of the name.
pub(crate) fn mime_of(name: &str, bytes: &[u8]) -> &'static str {
    const KNOWN: &[(&str, &str)] = &[
        ("txt", "text/plain"),
        ("md", "text/markdown"),
        ("csv", "text/csv"),
        ("json", "application/json"),
        ("pdf", "application/pdf"),
        ("zip", "application/zip"),
        ("mp4", "video/mp4"),
        ("opus", "audio/ogg"),
        (
            "docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
    ];
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    image_mime(bytes).unwrap_or_else(|| {
        KNOWN
            .iter()
            .find(|(known, _)| extension.eq_ignore_ascii_case(known))
            .map_or("application/octet-stream", |(_, mime)| mime)
    })
}
