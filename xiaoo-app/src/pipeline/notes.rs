//! What is remembered beside turns and history, as small notes in the store: what somebody was
//! asked, what a conversation is set to, what was used in a day, who was let in.
//!
//! Notes are seen by all daemons of a store. Each kind has a scope of its own.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;
use xiaoo_store::{Expect, Note, NotePut, PutNote, Store, StoreError};

use super::Pipeline;

/// Tries of a change that others were faster with. Notes are changed by one person's clicks and
/// messages; so many at once are a mistake.
const TRIES_MAX: usize = 16;

/// How long what a conversation is set to is kept: as long as what it remembers.
pub const SETTING_KEPT: Duration = xiaoo_store::limits::HISTORY_KEPT;

impl Pipeline {
    /// Reads a note; one that can't be read (of a newer version, say) counts as absent.
    pub(super) async fn note<T: DeserializeOwned>(
        &self,
        scope: &str,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let note = self.store.note(scope, key, self.now_ms()).await?;
        Ok(note.and_then(|note| read(&note)))
    }

    /// Writes a note, whatever was there.
    pub(super) async fn keep_note<T: Serialize + Sync>(
        &self,
        scope: &str,
        key: &str,
        value: &T,
        kept: Duration,
    ) -> Result<(), StoreError> {
        let put = self.put(scope, key, value, kept, Expect::Anything);
        self.store.put_note(put).await.map(drop)
    }

    /// Changes a note, on top of whatever others do to it at the same time. `change` gets what is
    /// there and gives what shall be, or `None` to leave it; what is there in the end comes back.
    pub(super) async fn change_note<T, F>(
        &self,
        scope: &str,
        key: &str,
        kept: Duration,
        mut change: F,
    ) -> Result<Option<T>, StoreError>
    where
        T: Serialize + DeserializeOwned + Sync,
        F: FnMut(Option<&T>) -> Option<T>,
    {
        change_note(&self.store, self.now_ms(), (scope, key), kept, &mut change).await
    }

    fn put<T: Serialize>(
        &self,
        scope: &str,
        key: &str,
        value: &T,
        kept: Duration,
        expect: Expect,
    ) -> PutNote {
        put(self.now_ms(), (scope, key), value, kept, expect)
    }
}

async fn change_note<T: Serialize + DeserializeOwned + Sync>(
    store: &Store,
    now_ms: i64,
    (scope, key): (&str, &str),
    kept: Duration,
    change: &mut (impl FnMut(Option<&T>) -> Option<T> + ?Sized),
) -> Result<Option<T>, StoreError> {
    let mut current = store.note(scope, key, now_ms).await?;
    for _ in 0..TRIES_MAX {
        let found = current.as_ref().and_then(read::<T>);
        let Some(changed) = change(found.as_ref()) else {
            return Ok(found);
        };
        let expect = current
            .as_ref()
            .map_or(Expect::Absent, |note| Expect::Version(note.version));
        let wanted = put(now_ms, (scope, key), &changed, kept, expect);
        match store.put_note(wanted).await? {
            NotePut::Done { .. } => return Ok(Some(changed)),
            NotePut::Conflict { current: other } => current = other,
        }
    }
    warn!(scope, key, "a note was changed by others again and again");
    Ok(current.as_ref().and_then(read))
}

pub(super) fn put<T: Serialize>(
    now_ms: i64,
    (scope, key): (&str, &str),
    value: &T,
    kept: Duration,
    expect: Expect,
) -> PutNote {
    let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    PutNote {
        scope: scope.to_owned(),
        key: key.to_owned(),
        // Plain data of ours: this cannot fail.
        body: serde_json::to_string(value).unwrap_or_default().into(),
        expires_ms: Some(now_ms.saturating_add(kept_ms)),
        expect,
        now_ms,
    }
}

/// What a note says; one that can't be read (of a newer version, say) says nothing.
pub(super) fn read<T: DeserializeOwned>(note: &Note) -> Option<T> {
    serde_json::from_slice(&note.body)
        .inspect_err(|error| warn!("a note cannot be read: {error}"))
        .ok()
}
