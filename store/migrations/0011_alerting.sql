-- Rules that judge, channels that tell, and what was told to whom.

-- Which rule, about what of the device, and of which devices when several are one alert.
ALTER TABLE alert ADD COLUMN rule_no INTEGER REFERENCES alert_rule (no) ON DELETE SET NULL;
ALTER TABLE alert ADD COLUMN key TEXT;                -- rule, device and subject: one alert fires of each
ALTER TABLE alert ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN members TEXT;            -- JSON array of device ids
ALTER TABLE alert ADD COLUMN flapping INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alert ADD COLUMN hidden_by TEXT;          -- the key of the alert that explains it
CREATE UNIQUE INDEX alert_firing_key ON alert (key) WHERE resolved_at IS NULL AND key IS NOT NULL;

CREATE TABLE alert_rule (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    body TEXT NOT NULL,                   -- JSON
    rev INTEGER NOT NULL DEFAULT 1
) STRICT;

-- What the engine remembers of a rule and a device, while there is anything to remember.
CREATE TABLE alert_state (
    key TEXT PRIMARY KEY,
    body TEXT NOT NULL                    -- JSON
) STRICT, WITHOUT ROWID;

-- What was judged so far, and what holds for all rules.
CREATE TABLE alerting (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    event_no INTEGER NOT NULL,
    error_no INTEGER NOT NULL,
    judged_at INTEGER NOT NULL,
    kinds TEXT NOT NULL,                  -- JSON array: kinds of rules that were given their default rule
    settings TEXT NOT NULL,               -- JSON
    rev INTEGER NOT NULL DEFAULT 1
) STRICT;
INSERT INTO alerting VALUES (1, 0, 0, 0, '[]', '{}', 1);

-- Silence: alerts fire and nobody is told. Maintenance: they do not fire.
CREATE TABLE alert_pause (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('silence', 'maintenance')),
    body TEXT NOT NULL,                   -- JSON: of what, when, why
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    ends_at INTEGER,                      -- NULL: again and again
    rev INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE channel (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    body TEXT NOT NULL,                   -- JSON: what is no secret
    secrets BLOB,                         -- JSON, sealed with the key in secrets.key
    made_at INTEGER NOT NULL,
    rev INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

-- One notification to one channel.
CREATE TABLE delivery (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,              -- the same in each attempt: whoever gets it twice knows by it
    channel_id TEXT NOT NULL REFERENCES channel (id) ON DELETE CASCADE,
    alert_no INTEGER REFERENCES alert (no) ON DELETE CASCADE,
    occasion TEXT NOT NULL,
    body TEXT NOT NULL,                   -- JSON: what is told
    state TEXT NOT NULL CHECK (state IN ('waiting', 'held', 'sent', 'failed', 'skipped')),
    why TEXT,                             -- why it is held, was skipped or has failed
    made_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    done_at INTEGER,
    tries INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX delivery_due ON delivery (channel_id, due_at) WHERE state IN ('waiting', 'held');
CREATE INDEX delivery_by_time ON delivery (made_at, no);
CREATE INDEX delivery_by_alert ON delivery (alert_no);

CREATE TABLE attempt (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_no INTEGER NOT NULL REFERENCES delivery (no) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    answer TEXT NOT NULL                  -- of the other side, shortened, without secrets
) STRICT;
CREATE INDEX attempt_by_delivery ON attempt (delivery_no);

-- What a channel calls its message about an alert, so that it can be changed.
CREATE TABLE delivery_handle (
    channel_id TEXT NOT NULL REFERENCES channel (id) ON DELETE CASCADE,
    alert_no INTEGER NOT NULL REFERENCES alert (no) ON DELETE CASCADE,
    handle TEXT NOT NULL,
    PRIMARY KEY (channel_id, alert_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_handle_by_alert ON delivery_handle (alert_no);
