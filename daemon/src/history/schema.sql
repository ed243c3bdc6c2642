-- Version 1. A change is a new file and a new entry in MIGRATIONS; this one never changes again.

-- One row a run; `seq` is the order in which they began.
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    service TEXT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT NOT NULL,
    paths TEXT NOT NULL,      -- JSON list
    content TEXT NOT NULL,
    command TEXT NOT NULL,    -- JSON list
    exit_code INTEGER,
    reason TEXT,
    started_at TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    finished_at TEXT,
    duration_ms INTEGER,
    passed INTEGER,
    failed INTEGER,
    skipped INTEGER,
    stages TEXT NOT NULL      -- JSON list
) STRICT;

CREATE INDEX runs_of_service ON runs (project, service, seq);
CREATE INDEX runs_under_way ON runs (seq) WHERE state = 'running';

-- The tests that failed in a run, in the runner's order.
CREATE TABLE failures (
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    file TEXT,
    line INTEGER,
    message TEXT NOT NULL,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX failures_by_name ON failures (name);

-- Which number a project's next run has. Outlives the runs, so that no id is ever used twice.
CREATE TABLE numbers (
    project TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What devd keeps, and what the user wants of it.
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    source TEXT NOT NULL,     -- JSON; may hold secrets of the caller's environment
    selected TEXT,            -- JSON list; NULL means every service
    stopped TEXT NOT NULL,    -- JSON list
    completed TEXT NOT NULL   -- JSON object
) STRICT, WITHOUT ROWID;
