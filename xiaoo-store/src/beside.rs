//! Notes of a store, changed from outside, beside whoever has it open.

use tokio::runtime::{Builder, Runtime};

use crate::error::{OpenError, StoreError};
use crate::note::{Note, NotePut, PutNote};
use crate::reader::StoreReader;
use crate::sqlite::Beside;
use crate::store::{Store, StoreGuard, StoreOptions};
use crate::url::StoreUrl;

/// A store whose notes an operator changes while daemons work with it. They see it when they
/// look at the note the next time; who waits for [`Store::changes`] need not be told.
///
/// Blocks, as all of this does, and must not be called inside a runtime. What a store holds is
/// read with [`StoreReader`].
pub struct NotesBeside {
    target: Target,
}

enum Target {
    Sqlite(Beside),
    /// A server's store is made for several.
    Postgres {
        store: Store,
        runtime: Runtime,
        _guard: StoreGuard,
    },
}

impl NotesBeside {
    /// Opens a store that is there.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; each says what to do.
    pub fn open(url: &StoreUrl) -> Result<Self, OpenError> {
        let options = StoreOptions::default();
        let target = match url {
            StoreUrl::Sqlite(path) => Target::Sqlite(Beside::open(path, options.bounds())?),
            StoreUrl::Postgres(server) => {
                // Opening it would make one.
                drop(StoreReader::open(url)?);
                let runtime = Builder::new_current_thread().enable_all().build();
                let runtime =
                    runtime.map_err(|error| crate::postgres::silent(&server.to_string(), error))?;
                let (store, guard) = Store::open(url, options)?;
                Target::Postgres {
                    store,
                    runtime,
                    _guard: guard,
                }
            }
        };
        Ok(Self { target })
    }

    /// As [`Store::put_note`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn put(&mut self, put: PutNote) -> Result<NotePut, StoreError> {
        put.check()?;
        match &mut self.target {
            Target::Sqlite(file) => file.put(&put),
            Target::Postgres { store, runtime, .. } => runtime.block_on(store.put_note(put)),
        }
    }

    /// As [`Store::delete_note`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn delete(
        &mut self,
        scope: &str,
        key: &str,
        now_ms: i64,
    ) -> Result<Option<Note>, StoreError> {
        match &mut self.target {
            Target::Sqlite(file) => file.delete(scope, key, now_ms),
            Target::Postgres { store, runtime, .. } => {
                runtime.block_on(store.delete_note(scope, key, now_ms))
            }
        }
    }

    /// As [`Store::note`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn note(&self, scope: &str, key: &str, now_ms: i64) -> Result<Option<Note>, StoreError> {
        match &self.target {
            Target::Sqlite(file) => file.note(scope, key, now_ms),
            Target::Postgres { store, runtime, .. } => {
                runtime.block_on(store.note(scope, key, now_ms))
            }
        }
    }
}
