-- When a call back may be made, and until when it is worth making.
ALTER TABLE callbacks ADD COLUMN hours TEXT;       -- the node whose hours decide; none: at any hour
ALTER TABLE callbacks ADD COLUMN due_until INTEGER; -- then that opening is over; none: somebody wants it now, whatever the hour
ALTER TABLE callbacks ADD COLUMN last_at INTEGER NOT NULL DEFAULT 0; -- then it has failed
UPDATE callbacks SET due_until = due_at + 86400000000, last_at = due_at + 86400000000;
