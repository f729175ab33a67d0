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
