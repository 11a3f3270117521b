-- Accepted events, in the order in which they are fanned out. Positions have no gaps above the mark `events_passed`:
-- the writer assigns them, and only passed events are ever deleted.
CREATE TABLE events (
    position    INTEGER PRIMARY KEY,
    project     TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    accepted_at INTEGER NOT NULL, -- ms since 1970
    content     BLOB    NOT NULL, -- SHA-256
    header      BLOB    NOT NULL, -- JSON
    data        BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_id ON events (project, id);

-- Every delivery that stands in the queue, and, until it may be forgotten, every one that has ended: so one unique
-- index says of any delivery whether it is known, and an end touches that index not at all.
CREATE TABLE deliveries (
    seq      INTEGER PRIMARY KEY,
    id       BLOB    NOT NULL UNIQUE, -- 16 bytes
    webhook  BLOB    NOT NULL,        -- 16 bytes
    hop      INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    place    INTEGER NOT NULL,        -- 0 ready, 1..9 due, 10..19 gated, 20 moved out of sight, 30..39 ended: codec.rs
    at       INTEGER NOT NULL,        -- ms since 1970: ready, due or gated since; from place 20 on: to be forgotten
    gate     INTEGER                  -- the place in its gate's order; NULL where there is no gate
) STRICT;
CREATE INDEX deliveries_by_time ON deliveries (at) WHERE place < 10;
CREATE INDEX deliveries_by_gate ON deliveries (webhook, gate) WHERE gate IS NOT NULL;
CREATE INDEX deliveries_to_forget ON deliveries (at) WHERE place >= 20;

-- Apart from the rows above, so that a move rewrites some 80 bytes and not the body, and an end frees whole pages.
CREATE TABLE bodies (
    seq    INTEGER PRIMARY KEY,
    header BLOB NOT NULL, -- JSON as pushed; hop and attempts are in `deliveries`
    body   BLOB NOT NULL
) STRICT;

CREATE TABLE journal (
    position INTEGER PRIMARY KEY,
    entry    BLOB NOT NULL -- JSON
) STRICT;

-- Webhooks, projects, keys (group 0) and health (group 1). A removed record stays without a value, so that a watch can
-- be told of the removal, until the file is next opened.
CREATE TABLE config (
    key      TEXT    PRIMARY KEY,
    grp      INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    value    BLOB
) STRICT;
CREATE UNIQUE INDEX config_by_revision ON config (grp, revision);

-- Numbers that outlive the rows they count.
CREATE TABLE marks (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO marks (name, value) VALUES
    ('events_passed', 0),   -- every event up to this position has been fanned out
    ('journal_done', 0),    -- the read model has every entry up to this position
    ('config_revision', 0),
    ('state_revision', 0);
