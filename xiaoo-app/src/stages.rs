//! The daemon between its edges: everything that runs between the platform,
//! the model and the store, started together and brought down in good order.
//!
//! What lies beyond the edges is the caller's: [`crate::app`] has the real
//! network and disk, the simulation has its own.

use std::sync::Arc;
use std::time::Duration;

use runtime_tokio::link::{self, LinkOptions, LinkStatus};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info, warn};
use xiaoo_store::limits::HISTORY_KEPT;

use crate::pipeline::admission::Admission;
use crate::pipeline::{SharedPipeline, identity, lanes, outbox, recovery};

/// How long the outbox goes on sending when the daemon stops.
const LAST_SENDS: Duration = Duration::from_secs(5);
/// How long turns that were told to give up may take to do so.
const GIVING_UP: Duration = Duration::from_secs(3);
/// How often old rows are pruned, and how many at once: small batches, so that
/// events never wait behind them.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
const PRUNE_BATCH: usize = 500;

/// A running pipeline.
pub struct Stages {
    pipeline: SharedPipeline,
    admission: Arc<Admission>,
    /// Background work that nobody waits for.
    background: CancellationToken,
    // Each stage of stopping has its own token, fired in this order.
    no_events: CancellationToken,
    no_turns: CancellationToken,
    give_up: CancellationToken,
    no_sends: CancellationToken,
    link: Option<JoinHandle<()>>,
    turns: TaskTracker,
    sends: TaskTracker,
    tasks: TaskTracker,
}

impl Stages {
    /// Starts all of it; must be called in a runtime. `identity` is the other
    /// end of the pipeline's. Events come over the long connection if there
    /// are options for one, and through [`Stages::admission`].
    #[must_use]
    pub fn start(
        pipeline: SharedPipeline,
        identity: watch::Sender<Option<String>>,
        link: Option<(LinkOptions, LinkStatus)>,
    ) -> Self {
        let admission = Admission::new(Arc::clone(&pipeline));
        let background = CancellationToken::new();
        let (no_events, no_turns) = (CancellationToken::new(), CancellationToken::new());
        let (give_up, no_sends) = (CancellationToken::new(), CancellationToken::new());
        let (turns, sends, tasks) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());

        let span = pipeline.span();
        let learn = identity::learn(pipeline.api.clone(), identity, background.clone());
        tasks.spawn(learn.instrument(span.clone()));
        let lanes = lanes::run(
            Arc::clone(&pipeline),
            turns.clone(),
            no_turns.clone(),
            give_up.clone(),
        );
        tasks.spawn(lanes.instrument(span.clone()));
        let outbox = outbox::run(Arc::clone(&pipeline), sends.clone(), no_sends.clone());
        tasks.spawn(outbox.instrument(span.clone()));
        tasks.spawn(ring(Arc::clone(&pipeline), no_sends.clone()));
        let prune = prune(Arc::clone(&pipeline), background.clone());
        tasks.spawn(prune.instrument(span.clone()));
        if let Some(gap_max) = pipeline.settings.recover_after {
            let recovery = recovery::run(
                Arc::clone(&pipeline),
                Arc::clone(&admission),
                link.as_ref().map(|(_, status)| status.clone()),
                gap_max,
                background.clone(),
            );
            tasks.spawn(recovery.instrument(span.clone()));
        }
        let link = link.map(|(options, status)| {
            let link = link::run(
                options,
                pipeline.api.clone(),
                Arc::clone(&admission),
                status,
                no_events.clone(),
            );
            tokio::spawn(link.instrument(span))
        });
        Self {
            pipeline,
            admission,
            background,
            no_events,
            no_turns,
            give_up,
            no_sends,
            link,
            turns,
            sends,
            tasks,
        }
    }

    /// Where events come in.
    #[must_use]
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Ends in good order: no new events, running turns to their end within
    /// the grace period, the link closed, what is ready sent.
    pub async fn stop(self, grace: Duration) {
        info!(
            ?grace,
            "the daemon stops: no new events, running turns may end"
        );
        self.background.cancel();
        self.admission.close();
        self.no_events.cancel();
        self.no_turns.cancel();
        if let Some(link) = self.link {
            // It bounds its own goodbye.
            let _ = link.await;
        }
        self.turns.close();
        if tokio::time::timeout(grace, self.turns.wait())
            .await
            .is_err()
        {
            warn!(
                running = self.turns.len(),
                "turns are still running; they go on after the next start"
            );
            self.give_up.cancel();
            let _ = tokio::time::timeout(GIVING_UP, self.turns.wait()).await;
        }
        let deadline = Instant::now() + LAST_SENDS;
        outbox::drained(&self.pipeline, deadline).await;
        self.no_sends.cancel();
        self.sends.close();
        let _ = tokio::time::timeout_at(deadline, self.sends.wait()).await;
        self.tasks.close();
        let _ = tokio::time::timeout(LAST_SENDS, self.tasks.wait()).await;
    }
}

/// Rings the bells when the store says that there may be work: this daemon's own, or
/// on a shared store what another has taken in or left behind.
async fn ring(pipeline: SharedPipeline, stop: CancellationToken) {
    let mut changes = pipeline.store.changes();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() {
                return;
            }
        }
        pipeline.ring_lanes();
        pipeline.outbox_bell.notify_one();
    }
}

/// Removes what is old, in batches, for as long as the daemon runs: rows of the store, and files
/// of conversations of which it remembers nothing any more.
async fn prune(pipeline: SharedPipeline, stop: CancellationToken) {
    let history_kept_ms = i64::try_from(HISTORY_KEPT.as_millis()).unwrap_or(i64::MAX);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PRUNE_EVERY) => {}
        }
        loop {
            match pipeline.store.prune(pipeline.now_ms(), PRUNE_BATCH).await {
                Ok(0) => break,
                Ok(rows) => info!(rows, "old rows were pruned"),
                Err(error) => {
                    warn!("old rows were not pruned: {error}");
                    break;
                }
            }
        }
        let since_ms = pipeline.now_ms().saturating_sub(history_kept_ms);
        let conversations = pipeline.agents.forget_unused(since_ms).await;
        if conversations > 0 {
            info!(conversations, "files of old conversations were removed");
        }
    }
}
