//! Every durable fact, and the news about it.
//!
//! The only crate with SQL; one file per noun, a method is a question or a deed. There is one writer connection
//! (`synchronous=FULL`, so what is committed survives a power cut) and a few readers. What is asked all the time
//! (the fleet as it is now, who may do what) is kept in memory and changed after each commit. News goes out on
//! [`Store::feed`] after the commit, never before: nothing is shown that is not stored.

mod alerts;
mod audit_log;
mod backup;
mod channels;
mod deliveries;
mod directory;
mod error_groups;
mod errors;
mod events;
mod fleet;
mod fleet_at;
mod growth;
mod hot;
mod judging;
mod open;
mod outages;
mod page;
mod pauses;
mod people;
mod prices;
mod reader;
mod record;
mod registry;
mod retained;
mod retention;
mod rules;
mod sample_rows;
mod samples;
mod search;
mod seqs;
mod status_page;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;
mod two_factor;
mod usage;
mod usage_rows;
mod used;
mod vault;
mod zone;

use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use protocol::{Clock, DeviceId, TopicRoot};
use sqlx::SqlitePool;
use tokio::sync::{broadcast, watch};

pub use alerts::{
    Alert, AlertDeed, AlertFilter, AlertWrite, Firing, FiringAlert, Judged, NewDelivery, Said, Severity,
    Telling,
};
pub use audit_log::{Actor, ActorKind, AuditEntry, AuditFilter, Deed, Subject};
pub use backup::{Amounts, Backup, Progress, Restored, check_file, free_bytes, restore};
pub use channels::{Channel, ChannelBody, ChannelDraft};
pub use deliveries::{
    AfterAttempt, Attempt, Delivery, DeliveryFilter, DeliveryState, GIVEN_UP_SETTINGS, Queued, Streak, ToSend,
};
pub use directory::WhyNot;
pub use error_groups::{
    ErrorGroup, ErrorGroupDetail, ErrorGroupFilter, ErrorState, GroupDevice, GroupPlace, GroupSort,
    GroupVersion,
};
pub use errors::{ErrorFilter, ErrorRecord};
pub use events::{EventFilter, FleetEvent, ServerEvent, ServerEventKind};
pub use fleet::{Device, DeviceKind, Latest, PresenceNow};
pub use fleet_at::FleetAt;
pub use growth::{Amounts as DailyAmounts, Growth, growth};
pub use hot::Settled;
pub use judging::{NumberedError, NumberedEvent, Trend};
pub use open::Config;
pub use outages::{LastRun, Outage, OutageFilter, OutageLabel, Span, Uptime};
pub use page::{Page, Place};
pub use pauses::{
    AlertingSettings, Digest, DigestEvery, Pause, PauseBody, PauseKind, QuietHours, TimeOfDay, When,
};
pub use people::{Login, PersonInfo, PersonRefusal, Role};
pub use prices::{EMBEDDED as EMBEDDED_PRICES, Estimate, FlatRate, Models, Price, PriceError, Prices, Rates};
pub use record::{Fact, Record, Verdict};
pub use registry::{KeyInfo, NewKey, Refusal, unseen};
pub use retained::RetainedRow;
pub use retention::{Expiring, Keep, Sizes};
pub use rules::{EditRefusal, Rule, RuleBody, Scope, Step};
pub use sample_rows::{SamplePlace, SampleRecord};
pub use samples::{Horizon, Metric, Range, Rung, Samples, Series};
pub use search::{Search, TooMuch};
pub use status_page::StatusPage;
pub use tokens::TokenInfo;
pub use two_factor::TwoFactor;
pub use usage::{
    Counts, DeviceUsage, Expected, Forecast, Summary, UnpricedModel, UsageBy, UsageFilter, UsageGroup,
    UsageQuery, Usual,
};
pub use usage_rows::{UsagePlace, UsageRecord};
pub use vault::{Vault, VaultError};
pub use zone::{Days, Zone};

/// News after a commit. A receiver that lags gets `Lagged` and asks for the whole fleet again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These devices are new or not as they were.
    Devices(Arc<[DeviceId]>),
    /// These devices are gone.
    Removed(Arc<[DeviceId]>),
    /// An alert fires, says something else, is over, or somebody took note of it.
    Alerts,
    /// Rules, pauses or the settings of alerting were changed.
    Rules,
    /// Channels were added, changed or removed.
    Channels,
    /// There is something to deliver, or something was.
    Deliveries,
}

/// Changes that a slow receiver may be behind before it must start over.
const FEED: usize = 4096;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or file cannot be used.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is a database, or a file, of something else.
    #[error(
        "{path} is not a database of OpenClaw Watch; it was left as it is. Move it away, or choose another --data-dir"
    )]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// The file was ours and is damaged.
    #[error(
        "{path} is damaged and was left as it is ({detail}). Restore a backup, or move it away to start empty"
    )]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// What SQLite says of it.
        detail: String,
    },
    /// A newer version of the program has used the file.
    #[error(
        "{path} was written by a newer version; install that version, or restore a backup made by this one"
    )]
    Newer {
        /// Which.
        path: PathBuf,
    },
    /// There is no database yet, and this command does not make one.
    #[error("there is no data in {path} yet; start the server once, or give its folder with --data-dir")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is something of that name, and it is not overwritten.
    #[error("{path} is there already and was left as it is; give a new name")]
    Exists {
        /// What.
        path: PathBuf,
    },
    /// The disk is too small for a copy.
    #[error(
        "{path} has {free} bytes free and a copy needs {needed}; make room, or give a file on another disk"
    )]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are there.
        free: u64,
    },
    /// A copy was made and is not whole.
    #[error("the copy for {path} was not whole and was removed ({detail}); look at the disk")]
    BadCopy {
        /// For what.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// SQLite said no.
    #[error("{doing} failed in the database")]
    Sql {
        /// What we were doing.
        doing: &'static str,
        /// What SQLite says.
        #[source]
        source: sqlx::Error,
    },
    /// A question took longer than anybody waits for an answer.
    #[error("{doing} took too long")]
    TooSlow {
        /// What we were doing.
        doing: &'static str,
    },
    /// A secret cannot be sealed or read.
    #[error("a secret cannot be sealed or read")]
    Vault(#[from] VaultError),
    /// The file could not be brought to this version's form.
    #[error("the database could not be brought to this version's form")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

impl Error {
    /// Whether SQLite objects to what was to be written, and not to writing: it would object for ever.
    pub fn is_about_the_data(&self) -> bool {
        let Self::Sql { source, .. } = self else {
            return false;
        };
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH; the higher bits say more.
        code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 18..=20))
    }
}

pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Sql { doing, source })
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Clock,
    root: TopicRoot,
    writer: SqlitePool,
    readers: SqlitePool,
    /// Places for those who read with a time limit: see `reader.rs`.
    asking: Arc<tokio::sync::Semaphore>,
    feed: broadcast::Sender<Change>,
    fleet: Mutex<fleet::Fleet>,
    newest_error: AtomicI64,
    firing: Mutex<Firing>,
    /// Held while alerts are counted: an older count never replaces a newer one.
    counting: tokio::sync::Mutex<()>,
    directory: Mutex<Arc<directory::Directory>>,
    directory_version: watch::Sender<u64>,
    used: used::Used,
    /// Read where rows are written: see `usage/reprice.rs`.
    prices: RwLock<Arc<Prices>>,
    /// Held while devices and keys are changed or read again: what is in memory never goes back in time.
    editing: tokio::sync::Mutex<()>,
    /// When somebody last looked for keys of another process; held while looking.
    looked_at: tokio::sync::Mutex<Option<tokio::time::Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// News from now on.
    pub fn feed(&self) -> broadcast::Receiver<Change> {
        self.inner.feed.subscribe()
    }

    /// The clock that the store goes by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Root of all topics.
    pub fn topic_root(&self) -> &TopicRoot {
        &self.inner.root
    }

    fn announce(&self, change: Change) {
        // Nobody listening is fine.
        drop(self.inner.feed.send(change));
    }
}
