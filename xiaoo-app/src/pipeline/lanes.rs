//! Which turn runs when: the store says whose turn it is, this loop holds the
//! bound on how many run at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;
use xiaoo_store::Claim;

use super::{SharedPipeline, turn};

/// How often the store is asked without a bell: a bell can be missed only by a
/// bug, which then costs seconds and not answers.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How long a claim that failed waits for the store.
const CLAIM_AGAIN: Duration = Duration::from_secs(5);

/// Runs turns until `stop`; those that run then go on in `turns`.
///
/// `give_up` ends running turns: they are handed back to the store and go on
/// after the next start.
pub async fn run(
    pipeline: SharedPipeline,
    turns: TaskTracker,
    stop: CancellationToken,
    give_up: CancellationToken,
) {
    // No turn can be judged before it is known who the bot is.
    let mut identity = pipeline.identity.clone();
    tokio::select! {
        () = stop.cancelled() => return,
        known = identity.wait_for(Option::is_some) => if known.is_err() {
            return;
        }
    }
    let places = Arc::new(Semaphore::new(pipeline.settings.turns_max));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else {
            return;
        };
        // One place is held; as many more as are free now can be filled too.
        let claimed = pipeline
            .store
            .claim(1 + places.available_permits(), Claim::Any)
            .await;
        let wait = if claimed.is_ok() {
            LOOK_AGAIN
        } else {
            CLAIM_AGAIN
        };
        let claimed = claimed.unwrap_or_else(|error| {
            error!("no turn can be taken from the store: {error}");
            Vec::new()
        });
        if claimed.is_empty() {
            drop(place);
            tokio::select! {
                () = stop.cancelled() => return,
                () = pipeline.lanes_bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            continue;
        }
        let mut held = Some(place);
        for claimed in claimed {
            let place = match held.take() {
                Some(place) => place,
                // Free a moment ago, and only this loop takes places.
                None => match Arc::clone(&places).acquire_owned().await {
                    Ok(place) => place,
                    Err(_) => return,
                },
            };
            let (pipeline, give_up) = (Arc::clone(&pipeline), give_up.clone());
            turns.spawn(async move {
                turn::run(&pipeline, claimed, &give_up).await;
                drop(place);
                // The conversation's next turn may be claimed now.
                pipeline.lanes_bell.notify_one();
            });
        }
    }
}
