-- The history by device, and its ladder. A report is appended to `sample_hot`, in the order of arrival; every half hour
-- the rows are moved to `sample`, which is ordered by device and time, and their 5 minutes and hours are worked out anew.
-- A table by device that is fed in the order of time writes a page of its own for each report.
DROP VIEW samples;

CREATE TABLE spool_numbered (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    spool TEXT NOT NULL,
    -- Of what is settled: "1-17,19-20". What is younger stands in `sample_hot` and `message_hot`.
    seqs TEXT NOT NULL,
    UNIQUE (device_no, spool)
) STRICT;
INSERT INTO spool_numbered (device_no, spool, seqs) SELECT device_no, spool, seqs FROM spool;
DROP TABLE spool;
ALTER TABLE spool_numbered RENAME TO spool;

CREATE TABLE claw_version (no INTEGER PRIMARY KEY, version TEXT NOT NULL UNIQUE) STRICT;

-- Scaled integers: a third smaller than REAL, and exact.
CREATE TABLE sample_fresh (
    no INTEGER PRIMARY KEY,               -- in the order of arrival; given by the server
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,                  -- UTC milliseconds, by the device's clock
    spool_no INTEGER NOT NULL,            -- 0: from before spools had numbers
    seq INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    late INTEGER NOT NULL,                -- 1: back-filled
    claw_state INTEGER,                   -- the worse the greater; see the view `samples`
    claw_version_no INTEGER,
    cpu_pct_x100 INTEGER,
    load1_x100 INTEGER,
    memory_used_kib INTEGER,
    memory_total_kib INTEGER,
    swap_used_kib INTEGER,
    disk_used_kib INTEGER,
    disk_total_kib INTEGER,
    network_up INTEGER,                   -- bytes per second
    network_down INTEGER,
    temperature_x10 INTEGER,              -- of the hottest sensor
    gateway_rss_kib INTEGER,              -- of all gateways together
    gateway_cpu_pct_x100 INTEGER,
    gateway_loop_ms_x10 INTEGER           -- of the slowest one
) STRICT;

INSERT INTO sample_fresh (
    no, device_no, at, spool_no, seq, received_at, late, cpu_pct_x100, load1_x100, memory_used_kib, memory_total_kib,
    swap_used_kib, disk_used_kib, disk_total_kib, network_up, network_down
)
SELECT
    rowid, device_no, at, 0, seq, received_at, received_at - at > 120000, cpu_pct_x100, load1_x100,
    memory_used / 1024, memory_total / 1024, swap_used / 1024, disk_used / 1024, disk_total / 1024,
    network_up, network_down
FROM sample_hot;
DROP TABLE sample_hot;
ALTER TABLE sample_fresh RENAME TO sample_hot;

-- Numbers of messages that are no samples, until they are in `spool`.
CREATE TABLE message_hot (
    no INTEGER PRIMARY KEY,
    spool_no INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE sample (
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    spool_no INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    late INTEGER NOT NULL,
    claw_state INTEGER,
    claw_version_no INTEGER,
    cpu_pct_x100 INTEGER,
    load1_x100 INTEGER,
    memory_used_kib INTEGER,
    memory_total_kib INTEGER,
    swap_used_kib INTEGER,
    disk_used_kib INTEGER,
    disk_total_kib INTEGER,
    network_up INTEGER,
    network_down INTEGER,
    temperature_x10 INTEGER,
    gateway_rss_kib INTEGER,
    gateway_cpu_pct_x100 INTEGER,
    gateway_loop_ms_x10 INTEGER,
    PRIMARY KEY (device_no, at, spool_no, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample_5m (
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,                  -- when it begins
    n INTEGER NOT NULL,                   -- samples
    late INTEGER NOT NULL,                -- 1: some of it was back-filled
    claw_state INTEGER,                   -- the worst
    claw_version_no INTEGER,              -- the newest
    memory_total_kib INTEGER,             -- the largest
    disk_total_kib INTEGER,
    cpu_pct_x100_min INTEGER, cpu_pct_x100_avg INTEGER, cpu_pct_x100_max INTEGER,
    load1_x100_min INTEGER, load1_x100_avg INTEGER, load1_x100_max INTEGER,
    memory_used_kib_min INTEGER, memory_used_kib_avg INTEGER, memory_used_kib_max INTEGER,
    swap_used_kib_min INTEGER, swap_used_kib_avg INTEGER, swap_used_kib_max INTEGER,
    disk_used_kib_min INTEGER, disk_used_kib_avg INTEGER, disk_used_kib_max INTEGER,
    network_up_min INTEGER, network_up_avg INTEGER, network_up_max INTEGER,
    network_down_min INTEGER, network_down_avg INTEGER, network_down_max INTEGER,
    temperature_x10_min INTEGER, temperature_x10_avg INTEGER, temperature_x10_max INTEGER,
    gateway_rss_kib_min INTEGER, gateway_rss_kib_avg INTEGER, gateway_rss_kib_max INTEGER,
    gateway_cpu_pct_x100_min INTEGER, gateway_cpu_pct_x100_avg INTEGER, gateway_cpu_pct_x100_max INTEGER,
    gateway_loop_ms_x10_min INTEGER, gateway_loop_ms_x10_avg INTEGER, gateway_loop_ms_x10_max INTEGER,
    PRIMARY KEY (device_no, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample_1h (
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    late INTEGER NOT NULL,
    claw_state INTEGER,
    claw_version_no INTEGER,
    memory_total_kib INTEGER,
    disk_total_kib INTEGER,
    cpu_pct_x100_min INTEGER, cpu_pct_x100_avg INTEGER, cpu_pct_x100_max INTEGER,
    load1_x100_min INTEGER, load1_x100_avg INTEGER, load1_x100_max INTEGER,
    memory_used_kib_min INTEGER, memory_used_kib_avg INTEGER, memory_used_kib_max INTEGER,
    swap_used_kib_min INTEGER, swap_used_kib_avg INTEGER, swap_used_kib_max INTEGER,
    disk_used_kib_min INTEGER, disk_used_kib_avg INTEGER, disk_used_kib_max INTEGER,
    network_up_min INTEGER, network_up_avg INTEGER, network_up_max INTEGER,
    network_down_min INTEGER, network_down_avg INTEGER, network_down_max INTEGER,
    temperature_x10_min INTEGER, temperature_x10_avg INTEGER, temperature_x10_max INTEGER,
    gateway_rss_kib_min INTEGER, gateway_rss_kib_avg INTEGER, gateway_rss_kib_max INTEGER,
    gateway_cpu_pct_x100_min INTEGER, gateway_cpu_pct_x100_avg INTEGER, gateway_cpu_pct_x100_max INTEGER,
    gateway_loop_ms_x10_min INTEGER, gateway_loop_ms_x10_avg INTEGER, gateway_loop_ms_x10_max INTEGER,
    PRIMARY KEY (device_no, at)
) STRICT, WITHOUT ROWID;

-- How far the present move has come: rows of `sample_hot` up to `up_to`, of devices up to `device_no`, are in `sample`.
CREATE TABLE settling (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    up_to INTEGER NOT NULL,
    device_no INTEGER NOT NULL
) STRICT;
INSERT INTO settling VALUES (1, 0, 9223372036854775807);

-- From when on each rung still has everything; what is older may be gone.
CREATE TABLE horizon (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    raw INTEGER NOT NULL,
    five_minutes INTEGER NOT NULL,
    hour INTEGER NOT NULL
) STRICT;
INSERT INTO horizon VALUES (1, 0, 0, 0);

-- All samples, wherever they are, each once.
CREATE VIEW samples_raw AS
SELECT
    device_no, at, spool_no, seq, late, claw_state, claw_version_no, cpu_pct_x100, load1_x100, memory_used_kib,
    memory_total_kib, swap_used_kib, disk_used_kib, disk_total_kib, network_up, network_down, temperature_x10,
    gateway_rss_kib, gateway_cpu_pct_x100, gateway_loop_ms_x10
FROM sample
UNION ALL
SELECT
    hot.device_no, at, spool_no, seq, late, claw_state, claw_version_no, cpu_pct_x100, load1_x100, memory_used_kib,
    memory_total_kib, swap_used_kib, disk_used_kib, disk_total_kib, network_up, network_down, temperature_x10,
    gateway_rss_kib, gateway_cpu_pct_x100, gateway_loop_ms_x10
FROM sample_hot hot, settling
WHERE NOT (hot.no <= settling.up_to AND hot.device_no <= settling.device_no);

-- For people with a SQL tool.
CREATE VIEW samples AS
SELECT
    device.id AS device,
    device.name AS device_name,
    strftime('%Y-%m-%dT%H:%M:%fZ', s.at / 1000.0, 'unixepoch') AS at,
    s.late AS back_filled,
    CASE s.claw_state
        WHEN 0 THEN 'not_installed' WHEN 1 THEN 'running' WHEN 2 THEN 'starting' WHEN 3 THEN 'draining'
        WHEN 4 THEN 'unknown' WHEN 5 THEN 'stopped' WHEN 6 THEN 'degraded' WHEN 7 THEN 'hung'
    END AS openclaw_state,
    claw_version.version AS openclaw_version,
    cpu_pct_x100 / 100.0 AS cpu_pct,
    load1_x100 / 100.0 AS load1,
    memory_used_kib * 1024 AS memory_used_bytes,
    memory_total_kib * 1024 AS memory_total_bytes,
    swap_used_kib * 1024 AS swap_used_bytes,
    disk_used_kib * 1024 AS disk_used_bytes,
    disk_total_kib * 1024 AS disk_total_bytes,
    network_up AS network_up_bytes_per_s,
    network_down AS network_down_bytes_per_s,
    temperature_x10 / 10.0 AS temperature_celsius,
    gateway_rss_kib * 1024 AS gateway_rss_bytes,
    gateway_cpu_pct_x100 / 100.0 AS gateway_cpu_pct,
    gateway_loop_ms_x10 / 10.0 AS gateway_event_loop_ms
FROM samples_raw s
JOIN device ON device.no = s.device_no
LEFT JOIN claw_version ON claw_version.no = s.claw_version_no;
