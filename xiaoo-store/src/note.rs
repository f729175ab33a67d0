//! Notes: small things that all daemons of a store must agree on, each under a scope
//! and a key.
//!
//! A pending approval is one, which is answered once, and maybe at another daemon than
//! the one that waits; a chat's settings, a day's budget, a pairing code. Who changes
//! what he has read says which version that was, and loses to whoever came first.

use crate::types::Body;

/// A note as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which writing of it this is. Later ones are higher, and none is given twice, also
    /// when the note was away in between: a version that is still there was never
    /// another.
    pub version: i64,
    /// What it says.
    pub body: Body,
    /// From when on it is taken for absent; `None` when it stays until it is deleted.
    pub expires_ms: Option<i64>,
}

/// A note to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutNote {
    /// What it belongs to: a chat, a person, a sort of thing. At most
    /// [`crate::limits::NOTES_PER_SCOPE_MAX`] notes share one, so what there may be more
    /// of needs more scopes.
    pub scope: String,
    /// Its name there.
    pub key: String,
    /// What it says from now on.
    pub body: Body,
    /// From when on it is taken for absent.
    pub expires_ms: Option<i64>,
    /// What must be there now.
    pub expect: Expect,
    /// The time by which what is there has expired or not.
    pub now_ms: i64,
}

/// What must be there for a note to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever there is, it is replaced.
    Anything,
    /// Nothing, or something that has expired.
    Absent,
    /// This version, not expired.
    Version(i64),
}

/// What became of a note that was to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotePut {
    /// It is durable.
    Done {
        /// Which writing this was.
        version: i64,
    },
    /// What is there is not what was expected. Nothing was written.
    Conflict {
        /// What is there.
        current: Option<Note>,
    },
}

impl Note {
    pub(crate) fn is_live(&self, now_ms: i64) -> bool {
        self.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms)
    }
}

impl Expect {
    pub(crate) fn is_met(self, current: Option<&Note>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => current.is_none(),
            Self::Version(version) => current.is_some_and(|note| note.version == version),
        }
    }
}
