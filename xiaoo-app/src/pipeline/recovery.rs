//! After an outage that was longer than Feishu's patience: messages that it has
//! given up pushing are read back from the chats that are known.
//!
//! Off unless the operator wants it: in groups it needs the permission to read
//! all messages. What is read back goes the same way as what is pushed, so
//! whatever came in after all is recognised, and nothing is answered twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use planted::Defect;
use proto_core::conn::LinkState;
use runtime_tokio::Verdict;
use runtime_tokio::link::LinkStatus;
use runtime_tokio::openapi::{ApiError, Container, ListedMessage};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use xiaoo_store::{Health, Silence, StoreError};

use super::SharedPipeline;
use super::admission::Admission;
use super::listed::as_event;

/// The longest time between two looks at whether the daemon is reachable.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// The time between two looks until it first is.
const LOOK_FIRST: Duration = Duration::from_secs(1);
/// Conversations that are read back, those that spoke last first. Each costs a
/// call, and all together a minute.
const CONVERSATIONS_MAX: usize = 300;
/// Pages of one list that are read, 50 messages each: more than anybody waits to
/// have answered.
const PAGES_MAX: usize = 4;
/// How far it is read back at most. The store knows an event again for 48 h: what is
/// older could be answered a second time.
const READ_BACK_MAX_MS: i64 = 47 * 3_600_000;
/// How long before the last sign of life it is read back: Feishu's clock may be two
/// minutes behind ours, and a link that has gone deaf looks open for two and a half.
const SLACK_MS: i64 = 300_000;
/// The wait before a message that was refused is taken in again, and how often.
const REFUSED_AGAIN: Duration = Duration::from_secs(2);
const REFUSALS_MAX: u32 = 30;

/// Watches for gaps longer than `gap_max` until `stop`: in the store when the
/// daemon starts, in being reachable from then on. `link` is `None` where Feishu
/// comes to us.
///
/// A gap is a silence in what the store has taken in. It stays one whatever comes in
/// after it, so that it is found however late, by whomever, and after a crash in the
/// middle of the reading; until the store is told that it is mended.
pub async fn run(
    pipeline: SharedPipeline,
    admission: Arc<Admission>,
    link: Option<LinkStatus>,
    gap_max: Duration,
    stop: CancellationToken,
) {
    let gap_max_ms = i64::try_from(gap_max.as_millis()).unwrap_or(i64::MAX);
    let look = (gap_max / 2).clamp(LOOK_FIRST, LOOK_MAX);
    let mut reachable_ms = None;
    loop {
        let is_reachable = is_reachable(&pipeline, link.as_ref());
        if is_reachable {
            let now_ms = pipeline.now_ms();
            let mending = mend(&pipeline, &admission, reachable_ms, now_ms, gap_max_ms);
            let mended = tokio::select! {
                () = stop.cancelled() => return,
                mended = mending => mended,
            };
            match mended {
                Ok(()) => reachable_ms = Some(now_ms),
                Err(why) => warn!("messages of an outage cannot be read back yet: {why}"),
            }
        }
        let wait = if reachable_ms.is_none() && !is_reachable {
            LOOK_FIRST
        } else {
            look
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Whether new messages come in, so that reading back leaves nothing between.
fn is_reachable(pipeline: &SharedPipeline, link: Option<&LinkStatus>) -> bool {
    let is_open = link.is_none_or(|link| link.snapshot().state == LinkState::Open);
    let takes_in = matches!(pipeline.store.health(), Health::Good);
    is_open && takes_in && pipeline.identity.borrow().is_some()
}

/// Why a gap is not mended; it is tried again.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the store refuses them")]
    Refused,
}

/// Reads back what was said since the first silence that was too long. `reachable_ms`
/// is when the daemon was last seen to be reachable, if it was.
async fn mend(
    pipeline: &SharedPipeline,
    admission: &Admission,
    reachable_ms: Option<i64>,
    now_ms: i64,
    gap_max_ms: i64,
) -> Result<(), NotYet> {
    if reachable_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) <= gap_max_ms) {
        return Ok(());
    }
    let settings = &pipeline.settings;
    let earliest_ms = now_ms.saturating_sub(READ_BACK_MAX_MS);
    let silence = Silence {
        since_ms: reachable_ms.unwrap_or(earliest_ms).max(earliest_ms),
        until_ms: now_ms,
        longer_than_ms: gap_max_ms,
    };
    let left = pipeline
        .store
        .whereabouts(&settings.app_id, silence, CONVERSATIONS_MAX)
        .await?;
    let Some(since_ms) = left.silent_since_ms else {
        return Ok(());
    };
    let came_in = pipeline.counters.events.load(Ordering::Relaxed);
    if planted::is(Defect::GapForgotten) && came_in > 0 {
        return Ok(pipeline.store.mended(&settings.app_id, now_ms).await?);
    }
    let places = places(&settings.instance, &left.conversations);
    info!(
        chats = places.len(),
        seconds = now_ms.saturating_sub(since_ms) / 1000,
        "reads back what was said during an outage"
    );
    let since_ms = since_ms.saturating_sub(SLACK_MS);
    let mut messages = 0;
    for (chat_id, threads) in places {
        match read_back(pipeline, admission, &chat_id, &threads, since_ms).await {
            Ok(taken) => messages += taken,
            Err(NotYet::Api(error)) if !error.is_retryable() && !error.outcome_is_unknown() => {
                warn!(
                    chat_id,
                    "what was said here during the outage cannot be read: {error}"
                );
            }
            Err(error) => return Err(error),
        }
    }
    pipeline.store.mended(&settings.app_id, now_ms).await?;
    info!(messages, "what was said during the outage was taken in");
    Ok(())
}

/// The chats of these conversations, each with its threads.
fn places(instance: &str, conversations: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for conversation in conversations {
        let Some(place) = conversation
            .strip_prefix(instance)
            .and_then(|rest| rest.strip_prefix(':'))
        else {
            continue;
        };
        let (chat_id, thread_id) = place.split_once(':').unwrap_or((place, ""));
        let threads = places.entry(chat_id.to_owned()).or_default();
        if !thread_id.is_empty() {
            threads.push(thread_id.to_owned());
        }
    }
    places
}

/// Takes in what people have said in a chat since then, in order, and says how
/// much that was.
async fn read_back(
    pipeline: &SharedPipeline,
    admission: &Admission,
    chat_id: &str,
    threads: &[String],
    since_ms: i64,
) -> Result<usize, NotYet> {
    let mut said = listed(pipeline, Container::Chat(chat_id), since_ms).await?;
    for thread_id in threads {
        said.extend(listed(pipeline, Container::Thread(thread_id), since_ms).await?);
    }
    if said.is_empty() {
        return Ok(0);
    }
    // Lists begin with the newest; those of one millisecond keep their order.
    said.reverse();
    said.sort_by_key(ListedMessage::create_time_ms);
    let chat_mode = pipeline.api.chat_info(chat_id).await?.chat_mode;
    for message in &said {
        let event = as_event(&pipeline.settings.app_id, chat_id, &chat_mode, message);
        take_in(admission, &event).await?;
    }
    Ok(said.len())
}

/// What people have said there since then, the newest first.
async fn listed(
    pipeline: &SharedPipeline,
    container: Container<'_>,
    since_ms: i64,
) -> Result<Vec<ListedMessage>, ApiError> {
    let (mut said, mut page_token) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = pipeline
            .api
            .list_messages(container, since_ms / 1000, page_token.as_deref())
            .await?;
        // A thread's list cannot be asked to begin at a time.
        let is_since = |message: &ListedMessage| {
            let made_ms = message.create_time_ms();
            made_ms.is_some_and(|made_ms| made_ms >= since_ms)
        };
        let goes_on = page.has_more && page.items.iter().all(is_since);
        said.extend(page.items.into_iter().filter(|message| {
            is_since(message) && message.sender.sender_type == "user" && !message.deleted
        }));
        page_token = page.page_token.filter(|_| goes_on);
        if page_token.is_none() {
            return Ok(said);
        }
    }
    warn!(
        ?container,
        "more was said here during the outage than is read back: the newest {} are taken in",
        said.len()
    );
    Ok(said)
}

async fn take_in(admission: &Admission, event: &Value) -> Result<(), NotYet> {
    for _ in 0..REFUSALS_MAX {
        match admission.take_in_late(event.to_string().as_bytes()).await {
            Verdict::Accepted | Verdict::Answer(_) => return Ok(()),
            Verdict::Refused => tokio::time::sleep(REFUSED_AGAIN).await,
        }
    }
    Err(NotYet::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_names_its_chat_and_thread() {
        let names = [
            "feishu:oc_1:omt_1",
            "feishu:oc_2",
            "feishu:oc_1",
            "other:oc_3",
        ];
        let places = places("feishu", &names.map(str::to_owned));
        assert_eq!(
            places,
            [
                ("oc_1".to_owned(), vec!["omt_1".to_owned()]),
                ("oc_2".to_owned(), Vec::new()),
            ]
            .into()
        );
    }
}
