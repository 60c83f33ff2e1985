//! Turns messages into rows.
//!
//! Takes whatever waits in the inbox, commits it as one batch, and only then acknowledges it: an idle server commits
//! each message at once, a busy one commits many together, as each commit writes whole pages. A store that cannot
//! write makes the recorder wait and try again; meanwhile the inbox fills, the gate stops reading, and the devices keep
//! what they have.

mod decode;
mod space;
mod upkeep;

use std::collections::HashSet;
use std::error::Error as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use protocol::{
    Ack, Delivery, DeviceId, DeviceTopic, Message, OfflineReason, Outcome, Payload as _, Presence,
    PresenceState, Publication, Qos, Timestamp, Topic, TopicRoot,
};
use store::{Fact, Record, ServerEvent, ServerEventKind, Store, Verdict};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::space::Space;
pub use crate::upkeep::keep_in_order;

/// Messages that wait for the recorder. When it is full the gate stops reading from whoever wants to add to it. Reports
/// are small; if every one had the largest payload, it would hold 512 MiB.
pub const INBOX: usize = 4_096;
/// Messages of one transaction at most.
const BATCH: usize = 2_000;
/// Messages for which a commit does not wait any longer.
const ENOUGH: usize = 256;
/// How long devices have, after the server's start, to come back before they count as offline.
const GRACE: Duration = Duration::from_secs(45);
/// Between two attempts to write, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The recorder's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Root of all topics.
    pub topic_root: TopicRoot,
    /// The folder of the database.
    pub data_dir: PathBuf,
    /// Commits do not follow each other faster than this, unless there is much to write: each writes whole pages.
    pub gather: Duration,
    /// When less is free on its file system, nothing is recorded; 0: never mind.
    pub min_free_bytes: u64,
}

/// Why nothing can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Too little is free on the disk.
    DiskLow,
    /// The database does not take writes.
    StoreFails,
}

/// How the recorder is doing. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Handle(Arc<Health>);

#[derive(Debug, Default)]
struct Health {
    /// When the store began to refuse; 0 while it does not.
    failing_since: AtomicI64,
    /// What is free on the disk, when that is too little; else 0.
    disk_low: AtomicU64,
    recorded: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    batches: AtomicU64,
}

impl Handle {
    /// Since when nothing can be recorded; `None` while all is well.
    pub fn failing_since(&self) -> Option<Timestamp> {
        Some(self.0.failing_since.load(Ordering::Relaxed)).filter(|at| *at != 0).map(Timestamp)
    }

    /// Why nothing can be recorded; `None` while all is well.
    pub fn trouble(&self) -> Option<Trouble> {
        self.failing_since()?;
        let low = self.0.disk_low.load(Ordering::Relaxed) != 0;
        Some(if low { Trouble::DiskLow } else { Trouble::StoreFails })
    }

    /// Counters by name.
    pub fn counters(&self) -> [(&'static str, u64); 4] {
        [
            ("messages_recorded", self.0.recorded.load(Ordering::Relaxed)),
            ("messages_duplicate", self.0.duplicates.load(Ordering::Relaxed)),
            ("messages_refused", self.0.refused.load(Ordering::Relaxed)),
            ("batches_committed", self.0.batches.load(Ordering::Relaxed)),
        ]
    }
}

/// The recorder.
pub struct Recorder<P> {
    config: Config,
    store: Store,
    inbox: mpsc::Receiver<Delivery>,
    publish: P,
    handle: Handle,
    space: Space,
    committed_at: Option<Instant>,
    /// Devices that were born since the server's start; `None` when the grace is over.
    born: Option<HashSet<DeviceId>>,
}

impl<P: Fn(&Publication) + Send> Recorder<P> {
    /// A recorder of what comes into `inbox`. Words of the server (`status`) go out through `publish`.
    pub fn new(config: Config, store: Store, inbox: mpsc::Receiver<Delivery>, publish: P) -> Self {
        let space = Space::new(config.data_dir.clone(), config.min_free_bytes);
        let (handle, born) = (Handle::default(), Some(HashSet::new()));
        Self { config, store, inbox, publish, handle, space, committed_at: None, born }
    }

    /// How it is doing.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Records until `drain` says that nothing more will come and the inbox is empty, or until `hard` tells it to drop
    /// what is left.
    pub async fn run(mut self, drain: CancellationToken, hard: CancellationToken) {
        let grace = tokio::time::sleep(GRACE);
        tokio::pin!(grace);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                // What is left unacknowledged is sent again by its device.
                () = hard.cancelled() => return,
                () = drain.cancelled(), if !self.inbox.is_closed() => self.inbox.close(),
                n = self.inbox.recv_many(&mut batch, BATCH) => {
                    if n == 0 {
                        return;
                    }
                    self.gather(&mut batch).await;
                    if !self.record(&mut batch, &hard).await {
                        return;
                    }
                }
                () = &mut grace, if self.born.is_some() => {
                    let born = self.born.take().unwrap_or_default();
                    let mut missing = self.missing(&born);
                    if missing.is_empty() {
                        continue;
                    }
                    info!(devices = missing.len(), "devices that were online before the restart did not come back");
                    let words: Vec<Publication> = missing.iter().map(|d| publication(&d.message)).collect();
                    if self.record(&mut missing, &hard).await {
                        words.iter().for_each(&self.publish);
                    }
                }
            }
        }
    }

    /// Waits for company, when the last commit was a moment ago.
    async fn gather(&mut self, batch: &mut Vec<Delivery>) {
        let Some(until) = self.committed_at.map(|at| at + self.config.gather) else { return };
        while batch.len() < ENOUGH {
            match timeout_at(until, self.inbox.recv_many(batch, BATCH - batch.len())).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Records a batch, however often it takes. False when it was told to stop.
    async fn record(&mut self, batch: &mut Vec<Delivery>, hard: &CancellationToken) -> bool {
        let mut records = Vec::with_capacity(batch.len());
        let mut acks = Vec::with_capacity(batch.len());
        for Delivery { message, ack } in batch.drain(..) {
            match decode::record(&self.config.topic_root, message) {
                Ok(record) => {
                    records.push(record);
                    acks.push(ack);
                }
                Err(refused) => {
                    self.handle.0.refused.fetch_add(1, Ordering::Relaxed);
                    warn!(
                        device.id = refused.device.map(tracing::field::display), topic = %refused.topic,
                        error = refused.why.source().map_or_else(|| refused.why.to_string(), ToString::to_string),
                        "payload refused"
                    );
                    ack.send(Outcome::Refused);
                }
            }
        }
        let mut acks = acks.into_iter();
        // All at once; when the database objects to what one of them says, in halves until that one is found.
        let mut parts: Vec<Range<usize>> = Vec::new();
        parts.push(0..records.len());
        let mut pause = FIRST_PAUSE;
        while let Some(part) = parts.pop() {
            let these = records.get(part.clone()).unwrap_or_default();
            if let Some(free) = self.space.too_few() {
                self.disk_is_low(free);
                parts.push(part);
                tokio::select! {
                    () = hard.cancelled() => return false,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
                continue;
            }
            match self.store.record(these).await {
                Ok(verdicts) => {
                    self.recording_again().await;
                    self.committed_at = Some(Instant::now());
                    pause = FIRST_PAUSE;
                    self.handle.0.batches.fetch_add(1, Ordering::Relaxed);
                    self.acknowledge(these, &verdicts, acks.by_ref().take(part.len()));
                }
                Err(error) if error.is_about_the_data() && these.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(error) if error.is_about_the_data() => {
                    self.handle.0.refused.fetch_add(1, Ordering::Relaxed);
                    warn!(
                        device.id = these.first().and_then(device).map(tracing::field::display),
                        error = &error as &dyn std::error::Error,
                        "the database does not take this message"
                    );
                    acks.by_ref().take(part.len()).for_each(|ack| ack.send(Outcome::Refused));
                }
                Err(error) => {
                    self.failing(&error);
                    parts.push(part);
                    tokio::select! {
                        () = hard.cancelled() => return false,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    }
                }
            }
        }
        true
    }

    /// Ends the trouble that there was, if there was any, and puts it on record.
    async fn recording_again(&self) {
        let Some(since) = self.handle.failing_since() else { return };
        let low = self.handle.trouble() == Some(Trouble::DiskLow);
        self.handle.0.failing_since.store(0, Ordering::Relaxed);
        self.handle.0.disk_low.store(0, Ordering::Relaxed);
        let duration_ms = self.store.clock().now().millis_since(since).max(0);
        info!(duration_ms, "recording again");
        let reason = if low { "the disk was almost full" } else { "the database took no writes" };
        let event = ServerEvent {
            at: since,
            kind: ServerEventKind::RecordingStopped,
            from: None,
            to: None,
            reason: Some(reason.to_owned()),
            duration_ms: Some(duration_ms),
        };
        if let Err(error) = self.store.record_server_event(&event).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "that nothing could be recorded is not on record"
            );
        }
    }

    fn disk_is_low(&self, free: u64) {
        let (now, relaxed) = (self.store.clock().now().as_millis(), Ordering::Relaxed);
        self.handle.0.disk_low.store(free.max(1), relaxed);
        if self.handle.0.failing_since.compare_exchange(0, now, relaxed, relaxed).is_ok() {
            error!(
                free_bytes = free,
                min_free_bytes = self.config.min_free_bytes,
                folder = %self.config.data_dir.display(),
                "the disk is almost full: nothing is recorded and acknowledged, and devices keep their reports, until there \
                 is room again; make room, or change [store] min_free_bytes"
            );
        }
    }

    fn failing(&self, error: &store::Error) {
        let (now, relaxed) = (self.store.clock().now().as_millis(), Ordering::Relaxed);
        self.handle.0.disk_low.store(0, relaxed);
        if self.handle.0.failing_since.compare_exchange(0, now, relaxed, relaxed).is_ok() {
            error!(
                error = error as &dyn std::error::Error,
                "cannot record; devices keep their reports and nothing is acknowledged until this works"
            );
        }
    }

    fn acknowledge(&mut self, records: &[Record], verdicts: &[Verdict], acks: impl Iterator<Item = Ack>) {
        for ((record, verdict), ack) in records.iter().zip(verdicts).zip(acks) {
            let counter = match verdict {
                Verdict::New | Verdict::Late => &self.handle.0.recorded,
                Verdict::Known => &self.handle.0.duplicates,
                Verdict::Stranger => &self.handle.0.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            ack.send(match verdict {
                Verdict::New => Outcome::Stored,
                Verdict::Late => Outcome::StoredLate,
                Verdict::Known => Outcome::AlreadyStored,
                Verdict::Stranger => Outcome::Refused,
            });
            let (Fact::Presence(device, presence), Verdict::New) = (&record.fact, verdict) else {
                continue;
            };
            if presence.state == PresenceState::Online
                && let Some(born) = &mut self.born
            {
                born.insert(*device);
            }
            let topic = Topic { device: *device, what: DeviceTopic::Status }.name(&self.config.topic_root);
            let payload = presence.state.as_str().as_bytes().into();
            (self.publish)(&Publication { topic, payload, retain: true });
        }
    }

    /// The farewells of devices that were online when the server stopped and have not come back.
    fn missing(&self, born: &HashSet<DeviceId>) -> Vec<Delivery> {
        let now = self.store.clock().now();
        let root = &self.config.topic_root;
        let farewell = |device: Arc<store::Device>| {
            let presence = device.presence.as_ref().filter(|p| p.online)?;
            let payload = Presence::offline(presence.epoch, None, OfflineReason::ServerRestart).encode();
            let message = Message {
                device: Some(device.id),
                key: protocol::KeyId::generate(),
                topic: Topic { device: device.id, what: DeviceTopic::Presence }.name(root),
                payload: payload.into(),
                retain: true,
                qos: Qos::AtLeastOnce,
                properties: bytes::Bytes::new(),
                will: true,
                received_at: now,
            };
            Some(Delivery { message, ack: Ack::nobody() })
        };
        self.store.devices().into_iter().filter(|d| !born.contains(&d.id)).filter_map(farewell).collect()
    }
}

fn device(record: &Record) -> Option<DeviceId> {
    match record.fact {
        Fact::Presence(device, _)
        | Fact::Report(device, _)
        | Fact::Usage(device, _)
        | Fact::Log(device, _)
        | Fact::Events(device, _)
        | Fact::Audit(device, _) => Some(device),
        Fact::Nothing => None,
    }
}

fn publication(message: &Message) -> Publication {
    Publication { topic: message.topic.clone(), payload: message.payload.clone(), retain: message.retain }
}
