-- Every text that each of the clinic's files has had. The files themselves are the truth.

CREATE TABLE file_versions (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    file    TEXT NOT NULL,                    -- tree, messages, box
    text    TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    at      INTEGER NOT NULL,                 -- since when it has been in force
    actor   TEXT NOT NULL,                    -- who published it; disk: it was edited outside of the pages
    note    TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX file_versions_file ON file_versions (file, id);
CREATE INDEX file_versions_at ON file_versions (file, at);
