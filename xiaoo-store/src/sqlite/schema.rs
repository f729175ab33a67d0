//! The tables, their invariants as indexes, and how a file gets from one version
//! to the next.
//!
//! Two invariants are the database's own to keep, whatever the code above does:
//!
//! - `event`: no two rows with one `(app, event_id)` or one `(app, message_id)`.
//! - `turn_head`, `outbox_head`: in each conversation at most one turn is at the
//!   head, ready or running, and at most one outbox row is ready or being sent.
//!   The others are `waiting`; who settles the head promotes the next.
//!
//! Bodies have tables of their own: SQLite writes a whole row anew when one column
//! of it changes, and a state changes more often than it is worth a megabyte.
//!
//! Every index is partial on the states that somebody asks for, so that finished
//! rows, however many there are, cost nothing at start or claim.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::OpenError;

/// Marks a file as ours: "xoOS".
const APPLICATION_ID: i64 = 0x786f_4f53;

/// The steps from each version to the next; a file's `user_version` says how many
/// it has had. A step that was released never changes: add another.
const MIGRATIONS: &[&str] = &[V1, V2];

const V1: &str = "
CREATE TABLE event (
    id          INTEGER PRIMARY KEY,
    app         TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    message_id  TEXT,
    received_ms INTEGER NOT NULL,
    turn_id     INTEGER
) STRICT;
CREATE UNIQUE INDEX event_by_event_id ON event (app, event_id);
CREATE UNIQUE INDEX event_by_message_id ON event (app, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX event_by_age ON event (received_ms);

CREATE TABLE turn (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'running', 'done')),
    epoch        INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    app          TEXT NOT NULL,
    event_id     TEXT NOT NULL,
    message_id   TEXT,
    received_ms  INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    kind         TEXT NOT NULL,
    reaction     TEXT,
    card         TEXT,
    outcome      TEXT,
    detail       TEXT,
    finished_ms  INTEGER
) STRICT;
CREATE UNIQUE INDEX turn_head ON turn (conversation) WHERE state IN ('ready', 'running');
CREATE INDEX turn_waiting ON turn (conversation, id) WHERE state = 'waiting';
CREATE INDEX turn_ready ON turn (id) WHERE state = 'ready';
CREATE INDEX turn_running ON turn (id) WHERE state = 'running';
CREATE INDEX turn_done ON turn (finished_ms) WHERE state = 'done';
CREATE TABLE turn_body (
    turn_id INTEGER PRIMARY KEY,
    body    BLOB NOT NULL
) STRICT;

CREATE TABLE step (
    id      INTEGER PRIMARY KEY,
    turn_id INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    body    BLOB NOT NULL
) STRICT;
CREATE INDEX step_by_turn ON step (turn_id, id);

CREATE TABLE history (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation TEXT NOT NULL,
    turn_id      INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL,
    role         TEXT NOT NULL,
    body         BLOB NOT NULL
) STRICT;
CREATE INDEX history_by_conversation ON history (conversation, id);
CREATE INDEX history_by_age ON history (created_ms);

CREATE TABLE outbox (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'sending', 'done', 'dead')),
    conversation    TEXT NOT NULL,
    turn_id         INTEGER NOT NULL,
    created_ms      INTEGER NOT NULL,
    uuid            TEXT NOT NULL UNIQUE,
    kind            TEXT NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    not_before_ms   INTEGER NOT NULL,
    first_try_at_ms INTEGER,
    error           TEXT,
    external_id     TEXT
) STRICT;
CREATE UNIQUE INDEX outbox_head ON outbox (conversation) WHERE state IN ('ready', 'sending');
CREATE INDEX outbox_waiting ON outbox (conversation, id) WHERE state = 'waiting';
CREATE INDEX outbox_ready ON outbox (not_before_ms, id) WHERE state = 'ready';
CREATE INDEX outbox_sending ON outbox (id) WHERE state = 'sending';
CREATE INDEX outbox_done ON outbox (created_ms) WHERE state = 'done';
CREATE INDEX outbox_dead ON outbox (created_ms) WHERE state = 'dead';
CREATE TABLE outbox_body (
    outbox_id INTEGER PRIMARY KEY,
    body      BLOB NOT NULL
) STRICT;
";

/// Turns that can be claimed by themselves, and the notes. A note's id is its version:
/// each writing makes a new row, so that none is ever given twice.
const V2: &str = "
ALTER TABLE turn ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX turn_urgent ON turn (id) WHERE state = 'ready' AND urgent = 1;

CREATE TABLE note (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      TEXT NOT NULL,
    key        TEXT NOT NULL,
    expires_ms INTEGER,
    body       BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX note_by_key ON note (scope, key);
CREATE INDEX note_by_expiry ON note (expires_ms) WHERE expires_ms IS NOT NULL;
";

/// What a file was made by.
pub(super) struct Found {
    /// Nothing was ever written to it.
    pub(super) is_new: bool,
    /// The version of its tables.
    pub(super) version: i64,
    /// The steps that it lacks.
    steps: &'static [&'static str],
}

/// Checks that the file is ours and of a version we know. Writes nothing.
pub(super) fn identify(path: &Path, db: &Connection) -> Result<Found, OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let version = number(db, "PRAGMA user_version").map_err(sqlite)?;
    let application_id = number(db, "PRAGMA application_id").map_err(sqlite)?;
    let objects = number(db, "SELECT count(*) FROM sqlite_schema").map_err(sqlite)?;

    let is_new = application_id == 0 && version == 0 && objects == 0;
    if !is_new && application_id != APPLICATION_ID {
        return Err(OpenError::Foreign {
            path: path.to_path_buf(),
        });
    }
    let steps = usize::try_from(version)
        .ok()
        .and_then(|done| MIGRATIONS.get(done..))
        .ok_or_else(|| OpenError::NewerSchema {
            path: path.to_path_buf(),
            found: version,
            known: newest(),
        })?;
    Ok(Found {
        is_new,
        version,
        steps,
    })
}

/// Checks that the file is ours and of a version we know, and brings it to the
/// newest. Nothing is written to a file that isn't ours.
pub(super) fn prepare(path: &Path, db: &mut Connection) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let Found { is_new, steps, .. } = identify(path, db)?;
    if is_new {
        // Only possible before the first table: pages that pruning has freed can
        // then be given back to the disk.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(sqlite)?;
    }
    db.pragma_update(None, "journal_mode", "WAL")
        .map_err(sqlite)?;
    db.pragma_update(None, "journal_size_limit", super::WAL_KEPT_BYTES)
        .map_err(sqlite)?;
    if !steps.is_empty() {
        migrate(db, steps, newest()).map_err(sqlite)?;
    }
    Ok(())
}

/// How the tables and indexes differ from those of the file's version.
pub(crate) fn differences(db: &Connection, version: i64) -> rusqlite::Result<Vec<String>> {
    let mut fresh = Connection::open_in_memory()?;
    let steps = usize::try_from(version).ok();
    let steps = steps.and_then(|steps| MIGRATIONS.get(..steps));
    migrate(&mut fresh, steps.unwrap_or(MIGRATIONS), version)?;
    let (expected, found) = (objects(&fresh)?, objects(db)?);
    let lacks = expected.difference(&found);
    let has = found.difference(&expected);
    Ok(lacks
        .map(|(name, _)| format!("{name} is missing or another"))
        .chain(has.map(|(name, _)| format!("{name} is not ours")))
        .collect())
}

/// Names and definitions. What SQLite makes for itself when somebody has it gather
/// statistics is nobody's business.
fn objects(db: &Connection) -> rusqlite::Result<BTreeSet<(String, Option<String>)>> {
    db.prepare("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Bounds the file's size; past it SQLite says that the disk is full.
pub(super) fn bound_size(db: &Connection, bytes_max: u64) -> rusqlite::Result<()> {
    let page_bytes = u64::try_from(number(db, "PRAGMA page_size")?).unwrap_or(u64::MAX);
    let pages = bytes_max.checked_div(page_bytes).unwrap_or(0).max(1);
    // An existing file that is larger already is not cut, it just can't grow.
    db.pragma_update(
        None,
        "max_page_count",
        i64::try_from(pages).unwrap_or(i64::MAX),
    )
}

/// All steps and the new version are one transaction: a crash leaves the old file.
fn migrate(db: &mut Connection, steps: &[&str], version: i64) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", version)?;
    tx.commit()
}

pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn number(db: &Connection, query: &str) -> rusqlite::Result<i64> {
    db.query_row(query, [], |row| row.get(0))
}
