//! What the engine is told, and what it keeps of it. Everything comes from the store, live or from the past: so a dry run
//! and a test in simulated time are the same as what happens.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use protocol::{DeviceId, EventKind, OfflineReason, OpenClaw, Timestamp};
use store::{Counts, Device, DeviceUsage, Scope};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// Told so long after it happened, something is of the past: it came with a backlog.
const LATE_MS: i64 = 10 * MINUTE_MS;
/// Events of each kind that are remembered of a device.
const EVENTS: usize = 50;
/// Minutes and hours in which a device's errors are counted.
const ERROR_MINUTES: i64 = 120;
const ERROR_HOURS: i64 = 26;
/// Groups of errors that are looked at for being seen on many devices.
const GROUPS: usize = 2_000;
/// New groups that are remembered of a device.
const NEW_GROUPS: usize = 20;

/// Something that the engine learns.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A device as it is now.
    Device(DeviceNow),
    /// A device is gone.
    Removed(DeviceId),
    /// Something happened on a device.
    Happened(DeviceId, Happened),
    /// A device told an error.
    Error(DeviceId, ErrorTold),
    /// What the last audit of a device found, whole.
    Findings(DeviceId, Vec<Finding>),
    /// How long a device is usually away when it is away for a moment, in milliseconds.
    Blips(DeviceId, i64),
    /// How the disk and the gateway's memory of a device have gone lately.
    Trend(DeviceId, Trend),
    /// What is usual for a device in this hour of the week.
    Usual(DeviceId, Usual),
    /// When somebody last spoke to a device's OpenClaw.
    Human(DeviceId, Human),
    /// What devices used this month before today, and in the week before today.
    Before(Timestamp, HashMap<DeviceId, (Counts, Counts)>),
    /// The server itself.
    Server(ServerNow),
    /// Keys that nobody used for long: id, name, and since when.
    Keys(Vec<(String, String, Timestamp)>),
    /// Channels that fail: id, name, since when, why.
    Channels(Vec<(String, String, Timestamp, String)>),
    /// Alerts that somebody took note of, by key.
    Acknowledged(Vec<String>),
    /// The server's clock was set: by so many milliseconds forward.
    ClockStepped(i64),
}

/// A device as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceNow {
    /// Which.
    pub id: DeviceId,
    /// What people call it.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it is there; `None`: it never was.
    pub online: Option<bool>,
    /// Since when.
    pub since: Timestamp,
    /// Why it is not.
    pub reason: Option<OfflineReason>,
    /// From where it is connected, or was.
    pub address: Option<IpAddr>,
    /// The version of its agent.
    pub agent_version: Option<String>,
    /// What was measured last.
    pub measured: Option<Measured>,
    /// What its OpenClaw used.
    pub usage: Option<Arc<DeviceUsage>>,
    /// By how many milliseconds its clock is off.
    pub clock_skew_ms: i64,
}

/// What was measured on a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// When.
    pub at: Timestamp,
    /// Percent.
    pub cpu_pct: Option<f64>,
    /// Percent.
    pub memory_pct: Option<f64>,
    /// Percent of each disk, by where it is mounted; of the past only of all together, which has no name.
    pub disks: Vec<(String, f64)>,
    /// Bytes that are free on all disks.
    pub disk_free: Option<u64>,
    /// OpenClaw.
    pub claw: Option<Arc<OpenClaw>>,
    /// Why the agent's queue is lost with it.
    pub spool_problem: Option<String>,
}

#[expect(clippy::cast_precision_loss, reason = "percent")]
fn pct(used: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| used as f64 * 100.0 / total as f64)
}

impl DeviceNow {
    /// A device as the store knows it.
    pub fn of(device: &Device, address: Option<IpAddr>) -> Self {
        let presence = device.presence.as_ref();
        let measured = device.latest.as_ref().map(|latest| {
            let disks = if latest.volumes.is_empty() {
                let all = latest.disk_used.zip(latest.disk_total);
                all.and_then(|(used, total)| Some((String::new(), pct(used, total)?))).into_iter().collect()
            } else {
                let one = |v: &protocol::Volume| Some((v.mount.clone(), pct(v.used_bytes, v.total_bytes)?));
                latest.volumes.iter().filter_map(one).collect()
            };
            Measured {
                at: latest.at,
                cpu_pct: latest.cpu_pct,
                memory_pct: latest.memory_used.zip(latest.memory_total).and_then(|(u, t)| pct(u, t)),
                disks,
                disk_free: latest.disk_used.zip(latest.disk_total).map(|(u, t)| t.saturating_sub(u)),
                claw: latest.openclaw.clone(),
                spool_problem: latest.agent.spool_problem.clone(),
            }
        });
        Self {
            id: device.id,
            name: device.name.clone(),
            tags: device.tags.clone(),
            online: presence.map(|p| p.online),
            since: presence.map_or(device.created_at, |p| p.since),
            reason: presence.and_then(|p| p.reason),
            address,
            agent_version: presence.and_then(|p| p.agent_version.clone()),
            measured,
            usage: device.usage.clone(),
            clock_skew_ms: device.clock_skew_ms,
        }
    }
}

/// Something that happened on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// When it was told.
    pub received_at: Timestamp,
    /// To which gateway.
    pub gateway: Option<String>,
    /// What it was before.
    pub from: Option<String>,
    /// What it is since.
    pub to: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// How many.
    pub count: Option<u64>,
}

/// When something happened that was told, for a rule that judges the past, or does not. `None`: not for this rule.
pub(crate) fn when(at: Timestamp, received_at: Timestamp, late: bool) -> Option<Timestamp> {
    let is_late = received_at.millis_since(at) > LATE_MS;
    if is_late { late.then_some(received_at) } else { Some(at) }
}

impl Happened {
    /// When it happened, for a rule that judges the past, or does not.
    pub(crate) fn when(&self, late: bool) -> Option<Timestamp> {
        when(self.at, self.received_at, late)
    }
}

/// An error that a device told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorTold {
    /// When it happened.
    pub at: Timestamp,
    /// When it was told.
    pub received_at: Timestamp,
    /// Its group.
    pub fingerprint: String,
    /// What it says.
    pub message: String,
    /// How many alike.
    pub count: u32,
    /// The first of its group on any device.
    pub first: bool,
}

impl ErrorTold {
    /// So many errors of which nothing else is known.
    pub(crate) fn counted(at: Timestamp, count: u32) -> Self {
        let (fingerprint, message) = (String::new(), String::new());
        Self { at, received_at: at, fingerprint, message, count, first: false }
    }
}

/// Something that makes a device less safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// It is bad, and not just to be looked at.
    pub critical: bool,
    /// It in a few words.
    pub title: String,
}

/// How something has gone lately, as a line through it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Trend {
    /// Bytes of disk that are used more with each hour; `None`: too little is known, or it is no line.
    pub disk_per_h: Option<f64>,
    /// Bytes of memory that the gateway takes more with each hour.
    pub rss_per_h: Option<f64>,
    /// Bytes that the gateway took at the beginning of the time that was looked at, by the line, and at its end.
    pub rss: Option<(f64, f64)>,
}

/// What is usual for a device in an hour of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct Usual {
    /// The hour that it is for.
    pub hour: Timestamp,
    /// Spent, in billionths of a US dollar: the median, and the median of how far from it.
    pub spent: (f64, f64),
    /// Tokens, the same way.
    pub tokens: (f64, f64),
    /// From so many hours.
    pub known: u32,
    /// What used most in this hour.
    pub mostly: Option<Mostly>,
}

/// When somebody last spoke to a device's OpenClaw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Human {
    /// When this was looked up.
    pub asked_at: Timestamp,
    /// When somebody spoke; `None`: nobody in the time that was looked at.
    pub last_at: Option<Timestamp>,
    /// What used most since.
    pub mostly: Option<Mostly>,
}

/// What used most of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mostly {
    /// The model.
    pub model: String,
    /// What made OpenClaw run, in the word of [`protocol::UsageTrigger`].
    pub trigger: String,
}

/// The server itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerNow {
    /// Its disk is too full to record.
    pub disk_low: bool,
    /// Bytes that are free on its disk, and how many it must leave free.
    pub disk_free: Option<(u64, u64)>,
    /// Since when the database takes no writes.
    pub recording_fails_since: Option<Timestamp>,
    /// The database is damaged.
    pub damaged: bool,
    /// Subscribers get nothing: the router behind the gate is dead.
    pub engine_dead: bool,
    /// Messages that wait to be recorded, in percent of what may wait.
    pub inbox_pct: Option<f64>,
    /// The last backup failed, and why.
    pub backup_failed: Option<String>,
    /// Until when the certificate is good.
    pub certificate_until: Option<Timestamp>,
    /// The server's own version.
    pub version: String,
}

/// What is known of a device.
#[derive(Debug, Clone)]
pub struct Known {
    pub(crate) now: DeviceNow,
    pub(crate) happened: HashMap<EventKind, VecDeque<Happened>>,
    pub(crate) errors: ErrorCounts,
    pub(crate) new_groups: VecDeque<ErrorTold>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) blips_ms: Option<i64>,
    pub(crate) trend: Trend,
    pub(crate) usual: Option<Usual>,
    pub(crate) human: Option<Human>,
    pub(crate) before: Option<(Timestamp, Counts, Counts)>,
}

/// Errors counted by the minute and by the hour.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorCounts {
    minutes: BTreeMap<i64, u32>,
    hours: BTreeMap<i64, u32>,
}

impl ErrorCounts {
    fn add(&mut self, at: Timestamp, count: u32) {
        for (map, unit, keep) in
            [(&mut self.minutes, MINUTE_MS, ERROR_MINUTES), (&mut self.hours, HOUR_MS, ERROR_HOURS)]
        {
            let slot = at.0.div_euclid(unit);
            let newest = map.last_key_value().map_or(slot, |(last, _)| (*last).max(slot));
            if slot > newest - keep {
                *map.entry(slot).or_default() += count;
            }
            *map = map.split_off(&(newest - keep + 1));
        }
    }

    /// In the minutes from `from` to `to`.
    pub(crate) fn minutes(&self, from: Timestamp, to: Timestamp) -> u32 {
        self.minutes.range(from.0.div_euclid(MINUTE_MS)..=to.0.div_euclid(MINUTE_MS)).map(|(_, n)| *n).sum()
    }

    /// In the hours that lie in a time.
    pub(crate) fn hours(&self, from: Timestamp, to: Timestamp) -> u32 {
        self.hours.range(from.0.div_euclid(HOUR_MS)..to.0.div_euclid(HOUR_MS)).map(|(_, n)| *n).sum()
    }
}

impl Known {
    fn new(now: DeviceNow) -> Self {
        Self {
            now,
            happened: HashMap::new(),
            errors: ErrorCounts::default(),
            new_groups: VecDeque::new(),
            findings: Vec::new(),
            blips_ms: None,
            trend: Trend::default(),
            usual: None,
            human: None,
            before: None,
        }
    }

    /// What happened of a kind, oldest first.
    pub(crate) fn events(&self, kind: EventKind) -> impl Iterator<Item = &Happened> {
        self.happened.get(&kind).into_iter().flatten()
    }
}

/// A group of errors, lately.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) message: String,
    pub(crate) seen: HashMap<DeviceId, Timestamp>,
    pub(crate) last_at: Timestamp,
}

/// Everything that is known.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub(crate) devices: HashMap<DeviceId, Known>,
    pub(crate) groups: HashMap<String, Group>,
    pub(crate) server: Option<ServerNow>,
    pub(crate) keys: Vec<(String, String, Timestamp)>,
    pub(crate) channels: Vec<(String, String, Timestamp, String)>,
    /// Versions of OpenClaw, the newest first, and how many devices run them.
    pub(crate) versions: Vec<(String, usize)>,
}

/// What must be judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Touched {
    /// A device.
    Device(DeviceId),
    /// What is judged of several devices together.
    Fleet,
    /// The server.
    Server,
}

impl World {
    /// Takes a fact in, and says what it touches.
    pub(crate) fn learn(&mut self, fact: Fact) -> Vec<Touched> {
        match fact {
            Fact::Device(now) => self.device(now),
            Fact::Removed(id) => {
                if let Some(gone) = self.devices.remove(&id) {
                    self.count_version(version_of(&gone.now).as_deref(), None);
                }
                for group in self.groups.values_mut() {
                    group.seen.remove(&id);
                }
                vec![Touched::Device(id), Touched::Fleet]
            }
            Fact::Happened(id, event) => self.of(id, |known| {
                let list = known.happened.entry(event.kind).or_default();
                list.push_back(event);
                if list.len() > EVENTS {
                    list.pop_front();
                }
            }),
            Fact::Error(id, error) => {
                self.group(id, &error);
                let mut touched = self.of(id, |known| {
                    // Counted when it happened: what comes late is not a burst of now.
                    known.errors.add(error.at, error.count);
                    if error.first {
                        known.new_groups.push_back(error);
                        if known.new_groups.len() > NEW_GROUPS {
                            known.new_groups.pop_front();
                        }
                    }
                });
                touched.push(Touched::Fleet);
                touched
            }
            Fact::Findings(id, findings) => self.of(id, |known| known.findings = findings),
            Fact::Blips(id, ms) => self.of(id, |known| known.blips_ms = Some(ms)),
            Fact::Trend(id, trend) => self.of(id, |known| known.trend = trend),
            Fact::Usual(id, usual) => self.of(id, |known| known.usual = Some(usual)),
            Fact::Human(id, human) => self.of(id, |known| known.human = Some(human)),
            Fact::Before(day, mut all) => {
                let mut touched = vec![Touched::Fleet];
                for (id, known) in &mut self.devices {
                    let (month, week) = all.remove(id).unwrap_or_default();
                    known.before = Some((day, month, week));
                    touched.push(Touched::Device(*id));
                }
                touched
            }
            Fact::Server(now) => {
                self.server = Some(now);
                vec![Touched::Server]
            }
            Fact::Keys(keys) => {
                self.keys = keys;
                vec![Touched::Server]
            }
            Fact::Channels(channels) => {
                self.channels = channels;
                vec![Touched::Server]
            }
            Fact::Acknowledged(_) | Fact::ClockStepped(_) => vec![],
        }
    }

    fn of(&mut self, id: DeviceId, change: impl FnOnce(&mut Known)) -> Vec<Touched> {
        let Some(known) = self.devices.get_mut(&id) else { return vec![] };
        change(known);
        vec![Touched::Device(id)]
    }

    fn device(&mut self, now: DeviceNow) -> Vec<Touched> {
        let (id, version) = (now.id, version_of(&now));
        let mut touched = vec![Touched::Device(id)];
        let (before, used) = match self.devices.entry(id) {
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                let before = version_of(&known.now);
                let used = known.now.usage != now.usage || known.now.tags != now.tags;
                // From where it came is known only while it is there.
                let address = now.address.or(known.now.address);
                known.now = DeviceNow { address, ..now };
                (before, used)
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Known::new(now));
                (None, true)
            }
        };
        if before != version {
            self.count_version(before.as_deref(), version.as_deref());
        }
        if used {
            touched.push(Touched::Fleet);
        }
        touched
    }

    fn count_version(&mut self, before: Option<&str>, after: Option<&str>) {
        if let Some(before) = before {
            for (version, count) in &mut self.versions {
                if version == before {
                    *count = count.saturating_sub(1);
                }
            }
        }
        if let Some(after) = after {
            match self.versions.iter_mut().find(|(version, _)| version == after) {
                Some((_, count)) => *count += 1,
                None => self.versions.push((after.to_owned(), 1)),
            }
        }
        self.versions.retain(|(_, count)| *count > 0);
        self.versions.sort_by_cached_key(|(version, _)| std::cmp::Reverse(parts(version)));
    }

    fn group(&mut self, id: DeviceId, error: &ErrorTold) {
        // Counts of hours that are past have none.
        if error.fingerprint.is_empty() {
            return;
        }
        let Some(at) = when(error.at, error.received_at, false) else { return };
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&error.fingerprint) {
            let oldest =
                self.groups.iter().min_by_key(|(_, group)| group.last_at).map(|(key, _)| key.clone());
            oldest.map(|key| self.groups.remove(&key));
        }
        let group = self.groups.entry(error.fingerprint.clone()).or_insert_with(|| Group {
            message: error.message.clone(),
            seen: HashMap::new(),
            last_at: at,
        });
        group.message.clone_from(&error.message);
        group.last_at = group.last_at.max(at);
        let seen = group.seen.entry(id).or_insert(at);
        *seen = (*seen).max(at);
    }

    /// The devices of a scope.
    pub(crate) fn within<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Known> {
        self.devices.values().filter(|known| scope.has(known.now.id, &known.now.tags))
    }
}

fn version_of(now: &DeviceNow) -> Option<String> {
    now.measured.as_ref()?.claw.as_ref()?.version.clone()
}

/// A version as numbers, so that it can be compared: `2026.9.10` is newer than `2026.9.6`. What is no number counts as 0,
/// and a version with a word behind it (`-beta.1`) is older than the same without.
pub(crate) fn parts(version: &str) -> (Vec<u64>, bool, String) {
    let (numbers, word) = version.split_once('-').unwrap_or((version, ""));
    let numbers = numbers.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0)).collect();
    (numbers, word.is_empty(), word.to_owned())
}
