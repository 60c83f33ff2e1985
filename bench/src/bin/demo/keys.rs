//! What `demo live` must know of a past that was filled in.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use protocol::SpoolId;
use serde::{Deserialize, Serialize};

const FILE: &str = "demo-keys.json";

/// The simulated fleet.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) seed: u64,
    pub(crate) devices: u16,
    pub(crate) days: u16,
    pub(crate) hostile: bool,
    /// When the past ends.
    pub(crate) end: i64,
    pub(crate) keys: Vec<Known>,
}

/// A device of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) key: String,
    /// Of its token counts.
    pub(crate) ledger: SpoolId,
}

impl Kept {
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&path).with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read(&path).with_context(|| {
            format!("cannot read {}: fill the folder first, with `demo --data-dir`", path.display())
        })?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not what `demo` writes", path.display()))
    }
}
