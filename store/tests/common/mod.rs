//! A store on a real file, and messages to record.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "a module of tests")]
#![allow(clippy::unwrap_used, reason = "a test")]

use bytes::Bytes;
use protocol::{
    Clock, Cpu, DeviceId, DeviceTopic, Host, OfflineReason, Payload as _, Presence, Qos, Report, SpoolId,
    Timestamp, Topic, TopicRoot,
};
use store::{Actor, Config, DeviceKind, Error, Fact, Record, RetainedRow, Store, Verdict};
use tempfile::TempDir;

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub const DAY: i64 = 86_400_000;

/// Whoever changes things in a test.
pub fn by() -> Actor {
    Actor::cli("tester")
}

pub struct World {
    pub dir: TempDir,
    pub clock: Clock,
    pub store: Store,
}

pub fn config(dir: &TempDir) -> Config {
    Config { data_dir: dir.path().join("data"), create: true, topic_root: TopicRoot::default(), readers: 2 }
}

impl World {
    pub async fn new() -> Self {
        let (dir, clock) = (TempDir::new().unwrap(), Clock::manual(NOW));
        let store = Store::open(config(&dir), clock.clone()).await.unwrap();
        Self { dir, clock, store }
    }

    /// What a restart of the server sees.
    pub async fn reopen(self) -> Self {
        self.store.close().await;
        let store = Store::open(config(&self.dir), self.clock.clone()).await.unwrap();
        Self { store, ..self }
    }

    /// A second store on the same file, as the command line has beside a running server.
    pub async fn second(&self) -> Store {
        Store::open(config(&self.dir), self.clock.clone()).await.unwrap()
    }

    pub async fn device(&self, name: &str) -> DeviceId {
        self.store.add_device(&by(), name, &[], DeviceKind::Agent).await.unwrap().unwrap().0
    }

    pub async fn record(&self, records: &[Record]) -> Vec<Verdict> {
        self.store.record(records).await.unwrap()
    }

    pub async fn seqs(&self, device: DeviceId) -> Vec<i64> {
        self.store.recorded_seqs(device).await.unwrap()
    }
}

pub fn retained_row(device: DeviceId, what: DeviceTopic, payload: Vec<u8>, at: Timestamp) -> RetainedRow {
    let topic = Topic { device, what }.name(&TopicRoot::default()).as_str().to_owned();
    RetainedRow { topic, payload: payload.into(), qos: Qos::AtLeastOnce, properties: Bytes::new(), at }
}

pub fn a_report(spool: SpoolId, seq: u64, at: Timestamp) -> Report {
    let text = format!(r#"{{"v":1,"spool":"{spool}","seq":{seq},"at":{}}}"#, at.0);
    let mut report = Report::decode(text.as_bytes()).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let pct = (seq % 100) as f64;
    report.cpu = Cpu { pct: Some(pct), ..Cpu::default() };
    report
}

pub fn report(device: DeviceId, report: &Report, received_at: Timestamp) -> Record {
    let row = retained_row(device, DeviceTopic::Report, report.encode(), received_at);
    Record { received_at, fact: Fact::Report(device, Box::new(report.clone())), retain: Some(row) }
}

/// A live report of the present moment.
pub fn live(device: DeviceId, spool: SpoolId, seq: u64) -> Record {
    report(device, &a_report(spool, seq, NOW), NOW)
}

pub fn presence(device: DeviceId, presence: Presence, received_at: Timestamp) -> Record {
    let row = retained_row(device, DeviceTopic::Presence, presence.encode(), received_at);
    Record { received_at, fact: Fact::Presence(device, Box::new(presence)), retain: Some(row) }
}

pub fn birth(device: DeviceId, epoch: u64, at: Timestamp) -> Record {
    let host = Host { hostname: Some("box".to_owned()), ..Host::default() };
    presence(device, Presence::birth(epoch, at, "1.2.3", None, host), at)
}

pub fn will(device: DeviceId, epoch: u64, at: Timestamp) -> Record {
    presence(device, Presence::offline(epoch, None, OfflineReason::ConnectionLost), at)
}

pub fn farewell(device: DeviceId, epoch: u64, at: Timestamp) -> Record {
    presence(device, Presence::farewell(epoch, at), at)
}

pub fn is_corrupt(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. })
}

pub fn is_foreign(error: &Error) -> bool {
    matches!(error, Error::Foreign { .. })
}
