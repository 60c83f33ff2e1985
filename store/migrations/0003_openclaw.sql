-- What OpenClaw used, for ever: whole totals of a quarter of an hour, one model, one OpenClaw agent, one reason.
CREATE TABLE usage (
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    quarter INTEGER NOT NULL,             -- quarters of an hour since 1970
    kind_no INTEGER NOT NULL REFERENCES usage_kind (no) ON DELETE CASCADE,
    ledger_no INTEGER NOT NULL REFERENCES usage_ledger (no) ON DELETE CASCADE,
    -- 0: another ledger of this device knows more of this quarter, and both would count the same tokens.
    counted INTEGER NOT NULL DEFAULT 1,
    turns INTEGER NOT NULL,
    error_turns INTEGER NOT NULL,
    unmetered_turns INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    PRIMARY KEY (device_no, quarter, kind_no, ledger_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_by_kind ON usage (kind_no);

CREATE TABLE usage_kind (
    no INTEGER PRIMARY KEY,
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    agent TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    UNIQUE (device_no, provider, model, agent, "trigger")
) STRICT;

CREATE TABLE usage_ledger (
    no INTEGER PRIMARY KEY,
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    ledger TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    UNIQUE (device_no, ledger)
) STRICT;

-- The sum of a device's counted rows, so that it need not be made anew at every start.
CREATE TABLE usage_total (
    device_no INTEGER PRIMARY KEY REFERENCES device (no) ON DELETE CASCADE,
    turns INTEGER NOT NULL,
    error_turns INTEGER NOT NULL,
    unmetered_turns INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL
) STRICT;

-- Errors and crashes, redacted on the device.
CREATE TABLE error_record (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    level TEXT NOT NULL,
    gateway TEXT NOT NULL,
    subsystem TEXT,
    message TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    count INTEGER NOT NULL,
    error_name TEXT,
    reason TEXT,
    provider TEXT,
    model TEXT,
    agent TEXT,
    version TEXT,
    stack TEXT,
    context TEXT                          -- JSON array of lines
) STRICT;

CREATE INDEX error_record_by_time ON error_record (at);
CREATE INDEX error_record_by_device ON error_record (device_no, at);

-- What happened on devices.
CREATE TABLE event (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    gateway TEXT,
    before TEXT,
    after TEXT,
    reason TEXT,
    duration_ms INTEGER,
    count INTEGER,
    activity TEXT                         -- JSON
) STRICT;

CREATE INDEX event_by_device ON event (device_no, at);

-- The last security audit of each device.
CREATE TABLE audit (
    device_no INTEGER PRIMARY KEY REFERENCES device (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    body TEXT NOT NULL                    -- the payload
) STRICT;
