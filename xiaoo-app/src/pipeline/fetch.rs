//! Files of people, fetched into the directory of their conversation: once by the daemon that
//! answers the message, and once more by another that goes on with the conversation on a disk of
//! its own.
//!
//! Which file came from which message is a note in the store. What was taken away on purpose does
//! not come back: each directory says in a file what was there.

use std::collections::BTreeSet;
use std::time::Duration;

use proto_core::{InboundResource, ResourceKind};
use runtime_tokio::openapi::{ApiError, ResourceAt};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncSeekExt as _;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};
use xiaoo_agent::{Workspace, WorkspaceError};
use xiaoo_store::StoreError;

use super::Pipeline;
use crate::render::context::{self, Attached};

/// Where files of people are, in the conversation's directory.
const FILES: &str = "files";
/// Which of them were there, a path a line.
const HAD: &str = ".fetched";
/// Bytes of that: a few times what [`KNOWN_MAX`] paths have.
const HAD_BYTES_MAX: u64 = 64 << 10;
/// Files of a conversation whose message is remembered, the newest: as many as a note holds.
const KNOWN_MAX: usize = 48;
/// How long they are remembered: as long as what was said about them.
const KNOWN_FOR: Duration = xiaoo_store::limits::HISTORY_KEPT;
/// How long a turn waits for files that are on another disk. What is missing then comes with the
/// next one.
const AGAIN_WITHIN: Duration = Duration::from_secs(60);
/// The key of the note in its scope.
const NOTE: &str = "it";

/// A file to be fetched: of this message, by this key.
pub(super) struct Wanted {
    pub(super) message_id: String,
    pub(super) file_key: String,
    pub(super) kind: ResourceKind,
    pub(super) name: Option<String>,
}

/// Why there is no file.
pub(super) struct NotFetched {
    /// In words.
    pub(super) why: String,
    /// Whether it may be had later.
    may_pass: bool,
}

/// A file that was fetched, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fetched {
    /// Where it is, in the conversation's directory.
    path: String,
    message_id: String,
    file_key: String,
    is_image: bool,
}

impl Wanted {
    /// The files of a message.
    pub(super) fn of_message(message_id: &str, resources: &[InboundResource]) -> Vec<Self> {
        let wanted = resources.iter().map(|resource| Self {
            message_id: message_id.to_owned(),
            file_key: resource.file_key.clone(),
            kind: resource.kind,
            name: resource.file_name.clone(),
        });
        wanted.collect()
    }

    /// What it is called where it has no name.
    pub(super) fn name(&self) -> String {
        let name = self.name.clone();
        name.unwrap_or_else(|| kind_word(self.kind).into())
    }

    /// The same, to be remembered as what is at this path.
    pub(super) fn fetched_to(&self, path: &str) -> Fetched {
        Fetched {
            path: path.to_owned(),
            message_id: self.message_id.clone(),
            file_key: self.file_key.clone(),
            is_image: self.kind == ResourceKind::Image,
        }
    }
}

impl From<&Fetched> for Wanted {
    fn from(file: &Fetched) -> Self {
        Self {
            message_id: file.message_id.clone(),
            file_key: file.file_key.clone(),
            kind: if file.is_image {
                ResourceKind::Image
            } else {
                ResourceKind::File
            },
            name: file.path.rsplit('/').next().map(str::to_owned),
        }
    }
}

/// Fetches a file before the deadline, under its own name or the first numbered one that is free.
pub(super) async fn fetch(
    pipeline: &Pipeline,
    workspace: Option<&Workspace>,
    file: &Wanted,
    deadline: Instant,
) -> Result<Attached, NotFetched> {
    let Some(workspace) = workspace else {
        return Err(NotFetched::for_good("there is no directory for files"));
    };
    let fetched = timeout_at(deadline, fetch_into(pipeline, workspace, file)).await;
    fetched.unwrap_or_else(|_| {
        Err(NotFetched {
            why: "it took too long".into(),
            may_pass: true,
        })
    })
}

async fn fetch_into(
    pipeline: &Pipeline,
    workspace: &Workspace,
    file: &Wanted,
) -> Result<Attached, NotFetched> {
    let local =
        |error: std::io::Error| NotFetched::for_good(format!("it could not be kept: {error}"));
    let root = workspace.root().to_path_buf();
    let part = tokio::task::spawn_blocking(move || tempfile::tempfile_in(root))
        .await
        .map_err(|_| NotFetched::for_good("the daemon is stopping"))?
        .map_err(local)?;
    let mut part = tokio::fs::File::from_std(part);
    let at = ResourceAt {
        message_id: &file.message_id,
        file_key: &file.file_key,
        kind: file.kind,
    };
    let bytes_max = pipeline.settings.files.file_bytes_max;
    let down = pipeline.api.download_resource(at, bytes_max, &part).await?;
    part.rewind().await.map_err(local)?;
    let name = file
        .name
        .clone()
        .or(down.file_name)
        .unwrap_or_else(|| nameless(file.kind, &down.content_type));
    let saved = workspace.write_new(FILES, &name, part, bytes_max).await?;
    Ok(Attached::Fetched {
        path: saved.path,
        name,
        media_type: down.content_type,
        bytes: saved.bytes,
    })
}

/// Remembers where files came from, if there may be another daemon that needs them.
pub(super) async fn remember(
    pipeline: &Pipeline,
    conversation: &str,
    workspace: Option<&Workspace>,
    fetched: &[Fetched],
) {
    let Some(workspace) = workspace.filter(|_| pipeline.store.is_shared() && !fetched.is_empty())
    else {
        return;
    };
    let scope = scope(conversation);
    let kept = pipeline.change_note(&scope, NOTE, KNOWN_FOR, |known: Option<&Vec<Fetched>>| {
        let mut known = known.cloned().unwrap_or_default();
        known.retain(|old| fetched.iter().all(|new| new.path != old.path));
        known.extend_from_slice(fetched);
        let old = known.len().saturating_sub(KNOWN_MAX);
        known.drain(..old);
        Some(known)
    });
    match kept.await {
        Ok(known) => say_had(workspace, &known.unwrap_or_default(), fetched).await,
        Err(error) => warn!("where files came from could not be noted: {error}"),
    }
}

/// Fetches what another daemon has fetched and was never on this disk. Best effort: what is not
/// there is missing to whoever looks for it.
pub(super) async fn again(pipeline: &Pipeline, conversation: &str, workspace: &Workspace) {
    if !pipeline.store.is_shared() {
        return;
    }
    let known = match known(pipeline, conversation).await {
        Ok(known) => known,
        Err(error) => return warn!("which files there were cannot be read: {error}"),
    };
    let deadline = Instant::now() + AGAIN_WITHIN;
    let mut had = Vec::new();
    for file in missing(workspace, &known).await.iter().rev() {
        match fetch(pipeline, Some(workspace), &Wanted::from(file), deadline).await {
            Ok(_) => {
                info!(
                    message_id = file.message_id,
                    "a file of another disk is here"
                );
                had.push(file.clone());
            }
            Err(error) => {
                let message_id = &file.message_id;
                warn!(
                    message_id,
                    "a file of another disk was not fetched: {}", error.why
                );
                had.extend((!error.may_pass).then(|| file.clone()));
            }
        }
    }
    if !had.is_empty() {
        say_had(workspace, &known, &had).await;
    }
}

async fn known(pipeline: &Pipeline, conversation: &str) -> Result<Vec<Fetched>, StoreError> {
    let known = pipeline.note(&scope(conversation), NOTE).await?;
    Ok(known.unwrap_or_default())
}

/// Those of these files that are not on this disk, and never were.
async fn missing(workspace: &Workspace, known: &[Fetched]) -> Vec<Fetched> {
    if known.is_empty() {
        return Vec::new();
    }
    let known = known.to_vec();
    let looked = workspace.blocking(move |workspace| {
        let had = had(workspace);
        let is_missing = |file: &Fetched| {
            let found = workspace.metadata(&file.path);
            !had.contains(&file.path) && matches!(found, Err(WorkspaceError::NotFound { .. }))
        };
        Ok::<_, WorkspaceError>(known.into_iter().filter(is_missing).collect())
    });
    looked.await.unwrap_or_default()
}

/// Says that these files are or were on this disk; of others, only what is still known.
async fn say_had(workspace: &Workspace, known: &[Fetched], here: &[Fetched]) {
    let known: BTreeSet<String> = known.iter().map(|file| file.path.clone()).collect();
    let here: Vec<String> = here.iter().map(|file| file.path.clone()).collect();
    let written = workspace.blocking(move |workspace| {
        let mut had = had(workspace);
        had.extend(here);
        let lines: String = had
            .intersection(&known)
            .flat_map(|path| [path.as_str(), "\n"])
            .collect();
        workspace.write(HAD, lines.as_bytes())
    });
    if let Err(error) = written.await {
        warn!("which files were here could not be written down: {error}");
    }
}

fn had(workspace: &Workspace) -> BTreeSet<String> {
    let lines = workspace.read(HAD, HAD_BYTES_MAX).unwrap_or_default();
    let lines = String::from_utf8_lossy(&lines);
    lines.lines().map(str::to_owned).collect()
}

fn scope(conversation: &str) -> String {
    format!("files:{conversation}")
}

impl NotFetched {
    pub(super) fn for_good(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            may_pass: false,
        }
    }
}

impl From<WorkspaceError> for NotFetched {
    fn from(error: WorkspaceError) -> Self {
        Self::for_good(error.to_string())
    }
}

impl From<ApiError> for NotFetched {
    fn from(error: ApiError) -> Self {
        let why = if error.is_too_large() {
            "it is too large".into()
        } else if error.target_is_gone() {
            "it was deleted".into()
        } else if error.is_scope_missing() {
            "the bot may not read files here: the app lacks a permission".into()
        } else {
            error.to_string()
        };
        let by_person = error.is_scope_missing() || error.is_fatal_config();
        Self {
            why,
            may_pass: by_person || error.is_retryable() || error.outcome_is_unknown(),
        }
    }
}

/// What a file is called that has no name: voice messages and pictures have none.
fn nameless(kind: ResourceKind, media_type: &str) -> String {
    let extension = match (context::extension(media_type), kind) {
        // The platform does not always say; what it records itself is known.
        ("bin", ResourceKind::Audio) => "opus",
        ("bin", ResourceKind::Video) => "mp4",
        (told, _) => told,
    };
    format!("{}.{extension}", kind_word(kind))
}

fn kind_word(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Image => "image",
        ResourceKind::Audio => "audio",
        ResourceKind::Video => "video",
        ResourceKind::File | ResourceKind::Sticker => "file",
    }
}
