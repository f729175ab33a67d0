//! Which turn runs when: the store says whose turn it is, this loop holds the
//! bound on how many run at once.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, error};
use xiaoo_store::Claim;
use xiaoo_store::limits::CLAIM_MAX;

use super::heart::{Heart, Hearts};
use super::running::{Place, Places};
use super::{SharedPipeline, turn};
use crate::fail_point::{self, Loop};

/// How often the store is asked without a bell: a bell can be missed only by a
/// bug, which then costs seconds and not answers.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How long a claim that failed waits for the store.
const CLAIM_AGAIN: Duration = Duration::from_secs(5);
/// Urgent turns that run beside the others: each is an answer of the bot's own, and short.
const URGENT_MAX: usize = 8;

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
    let known = async {
        tokio::select! {
            () = stop.cancelled() => false,
            known = identity.wait_for(Option::is_some) => known.is_ok(),
        }
    };
    let Hearts { lanes, urgent, .. } = &pipeline.hearts;
    if !lanes.wait(urgent.wait(known)).await {
        return;
    }
    let lanes = |which, places| Lanes {
        pipeline: Arc::clone(&pipeline),
        which,
        places: Places::new(places, stop.clone()),
        turns: turns.clone(),
        stop: stop.clone(),
        give_up: give_up.clone(),
    };
    // What is urgent has places that nothing else can take.
    tokio::join!(
        lanes(Claim::Any, pipeline.settings.turns_max).run(),
        lanes(Claim::Urgent, URGENT_MAX).run(),
    );
}

/// Some places, and the turns that may take them.
struct Lanes {
    pipeline: SharedPipeline,
    which: Claim,
    places: Places,
    turns: TaskTracker,
    stop: CancellationToken,
    give_up: CancellationToken,
}

impl Lanes {
    async fn run(self) {
        loop {
            // All that may be claimed have a place: one that was claimed waits for nobody.
            let places = async {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => Vec::new(),
                    places = self.places.take(CLAIM_MAX) => places,
                }
            };
            let places = self.heart().wait(places).await;
            if places.is_empty() {
                return;
            }
            fail_point::stand_still(match self.which {
                Claim::Any => Loop::Lanes,
                Claim::Urgent => Loop::Urgent,
            })
            .await;
            let claimed = self.pipeline.store.claim(places.len(), self.which).await;
            self.heart().asked(&claimed);
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
                drop(places);
                let idle = async {
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = self.bell().notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                };
                self.heart().wait(idle).await;
                if self.stop.is_cancelled() {
                    return;
                }
                continue;
            }
            for (claimed, permit) in claimed.into_iter().zip(places) {
                let give_up = self.give_up.child_token();
                let place = Place::held(&self.places, permit, &give_up);
                let pipeline = Arc::clone(&self.pipeline);
                let run = async move {
                    turn::run(&pipeline, claimed, &place, &give_up).await;
                    drop(place);
                    // The conversation's next turn may be claimed now.
                    pipeline.ring_lanes();
                };
                self.turns.spawn(run.in_current_span());
            }
        }
    }

    fn heart(&self) -> &Heart {
        match self.which {
            Claim::Any => &self.pipeline.hearts.lanes,
            Claim::Urgent => &self.pipeline.hearts.urgent,
        }
    }

    fn bell(&self) -> &tokio::sync::Notify {
        match self.which {
            Claim::Any => &self.pipeline.lanes_bell,
            Claim::Urgent => &self.pipeline.urgent_bell,
        }
    }
}
