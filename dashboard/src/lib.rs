//! HTTP on port 38888: REST below `/api/v1`, logins, the live WebSocket, the embedded page.
//!
//! All routes stand in `api/mod.rs`. Whoever may call a handler stands in its signature (`Viewer`, `Admin`).

#[cfg(test)]
mod account_tests;
mod account_views;
#[cfg(test)]
mod alerting_tests;
mod alerting_views;
mod api;
mod auth;
mod config;
#[cfg(test)]
mod contract;
mod docs;
mod error;
pub mod export;
mod history_views;
mod invitation;
mod live;
#[cfg(test)]
mod log_tests;
mod log_views;
mod neighbours;
mod openapi;
mod page;
mod serve;
mod server_views;
mod totp;
mod views;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{KeyHash, Timestamp};
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use auth::{PasswordError, check_credentials, hash_password};
pub use config::Config;
pub use invitation::Invitation;
pub use neighbours::{
    Alerting, Attempt, BackupCopy, BackupRunning, BackupState, Backups, ChannelField, ChannelKind,
    ChannelTrouble, DryMoment, DryRun, DrySeries, FieldProblem, Later, Neighbours, NoDryRun, RuleField,
    RuleKind, Tried,
};
pub use views::{AddedDeviceView, CommandsView, HealthView};

/// Why the dashboard could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// How the other parts are doing.
#[derive(Debug, Clone, Copy)]
pub struct Health {
    /// The broker's engine answers.
    pub engine_alive: bool,
    /// Since when nothing can be recorded.
    pub recorder_failing_since: Option<Timestamp>,
    /// Why: `disk_low` or `store_fails`.
    pub trouble: Option<&'static str>,
    /// What is free on the disk of the database.
    pub disk_free_bytes: Option<u64>,
    /// What is known of the database file.
    pub database: DatabaseHealth,
    /// How the last copy of it went.
    pub backup: BackupHealth,
}

/// What is known of the database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DatabaseHealth {
    /// Nothing bad.
    #[default]
    Ok,
    /// The server did not end as it should, and the file is read through.
    Checking,
    /// It is damaged.
    Damaged,
}

/// How the last copy of the database went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackupHealth {
    /// The server makes none.
    #[default]
    Off,
    /// None was made yet.
    None,
    /// It is whole.
    Ok,
    /// It could not be made.
    Failed,
}

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) invitation: Invitation,
    pub(crate) health: Arc<dyn Fn() -> Health + Send + Sync>,
    pub(crate) counters: Arc<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
    pub(crate) connection_attempts: Arc<dyn Fn() -> Vec<Attempt> + Send + Sync>,
    pub(crate) backups: Arc<dyn Backups>,
    pub(crate) alerting: Arc<dyn Alerting>,
    pub(crate) keep: store::Keep,
    pub(crate) min_free_bytes: u64,
    /// What everybody was last told; held while it is worked out.
    pub(crate) status: tokio::sync::Mutex<Option<api::status_page::Told>>,
    /// The one-time set-up token's hash, until somebody used it.
    pub(crate) setup: Mutex<Option<KeyHash>>,
    pub(crate) attempts: auth::Attempts,
    /// Two passwords are checked at a time ...
    pub(crate) passwords: Arc<Semaphore>,
    /// ... and so many may wait for that; more are told to come back.
    pub(crate) waiting_room: Semaphore,
    /// So many exports are made at once; more are told to come back.
    pub(crate) exports: Arc<Semaphore>,
    /// ... and of these, so many read from the store.
    pub(crate) export_pages: Arc<Semaphore>,
    /// One rule is tried on the past at a time ...
    pub(crate) dry_runs: Semaphore,
    /// ... and so many may wait for that; more are told to come back.
    pub(crate) dry_run_room: Semaphore,
    /// Tests that were sent to channels lately.
    pub(crate) tests: api::channels::Tests,
    pub(crate) shutdown: CancellationToken,
    /// Changes whenever somebody logs out: open sockets look whether it was theirs.
    pub(crate) logouts: watch::Sender<u64>,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The dashboard, bound to its port and not yet running.
pub struct Dashboard {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl Dashboard {
    /// Takes the port.
    pub async fn bind(
        config: Config,
        store: Store,
        tls: Option<Arc<rustls::ServerConfig>>,
        invitation: Invitation,
        setup: Option<KeyHash>,
        neighbours: Neighbours,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        let wanted = config.listen;
        let failed = |source| Error::Listen { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let Neighbours { health, counters, attempts, backups, alerting, keep, min_free_bytes } = neighbours;
        let app = App(Arc::new(Shared {
            config,
            store,
            invitation,
            health,
            counters,
            connection_attempts: attempts,
            backups,
            alerting,
            keep,
            min_free_bytes,
            status: tokio::sync::Mutex::new(None),
            setup: Mutex::new(setup),
            attempts: auth::Attempts::default(),
            passwords: Arc::new(Semaphore::new(2)),
            waiting_room: Semaphore::new(16),
            exports: Arc::new(Semaphore::new(32)),
            export_pages: Arc::new(Semaphore::new(1)),
            dry_runs: Semaphore::new(1),
            dry_run_room: Semaphore::new(8),
            tests: api::channels::Tests::default(),
            shutdown,
            logouts: watch::Sender::new(0),
        }));
        Ok(Self { app, listener, address, tls: tls.map(TlsAcceptor::from) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown token, then lets what is under way finish.
    pub async fn run(self) {
        let Self { app, listener, tls, .. } = self;
        let (tasks, shutdown) = (TaskTracker::new(), app.shutdown.clone());
        let require_https = app.config.require_https;
        serve::serve(listener, api::routes(app), tls, require_https, tasks.clone(), shutdown).await;
        tasks.close();
        tasks.wait().await;
    }
}
