use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::{Clock, TopicRoot};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};
use tokio::sync::{broadcast, watch};

use crate::{Doing as _, Error, FEED, Inner, Store, directory, fleet};

const FILE: &str = "openclaw-watch.sqlite";
const APPLICATION_ID: i64 = 0x4f43_5764;
const TABLES: [&str; 11] = [
    "device",
    "access_key",
    "device_state",
    "presence",
    "spool",
    "sample_hot",
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
            Ok(meta) if meta.len() == 0 => {
                return Err(Error::Corrupt { path, detail: "the file is empty".to_owned() });
            }
            Ok(_) => inspect(&path).await?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && config.create => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing { path: config.data_dir });
            }
            Err(error) => return Err(file_error(error)),
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(config.create)
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
            .connect_with(options.clone().pragma("cache_size", "-65536"))
            .await
            .map_err(|source| damage(&path, source, "opening"))?;
        protect(&path).map_err(file_error)?;
        sqlx::migrate!().run(&writer).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(_) => Error::Newer { path: path.clone() },
            other => Error::Migrate(other),
        })?;
        for table in TABLES {
            // A damaged page of the schema or of a root shows here, before anything is taken.
            let select = sqlx::AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1"));
            writer.fetch_optional(sqlx::query(select)).await.map_err(|e| damage(&path, e, "reading"))?;
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(config.readers.max(1))
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
                feed: broadcast::Sender::new(FEED),
                fleet: Mutex::new(fleet::Fleet::default()),
                directory: Mutex::new(Arc::new(directory::Directory::default())),
                directory_version: watch::Sender::new(0),
                looked_at: tokio::sync::Mutex::new(None),
            }),
        };
        store.load_fleet().await?;
        store.refresh_directory().await?;
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

    /// A complete copy of the database, made while it is in use.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        let mut connection = self.inner.readers.acquire().await.doing("making a backup")?;
        sqlx::query("VACUUM INTO ?")
            .bind(to.to_string_lossy().into_owned())
            .execute(&mut *connection)
            .await
            .doing("making a backup")?;
        protect(to).map_err(|source| Error::File { path: to.to_owned(), source })
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

    /// Brings everything into the database file and closes it.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        // Best effort: what is still in the log is read at the next start.
        drop(sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.inner.writer).await);
        self.inner.writer.close().await;
    }
}

/// Looks at an existing file without changing it.
async fn inspect(path: &Path) -> Result<(), Error> {
    let options =
        SqliteConnectOptions::new().filename(path).create_if_missing(false).disable_statement_logging();
    let mut connection = options.connect().await.map_err(|e| damage(path, e, "opening"))?;
    let id: Result<i64, _> = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await;
    let tables: Result<i64, _> =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut connection).await;
    let (id, tables) = match (id, tables) {
        (Ok(id), Ok(tables)) => (id, tables),
        (Err(error), _) | (_, Err(error)) => return Err(damage(path, error, "reading")),
    };
    connection.close().await.doing("opening")?;
    // No table at all: a first start that was interrupted.
    if id == APPLICATION_ID || tables == 0 { Ok(()) } else { Err(Error::Foreign { path: path.to_owned() }) }
}

fn damage(path: &Path, source: sqlx::Error, doing: &'static str) -> Error {
    let code = source.as_database_error().and_then(|e| e.code().map(std::borrow::Cow::into_owned));
    let text = source.as_database_error().map(|e| e.message().to_owned());
    match (code.as_deref(), text) {
        (Some("26"), _) => Error::Foreign { path: path.to_owned() },
        (Some("11" | "267" | "523"), Some(detail)) => Error::Corrupt { path: path.to_owned(), detail },
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
fn protect(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
