-- Search: an index over what was written, who people are, and numbers. Triggers keep it, so that no writer can forget.

-- What can be found, in the order in which it came: `seq` is what results are sorted and paged by.
CREATE TABLE search_docs (
    seq        INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,                 -- message, note
    id         TEXT NOT NULL UNIQUE,          -- of either; UUIDs do not meet
    thread     TEXT NOT NULL,
    direction  TEXT,                          -- of a message
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX search_docs_at ON search_docs (at);

-- The words themselves stay where they are.
CREATE VIEW search_source AS
    SELECT d.seq AS seq,
           CASE d.kind WHEN 'message' THEN (SELECT body FROM messages WHERE id = d.id)
                       ELSE (SELECT body FROM notes WHERE id = d.id) END AS body
    FROM search_docs d;
-- Prefixes of 2 to 4 letters have an index of their own: longer ones are few enough to be looked up one by one.
CREATE VIRTUAL TABLE search_text USING fts5 (
    body, content = 'search_source', content_rowid = 'seq', prefix = '2 3 4', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE search_words USING fts5vocab (search_text, instance);

INSERT INTO search_docs (kind, id, thread, direction, at)
    SELECT 'message', id, thread, direction, created_at AS at FROM messages
    UNION ALL SELECT 'note', id, thread, NULL, at FROM notes ORDER BY at;
INSERT INTO search_text (rowid, body) SELECT seq, body FROM search_source;

CREATE TRIGGER search_message_in AFTER INSERT ON messages BEGIN
    INSERT INTO search_docs (kind, id, thread, direction, at)
        VALUES ('message', new.id, new.thread, new.direction, new.created_at);
    INSERT INTO search_text (rowid, body) SELECT seq, new.body FROM search_docs WHERE id = new.id;
END;
CREATE TRIGGER search_message_moved AFTER UPDATE OF thread ON messages BEGIN
    UPDATE search_docs SET thread = new.thread WHERE id = new.id;
END;
CREATE TRIGGER search_message_changed AFTER UPDATE OF body ON messages WHEN new.body <> old.body BEGIN
    INSERT INTO search_text (search_text, rowid, body) SELECT 'delete', seq, old.body FROM search_docs WHERE id = old.id;
    INSERT INTO search_text (rowid, body) SELECT seq, new.body FROM search_docs WHERE id = new.id;
END;
CREATE TRIGGER search_message_out AFTER DELETE ON messages BEGIN
    INSERT INTO search_text (search_text, rowid, body) SELECT 'delete', seq, old.body FROM search_docs WHERE id = old.id;
    DELETE FROM search_docs WHERE id = old.id;
END;

CREATE TRIGGER search_note_in AFTER INSERT ON notes BEGIN
    INSERT INTO search_docs (kind, id, thread, at) VALUES ('note', new.id, new.thread, new.at);
    INSERT INTO search_text (rowid, body) SELECT seq, new.body FROM search_docs WHERE id = new.id;
END;
CREATE TRIGGER search_note_moved AFTER UPDATE OF thread ON notes BEGIN
    UPDATE search_docs SET thread = new.thread WHERE id = new.id;
END;
CREATE TRIGGER search_note_changed AFTER UPDATE OF body ON notes WHEN new.body <> old.body BEGIN
    INSERT INTO search_text (search_text, rowid, body) SELECT 'delete', seq, old.body FROM search_docs WHERE id = old.id;
    INSERT INTO search_text (rowid, body) SELECT seq, new.body FROM search_docs WHERE id = new.id;
END;
CREATE TRIGGER search_note_out AFTER DELETE ON notes BEGIN
    INSERT INTO search_text (search_text, rowid, body) SELECT 'delete', seq, old.body FROM search_docs WHERE id = old.id;
    DELETE FROM search_docs WHERE id = old.id;
END;

-- Names: of people, and of whom they speak for.
CREATE TABLE search_people (
    seq     INTEGER PRIMARY KEY,
    person  TEXT NOT NULL UNIQUE
) STRICT;
CREATE VIEW search_people_source AS
    SELECT s.seq AS seq, p.name AS name, p.on_behalf_of AS on_behalf_of
    FROM search_people s JOIN people p ON p.id = s.person;
CREATE VIRTUAL TABLE search_names USING fts5 (
    name, on_behalf_of, content = 'search_people_source', content_rowid = 'seq', prefix = '1 2 3',
    tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO search_people (person) SELECT id FROM people ORDER BY created_at;
INSERT INTO search_names (rowid, name, on_behalf_of) SELECT seq, name, on_behalf_of FROM search_people_source;

CREATE TRIGGER search_person_in AFTER INSERT ON people BEGIN
    INSERT INTO search_people (person) VALUES (new.id);
    INSERT INTO search_names (rowid, name, on_behalf_of)
        SELECT seq, new.name, new.on_behalf_of FROM search_people WHERE person = new.id;
END;
CREATE TRIGGER search_person_changed AFTER UPDATE OF name, on_behalf_of ON people BEGIN
    INSERT INTO search_names (search_names, rowid, name, on_behalf_of)
        SELECT 'delete', seq, old.name, old.on_behalf_of FROM search_people WHERE person = old.id;
    INSERT INTO search_names (rowid, name, on_behalf_of)
        SELECT seq, new.name, new.on_behalf_of FROM search_people WHERE person = new.id;
END;
CREATE TRIGGER search_person_out AFTER DELETE ON people BEGIN
    INSERT INTO search_names (search_names, rowid, name, on_behalf_of)
        SELECT 'delete', seq, old.name, old.on_behalf_of FROM search_people WHERE person = old.id;
    DELETE FROM search_people WHERE person = old.id;
END;

-- Numbers: each of their endings of four digits and more, so that any run of digits is the beginning of one.
CREATE TABLE search_numbers (
    tail    TEXT NOT NULL,
    number  TEXT NOT NULL,
    PRIMARY KEY (tail, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE search_tails (start INTEGER PRIMARY KEY) STRICT;
INSERT INTO search_tails VALUES (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13);
INSERT INTO search_numbers (tail, number)
    SELECT substr(number, start), number FROM (SELECT number FROM threads UNION SELECT number FROM people), search_tails
    WHERE length(number) >= start + 3;

CREATE TRIGGER search_thread_in AFTER INSERT ON threads BEGIN
    INSERT INTO search_numbers (tail, number)
        SELECT substr(new.number, start), new.number FROM search_tails WHERE length(new.number) >= start + 3
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER search_person_number_in AFTER INSERT ON people BEGIN
    INSERT INTO search_numbers (tail, number)
        SELECT substr(new.number, start), new.number FROM search_tails WHERE length(new.number) >= start + 3
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER search_person_number_changed AFTER UPDATE OF number ON people BEGIN
    INSERT INTO search_numbers (tail, number)
        SELECT substr(new.number, start), new.number FROM search_tails WHERE length(new.number) >= start + 3
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER search_thread_out AFTER DELETE ON threads
    WHEN NOT EXISTS (SELECT 1 FROM threads WHERE number = old.number)
     AND NOT EXISTS (SELECT 1 FROM people WHERE number = old.number) BEGIN
    DELETE FROM search_numbers
        WHERE number = old.number AND tail IN (SELECT substr(old.number, start) FROM search_tails);
END;
CREATE TRIGGER search_person_number_out AFTER DELETE ON people
    WHEN NOT EXISTS (SELECT 1 FROM threads WHERE number = old.number)
     AND NOT EXISTS (SELECT 1 FROM people WHERE number = old.number) BEGIN
    DELETE FROM search_numbers
        WHERE number = old.number AND tail IN (SELECT substr(old.number, start) FROM search_tails);
END;

-- The audit page's filters, newest first. The chain itself stays as it is.
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_action ON audit (action, seq);
CREATE INDEX audit_subject ON audit (subject, seq);
CREATE INDEX audit_at ON audit (at, seq);

-- What one phone got from the embedded gateway.
CREATE INDEX sandbox_recipient ON sandbox (recipient, seq);
