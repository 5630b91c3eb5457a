-- The inbox, quick with many open threads: the order of the lists and what filters them are in the index itself, so that a
-- filter is decided before a thread's row is read. (Of a virtual column SQLite always reads the row; of an expression it
-- does not.) The expressions are those of `store/queue.rs`.

DROP INDEX threads_queue;
DROP INDEX threads_owner;
DROP INDEX threads_team;
ALTER TABLE threads DROP COLUMN queue_tier;
ALTER TABLE threads DROP COLUMN queue_key;
CREATE INDEX threads_queue ON threads (
    CASE WHEN red_flag IS NOT NULL THEN 0 WHEN waiting_since IS NULL THEN 3 WHEN escalated_at IS NOT NULL THEN 1 ELSE 2 END,
    coalesce(waiting_since, -active_at), id, team, reason, tags, state) WHERE state = 'open';
CREATE INDEX threads_owner ON threads (owner,
    CASE WHEN red_flag IS NOT NULL THEN 0 WHEN waiting_since IS NULL THEN 3 WHEN escalated_at IS NOT NULL THEN 1 ELSE 2 END,
    coalesce(waiting_since, -active_at), id, team, reason, tags, state) WHERE state = 'open';
CREATE INDEX threads_team ON threads (team,
    CASE WHEN red_flag IS NOT NULL THEN 0 WHEN waiting_since IS NULL THEN 3 WHEN escalated_at IS NOT NULL THEN 1 ELSE 2 END,
    coalesce(waiting_since, -active_at), id, reason, tags, state) WHERE state = 'open';
