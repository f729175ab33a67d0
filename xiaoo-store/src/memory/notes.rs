//! The notes, in one plain map.

use std::collections::BTreeMap;

use crate::command::Bounds;
use crate::error::StoreError;
use crate::limits::{NOTES_PER_SCOPE_MAX, PRUNE_BATCH_MAX};
use crate::note::{Note, NotePut, PutNote};

/// Scope and key.
type Name = (String, String);

#[derive(Clone, Default)]
pub(super) struct Notes {
    /// The last version given.
    made: i64,
    /// What has expired stays until it is pruned or replaced.
    rows: BTreeMap<Name, Note>,
}

impl Notes {
    pub(super) fn put(&mut self, bounds: &Bounds, put: &PutNote) -> Result<NotePut, StoreError> {
        let name = (put.scope.clone(), put.key.clone());
        let found = self.rows.get(&name);
        let current = found.filter(|note| note.is_live(put.now_ms));
        if !put.expect.is_met(current) {
            let current = current.cloned();
            return Ok(NotePut::Conflict { current });
        }
        if found.is_none() {
            self.make_room(bounds, put)?;
        }
        self.made += 1;
        let note = Note {
            version: self.made,
            body: put.body.clone(),
            expires_ms: put.expires_ms,
        };
        self.rows.insert(name, note);
        Ok(NotePut::Done { version: self.made })
    }

    pub(super) fn delete(&mut self, scope: &str, key: &str, now_ms: i64) -> Option<Note> {
        let removed = self.rows.remove(&(scope.to_owned(), key.to_owned()));
        removed.filter(|note| note.is_live(now_ms))
    }

    pub(super) fn note(&self, scope: &str, key: &str, now_ms: i64) -> Option<Note> {
        let found = self.rows.get(&(scope.to_owned(), key.to_owned()));
        found.filter(|note| note.is_live(now_ms)).cloned()
    }

    pub(super) fn notes(&self, scope: &str, max: usize, now_ms: i64) -> Vec<(String, Note)> {
        self.of(scope)
            .filter(|(_, note)| note.is_live(now_ms))
            .take(max.min(NOTES_PER_SCOPE_MAX))
            .map(|((_, key), note)| (key.clone(), note.clone()))
            .collect()
    }

    /// Removes notes that have expired, those that did so first.
    pub(super) fn remove_expired(&mut self, now_ms: i64, batch: usize) -> usize {
        let mut expired: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, note)| !note.is_live(now_ms))
            .map(|(name, note)| (note.expires_ms, note.version, name.clone()))
            .collect();
        expired.sort_unstable();
        expired.truncate(batch);
        for (_, _, name) in &expired {
            self.rows.remove(name);
        }
        expired.len()
    }

    fn make_room(&mut self, bounds: &Bounds, put: &PutNote) -> Result<(), StoreError> {
        let max = NOTES_PER_SCOPE_MAX;
        if self.of(&put.scope).count() >= max {
            if self
                .of(&put.scope)
                .all(|(_, note)| note.is_live(put.now_ms))
            {
                return Err(StoreError::ScopeFull { max });
            }
            self.rows
                .retain(|(scope, _), note| *scope != put.scope || note.is_live(put.now_ms));
        }
        let max = bounds.notes_max;
        if self.rows.len() as u64 >= max {
            self.remove_expired(put.now_ms, PRUNE_BATCH_MAX);
        }
        if self.rows.len() as u64 >= max {
            return Err(StoreError::NotesFull { max });
        }
        Ok(())
    }

    /// The notes of a scope, by their keys.
    fn of(&self, scope: &str) -> impl Iterator<Item = (&Name, &Note)> {
        let first = (scope.to_owned(), String::new());
        self.rows
            .range(first..)
            .take_while(move |((of, _), _)| of == scope)
    }
}
