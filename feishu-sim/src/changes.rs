//! Tells whoever looks that the world changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tokio::sync::{broadcast, watch};

use crate::config::bound;

/// One change, as `GET /sim/stream` sends it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
}

/// Where changes are announced.
#[derive(Debug)]
pub(crate) struct Changes {
    stream: broadcast::Sender<Arc<Change>>,
    version: watch::Sender<u64>,
    number: AtomicU64,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            stream: broadcast::Sender::new(bound::STREAM_LAG_MAX),
            version: watch::Sender::new(0),
            number: AtomicU64::new(0),
        }
    }

    /// Announces what has already changed; `data` is only made when somebody listens.
    pub(crate) fn announce(&self, kind: &'static str, data: impl FnOnce() -> Value) {
        if self.stream.receiver_count() > 0 {
            let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
            // An error means that the last listener just left.
            let _ = self.stream.send(Arc::new(Change {
                number,
                kind,
                data: data(),
            }));
        }
        self.touch();
    }

    /// Wakes whoever waits in [`Sim::until`](crate::Sim::until), for what the
    /// stream does not tell. Like an announcement it comes after the change:
    /// who is woken too early looks in vain and is not woken again.
    pub(crate) fn touch(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Change>> {
        self.stream.subscribe()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}
