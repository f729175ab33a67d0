//! Which pictures of a conversation a model gets to see, read when it is asked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::message::{Image, Message};
use crate::model::Pictures;
use crate::workspace::{Workspace, WorkspaceError};

/// The newest pictures of these messages, as far as they are to be had.
pub(super) async fn of(
    messages: &[Message],
    workspace: Option<&Workspace>,
    can_see: bool,
) -> Pictures {
    let mut newest: Vec<Image> = Vec::new();
    for message in messages.iter().rev() {
        if let Message::User { images, .. } = message {
            for image in images.iter().rev() {
                if !newest.iter().any(|known| known.path == image.path) {
                    newest.push(image.clone());
                }
            }
        }
    }
    let mut pictures = Pictures::default();
    if newest.is_empty() {
        return pictures;
    }
    if !can_see {
        for image in newest {
            pictures.hide(
                image.path,
                "a file of the workspace; you can't see pictures",
            );
        }
        return pictures;
    }
    let Some(workspace) = workspace else {
        return pictures;
    };
    let read = move |workspace: &Workspace| {
        let mut bytes_left = BYTES_MAX;
        for (at, image) in newest.into_iter().enumerate() {
            if at >= IMAGES_MAX || bytes_left == 0 {
                pictures.hide(
                    image.path,
                    "an older file of the workspace, not shown again",
                );
                continue;
            }
            match read(workspace, &image, bytes_left) {
                Ok(bytes) => {
                    bytes_left -= bytes.len();
                    let data = STANDARD.encode(&bytes);
                    let url = format!("data:{};base64,{data}", image.media_type);
                    pictures.show(image.path, url);
                }
                Err(why) => pictures.hide(image.path, why),
            }
        }
        Ok::<_, WorkspaceError>(pictures)
    };
    workspace.blocking(read).await.unwrap_or_default()
}

fn read(workspace: &Workspace, image: &Image, bytes_left: usize) -> Result<Vec<u8>, &'static str> {
    if !MEDIA_TYPES.contains(&image.media_type.as_str()) {
        return Err("not a kind of picture that can be shown");
    }
    let bytes_max = u64::try_from(IMAGE_BYTES_MAX.min(bytes_left)).unwrap_or(u64::MAX);
    let read = workspace.read(&image.path, bytes_max);
    read.map_err(|error| match error {
        WorkspaceError::Outside { .. } => "not a file of the workspace",
        WorkspaceError::NotAFile { .. } => "not a file",
        WorkspaceError::TooLarge { .. } => "too large to be shown",
        WorkspaceError::NotFound { .. }
        | WorkspaceError::NotADirectory { .. }
        | WorkspaceError::ReadOnly { .. }
        | WorkspaceError::BadPath { .. }
        | WorkspaceError::Full { .. }
        | WorkspaceError::Io { .. } => "the file is no longer there",
    })
}

/// Pictures in one question: each costs as much as a page of text.
const IMAGES_MAX: usize = 6;

/// The largest picture that all providers take.
const IMAGE_BYTES_MAX: usize = 5 << 20;

/// Pictures of one question together; in the request they are a third larger.
const BYTES_MAX: usize = 12 << 20;

/// What all models that can see can look at.
const MEDIA_TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
