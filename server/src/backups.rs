//! Copies of the database that the server makes by itself: when, which are removed, and how the last one went.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashboard::{BackupCopy, BackupHealth, BackupRunning, BackupState, DatabaseHealth};
use protocol::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config;
use crate::lifecycle;

const HOUR_MS: i64 = 3_600_000;
/// Starting is not the time for it: a server that ends again and again would do nothing else.
const AFTER_START_MS: i64 = 10 * 60_000;
/// After one that failed.
const AGAIN_MS: i64 = HOUR_MS;
/// The wall clock may be set: it is looked at this often.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// Without copies by time there is nothing to look at.
const LEAST_WAIT: Duration = Duration::from_millis(1);
const PREFIX: &str = "openclaw-watch-";
const SUFFIX: &str = ".sqlite";
const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// A moment as it stands in names of files, of UTC: `20261120T134500Z`.
pub fn stamp(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().strftime(STAMP).to_string()
}

fn parse_stamp(text: &str) -> Option<Timestamp> {
    let time = jiff::civil::DateTime::strptime(STAMP, text).ok()?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
    Some(Timestamp(at.as_millisecond())).filter(|at| stamp(*at) == text)
}

/// Where copies are.
pub fn folder(config: &config::Config) -> PathBuf {
    if config.backup.dir.as_os_str().is_empty() {
        config.data_dir.join("backups")
    } else {
        config.backup.dir.clone()
    }
}

/// What a copy that nobody asked for leaves free. On the disk of the database as much as the recorder needs: it stops when
/// there is less.
fn spare_bytes(config: &config::Config, file: &Path) -> u64 {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let elsewhere = disk_of(folder).zip(disk_of(&config.data_dir)).is_some_and(|(one, other)| one != other);
    if elsewhere { 0 } else { config.store.min_free_bytes }
}

#[cfg(unix)]
fn disk_of(folder: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(folder).ok().map(|meta| meta.dev())
}

#[cfg(not(unix))]
fn disk_of(_: &Path) -> Option<u64> {
    None
}

/// A copy that the server made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// When.
    pub at: Timestamp,
    /// The name of its file.
    pub name: String,
    /// How large.
    pub bytes: u64,
}

/// The copies in a folder, oldest first. What has another name is somebody else's.
pub fn copies(folder: &Path) -> Vec<Copy> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut copies: Vec<Copy> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let at = parse_stamp(name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?)?;
            Some(Copy { at, name, bytes: entry.metadata().ok()?.len() })
        })
        .collect();
    copies.sort_by_key(|copy| copy.at);
    copies
}

/// When the next copy is to be made.
fn next_at(
    every_h: u32,
    newest: Option<Timestamp>,
    failed: Option<Timestamp>,
    started: Timestamp,
) -> Timestamp {
    let regular = newest.map_or(started, |newest| newest.plus_millis(i64::from(every_h) * HOUR_MS));
    let again = failed.map_or(started, |failed| failed.plus_millis(AGAIN_MS));
    regular.max(again).max(started.plus_millis(AFTER_START_MS))
}

/// Which copies go, of those that are there (oldest first): all but the newest `keep`, and never the last one.
fn surplus(copies: &[Copy], keep: u32) -> &[Copy] {
    let keep = usize::try_from(keep.max(1)).unwrap_or(usize::MAX);
    copies.get(..copies.len().saturating_sub(keep)).unwrap_or_default()
}

/// How the last one went, in `backup.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// What was wrong; absent when it is whole.
    pub error: Option<String>,
}

fn last_run_file(data_dir: &Path) -> PathBuf {
    data_dir.join("backup.json")
}

/// How the last one went; `None` when there was none.
pub fn last_run(data_dir: &Path) -> Option<LastRun> {
    serde_json::from_slice(&std::fs::read(last_run_file(data_dir)).ok()?).ok()
}

/// What the server says about its database.
#[derive(Debug, Clone, Default)]
pub struct Keeping(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    health: Mutex<(DatabaseHealth, BackupHealth)>,
    /// Somebody waits for a copy, or one is being made.
    busy: AtomicBool,
    asked: Notify,
}

impl Keeping {
    /// What is known now.
    pub fn now(&self) -> (DatabaseHealth, BackupHealth) {
        *self.0.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut (DatabaseHealth, BackupHealth))) {
        change(&mut self.0.health.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Asks for a copy now. False while one is being made.
    fn ask(&self) -> bool {
        let free = !self.0.busy.swap(true, Ordering::AcqRel);
        if free {
            self.0.asked.notify_one();
        }
        free
    }

    /// Reads the database through, beside all else.
    pub fn check_after_an_unclean_end(&self, database: PathBuf) {
        self.change(|health| health.0 = DatabaseHealth::Checking);
        info!("the database is checked while the server runs");
        let keeping = self.clone();
        drop(lifecycle::in_background("database-check", move || async move {
            let found = match store::check_file(&database, &mut |_| {}).await {
                Ok(wrong) if wrong.is_empty() => {
                    info!("the database is whole");
                    DatabaseHealth::Ok
                }
                Ok(wrong) => {
                    error!(
                        detail = wrong.join("; "),
                        "the database is damaged: stop the server and put a backup back with `openclaw-watch restore FILE`"
                    );
                    DatabaseHealth::Damaged
                }
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "the database could not be checked");
                    DatabaseHealth::Damaged
                }
            };
            keeping.change(|health| health.0 = found);
        }));
    }
}

/// What the page asks of the copies.
pub struct ForThePage {
    /// Where they are, and how many are kept.
    pub config: config::Config,
    /// Whoever makes them.
    pub keeping: Keeping,
}

impl dashboard::Backups for ForThePage {
    fn show(&self) -> BackupState {
        let folder = folder(&self.config);
        let copy = |copy: Copy| BackupCopy { file: copy.name, at: copy.at, bytes: copy.bytes };
        BackupState {
            every_h: self.config.backup.every_h,
            keep: self.config.backup.keep,
            copies: copies(&folder).into_iter().rev().map(copy).collect(),
            last: last_run(&self.config.data_dir).map(|run| (Timestamp(run.at), run.error)),
            running: self.keeping.0.busy.load(Ordering::Acquire),
            folder: folder.display().to_string(),
        }
    }

    fn make(&self) -> Result<(), BackupRunning> {
        if self.keeping.ask() { Ok(()) } else { Err(BackupRunning) }
    }
}

/// Makes copies until the server stops, when it is time and when somebody asks. One that is being made then is not waited for: what is left of it goes with the
/// next one.
pub async fn run(
    config: config::Config,
    store: Store,
    clock: Clock,
    keeping: Keeping,
    stop: CancellationToken,
) {
    let (settings, dir) = (&config.backup, folder(&config));
    let started = clock.now();
    let last = last_run(&config.data_dir);
    let mut failed = None;
    keeping.change(|health| {
        health.1 = match &last {
            _ if settings.every_h == 0 => BackupHealth::Off,
            Some(LastRun { error: Some(_), .. }) => BackupHealth::Failed,
            _ if copies(&dir).is_empty() => BackupHealth::None,
            _ => BackupHealth::Ok,
        };
    });
    loop {
        let now = clock.now();
        // One from the future was made before the clock was set: it says nothing.
        let newest = copies(&dir).last().map(|copy| copy.at).filter(|at| *at <= now);
        let next = next_at(settings.every_h, newest, failed, started);
        if settings.every_h == 0 || next > now {
            let wait = u64::try_from(next.millis_since(now)).map_or(LOOK_EVERY, Duration::from_millis);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait.clamp(LEAST_WAIT, LOOK_EVERY)) => continue,
                () = keeping.0.asked.notified() => {}
            }
        }
        keeping.0.busy.store(true, Ordering::Release);
        let now = clock.now();
        let made = lifecycle::in_background("backup", {
            let (store, config) = (store.clone(), config.clone());
            move || async move { make(&store, &config, now).await }
        });
        let result = tokio::select! {
            () = stop.cancelled() => return,
            result = made => result.unwrap_or_else(|_| Err("it could not be started".to_owned())),
        };
        failed = result.is_err().then_some(now);
        match &result {
            Ok((file, bytes)) => info!(file = %file.display(), bytes, "made a backup"),
            Err(error) => error!(error, "no backup could be made; it is tried again in an hour"),
        }
        keeping.change(|health| {
            health.1 = if result.is_ok() { BackupHealth::Ok } else { BackupHealth::Failed };
        });
        let last = LastRun { at: now.0, error: result.err() };
        // For doctor and the page; the log has told already.
        drop(serde_json::to_vec(&last).map(|json| std::fs::write(last_run_file(&config.data_dir), json)));
        keeping.0.busy.store(false, Ordering::Release);
    }
}

/// Makes a copy and, when it is whole, removes those that are too many.
async fn make(store: &Store, config: &config::Config, now: Timestamp) -> Result<(PathBuf, u64), String> {
    let dir = &folder(config);
    let text = |error: &dyn std::error::Error| match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    private_folder(dir).map_err(|error| format!("cannot make the folder {}: {error}", dir.display()))?;
    let file = dir.join(format!("{PREFIX}{}{SUFFIX}", stamp(now)));
    sweep(dir);
    let made =
        store.backup(&file, spare_bytes(config, &file), &mut |_| {}).await.map_err(|error| text(&error))?;
    for copy in surplus(&copies(dir), config.backup.keep) {
        // What cannot be removed now is tried again after the next one.
        drop(std::fs::remove_file(dir.join(&copy.name)));
    }
    Ok((made.file, made.bytes))
}

/// Removes what copies that were not finished left.
fn sweep(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(&format!("{SUFFIX}.partial")) {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

fn private_folder(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use dashboard::Backups as _;

    use super::*;

    const START: Timestamp = Timestamp(1_795_160_000_000);

    #[test]
    fn a_name_tells_when() {
        assert_eq!(stamp(START), "20261120T073320Z");
        assert_eq!(parse_stamp("20261120T073320Z"), Some(START));
        for other in
            ["", "20261120T073320", "20261320T073320Z", "20261120T073360Z", "2026-11-20", "20261120T073320Zx"]
        {
            assert_eq!(parse_stamp(other), None, "{other}");
        }
    }

    #[test]
    fn a_copy_is_due_a_day_after_the_last_and_not_while_starting() {
        let h = |hours: i64| START.plus_millis(hours * HOUR_MS);
        let soon = START.plus_millis(AFTER_START_MS);
        assert_eq!(next_at(24, None, None, START), soon);
        assert_eq!(next_at(24, Some(h(-30)), None, START), soon);
        assert_eq!(next_at(24, Some(h(-20)), None, START), h(4));
        assert_eq!(next_at(24, Some(h(4)), None, START), h(28));
        assert_eq!(next_at(24, Some(h(-30)), Some(h(2)), START), h(3));
    }

    #[test]
    fn the_newest_stay() {
        let copy = |n: i64| Copy { at: START.plus_millis(n), name: n.to_string(), bytes: 1 };
        let all: Vec<Copy> = (0..5).map(copy).collect();
        let gone = |keep| surplus(&all, keep).iter().map(|copy| copy.name.as_str()).collect::<Vec<_>>();
        assert_eq!(gone(3), ["0", "1"]);
        assert_eq!(gone(5), Vec::<&str>::new());
        assert_eq!(gone(9), Vec::<&str>::new());
        assert_eq!(gone(0), ["0", "1", "2", "3"]);
    }

    /// Settings of a server in a folder of its own, on whatever disk that is.
    fn settings(dir: &tempfile::TempDir) -> config::Config {
        config::Config {
            data_dir: dir.path().join("data"),
            store: config::Store { min_free_bytes: 0, ..config::Store::default() },
            backup: config::Backup { keep: 2, ..config::Backup::default() },
            ..config::Config::default()
        }
    }

    #[tokio::test]
    async fn copies_are_made_and_others_files_left_alone() {
        let dir = tempfile::TempDir::new().unwrap();
        let config = settings(&dir);
        let store = crate::serve::open_store(&config, Clock::manual(START), true).await.unwrap();
        let folder = folder(&config);
        std::fs::create_dir(&folder).unwrap();
        for name in
            ["mine.sqlite", "openclaw-watch-old.sqlite", "openclaw-watch-20200101T000000Z.sqlite.partial"]
        {
            std::fs::write(folder.join(name), "x").unwrap();
        }
        for n in 0..4 {
            make(&store, &config, START.plus_millis(n * 1000)).await.unwrap();
        }
        let kept: Vec<String> = copies(&folder).into_iter().map(|copy| copy.name).collect();
        assert_eq!(
            kept,
            ["openclaw-watch-20261120T073322Z.sqlite", "openclaw-watch-20261120T073323Z.sqlite"]
        );
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4);
        // The same name again: it is said, and nothing is removed.
        make(&store, &config, START.plus_millis(3000)).await.unwrap_err();
        assert_eq!(copies(&folder).len(), 2);
        // Nor is anything removed for one that found no room.
        let greedy = config::Store { min_free_bytes: u64::MAX / 2, ..config.store };
        let greedy = config::Config { store: greedy, ..config.clone() };
        if cfg!(unix) {
            make(&store, &greedy, START.plus_millis(9000)).await.unwrap_err();
            assert_eq!(copies(&folder).len(), 2);
        }
    }

    /// Until the state is this; the paused clock of the runtime goes on by itself.
    async fn until(keeping: &Keeping, wanted: BackupHealth) {
        while keeping.now().1 != wanted {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test]
    async fn the_server_makes_them_by_itself_and_says_when_it_cannot() {
        let dir = tempfile::TempDir::new().unwrap();
        let config = settings(&dir);
        let clock = Clock::manual(START);
        let store = crate::serve::open_store(&config, clock.clone(), true).await.unwrap();
        tokio::time::pause();
        let (keeping, stop) = (Keeping::default(), CancellationToken::new());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(run(config.clone(), store.clone(), clock.clone(), keeping.clone(), stop.clone()));
        until(&keeping, BackupHealth::None).await;
        clock.set(START.plus_millis(AFTER_START_MS));
        until(&keeping, BackupHealth::Ok).await;
        assert_eq!(copies(&folder(&config)).len(), 1);
        // The next day the folder is gone, and something else has its name.
        std::fs::rename(folder(&config), dir.path().join("moved")).unwrap();
        std::fs::write(folder(&config), "x").unwrap();
        clock.set(START.plus_millis(25 * HOUR_MS));
        until(&keeping, BackupHealth::Failed).await;
        let last = async || {
            // Written a moment after it is told.
            while last_run(&config.data_dir).is_none_or(|run| run.error.is_none()) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            last_run(&config.data_dir).unwrap()
        };
        let failed = last().await;
        assert!(failed.error.unwrap().contains("cannot make the folder"), "{:?}", failed.at);
        // An hour later it is tried again.
        std::fs::remove_file(folder(&config)).unwrap();
        clock.set(START.plus_millis(26 * HOUR_MS));
        until(&keeping, BackupHealth::Ok).await;
        assert_eq!(copies(&folder(&config)).len(), 1);
        // At once, when somebody asks; a second one while it is made is refused.
        let page = ForThePage { config: config.clone(), keeping: keeping.clone() };
        clock.set(START.plus_millis(27 * HOUR_MS));
        while page.show().running {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!((page.make(), page.make()), (Ok(()), Err(BackupRunning)));
        while page.show().running {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let shown = page.show();
        assert_eq!((shown.copies.len(), shown.copies[0].at), (2, START.plus_millis(27 * HOUR_MS)));
        assert_eq!(shown.last, Some((START.plus_millis(27 * HOUR_MS), None)));
        stop.cancel();
        tasks.join_next().await.unwrap().unwrap();
        tokio::time::resume();
        store.close().await;
    }
}
