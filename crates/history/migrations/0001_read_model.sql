-- The read model. Times are milliseconds since the Unix epoch.
--
-- `seq`, the key of an event and of a delivery, orders by time: the milliseconds of its making, shifted left by 20 bits,
-- plus a number that makes it unique. Every index ends with it, so that each serves "most recent first", a cursor, and a
-- span of time alike, without an index of its own for time.

CREATE TABLE progress (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    -- Everything in the journal up to here is in the tables below.
    journal INTEGER NOT NULL
);
INSERT INTO progress (only, journal) VALUES (1, 0);

CREATE TABLE events (
    seq           INTEGER PRIMARY KEY,
    project       TEXT NOT NULL,
    id            TEXT NOT NULL,
    event_type    TEXT NOT NULL,
    -- What only the event's own entry brings; null while a delivery's entry has overtaken that.
    header        TEXT,
    data_bytes    INTEGER,
    revision      INTEGER,
    fanned_out_at INTEGER,
    UNIQUE (project, id)
);

-- status: 0 pending, 1 waiting, 2 gated, 3 delivered, 4 exhausted, 5 expired, 6 discarded.
CREATE TABLE deliveries (
    seq             INTEGER PRIMARY KEY,
    id              BLOB NOT NULL UNIQUE,
    project         TEXT NOT NULL,
    webhook         BLOB NOT NULL,
    event           INTEGER NOT NULL,
    run             TEXT,
    created_at      INTEGER NOT NULL,
    status          INTEGER NOT NULL,
    hop             INTEGER NOT NULL,
    waiting_reason  TEXT,
    next_attempt_at INTEGER,
    attempt_count   INTEGER NOT NULL,
    last_attempt_at INTEGER,
    last_outcome    TEXT,
    response_status INTEGER,
    ended_at        INTEGER
);
CREATE INDEX deliveries_by_project ON deliveries (project);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook);
CREATE INDEX deliveries_by_event ON deliveries (event);
-- Most deliveries are delivered: what is asked for by status is nearly always the others, which these two find at once.
CREATE INDEX deliveries_by_project_and_status ON deliveries (project, status) WHERE status <> 3;
CREATE INDEX deliveries_by_webhook_and_status ON deliveries (webhook, status) WHERE status <> 3;

CREATE TABLE attempts (
    delivery INTEGER NOT NULL,
    id       BLOB NOT NULL,
    record   TEXT NOT NULL,
    UNIQUE (delivery, id)
);

-- Deliveries that were brought forward before any entry told what they are.
CREATE TABLE brought_forward (
    delivery BLOB PRIMARY KEY,
    hop      INTEGER NOT NULL,
    at       INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE deleted_webhooks (
    webhook BLOB PRIMARY KEY,
    at      INTEGER NOT NULL,
    -- Whether the deliveries that were open then are closed.
    closed  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX deleted_webhooks_to_close ON deleted_webhooks (closed) WHERE closed = 0;

-- What each webhook was at which revisions of the configuration: from `revision` to `until`, exclusive.
CREATE TABLE webhook_versions (
    webhook       BLOB NOT NULL,
    revision      INTEGER NOT NULL,
    until         INTEGER NOT NULL,
    project       TEXT NOT NULL,
    url           TEXT NOT NULL,
    record        TEXT NOT NULL,
    -- When it was noted that the version is over; null while it is current.
    superseded_at INTEGER,
    UNIQUE (webhook, revision)
);
CREATE INDEX webhook_versions_by_project ON webhook_versions (project, webhook, revision, until);
CREATE INDEX webhook_versions_superseded ON webhook_versions (superseded_at) WHERE superseded_at IS NOT NULL;
