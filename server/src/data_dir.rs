//! The data folder: one server at a time, and where it listens.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// Held while a server uses the folder. The operating system takes it back however the server ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Where a running server listens, in `addresses.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The page.
    pub dashboard: String,
    /// Devices and MQTT clients.
    pub broker: String,
}

fn lock_file(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("server.lock");
    OpenOptions::new().create(true).truncate(false).write(true).open(&path).with_context(|| {
        format!("cannot write in {}; give a folder of this user with --data-dir", dir.display())
    })
}

/// Makes the folder and takes it, or says who has it.
pub fn take(dir: &Path) -> anyhow::Result<Lock> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir).with_context(|| {
        format!("cannot make the folder {}; give one that this user may write with --data-dir", dir.display())
    })?;
    let file = lock_file(dir)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => bail!(
            "another openclaw-watch is running on {}; stop it first, or give another folder with --data-dir",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", dir.join("server.lock").display()))
        }
    }
}

/// Whether a server runs on the folder now.
pub fn in_use(dir: &Path) -> bool {
    dir.join("server.lock").exists()
        && lock_file(dir).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn addresses_file(dir: &Path) -> PathBuf {
    dir.join("addresses.json")
}

/// Tells scripts where the server listens. Written whole or not at all.
pub fn write_addresses(dir: &Path, addresses: &Addresses) -> anyhow::Result<()> {
    let (path, draft) = (addresses_file(dir), dir.join("addresses.json.new"));
    std::fs::write(&draft, serde_json::to_vec(addresses)?)
        .and_then(|()| std::fs::rename(&draft, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Where the server on this folder listens, or listened last.
pub fn read_addresses(dir: &Path) -> Option<Addresses> {
    serde_json::from_slice(&std::fs::read(addresses_file(dir)).ok()?).ok()
}

/// Removes what only holds while a server runs.
pub fn forget_addresses(dir: &Path) {
    // It may be gone already; a leftover only misleads until the next start.
    drop(std::fs::remove_file(addresses_file(dir)));
}
