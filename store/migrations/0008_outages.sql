-- When the server ran. Between two runs nothing is known of any device.
CREATE TABLE server_run (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at INTEGER NOT NULL,
    alive_at INTEGER NOT NULL,            -- noted every half minute
    stopped_at INTEGER,                   -- NULL: it runs, or it ended without being asked to
    version TEXT NOT NULL
) STRICT;

-- Spans in which a device was offline, by the server's clock.
CREATE TABLE outage (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    from_at INTEGER NOT NULL,
    to_at INTEGER,                        -- NULL: it lasts
    reason TEXT,                          -- what was known when it began
    boot_before TEXT,                     -- the host's boot
    boot_after TEXT,
    label TEXT,                           -- what it was, found out when the device was back
    claw_kept_running INTEGER             -- by what was measured meanwhile; NULL: nothing was
) STRICT;

CREATE INDEX outage_by_device ON outage (device_no, from_at);
CREATE INDEX outage_by_time ON outage (from_at);
CREATE INDEX outage_by_end ON outage (to_at);

INSERT INTO outage (device_no, from_at, to_at, reason)
SELECT
    gone.device_no,
    gone.received_at,
    (
        SELECT min(back.received_at) FROM presence back
        WHERE back.device_no = gone.device_no AND back.online AND back.rowid > gone.rowid
            AND back.received_at >= gone.received_at
    ),
    gone.reason
FROM (
    SELECT
        rowid, device_no, received_at, online, reason,
        lag(online) OVER (PARTITION BY device_no ORDER BY received_at, rowid) AS before
    FROM presence
) gone
WHERE NOT gone.online AND gone.before
ORDER BY gone.received_at;
