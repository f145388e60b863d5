-- Keys, secrets, the audit log, and what each version of a script was live with.

CREATE TABLE keys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE CHECK (name <> ''),
    -- Of the key only this is kept.
    hash         BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes       TEXT NOT NULL CHECK (json_type(scopes) = 'array'),
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT;

-- Each app's own key, sealed with the master key, which is not in this file.
CREATE TABLE app_keys (
    app_id INTEGER PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    sealed BLOB NOT NULL
) STRICT;

-- Values sealed with the app's key. Scripts are named, not referred to: a grant may come before its script.
CREATE TABLE secrets (
    app_id     INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    name       TEXT NOT NULL CHECK (name <> ''),
    scripts    TEXT NOT NULL CHECK (json_type(scripts) = 'array'),
    version    INTEGER NOT NULL CHECK (version > 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (app_id, name)
) STRICT, WITHOUT ROWID;

-- Who did what. App and target are named as they were then: what they name may be gone.
CREATE TABLE audit (
    seq          INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    who_kind     TEXT NOT NULL,
    who_name     TEXT NOT NULL,
    came_from    TEXT NOT NULL,
    action       TEXT NOT NULL,
    app          TEXT,
    target       TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    -- Over all of the row and the hash of the row before.
    hash         BLOB NOT NULL CHECK (length(hash) = 32),
    -- Last, so that a filter above never reads them.
    shown_before TEXT,
    shown_after  TEXT
) STRICT;

-- Where the chain of hashes begins and ends: rows cut off at either end show.
CREATE TABLE audit_ends (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    -- The oldest row that is kept, and the hash of the row before it.
    first_seq     INTEGER NOT NULL,
    previous_hash BLOB NOT NULL CHECK (length(previous_hash) = 32),
    -- The newest row, and its hash.
    last_seq      INTEGER NOT NULL,
    last_hash     BLOB NOT NULL CHECK (length(last_hash) = 32)
) STRICT;

INSERT INTO audit_ends (id, first_seq, previous_hash, last_seq, last_hash)
VALUES (1, 1, zeroblob(32), 0, zeroblob(32));

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;

CREATE TRIGGER audit_is_not_overwritten BEFORE INSERT ON audit WHEN new.seq <= (SELECT max(seq) FROM audit)
BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;

-- Rows are dropped only after the beginning was moved behind them.
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit WHEN old.seq >= (SELECT first_seq FROM audit_ends)
BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;

CREATE TRIGGER audit_ends_go_on BEFORE UPDATE ON audit_ends
WHEN new.first_seq < old.first_seq OR new.last_seq < old.last_seq OR new.first_seq > new.last_seq + 1
BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;

CREATE TRIGGER audit_ends_stay BEFORE DELETE ON audit_ends
BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;

-- What a version was live with. Versions from before this table that were not live then have no row.
CREATE TABLE version_contexts (
    script_id INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    -- When the version was made: names of env values and of secrets.
    env       TEXT NOT NULL CHECK (json_type(env) = 'array'),
    secrets   TEXT NOT NULL CHECK (json_type(secrets) = 'array'),
    -- When the version was replaced: the routes that led to it. Null while it is live.
    routes    TEXT CHECK (json_type(routes) = 'array'),
    PRIMARY KEY (script_id, version),
    FOREIGN KEY (script_id, version) REFERENCES script_versions (script_id, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The modules that the version reached when it was made, by name, for a module may be deleted and made again. Their
-- sources stay as long as the version.
CREATE TABLE version_modules (
    script_id      INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    name           TEXT NOT NULL,
    module_version INTEGER NOT NULL,
    hash           BLOB NOT NULL REFERENCES sources (hash),
    PRIMARY KEY (script_id, version, name),
    FOREIGN KEY (script_id, version) REFERENCES version_contexts (script_id, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX version_modules_hash ON version_modules (hash);

DROP TRIGGER source_orphaned;

CREATE TRIGGER source_orphaned AFTER DELETE ON script_versions
BEGIN
    DELETE FROM sources WHERE hash = old.hash
    AND NOT EXISTS (SELECT 1 FROM script_versions WHERE hash = old.hash)
    AND NOT EXISTS (SELECT 1 FROM version_modules WHERE hash = old.hash);
END;

CREATE TRIGGER module_source_orphaned AFTER DELETE ON version_modules
BEGIN
    DELETE FROM sources WHERE hash = old.hash
    AND NOT EXISTS (SELECT 1 FROM script_versions WHERE hash = old.hash)
    AND NOT EXISTS (SELECT 1 FROM version_modules WHERE hash = old.hash);
END;

-- What is live now is written down as it stands.
INSERT INTO version_contexts (script_id, version, env, secrets)
SELECT s.id, s.live_version,
       (SELECT json_group_array(e.key ORDER BY e.key) FROM apps a, json_each(a.env) e WHERE a.id = s.app_id),
       '[]'
FROM scripts s;

WITH RECURSIVE reached (script_id, module_id) AS (
    SELECT script_id, module_id FROM script_imports
    UNION
    SELECT r.script_id, i.module_id FROM reached r JOIN script_imports i ON i.script_id = r.module_id
)
INSERT INTO version_modules (script_id, version, name, module_version, hash)
SELECT s.id, s.live_version, m.name, m.live_version, m.live_hash
FROM reached r JOIN scripts s ON s.id = r.script_id JOIN scripts m ON m.id = r.module_id;
