-- A database of version 3 with something of everything, as `sqlite3 history.db .dump` wrote it. Never changes.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE failures (
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    file TEXT,
    line INTEGER,
    message TEXT NOT NULL,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "failures" VALUES(1,0,'test_a','/x/a.py',7,'1 != 2');
CREATE TABLE numbers (
    project TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "numbers" VALUES('shop',2);
CREATE TABLE origins (
    project TEXT NOT NULL,
    kind TEXT NOT NULL,       -- 'process', by its container; 'image', by its service
    name TEXT NOT NULL,
    content TEXT,             -- NULL while nobody knows
    PRIMARY KEY (project, kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "origins" VALUES('shop','image','api','1 00000000000000000000000000000003');
INSERT INTO "origins" VALUES('shop','process','4bf1','1 00000000000000000000000000000001 00000000000000000000000000000002');
INSERT INTO "origins" VALUES('shop','process','9c02',NULL);
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    source TEXT NOT NULL,     -- JSON; may hold secrets of the caller's environment
    selected TEXT,            -- JSON list; NULL means every service
    stopped TEXT NOT NULL,    -- JSON list
    completed TEXT NOT NULL   -- JSON object
) STRICT, WITHOUT ROWID;
INSERT INTO "projects" VALUES('shop','{"dir": "/p/shop", "files": ["compose.yaml"], "profiles": ["dev"], "env_files": [], "env": {"PORT": "8001"}}','["api"]','["db"]','{"setup": "abc.1"}');
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
, partial INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "runs" VALUES(1,'shop-1','shop','api','failed','save','["a b/x.py"]','abc','["python3", "-m", "unittest"]',1,NULL,'2026-01-02T03:04:05.678Z',1767323045678,'2026-01-02T03:04:06.678Z',1000,4,1,NULL,'[{"name": "done", "at_us": 17}]',1);
CREATE INDEX runs_of_service ON runs (project, service, seq);
CREATE INDEX runs_under_way ON runs (seq) WHERE state = 'running';
CREATE INDEX failures_by_name ON failures (name);
COMMIT;
PRAGMA user_version = 3;
