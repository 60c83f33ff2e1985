//! Copies of the database: made beside a running server, checked before they get their name, and put back.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use crate::audit_log::{self, Actor, Deed};
use crate::open::{FILE, beside, damage, inspect, protect};
use crate::{Doing as _, Error, Store};

/// How often somebody is told how far a copy is.
const TELL: Duration = Duration::from_millis(200);
/// How often a copy under way is looked at, and how much of it is brought onto the disk at once.
const LOOK: Duration = Duration::from_millis(20);
const AT_ONCE: u64 = 4 << 20;
/// Tables whose rows nobody expires: a copy has as many, unless somebody removes one meanwhile.
const LASTING: [&str; 6] = ["device", "access_key", "person", "bearer_token", "usage_kind", "usage_ledger"];

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bytes that are written, and how many it will be, more or less.
    Copying(u64, u64),
    /// All is written and is read again.
    Checking,
}

/// A copy that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where.
    pub file: PathBuf,
    /// How large.
    pub bytes: u64,
}

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The database that was there before; `None` when there was none.
    pub kept: Option<PathBuf>,
    /// How large the restored one is.
    pub bytes: u64,
}

/// What this program may still write to the file system of a folder; `None` when the system does not tell.
#[cfg(unix)]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// What this program may still write to the file system of a folder; `None` when the system does not tell.
#[cfg(not(unix))]
pub fn free_bytes(_: &Path) -> Option<u64> {
    None
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::File { path: path.to_owned(), source }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A connection that cannot change the file. One without a log beside it is not given one either.
async fn look_into(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let alone = fs::metadata(beside(path, "-wal")).map_or(true, |meta| meta.len() == 0);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(alone)
        .disable_statement_logging();
    options.connect().await
}

/// What only ever grows, or stays: for telling whether a copy lacks something.
async fn marks(connection: &mut SqliteConnection) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    let mut marks = BTreeMap::new();
    for table in LASTING {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        marks.insert(table.to_owned(), sqlx::query_scalar(sql).fetch_one(&mut *connection).await?);
    }
    // The greatest number ever given: expiring does not bring it back.
    for row in sqlx::query("SELECT name, seq FROM sqlite_sequence").fetch_all(&mut *connection).await? {
        marks.insert(format!("{} ever", row.get::<&str, _>("name")), row.get("seq"));
    }
    Ok(marks)
}

/// What a copy has less of than both before and after it was made.
fn missing(
    copy: &BTreeMap<String, i64>,
    before: &BTreeMap<String, i64>,
    after: &BTreeMap<String, i64>,
) -> Option<String> {
    before.iter().find_map(|(name, old)| {
        let least = (*old).min(after.get(name).copied().unwrap_or(0));
        let there = copy.get(name).copied().unwrap_or(0);
        (there < least).then(|| format!("{name}: {there} of {least}"))
    })
}

async fn quick_check(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query("PRAGMA quick_check(10)").fetch_all(connection).await?;
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(if lines == ["ok"] { vec![] } else { lines })
}

/// Bytes of a copy, as far as can be told: pages in use.
async fn copy_bytes(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let mut number = async |sql: &'static str| -> Result<u64, sqlx::Error> {
        let n: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
        Ok(u64::try_from(n).unwrap_or(0))
    };
    let pages = number("PRAGMA page_count").await?;
    let free = number("PRAGMA freelist_count").await?;
    Ok(pages.saturating_sub(free).saturating_mul(number("PRAGMA page_size").await?))
}

/// Writes all that `from` sees into a new file, whole on the disk when this returns.
async fn copy(
    from: &mut SqliteConnection,
    to: &Path,
    spare_bytes: u64,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<u64, Error> {
    let doing = "copying the database";
    let expected = copy_bytes(from).await.doing(doing)?;
    let needed = expected.saturating_add(spare_bytes);
    if let Some(free) = free_bytes(folder_of(to)).filter(|free| *free < needed) {
        return Err(Error::NoRoom { path: folder_of(to).to_owned(), needed, free });
    }
    // What an earlier try left. An empty file is taken by SQLite, and is nobody else's to read from the beginning on.
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(to)(error)),
        _ => {}
    }
    fs::File::create_new(to).and_then(|_| protect(to)).map_err(file_error(to))?;
    let copied = {
        let copying = sqlx::query("VACUUM INTO ?").bind(to.to_string_lossy().into_owned()).execute(from);
        tokio::pin!(copying);
        let (mut tick, mut look) = (tokio::time::interval(TELL), tokio::time::interval(LOOK));
        let mut safe = 0;
        loop {
            tokio::select! {
                done = &mut copying => break done,
                _ = tick.tick() => {
                    let written = fs::metadata(to).map_or(0, |meta| meta.len());
                    tell(Progress::Copying(written.min(expected), expected));
                }
                _ = look.tick() => safe = sync_some(to, safe).await,
            }
        }
    };
    if let Err(source) = copied {
        // Best effort: it is removed at the next try, too.
        drop(fs::remove_file(to));
        return Err(Error::Sql { doing, source });
    }
    let file = fs::File::open(to).map_err(file_error(to))?;
    file.sync_all().map_err(file_error(to))?;
    file.metadata().map(|meta| meta.len()).map_err(file_error(to))
}

/// Brings what a growing file has more than `safe` bytes onto the disk, if it is worth it, and tells how much is there then.
/// The file is made whole on the disk at its end; until then hundreds of megabytes would pile up in memory, and on many file
/// systems whoever wants a commit on the disk waits for all of them.
async fn sync_some(path: &Path, safe: u64) -> u64 {
    let written = fs::metadata(path).map_or(0, |meta| meta.len());
    if written < safe.saturating_add(AT_ONCE) {
        return safe;
    }
    let path = path.to_owned();
    // Best effort: what fails here fails at the end, where it is told.
    let done =
        tokio::task::spawn_blocking(move || fs::File::open(path).and_then(|file| file.sync_data())).await;
    drop(done);
    written
}

/// Gives a file its name, and never another file's.
fn name(draft: &Path, path: &Path) -> Result<(), Error> {
    let taken = |path: &Path| Error::Exists { path: path.to_owned() };
    match fs::hard_link(draft, path) {
        Ok(()) => drop(fs::remove_file(draft)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(path)),
        // Some file systems have no links.
        Err(_) if path.exists() => return Err(taken(path)),
        Err(_) => fs::rename(draft, path).map_err(file_error(path))?,
    }
    sync_folder(path);
    Ok(())
}

/// Names are safe on the disk, too. Where that cannot be asked for, it is the system's business.
fn sync_folder(path: &Path) {
    drop(fs::File::open(folder_of(path)).and_then(|folder| folder.sync_all()));
}

impl Store {
    /// A complete copy of the database, made while it is in use. It is written to `to` with `.partial` at the end, read
    /// again, and gets its name when it is whole; a file that is there already is never touched. So many bytes are left
    /// free beside it.
    pub async fn backup(
        &self,
        to: &Path,
        spare_bytes: u64,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Backup, Error> {
        if to.exists() {
            return Err(Error::Exists { path: to.to_owned() });
        }
        let draft = beside(to, ".partial");
        let bad = |detail: String| Error::BadCopy { path: to.to_owned(), detail };
        let options = SqliteConnectOptions::new()
            .filename(&self.inner.path)
            .read_only(true)
            .disable_statement_logging();
        let mut own = options.connect().await.doing("opening for a backup")?;
        let before = marks(&mut own).await.doing("counting before a backup")?;
        let bytes = copy(&mut own, &draft, spare_bytes, tell).await?;
        let after = marks(&mut own).await.doing("counting after a backup")?;
        own.close().await.doing("closing after a backup")?;
        tell(Progress::Checking);
        let read = async {
            let mut copy = look_into(&draft).await?;
            let found = (quick_check(&mut copy).await?, marks(&mut copy).await?);
            copy.close().await?;
            Ok::<_, sqlx::Error>(found)
        };
        let wrong = match read.await {
            Ok((wrong, _)) if !wrong.is_empty() => Some(wrong.join("; ")),
            Ok((_, copied)) => missing(&copied, &before, &after),
            Err(error) => Some(error.to_string()),
        };
        if let Some(detail) = wrong {
            drop(fs::remove_file(&draft));
            return Err(bad(detail));
        }
        name(&draft, to)?;
        Ok(Backup { file: to.to_owned(), bytes })
    }
}

/// What SQLite finds wrong with a database that may be in use, table by table; `tell` hears the name of each before it is
/// read. Has a connection of its own, whose thread has the priority of the caller's.
pub async fn check_file(path: &Path, tell: &mut (dyn FnMut(&str) + Send)) -> Result<Vec<String>, Error> {
    let doing = "checking the database";
    // Not immutable: the server may be writing.
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let mut own = options.connect().await.doing(doing)?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %' ORDER BY rowid",
    )
    .fetch_all(&mut own)
    .await
    .doing(doing)?;
    let mut wrong = Vec::new();
    for table in tables {
        tell(&table);
        // A name from the schema itself.
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA quick_check(\"{}\")", table.replace('"', "\"\"")));
        match sqlx::query_scalar::<_, String>(sql).fetch_all(&mut own).await {
            Ok(lines) => wrong.extend(lines.into_iter().filter(|line| line != "ok")),
            // Too damaged to be described.
            Err(error) => match damage(path, error, doing) {
                Error::Corrupt { detail, .. } => wrong.push(format!("{table}: {detail}")),
                error => return Err(error),
            },
        }
    }
    own.close().await.doing(doing)?;
    Ok(wrong)
}

/// How much there is, as far as that can be told without reading it all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amounts {
    /// Bytes of the database, without its log.
    pub bytes: u64,
    /// Bytes in it that are free.
    pub free_bytes: u64,
    /// About so many rows, by table.
    pub rows: Vec<(&'static str, i64)>,
}

impl Store {
    /// How much there is. Rows that were expired in between may still count.
    pub async fn amounts(&self) -> Result<Amounts, Error> {
        let doing = "looking how much there is";
        let number = async |sql: &str| {
            let sql = sqlx::AssertSqlSafe(sql.to_owned());
            sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.inner.readers).await.doing(doing)
        };
        let page = number("PRAGMA page_size").await?;
        let bytes = |pages: i64| u64::try_from(pages.saturating_mul(page)).unwrap_or(0);
        let mut rows = Vec::new();
        for table in ["error_record", "event", "audit_log", "outage"] {
            let sql = format!("SELECT coalesce(max(rowid) - min(rowid) + 1, 0) FROM {table}");
            rows.push((table, number(&sql).await?));
        }
        for table in ["device", "access_key", "person", "error_group"] {
            rows.push((table, number(&format!("SELECT count(*) FROM {table}")).await?));
        }
        Ok(Amounts {
            bytes: bytes(number("PRAGMA page_count").await?),
            free_bytes: bytes(number("PRAGMA freelist_count").await?),
            rows,
        })
    }
}

impl Store {
    /// After a restore: writes it down. The run that the copy was made in ended with the copy; it did not crash.
    pub async fn begin_anew(&self, by: &Actor, deed: &Deed<'_>) -> Result<(), Error> {
        let doing = "noting a restore";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        sqlx::query("UPDATE server_run SET stopped_at = alive_at WHERE stopped_at IS NULL")
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        audit_log::write(&mut tx, self.inner.clock.now(), by, deed).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }
}

/// Puts a copy in the place of the database in `data_dir`, which nobody may be using. The copy is checked first and stays
/// where it is; the database that was there, too, with `.before-restore-` and `label` at the end of its name.
pub async fn restore(
    from: &Path,
    data_dir: &Path,
    label: &str,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Restored, Error> {
    let doing = "reading the copy";
    inspect(from).await?;
    let path = data_dir.join(FILE);
    if fs::canonicalize(from).ok().is_some_and(|from| fs::canonicalize(&path).ok() == Some(from)) {
        return Err(Error::Exists { path });
    }
    let aside = beside(&path, &format!(".before-restore-{label}"));
    if aside.exists() {
        return Err(Error::Exists { path: aside });
    }
    tell(Progress::Checking);
    let mut copied = look_into(from).await.doing(doing)?;
    let wrong = quick_check(&mut copied).await.map_err(|source| damage(from, source, doing))?;
    if !wrong.is_empty() {
        return Err(Error::Corrupt { path: from.to_owned(), detail: wrong.join("; ") });
    }
    let draft = beside(&path, ".restoring");
    let bytes = copy(&mut copied, &draft, 0, tell).await?;
    copied.close().await.doing(doing)?;
    let kept = if path.exists() {
        if let Err(error) = set_aside(&path, &aside).await {
            // As large as the database, and of no use to anybody.
            drop(fs::remove_file(&draft));
            return Err(error);
        }
        Some(aside)
    } else {
        None
    };
    // One step: there is always a database under the name, the old or the new.
    fs::rename(&draft, &path).map_err(file_error(&path))?;
    sync_folder(&path);
    Ok(Restored { kept, bytes })
}

/// Gives the database a second name, its log with it.
async fn set_aside(path: &Path, kept: &Path) -> Result<(), Error> {
    // Brings the log into the file. A damaged one keeps its log, which then goes along.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .disable_statement_logging();
    if let Ok(mut old) = options.connect().await {
        drop(sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut old).await);
        drop(old.close().await);
    }
    for end in ["-wal", "-shm"] {
        let (log, aside) = (beside(path, end), beside(kept, end));
        match fs::rename(&log, &aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(&log)(error)),
            _ => {}
        }
    }
    if fs::hard_link(path, kept).is_err() {
        fs::rename(path, kept).map_err(file_error(kept))?;
    }
    Ok(())
}
