//! The tables, and how they get from one version to the next.
//!
//! They are those of the SQLite engine, in a schema of their own, and their
//! invariants are held by the same indexes: one turn at most of each conversation
//! is ready or running, one row at most is ready or being sent. What is more here:
//!
//! - `owner`: one row for each daemon, with the end of its lease by the server's
//!   clock. A turn that runs and a row that is being sent name their owner; when
//!   its lease is out, or its row is gone, others may take them. A second row of each
//!   is the mark of its last transaction, see `writer`.
//! - Bodies stay in the row: the server keeps large ones elsewhere and does not
//!   write them anew when the row changes.
//!
//! Rows change a few times in their life, so their pages keep room for that and
//! are swept early; the lease's time is in no index.

use tokio_postgres::{Client, Error};

use crate::error::OpenError;
use crate::url::PostgresUrl;

use super::refused;

/// The steps from each version to the next. A step that was released never
/// changes: add another, which daemons of the version before can live with.
const MIGRATIONS: &[&str] = &[V1, V2];

/// First half of our advisory locks' keys: "xoOS", as in the SQLite files. The
/// second half is a conversation's hash; for migrations it is 0.
pub(super) const LOCKS: i32 = 0x786f_4f53;

const V1: &str = "
CREATE TABLE owner (
    id    TEXT PRIMARY KEY,
    until TIMESTAMPTZ NOT NULL
);

CREATE TABLE event (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app         TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    message_id  TEXT,
    received_ms BIGINT NOT NULL,
    turn_id     BIGINT
);
CREATE UNIQUE INDEX event_by_event_id ON event (app, event_id);
CREATE UNIQUE INDEX event_by_message_id ON event (app, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX event_by_age ON event (received_ms);

CREATE TABLE turn (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'running', 'done')),
    owner        TEXT,
    epoch        BIGINT NOT NULL DEFAULT 0,
    attempts     BIGINT NOT NULL DEFAULT 0,
    app          TEXT NOT NULL,
    event_id     TEXT NOT NULL,
    message_id   TEXT,
    received_ms  BIGINT NOT NULL,
    conversation TEXT NOT NULL,
    kind         TEXT NOT NULL,
    body         BYTEA NOT NULL,
    reaction     TEXT,
    card         TEXT,
    outcome      TEXT,
    detail       TEXT,
    finished_ms  BIGINT
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);
CREATE UNIQUE INDEX turn_head ON turn (conversation) WHERE state IN ('ready', 'running');
CREATE INDEX turn_heads ON turn (id) WHERE state IN ('ready', 'running');
CREATE INDEX turn_waiting ON turn (conversation, id) WHERE state = 'waiting';
CREATE INDEX turn_done ON turn (finished_ms) WHERE state = 'done';

CREATE TABLE step (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    turn_id BIGINT NOT NULL,
    kind    TEXT NOT NULL,
    body    BYTEA NOT NULL
);
CREATE INDEX step_by_turn ON step (turn_id, id);

CREATE TABLE history (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation TEXT NOT NULL,
    turn_id      BIGINT NOT NULL,
    created_ms   BIGINT NOT NULL,
    role         TEXT NOT NULL,
    body         BYTEA NOT NULL
);
CREATE INDEX history_by_conversation ON history (conversation, id);
CREATE INDEX history_by_age ON history (created_ms);

CREATE TABLE outbox (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'sending', 'done', 'dead')),
    owner           TEXT,
    conversation    TEXT NOT NULL,
    turn_id         BIGINT NOT NULL,
    created_ms      BIGINT NOT NULL,
    uuid            TEXT NOT NULL UNIQUE,
    kind            TEXT NOT NULL,
    body            BYTEA NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    not_before_ms   BIGINT NOT NULL,
    first_try_at_ms BIGINT,
    error           TEXT,
    external_id     TEXT
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);
CREATE UNIQUE INDEX outbox_head ON outbox (conversation) WHERE state IN ('ready', 'sending');
CREATE INDEX outbox_heads ON outbox (not_before_ms, id) WHERE state IN ('ready', 'sending');
CREATE INDEX outbox_waiting ON outbox (conversation, id) WHERE state = 'waiting';
CREATE INDEX outbox_done ON outbox (created_ms) WHERE state = 'done';
CREATE INDEX outbox_dead ON outbox (created_ms) WHERE state = 'dead';
";

/// Turns that can be claimed by themselves, and the notes. A note's id is its version:
/// each writing gives it a new one.
const V2: &str = "
ALTER TABLE turn ADD COLUMN urgent BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX turn_urgent ON turn (id) WHERE urgent AND state IN ('ready', 'running');

CREATE TABLE note (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope      TEXT NOT NULL,
    key        TEXT NOT NULL,
    expires_ms BIGINT,
    body       BYTEA NOT NULL
);
CREATE UNIQUE INDEX note_by_key ON note (scope, key);
CREATE INDEX note_by_expiry ON note (expires_ms) WHERE expires_ms IS NOT NULL;
";

/// Brings the tables to the newest version. Of daemons that start together one
/// does it and the others wait; a crash in the middle leaves what was there.
pub(super) async fn prepare(url: &PostgresUrl, client: &Client) -> Result<(), OpenError> {
    let (server, schema) = (&url.to_string(), url.schema());
    let failed = |error: Error| refused(server, &error);
    // No transaction object: its drop would need the client for itself alone. On an
    // error the connection is closed, which rolls back.
    let begin = format!(
        "BEGIN;
         SELECT pg_advisory_xact_lock({LOCKS}, 0);
         SELECT set_config('client_min_messages', 'warning', true)"
    );
    client.batch_execute(&begin).await.map_err(failed)?;
    if !exists(schema, client).await.map_err(failed)? {
        let first = format!(
            "CREATE SCHEMA IF NOT EXISTS \"{schema}\";
             CREATE TABLE \"{schema}\".version (version BIGINT NOT NULL);
             INSERT INTO \"{schema}\".version VALUES (0)"
        );
        client.batch_execute(&first).await.map_err(failed)?;
    }
    let found = version(schema, client).await.map_err(failed)?;
    let steps = missing_steps(server, found)?;
    for step in steps {
        client
            .batch_execute(&format!("SET LOCAL search_path TO \"{schema}\"; {step}"))
            .await
            .map_err(failed)?;
    }
    if !steps.is_empty() {
        let sql = format!("UPDATE \"{schema}\".version SET version = $1");
        client.execute(&sql, &[&newest()]).await.map_err(failed)?;
    }
    client.batch_execute("COMMIT").await.map_err(failed)
}

/// The version of the tables, if there are any and we know them.
pub(crate) async fn identify(url: &PostgresUrl, client: &Client) -> Result<i64, OpenError> {
    let (server, schema) = (&url.to_string(), url.schema());
    let failed = |error: Error| refused(server, &error);
    if !exists(schema, client).await.map_err(failed)? {
        return Err(OpenError::no_store(server));
    }
    let found = version(schema, client).await.map_err(failed)?;
    missing_steps(server, found)?;
    Ok(found)
}

async fn exists(schema: &str, client: &Client) -> Result<bool, Error> {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let table = format!("\"{schema}\".version");
    Ok(client.query_one(sql, &[&table]).await?.get(0))
}

async fn version(schema: &str, client: &Client) -> Result<i64, Error> {
    let sql = format!("SELECT version FROM \"{schema}\".version");
    Ok(client.query_one(&sql, &[]).await?.get(0))
}

/// The names of all tables and indexes that a store of this version has.
pub(crate) fn objects(version: i64) -> impl Iterator<Item = &'static str> {
    let steps = usize::try_from(version).unwrap_or(usize::MAX);
    let lines = MIGRATIONS.iter().take(steps).flat_map(|step| step.lines());
    lines.filter_map(|line| {
        let made = line.strip_prefix("CREATE ")?;
        let made = made.strip_prefix("UNIQUE ").unwrap_or(made);
        let name = made
            .strip_prefix("TABLE ")
            .or_else(|| made.strip_prefix("INDEX "))?;
        name.split_whitespace().next()
    })
}

/// What tables of this version lack.
fn missing_steps(server: &str, found: i64) -> Result<&'static [&'static str], OpenError> {
    usize::try_from(found)
        .ok()
        .and_then(|done| MIGRATIONS.get(done..))
        .ok_or_else(|| OpenError::NewerServerSchema {
            server: server.to_owned(),
            found,
            known: newest(),
        })
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}
