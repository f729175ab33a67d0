//! The thread that reads, on a connection of its own: a long read holds up no
//! commit, and no worker of the runtime ever waits for the disk.

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::StoreError;

/// A question on its way to the reader.
pub(super) type Query = Box<dyn FnOnce(&Connection) + Send>;

/// Makes a question out of a closure, and the way its answer comes.
pub(super) fn call<T: Send + 'static>(
    query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
) -> (Query, oneshot::Receiver<Result<T, StoreError>>) {
    let (answer, wait) = oneshot::channel();
    let query = Box::new(move |db: &Connection| {
        if !answer.is_closed() {
            drop(answer.send(query(db)));
        }
    });
    (query, wait)
}

/// Answers until every sender is gone and the queue is empty.
pub(super) fn run(db: &Connection, mut queue: mpsc::Receiver<Query>) {
    while let Some(query) = queue.blocking_recv() {
        query(db);
    }
}
