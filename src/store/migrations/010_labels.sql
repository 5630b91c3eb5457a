-- What threads are tagged with and about, counted, for what a list can be filtered by: however many threads there are,
-- there are few labels. Triggers keep the counts, so that no writer can forget. What is closed is searched, not listed.

CREATE TABLE labels (
    kind     TEXT NOT NULL,                   -- tag, reason
    state    TEXT NOT NULL,                   -- of the threads: open, snoozed
    label    TEXT NOT NULL,
    owner    TEXT NOT NULL,                   -- empty: nobody
    team     TEXT NOT NULL,                   -- empty: none
    threads  INTEGER NOT NULL,
    PRIMARY KEY (kind, state, label, owner, team)
) STRICT, WITHOUT ROWID;
CREATE VIEW thread_labels AS
    SELECT DISTINCT t.id, 'tag' AS kind, t.state, tag.value AS label, coalesce(t.owner, '') AS owner, coalesce(t.team, '') AS team
        FROM threads t, json_each(t.tags) tag WHERE t.state <> 'closed'
    UNION ALL SELECT id, 'reason', state, reason, coalesce(owner, ''), coalesce(team, '')
        FROM threads WHERE state <> 'closed' AND reason IS NOT NULL;
INSERT INTO labels (kind, state, label, owner, team, threads)
    SELECT kind, state, label, owner, team, count(*) FROM thread_labels GROUP BY kind, state, label, owner, team;

CREATE TRIGGER labels_in AFTER INSERT ON threads WHEN new.state <> 'closed' BEGIN
    INSERT INTO labels (kind, state, label, owner, team, threads)
        SELECT kind, state, label, owner, team, 1 FROM thread_labels WHERE id = new.id
        ON CONFLICT DO UPDATE SET threads = threads + 1;
END;
-- Most writers name the state and leave it as it is.
CREATE TRIGGER labels_change BEFORE UPDATE OF state, owner, team, tags, reason ON threads
    WHEN (new.state, new.owner, new.team, new.tags, new.reason) IS NOT (old.state, old.owner, old.team, old.tags, old.reason) BEGIN
    UPDATE labels SET threads = threads - 1 WHERE (kind, state, label, owner, team) IN
        (SELECT kind, state, label, owner, team FROM thread_labels WHERE id = old.id);
    DELETE FROM labels WHERE threads = 0 AND (kind, state, label, owner, team) IN
        (SELECT kind, state, label, owner, team FROM thread_labels WHERE id = old.id);
END;
CREATE TRIGGER labels_changed AFTER UPDATE OF state, owner, team, tags, reason ON threads
    WHEN (new.state, new.owner, new.team, new.tags, new.reason) IS NOT (old.state, old.owner, old.team, old.tags, old.reason) BEGIN
    INSERT INTO labels (kind, state, label, owner, team, threads)
        SELECT kind, state, label, owner, team, 1 FROM thread_labels WHERE id = new.id
        ON CONFLICT DO UPDATE SET threads = threads + 1;
END;
CREATE TRIGGER labels_out BEFORE DELETE ON threads WHEN old.state <> 'closed' BEGIN
    UPDATE labels SET threads = threads - 1 WHERE (kind, state, label, owner, team) IN
        (SELECT kind, state, label, owner, team FROM thread_labels WHERE id = old.id);
    DELETE FROM labels WHERE threads = 0 AND (kind, state, label, owner, team) IN
        (SELECT kind, state, label, owner, team FROM thread_labels WHERE id = old.id);
END;
