//! Who is in a group, and what it is called: asked of Feishu, and remembered for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime_tokio::openapi::ApiError;
use tokio::time::Instant;
use tracing::debug;

use super::Pipeline;
pub use crate::render::people::Directory;

/// How long a group's people are remembered: somebody who joins is known soon enough.
const KEPT: Duration = Duration::from_secs(600);
/// How long it is remembered that they could not be had.
const FAILURE_KEPT: Duration = Duration::from_secs(60);
/// Groups that are remembered.
const GROUPS_MAX: usize = 512;
/// Pages of 100 people that are asked for. More people than this are no help to a model, which
/// reads all of them with every question.
const PAGES_MAX: usize = 2;
/// How long a turn waits for them.
const WITHIN: Duration = Duration::from_secs(10);

/// The groups that are remembered.
#[derive(Default)]
pub struct Groups {
    known: Mutex<HashMap<String, Known>>,
}

struct Known {
    at: Instant,
    /// `None` if they could not be had.
    directory: Option<Arc<Directory>>,
}

impl Groups {
    fn get(&self, chat_id: &str) -> Option<Option<Arc<Directory>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let group = known.get(chat_id)?;
        let kept = if group.directory.is_some() {
            KEPT
        } else {
            FAILURE_KEPT
        };
        (group.at.elapsed() < kept).then(|| group.directory.clone())
    }

    fn put(&self, chat_id: &str, directory: Option<Arc<Directory>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= GROUPS_MAX && !known.contains_key(chat_id) {
            known.retain(|_, group| group.at.elapsed() < KEPT);
        }
        if known.len() >= GROUPS_MAX
            && let Some(oldest) = known.iter().min_by_key(|(_, group)| group.at)
        {
            let oldest = oldest.0.clone();
            known.remove(&oldest);
        }
        let at = Instant::now();
        known.insert(chat_id.to_owned(), Known { at, directory });
    }
}

/// The people of a group.
///
/// # Errors
/// When Feishu does not say.
pub async fn of(pipeline: &Pipeline, chat_id: &str) -> Result<Arc<Directory>, ApiError> {
    if let Some(Some(directory)) = pipeline.groups.get(chat_id) {
        return Ok(directory);
    }
    match asked(pipeline, chat_id).await {
        Ok(directory) => {
            let directory = Arc::new(directory);
            pipeline.groups.put(chat_id, Some(Arc::clone(&directory)));
            Ok(directory)
        }
        Err(error) => {
            pipeline.groups.put(chat_id, None);
            Err(error)
        }
    }
}

/// The people of a group, as far as they can be had soon; nobody otherwise.
pub async fn of_if_known(pipeline: &Pipeline, chat_id: &str) -> Arc<Directory> {
    if let Some(known) = pipeline.groups.get(chat_id) {
        return known.unwrap_or_default();
    }
    match tokio::time::timeout(WITHIN, of(pipeline, chat_id)).await {
        Ok(Ok(directory)) => directory,
        Ok(Err(error)) => {
            debug!(chat_id, "who is in the group is not known: {error}");
            Arc::default()
        }
        Err(_) => {
            pipeline.groups.put(chat_id, None);
            Arc::default()
        }
    }
}

async fn asked(pipeline: &Pipeline, chat_id: &str) -> Result<Directory, ApiError> {
    let info = pipeline.api.chat_info(chat_id).await?;
    let mut directory = Directory::of_group(info.name);
    let mut page_token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = pipeline
            .api
            .chat_members(chat_id, page_token.as_deref())
            .await?;
        for member in page.items {
            directory.add(member.member_id, member.name);
        }
        page_token = page.page_token.filter(|_| page.has_more);
        if page_token.is_none() {
            return Ok(directory);
        }
    }
    directory.has_more();
    Ok(directory)
}
