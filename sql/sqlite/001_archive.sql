-- The archive in SQLite. Tables with a key of their own are stored in its order: what is read together lies together.
-- ms, seq: the id of the entry in its Redis stream; times are ms since 1970.

-- 0 is no device: what belongs to the one stream of events.
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    device_id TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO devices (id, device_id) VALUES (0, '');

CREATE TABLE metrics (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Which metrics a sample has, in its order: battery,cpu,temperature,signal
CREATE TABLE shapes (
    id INTEGER PRIMARY KEY,
    names TEXT NOT NULL UNIQUE
) STRICT;

-- Which metrics a device has ever sent.
CREATE TABLE device_metrics (
    device INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    PRIMARY KEY (device, metric)
) STRICT, WITHOUT ROWID;

-- v: the numbers of the shape's metrics as they were sent: 85,38,41.2,93
CREATE TABLE samples (
    device INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    shape INTEGER NOT NULL,
    v TEXT NOT NULL,
    PRIMARY KEY (device, ms, seq)
) STRICT, WITHOUT ROWID;

-- A metric's values in the minute that begins at t.
CREATE TABLE minutes (
    device INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    t INTEGER NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    sum REAL NOT NULL,
    last REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (device, metric, t)
) STRICT, WITHOUT ROWID;

CREATE TABLE hours (
    device INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    t INTEGER NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    sum REAL NOT NULL,
    last REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (device, metric, t)
) STRICT, WITHOUT ROWID;

-- d: the entry's field as it is, JSON members without braces.
CREATE TABLE commands (
    device INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    d TEXT NOT NULL,
    PRIMARY KEY (device, ms, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE outcomes (
    device INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    d TEXT NOT NULL,
    PRIMARY KEY (device, ms, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    d TEXT NOT NULL,
    PRIMARY KEY (ms, seq)
) STRICT, WITHOUT ROWID;

-- Up to where each stream is archived. kind: 0 samples, 1 commands, 2 outcomes, 3 events. Unsigned numbers beyond
-- 2^63 are negative here.
CREATE TABLE positions (
    kind INTEGER NOT NULL,
    device INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (kind, device)
) STRICT, WITHOUT ROWID;

-- Entries that were lost before they were archived: those between `after` and `before`.
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    device INTEGER NOT NULL,
    after_ms INTEGER NOT NULL,
    after_seq INTEGER NOT NULL,
    before_ms INTEGER NOT NULL,
    before_seq INTEGER NOT NULL,
    noticed_ms INTEGER NOT NULL
) STRICT;

-- The run_id of the Redis that is archived.
CREATE TABLE followed (
    run TEXT NOT NULL
) STRICT;
INSERT INTO followed (run) VALUES ('');

-- How many rows the large tables have: counting them would take too long.
CREATE TABLE totals (
    name TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO totals (name, n)
VALUES ('samples', 0), ('commands', 0), ('outcomes', 0), ('events', 0), ('minutes', 0), ('hours', 0);
