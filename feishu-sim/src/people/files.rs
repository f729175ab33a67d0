//! Files, images, voice messages and videos that people send.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::SimError;
use crate::openapi::mime_of;
use crate::view::Mention;
use crate::world::{Resource, World};

/// What hangs on a message: bytes, or the key of bytes that were stored before
/// (`POST /sim/resources`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserFile {
    /// What it is.
    pub kind: UserFileKind,
    /// Its name. Images and voice messages have none on the platform.
    pub name: String,
    /// Key of what is stored already.
    pub key: Option<String>,
    /// How long it plays, ms.
    pub duration_ms: Option<u64>,
    /// Its bytes, unless `key` names them.
    #[serde(skip)]
    pub bytes: Bytes,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserFileKind {
    /// Any file.
    #[default]
    File,
    /// An image.
    Image,
    /// A voice message.
    Audio,
    /// A video.
    Video,
}

impl UserFileKind {
    pub(super) const fn msg_type(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "media",
        }
    }

    /// `kind` of the stored resource.
    const fn stored_as(self) -> &'static str {
        match self {
            Self::File => "stream",
            Self::Image => "image",
            Self::Audio => "opus",
            Self::Video => "mp4",
        }
    }

    const fn key_prefix(self) -> &'static str {
        match self {
            Self::Image => "img_v3_",
            Self::File | Self::Audio | Self::Video => "file_v3_",
        }
    }
}

impl UserFile {
    /// A file of any kind.
    #[must_use]
    pub fn new(kind: UserFileKind, name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            kind,
            name: name.into(),
            bytes: bytes.into(),
            ..Self::default()
        }
    }

    /// A file.
    #[must_use]
    pub fn file(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(UserFileKind::File, name, bytes)
    }

    /// An image.
    #[must_use]
    pub fn image(bytes: impl Into<Bytes>) -> Self {
        Self::new(UserFileKind::Image, "", bytes)
    }

    /// A voice message.
    #[must_use]
    pub fn audio(bytes: impl Into<Bytes>, duration_ms: u64) -> Self {
        Self {
            duration_ms: Some(duration_ms),
            ..Self::new(UserFileKind::Audio, "", bytes)
        }
    }

    /// A video.
    #[must_use]
    pub fn video(name: impl Into<String>, bytes: impl Into<Bytes>, duration_ms: u64) -> Self {
        Self {
            duration_ms: Some(duration_ms),
            ..Self::new(UserFileKind::Video, name, bytes)
        }
    }
}

/// A file that is stored.
pub(super) struct Kept {
    pub(super) kind: UserFileKind,
    key: String,
    name: String,
    duration_ms: u64,
}

/// Stores those that are not yet.
pub(super) fn kept(world: &mut World, files: &[UserFile]) -> Result<Vec<Kept>, SimError> {
    files
        .iter()
        .map(|file| {
            let key = match &file.key {
                Some(key) if world.resources.get(key).is_some() => key.clone(),
                Some(key) => {
                    return Err(SimError::Unknown {
                        what: "resource",
                        id: key.clone(),
                    });
                }
                None => store(world, file.kind, &file.name, file.bytes.clone()),
            };
            Ok(Kept {
                kind: file.kind,
                key,
                name: file.name.clone(),
                duration_ms: file.duration_ms.unwrap_or_default(),
            })
        })
        .collect()
}

/// Stores what a person sends; gives its key.
pub(crate) fn store(world: &mut World, kind: UserFileKind, name: &str, bytes: Bytes) -> String {
    let key = world.id(kind.key_prefix());
    let resource = Resource {
        name: name.to_owned(),
        mime: mime_of(name, &bytes).to_owned(),
        kind: kind.stored_as().to_owned(),
        by_app: false,
        bytes,
    };
    world.resources.put(&key, resource);
    key
}

impl Kept {
    /// The content of a message that is this file and nothing else.
    pub(super) fn content(&self) -> String {
        let Self {
            key,
            name,
            duration_ms,
            ..
        } = self;
        match self.kind {
            UserFileKind::File => json!({"file_key": key, "file_name": name}),
            UserFileKind::Image => json!({"image_key": key}),
            UserFileKind::Audio => json!({"file_key": key, "duration": duration_ms}),
            UserFileKind::Video => json!({
                "file_key": key, "image_key": "", "file_name": name, "duration": duration_ms,
            }),
        }
        .to_string()
    }

    fn element(&self) -> Result<Value, SimError> {
        match self.kind {
            UserFileKind::Image => Ok(json!({"tag": "img", "image_key": self.key})),
            UserFileKind::Video => {
                Ok(json!({"tag": "media", "file_key": self.key, "image_key": ""}))
            }
            UserFileKind::File | UserFileKind::Audio => Err(SimError::Invalid(
                "a file or voice message is a message of its own: only images and videos go beside text or each other"
                    .to_owned(),
            )),
        }
    }
}

/// A post as it arrives: a paragraph of text a line, then one an image or video.
pub(super) fn post(text: &str, mentions: &[Mention], files: &[Kept]) -> Result<String, SimError> {
    let mut rows: Vec<Value> = text
        .lines()
        .map(|line| Value::Array(line_elements(line, mentions)))
        .collect();
    for file in files {
        rows.push(json!([file.element()?]));
    }
    Ok(json!({"title": "", "content": rows}).to_string())
}

/// A line's text and the people in it.
fn line_elements(line: &str, mentions: &[Mention]) -> Vec<Value> {
    let text = |text: &str| json!({"tag": "text", "text": text, "style": []});
    let mut elements = Vec::new();
    let (mut plain, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        // The longest placeholder that fits: `@_user_1` begins `@_user_10`.
        let who = mentions
            .iter()
            .filter(|mention| from.starts_with(&mention.key))
            .max_by_key(|mention| mention.key.len());
        let taken = if let Some(who) = who {
            if !plain.is_empty() {
                elements.push(text(&std::mem::take(&mut plain)));
            }
            elements
                .push(json!({"tag": "at", "user_id": who.key, "user_name": who.name, "style": []}));
            who.key.len()
        } else {
            plain.push('@');
            1
        };
        rest = from.get(taken..).unwrap_or_default();
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        elements.push(text(&plain));
    }
    elements
}
