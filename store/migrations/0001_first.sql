-- "OCWd": tells our database from any other SQLite file.
PRAGMA application_id = 1329813348;

CREATE TABLE device (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('agent', 'local')),
    tags TEXT NOT NULL DEFAULT '[]',      -- JSON array of words
    created_at INTEGER NOT NULL           -- all times: UTC milliseconds
) STRICT;

CREATE TABLE access_key (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('device', 'reader', 'service')),
    name TEXT NOT NULL,
    device_id TEXT REFERENCES device (id) ON DELETE CASCADE,  -- for kind 'device'
    hash BLOB NOT NULL,                   -- SHA-256 of the whole key
    publish TEXT NOT NULL DEFAULT '[]',   -- JSON array of topic filters, for kind 'service'
    subscribe TEXT NOT NULL DEFAULT '[]', -- JSON array of topic filters; empty for a reader of everything
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX access_key_by_device ON access_key (device_id);

-- What a device's last words about itself were. Everything else of now is in `retained`.
CREATE TABLE device_state (
    device_no INTEGER PRIMARY KEY REFERENCES device (no) ON DELETE CASCADE,
    online INTEGER NOT NULL,
    since INTEGER NOT NULL,
    reason TEXT,
    epoch INTEGER NOT NULL,
    boot_id TEXT,
    agent_version TEXT,
    host TEXT                             -- JSON
) STRICT;

CREATE TABLE presence (
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    received_at INTEGER NOT NULL,
    at INTEGER,                           -- by the device's clock
    online INTEGER NOT NULL,
    reason TEXT,
    epoch INTEGER NOT NULL,
    boot_id TEXT,
    agent_version TEXT
) STRICT;

CREATE INDEX presence_by_device ON presence (device_no, received_at);

-- Which messages of a spool have been recorded: "1-17,19-20". Makes a second delivery a no-op.
CREATE TABLE spool (
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    spool TEXT NOT NULL,
    seqs TEXT NOT NULL,
    PRIMARY KEY (device_no, spool)
) STRICT, WITHOUT ROWID;

-- One row a report. Scaled integers: a third smaller than REAL, and exact.
CREATE TABLE sample_hot (
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    cpu_pct_x100 INTEGER,
    load1_x100 INTEGER,
    memory_used INTEGER,                  -- bytes, as all below
    memory_total INTEGER,
    swap_used INTEGER,
    disk_used INTEGER,
    disk_total INTEGER,
    network_up INTEGER,                   -- bytes per second
    network_down INTEGER,
    uptime_s INTEGER
) STRICT;

CREATE INDEX sample_hot_by_device ON sample_hot (device_no, at);

-- For people with a SQL tool.
CREATE VIEW samples AS
SELECT
    device.id AS device,
    device.name AS device_name,
    strftime('%Y-%m-%dT%H:%M:%fZ', sample_hot.at / 1000.0, 'unixepoch') AS at,
    cpu_pct_x100 / 100.0 AS cpu_pct,
    load1_x100 / 100.0 AS load1,
    memory_used AS memory_used_bytes,
    memory_total AS memory_total_bytes,
    swap_used AS swap_used_bytes,
    disk_used AS disk_used_bytes,
    disk_total AS disk_total_bytes,
    network_up AS network_up_bytes_per_s,
    network_down AS network_down_bytes_per_s,
    uptime_s
FROM sample_hot JOIN device ON device.no = sample_hot.device_no;

CREATE TABLE retained (
    topic TEXT PRIMARY KEY,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    properties BLOB NOT NULL,             -- MQTT 5 properties, encoded
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE person (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('admin', 'viewer')),
    password_hash TEXT NOT NULL,          -- PHC string, Argon2id
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE login (
    hash BLOB PRIMARY KEY,                -- SHA-256 of the cookie
    person TEXT NOT NULL REFERENCES person (name) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bearer_token (
    hash BLOB PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('admin', 'viewer')),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Grows with every change of devices and keys, by whichever process: a running server looks at it.
CREATE TABLE registry (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO registry VALUES (1, 1);

CREATE TRIGGER device_added AFTER INSERT ON device BEGIN UPDATE registry SET version = version + 1; END;
CREATE TRIGGER device_changed AFTER UPDATE ON device BEGIN UPDATE registry SET version = version + 1; END;
CREATE TRIGGER device_removed AFTER DELETE ON device BEGIN UPDATE registry SET version = version + 1; END;
CREATE TRIGGER key_added AFTER INSERT ON access_key BEGIN UPDATE registry SET version = version + 1; END;
CREATE TRIGGER key_changed AFTER UPDATE ON access_key BEGIN UPDATE registry SET version = version + 1; END;
CREATE TRIGGER key_removed AFTER DELETE ON access_key BEGIN UPDATE registry SET version = version + 1; END;
