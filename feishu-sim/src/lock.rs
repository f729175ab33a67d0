//! One rule for poisoned locks: the data is still a simulation's, go on.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever a panicking test did before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
