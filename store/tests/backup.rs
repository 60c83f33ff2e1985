//! Copies: whole or not there, never over something else, and put back without losing what was there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use protocol::{Clock, DeviceId, SpoolId};
use store::{Error, Progress, Store, check_file, restore};
use tempfile::TempDir;

async fn filled() -> (World, DeviceId) {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let batch: Vec<_> = (1..=2000).map(|seq| live(id, spool, seq)).collect();
    world.record(&batch).await;
    (world, id)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

fn nothing(_: Progress) {}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_is_complete_private_and_tells_how_far_it_is() {
    let (world, id) = filled().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("copy.sqlite");
    // What an earlier try left is in nobody's way.
    fs::write(beside(&file, ".partial"), "half").unwrap();
    let mut told = Vec::new();
    let made = world.store.backup(&file, 0, &mut |progress| told.push(progress)).await.unwrap();
    assert_eq!(made.bytes, fs::metadata(&file).unwrap().len());
    assert_eq!(told.last(), Some(&Progress::Checking));
    let whole = told.iter().all(|p| matches!(p, Progress::Checking | Progress::Copying(_, 1..)));
    assert!(whole, "{told:?}");
    assert_eq!(names(folder.path()), ["copy.sqlite"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // What must stay free is not taken, and nothing is begun.
    let other = folder.path().join("other.sqlite");
    let refused = world.store.backup(&other, u64::MAX / 2, &mut nothing).await;
    if cfg!(unix) {
        assert!(matches!(refused, Err(Error::NoRoom { .. })), "{refused:?}");
        assert_eq!(names(folder.path()), ["copy.sqlite"]);
    }
    // Another one never takes its place.
    let bytes = fs::read(&file).unwrap();
    let again = world.store.backup(&file, 0, &mut nothing).await.unwrap_err();
    assert!(matches!(again, Error::Exists { .. }), "{again:?}");
    assert!(fs::read(&file).unwrap() == bytes);

    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::rename(&file, data.join("openclaw-watch.sqlite")).unwrap();
    let store = Store::open(config(&folder), Clock::manual(NOW)).await.unwrap();
    assert_eq!(store.recorded_seqs(id).await.unwrap().len(), 2000);
    assert_eq!(store.devices(), world.store.devices());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_while_everybody_writes() {
    let (world, id) = filled().await;
    let other = world.device("busy").await;
    let folder = TempDir::new().unwrap();
    let spool = SpoolId::generate();
    let (store, stop) = (world.store.clone(), tokio_util::sync::CancellationToken::new());
    let told = stop.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut seq = 0;
        while !told.is_cancelled() {
            seq += 1;
            store.record(&[live(other, spool, seq)]).await.unwrap();
        }
        seq
    });
    for n in 0..5 {
        let file = folder.path().join(format!("{n}.sqlite"));
        world.store.backup(&file, 0, &mut nothing).await.unwrap();
        // Removing is no reason to call a copy incomplete.
        let brief = world.device(&format!("brief {n}")).await;
        world.store.remove_device(&by(), brief).await.unwrap().unwrap();
    }
    stop.cancel();
    assert!(tasks.join_all().await[0] > 0);
    assert_eq!(world.seqs(id).await.len(), 2000);
    assert_eq!(names(folder.path()).len(), 5);
}

/// Overwrites a page of a table.
async fn damage(path: &Path, table: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut own = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' LIMIT 1 OFFSET 5";
    let page: i64 = sqlx::query_scalar(sql).bind(table).fetch_one(&mut own).await.unwrap();
    sqlx::Connection::close(own).await.unwrap();
    let mut bytes = fs::read(path).unwrap();
    let start = (usize::try_from(page).unwrap() - 1) * 4096;
    bytes[start..start + 4096].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn of_a_damaged_database_there_is_no_backup_that_looks_whole() {
    let (world, _) = filled().await;
    world.store.settle_all().await.unwrap();
    world.store.close().await;
    let path = world.store.path().to_owned();
    damage(&path, "sample").await;
    let store =
        Store::open(config(&world.dir), Clock::manual(NOW)).await.expect("the damage is where nobody looks");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("copy.sqlite");
    let refused = store.backup(&file, 0, &mut nothing).await;
    assert!(refused.is_err());
    assert!(!check_file(&path, &mut |_| {}).await.unwrap().is_empty());
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn damage_where_everything_is_read_at_a_start_is_called_damage() {
    let (world, _) = filled().await;
    world.store.close().await;
    damage(world.store.path(), "sample_hot").await;
    let refused = Store::open(config(&world.dir), Clock::manual(NOW)).await.err().unwrap();
    assert!(is_corrupt(&refused), "{refused:?}");
}

#[tokio::test]
async fn restoring_keeps_what_was_there_and_can_be_undone() {
    let (world, id) = filled().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("copy.sqlite");
    world.store.backup(&file, 0, &mut nothing).await.unwrap();
    let copied = fs::read(&file).unwrap();
    world.device("later").await;
    // As after a kill: its log was not brought into it.
    let killed = TempDir::new().unwrap();
    fs::create_dir(killed.path().join("data")).unwrap();
    for end in ["", "-wal"] {
        let name = format!("data/openclaw-watch.sqlite{end}");
        fs::copy(world.dir.path().join(&name), killed.path().join(&name)).unwrap();
    }
    world.store.close().await;
    let data = killed.path().join("data");
    let done = restore(&file, &data, "20261120T134500Z", &mut nothing).await.unwrap();
    let kept = done.kept.unwrap();
    assert!(kept.ends_with("openclaw-watch.sqlite.before-restore-20261120T134500Z"), "{kept:?}");
    assert!(fs::read(&file).unwrap() == copied, "the copy stays as it is");
    assert_eq!(names(folder.path()), ["copy.sqlite"]);
    let devices = async || {
        let store = Store::open(config(&killed), Clock::manual(NOW)).await.unwrap();
        let count = (store.devices().len(), store.recorded_seqs(id).await.unwrap().len());
        store.close().await;
        count
    };
    assert_eq!(devices().await, (1, 2000));
    let back = restore(&kept, &data, "20261120T134600Z", &mut nothing).await.unwrap();
    assert!(back.kept.is_some());
    assert_eq!(devices().await, (2, 2000));
    // Twice in the same second: nothing is lost for that.
    let before = names(&data);
    let twice = restore(&file, &data, "20261120T134600Z", &mut nothing).await.unwrap_err();
    assert!(matches!(twice, Error::Exists { .. }), "{twice:?}");
    assert_eq!(names(&data), before, "and nothing is left of it");
    assert_eq!(devices().await, (2, 2000));
    // Into an empty folder.
    let empty = TempDir::new().unwrap();
    let done = restore(&file, empty.path(), "x", &mut nothing).await.unwrap();
    assert_eq!(done.kept, None);
    assert_eq!(names(empty.path()), ["openclaw-watch.sqlite"]);
}

#[tokio::test]
async fn what_is_no_good_copy_is_not_put_back() {
    let (world, _) = filled().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("copy.sqlite");
    world.store.backup(&file, 0, &mut nothing).await.unwrap();
    world.store.close().await;
    let data = world.dir.path().join("data");
    let before = (names(&data), fs::read(world.store.path()).unwrap());
    let refused = async |what: &str, bytes: &[u8], right: fn(&Error) -> bool| {
        let bad = folder.path().join("bad.sqlite");
        fs::write(&bad, bytes).unwrap();
        let error = restore(&bad, &data, "x", &mut nothing).await.unwrap_err();
        assert!(right(&error), "{what}: {error:?}");
        assert!(
            (names(&data), fs::read(world.store.path()).unwrap()) == before,
            "{what}: something was touched"
        );
    };
    let good = fs::read(&file).unwrap();
    refused("empty", &[], is_corrupt).await;
    refused("text", b"hello", is_foreign).await;
    refused("half", &good[..good.len() / 2], is_corrupt).await;
    let mut holes = good.clone();
    let middle = holes.len() / 2;
    holes[middle..middle + 5 * 4096].fill(0xa5);
    refused("holes", &holes, is_corrupt).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
               VALUES (9999, 'from the future', 1, x'00', 1)";
    sqlx::query(sql).execute(&mut other).await.unwrap();
    sqlx::Connection::close(other).await.unwrap();
    refused("newer", &fs::read(&file).unwrap(), |error| matches!(error, Error::Newer { .. })).await;
    let own = restore(world.store.path(), &data, "x", &mut nothing).await.unwrap_err();
    assert!(matches!(own, Error::Exists { .. }), "{own:?}");
    let missing = restore(Path::new("/nowhere.sqlite"), &data, "x", &mut nothing).await.unwrap_err();
    assert!(matches!(missing, Error::File { .. }), "{missing:?}");
}
