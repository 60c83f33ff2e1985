//! The ledger's file: totals, the keys of everything that is in them, and how far each source has been read.
//!
//! All three change in one transaction, so whatever moment the process or the power fails, an event is in the totals exactly
//! when its key is there, and what was read and lost is read again. WAL without a sync at each commit is enough for that.
//!
//! The file holds no text but the names of models, providers and agents. Sessions and files are there as hashes.

#[cfg(test)]
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::{SpoolId, Timestamp, UsageRow, UsageTrigger};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use tracing::warn;

use super::event::{Counts, Turn};
use super::trigger::{Class, Prompt};

/// Tells our file from those of others.
const APPLICATION: i64 = 0x4f43_5755;
/// The layout that this version knows.
const LAYOUT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Every event that is in the totals, by 64 bits of a hash.
CREATE TABLE seen (key INTEGER PRIMARY KEY);
CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE total (
  quarter INTEGER NOT NULL, provider INTEGER NOT NULL, model INTEGER NOT NULL, agent INTEGER NOT NULL,
  cause INTEGER NOT NULL,
  turns INTEGER NOT NULL, error_turns INTEGER NOT NULL, unmetered_turns INTEGER NOT NULL,
  input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,
  reasoning INTEGER NOT NULL, cost_nano_usd INTEGER NOT NULL, unpriced INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  PRIMARY KEY (quarter, provider, model, agent, cause)
) WITHOUT ROWID;
CREATE INDEX total_changed ON total (quarter) WHERE changed = 1;
-- A file or database of OpenClaw: what it was when it was last read to its end, and where reading stopped.
CREATE TABLE source (
  id INTEGER PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, log_size INTEGER NOT NULL,
  log_modified INTEGER NOT NULL, offset INTEGER NOT NULL, anchor INTEGER NOT NULL, prompt INTEGER NOT NULL,
  state INTEGER NOT NULL
);
-- A session in a database: the last row that was read.
CREATE TABLE session (
  source INTEGER NOT NULL, id INTEGER NOT NULL, seq INTEGER NOT NULL, generation INTEGER NOT NULL,
  updated INTEGER NOT NULL, prompt INTEGER NOT NULL,
  PRIMARY KEY (source, id)
) WITHOUT ROWID;
-- What kind of session an id is, which its archives no longer tell.
CREATE TABLE class (id INTEGER PRIMARY KEY, class INTEGER NOT NULL);
";

/// How much of a source has been read. The numbers stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// Not to its end.
    #[default]
    Part = 0,
    /// To its end, but perhaps so soon after a change that another one bears the same time.
    Fresh = 1,
    /// To its end, and nothing had changed when it was looked at again.
    Settled = 2,
}

/// What a file looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stat {
    pub(super) size: i64,
    pub(super) modified: i64,
    pub(super) log_size: i64,
    pub(super) log_modified: i64,
}

/// How far a file or database has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Source {
    pub(super) stat: Stat,
    /// In bytes of what is in the file, uncompressed.
    pub(super) offset: i64,
    /// A hash of the bytes before the offset.
    pub(super) anchor: i64,
    pub(super) prompt: Prompt,
    pub(super) state: State,
}

/// How far a session in a database has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) seq: i64,
    pub(super) generation: i64,
    pub(super) updated: i64,
    pub(super) prompt: Prompt,
}

/// The file, or its replacement in memory.
#[derive(Debug)]
pub(super) struct Book {
    db: Connection,
    id: SpoolId,
    /// Events added since the last commit, while a transaction is open.
    pending: usize,
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is damaged")]
    Damaged,
    #[error("it is not a ledger")]
    Foreign,
    #[error("a later version of the agent wrote it")]
    Newer,
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl Book {
    /// Opens the file. One that cannot be used is moved aside and another begins; where no file can be, memory serves.
    pub(super) fn open(path: Option<&Path>, now: Timestamp) -> Self {
        if let Some(path) = path {
            match Self::at(path) {
                Ok(book) => return book,
                Err(error) if can_be_moved(&error) => {
                    let aside = with_suffix(path, &format!(".damaged-{}", now.as_millis()));
                    warn!(
                        path = %path.display(), %error, aside = %aside.display(),
                        "the token ledger cannot be used; it is moved aside, and what is on the disk is counted anew",
                    );
                    match move_aside(path, &aside).map_err(Unusable::from_io).and_then(|()| Self::at(path)) {
                        Ok(book) => return book,
                        Err(error) => in_memory(path, &error),
                    }
                }
                Err(error) => in_memory(path, &error),
            }
        }
        let db = Connection::open_in_memory().and_then(|db| prepare(&db).map(|()| db));
        // With nothing but memory to open, only the lack of it can stand in the way.
        let db = db.expect("a database can be made in memory");
        let id = SpoolId::generate();
        Self { db, id, pending: 0 }
    }

    fn at(path: &Path) -> Result<Self, Unusable> {
        make_private(path).map_err(Unusable::from_io)?;
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(2))?;
        let number = |pragma: &str| db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            prepare(&db)?;
        } else if number("application_id")? != APPLICATION {
            return Err(Unusable::Foreign);
        } else if number("user_version")? != LAYOUT {
            return Err(Unusable::Newer);
        } else {
            let sound: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if sound != "ok" {
                return Err(Unusable::Damaged);
            }
        }
        tune(&db)?;
        let id: String = db.query_row("SELECT value FROM meta WHERE name = 'id'", [], |row| row.get(0))?;
        let id = SpoolId::parse(&id).map_err(|_| Unusable::Damaged)?;
        Ok(Self { db, id, pending: 0 })
    }

    pub(super) fn id(&self) -> SpoolId {
        self.id
    }

    /// Opens the transaction that everything until [`Book::commit`] belongs to.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.pending = 0;
        self.db.execute_batch("BEGIN IMMEDIATE")
    }

    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        self.pending = 0;
        self.db.execute_batch("COMMIT")
    }

    pub(super) fn roll_back(&mut self) {
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            warn!(%error, "the token ledger could not be rolled back");
        }
    }

    /// Keeps what was read so far, now and then. To be called only when a cursor says how far that is.
    pub(super) fn keep(&mut self, every: usize) -> rusqlite::Result<()> {
        if self.pending < every {
            return Ok(());
        }
        self.commit()?;
        self.begin()
    }

    /// Adds a turn to the totals, unless it is in them. Says whether it was not.
    pub(super) fn add(&mut self, turn: &Turn, agent: &str, cause: UsageTrigger) -> rusqlite::Result<bool> {
        self.pending += 1;
        let mut insert = self.db.prepare_cached("INSERT OR IGNORE INTO seen (key) VALUES (?1)")?;
        if insert.execute([turn.key])? == 0 {
            return Ok(false);
        }
        let provider = self.name(&turn.provider)?;
        let model = self.name(&turn.model)?;
        let agent = self.name(agent)?;
        let key = [turn.quarter(), provider, model, agent, stored(cause)];
        self.db
            .prepare_cached(
                "INSERT INTO total VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,1)
                 ON CONFLICT DO UPDATE SET
                   turns = min(turns + excluded.turns, 1 << 44),
                   error_turns = min(error_turns + excluded.error_turns, 1 << 44),
                   unmetered_turns = min(unmetered_turns + excluded.unmetered_turns, 1 << 44),
                   input = min(input + excluded.input, 1 << 44),
                   output = min(output + excluded.output, 1 << 44),
                   cache_read = min(cache_read + excluded.cache_read, 1 << 44),
                   cache_write = min(cache_write + excluded.cache_write, 1 << 44),
                   reasoning = min(reasoning + excluded.reasoning, 1 << 44),
                   cost_nano_usd = min(cost_nano_usd + excluded.cost_nano_usd, 1 << 44),
                   unpriced = min(unpriced + excluded.unpriced, 1 << 44),
                   changed = 1",
            )?
            .execute(params_from_iter(key.into_iter().chain(turn.counts.columns())))?;
        Ok(true)
    }

    fn name(&self, text: &str) -> rusqlite::Result<i64> {
        let mut find = self.db.prepare_cached("SELECT id FROM name WHERE text = ?1")?;
        if let Some(id) = find.query_row([text], |row| row.get(0)).optional()? {
            return Ok(id);
        }
        self.db.prepare_cached("INSERT INTO name (text) VALUES (?1)")?.insert([text])
    }

    pub(super) fn source(&self, id: i64) -> rusqlite::Result<Source> {
        let found = self
            .db
            .prepare_cached(
                "SELECT size, modified, log_size, log_modified, offset, anchor, prompt, state FROM source WHERE id = ?1",
            )?
            .query_row([id], |row| {
                Ok(Source {
                    stat: Stat {
                        size: row.get(0)?,
                        modified: row.get(1)?,
                        log_size: row.get(2)?,
                        log_modified: row.get(3)?,
                    },
                    offset: row.get(4)?,
                    anchor: row.get(5)?,
                    prompt: Prompt::from_stored(row.get(6)?),
                    state: match row.get::<_, i64>(7)? {
                        1 => State::Fresh,
                        2 => State::Settled,
                        _ => State::Part,
                    },
                })
            })
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    pub(super) fn set_source(&mut self, id: i64, source: &Source) -> rusqlite::Result<()> {
        let Source { stat, offset, anchor, prompt, state } = *source;
        self.db
            .prepare_cached("INSERT OR REPLACE INTO source VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                id,
                stat.size,
                stat.modified,
                stat.log_size,
                stat.log_modified,
                offset,
                anchor,
                prompt as i64,
                state as i64
            ])?;
        Ok(())
    }

    pub(super) fn cursor(&self, source: i64, session: i64) -> rusqlite::Result<Option<Cursor>> {
        self.db
            .prepare_cached(
                "SELECT seq, generation, updated, prompt FROM session WHERE source = ?1 AND id = ?2",
            )?
            .query_row([source, session], |row| {
                Ok(Cursor {
                    seq: row.get(0)?,
                    generation: row.get(1)?,
                    updated: row.get(2)?,
                    prompt: Prompt::from_stored(row.get(3)?),
                })
            })
            .optional()
    }

    pub(super) fn set_cursor(&mut self, source: i64, session: i64, cursor: Cursor) -> rusqlite::Result<()> {
        self.db.prepare_cached("INSERT OR REPLACE INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
            params![source, session, cursor.seq, cursor.generation, cursor.updated, cursor.prompt as i64],
        )?;
        Ok(())
    }

    pub(super) fn class(&self, session: i64) -> rusqlite::Result<Class> {
        let found: Option<i64> = self
            .db
            .prepare_cached("SELECT class FROM class WHERE id = ?1")?
            .query_row([session], |row| row.get(0))
            .optional()?;
        Ok(found.map_or(Class::Unknown, Class::from_stored))
    }

    pub(super) fn set_class(&mut self, session: i64, class: Class) -> rusqlite::Result<()> {
        if class != Class::Unknown {
            self.db
                .prepare_cached(
                    "INSERT INTO class VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET class = excluded.class WHERE class <> excluded.class",
                )?
                .execute([session, class as i64])?;
        }
        Ok(())
    }

    pub(super) fn changed(&self, limit: usize) -> rusqlite::Result<Vec<UsageRow>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows(
            "WHERE total.changed = 1 ORDER BY quarter DESC, provider, model, agent, cause LIMIT ?1",
            limit,
        )
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> rusqlite::Result<Vec<UsageRow>> {
        self.rows("ORDER BY quarter, provider, model, agent, cause LIMIT ?1", i64::MAX)
    }

    /// Sums of all time, by provider and model.
    #[cfg(test)]
    pub(super) fn totals(&self) -> rusqlite::Result<BTreeMap<(String, String), Counts>> {
        let mut sums = self.db.prepare(
            "SELECT p.text, m.text, sum(turns), sum(error_turns), sum(unmetered_turns), sum(input), sum(output),
                    sum(cache_read), sum(cache_write), sum(reasoning), sum(cost_nano_usd), sum(unpriced)
             FROM total JOIN name p ON p.id = provider JOIN name m ON m.id = model GROUP BY provider, model",
        )?;
        sums.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), read_counts(row, 2)?)))?.collect()
    }

    fn rows(&self, which: &str, limit: i64) -> rusqlite::Result<Vec<UsageRow>> {
        let sql = format!(
            "SELECT quarter, p.text, m.text, a.text, cause, turns, error_turns, unmetered_turns, input, output,
                    cache_read, cache_write, reasoning, cost_nano_usd, unpriced
             FROM total JOIN name p ON p.id = provider JOIN name m ON m.id = model JOIN name a ON a.id = agent
             {which}"
        );
        self.db.prepare_cached(&sql)?.query_map([limit], read_row)?.collect()
    }

    /// A row that grew meanwhile stays marked: each event in it is a turn more.
    pub(super) fn mark_spooled(&mut self, rows: &[UsageRow]) -> rusqlite::Result<()> {
        let transaction = self.db.transaction()?;
        {
            let mut mark = transaction.prepare_cached(
                "UPDATE total SET changed = 0
                 WHERE quarter = ?1 AND provider = (SELECT id FROM name WHERE text = ?2)
                   AND model = (SELECT id FROM name WHERE text = ?3)
                   AND agent = (SELECT id FROM name WHERE text = ?4) AND cause = ?5 AND turns = ?6",
            )?;
            for row in rows {
                let turns = i64::try_from(row.turns).unwrap_or(i64::MAX);
                mark.execute(params![
                    row.quarter.as_millis(),
                    row.provider,
                    row.model,
                    row.agent,
                    stored(row.trigger),
                    turns
                ])?;
            }
        }
        transaction.commit()
    }

    pub(super) fn mark_all_changed(&mut self) -> rusqlite::Result<()> {
        self.db.execute("UPDATE total SET changed = 1 WHERE changed = 0", []).map(drop)
    }
}

impl Unusable {
    fn from_io(error: io::Error) -> Self {
        Self::Sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

fn read_counts(row: &Row<'_>, from: usize) -> rusqlite::Result<Counts> {
    let mut columns = [0; 10];
    for (at, column) in columns.iter_mut().enumerate() {
        *column = row.get(at + from)?;
    }
    Ok(Counts::from_columns(columns))
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<UsageRow> {
    let counts = read_counts(row, 5)?;
    Ok(UsageRow {
        quarter: Timestamp(row.get(0)?),
        provider: row.get(1)?,
        model: row.get(2)?,
        agent: row.get(3)?,
        trigger: cause(row.get(4)?),
        turns: counts.turns,
        error_turns: counts.error_turns,
        unmetered_turns: counts.unmetered_turns,
        input: counts.input,
        output: counts.output,
        cache_read: counts.cache_read,
        cache_write: counts.cache_write,
        reasoning: counts.reasoning,
        cost_nano_usd: counts.cost_nano_usd,
        unpriced: counts.unpriced,
    })
}

fn stored(cause: UsageTrigger) -> i64 {
    match cause {
        UsageTrigger::Unknown => 0,
        UsageTrigger::Human => 1,
        UsageTrigger::Heartbeat => 2,
        UsageTrigger::Cron => 3,
        UsageTrigger::SubAgent => 4,
    }
}

fn cause(stored: i64) -> UsageTrigger {
    match stored {
        1 => UsageTrigger::Human,
        2 => UsageTrigger::Heartbeat,
        3 => UsageTrigger::Cron,
        4 => UsageTrigger::SubAgent,
        _ => UsageTrigger::Unknown,
    }
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    let id = SpoolId::generate();
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE; {SCHEMA}
         INSERT INTO meta VALUES ('id', '{id}');
         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {LAYOUT}; COMMIT;"
    ))
}

fn tune(db: &Connection) -> rusqlite::Result<()> {
    // Half a megabyte of pages is plenty for what changes in a minute; the first scan takes some more from the system's cache.
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -1024; PRAGMA mmap_size = 0;
         PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 4194304; PRAGMA temp_store = MEMORY;",
    )
}

/// Whether the file itself is at fault, rather than its folder, the disk or another process.
fn can_be_moved(error: &Unusable) -> bool {
    use rusqlite::ErrorCode;
    match error {
        Unusable::Damaged
        | Unusable::Foreign
        | Unusable::Newer
        | Unusable::Sqlite(rusqlite::Error::QueryReturnedNoRows) => true,
        Unusable::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => {
            // "Unknown" is plain SQL that failed: a table that is missing.
            matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
        }
        Unusable::Sqlite(_) => false,
    }
}

fn in_memory(path: &Path, error: &Unusable) {
    warn!(
        path = %path.display(), %error,
        "the token ledger cannot be kept on the disk; counting in memory, and anew after each start",
    );
}

fn move_aside(path: &Path, aside: &Path) -> io::Result<()> {
    std::fs::rename(path, aside)?;
    // Their log belongs to them; left behind it would be taken for the log of the new file.
    for suffix in ["-wal", "-shm"] {
        match std::fs::rename(with_suffix(path, suffix), with_suffix(aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
