-- What somebody should know, from when to when. Title and detail are kept as they were told, in both languages.
CREATE TABLE alert (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    device_no INTEGER REFERENCES device (no) ON DELETE CASCADE,  -- NULL: of the whole fleet, or of the server
    rule TEXT NOT NULL,                   -- the word of the rule that fired it
    severity TEXT NOT NULL CHECK (severity IN ('critical', 'error', 'warning', 'info')),
    title_en TEXT NOT NULL,
    title_zh TEXT NOT NULL,
    detail_en TEXT,
    detail_zh TEXT,
    fired_at INTEGER NOT NULL,
    resolved_at INTEGER,                  -- NULL while it fires
    acknowledged_at INTEGER,
    acknowledged_by TEXT
) STRICT;

CREATE INDEX alert_by_time ON alert (fired_at, no);
CREATE INDEX alert_by_device ON alert (device_no, fired_at);
CREATE INDEX alert_firing ON alert (fired_at, no) WHERE resolved_at IS NULL;
