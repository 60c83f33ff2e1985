//! What the benchmarks share: a store with devices, and reports like those that agents send.
#![allow(dead_code, unreachable_pub, reason = "each benchmark uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on says so by panicking")]

use bytes::Bytes;
use protocol::{
    Clock, DeviceId, DeviceTopic, Gateway, GatewayState, OpenClaw, Payload as _, Process, Qos, Report,
    SpoolId, Timestamp, Topic, TopicRoot, Volume,
};
use store::{Actor, DeviceKind, Fact, Record, RetainedRow, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub struct World {
    pub runtime: Runtime,
    pub store: Store,
    pub devices: Vec<(DeviceId, SpoolId)>,
    pub clock: Clock,
    dir: TempDir,
}

impl World {
    pub fn new(devices: usize) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (dir, clock) = (TempDir::new().unwrap(), Clock::manual(NOW));
        let config = store::Config {
            datadir.path().to_owned(),
            create: true,
            topic_root: TopicRoot::default(),
            readers: 3,
        };
        let store = runtime.block_on(Store::open(config, clock.clone())).unwrap();
        let add = |n: usize| {
            let (by, name) = (Actor::server(), format!("device {n}"));
            let added = store.add_device(&by, &name, &[], DeviceKind::Agent);
            (runtime.block_on(added).unwrap().unwrap().0, SpoolId::generate())
        };
        let devices = (0..devices).map(add).collect();
        Self { runtime, store, devices, clock, dir }
    }

    /// A store that something was written into past its memory.
    pub fn filled<F: Future<Output = ()>>(fill: impl FnOnce(Store) -> F) -> Self {
        let world = Self::new(0);
        let config = store::Config {
            data_dir: world.dir.path().to_owned(),
            create: true,
            topic_root: TopicRoot::default(),
            readers: 3,
        };
        let again = world.runtime.block_on(async {
            fill(world.store.clone()).await;
            world.store.close().await;
            Store::open(config, world.clock.clone()).await.unwrap()
        });
        Self { store: again, ..world }
    }

    /// The report number `seq` of each device.
    pub fn round(&self, seq: u64) -> Vec<Record> {
        let at = NOW.plus_millis(i64::try_from(seq).unwrap() * 30_000);
        self.devices.iter().map(|(id, spool)| record(*id, report(*spool, seq, at))).collect()
    }

    pub fn record(&self, records: &[Record]) {
        self.runtime.block_on(self.store.record(records)).unwrap();
    }

    pub fn settle(&self) {
        while self.runtime.block_on(self.store.settle(3_000)).unwrap() == store::Settled::Partly {}
    }
}

pub fn record(device: DeviceId, report: Report) -> Record {
    let topic = Topic { device, what: DeviceTopic::Report }.name(&TopicRoot::default()).as_str().to_owned();
    let payload = Bytes::from(report.encode());
    let retain =
        RetainedRow { topic, payload, qos: Qos::AtLeastOnce, properties: Bytes::new(), at: report.at };
    Record { received_at: report.at, fact: Fact::Report(device, Box::new(report)), retain: Some(retain) }
}

/// A report of an ordinary machine with a gateway.
pub fn report(spool: SpoolId, seq: u64, at: Timestamp) -> Report {
    let text = format!(r#"{{"v":1,"spool":"{spool}","seq":{seq},"at":{},"interval_s":30}}"#, at.0);
    let mut report = Report::decode(text.as_bytes()).unwrap();
    let x = f64::from(u32::try_from(seq % 60).unwrap());
    report.cpu.pct = Some(12.5 + x);
    report.cpu.cores = vec![x; 8];
    report.cpu.load1 = Some(0.42);
    report.memory.used_bytes = Some(6_442_450_944 + seq * 4096);
    report.memory.total_bytes = Some(16_777_216_000);
    report.disk.used_bytes = Some(200_000_000_000);
    report.disk.total_bytes = Some(512_000_000_000);
    report.disk.volumes = ["/", "/home"]
        .map(|mount| Volume {
            mount: mount.to_owned(),
            fs: Some("ext4".to_owned()),
            used_bytes: 100_000_000_000,
            total_bytes: 256_000_000_000,
        })
        .to_vec();
    report.network.up_bytes_per_s = Some(2345.5 + x);
    report.network.down_bytes_per_s = Some(123_456.75 + x);
    let process = |pid| Process {
        pid,
        name: "openclaw-gateway".to_owned(),
        cpu_pct: Some(x),
        memory_bytes: Some(100_000_000),
    };
    report.top_cpu = (1..=5).map(process).collect();
    report.top_memory = (1..=5).map(process).collect();
    let gateway = Gateway {
        name: "default".to_owned(),
        state: GatewayState::Running,
        rss_bytes: Some(400_000_000),
        cpu_pct: Some(x),
        event_loop_p99_ms: Some(12.5),
        ..Gateway::default()
    };
    report.openclaw = Some(OpenClaw {
        state: GatewayState::Running,
        version: Some("2026.9.6".to_owned()),
        gateways: vec![gateway],
    });
    report
}
