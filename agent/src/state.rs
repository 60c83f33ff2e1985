//! What the agent remembers from one run to the next, and the lock that keeps a second agent out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use protocol::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::memory::replace;
use crate::spool::{Spool, SpoolLimits};

const STATE_FILE: &str = "state.json";
const LOCK_FILE: &str = "agent.lock";
const SPOOL_DIR: &str = "spool";

/// Another agent uses the folder.
#[derive(Debug, thiserror::Error)]
#[error(
    "another openclaw-watch-agent is running with the state folder {}; stop it first, or give this one its own \
     with --state-dir",
    dir.display()
)]
pub struct AlreadyRunning {
    dir: PathBuf,
}

/// The file. Unknown fields of a later version are dropped, which costs that version nothing it cannot make anew.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    v: u32,
    epoch: u64,
}

/// The state folder while this process holds it, or its replacement in memory.
#[derive(Debug)]
pub(crate) struct State {
    dir: Option<PathBuf>,
    /// Held for as long as the agent runs; the system lets go of it however the process ends.
    _lock: Option<File>,
    epoch: u64,
}

impl State {
    /// Takes the folder, making it if needed. A folder that cannot be used is said once, and the agent goes on
    /// without memory: the present is worth more than the numbering.
    pub(crate) fn open(dir: &Path) -> Result<Self, AlreadyRunning> {
        let lock = match take(dir) {
            Ok(lock) => lock,
            Err(TryLockError::WouldBlock) => return Err(AlreadyRunning { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => {
                warn!(
                    dir = %dir.display(), %error,
                    "the state folder cannot be used; going on without it, give another with --state-dir",
                );
                return Ok(Self { dir: None, _lock: None, epoch: 0 });
            }
        };
        let epoch = match read(dir) {
            Ok(remembered) => remembered.epoch,
            Err(error) => {
                warn!(dir = %dir.display(), %error, "the state file cannot be read; starting it anew");
                0
            }
        };
        Ok(Self { dir: Some(dir.to_owned()), _lock: Some(lock), epoch })
    }

    /// A file of the folder; `None` when nothing can be kept.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(name))
    }

    /// The spool that is kept in the folder.
    pub(crate) async fn spool(&self, limits: SpoolLimits, boot: u64) -> Spool {
        let Some(dir) = self.dir.as_ref().map(|dir| dir.join(SPOOL_DIR)) else {
            return Spool::in_memory(limits);
        };
        let opened = tokio::task::spawn_blocking(move || Spool::open(&dir, limits, boot)).await;
        opened.unwrap_or_else(|_| Spool::in_memory(limits))
    }

    /// The number of the connection about to be made, greater than any before.
    pub(crate) fn next_epoch(&mut self, now: Timestamp) -> u64 {
        self.epoch = next_epoch(self.epoch, now);
        if let Some(dir) = self.dir.take_if(|dir| {
            let written = write(dir, &Remembered { v: 1, epoch: self.epoch });
            if let Err(error) = &written {
                warn!(dir = %dir.display(), %error, "the state folder cannot be written; going on without it");
            }
            written.is_err()
        }) {
            drop(dir);
        }
        self.epoch
    }
}

/// Whether state can be kept in `dir`, tried without disturbing an agent that runs there.
pub(crate) fn is_writable(dir: &Path) -> io::Result<()> {
    make(dir)?;
    let probe = dir.join(format!(".probe-{}", std::process::id()));
    create(&probe)?.write_all(b"x")?;
    fs::remove_file(probe)
}

/// Whether an agent is running with `dir`.
pub(crate) fn is_taken(dir: &Path) -> bool {
    let lock = OpenOptions::new().write(true).open(dir.join(LOCK_FILE));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Seconds since 1970, unless that has been used: a clock that was set back does not make an old connection new.
fn next_epoch(last: u64, now: Timestamp) -> u64 {
    let seconds = u64::try_from(now.as_millis() / 1000).unwrap_or(0);
    seconds.max(last.saturating_add(1)).min(i64::MAX.unsigned_abs())
}

fn take(dir: &Path) -> Result<File, TryLockError> {
    make(dir).map_err(TryLockError::Error)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(LOCK_FILE))
        .map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

fn read(dir: &Path) -> io::Result<Remembered> {
    match fs::read(dir.join(STATE_FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Remembered::default()),
        Err(error) => Err(error),
    }
}

fn write(dir: &Path, remembered: &Remembered) -> io::Result<()> {
    replace(&dir.join(STATE_FILE), &serde_json::to_vec(remembered)?)
}

#[cfg(unix)]
fn make(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_only_grow() {
        let check = |last, seconds: i64, expected| {
            assert_eq!(next_epoch(last, Timestamp(seconds * 1000)), expected, "{last} {seconds}");
        };
        check(0, 1_700_000_000, 1_700_000_000);
        check(1_700_000_000, 1_700_000_000, 1_700_000_001);
        check(1_700_000_000, 5, 1_700_000_001);
        check(5, -9, 6);
        check(u64::MAX, 0, i64::MAX.unsigned_abs());
    }

    #[test]
    fn the_epoch_survives_a_restart_and_a_clock_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("new/folder");
        let first = State::open(&dir).unwrap().next_epoch(Timestamp(1_700_000_000_000));
        let mut state = State::open(&dir).unwrap();
        assert_eq!(state.next_epoch(Timestamp(0)), first + 1);
        assert_eq!(state.next_epoch(Timestamp(0)), first + 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(STATE_FILE), mode("")), (0o600, 0o700));
        }
    }

    #[test]
    fn a_second_agent_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).unwrap();
        let refused = State::open(dir.path()).unwrap_err().to_string();
        assert!(
            refused.contains("--state-dir") && refused.contains(&dir.path().display().to_string()),
            "{refused}"
        );
        assert!(is_taken(dir.path()));
        drop(first);
        assert!(!is_taken(dir.path()));
        assert!(State::open(dir.path()).is_ok());
    }

    #[test]
    fn a_torn_state_file_does_not_stop_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        for torn in ["", "{", "[]", "{\"v\":1,\"epoch\":-1}"] {
            fs::write(dir.path().join(STATE_FILE), torn).unwrap();
            assert_eq!(State::open(dir.path()).unwrap().next_epoch(Timestamp(9000)), 9, "{torn}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_used_costs_only_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let mut state = State::open(&file).unwrap();
        assert_eq!([state.next_epoch(Timestamp(9000)), state.next_epoch(Timestamp(9000))], [9, 10]);
        assert!(is_writable(&file).is_err());
        assert!(is_writable(dir.path()).is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the probe is removed");
    }
}
