-- The tables as version 1 made them: released, so this never changes.
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
