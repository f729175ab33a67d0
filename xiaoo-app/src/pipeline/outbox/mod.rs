//! Sending what turns have left in the outbox.
//!
//! A row's uuid is the same at every try, so Feishu shows it once however
//! often it is sent within the hour. After that the chat is read back before
//! anything is sent again. Rows of one conversation go out one after the other.

mod perform;
mod sending;

use std::sync::Arc;
use std::time::Duration;

use planted::Defect;
use runtime_tokio::openapi::ApiError;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, error, info, warn};
use xiaoo_store::{OutboxRow, Store};

use super::signs::SETTLED_AFTER;
use super::{Counters, SharedPipeline};
use crate::fail_point::{self, Loop};
use perform::{Unsent, perform};

pub(super) use perform::{look_up, own_reactions, reply};
pub use sending::Sending;

/// Rows that are sent at once, over all conversations. Feishu takes 50 calls a
/// second of each kind.
const SENDS_MAX: usize = 16;
/// The first wait after a failed try; doubles with each.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two tries.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The longest wait that is obeyed. The platform's limits are by the minute; who asks for more (a
/// gateway in between, say) is asked again all the same, as the rest of the conversation waits.
const TOLD_MAX: Duration = Duration::from_secs(600);
/// How long after its first try a row is sent again without a look at the chat.
/// Feishu remembers a uuid for one hour; the rest is for a call under way.
pub const RESENT_BLINDLY: Duration = Duration::from_secs(50 * 60);
/// How long a row is tried at all. An outage may last that long; an answer that
/// comes later answers nothing.
pub const TRIED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Tries of what is only a sign of life, about two minutes: what follows in the
/// conversation waits for it.
const SIGN_TRIES_MAX: u32 = 8;
/// How often the outbox is looked at without a bell.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How long a look that failed waits for the store. Its own patience is half a minute already,
/// and a loop that does nothing for one is found dead.
const TAKE_AGAIN: Duration = Duration::from_secs(5);
/// The wait before what became of a row is written down again; doubles up to
/// [`SETTLE_AGAIN_MAX`].
const SETTLE_AGAIN: Duration = Duration::from_secs(1);
/// The longest of these waits.
const SETTLE_AGAIN_MAX: Duration = Duration::from_secs(10);

/// How often the store is asked, while the daemon stops, whether all is sent.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Sends until `stop`; what is being sent then goes on in `sends`.
pub async fn run(pipeline: SharedPipeline, sends: TaskTracker, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(SENDS_MAX));
    let heart = &pipeline.hearts.outbox;
    loop {
        let free = places.available_permits();
        fail_point::stand_still(Loop::Outbox).await;
        let mut has_failed = false;
        let rows = if free == 0 {
            Vec::new()
        } else {
            let taken = pipeline.store.outbox_take(pipeline.now_ms(), free).await;
            heart.asked(&taken);
            taken.unwrap_or_else(|error| {
                error!("the outbox cannot be read: {error}");
                has_failed = true;
                Vec::new()
            })
        };
        if rows.is_empty() {
            let next = wait_for_next(&pipeline).await;
            let wait = if has_failed {
                next.min(TAKE_AGAIN)
            } else {
                next
            };
            let idle = async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = pipeline.outbox_bell.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            };
            heart.wait(idle).await;
            if stop.is_cancelled() {
                return;
            }
            continue;
        }
        for row in rows {
            let place = heart.wait(Arc::clone(&places).acquire_owned());
            let Ok(place) = place.await else {
                return;
            };
            let pipeline = Arc::clone(&pipeline);
            let sent = async move {
                send(&pipeline, &row).await;
                drop(place);
                // The conversation's next row may go out now.
                pipeline.outbox_bell.notify_one();
            };
            sends.spawn(sent.in_current_span());
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

/// Waits until [`run`] has nothing left to send, or until `deadline`: what is
/// left then goes out after the next start.
pub async fn drained(pipeline: &SharedPipeline, deadline: Instant) {
    while Instant::now() < deadline {
        match pipeline.store.stats().await {
            Ok(stats) if stats.outbox_open > 0 => tokio::time::sleep(DRAIN_POLL).await,
            Ok(_) | Err(_) => return,
        }
    }
}

async fn wait_for_next(pipeline: &SharedPipeline) -> Duration {
    if planted::is(Defect::LostTimer) {
        return Duration::MAX;
    }
    match pipeline.store.outbox_next_ms().await {
        Ok(Some(due)) => {
            let millis = u64::try_from(due.saturating_sub(pipeline.now_ms())).unwrap_or(0);
            // A row can be due and still wait for the one before it.
            Duration::from_millis(millis.max(100)).min(LOOK_AGAIN)
        }
        Ok(None) | Err(_) => LOOK_AGAIN,
    }
}

/// What becomes of a row that was tried.
enum End {
    /// It is there, under this id.
    Sent(String),
    /// It is tried again then (Unix milliseconds), for this reason.
    Later(i64, String),
    /// It is given up, for this reason.
    Dead(String),
}

async fn send(pipeline: &SharedPipeline, row: &OutboxRow) {
    let store = &pipeline.store;
    let Ok(sending) = serde_json::from_slice::<Sending>(&row.body) else {
        settle(store, row, End::Dead("the row cannot be read".into())).await;
        return;
    };
    let early_ms = sending.not_before_ms().saturating_sub(pipeline.now_ms());
    // A longer wait is a clock that was put back.
    if (1..=millis(SETTLED_AFTER)).contains(&early_ms) {
        let due = sending.not_before_ms();
        settle(store, row, End::Later(due, "too early".into())).await;
        return;
    }
    let [taken, sent, settled] = sending.fail_points();
    fail_point::pass(taken);
    match perform(pipeline, row, &sending).await {
        Ok(external_id) => {
            fail_point::pass(sent);
            info!(turn = %row.turn, kind = row.kind, "sent");
            settle(store, row, End::Sent(external_id)).await;
            fail_point::pass(settled);
        }
        Err(Unsent::Api(failure)) if is_tried_again(pipeline, row, &sending, &failure) => {
            warn!(turn = %row.turn, kind = row.kind, "not sent yet: {failure}");
            let wait = wait_after(&failure, row.key.attempt);
            let due = pipeline.now_ms().saturating_add(millis(wait));
            settle(store, row, End::Later(due, failure.to_string())).await;
        }
        Err(unsent) => {
            let reason = unsent.reason();
            error!(turn = %row.turn, kind = row.kind, "given up: {reason}");
            Counters::count(&pipeline.counters.given_up);
            let (now_ms, turn) = (pipeline.now_ms(), row.turn.to_string());
            pipeline.diary.given_up(now_ms, &turn, &row.kind, &reason);
            settle(store, row, End::Dead(reason)).await;
        }
    }
}

fn is_tried_again(
    pipeline: &SharedPipeline,
    row: &OutboxRow,
    sending: &Sending,
    failure: &ApiError,
) -> bool {
    let may_help =
        failure.is_retryable() || failure.outcome_is_unknown() || failure.is_fatal_config();
    let too_often = sending.is_sign() && row.key.attempt >= SIGN_TRIES_MAX;
    may_help && !too_often && !pipeline.is_older(row.first_try_at_ms, TRIED_FOR)
}

/// How long a row waits that was not sent.
fn wait_after(failure: &ApiError, attempt: u32) -> Duration {
    let told = if failure.is_fatal_config() {
        // A person has to act, and what waits is not worse for it.
        RETRY_MAX
    } else {
        failure.retry_after().unwrap_or_default().min(TOLD_MAX)
    };
    told.max(backoff(attempt))
}

fn backoff(attempt: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    let bound = doubled.min(RETRY_MAX);
    bound.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Writes down what became of a row. Until then it stands still, and its conversation
/// with it, for as long as this process lives; so everything that may pass is waited for (a full
/// disk, a server that is away or ill).
async fn settle(store: &Store, row: &OutboxRow, end: End) {
    let mut wait = SETTLE_AGAIN;
    loop {
        let settled = match &end {
            End::Sent(external_id) => store.outbox_done(row.key, external_id).await,
            End::Later(due_ms, why) => store.outbox_retry(row.key, *due_ms, why).await,
            End::Dead(reason) => store.outbox_dead(row.key, reason).await,
        };
        // Done, or it was another's already.
        let Err(error) = settled else {
            return;
        };
        if error.is_final() || planted::is(Defect::SettledOnce) {
            error!("the outbox could not be updated; the row comes after the next start: {error}");
            return;
        }
        warn!("the outbox could not be updated, trying again: {error}");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(SETTLE_AGAIN_MAX);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_waits_as_long_as_it_is_told_and_never_for_ever() {
        let refused = |code: i64, seconds: Option<u64>| ApiError::Code {
            call: "POST".into(),
            code,
            msg: String::new(),
            log_id: String::new(),
            http_status: 429,
            retry_after: seconds.map(Duration::from_secs),
        };
        let (too_fast, wrong_secret) = (99_991_400, 10_015);
        for (code, told, waits) in [
            (too_fast, Some(7), Duration::from_secs(7)),
            (too_fast, Some(600), TOLD_MAX),
            (too_fast, Some(601), TOLD_MAX),
            (too_fast, Some(u64::MAX), TOLD_MAX),
            (wrong_secret, Some(u64::MAX), RETRY_MAX),
        ] {
            assert_eq!(
                wait_after(&refused(code, told), 1),
                waits,
                "{code} {told:?}"
            );
        }
        let untold = wait_after(&refused(too_fast, None), 1);
        assert!((RETRY_FIRST / 2..=RETRY_FIRST).contains(&untold));
    }
}
