//! The spool, between those who fill it and the one who empties it.
//!
//! A disk may take its time, or hang: every use of the spool is on a thread that may block, one after the other, so that
//! the connection goes on meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::{AgentHealth, DeviceTopic, SpoolId};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;

use crate::blocking::unblocked;
use crate::clock::{Change, Clocks, Stamp};
use crate::spool::Spool;

/// The spool, shared.
#[derive(Debug)]
pub(crate) struct Outbox {
    spool: Arc<AsyncMutex<Spool>>,
    clocks: Mutex<Clocks>,
    /// The newest report: its number, and when it was taken.
    newest_report: Mutex<Option<(u64, Instant)>>,
    /// Told after each push.
    pub(crate) pushed: Notify,
}

impl Outbox {
    pub(crate) fn new(spool: Spool, clocks: Clocks) -> Self {
        Self {
            spool: Arc::new(AsyncMutex::new(spool)),
            clocks: Mutex::new(clocks),
            newest_report: Mutex::new(None),
            pushed: Notify::new(),
        }
    }

    /// Does something with the spool.
    pub(crate) async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool) -> R + Send + 'static,
    ) -> R {
        let mut spool = Arc::clone(&self.spool).lock_owned().await;
        unblocked(move || work(&mut spool)).await
    }

    /// Puts a message into the spool; when this returns it is on the disk. Returns its number.
    pub(crate) async fn push(
        &self,
        what: DeviceTopic,
        encode: impl Fn(SpoolId, u64, Stamp) -> Vec<u8> + Send + 'static,
    ) -> u64 {
        let stamp = self.stamp();
        let seq = self.with(move |spool| spool.push(what, stamp, |id, seq| encode(id, seq, stamp))).await;
        if what == DeviceTopic::Report {
            *lock(&self.newest_report) = Some((seq, Instant::now()));
        }
        self.pushed.notify_one();
        seq
    }

    /// The newest report: its number, and when it was taken.
    pub(crate) fn newest_report(&self) -> Option<(u64, Instant)> {
        *lock(&self.newest_report)
    }

    /// This moment.
    pub(crate) fn stamp(&self) -> Stamp {
        lock(&self.clocks).stamp()
    }

    /// What happened to the clock since the last call.
    pub(crate) fn look_at_clock(&self) -> Option<Change> {
        lock(&self.clocks).look()
    }

    /// What a report says of the spool.
    pub(crate) async fn health(&self) -> AgentHealth {
        self.with(|spool| AgentHealth {
            spooled: u64::try_from(spool.len()).ok(),
            dropped: Some(spool.dropped()),
            spool_problem: spool.problem().map(|text| text.chars().take(200).collect()),
            backfill_pct: None,
        })
        .await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What these hold is whole after every use.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
