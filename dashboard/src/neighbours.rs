//! What the dashboard is told of the other parts, which it does not know.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use protocol::{DeviceId, Timestamp};

use crate::Health;

/// Where the other parts are asked.
#[derive(Clone)]
pub struct Neighbours {
    /// How broker and recorder are doing.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// Their counters by name; those ending in `_now` are gauges.
    pub counters: Arc<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
    /// Who tried to connect to the device port lately, newest first.
    pub attempts: Arc<dyn Fn() -> Vec<Attempt> + Send + Sync>,
    /// Copies of the database.
    pub backups: Arc<dyn Backups>,
    /// How long the past is kept, as it is configured.
    pub keep: store::Keep,
    /// Bytes of its disk that the server leaves free.
    pub min_free_bytes: u64,
}

/// Somebody tried to connect to the device port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When, the last time.
    pub at: Timestamp,
    /// From where.
    pub address: IpAddr,
    /// What became of it, in a word.
    pub outcome: &'static str,
    /// The device that the key named, whether or not its secret was right.
    pub device: Option<DeviceId>,
    /// More of why, in a word.
    pub detail: Option<Cow<'static, str>>,
    /// How they came: `tcp`, `websocket` or `http`.
    pub client: &'static str,
    /// How many alike this stands for.
    pub count: u32,
}

/// Makes copies of the database, and knows which there are.
pub trait Backups: Send + Sync {
    /// Which there are, and how the last one went. Looks on the disk.
    fn show(&self) -> BackupState;

    /// Makes one now, beside all else. `Err` while one is being made.
    fn make(&self) -> Result<(), BackupRunning>;
}

/// One is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupRunning;

/// The copies that there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackupState {
    /// Where they are.
    pub folder: String,
    /// Hours between two; 0: only when somebody asks.
    pub every_h: u32,
    /// So many are kept.
    pub keep: u32,
    /// Newest first.
    pub copies: Vec<BackupCopy>,
    /// How the last one went: when it began, and what was wrong.
    pub last: Option<(Timestamp, Option<String>)>,
    /// One is being made.
    pub running: bool,
}

/// A copy of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupCopy {
    /// The name of its file.
    pub file: String,
    /// When it was made.
    pub at: Timestamp,
    /// How large.
    pub bytes: u64,
}
