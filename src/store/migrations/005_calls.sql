-- Whoever stays on the line: who answered, what was said when nobody could, who is to be called back.

ALTER TABLE calls ADD COLUMN staff TEXT;        -- who of the clinic placed or answered it
ALTER TABLE calls ADD COLUMN extension TEXT;    -- the phone of the clinic that placed it
ALTER TABLE calls ADD COLUMN answered_by TEXT;  -- the phone of the clinic that answered it, as the files write it
ALTER TABLE calls ADD COLUMN place INTEGER;     -- the caller's position when they left a line unserved

-- Which phone is theirs.
ALTER TABLE staff ADD COLUMN extension TEXT;
CREATE UNIQUE INDEX staff_extension ON staff (extension) WHERE extension IS NOT NULL;

-- What is newest in a thread where that is no text: a voicemail, or the wish to be called back.
ALTER TABLE threads ADD COLUMN last_spoken TEXT;

-- Audio lies beside the database, in files named by these rows. A row stays when its audio is deleted.
CREATE TABLE voicemails (
    id           TEXT PRIMARY KEY,
    -- No foreign key: the message must be kept even if the record of its call was not.
    call         TEXT NOT NULL,
    node         TEXT NOT NULL,
    thread       TEXT REFERENCES threads (id),  -- none: nobody knows the caller's number
    recorded_at  INTEGER NOT NULL,
    length_ms    INTEGER NOT NULL,
    language     TEXT NOT NULL,
    team         TEXT,                          -- who is to hear it, where no thread says so
    reason       TEXT,
    file         TEXT NOT NULL UNIQUE,
    sha256       TEXT NOT NULL,
    heard_by     TEXT,                          -- who heard it first
    heard_at     INTEGER,
    deleted_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX voicemails_call ON voicemails (call, recorded_at);
CREATE INDEX voicemails_thread ON voicemails (thread, recorded_at) WHERE thread IS NOT NULL;
CREATE INDEX voicemails_unheard ON voicemails (recorded_at) WHERE heard_at IS NULL AND deleted_at IS NULL;
CREATE INDEX voicemails_loose ON voicemails (recorded_at) WHERE thread IS NULL AND deleted_at IS NULL;
CREATE INDEX voicemails_kept ON voicemails (recorded_at) WHERE deleted_at IS NULL;

CREATE TABLE callbacks (
    id               TEXT PRIMARY KEY,
    call             TEXT NOT NULL,             -- in which it was asked for
    node             TEXT NOT NULL,
    thread           TEXT NOT NULL REFERENCES threads (id),
    number           TEXT NOT NULL,
    language         TEXT NOT NULL,
    reason           TEXT,
    line             TEXT,                      -- the line whose place it keeps; none: it is due at a time
    priority         INTEGER NOT NULL,
    since            INTEGER NOT NULL,          -- since when they wait
    due_at           INTEGER NOT NULL,          -- not before
    asked_at         INTEGER NOT NULL,
    state            TEXT NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    last_attempt_at  INTEGER,
    last_call        TEXT,                      -- the call of the last attempt
    ended_at         INTEGER,
    cause            TEXT                       -- why it failed, or the last attempt did
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX callbacks_one ON callbacks (number) WHERE state IN ('waiting', 'ringing');
CREATE INDEX callbacks_due ON callbacks (due_at) WHERE state = 'waiting';
CREATE INDEX callbacks_ringing ON callbacks (last_attempt_at) WHERE state = 'ringing';
CREATE INDEX callbacks_thread ON callbacks (thread, asked_at);
CREATE INDEX callbacks_call ON callbacks (call);

CREATE TABLE recordings (
    id            TEXT PRIMARY KEY,
    call          TEXT NOT NULL,
    node          TEXT NOT NULL,                -- the queue that records, and says so
    started_at    INTEGER NOT NULL,
    length_ms     INTEGER NOT NULL,
    file          TEXT NOT NULL UNIQUE,
    sha256        TEXT NOT NULL,
    delete_after  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX recordings_call ON recordings (call, started_at);
CREATE INDEX recordings_due ON recordings (delete_after);
