-- Nodes, the tokens they join with, publishes of theirs that are not settled, and what is kept under a name.

ALTER TABLE apps ADD COLUMN placement TEXT NOT NULL DEFAULT '{}' CHECK (json_type(placement) = 'object');

-- A node is its key. Rows stay when a node is removed: its key is not let in again.
CREATE TABLE nodes (
    -- The first 20 digits of the fingerprint.
    id             TEXT PRIMARY KEY CHECK (length(id) = 20),
    fingerprint    BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    name           TEXT NOT NULL CHECK (name <> ''),
    -- What a person said, and what it says of itself.
    labels         TEXT NOT NULL CHECK (json_type(labels) = 'object'),
    facts          TEXT NOT NULL CHECK (json_type(facts) = 'object'),
    draining       INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1)),
    version        INTEGER NOT NULL CHECK (version > 0),
    joined_at      INTEGER NOT NULL,
    last_seen_at   INTEGER,
    certificate_expires_at INTEGER,
    retired_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX nodes_name ON nodes (name) WHERE retired_at IS NULL;

CREATE TABLE join_tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of the secret only this is kept.
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    labels     TEXT NOT NULL CHECK (json_type(labels) = 'object'),
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0),
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX join_tokens_expires_at ON join_tokens (expires_at);

-- Publishes of nodes that they may say again.
CREATE TABLE node_publishes (
    node_id TEXT NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (node_id, number)
) STRICT, WITHOUT ROWID;

-- What all appliances on one database have in common: the authority, sealed; whose files these are.
CREATE TABLE kept (
    name  TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;
