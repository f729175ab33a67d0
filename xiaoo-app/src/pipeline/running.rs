//! The turns that run in this process: by their conversation, so that they can be stopped, and
//! each with its place among those that may run at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use xiaoo_store::TurnId;

/// As many as there are places for turns; each conversation has one at most.
#[derive(Default)]
pub struct Running {
    turns: Mutex<HashMap<String, Handle>>,
}

/// A turn that runs.
#[derive(Clone)]
struct Handle {
    turn: TurnId,
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
    /// A turn begins; `give_up` ends it, too.
    pub fn enter(
        &self,
        conversation: &str,
        turn: TurnId,
        give_up: &CancellationToken,
    ) -> Entry<'_> {
        let handle = Handle {
            turn,
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

/// A turn's place among those that may run at once.
#[derive(Clone)]
pub struct Place {
    places: Arc<Semaphore>,
    held: Arc<tokio::sync::Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Place {
    /// A place that is held.
    #[must_use]
    pub fn held(places: Arc<Semaphore>, permit: OwnedSemaphorePermit) -> Self {
        Self {
            places,
            held: Arc::new(tokio::sync::Mutex::new(Some(permit))),
        }
    }

    /// Gives the place to others while somebody is waited for, and takes one again then.
    pub async fn lent<T>(&self, waiting: impl Future<Output = T>) -> T {
        drop(self.held.lock().await.take());
        let waited = waiting.await;
        // Closed only when the process ends.
        let taken = Arc::clone(&self.places).acquire_owned().await.ok();
        *self.held.lock().await = taken;
        waited
    }
}
