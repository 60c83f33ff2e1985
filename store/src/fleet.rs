//! The devices as they are now, in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::{
    AgentHealth, DeviceId, Host, OfflineReason, OpenClaw, Payload as _, Report, SpoolId, Timestamp, Topic,
    TopicRoot, Volume,
};
use sqlx::Row as _;

use crate::hot::{Hot, Spool};
use crate::samples::{Horizon, Metric, state_of};
use crate::seqs::Seqs;
use crate::usage::{self, DeviceUsage};
use crate::{Doing as _, Error, Store, errors, lock, retention};

/// How a device is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// By an agent of its own.
    Agent,
    /// By the server that runs on it.
    Local,
}

impl DeviceKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Local => "local",
        }
    }
}

/// A device as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id on the wire.
    pub id: DeviceId,
    /// What people call it.
    pub name: String,
    /// How it is watched.
    pub kind: DeviceKind,
    /// Words to group and find it by.
    pub tags: Vec<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Grows with each change of its name or tags by people.
    pub rev: i64,
    /// Whether it is there; `None` when it was never heard of.
    pub presence: Option<PresenceNow>,
    /// When it was last heard of, by the server's clock.
    pub last_seen_at: Option<Timestamp>,
    /// The newest sample's main numbers.
    pub latest: Option<Latest>,
    /// When its newest error or crash happened; warnings do not count.
    pub last_error_at: Option<Timestamp>,
    /// What its OpenClaw used; `None` while nothing was ever counted.
    pub usage: Option<Arc<DeviceUsage>>,
    /// By how many milliseconds its clock is behind the server's (negative: ahead); 0 when that is little.
    pub clock_skew_ms: i64,
    pub(crate) no: i64,
}

/// A device's presence now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceNow {
    /// Connected.
    pub online: bool,
    /// Since when.
    pub since: Timestamp,
    /// Why, when offline.
    pub reason: Option<OfflineReason>,
    /// The connection that this is about.
    pub epoch: u64,
    /// The boot of the host, by its last birth.
    pub boot_id: Option<String>,
    /// The agent's version, by its last birth.
    pub agent_version: Option<String>,
    /// The host, by its last birth.
    pub host: Option<Host>,
}

/// The main numbers of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Latest {
    /// When it was measured.
    pub at: Timestamp,
    /// The spool that counted it.
    pub spool: SpoolId,
    /// Its number there.
    pub seq: u64,
    /// Percent of all cores.
    pub cpu_pct: Option<f64>,
    /// Bytes.
    pub memory_used: Option<u64>,
    /// Bytes.
    pub memory_total: Option<u64>,
    /// Bytes.
    pub disk_used: Option<u64>,
    /// Bytes.
    pub disk_total: Option<u64>,
    /// Bytes per second.
    pub network_up: Option<f64>,
    /// Bytes per second.
    pub network_down: Option<f64>,
    /// OpenClaw on it; `None` when the agent has not looked.
    pub openclaw: Option<Arc<OpenClaw>>,
    /// Each disk; empty when it is read from the history, which keeps the sum.
    pub volumes: Vec<Volume>,
    /// How the agent itself is doing; nothing when it is read from the history.
    pub agent: AgentHealth,
}

impl Latest {
    pub(crate) fn of(report: &Report, at: Timestamp) -> Self {
        Self {
            at,
            spool: report.spool,
            seq: report.seq,
            cpu_pct: report.cpu.pct,
            memory_used: report.memory.used_bytes,
            memory_total: report.memory.total_bytes,
            disk_used: report.disk.used_bytes,
            disk_total: report.disk.total_bytes,
            network_up: report.network.up_bytes_per_s,
            network_down: report.network.down_bytes_per_s,
            openclaw: report.openclaw.clone().map(Arc::new),
            volumes: report.disk.volumes.clone(),
            agent: report.agent.clone(),
        }
    }
}

impl Latest {
    /// What a sample's row says: `at`, `claw_state`, `version` and the columns of [`SHOWN`].
    pub(crate) fn of_row(
        row: &sqlx::sqlite::SqliteRow,
        spool: SpoolId,
        seq: u64,
        known: Option<&OpenClaw>,
    ) -> Self {
        let value = |metric: Metric| metric.shown(row.get(metric.column()));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was a count of bytes"
        )]
        let bytes = |metric: Metric| value(metric).map(|bytes| bytes as u64);
        let openclaw = row.get::<Option<i64>, _>("claw_state").map(|code| {
            let known = known.cloned().unwrap_or_default();
            Arc::new(OpenClaw { state: state_of(code), version: row.get("version"), ..known })
        });
        Self {
            at: Timestamp(row.get("at")),
            spool,
            seq,
            cpu_pct: value(Metric::CpuPct),
            memory_used: bytes(Metric::MemoryUsed),
            memory_total: bytes(Metric::MemoryTotal),
            disk_used: bytes(Metric::DiskUsed),
            disk_total: bytes(Metric::DiskTotal),
            network_up: value(Metric::NetworkUp),
            network_down: value(Metric::NetworkDown),
            openclaw,
            volumes: Vec::new(),
            agent: AgentHealth::default(),
        }
    }
}

/// What the overview shows of a sample.
pub(crate) const SHOWN: [Metric; 7] = [
    Metric::CpuPct,
    Metric::MemoryUsed,
    Metric::MemoryTotal,
    Metric::DiskUsed,
    Metric::DiskTotal,
    Metric::NetworkUp,
    Metric::NetworkDown,
];

#[derive(Default)]
pub(crate) struct Fleet {
    pub(crate) devices: HashMap<DeviceId, Arc<Device>>,
    pub(crate) spools: HashMap<(i64, SpoolId), Spool>,
    pub(crate) hot: Hot,
    pub(crate) horizon: Horizon,
}

/// A device's own clock that is further off than this is not believed for what happens now.
const MAX_SKEW_MS: i64 = 120_000;

/// By how much the clock of a device is behind, as a message shows that it has just sent.
pub(crate) fn skew_of(at: Timestamp, received_at: Timestamp) -> i64 {
    let behind = received_at.millis_since(at);
    if behind.abs() > MAX_SKEW_MS { behind } else { 0 }
}

/// When something happened, by the server's clock as far as that can be known: `skew` is by how much the device's clock
/// is behind.
pub(crate) fn sane_time(at: Timestamp, skew: i64, received_at: Timestamp, historical: bool) -> Timestamp {
    if !historical {
        return if skew_of(at, received_at) == 0 { at } else { received_at };
    }
    let at = at.plus_millis(skew);
    // What was measured long ago may be told late, and never early.
    if received_at.millis_since(at) < -MAX_SKEW_MS { received_at } else { at }
}

impl Store {
    /// All devices, by name.
    pub fn devices(&self) -> Vec<Arc<Device>> {
        let mut devices: Vec<Arc<Device>> = lock(&self.inner.fleet).devices.values().cloned().collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        devices
    }

    /// The number of the newest error on record, 0 before the first.
    pub fn newest_error(&self) -> i64 {
        self.inner.newest_error.load(Ordering::Relaxed)
    }

    /// How many devices there are.
    pub fn count_devices(&self) -> usize {
        lock(&self.inner.fleet).devices.len()
    }

    /// One device.
    pub fn device(&self, id: DeviceId) -> Option<Device> {
        lock(&self.inner.fleet).devices.get(&id).map(|device| Device::clone(device))
    }

    /// Whether there is such a device.
    pub fn knows_device(&self, id: DeviceId) -> bool {
        lock(&self.inner.fleet).devices.contains_key(&id)
    }

    /// Those of these devices that there are.
    pub fn some_devices<'a>(&self, ids: impl IntoIterator<Item = &'a DeviceId>) -> Vec<Arc<Device>> {
        let fleet = lock(&self.inner.fleet);
        ids.into_iter().filter_map(|id| fleet.devices.get(id).cloned()).collect()
    }

    pub(crate) async fn load_fleet(&self) -> Result<(), Error> {
        let devices = read_devices(&self.inner.readers, &self.inner.root).await?;
        let spools = sqlx::query("SELECT no, device_no, spool, seqs FROM spool")
            .fetch_all(&self.inner.readers)
            .await
            .doing("reading the spools")?;
        let spools = spools
            .iter()
            .filter_map(|row| {
                let spool = SpoolId::parse(row.get("spool")).ok()?;
                let known = Spool { no: row.get("no"), seqs: Seqs::parse(row.get("seqs")) };
                Some(((row.get("device_no"), spool), known))
            })
            .collect();
        let mut used = usage::load(&self.inner.readers, self.inner.clock.now()).await?;
        let (newest, mut last_errors) = errors::load(&self.inner.readers).await?;
        self.inner.newest_error.store(newest, Ordering::Relaxed);
        let devices = devices
            .into_iter()
            .map(|device| {
                let (usage, last_error_at) = (used.remove(&device.no), last_errors.remove(&device.no));
                (device.id, Arc::new(Device { last_error_at, usage, ..device }))
            })
            .collect();
        let horizon = retention::read_horizon(&self.inner.readers).await?;
        *lock(&self.inner.fleet) = Fleet { devices, spools, hot: Hot::default(), horizon };
        self.load_hot().await?;
        self.load_latest().await
    }
}

impl Store {
    /// After a crash the retained report of a device may be older than its last sample: then the sample counts.
    async fn load_latest(&self) -> Result<(), Error> {
        let mut sql =
            String::from("SELECT h.device_no, h.at, h.seq, h.received_at, h.claw_state, v.version, p.spool");
        for metric in SHOWN {
            sql.extend([", h.", metric.column()]);
        }
        sql.push_str(
            " FROM (SELECT max(no) AS no FROM sample_hot WHERE NOT late GROUP BY device_no) newest
             JOIN sample_hot h ON h.no = newest.no JOIN spool p ON p.no = h.spool_no
             LEFT JOIN claw_version v ON v.no = h.claw_version_no",
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&self.inner.readers)
            .await
            .doing("reading the newest samples")?;
        let mut fleet = lock(&self.inner.fleet);
        let mut by_no: HashMap<i64, &mut Device> =
            fleet.devices.values_mut().map(|d| (d.no, Arc::make_mut(d))).collect();
        for row in &rows {
            if let (Some(device), Ok(spool)) =
                (by_no.get_mut(&row.get("device_no")), SpoolId::parse(row.get("spool")))
            {
                device.catch_up(row, spool);
            }
        }
        Ok(())
    }
}

impl Device {
    fn catch_up(&mut self, row: &sqlx::sqlite::SqliteRow, spool: SpoolId) {
        let received_at = Timestamp(row.get("received_at"));
        self.last_seen_at = self.last_seen_at.max(Some(received_at));
        let seq = u64::try_from(row.get::<i64, _>("seq")).unwrap_or(0);
        let at = Timestamp(row.get("at"));
        if self.latest.as_ref().is_some_and(|l| l.at > at || (l.spool == spool && l.seq >= seq)) {
            return;
        }
        // What else was known of OpenClaw is of the older report.
        let known = self.latest.as_ref().and_then(|l| l.openclaw.clone());
        self.latest = Some(Latest::of_row(row, spool, seq, known.as_deref()));
    }
}

pub(crate) async fn read_devices(pool: &sqlx::SqlitePool, root: &TopicRoot) -> Result<Vec<Device>, Error> {
    let rows = sqlx::query(
        "SELECT d.no, d.id, d.name, d.kind, d.tags, d.created_at, d.rev, s.online, s.since, s.reason, s.epoch, s.boot_id,
                s.agent_version, s.host, r.payload AS report, r.at AS report_at
         FROM device d
         LEFT JOIN device_state s ON s.device_no = d.no
         LEFT JOIN retained r ON r.topic = ? || '/' || d.id || '/report'",
    )
    .bind(root.as_str())
    .fetch_all(pool)
    .await
    .doing("reading the devices")?;
    Ok(rows.iter().filter_map(device).collect())
}

/// Names and tags of all devices, or of one. What is known of the present is not read: it is in memory already.
pub(crate) async fn read_names(
    connection: impl sqlx::SqliteExecutor<'_>,
    only: Option<DeviceId>,
) -> Result<Vec<Device>, sqlx::Error> {
    let all = "SELECT no, id, name, kind, tags, created_at, rev FROM device";
    let one = "SELECT no, id, name, kind, tags, created_at, rev FROM device WHERE id = ?";
    let query = only.map_or_else(|| sqlx::query(all), |id| sqlx::query(one).bind(id.to_string()));
    let rows = query.fetch_all(connection).await?;
    Ok(rows.iter().filter_map(name).collect())
}

fn name(row: &sqlx::sqlite::SqliteRow) -> Option<Device> {
    Some(Device {
        no: row.get("no"),
        id: DeviceId::parse(row.get("id")).ok()?,
        name: row.get("name"),
        kind: if row.get::<&str, _>("kind") == "local" { DeviceKind::Local } else { DeviceKind::Agent },
        tags: serde_json::from_str(row.get("tags")).unwrap_or_default(),
        created_at: Timestamp(row.get("created_at")),
        rev: row.get("rev"),
        presence: None,
        last_seen_at: None,
        latest: None,
        last_error_at: None,
        usage: None,
        clock_skew_ms: 0,
    })
}

fn device(row: &sqlx::sqlite::SqliteRow) -> Option<Device> {
    let presence = row.get::<Option<bool>, _>("online").map(|online| PresenceNow {
        online,
        since: Timestamp(row.get("since")),
        reason: row.get::<Option<&str>, _>("reason").and_then(|r| serde_json::from_value(r.into()).ok()),
        epoch: u64::try_from(row.get::<i64, _>("epoch")).unwrap_or(0),
        boot_id: row.get("boot_id"),
        agent_version: row.get("agent_version"),
        host: row.get::<Option<&str>, _>("host").and_then(|h| serde_json::from_str(h).ok()),
    });
    let report_at = row.get::<Option<i64>, _>("report_at").map(Timestamp);
    let report = row.get::<Option<&[u8]>, _>("report").and_then(|bytes| Report::decode(bytes).ok());
    let told = report.zip(report_at);
    let skew = told.as_ref().map_or(0, |(report, at)| skew_of(report.at, *at));
    let latest =
        told.map(|(report, at)| Latest::of(&report, sane_time(report.at, skew, at, report.historical)));
    let since = presence.as_ref().map(|p| p.since);
    Some(Device { last_seen_at: report_at.max(since), presence, latest, clock_skew_ms: skew, ..name(row)? })
}

impl Device {
    /// The topic of one kind of its messages.
    pub fn topic(&self, what: protocol::DeviceTopic) -> Topic {
        Topic { device: self.id, what }
    }
}
