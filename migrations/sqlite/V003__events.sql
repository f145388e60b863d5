-- Triggers, events, their deliveries, dead letters, timers, files, and requests that are answered later.

ALTER TABLE apps ADD COLUMN http TEXT NOT NULL DEFAULT '{}' CHECK (json_type(http) = 'object');

CREATE TABLE triggers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id     INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    name       TEXT NOT NULL CHECK (name GLOB '[a-z]*' AND name NOT GLOB '*[^a-z0-9_-]*' AND length(name) <= 63),
    kind       TEXT NOT NULL CHECK (kind IN ('kv', 'files', 'cron', 'pubsub', 'dead_letter')),
    script_id  INTEGER NOT NULL,
    -- All that it says, its name and script too, as the app folder writes it.
    spec       TEXT NOT NULL CHECK (json_type(spec) = 'object'),
    version    INTEGER NOT NULL CHECK (version > 0),
    paused_at  INTEGER,
    paused_by  TEXT,
    -- Dead letters in a row.
    failures   INTEGER NOT NULL DEFAULT 0,
    -- Of a schedule: when it is due.
    next_at    INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (app_id, name),
    UNIQUE (app_id, id),
    FOREIGN KEY (app_id, script_id) REFERENCES scripts (app_id, id)
) STRICT;

CREATE INDEX triggers_position ON triggers (app_id, position);
CREATE INDEX triggers_script ON triggers (app_id, script_id);
CREATE INDEX triggers_next_at ON triggers (next_at) WHERE next_at IS NOT NULL AND paused_at IS NULL;

-- One event, for all of its deliveries: those with the ids from `id` to `id + deliveries - 1`.
CREATE TABLE events (
    id         INTEGER PRIMARY KEY,
    event_id   BLOB NOT NULL CHECK (length(event_id) = 16),
    app_id     INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    root_id    BLOB NOT NULL CHECK (length(root_id) = 16),
    depth      INTEGER NOT NULL,
    chain      TEXT NOT NULL CHECK (json_type(chain) = 'array'),
    deliveries INTEGER NOT NULL CHECK (deliveries > 0),
    body       BLOB NOT NULL
) STRICT;

-- One event for one trigger (or one timer, or one request) until it is done or dead. A lane is what is claimed from in
-- turn: a trigger (its id), an app's timers and requests (minus the app's id). Ids are drawn from `sequences`.
-- No references to triggers and scripts, which would be searched for here at every change of them: who removes a trigger
-- or a script removes its deliveries, and whatever is left without one goes when it would be claimed.
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY,
    app_id       INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    lane         INTEGER NOT NULL,
    event        INTEGER NOT NULL,
    trigger_id   INTEGER,
    script_id    INTEGER NOT NULL,
    -- A version that a person chose.
    version      INTEGER,
    due_at       INTEGER NOT NULL,
    -- Attempts that failed.
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- The newest of them, as JSON.
    tried        TEXT,
    ordering_key TEXT,
    -- Whether an earlier one with the same key is still there.
    blocked      INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)),
    expires_at   INTEGER,
    timer_id     BLOB CHECK (length(timer_id) = 16),
    request_id   BLOB CHECK (length(request_id) = 16)
) STRICT;

-- From app to app, from lane to lane, and in a lane what is due first.
CREATE INDEX deliveries_due ON deliveries (app_id, lane, blocked, due_at, id);
CREATE INDEX deliveries_key ON deliveries (lane, ordering_key, id) WHERE ordering_key IS NOT NULL;
CREATE UNIQUE INDEX deliveries_timer ON deliveries (timer_id) WHERE timer_id IS NOT NULL;

-- However a delivery goes, its event goes with the last one.
CREATE TRIGGER event_without_delivery AFTER DELETE ON deliveries
BEGIN
    DELETE FROM events WHERE id = old.event
    AND (deliveries = 1 OR NOT EXISTS (
        SELECT 1 FROM deliveries d WHERE d.id >= events.id AND d.id < events.id + events.deliveries
    ));
END;

-- However a delivery goes, the next one with its key is free.
CREATE TRIGGER delivery_unblocked AFTER DELETE ON deliveries WHEN old.ordering_key IS NOT NULL AND old.blocked = 0
BEGIN
    UPDATE deliveries SET blocked = 0 WHERE id = (
        SELECT min(id) FROM deliveries WHERE lane = old.lane AND ordering_key = old.ordering_key
    );
END;

INSERT INTO sequences (name, reserved) VALUES ('delivery', 0);

CREATE TABLE dead_letters (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id      INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    -- Named as they were: what they name may be gone.
    trigger     TEXT,
    script      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    event_id    BLOB NOT NULL CHECK (length(event_id) = 16),
    event_at    INTEGER NOT NULL,
    root_id     BLOB NOT NULL CHECK (length(root_id) = 16),
    depth       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    dead_at     INTEGER NOT NULL,
    final       INTEGER NOT NULL CHECK (final IN (0, 1)),
    error       TEXT NOT NULL CHECK (json_type(error) = 'object'),
    tried       TEXT NOT NULL CHECK (json_type(tried) = 'array'),
    chain       TEXT NOT NULL CHECK (json_type(chain) = 'array'),
    ordering_key TEXT,
    request_id  BLOB CHECK (length(request_id) = 16),
    body        BLOB NOT NULL
) STRICT;

CREATE INDEX dead_letters_app ON dead_letters (app_id, id);
CREATE INDEX dead_letters_trigger ON dead_letters (app_id, trigger, id) WHERE trigger IS NOT NULL;
CREATE INDEX dead_letters_dead_at ON dead_letters (dead_at);

-- Publishes that must not be repeated.
CREATE TABLE dedup_keys (
    app_id     INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    topic      TEXT NOT NULL,
    key        TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, topic, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX dedup_keys_expires_at ON dedup_keys (expires_at);

-- Requests that are answered later. The request itself is the event's body.
CREATE TABLE async_requests (
    id              BLOB PRIMARY KEY CHECK (length(id) = 16),
    app_id          INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    idempotency_key TEXT,
    request_hash    BLOB NOT NULL CHECK (length(request_hash) = 32),
    created_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    -- Null while there is none.
    status          INTEGER,
    headers         TEXT,
    body            BLOB,
    expires_at      INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX async_requests_key ON async_requests (app_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX async_requests_expires_at ON async_requests (expires_at) WHERE expires_at IS NOT NULL;

-- Bytes of files are on the disk, below their blob's id.
CREATE TABLE files (
    app_id       INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    id           BLOB NOT NULL CHECK (length(id) = 16),
    collection   TEXT NOT NULL CHECK (collection <> ''),
    name         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes   INTEGER NOT NULL,
    sha256       BLOB NOT NULL CHECK (length(sha256) = 32),
    -- 32 bytes a piece.
    pieces       BLOB NOT NULL,
    blob_id      BLOB NOT NULL UNIQUE CHECK (length(blob_id) = 16),
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    metadata     TEXT NOT NULL CHECK (json_type(metadata) = 'object'),
    PRIMARY KEY (app_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX files_name ON files (app_id, collection, name, id);

-- Bytes of all files of an app, beside them so that a write need not count.
CREATE TABLE file_totals (
    app_id     INTEGER PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    size_bytes INTEGER NOT NULL
) STRICT;

-- Blobs that were a file's and are nobody's now: they are removed from the disk, and then from here. Written here by the
-- database, for a file also goes with its app.
CREATE TABLE dropped_blobs (
    blob_id BLOB PRIMARY KEY CHECK (length(blob_id) = 16)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER files_deleted AFTER DELETE ON files BEGIN
    INSERT OR IGNORE INTO dropped_blobs (blob_id) VALUES (old.blob_id);
END;

CREATE TRIGGER files_updated AFTER UPDATE OF blob_id ON files WHEN old.blob_id <> new.blob_id BEGIN
    INSERT OR IGNORE INTO dropped_blobs (blob_id) VALUES (old.blob_id);
END;

-- Signed URLs that hold once and were used.
CREATE TABLE used_signatures (
    token      BLOB PRIMARY KEY CHECK (length(token) = 32),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What triggers started a script when a version of it was replaced.
ALTER TABLE version_contexts ADD COLUMN triggers TEXT CHECK (json_type(triggers) = 'array');
