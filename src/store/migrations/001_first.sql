-- Times are microseconds since 1970-01-01T00:00:00Z. Ids are UUIDs (version 7) as text. Lists are JSON.

CREATE TABLE calls (
    id             TEXT PRIMARY KEY,
    direction      TEXT,
    trunk          TEXT,
    caller         TEXT,
    callee         TEXT,
    diversion      TEXT NOT NULL DEFAULT '[]',
    sip_call_id    TEXT,
    started_at     INTEGER,
    answered_at    INTEGER,
    ended_at       INTEGER,
    path           TEXT NOT NULL DEFAULT '[]',
    digits         TEXT NOT NULL DEFAULT '',
    language       TEXT,
    outcome        TEXT,
    ended_by       TEXT,
    cause          TEXT,
    waited_ms      INTEGER,
    -- No foreign key: the record of a call must not fail because its thread's did.
    thread         TEXT,
    sent           INTEGER,
    received       INTEGER,
    lost           INTEGER,
    remote_lost    INTEGER,
    jitter_ms      REAL,
    round_trip_ms  REAL,
    mos            REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_unfinished ON calls (id) WHERE ended_at IS NULL;

CREATE TABLE threads (
    id              TEXT PRIMARY KEY,
    number          TEXT NOT NULL,
    name            TEXT,
    state           TEXT NOT NULL,
    owner           TEXT,
    team            TEXT,
    tags            TEXT NOT NULL DEFAULT '[]',
    reason          TEXT,
    language        TEXT,
    opened_by       TEXT NOT NULL,
    call            TEXT,
    opened_at       INTEGER NOT NULL,
    active_at       INTEGER NOT NULL,
    first_reply_at  INTEGER,
    closed_at       INTEGER,
    moved_to_voice  INTEGER,
    resolution      TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX threads_one_open ON threads (number) WHERE state <> 'closed';
CREATE INDEX threads_number ON threads (number, active_at);

CREATE TABLE messages (
    id            TEXT PRIMARY KEY,
    thread        TEXT NOT NULL REFERENCES threads (id),
    direction     TEXT NOT NULL,
    kind          TEXT NOT NULL,
    author        TEXT NOT NULL,
    sender        TEXT NOT NULL,
    recipient     TEXT NOT NULL,
    body          TEXT NOT NULL,
    media         TEXT NOT NULL DEFAULT '[]',
    status        TEXT NOT NULL,
    gateway       TEXT,
    gateway_id    TEXT,
    error         TEXT,
    created_at    INTEGER NOT NULL,
    sent_at       INTEGER,
    delivered_at  INTEGER,
    call          TEXT,
    -- What may be sent once only, such as the text of one node in one call.
    once          TEXT UNIQUE
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_thread ON messages (thread, created_at);
CREATE INDEX messages_recipient ON messages (recipient, created_at);
CREATE INDEX messages_sender ON messages (sender, created_at) WHERE direction = 'inbound';
CREATE INDEX messages_call ON messages (call) WHERE call IS NOT NULL;
CREATE UNIQUE INDEX messages_gateway ON messages (gateway, gateway_id)
    WHERE direction = 'outbound' AND gateway_id IS NOT NULL;

-- What waits to be sent or is being sent; a row goes when its message's fate is known.
CREATE TABLE outbox (
    message     TEXT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    sender      TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    leased_at   INTEGER,
    cancelled   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (due_at) WHERE leased_at IS NULL;
CREATE INDEX outbox_recipient ON outbox (recipient);

-- A delivery report that overtook the answer to its own send.
CREATE TABLE early_status (
    gateway     TEXT NOT NULL,
    gateway_id  TEXT NOT NULL,
    status      TEXT NOT NULL,
    error       TEXT,
    at          INTEGER NOT NULL,
    PRIMARY KEY (gateway, gateway_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX early_status_at ON early_status (at);

CREATE TABLE consents (
    seq            INTEGER PRIMARY KEY,
    number         TEXT NOT NULL,
    state          TEXT NOT NULL,
    method         TEXT NOT NULL,
    disclosure     TEXT,
    prompt_sha256  TEXT,
    digit          TEXT,
    call           TEXT,
    message        TEXT,
    at             INTEGER NOT NULL,
    actor          TEXT NOT NULL
) STRICT;
CREATE INDEX consents_number ON consents (number, seq);

-- Texts that have come in, by the gateway's own id: its retries are known by it.
CREATE TABLE inbound (
    gateway     TEXT NOT NULL,
    gateway_id  TEXT NOT NULL,
    message     TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (gateway, gateway_id)
) STRICT, WITHOUT ROWID;

-- What the embedded gateway was given.
CREATE TABLE sandbox (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    message    TEXT NOT NULL UNIQUE,
    sender     TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    body       TEXT NOT NULL,
    media      TEXT NOT NULL DEFAULT '[]',
    status     TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    prev     TEXT NOT NULL,
    hash     TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit chain is append-only');
END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit chain is append-only');
END;
-- REPLACE deletes without a DELETE trigger.
CREATE TRIGGER audit_follows BEFORE INSERT ON audit WHEN NEW.seq <= (SELECT max(seq) FROM audit) BEGIN
    SELECT RAISE(ABORT, 'the audit chain is append-only');
END;
