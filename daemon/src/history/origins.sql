-- Version 3. A change is another entry in MIGRATIONS; this one never changes again.

-- What each process and each image of a project was made from.
CREATE TABLE origins (
    project TEXT NOT NULL,
    kind TEXT NOT NULL,       -- 'process', by its container; 'image', by its service
    name TEXT NOT NULL,
    content TEXT,             -- NULL while nobody knows
    PRIMARY KEY (project, kind, name)
) STRICT, WITHOUT ROWID;
