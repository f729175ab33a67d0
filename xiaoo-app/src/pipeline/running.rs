//! The turns that run in this process: by their conversation, so that they can be stopped, and
//! each with its place among those that may run at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use xiaoo_store::TurnId;

use super::signs::Board;

/// Turns that wait for people beside those that run. Each holds its conversation in memory, so they
/// are bounded too; beyond it a turn waits in its place.
const WAITING_MAX: usize = 64;

/// As many as there are places for turns and for those that wait; each conversation has one at most.
#[derive(Default)]
pub struct Running {
    turns: Mutex<HashMap<String, Handle>>,
}

/// A turn that runs.
#[derive(Clone)]
struct Handle {
    turn: TurnId,
    board: Board,
    stopped: Arc<AtomicBool>,
    cancel: CancellationToken,
}

/// The turn's own end of it: gone when the turn is.
pub struct Entry<'a> {
    running: &'a Running,
    conversation: String,
    handle: Handle,
}

impl Running {
    /// A turn begins, which shows on `board` what it does; `give_up` ends it, too.
    pub fn enter(
        &self,
        conversation: &str,
        turn: TurnId,
        board: &Board,
        give_up: &CancellationToken,
    ) -> Entry<'_> {
        let handle = Handle {
            turn,
            board: board.clone(),
            stopped: Arc::default(),
            cancel: give_up.child_token(),
        };
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.insert(conversation.to_owned(), handle.clone());
        Entry {
            running: self,
            conversation: conversation.to_owned(),
            handle,
        }
    }

    /// Stops the conversation's turn if it is one of those up to `until`; says whether there is
    /// one.
    pub fn stop(&self, conversation: &str, until: TurnId) -> bool {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = turns
            .get(conversation)
            .filter(|handle| handle.turn <= until)
        else {
            return false;
        };
        handle.stopped.store(true, Ordering::Release);
        handle.cancel.cancel();
        true
    }

    /// The turns that run here, those that began first in front: conversation, turn, and what it
    /// does.
    #[must_use]
    pub fn list(&self) -> Vec<(String, TurnId, Board)> {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = turns
            .iter()
            .map(|(conversation, handle)| (conversation.clone(), handle.turn, handle.board.clone()))
            .collect();
        list.sort_by_key(|(_, turn, _)| *turn);
        list
    }

    /// What the conversation's turn does.
    pub(super) fn board(&self, conversation: &str) -> Option<Board> {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(conversation).map(|handle| handle.board.clone())
    }

    /// Whether a turn of the conversation runs here.
    #[must_use]
    pub fn has(&self, conversation: &str) -> bool {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.contains_key(conversation)
    }
}

impl Entry<'_> {
    /// Fires when the turn is to end.
    #[must_use]
    pub fn cancel(&self) -> &CancellationToken {
        &self.handle.cancel
    }

    /// Whether it ends because somebody has stopped it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.handle.stopped.load(Ordering::Acquire)
    }

    /// Stops it.
    pub fn stop(&self) {
        self.handle.stopped.store(true, Ordering::Release);
        self.handle.cancel.cancel();
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut turns = self
            .running
            .turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // A turn that was handed back may run again already.
        if turns
            .get(&self.conversation)
            .is_some_and(|handle| Arc::ptr_eq(&handle.stopped, &self.handle.stopped))
        {
            turns.remove(&self.conversation);
        }
    }
}

/// The places of turns that may run at once.
#[derive(Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Places {
    /// So many. When `stop` fires, no turn waits for people any more.
    #[must_use]
    pub fn new(places: usize, stop: CancellationToken) -> Self {
        Self {
            free: Arc::new(Semaphore::new(places)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            stop,
        }
    }

    /// Waits for one, and takes as many more as are free now, up to `max`.
    pub async fn take(&self, max: usize) -> Vec<OwnedSemaphorePermit> {
        let first = Arc::clone(&self.free).acquire_owned().await;
        let mut taken: Vec<_> = first.into_iter().collect();
        while taken.len() < max
            && let Ok(more) = Arc::clone(&self.free).try_acquire_owned()
        {
            taken.push(more);
        }
        taken
    }
}

/// A turn's place among those that may run at once.
#[derive(Clone)]
pub struct Place {
    places: Places,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    hand_back: CancellationToken,
}

impl Place {
    /// A place that is held, by a turn that `hand_back` ends.
    #[must_use]
    pub fn held(
        places: &Places,
        permit: OwnedSemaphorePermit,
        hand_back: &CancellationToken,
    ) -> Self {
        Self {
            places: places.clone(),
            held: Arc::new(Mutex::new(Some(permit))),
            hand_back: hand_back.clone(),
        }
    }

    /// Gives the place to others while somebody is waited for, and takes one again then. Where too
    /// many wait already, it is kept.
    ///
    /// A daemon that stops hears no more answers: the turn ends, and waits on at its next start.
    pub async fn lent<T>(&self, waiting: impl Future<Output = T>) -> T {
        let among = Arc::clone(&self.places.waiting).try_acquire_owned().ok();
        if among.is_some() {
            drop(self.put(None));
        }
        let waited = tokio::select! {
            waited = waiting => waited,
            never = self.end_at_stop() => match never {},
        };
        if among.is_some() {
            // Closed only when the process ends.
            let taken = Arc::clone(&self.places.free).acquire_owned().await.ok();
            self.put(taken);
        }
        waited
    }

    fn put(&self, permit: Option<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        core::mem::replace(&mut held, permit)
    }

    async fn end_at_stop(&self) -> core::convert::Infallible {
        self.places.stop.cancelled().await;
        self.hand_back.cancel();
        core::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use core::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    async fn place(places: &Places) -> (Place, CancellationToken) {
        let hand_back = CancellationToken::new();
        let permit = places.take(1).await.remove(0);
        (Place::held(places, permit, &hand_back), hand_back)
    }

    /// Whether `future` does not end, although it may.
    async fn stands<T>(future: impl Future<Output = T>) -> bool {
        tokio::time::timeout(Duration::from_secs(1), future)
            .await
            .is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_person_lends_the_place_and_has_it_again_after() {
        let places = Places::new(1, CancellationToken::new());
        let (first, _) = place(&places).await;
        assert!(stands(places.take(1)).await);
        let second = async {
            let (second, _) = place(&places).await;
            drop(second);
        };
        first.lent(second).await;
        assert!(stands(places.take(1)).await, "the first has it again");
        // Whoever is dropped while it waits leaves the place to others.
        assert!(stands(first.lent(pending::<()>())).await);
        drop(first);
        assert_eq!(places.take(9).await.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait_beside_those_that_run() {
        let places = Places::new(1, CancellationToken::new());
        let mut waiting = Vec::new();
        for _ in 0..WAITING_MAX {
            let (place, _) = place(&places).await;
            waiting.push(Box::pin(async move { place.lent(pending::<()>()).await }));
            let last = waiting.last_mut().unwrap();
            assert!(stands(last).await);
        }
        let (place, _) = place(&places).await;
        let one_more = tokio::spawn(async move { place.lent(pending::<()>()).await });
        assert!(stands(places.take(1)).await);
        one_more.abort();
        assert!(one_more.await.is_err());
        assert_eq!(places.take(1).await.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_stops_hands_back_who_waits_and_nobody_else() {
        let stop = CancellationToken::new();
        let places = Places::new(2, stop.clone());
        let (works, works_on) = place(&places).await;
        let (waits, hand_back) = place(&places).await;
        works.lent(ready(())).await;
        let waiting = tokio::spawn(async move { waits.lent(pending::<()>()).await });
        tokio::task::yield_now().await;
        stop.cancel();
        hand_back.cancelled().await;
        assert!(!works_on.is_cancelled());
        waiting.abort();
    }
}
