use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use protocol::{Clock, TopicRoot};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};
use tokio::sync::{broadcast, watch};

use crate::{Doing as _, Error, FEED, Inner, Prices, Store, directory, fleet, reader, used};

pub(crate) const FILE: &str = "openclaw-watch.sqlite";
/// What stands at the begin of each SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;
/// At byte 68 of the file; tells our database from others.
const APPLICATION_ID: [u8; 4] = *b"OCWd";
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();
const TABLES: [&str; 14] = [
    "device",
    "access_key",
    "device_state",
    "presence",
    "spool",
    "sample_hot",
    "sample",
    "sample_5m",
    "sample_1h",
    "retained",
    "person",
    "login",
    "bearer_token",
    "registry",
];

/// Where and how the store keeps its data.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the database file.
    pub data_dir: PathBuf,
    /// Make the folder and the file when they are not there. Off for commands that only look.
    pub create: bool,
    /// Root of all topics.
    pub topic_root: TopicRoot,
    /// Connections for reading.
    pub readers: u32,
}

impl Store {
    /// Opens the database, makes it if there is none, and reads what is kept in memory.
    ///
    /// A file that is damaged or not ours is refused and left as it is.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, Error> {
        let path = config.data_dir.join(FILE);
        let file_error = |source| Error::File { path: path.clone(), source };
        if config.create {
            make_private_folder(&config.data_dir)
                .map_err(|source| Error::File { path: config.data_dir.clone(), source })?;
        }
        match std::fs::metadata(&path) {
            Ok(_) => inspect(&path).await?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && config.create => {
                make(&path).await?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing { path: config.data_dir });
            }
            Err(error) => return Err(file_error(error)),
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "16000")
            .pragma("journal_size_limit", "67108864")
            .statement_cache_capacity(200)
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            // On a full disk SQLite ends the transaction by itself, and sqlx believes that it is still under way: every
            // further one would fail.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options.clone().pragma("cache_size", "-65536"))
            .await
            .map_err(|source| damage(&path, source, "opening"))?;
        protect(&path).map_err(file_error)?;
        MIGRATIONS.run(&writer).await.map_err(Error::Migrate)?;
        // One is left for what is answered at once.
        let max_readers = config.readers.max(2);
        let readers = SqlitePoolOptions::new()
            .max_connections(max_readers)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.read_only(true).pragma("cache_size", "-16384"))
            .await
            .doing("opening for reading")?;
        let store = Self {
            inner: Arc::new(Inner {
                path,
                clock,
                root: config.topic_root,
                writer,
                readers,
                asking: reader::places(max_readers),
                feed: broadcast::Sender::new(FEED),
                fleet: Mutex::new(fleet::Fleet::default()),
                newest_error: std::sync::atomic::AtomicI64::new(0),
                firing: Mutex::default(),
                counting: tokio::sync::Mutex::new(()),
                directory: Mutex::new(Arc::new(directory::Directory::default())),
                directory_version: watch::Sender::new(0),
                used: used::Used::default(),
                prices: RwLock::new(Arc::new(Prices::embedded())),
                editing: tokio::sync::Mutex::new(()),
                looked_at: tokio::sync::Mutex::new(None),
            }),
        };
        let loaded = async {
            store.load_fleet().await?;
            store.count_firing().await?;
            store.refresh_directory().await
        };
        loaded.await.map_err(|error| match error {
            // Where `inspect` did not look.
            Error::Sql { doing, source } => damage(&store.inner.path, source, doing),
            other => other,
        })?;
        Ok(store)
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Whether the writer can write now.
    pub async fn writable(&self) -> Result<(), Error> {
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing("checking")?;
        sqlx::query("UPDATE registry SET version = version").execute(&mut *tx).await.doing("checking")?;
        tx.rollback().await.doing("checking")
    }

    /// What SQLite finds wrong with the file; empty when all is well. Takes seconds for each gigabyte.
    pub async fn check(&self) -> Result<Vec<String>, Error> {
        let rows = sqlx::query("PRAGMA quick_check(10)")
            .fetch_all(&self.inner.readers)
            .await
            .doing("checking the database")?;
        let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        Ok(if lines == ["ok"] { vec![] } else { lines })
    }

    /// Closes the database. Whoever has it open last brings everything into the file.
    pub async fn close(&self) {
        // What cannot be written now stays what it was: the newest samples are read from their own rows.
        drop(self.flush_reports().await);
        self.inner.readers.close().await;
        // SQLite brings the log into the file when the last connection ends, and only then. Asking for it here would make a
        // command beside the server keep it from writing until the whole log is in the file and on the disk.
        self.inner.writer.close().await;
    }
}

pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// How long the file is by its own header.
fn promised_len(header: &[u8]) -> Option<u64> {
    let page = u64::from(u16::from_be_bytes(header.get(16..18)?.try_into().ok()?));
    let pages = u64::from(u32::from_be_bytes(header.get(28..32)?.try_into().ok()?));
    // The number of pages was written by a program that knew of it.
    (header.get(24..28) == header.get(92..96)).then(|| pages * if page == 1 { 65_536 } else { page })
}

/// Makes a database whole or not at all: a first start that is interrupted leaves nothing that looks damaged.
async fn make(path: &Path) -> Result<(), Error> {
    if std::fs::metadata(beside(path, "-wal")).is_ok_and(|meta| meta.len() > 0) {
        // A new database would take that log for its own.
        let detail = "its log is there (the file that ends in -wal), and the database is not".to_owned();
        return Err(Error::Corrupt { path: path.to_owned(), detail });
    }
    let draft = beside(path, ".new");
    for end in [".new", ".new-journal", ".new-wal", ".new-shm"] {
        match std::fs::remove_file(beside(path, end)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File { path: beside(path, end), source });
            }
            _ => {}
        }
    }
    let options = SqliteConnectOptions::new()
        .filename(&draft)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(|e| damage(path, e, "making the database"))?;
    MIGRATIONS.run(&mut connection).await.map_err(Error::Migrate)?;
    // Brings all into the one file.
    connection.close().await.doing("making the database")?;
    protect(&draft)
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Looks at an existing file without changing it. Its log stays as it is, too: a connection that only reads does not
/// bring it into the file.
pub(crate) async fn inspect(path: &Path) -> Result<(), Error> {
    let file_error = |source| Error::File { path: path.to_owned(), source };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let file = std::fs::File::open(path).map_err(file_error)?;
    let limit = u64::try_from(HEADER_BYTES).unwrap_or(0);
    std::io::Read::read_to_end(&mut std::io::Read::take(file, limit), &mut header).map_err(file_error)?;
    if header.is_empty() {
        return Err(Error::Corrupt { path: path.to_owned(), detail: "the file is empty".to_owned() });
    }
    if !header.starts_with(MAGIC) || header.get(68..72) != Some(&APPLICATION_ID) {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    let len = std::fs::metadata(path).map_err(file_error)?.len();
    let log = std::fs::metadata(beside(path, "-wal")).map_or(0, |meta| meta.len());
    // With a log beside it a short file is made whole by SQLite; without, the last page counts as zeroes.
    if log == 0 && promised_len(&header).is_some_and(|promised| len < promised) {
        let detail = "its end is missing".to_owned();
        return Err(Error::Corrupt { path: path.to_owned(), detail });
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let damaged = |source| damage(path, source, "reading");
    let mut connection = options.connect().await.map_err(damaged)?;
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&mut connection)
        .await
        .map_err(damaged)?;
    for table in TABLES.iter().filter(|table| tables.iter().any(|name| name == *table)) {
        // A damaged page of the schema or of a root shows here, before anything is taken.
        let select = sqlx::AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1"));
        connection.fetch_optional(sqlx::query(select)).await.map_err(damaged)?;
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(&mut connection)
        .await
        .map_err(damaged)?;
    connection.close().await.doing("opening")?;
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max();
    if version > newest { Err(Error::Newer { path: path.to_owned() }) } else { Ok(()) }
}

pub(crate) fn damage(path: &Path, source: sqlx::Error, doing: &'static str) -> Error {
    let code = source.as_database_error().and_then(|e| e.code().map(std::borrow::Cow::into_owned));
    let text = source.as_database_error().map(|e| e.message().to_owned());
    match (code.as_deref(), text) {
        (Some("26"), _) => Error::Foreign { path: path.to_owned() },
        (Some("11" | "267" | "523" | "779"), Some(detail)) => {
            Error::Corrupt { path: path.to_owned(), detail }
        }
        (Some("14"), Some(detail)) => {
            Error::File { path: path.to_owned(), source: std::io::Error::other(detail) }
        }
        _ => Error::Sql { doing, source },
    }
}

fn make_private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Only for the owner: it holds hashes of keys and passwords.
pub(crate) fn protect(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
