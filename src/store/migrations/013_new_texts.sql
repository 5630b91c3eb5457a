-- Texts that people of the clinic are writing to numbers without an open thread. The id is what the page's address says
-- in place of the number.
CREATE TABLE new_texts (
    id      TEXT PRIMARY KEY,
    staff   TEXT NOT NULL REFERENCES staff (name),
    number  TEXT NOT NULL,
    body    TEXT NOT NULL,                    -- empty: a blank, or sent
    at      INTEGER NOT NULL,
    UNIQUE (number, staff)
) STRICT, WITHOUT ROWID;
CREATE INDEX new_texts_blank ON new_texts (at) WHERE body = '';
