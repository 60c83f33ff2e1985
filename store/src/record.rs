//! Recording what devices send: one transaction a batch, then the news.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use protocol::{
    Audit, DeviceId, DeviceTopic, Events, Log, OfflineReason, Presence, PresenceState, Qos, Report, SpoolId,
    Timestamp, Topic, Usage,
};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use crate::fleet::{Fleet, sane_time, skew_of};
use crate::hot::{self, Spool};
use crate::usage::Delta;
use crate::{
    Change, Device, Error, Latest, PresenceNow, Prices, RetainedRow, Store, errors, events, lock, outages,
    usage,
};

/// Something to record.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was received.
    pub received_at: Timestamp,
    /// What it says.
    pub fact: Fact,
    /// The message to retain, if it is not late.
    pub retain: Option<RetainedRow>,
}

/// What a message says.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A device's birth, farewell or will.
    Presence(DeviceId, Box<Presence>),
    /// A device's sample.
    Report(DeviceId, Box<Report>),
    /// What a device's OpenClaw used.
    Usage(DeviceId, Box<Usage>),
    /// Errors and crashes of a device's OpenClaw.
    Log(DeviceId, Box<Log>),
    /// What happened on a device.
    Events(DeviceId, Box<Events>),
    /// How safe a device is.
    Audit(DeviceId, Box<Audit>),
    /// Nothing that is ours to understand; it may be retained.
    Nothing,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is news.
    New,
    /// It was recorded; something newer was there already.
    Late,
    /// It was recorded before, or is void: an old epoch's will.
    Known,
    /// It is about a device that is not there (any more).
    Stranger,
}

/// Rows of one statement. Fixed sizes, so that the prepared statement is found again.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// Changes of a batch, before they are committed.
#[derive(Default)]
struct Batch<'r> {
    devices: HashMap<DeviceId, Device>,
    spools: HashMap<(i64, SpoolId), Spool>,
    hot: hot::Rows<'r>,
    presence: Vec<PresenceRow<'r>>,
    turns: Vec<outages::Turn>,
    usage: Vec<(i64, Timestamp, &'r Usage)>,
    errors: Vec<errors::Row<'r>>,
    events: Vec<events::Row<'r>>,
    audits: HashMap<i64, AuditRow<'r>>,
    state: HashSet<DeviceId>,
    retained: BTreeMap<String, Cow<'r, RetainedRow>>,
    /// Live reports to retain. They are written when the device goes, and now and then: each with its commit would cost
    /// ten times what is recorded of it.
    reports: HashMap<DeviceId, &'r RetainedRow>,
    /// Devices whose retained report is written with this batch.
    flushed: Vec<DeviceId>,
}

/// What is known of a batch once it is written.
#[derive(Default)]
struct Written {
    used: HashMap<i64, Delta>,
    newest_error: Option<i64>,
}

struct AuditRow<'r> {
    at: Timestamp,
    received_at: Timestamp,
    audit: &'r Audit,
}

struct PresenceRow<'r> {
    no: i64,
    received_at: i64,
    presence: &'r Presence,
}

impl<'r> Batch<'r> {
    fn device<'a>(&'a mut self, fleet: &Fleet, id: DeviceId) -> Option<&'a mut Device> {
        match self.devices.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => Some(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                Some(entry.insert(Device::clone(fleet.devices.get(&id)?)))
            }
        }
    }

    fn add(
        &mut self,
        fleet: &Fleet,
        record: &'r Record,
        status: impl Fn(DeviceId, PresenceState) -> RetainedRow,
    ) -> Verdict {
        let received_at = record.received_at;
        let verdict = match &record.fact {
            Fact::Nothing => Verdict::New,
            Fact::Presence(id, presence) => {
                let verdict = self.presence(fleet, *id, presence, received_at);
                if verdict == Verdict::New {
                    let status = status(*id, presence.state);
                    self.retained.insert(status.topic.clone(), Cow::Owned(status));
                }
                verdict
            }
            Fact::Report(id, report) => self.report(fleet, *id, report, received_at),
            Fact::Usage(id, usage) => {
                self.message(fleet, *id, usage.spool, usage.seq, received_at, |batch, no, _| {
                    batch.usage.push((no, received_at, usage));
                })
            }
            Fact::Log(id, log) => {
                let mut last = None;
                let verdict =
                    self.message(fleet, *id, log.spool, log.seq, received_at, |batch, device_no, skew| {
                        batch.errors.extend(log.records.iter().map(|record| {
                            let at = sane_time(record.at, skew, received_at, true);
                            last = last.max(errors::is_error(record.level).then_some(at));
                            errors::Row { device_no, at, received_at, record }
                        }));
                    });
                if let (Some(_), Some(device)) = (last, self.device(fleet, *id)) {
                    device.last_error_at = device.last_error_at.max(last);
                }
                verdict
            }
            Fact::Events(id, events) => {
                self.message(fleet, *id, events.spool, events.seq, received_at, |batch, device_no, skew| {
                    batch.events.extend(events.events.iter().map(|event| {
                        let at = sane_time(event.at, skew, received_at, true);
                        events::Row { device_no, at, received_at, event }
                    }));
                })
            }
            Fact::Audit(id, audit) => {
                self.message(fleet, *id, audit.spool, audit.seq, received_at, |batch, no, skew| {
                    let at = sane_time(audit.at, skew, received_at, true);
                    let newest = batch.audits.get(&no).is_none_or(|known| known.at <= at);
                    if newest {
                        batch.audits.insert(no, AuditRow { at, received_at, audit });
                    }
                })
            }
        };
        if let (Verdict::New, Some(row)) = (verdict, &record.retain) {
            if let Fact::Report(id, _) = &record.fact {
                self.reports.insert(*id, row);
            } else {
                self.retained.insert(row.topic.clone(), Cow::Borrowed(row));
            }
        }
        verdict
    }

    /// The last words of devices that are gone now are written with the news of it.
    fn flush_reports(&mut self, fleet: &Fleet) {
        for id in &self.state {
            let Some(device) =
                self.devices.get(id).filter(|d| d.presence.as_ref().is_some_and(|p| !p.online))
            else {
                continue;
            };
            let row = match self.reports.get(id) {
                Some(row) => Cow::Borrowed(*row),
                None => match fleet.hot.report(device.no) {
                    Some(row) => Cow::Owned(row.clone()),
                    None => continue,
                },
            };
            self.retained.insert(row.topic.clone(), row);
            self.flushed.push(*id);
        }
    }

    fn presence(
        &mut self,
        fleet: &Fleet,
        id: DeviceId,
        presence: &'r Presence,
        received_at: Timestamp,
    ) -> Verdict {
        let Some(device) = self.device(fleet, id) else {
            return Verdict::Stranger;
        };
        let before = device.presence.take();
        let (online_before, epoch) = before.as_ref().map_or((false, 0), |p| (p.online, p.epoch));
        let online = presence.state == PresenceState::Online;
        // The epoch rule: a will or farewell of an earlier connection says nothing about the present one.
        if !online && (presence.epoch < epoch || (presence.epoch == epoch && !online_before)) {
            device.presence = before;
            return Verdict::Known;
        }
        let turned = (online != online_before).then(|| before.as_ref().and_then(|p| p.boot_id.clone()));
        let known = before.unwrap_or(PresenceNow {
            online: false,
            since: received_at,
            reason: None,
            epoch: 0,
            boot_id: None,
            agent_version: None,
            host: None,
        });
        let since = if online == online_before && known.epoch != 0 { known.since } else { received_at };
        device.presence = Some(PresenceNow {
            online,
            since,
            reason: if online { None } else { presence.reason.or(Some(OfflineReason::Unknown)) },
            epoch: presence.epoch,
            boot_id: presence.boot_id.as_ref().map(|b| b.0.clone()).or(known.boot_id),
            agent_version: presence.agent_version.clone().or(known.agent_version),
            host: presence.host.clone().or(known.host),
        });
        if online {
            device.last_seen_at = device.last_seen_at.max(Some(received_at));
        }
        let no = device.no;
        let boot = device.presence.as_ref().and_then(|p| p.boot_id.clone());
        let reason = device.presence.as_ref().and_then(|p| p.reason);
        if let Some(boot_before) = turned {
            self.turns.push(if online {
                outages::Turn::Back { device_no: no, at: received_at, boot }
            } else {
                outages::Turn::Gone { device_no: no, at: received_at, reason, boot: boot_before }
            });
        }
        self.presence.push(PresenceRow { no, received_at: received_at.0, presence });
        self.state.insert(id);
        Verdict::New
    }

    /// Takes a message of a spool, other than a report, that was not taken before. `take` gets the device's number and
    /// the skew of its clock.
    fn message(
        &mut self,
        fleet: &Fleet,
        id: DeviceId,
        spool: SpoolId,
        seq: u64,
        received_at: Timestamp,
        take: impl FnOnce(&mut Self, i64, i64),
    ) -> Verdict {
        self.sequenced(fleet, id, spool, seq, received_at, |batch, no, skew, spool_no| {
            batch.hot.message(fleet, spool_no, seq);
            take(batch, no, skew);
        })
    }

    /// Takes a message of a spool that was not taken before. `take` gets the device's number, the skew of its clock, and
    /// the spool's number.
    fn sequenced(
        &mut self,
        fleet: &Fleet,
        id: DeviceId,
        spool: SpoolId,
        seq: u64,
        received_at: Timestamp,
        take: impl FnOnce(&mut Self, i64, i64, i64),
    ) -> Verdict {
        let Some(device) = self.device(fleet, id) else {
            return Verdict::Stranger;
        };
        let (no, skew) = (device.no, device.clock_skew_ms);
        let key = (no, spool);
        let hot = &mut self.hot;
        let known = self.spools.entry(key).or_insert_with(|| {
            fleet.spools.get(&key).cloned().unwrap_or_else(|| hot.spool(fleet, no, spool))
        });
        if !known.seqs.insert(seq) {
            return Verdict::Known;
        }
        let spool_no = known.no;
        take(self, no, skew, spool_no);
        if let Some(device) = self.device(fleet, id) {
            device.last_seen_at = device.last_seen_at.max(Some(received_at));
        }
        Verdict::New
    }

    fn report(&mut self, fleet: &Fleet, id: DeviceId, report: &'r Report, received_at: Timestamp) -> Verdict {
        let mut known = (0, 0, 0);
        let verdict =
            self.sequenced(fleet, id, report.spool, report.seq, received_at, |_, no, skew, spool_no| {
                known = (no, skew, spool_no);
            });
        if verdict != Verdict::New {
            return verdict;
        }
        let (no, skew, spool_no) = known;
        let at = sane_time(report.at, skew, received_at, report.historical);
        let Some(device) = self.device(fleet, id) else {
            return Verdict::Stranger;
        };
        let older = device.latest.as_ref().is_some_and(|l| l.spool == report.spool && l.seq > report.seq);
        let late = report.historical || older;
        if !late {
            device.latest = Some(Latest::of(report, at));
            device.clock_skew_ms = skew_of(report.at, received_at);
        }
        self.hot.sample(fleet, (no, spool_no), at, received_at, report);
        if late { Verdict::Late } else { Verdict::New }
    }

    async fn write(&self, tx: &mut Transaction<'_, Sqlite>, prices: &Prices) -> Result<Written, sqlx::Error> {
        let newest_error = errors::write(tx, &self.errors).await?;
        events::write(tx, &self.events).await?;
        for (no, row) in &self.audits {
            events::write_audit(tx, *no, row.at, row.received_at, row.audit).await?;
        }
        let used = usage::write(tx, &self.usage, prices).await?;
        self.hot.write(tx).await?;
        insert(
            tx,
            &self.presence,
            "INSERT INTO presence (device_no, received_at, at, online, reason, epoch, boot_id, agent_version) ",
            "",
            |mut row, p| {
                row.push_bind(p.no)
                    .push_bind(p.received_at)
                    .push_bind(p.presence.at.map(|at| at.0))
                    .push_bind(p.presence.state == PresenceState::Online)
                    .push_bind(p.presence.reason.map(OfflineReason::as_str))
                    .push_bind(whole(Some(p.presence.epoch)))
                    .push_bind(p.presence.boot_id.clone().map(|b| b.0))
                    .push_bind(p.presence.agent_version.clone());
            },
        )
        .await?;
        outages::write(tx, &self.turns).await?;
        let state: Vec<(&Device, &PresenceNow)> = self
            .state
            .iter()
            .filter_map(|id| self.devices.get(id))
            .filter_map(|device| Some((device, device.presence.as_ref()?)))
            .collect();
        insert(
            tx,
            &state,
            "INSERT INTO device_state (device_no, online, since, reason, epoch, boot_id, agent_version, host) ",
            " ON CONFLICT (device_no) DO UPDATE SET online = excluded.online, since = excluded.since,
                reason = excluded.reason, epoch = excluded.epoch, boot_id = excluded.boot_id,
                agent_version = excluded.agent_version, host = excluded.host",
            |mut row, (device, presence)| {
                row.push_bind(device.no)
                    .push_bind(presence.online)
                    .push_bind(presence.since.0)
                    .push_bind(presence.reason.map(OfflineReason::as_str))
                    .push_bind(whole(Some(presence.epoch)))
                    .push_bind(presence.boot_id.clone())
                    .push_bind(presence.agent_version.clone())
                    .push_bind(presence.host.as_ref().and_then(|host| serde_json::to_string(host).ok()));
            },
        )
        .await?;
        let (gone, kept): (Vec<_>, Vec<_>) = self.retained.values().partition(|row| row.payload.is_empty());
        for row in gone {
            sqlx::query("DELETE FROM retained WHERE topic = ?").bind(&row.topic).execute(&mut **tx).await?;
        }
        insert(
            tx,
            &kept,
            "INSERT INTO retained (topic, payload, qos, properties, at) ",
            " ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload, qos = excluded.qos,
                properties = excluded.properties, at = excluded.at",
            |mut row, r| {
                row.push_bind(r.topic.clone())
                    .push_bind(r.payload.to_vec())
                    .push_bind(r.qos as u8)
                    .push_bind(r.properties.to_vec())
                    .push_bind(r.at.0);
            },
        )
        .await?;
        Ok(Written { used, newest_error })
    }
}

fn whole(value: Option<u64>) -> Option<i64> {
    // Checked when the payload was decoded.
    value.map(|v| i64::try_from(v).unwrap_or(i64::MAX))
}

pub(crate) async fn insert<T>(
    tx: &mut Transaction<'_, Sqlite>,
    rows: &[T],
    head: &str,
    tail: &str,
    bind: impl Fn(sqlx::query_builder::Separated<'_, Sqlite, &'static str>, &T),
) -> Result<(), sqlx::Error> {
    let mut rest = rows;
    for size in CHUNKS {
        while rest.len() >= size {
            let (chunk, more) = rest.split_at(size);
            rest = more;
            let mut query = QueryBuilder::new(head);
            query.push_values(chunk, &bind);
            query.push(tail);
            query.build().execute(&mut **tx).await?;
        }
    }
    Ok(())
}

impl Store {
    /// Records a batch in one transaction. The verdicts come in the order of the records; nothing of a batch that
    /// failed is recorded. Only one caller at a time (the recorder).
    pub async fn record(&self, records: &[Record]) -> Result<Vec<Verdict>, Error> {
        let mut again = true;
        loop {
            let (batch, verdicts) = self.judge(records);
            match self.write(&batch).await {
                Ok(written) => {
                    self.apply(batch, written);
                    return Ok(verdicts);
                }
                Err(error) if again && is_about_a_reference(&error) => {
                    // Another process has removed one of the devices, and we have not seen it yet.
                    again = false;
                    self.refresh_directory().await?;
                }
                Err(source) => return Err(Error::Sql { doing: "recording", source }),
            }
        }
    }

    fn judge<'r>(&self, records: &'r [Record]) -> (Batch<'r>, Vec<Verdict>) {
        let now = self.inner.clock.now();
        let root = &self.inner.root;
        let status = |device: DeviceId, state: PresenceState| RetainedRow {
            topic: Topic { device, what: DeviceTopic::Status }.name(root).as_str().to_owned(),
            payload: Bytes::from_static(state.as_str().as_bytes()),
            qos: Qos::AtLeastOnce,
            properties: Bytes::new(),
            at: now,
        };
        let mut batch = Batch::default();
        let fleet = lock(&self.inner.fleet);
        let verdicts = records.iter().map(|record| batch.add(&fleet, record, status)).collect();
        batch.flush_reports(&fleet);
        (batch, verdicts)
    }

    async fn write(&self, batch: &Batch<'_>) -> Result<Written, sqlx::Error> {
        if batch.spools.is_empty() && batch.presence.is_empty() && batch.retained.is_empty() {
            return Ok(Written::default());
        }
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await?;
        let written = batch.write(&mut tx, &self.prices()).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Takes a committed batch over into what is kept in memory, and tells the news.
    fn apply(&self, batch: Batch<'_>, written: Written) {
        let Written { mut used, newest_error } = written;
        if let Some(no) = newest_error {
            self.inner.newest_error.store(no, Ordering::Relaxed);
        }
        let now = self.inner.clock.now();
        let mut changed = Vec::with_capacity(batch.devices.len());
        {
            let mut fleet = lock(&self.inner.fleet);
            let mut there = HashSet::with_capacity(batch.devices.len());
            for (id, device) in batch.devices {
                // A device that was removed meanwhile stays removed; a new name stays new.
                if let Some(known) = fleet.devices.get_mut(&id) {
                    // Whoever is looking at it keeps what it was.
                    let known = Arc::make_mut(known);
                    there.insert(known.no);
                    let delta = used.remove(&known.no);
                    let news = delta.is_some()
                        || known.presence != device.presence
                        || known.latest != device.latest
                        || known.last_error_at != device.last_error_at
                        || known.last_seen_at != device.last_seen_at;
                    if let Some(delta) = delta {
                        known.usage = Some(delta.apply(known.usage.as_deref(), now));
                    }
                    known.clock_skew_ms = device.clock_skew_ms;
                    known.presence = device.presence;
                    known.latest = device.latest;
                    known.last_error_at = device.last_error_at;
                    known.last_seen_at = device.last_seen_at;
                    if news {
                        changed.push(id);
                    }
                }
            }
            for (no, spool) in batch.spools.keys().filter(|(no, _)| there.contains(no)) {
                fleet.touch_spool(*no, *spool);
            }
            fleet.spools.extend(batch.spools.into_iter().filter(|((no, _), _)| there.contains(no)));
            fleet.take_hot(batch.hot, &there);
            for (id, row) in batch.reports {
                fleet.keep_report(id, row.clone());
            }
            for id in batch.flushed {
                fleet.forget_report(id);
            }
        }
        if !changed.is_empty() {
            self.announce(Change::Devices(changed.into()));
        }
    }
}

fn is_about_a_reference(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation)
}
