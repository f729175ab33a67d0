//! Pairing: who wants to be let in, who was, and who no longer is; as notes of the store, which
//! an operator may change beside the daemon.
//!
//! What is to be done comes as plain changes, for whoever has the store at hand.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xiaoo_store::{Expect, PutNote};

use super::notes::put;

/// How long somebody stays let in: as long as anybody works somewhere.
const PAIRED_KEPT: Duration = Duration::from_secs(3_650 * 24 * 3_600);
/// How long a code holds: an admin may be at lunch.
pub(super) const CODE_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// The key where a scope has one note.
pub(crate) const NOTE: &str = "it";
/// How the scopes of codes begin.
pub(crate) const CODES: &str = "code:";
/// How the scopes of those begin who were let in.
pub(crate) const PAIRED: &str = "paired:";

/// Somebody who wants to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    /// Who.
    pub open_id: String,
}

/// Somebody who was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Paired {
    /// By somebody, and then.
    Told {
        /// The admin (an open_id); the operator when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// When, Unix milliseconds.
        at_ms: i64,
    },
    /// What an earlier version has kept: only whether.
    Only(bool),
}

/// Something to be done to a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is written, whatever was there.
    Put(PutNote),
    /// The one note of this scope goes.
    Delete(String),
}

impl Paired {
    /// Whether the person is let in.
    #[must_use]
    pub const fn holds(&self) -> bool {
        match self {
            Self::Told { .. } => true,
            Self::Only(holds) => *holds,
        }
    }
}

/// The scope of the note that says that somebody is let in.
pub(crate) fn paired(open_id: &str) -> String {
    format!("{PAIRED}{open_id}")
}

/// The scope of the note that says whose a code is.
pub(crate) fn code(code: &str) -> String {
    format!("{CODES}{code}")
}

/// The scope of the note that says which code somebody has.
pub(crate) fn code_of(open_id: &str) -> String {
    format!("code_of:{open_id}")
}

/// The scope of the note that says that somebody was told that they may not talk to the bot.
pub(crate) fn refused(open_id: &str) -> String {
    format!("refused:{open_id}")
}

/// What lets somebody in who was given that code. It is used up, and should they be shut out
/// again they are told at once.
pub(crate) fn let_in(open_id: &str, used_code: &str, by: Option<&str>, now_ms: i64) -> Vec<Change> {
    let told = Paired::Told {
        by: by.map(str::to_owned),
        at_ms: now_ms,
    };
    let scope = paired(open_id);
    vec![
        Change::Put(put(
            now_ms,
            (&scope, NOTE),
            &told,
            PAIRED_KEPT,
            Expect::Anything,
        )),
        Change::Delete(code(used_code)),
        Change::Delete(code_of(open_id)),
        Change::Delete(refused(open_id)),
    ]
}

/// What shuts somebody out again, and voids the code that they may have.
pub(crate) fn shut_out(open_id: &str, open_code: Option<&str>) -> Vec<Change> {
    let mut changes = vec![
        Change::Delete(paired(open_id)),
        Change::Delete(code_of(open_id)),
        Change::Delete(refused(open_id)),
    ];
    changes.extend(open_code.map(|open| Change::Delete(code(open))));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_forms_are_read_also_those_of_an_earlier_version() {
        let told = |by: Option<&str>| Paired::Told {
            by: by.map(str::to_owned),
            at_ms: 1,
        };
        for (paired, json, holds) in [
            (told(None), r#"{"at_ms":1}"#, true),
            (told(Some("ou_1")), r#"{"by":"ou_1","at_ms":1}"#, true),
            (Paired::Only(true), "true", true),
            (Paired::Only(false), "false", false),
        ] {
            assert_eq!(serde_json::to_string(&paired).unwrap(), json);
            let read: Paired = serde_json::from_str(json).unwrap();
            assert_eq!((&read, read.holds()), (&paired, holds));
        }
    }
}
