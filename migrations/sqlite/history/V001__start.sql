-- What is kept of runs: a file of its own, so that history never wears on the data.

-- Rows stand in the order they were added, which is nearly that of time: the oldest go first.
CREATE TABLE executions (
    number     INTEGER PRIMARY KEY,
    app_id     INTEGER NOT NULL,
    -- A version 7 UUID: newest last.
    id         BLOB NOT NULL CHECK (length(id) = 16),
    script     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    -- The run as JSON, last, so that a filter above never reads it.
    body       TEXT NOT NULL,
    UNIQUE (app_id, id)
) STRICT;
