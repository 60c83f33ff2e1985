-- Errors can be searched, and are counted over the fleet by what alike ones have in common. Events have a time axis of
-- their own, on which the server stands beside the devices.

CREATE INDEX error_record_by_fingerprint ON error_record (fingerprint, at);

-- Trigrams: any part of a word is found, and of Chinese text, too. The text itself stays in error_record.
CREATE VIRTUAL TABLE error_text USING fts5 (
    message, subsystem, error_name, stack,
    content = 'error_record', content_rowid = 'no', tokenize = 'trigram'
);

CREATE TRIGGER error_record_added AFTER INSERT ON error_record BEGIN
    INSERT INTO error_text (rowid, message, subsystem, error_name, stack)
    VALUES (new.no, new.message, new.subsystem, new.error_name, new.stack);
END;

-- An index over another table must be told the words that go, or it keeps them for ever.
CREATE TRIGGER error_record_removed AFTER DELETE ON error_record BEGIN
    INSERT INTO error_text (error_text, rowid, message, subsystem, error_name, stack)
    VALUES ('delete', old.no, old.message, old.subsystem, old.error_name, old.stack);
END;

CREATE TRIGGER error_record_changed AFTER UPDATE OF message, subsystem, error_name, stack ON error_record BEGIN
    INSERT INTO error_text (error_text, rowid, message, subsystem, error_name, stack)
    VALUES ('delete', old.no, old.message, old.subsystem, old.error_name, old.stack);
    INSERT INTO error_text (rowid, message, subsystem, error_name, stack)
    VALUES (new.no, new.message, new.subsystem, new.error_name, new.stack);
END;

-- What alike records of all devices are together. Its totals outlive the records.
CREATE TABLE error_group (
    fingerprint TEXT PRIMARY KEY,
    -- Of the newest record, and whose that is.
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    subsystem TEXT,
    error_name TEXT,
    sample_device_no INTEGER NOT NULL,
    first_seen_at INTEGER NOT NULL,       -- when it happened, not when it was told
    last_seen_at INTEGER NOT NULL,
    count INTEGER NOT NULL,               -- the sum over error_group_device
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved', 'ignored')),
    state_at INTEGER,
    state_by TEXT,                        -- who said so; NULL when it opened again by itself
    reopened_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX error_group_by_time ON error_group (last_seen_at);

CREATE TABLE error_group_device (
    fingerprint TEXT NOT NULL REFERENCES error_group (fingerprint) ON DELETE CASCADE,
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    version TEXT NOT NULL,                -- of OpenClaw; '' when it is not known
    count INTEGER NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (fingerprint, device_no, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX error_group_device_by_device ON error_group_device (device_no);

CREATE TABLE error_group_hour (
    fingerprint TEXT NOT NULL REFERENCES error_group (fingerprint) ON DELETE CASCADE,
    hour INTEGER NOT NULL,                -- hours since 1970
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    count INTEGER NOT NULL,
    PRIMARY KEY (fingerprint, hour, device_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX error_group_hour_by_device ON error_group_hour (device_no);
CREATE INDEX error_group_hour_by_hour ON error_group_hour (hour);

-- A device that is removed takes its share along.
CREATE TRIGGER error_group_device_removed AFTER DELETE ON error_group_device BEGIN
    UPDATE error_group SET
        count = count - old.count,
        first_seen_at = coalesce(
            (SELECT min(d.first_seen_at) FROM error_group_device d WHERE d.fingerprint = old.fingerprint), first_seen_at),
        last_seen_at = coalesce(
            (SELECT max(d.last_seen_at) FROM error_group_device d WHERE d.fingerprint = old.fingerprint), last_seen_at)
    WHERE fingerprint = old.fingerprint;
    DELETE FROM error_group WHERE fingerprint = old.fingerprint
        AND NOT EXISTS (SELECT 1 FROM error_group_device d WHERE d.fingerprint = old.fingerprint);
END;

-- What was recorded before.
INSERT INTO error_text (error_text) VALUES ('rebuild');

-- Of a query with one max(), the other columns are of the row that has it.
INSERT INTO error_group (fingerprint, level, message, subsystem, error_name, sample_device_no, first_seen_at,
    last_seen_at, count)
SELECT fingerprint, level, message, subsystem, error_name, device_no, 0, max(at), sum(count)
FROM error_record GROUP BY fingerprint;

INSERT INTO error_group_device (fingerprint, device_no, version, count, first_seen_at, last_seen_at)
SELECT fingerprint, device_no, coalesce(version, ''), sum(count), min(at), max(at)
FROM error_record GROUP BY 1, 2, 3;

UPDATE error_group SET first_seen_at =
    (SELECT min(d.first_seen_at) FROM error_group_device d WHERE d.fingerprint = error_group.fingerprint);

INSERT INTO error_group_hour (fingerprint, hour, device_no, count)
SELECT fingerprint, at / 3600000, device_no, sum(count) FROM error_record GROUP BY 1, 2, 3;

-- An event without a device is the server's own.
CREATE TABLE event_of_all (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    device_no INTEGER REFERENCES device (no) ON DELETE CASCADE,
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

INSERT INTO event_of_all
SELECT no, device_no, at, received_at, kind, gateway, before, after, reason, duration_ms, count, activity FROM event;
DROP TABLE event;
ALTER TABLE event_of_all RENAME TO event;

CREATE INDEX event_by_time ON event (at);
CREATE INDEX event_by_device ON event (device_no, at);
-- Activities are very many, and most questions are not about them.
CREATE INDEX event_news_by_time ON event (at) WHERE kind <> 'activity';
CREATE INDEX event_news_by_device ON event (device_no, at) WHERE kind <> 'activity';
