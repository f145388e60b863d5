-- Apps, scripts, routes, static files, keys and values. Times are milliseconds since 1970 in UTC.
-- AUTOINCREMENT where an id is shown to anybody: such an id is never given out twice.

CREATE TABLE apps (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE
               CHECK (name GLOB '[a-z]*' AND name NOT GLOB '*[^a-z0-9-]*' AND length(name) <= 63),
    hosts      TEXT NOT NULL CHECK (json_type(hosts) = 'array'),
    env        TEXT NOT NULL CHECK (json_type(env) = 'object'),
    limits     TEXT NOT NULL CHECK (json_type(limits) = 'object'),
    revision   INTEGER NOT NULL CHECK (revision > 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Endpoints and modules share one space of names.
CREATE TABLE scripts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id       INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    name         TEXT NOT NULL
                 CHECK (name GLOB '[a-z]*' AND name NOT GLOB '*[^a-z0-9_]*' AND length(name) <= 63),
    kind         TEXT NOT NULL CHECK (kind IN ('endpoint', 'module')),
    live_version INTEGER NOT NULL CHECK (live_version > 0),
    -- The live version's hash once more: what a starting worker is told of every script.
    live_hash    BLOB NOT NULL CHECK (length(live_hash) = 32),
    UNIQUE (app_id, name),
    -- What the composite foreign keys below refer to: nothing leads from one app into another.
    UNIQUE (app_id, id)
) STRICT;

-- All that a worker is told of a script: it is read from here alone, a few pages for thousands of them.
CREATE INDEX scripts_live ON scripts (app_id, name, kind, live_version, live_hash);

-- Each text once, however many versions have it.
CREATE TABLE sources (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    text TEXT NOT NULL
) STRICT;

CREATE TABLE script_versions (
    script_id   INTEGER NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL CHECK (version > 0),
    kind        TEXT NOT NULL CHECK (kind IN ('endpoint', 'module')),
    hash        BLOB NOT NULL REFERENCES sources (hash),
    size_bytes  INTEGER NOT NULL,
    author      TEXT NOT NULL,
    message     TEXT,
    sdk_version TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (script_id, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX script_versions_hash ON script_versions (hash);

CREATE TRIGGER source_orphaned AFTER DELETE ON script_versions
BEGIN
    DELETE FROM sources WHERE hash = old.hash
    AND NOT EXISTS (SELECT 1 FROM script_versions WHERE hash = old.hash);
END;

-- A version is what it was when it was made.
CREATE TRIGGER script_versions_stay BEFORE UPDATE ON script_versions
BEGIN
    SELECT raise(ABORT, 'a version never changes');
END;

CREATE TABLE script_imports (
    app_id    INTEGER NOT NULL,
    script_id INTEGER NOT NULL,
    module_id INTEGER NOT NULL,
    PRIMARY KEY (script_id, module_id),
    FOREIGN KEY (app_id, script_id) REFERENCES scripts (app_id, id) ON DELETE CASCADE,
    FOREIGN KEY (app_id, module_id) REFERENCES scripts (app_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX script_imports_module ON script_imports (app_id, module_id);
CREATE INDEX script_imports_script ON script_imports (app_id, script_id);

-- Versions that took their worker down; from quarantined_at on they are not run any more.
CREATE TABLE script_crashes (
    script_id      INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    crashes        INTEGER NOT NULL,
    execution_id   BLOB NOT NULL CHECK (length(execution_id) = 16),
    quarantined_at INTEGER,
    PRIMARY KEY (script_id, version),
    FOREIGN KEY (script_id, version) REFERENCES script_versions (script_id, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE routes (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id    INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    -- Upper-case, sorted, with commas between; empty for every method.
    methods   TEXT NOT NULL,
    path      TEXT NOT NULL CHECK (path GLOB '/*'),
    script_id INTEGER NOT NULL,
    auth      TEXT NOT NULL CHECK (auth IN ('public', 'key')),
    UNIQUE (app_id, path, methods),
    FOREIGN KEY (app_id, script_id) REFERENCES scripts (app_id, id)
) STRICT;

CREATE INDEX routes_position ON routes (app_id, position);
CREATE INDEX routes_script ON routes (app_id, script_id);

CREATE TABLE blobs (
    id         INTEGER PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    size_bytes INTEGER NOT NULL
) STRICT;

-- In pieces, so that the end of a large file is read without walking to it.
CREATE TABLE blob_chunks (
    blob_id INTEGER NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL,
    bytes   BLOB NOT NULL,
    UNIQUE (blob_id, number)
) STRICT;

CREATE TABLE static_files (
    app_id     INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    path       TEXT NOT NULL CHECK (path <> ''),
    hash       BLOB NOT NULL REFERENCES blobs (hash),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX static_files_hash ON static_files (hash);

CREATE TRIGGER blob_orphaned_by_delete AFTER DELETE ON static_files
BEGIN
    DELETE FROM blobs WHERE hash = old.hash AND NOT EXISTS (SELECT 1 FROM static_files WHERE hash = old.hash);
END;

CREATE TRIGGER blob_orphaned_by_update AFTER UPDATE OF hash ON static_files WHEN old.hash <> new.hash
BEGIN
    DELETE FROM blobs WHERE hash = old.hash AND NOT EXISTS (SELECT 1 FROM static_files WHERE hash = old.hash);
END;

-- Keys are blobs, so that their order is that of their bytes. No rows but the index: half the pages to write.
CREATE TABLE kv (
    app_id     INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    collection TEXT NOT NULL,
    key        BLOB NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    value      BLOB NOT NULL,
    PRIMARY KEY (app_id, collection, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX kv_expires_at ON kv (expires_at) WHERE expires_at IS NOT NULL;

-- Numbers that are never given out twice: every one up to `reserved` may have been.
CREATE TABLE sequences (
    name     TEXT PRIMARY KEY,
    reserved INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sequences (name, reserved) VALUES ('kv_version', 0);
