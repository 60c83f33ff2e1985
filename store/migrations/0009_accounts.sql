-- Grows with each change of name or tags by people: two who edit at once see each other.
ALTER TABLE device ADD COLUMN rev INTEGER NOT NULL DEFAULT 1;

-- A key that was replaced and goes on working for a while.
ALTER TABLE access_key ADD COLUMN expires_at INTEGER;
ALTER TABLE access_key ADD COLUMN last_used_at INTEGER;

-- When a key was used says nothing about who may do what: no server looks again for it.
DROP TRIGGER key_changed;
CREATE TRIGGER key_changed
AFTER UPDATE OF name, device_id, hash, publish, subscribe, revoked_at, expires_at ON access_key
BEGIN UPDATE registry SET version = version + 1; END;

ALTER TABLE person ADD COLUMN last_login_at INTEGER;
UPDATE person SET last_login_at = (SELECT max(created_at) FROM login WHERE login.person = person.name);

ALTER TABLE bearer_token ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE bearer_token ADD COLUMN last_used_at INTEGER;
ALTER TABLE bearer_token ADD COLUMN expires_at INTEGER;
UPDATE bearer_token SET id = lower(hex(randomblob(6)));
CREATE UNIQUE INDEX bearer_token_by_id ON bearer_token (id);

CREATE TABLE two_factor (
    person TEXT PRIMARY KEY REFERENCES person (name) ON DELETE CASCADE,
    secret BLOB NOT NULL,                 -- sealed with the key in secrets.key
    on_since INTEGER,                     -- NULL: shown to the person, and not confirmed with a code yet
    last_step INTEGER NOT NULL DEFAULT 0  -- the half minute of the last code: each is good once
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (
    person TEXT NOT NULL REFERENCES two_factor (person) ON DELETE CASCADE,
    hash BLOB NOT NULL,                   -- SHA-256; a code is gone when it was used
    PRIMARY KEY (person, hash)
) STRICT, WITHOUT ROWID;

-- What everybody may see without a login.
CREATE TABLE status_page (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    enabled INTEGER NOT NULL,
    title TEXT NOT NULL,
    note TEXT NOT NULL,
    devices TEXT NOT NULL,                -- JSON array of ids, in the order in which they are shown
    show_uptime INTEGER NOT NULL,
    show_reason INTEGER NOT NULL
) STRICT;
INSERT INTO status_page VALUES (1, 0, '', '', '[]', 1, 0);
