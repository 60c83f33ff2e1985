//! What is refused at the start, and left exactly as it is.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use protocol::{Clock, SpoolId};
use store::{Error, Store};
use tempfile::TempDir;

async fn a_database() -> (TempDir, PathBuf) {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let batch: Vec<_> = (1..500).map(|seq| live(id, spool, seq)).collect();
    world.record(&batch).await;
    world.store.close().await;
    let path = world.store.path().to_owned();
    (world.dir, path)
}

async fn refused(dir: &TempDir, path: &Path, right: impl Fn(&Error) -> bool) {
    let before = fs::read(path).unwrap();
    let result = Store::open(config(dir), Clock::manual(NOW)).await;
    let error = result.err().expect("it is refused");
    assert!(right(&error), "{error:?}");
    assert!(fs::read(path).unwrap() == before, "the file was touched: {error}");
    assert!(error.to_string().contains("openclaw-watch.sqlite"), "{error}");
    for leftover in ["-wal", "-journal", ".new"] {
        let name = PathBuf::from(format!("{}{leftover}", path.display()));
        assert!(fs::metadata(&name).map_or(true, |meta| meta.len() == 0), "{}", name.display());
    }
}

#[tokio::test]
async fn files_that_are_not_ours_are_refused_and_left_alone() {
    for content in [&b"hello"[..], &[0; 4096], &b"not a database, and longer than a header ".repeat(100)] {
        let (dir, path) = a_database().await;
        fs::write(&path, content).unwrap();
        refused(&dir, &path, is_foreign).await;
    }
    for pragma in ["journal_mode = DELETE", "journal_mode = WAL"] {
        let (dir, path) = a_database().await;
        fs::remove_file(&path).unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
        let sql =
            sqlx::AssertSqlSafe(format!("PRAGMA {pragma}; CREATE TABLE t (x); INSERT INTO t VALUES (1)"));
        sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
        sqlx::Connection::close(other).await.unwrap();
        refused(&dir, &path, is_foreign).await;
    }
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_left_alone() {
    let damage = async |how: &str, change: fn(&mut Vec<u8>)| {
        let (dir, path) = a_database().await;
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        println!("{how}");
        refused(&dir, &path, is_corrupt).await;
    };
    damage("empty", Vec::clear).await;
    damage("half", |bytes| bytes.truncate(bytes.len() / 2)).await;
    damage("not whole pages", |bytes| bytes.truncate(bytes.len() - 1234)).await;
    damage("garbage behind the header", |bytes| bytes[100..4096].fill(0xa5)).await;
    damage("garbage everywhere else", |bytes| bytes[4096..].fill(0xa5)).await;
    let (dir, path) = a_database().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[..4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    refused(&dir, &path, is_foreign).await;
}

#[tokio::test]
async fn a_log_without_its_database_is_not_taken_for_a_new_ones() {
    let (dir, path) = a_database().await;
    let wal = PathBuf::from(format!("{}-wal", path.display()));
    fs::write(&wal, [1; 5000]).unwrap();
    fs::remove_file(&path).unwrap();
    let error = Store::open(config(&dir), Clock::manual(NOW)).await.err().unwrap();
    assert!(is_corrupt(&error), "{error:?}");
    assert!(!path.exists() && fs::read(&wal).unwrap() == [1; 5000]);
}

#[tokio::test]
async fn a_newer_versions_database_is_refused_and_left_alone() {
    let (dir, path) = a_database().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
               VALUES (9999, 'from the future', 1, x'00', 1)";
    sqlx::query(sql).execute(&mut other).await.unwrap();
    sqlx::Connection::close(other).await.unwrap();
    refused(&dir, &path, |error| matches!(error, Error::Newer { .. })).await;
}

#[tokio::test]
async fn a_first_start_that_was_interrupted_is_no_damage() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    for end in [".new", ".new-journal", ".new-wal"] {
        fs::write(dir.path().join(format!("data/openclaw-watch.sqlite{end}")), "half").unwrap();
    }
    let store = Store::open(config(&dir), Clock::manual(NOW)).await.unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    assert!(!dir.path().join("data/openclaw-watch.sqlite.new").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(store.path()), 0o600);
        let fresh = World::new().await;
        assert_eq!(mode(&fresh.dir.path().join("data")), 0o700);
    }
}

#[tokio::test]
async fn a_command_that_only_looks_makes_nothing() {
    let dir = TempDir::new().unwrap();
    let settings = store::Config { create: false, ..config(&dir) };
    let error = Store::open(settings, Clock::manual(NOW)).await.err().unwrap();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    assert!(!dir.path().join("data").exists());
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let batch: Vec<_> = (1..=300).map(|seq| live(id, spool, seq)).collect();
    world.record(&batch).await;
    // The files as a power cut leaves them: nothing was closed.
    let copy = TempDir::new().unwrap();
    fs::create_dir(copy.path().join("data")).unwrap();
    for end in ["", "-wal"] {
        let name = format!("data/openclaw-watch.sqlite{end}");
        fs::copy(world.dir.path().join(&name), copy.path().join(&name)).unwrap();
    }
    let store = Store::open(config(&copy), Clock::manual(NOW)).await.unwrap();
    assert_eq!(store.recorded_seqs(id).await.unwrap(), (1..=300).collect::<Vec<_>>());
    assert!(store.check().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    world.record(&[birth(id, 1, NOW), live(id, spool, 1)]).await;
    let before = world.store.retained().await.unwrap();
    world.store.close().await;
    // Back to how the first version had it.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.store.path());
    let mut old = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let sql = "CREATE TABLE old (topic TEXT PRIMARY KEY, payload BLOB NOT NULL, qos INTEGER NOT NULL,
                   properties BLOB NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
               INSERT INTO old SELECT topic, payload, qos, properties, at FROM retained;
               DROP TABLE retained;
               ALTER TABLE old RENAME TO retained;
               DELETE FROM _sqlx_migrations WHERE version = 2";
    sqlx::raw_sql(sql).execute(&mut old).await.unwrap();
    sqlx::Connection::close(old).await.unwrap();
    let world = World { store: Store::open(config(&world.dir), world.clock.clone()).await.unwrap(), ..world };
    let mut after = world.store.retained().await.unwrap();
    after.sort_by_key(|row| before.iter().position(|other| other.topic == row.topic));
    assert_eq!(before, after);
    assert_eq!(world.store.device(id).unwrap().latest.unwrap().seq, 1);
    assert_eq!(world.record(&[live(id, spool, 1), live(id, spool, 2)]).await.len(), 2);
    assert_eq!(world.seqs(id).await, [1, 2]);
}

#[tokio::test]
async fn whoever_looks_in_beside_the_server_leaves_its_log_alone() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    world.record(&[live(id, spool, 1)]).await;
    let mut log = world.store.path().as_os_str().to_owned();
    log.push("-wal");
    let len = || fs::metadata(&log).map_or(0, |meta| meta.len());
    let before = len();
    let beside = world.second().await;
    assert_eq!(beside.devices().len(), 1);
    // Bringing it into the file would keep the server from writing until all of it is on the disk.
    beside.close().await;
    assert!(before > 0 && len() == before, "{before} bytes, then {}", len());
    // The last one does it.
    world.store.close().await;
    assert_eq!(len(), 0);
}
