-- Search looks through marks that nobody sees: of some FTS5 makes letters, of others ends of words, so that a name that was
-- copied with them was not found. The index holds what is seen of a text.

-- The marks, as `model::is_unseen` has them.
CREATE TABLE search_unseen (
    seq   INTEGER PRIMARY KEY,
    mark  TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO search_unseen (mark) VALUES
    (char(0xad)), (char(0x61c)), (char(0x180e)),
    (char(0x200b)), (char(0x200c)), (char(0x200d)), (char(0x200e)), (char(0x200f)),
    (char(0x202a)), (char(0x202b)), (char(0x202c)), (char(0x202d)), (char(0x202e)),
    (char(0x2060)), (char(0x2061)), (char(0x2062)), (char(0x2063)), (char(0x2064)), (char(0x2065)), (char(0x2066)), (char(0x2067)),
    (char(0x2068)), (char(0x2069)), (char(0x206a)), (char(0x206b)), (char(0x206c)), (char(0x206d)), (char(0x206e)), (char(0x206f)),
    (char(0xfeff));

-- Whatever can be found by its words, as it was written.
CREATE VIEW search_written AS
    SELECT 'message' AS kind, id, body AS text FROM messages
    UNION ALL SELECT 'note', id, body FROM notes
    UNION ALL SELECT 'name', id, name FROM people
    UNION ALL SELECT 'on_behalf_of', id, on_behalf_of FROM people;
-- The same as it is seen: of the marks, those that are there are taken out, one after the other.
CREATE VIEW search_seen AS
    SELECT kind, id, (
        WITH RECURSIVE less (text, seq) AS (
            SELECT w.text, 0
            UNION ALL SELECT replace(less.text, unseen.mark, ''), unseen.seq FROM less JOIN search_unseen unseen ON unseen.seq =
                (SELECT min(next.seq) FROM search_unseen next WHERE next.seq > less.seq AND instr(less.text, next.mark))
        )
        SELECT text FROM less ORDER BY seq DESC LIMIT 1) AS text
    FROM search_written w;

-- What is in the index with such marks comes out of it as it went in, and goes in again as it is seen. Nothing else is
-- indexed anew: each text is looked at once, which takes a few seconds for a million.
CREATE TEMP TABLE search_again AS
    SELECT DISTINCT id FROM search_written
    WHERE length(text) < length(CAST(text AS BLOB)) AND EXISTS (SELECT 1 FROM search_unseen WHERE instr(text, mark));
INSERT INTO search_text (search_text, rowid, body)
    SELECT 'delete', seq, body FROM search_source
    WHERE seq IN (SELECT d.seq FROM search_again a CROSS JOIN search_docs d ON d.id = a.id);
INSERT INTO search_names (search_names, rowid, name, on_behalf_of)
    SELECT 'delete', seq, name, on_behalf_of FROM search_people_source
    WHERE seq IN (SELECT s.seq FROM search_again a CROSS JOIN search_people s ON s.person = a.id);

DROP VIEW search_source;
CREATE VIEW search_source AS
    SELECT d.seq AS seq, (SELECT text FROM search_seen s WHERE s.kind = d.kind AND s.id = d.id) AS body FROM search_docs d;
DROP VIEW search_people_source;
CREATE VIEW search_people_source AS
    SELECT p.seq AS seq,
           (SELECT text FROM search_seen s WHERE s.kind = 'name' AND s.id = p.person) AS name,
           (SELECT text FROM search_seen s WHERE s.kind = 'on_behalf_of' AND s.id = p.person) AS on_behalf_of
    FROM search_people p;

INSERT INTO search_text (rowid, body)
    SELECT seq, body FROM search_source
    WHERE seq IN (SELECT d.seq FROM search_again a CROSS JOIN search_docs d ON d.id = a.id);
INSERT INTO search_names (rowid, name, on_behalf_of)
    SELECT seq, name, on_behalf_of FROM search_people_source
    WHERE seq IN (SELECT s.seq FROM search_again a CROSS JOIN search_people s ON s.person = a.id);
DROP TABLE search_again;

-- The views say what goes into the index after a row is there, and what comes out of it while the row still is.
DROP TRIGGER search_message_in;
CREATE TRIGGER search_message_in AFTER INSERT ON messages BEGIN
    INSERT INTO search_docs (kind, id, thread, direction, at)
        VALUES ('message', new.id, new.thread, new.direction, new.created_at);
    INSERT INTO search_text (rowid, body)
        SELECT seq, body FROM search_source WHERE seq = (SELECT seq FROM search_docs WHERE id = new.id);
END;
DROP TRIGGER search_message_changed;
CREATE TRIGGER search_message_changes BEFORE UPDATE OF body ON messages WHEN new.body <> old.body BEGIN
    INSERT INTO search_text (search_text, rowid, body)
        SELECT 'delete', seq, body FROM search_source WHERE seq = (SELECT seq FROM search_docs WHERE id = old.id);
END;
CREATE TRIGGER search_message_changed AFTER UPDATE OF body ON messages WHEN new.body <> old.body BEGIN
    INSERT INTO search_text (rowid, body)
        SELECT seq, body FROM search_source WHERE seq = (SELECT seq FROM search_docs WHERE id = new.id);
END;
DROP TRIGGER search_message_out;
CREATE TRIGGER search_message_out BEFORE DELETE ON messages BEGIN
    INSERT INTO search_text (search_text, rowid, body)
        SELECT 'delete', seq, body FROM search_source WHERE seq = (SELECT seq FROM search_docs WHERE id = old.id);
    DELETE FROM search_docs WHERE id = old.id;
END;

DROP TRIGGER search_note_in;
CREATE TRIGGER search_note_in AFTER INSERT ON notes BEGIN
    INSERT INTO search_docs (kind, id, thread, at) VALUES ('note', new.id, new.thread, new.at);
    INSERT INTO search_text (rowid, body)
        SELECT seq, body FROM search_source WHERE seq = (SELECT seq FROM search_docs WHERE id = new.id);
END;
DROP TRIGGER search_note_changed;
CREATE TRIGGER search_note_changes BEFORE UPDATE OF body ON notes WHEN new.body <> old.body BEGIN
    INSERT INTO search_text (search_text, rowid, body)
        SELECT 'delete', seq, body FROM search_source WHERE seq = (SELECT seq FROM search_docs WHERE id = old.id);
END;
CREATE TRIGGER search_note_changed AFTER UPDATE OF body ON notes WHEN new.body <> old.body BEGIN
    INSERT INTO search_text (rowid, body)
        SELECT seq, body FROM search_source WHERE seq = (SELECT seq FROM search_docs WHERE id = new.id);
END;
DROP TRIGGER search_note_out;
CREATE TRIGGER search_note_out BEFORE DELETE ON notes BEGIN
    INSERT INTO search_text (search_text, rowid, body)
        SELECT 'delete', seq, body FROM search_source WHERE seq = (SELECT seq FROM search_docs WHERE id = old.id);
    DELETE FROM search_docs WHERE id = old.id;
END;

DROP TRIGGER search_person_in;
CREATE TRIGGER search_person_in AFTER INSERT ON people BEGIN
    INSERT INTO search_people (person) VALUES (new.id);
    INSERT INTO search_names (rowid, name, on_behalf_of)
        SELECT seq, name, on_behalf_of FROM search_people_source WHERE seq = (SELECT seq FROM search_people WHERE person = new.id);
END;
DROP TRIGGER search_person_changed;
CREATE TRIGGER search_person_changes BEFORE UPDATE OF name, on_behalf_of ON people BEGIN
    INSERT INTO search_names (search_names, rowid, name, on_behalf_of) SELECT 'delete', seq, name, on_behalf_of
        FROM search_people_source WHERE seq = (SELECT seq FROM search_people WHERE person = old.id);
END;
CREATE TRIGGER search_person_changed AFTER UPDATE OF name, on_behalf_of ON people BEGIN
    INSERT INTO search_names (rowid, name, on_behalf_of)
        SELECT seq, name, on_behalf_of FROM search_people_source WHERE seq = (SELECT seq FROM search_people WHERE person = new.id);
END;
DROP TRIGGER search_person_out;
CREATE TRIGGER search_person_out BEFORE DELETE ON people BEGIN
    INSERT INTO search_names (search_names, rowid, name, on_behalf_of) SELECT 'delete', seq, name, on_behalf_of
        FROM search_people_source WHERE seq = (SELECT seq FROM search_people WHERE person = old.id);
    DELETE FROM search_people WHERE person = old.id;
END;
