-- What people, scripts and the command line did here, in their order. Never keys, hashes, passwords, cookies.
CREATE TABLE audit_log (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('user', 'token', 'cli', 'server')),
    actor TEXT NOT NULL,
    address TEXT,                         -- IP address; NULL for the command line and the server
    action TEXT NOT NULL,                 -- such as 'device.rename'
    subject_kind TEXT,
    subject_id TEXT,
    subject_name TEXT,                    -- as it was called then
    before TEXT,                          -- JSON
    after TEXT,                           -- JSON
    count INTEGER NOT NULL DEFAULT 1,     -- refused logins: how many alike, until last_at
    last_at INTEGER
) STRICT;

CREATE INDEX audit_log_by_time ON audit_log (at);
CREATE INDEX audit_log_refused ON audit_log (at) WHERE action = 'login.refused';
