//! The notes' part of the handle.

use super::{Store, mixed_up};
use crate::command::{Answer, Command, Question};
use crate::error::StoreError;
use crate::note::{Note, NotePut, PutNote};

impl Store {
    /// The note of that name, unless it has expired by `now_ms`.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn note(
        &self,
        scope: &str,
        key: &str,
        now_ms: i64,
    ) -> Result<Option<Note>, StoreError> {
        let question = Question::Note {
            scope: scope.to_owned(),
            key: key.to_owned(),
            now_ms,
        };
        let Answer::Note(note) = self.read(question).await? else {
            return Err(mixed_up());
        };
        Ok(note)
    }

    /// The notes of a scope that have not expired by `now_ms`, in the order of their
    /// keys' bytes; at most `max`, which need not be more than
    /// [`crate::limits::NOTES_PER_SCOPE_MAX`].
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn notes(
        &self,
        scope: &str,
        max: usize,
        now_ms: i64,
    ) -> Result<Vec<(String, Note)>, StoreError> {
        let question = Question::Notes {
            scope: scope.to_owned(),
            max,
            now_ms,
        };
        let Answer::Notes(notes) = self.read(question).await? else {
            return Err(mixed_up());
        };
        Ok(notes)
    }

    /// Writes a note, if what is there is what is expected. Of several who expect the
    /// same one gets [`NotePut::Done`], on whichever daemon. Whoever waits for
    /// [`Store::changes`], there too, is told.
    ///
    /// After [`StoreError::Deadline`], or when it was cancelled, it may have been done
    /// or not: read the note.
    ///
    /// # Errors
    ///
    /// [`StoreError::ScopeFull`] and [`StoreError::NotesFull`] for a new one that there
    /// is no room for, [`StoreError::TooLarge`] past a bound, and those of the disk.
    pub async fn put_note(&self, put: PutNote) -> Result<NotePut, StoreError> {
        let Answer::NotePut(put) = self.write(Command::PutNote(put)).await? else {
            return Err(mixed_up());
        };
        Ok(put)
    }

    /// Takes a note away and says what it was, unless it had expired by `now_ms`. Of
    /// several who do that at once one gets it.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn delete_note(
        &self,
        scope: &str,
        key: &str,
        now_ms: i64,
    ) -> Result<Option<Note>, StoreError> {
        let command = Command::DeleteNote {
            scope: scope.to_owned(),
            key: key.to_owned(),
            now_ms,
        };
        let Answer::Note(note) = self.write(command).await? else {
            return Err(mixed_up());
        };
        Ok(note)
    }
}
