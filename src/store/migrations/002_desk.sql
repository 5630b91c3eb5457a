-- The front desk: the clinic's people, and what they do with threads.

-- What the queue shows of a thread and sorts it by is kept in its row, so that a list never reads the messages.
ALTER TABLE threads ADD COLUMN waiting_since INTEGER;   -- since when the patient waits for a person's answer
ALTER TABLE threads ADD COLUMN opened_since INTEGER;    -- when somebody first opened it during that wait
ALTER TABLE threads ADD COLUMN last_at INTEGER;         -- of the newest message
ALTER TABLE threads ADD COLUMN last_author TEXT;
ALTER TABLE threads ADD COLUMN last_words TEXT;         -- its first words
ALTER TABLE threads ADD COLUMN red_flag TEXT;           -- which words ask for a person at once
ALTER TABLE threads ADD COLUMN escalated_at INTEGER;    -- when it was handed to clinical staff
ALTER TABLE threads ADD COLUMN undeliverable TEXT;      -- why the newest text to the patient did not arrive
ALTER TABLE threads ADD COLUMN snoozed_until INTEGER;
ALTER TABLE threads ADD COLUMN follow_up_at INTEGER;
ALTER TABLE threads ADD COLUMN close_offered_at INTEGER; -- "anything else I can help with?" was asked
ALTER TABLE threads ADD COLUMN merged_into TEXT;

UPDATE threads SET
    last_at = (SELECT created_at FROM messages m WHERE m.thread = threads.id ORDER BY created_at DESC, m.id DESC LIMIT 1),
    last_author = (SELECT author FROM messages m WHERE m.thread = threads.id ORDER BY created_at DESC, m.id DESC LIMIT 1),
    last_words = (SELECT substr(body, 1, 160) FROM messages m WHERE m.thread = threads.id ORDER BY created_at DESC, m.id DESC LIMIT 1);

-- The queue's order: red flags, then what was handed to clinical staff, then whoever waits, the longest wait first;
-- then the rest, the newest activity first. Both are computed from the row, so that no writer can forget them.
ALTER TABLE threads ADD COLUMN queue_tier INTEGER GENERATED ALWAYS AS (CASE
    WHEN red_flag IS NOT NULL THEN 0
    WHEN waiting_since IS NULL THEN 3
    WHEN escalated_at IS NOT NULL THEN 1
    ELSE 2 END) VIRTUAL;
ALTER TABLE threads ADD COLUMN queue_key INTEGER GENERATED ALWAYS AS (coalesce(waiting_since, -active_at)) VIRTUAL;
-- Each view of the queue is a walk along one of these.
CREATE INDEX threads_queue ON threads (queue_tier, queue_key) WHERE state = 'open';
CREATE INDEX threads_owner ON threads (owner, queue_tier, queue_key) WHERE state = 'open';
CREATE INDEX threads_team ON threads (team, queue_tier, queue_key) WHERE state = 'open';
CREATE INDEX threads_closed ON threads (closed_at) WHERE state = 'closed';
CREATE INDEX threads_snoozed ON threads (snoozed_until) WHERE snoozed_until IS NOT NULL;
CREATE INDEX threads_follow_up ON threads (follow_up_at) WHERE follow_up_at IS NOT NULL;
CREATE INDEX threads_opened ON threads (opened_at);
CREATE INDEX calls_started ON calls (started_at);
CREATE INDEX calls_thread ON calls (thread, started_at) WHERE thread IS NOT NULL;
CREATE INDEX calls_caller ON calls (caller, started_at);

-- The clinic's people. The name is what they sign in with, and how records name them for ever: it is never reused.
CREATE TABLE staff (
    name          TEXT PRIMARY KEY,
    shown_as      TEXT NOT NULL,
    roles         TEXT NOT NULL,              -- with commas between them
    team          TEXT,
    language      TEXT NOT NULL,
    password      TEXT,                       -- argon2id, as a PHC string; none until the first sign-in link was used
    totp_secret   TEXT,                       -- base32 (RFC 6238); none: no second factor
    totp_step     INTEGER,                    -- the newest step that was used: each counts once
    away_until    INTEGER,                    -- on leave until then; the end of time: until they are back
    hours         TEXT NOT NULL DEFAULT '[]', -- JSON: the openings of `tree::hours`; empty: whenever the clinic is open
    settings      TEXT NOT NULL DEFAULT '{}', -- JSON: sound, notifications
    created_at    INTEGER NOT NULL,
    disabled_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE passkeys (
    id          TEXT PRIMARY KEY,             -- the credential's id, base64url
    staff       TEXT NOT NULL REFERENCES staff (name),
    label       TEXT NOT NULL,
    credential  TEXT NOT NULL,                -- what its verification needs
    created_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_staff ON passkeys (staff);

-- Who is signed in. The cookie's secret is kept as its SHA-256 alone.
CREATE TABLE sessions (
    id          TEXT PRIMARY KEY,
    staff       TEXT NOT NULL REFERENCES staff (name),
    created_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    address     TEXT NOT NULL,
    device      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_staff ON sessions (staff);

-- Links that set a password, once.
CREATE TABLE sign_in_links (
    id          TEXT PRIMARY KEY,             -- SHA-256 of the link's secret
    staff       TEXT NOT NULL REFERENCES staff (name),
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who is behind a number. Nobody is matched automatically: a number that several people share has several rows.
CREATE TABLE people (
    id            TEXT PRIMARY KEY,
    number        TEXT NOT NULL,
    name          TEXT NOT NULL,
    on_behalf_of  TEXT,                       -- a caregiver: whom they speak for
    language      TEXT,
    note          TEXT NOT NULL DEFAULT '',
    created_at    INTEGER NOT NULL,
    created_by    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX people_number ON people (number);
CREATE INDEX people_name ON people (name COLLATE NOCASE);

CREATE TABLE notes (
    id       TEXT PRIMARY KEY,
    thread   TEXT NOT NULL REFERENCES threads (id),
    author   TEXT NOT NULL,
    body     TEXT NOT NULL,
    at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notes_thread ON notes (thread, at);

-- What was done with a thread, as its timeline shows it; the audit chain has the same for ever.
CREATE TABLE thread_events (
    seq     INTEGER PRIMARY KEY,
    thread  TEXT NOT NULL REFERENCES threads (id),
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    what    TEXT NOT NULL,
    detail  TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX thread_events_thread ON thread_events (thread, seq);

-- How far each person has read each thread.
CREATE TABLE seen (
    staff   TEXT NOT NULL REFERENCES staff (name),
    thread  TEXT NOT NULL REFERENCES threads (id),
    at      INTEGER NOT NULL,
    PRIMARY KEY (thread, staff)
) STRICT, WITHOUT ROWID;

-- What somebody was typing.
CREATE TABLE drafts (
    staff   TEXT NOT NULL REFERENCES staff (name),
    thread  TEXT NOT NULL REFERENCES threads (id),
    body    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (thread, staff)
) STRICT, WITHOUT ROWID;

-- Signing in: what a person has besides the password, and the browsers that they have used.
CREATE TABLE recovery_codes (
    staff   TEXT NOT NULL REFERENCES staff (name),
    hash    TEXT NOT NULL,                    -- SHA-256; the row goes when the code is used
    PRIMARY KEY (staff, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE devices (
    staff   TEXT NOT NULL REFERENCES staff (name),
    hash    TEXT NOT NULL,                    -- SHA-256 of the device cookie
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (staff, hash)
) STRICT, WITHOUT ROWID;
-- The link that makes the first person, who has no row yet.
CREATE TABLE welcome_links (
    id          TEXT PRIMARY KEY,             -- SHA-256 of the link's secret
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Threads: what has become a part of what.
CREATE INDEX threads_merged ON threads (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX thread_events_time ON thread_events (thread, at);

-- The day: what waits, by team.
CREATE INDEX threads_waits ON threads (team, waiting_since, owner) WHERE state = 'open';
