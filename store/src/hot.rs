//! What was recorded lately, and how it settles.
//!
//! A report is appended to `sample_hot` and nothing else is written for it: the table by device (`sample`), the numbers
//! of its spool and its retained message follow together, for many reports at once, when the hot rows settle. Which hot
//! rows are a device's is kept in memory; at a start it is read from the rows. A device's rows move in one transaction
//! with the note of how far the move has come, so that whoever asks finds each row once, also after a crash. Of a device
//! that brings the past of many days a part moves at a time, and those rows leave `sample_hot` at once: the note says
//! nothing of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use protocol::{DeviceId, Report, SpoolId, Timestamp};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};

use crate::fleet::Fleet;
use crate::record::insert;
use crate::samples::{Metric, Rung, SHARED, state_code};
use crate::seqs::Seqs;
use crate::{Doing as _, Error, RetainedRow, Store, lock};

/// Versions of OpenClaw that are told apart; of further ones only the state is kept.
const MAX_VERSIONS: usize = 10_000;
/// Hot rows that are read at once at a start.
const PAGE: i64 = 20_000;
/// Where the move stands when all devices are done.
const ALL_DEVICES: i64 = i64::MAX;

/// Which numbers of a spool are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spool {
    /// Its number in the database.
    pub(crate) no: i64,
    pub(crate) seqs: Seqs,
}

/// Rows of a batch for the hot tables.
#[derive(Default)]
pub(crate) struct Rows<'r> {
    samples: Vec<SampleRow<'r>>,
    messages: Vec<(i64, i64, u64)>,
    /// Spools that were not known before: number, device, name.
    spools: Vec<(i64, i64, SpoolId)>,
    /// Versions that were not known before.
    versions: Vec<(i64, &'r str)>,
}

struct SampleRow<'r> {
    no: i64,
    device_no: i64,
    spool_no: i64,
    at: i64,
    received_at: i64,
    version_no: Option<i64>,
    report: &'r Report,
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    format!("INSERT INTO sample_hot (no, device_no, at, spool_no, seq, received_at, {}) ", *SHARED)
});

fn whole(n: u64) -> i64 {
    // Checked when the payload was decoded.
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl<'r> Rows<'r> {
    fn next(&self, fleet: &Fleet) -> i64 {
        let taken = self.samples.len() + self.messages.len();
        fleet.hot.next.saturating_add(i64::try_from(taken).unwrap_or(i64::MAX))
    }

    /// A spool that was never heard of.
    pub(crate) fn spool(&mut self, fleet: &Fleet, device_no: i64, spool: SpoolId) -> Spool {
        let no = fleet.hot.next_spool + i64::try_from(self.spools.len()).unwrap_or(0);
        self.spools.push((no, device_no, spool));
        Spool { no, seqs: Seqs::default() }
    }

    pub(crate) fn message(&mut self, fleet: &Fleet, spool_no: i64, seq: u64) {
        self.messages.push((self.next(fleet), spool_no, seq));
    }

    pub(crate) fn sample(
        &mut self,
        fleet: &Fleet,
        (device_no, spool_no): (i64, i64),
        at: Timestamp,
        received_at: Timestamp,
        report: &'r Report,
    ) {
        let version = report.openclaw.as_ref().and_then(|claw| claw.version.as_deref());
        let row = SampleRow {
            no: self.next(fleet),
            device_no,
            spool_no,
            at: at.0,
            received_at: received_at.0,
            version_no: version.and_then(|version| self.version(fleet, version)),
            report,
        };
        self.samples.push(row);
    }

    fn version(&mut self, fleet: &Fleet, version: &'r str) -> Option<i64> {
        let known = fleet.hot.versions.get(version).copied();
        let known = known.or_else(|| self.versions.iter().find(|(_, v)| *v == version).map(|(no, _)| *no));
        let count = fleet.hot.versions.len() + self.versions.len();
        known.or_else(|| {
            (count < MAX_VERSIONS).then(|| {
                let no = i64::try_from(count).unwrap_or(0) + 1;
                self.versions.push((no, version));
                no
            })
        })
    }

    pub(crate) async fn write(&self, tx: &mut Transaction<'_, Sqlite>) -> Result<(), sqlx::Error> {
        insert(tx, &self.spools, "INSERT INTO spool (no, device_no, spool, seqs) ", "", |mut row, s| {
            row.push_bind(s.0).push_bind(s.1).push_bind(s.2.to_string()).push_bind("");
        })
        .await?;
        insert(tx, &self.versions, "INSERT INTO claw_version (no, version) ", "", |mut row, v| {
            row.push_bind(v.0).push_bind(v.1.to_owned());
        })
        .await?;
        insert(tx, &self.messages, "INSERT INTO message_hot (no, spool_no, seq) ", "", |mut row, m| {
            row.push_bind(m.0).push_bind(m.1).push_bind(whole(m.2));
        })
        .await?;
        insert(tx, &self.samples, &INSERT, "", |mut row, s| {
            let report = s.report;
            row.push_bind(s.no)
                .push_bind(s.device_no)
                .push_bind(s.at)
                .push_bind(s.spool_no)
                .push_bind(whole(report.seq))
                .push_bind(s.received_at)
                .push_bind(report.historical)
                .push_bind(report.openclaw.as_ref().and_then(state_code))
                .push_bind(s.version_no);
            for metric in Metric::ALL {
                row.push_bind(metric.of(report));
            }
        })
        .await
    }
}

/// What is not settled yet.
#[derive(Debug)]
pub(crate) struct Hot {
    /// The number of the next row.
    next: i64,
    next_spool: i64,
    versions: HashMap<String, i64>,
    rows: usize,
    /// When the oldest of them was measured; what settles is forgotten here a move later.
    oldest: i64,
    /// The same of those that came since the present move began.
    oldest_since: i64,
    /// By the device's number.
    fresh: BTreeMap<i64, Fresh>,
    move_: Move,
}

/// Of one device.
#[derive(Debug, Default)]
struct Fresh {
    /// Its rows in `sample_hot`.
    rows: Vec<i64>,
    /// Its spools with numbers that `spool` does not have yet.
    spools: BTreeSet<SpoolId>,
    /// Its last report, while `retained` has an older one.
    report: Option<RetainedRow>,
}

/// How far the present move has come.
#[derive(Debug, Clone, Copy)]
struct Move {
    /// The last row that it takes.
    up_to: i64,
    /// The last device whose rows are moved; [`ALL_DEVICES`] when only the old rows are left to be deleted.
    device_no: i64,
    /// Nothing is left to do.
    over: bool,
}

impl Default for Hot {
    fn default() -> Self {
        Self {
            next: 1,
            next_spool: 1,
            versions: HashMap::new(),
            rows: 0,
            oldest: i64::MAX,
            oldest_since: i64::MAX,
            fresh: BTreeMap::new(),
            move_: Move { up_to: 0, device_no: ALL_DEVICES, over: true },
        }
    }
}

impl Hot {
    /// A device's rows in `sample_hot`, as a JSON array.
    pub(crate) fn numbers(&self, device_no: i64) -> String {
        self.fresh.get(&device_no).map_or_else(|| "[]".to_owned(), |fresh| json(fresh.rows.iter().copied()))
    }

    /// A device's last report, while `retained` has an older one.
    pub(crate) fn report(&self, device_no: i64) -> Option<&RetainedRow> {
        self.fresh.get(&device_no)?.report.as_ref()
    }

    /// Whether nothing of a moment or earlier is unsettled.
    pub(crate) fn is_younger_than(&self, at: Timestamp) -> bool {
        self.oldest > at.0
    }

    pub(crate) fn reports(&self) -> impl Iterator<Item = &RetainedRow> {
        self.fresh.values().filter_map(|fresh| fresh.report.as_ref())
    }

    pub(crate) fn forget(&mut self, device_no: i64) {
        if let Some(fresh) = self.fresh.remove(&device_no) {
            self.rows -= fresh.rows.len();
        }
    }
}

fn json(numbers: impl Iterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for (i, number) in numbers.enumerate() {
        // Writing to a String does not fail.
        let _ = write!(text, "{}{number}", if i > 0 { "," } else { "" });
    }
    text.push(']');
    text
}

impl Fleet {
    /// Takes committed rows over.
    pub(crate) fn take_hot(&mut self, rows: Rows<'_>, there: &HashSet<i64>) {
        let taken = rows.samples.len() + rows.messages.len();
        self.hot.next += i64::try_from(taken).unwrap_or(0);
        self.hot.next_spool += i64::try_from(rows.spools.len()).unwrap_or(0);
        self.hot.versions.extend(rows.versions.into_iter().map(|(no, version)| (version.to_owned(), no)));
        for row in rows.samples.iter().filter(|row| there.contains(&row.device_no)) {
            let fresh = self.hot.fresh.entry(row.device_no).or_default();
            fresh.rows.push(row.no);
            self.hot.rows += 1;
            self.hot.oldest = self.hot.oldest.min(row.at);
            self.hot.oldest_since = self.hot.oldest_since.min(row.at);
        }
    }

    /// Remembers that a spool's numbers are to be written.
    pub(crate) fn touch_spool(&mut self, device_no: i64, spool: SpoolId) {
        self.hot.fresh.entry(device_no).or_default().spools.insert(spool);
    }

    pub(crate) fn keep_report(&mut self, id: DeviceId, row: RetainedRow) {
        if let Some(device) = self.devices.get(&id) {
            self.hot.fresh.entry(device.no).or_default().report = Some(row);
        }
    }

    pub(crate) fn forget_report(&mut self, id: DeviceId) {
        if let Some(device) = self.devices.get(&id)
            && let Some(fresh) = self.hot.fresh.get_mut(&device.no)
        {
            fresh.report = None;
        }
    }
}

/// What one step of the move takes.
struct Step {
    up_to: i64,
    device_no: i64,
    rows: String,
    /// A device of which only a part is taken, and the last row of it.
    part: Option<(i64, i64)>,
    /// Number, numbers of its messages, and whose it is.
    spools: Vec<(i64, String, i64, SpoolId)>,
    reports: Vec<(DeviceId, RetainedRow)>,
}

impl Fleet {
    fn step(&self, rows: usize) -> Step {
        let (Move { up_to, device_no, .. }, rows) = (self.hot.move_, rows.max(1));
        let mut step = Step {
            up_to,
            device_no: ALL_DEVICES,
            rows: String::new(),
            part: None,
            spools: vec![],
            reports: vec![],
        };
        let ids: HashMap<i64, DeviceId> =
            self.devices.values().map(|device| (device.no, device.id)).collect();
        let mut numbers = Vec::new();
        for (no, fresh) in self.hot.fresh.range(device_no.saturating_add(1)..) {
            // A spool's text and a report cost about as much as a few rows.
            let weight = numbers.len() + 4 * (step.spools.len() + step.reports.len());
            if weight >= rows {
                break;
            }
            // In the order of arrival.
            let of_move = fresh.rows.partition_point(|row| *row <= up_to);
            let (alone, too_many) = (step.device_no == ALL_DEVICES, of_move > rows);
            if too_many && !alone {
                break;
            }
            numbers.extend(fresh.rows.iter().copied().take(of_move.min(rows)));
            step.part = numbers.last().filter(|_| too_many).map(|last| (*no, *last));
            step.device_no = if too_many { device_no } else { *no };
            for spool in &fresh.spools {
                if let Some(known) = self.spools.get(&(*no, *spool)) {
                    step.spools.push((known.no, known.seqs.to_string(), *no, *spool));
                }
            }
            if let (Some(report), Some(id)) = (&fresh.report, ids.get(no)) {
                step.reports.push((*id, report.clone()));
            }
            if step.part.is_some() {
                break;
            }
        }
        if self.hot.fresh.range(step.device_no.saturating_add(1)..).next().is_none() {
            step.device_no = ALL_DEVICES;
        }
        step.rows = json(numbers.into_iter());
        step
    }

    fn settled(&mut self, step: &Step) {
        let from = self.hot.move_.device_no.saturating_add(1);
        let (devices, last) = match step.part {
            Some((no, last)) => (no..=no, last),
            None => (from..=step.device_no, step.up_to),
        };
        for (_, fresh) in self.hot.fresh.range_mut(devices) {
            let before = fresh.rows.len();
            fresh.rows.retain(|row| *row > last);
            self.hot.rows -= before - fresh.rows.len();
        }
        for (_, written, no, spool) in &step.spools {
            let now = self.spools.get(&(*no, *spool)).map(|known| known.seqs.to_string());
            if now.as_ref() == Some(written)
                && let Some(fresh) = self.hot.fresh.get_mut(no)
            {
                fresh.spools.remove(spool);
            }
        }
        for (id, written) in &step.reports {
            if let Some(device) = self.devices.get(id)
                && let Some(fresh) = self.hot.fresh.get_mut(&device.no)
                && fresh.report.as_ref() == Some(written)
            {
                fresh.report = None;
            }
        }
        self.hot
            .fresh
            .retain(|_, fresh| !fresh.rows.is_empty() || !fresh.spools.is_empty() || fresh.report.is_some());
        self.hot.move_.device_no = step.device_no;
    }
}

/// What is left to do of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// More.
    Partly,
    /// Nothing.
    Wholly,
}

impl Store {
    /// Samples that are not settled yet.
    pub fn unsettled(&self) -> usize {
        lock(&self.inner.fleet).hot.rows
    }

    /// One step of moving samples to where they stay: at most about so many rows, in one transaction. Begins with what
    /// is there when nothing is under way. Only one caller at a time (the recorder's upkeep).
    pub async fn settle(&self, rows: usize) -> Result<Settled, Error> {
        let doing = "settling samples";
        let (move_, last) = {
            let mut fleet = lock(&self.inner.fleet);
            let (move_, last) = (fleet.hot.move_, fleet.hot.next - 1);
            if move_.over {
                // What comes from here on is not of the move that may begin now.
                fleet.hot.oldest_since = i64::MAX;
            }
            (move_, last)
        };
        if move_.over {
            if last <= move_.up_to && lock(&self.inner.fleet).hot.fresh.is_empty() {
                return Ok(Settled::Wholly);
            }
            sqlx::query("UPDATE settling SET up_to = ?, device_no = 0")
                .bind(last)
                .execute(&self.inner.writer)
                .await
                .doing(doing)?;
            lock(&self.inner.fleet).hot.move_ = Move { up_to: last, device_no: 0, over: false };
            return Ok(Settled::Partly);
        }
        if move_.device_no == ALL_DEVICES {
            return self.forget_settled(move_.up_to, rows).await.doing(doing);
        }
        let (step, horizon) = {
            let fleet = lock(&self.inner.fleet);
            (fleet.step(rows), fleet.horizon)
        };
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        if step.rows != "[]" {
            for sql in [&MOVE, &FIVE_MINUTES.anew, &HOUR.anew] {
                let query = sqlx::query(sql.as_str()).bind(&step.rows).bind(horizon.raw);
                query.execute(&mut *tx).await.doing(doing)?;
            }
            if horizon.raw > 0 {
                for (rung, sql) in [(Rung::FiveMinutes, &FIVE_MINUTES.joined), (Rung::Hour, &HOUR.joined)] {
                    let query =
                        sqlx::query(sql.as_str()).bind(&step.rows).bind(horizon.raw).bind(horizon.of(rung));
                    query.execute(&mut *tx).await.doing(doing)?;
                }
            }
        }
        if step.part.is_some() {
            let sql = "DELETE FROM sample_hot WHERE no IN (SELECT value FROM json_each(?))";
            sqlx::query(sql).bind(&step.rows).execute(&mut *tx).await.doing(doing)?;
        }
        for (no, seqs, ..) in &step.spools {
            let query = sqlx::query("UPDATE spool SET seqs = ? WHERE no = ?").bind(seqs).bind(no);
            query.execute(&mut *tx).await.doing(doing)?;
        }
        for (id, row) in &step.reports {
            write_report(&mut tx, *id, row).await.doing(doing)?;
        }
        let query = sqlx::query("UPDATE settling SET device_no = ?").bind(step.device_no);
        query.execute(&mut *tx).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        lock(&self.inner.fleet).settled(&step);
        Ok(Settled::Partly)
    }

    async fn forget_settled(&self, up_to: i64, rows: usize) -> Result<Settled, sqlx::Error> {
        // Deleting from the front of the table is a tenth of the work of moving.
        let limit = i64::try_from(rows).unwrap_or(i64::MAX).saturating_mul(4);
        let mut gone = 0;
        for sql in [
            "DELETE FROM sample_hot WHERE no IN (SELECT no FROM sample_hot WHERE no <= ? ORDER BY no LIMIT ?)",
            "DELETE FROM message_hot WHERE no IN (SELECT no FROM message_hot WHERE no <= ? ORDER BY no LIMIT ?)",
        ] {
            gone +=
                sqlx::query(sql).bind(up_to).bind(limit).execute(&self.inner.writer).await?.rows_affected();
        }
        if gone > 0 {
            return Ok(Settled::Partly);
        }
        let mut fleet = lock(&self.inner.fleet);
        fleet.hot.move_.over = true;
        fleet.hot.oldest = fleet.hot.oldest_since;
        Ok(Settled::Wholly)
    }

    /// Writes the retained reports that are in memory only.
    pub(crate) async fn flush_reports(&self) -> Result<(), Error> {
        let doing = "writing retained reports";
        let reports: Vec<(DeviceId, RetainedRow)> = {
            let fleet = lock(&self.inner.fleet);
            let device = |d: &Arc<crate::Device>| fleet.hot.report(d.no).map(|row| (d.id, row.clone()));
            fleet.devices.values().filter_map(device).collect()
        };
        for part in reports.chunks(1_000) {
            let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
            for (id, row) in part {
                write_report(&mut tx, *id, row).await.doing(doing)?;
            }
            tx.commit().await.doing(doing)?;
            let mut fleet = lock(&self.inner.fleet);
            for (id, _) in part {
                fleet.forget_report(*id);
            }
        }
        Ok(())
    }

    pub(crate) async fn load_hot(&self) -> Result<(), Error> {
        let doing = "reading what is not settled";
        let readers = &self.inner.readers;
        let row =
            sqlx::query("SELECT up_to, device_no FROM settling").fetch_one(readers).await.doing(doing)?;
        let move_ = Move { up_to: row.get("up_to"), device_no: row.get("device_no"), over: false };
        let versions =
            sqlx::query("SELECT no, version FROM claw_version").fetch_all(readers).await.doing(doing)?;
        let versions = versions.iter().map(|row| (row.get("version"), row.get("no"))).collect();
        let last_spool: i64 =
            sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'spool'")
                .fetch_one(readers)
                .await
                .doing(doing)?;
        let mut hot =
            Hot { next: move_.up_to + 1, next_spool: last_spool + 1, versions, move_, ..Hot::default() };
        let by_no: HashMap<i64, (i64, SpoolId)> =
            lock(&self.inner.fleet).spools.iter().map(|(key, spool)| (spool.no, *key)).collect();
        let mut seen: Vec<((i64, SpoolId), u64)> = Vec::new();
        let mut after = 0;
        loop {
            let rows =
                hot_page(readers, "SELECT no, device_no, spool_no, seq, at FROM sample_hot", after).await?;
            for row in &rows {
                let (no, device_no): (i64, i64) = (row.get("no"), row.get("device_no"));
                after = no;
                let spool = by_no.get(&row.get("spool_no"));
                if no > move_.up_to || device_no > move_.device_no {
                    let fresh = hot.fresh.entry(device_no).or_default();
                    fresh.rows.push(no);
                    hot.oldest = hot.oldest.min(row.get("at"));
                    fresh.spools.extend(spool.map(|(_, spool)| *spool));
                    hot.rows += 1;
                }
                seen.extend(spool.map(|key| (*key, u64::try_from(row.get::<i64, _>("seq")).unwrap_or(0))));
            }
            if rows.len() < usize::try_from(PAGE).unwrap_or(0) {
                break;
            }
        }
        hot.next = hot.next.max(after + 1);
        after = 0;
        loop {
            let rows = hot_page(readers, "SELECT no, spool_no, seq FROM message_hot", after).await?;
            for row in &rows {
                after = row.get("no");
                if let Some(key) = by_no.get(&row.get("spool_no")) {
                    seen.push((*key, u64::try_from(row.get::<i64, _>("seq")).unwrap_or(0)));
                    hot.fresh.entry(key.0).or_default().spools.insert(key.1);
                }
            }
            if rows.len() < usize::try_from(PAGE).unwrap_or(0) {
                break;
            }
        }
        hot.next = hot.next.max(after + 1);
        hot.oldest_since = hot.oldest;
        let mut fleet = lock(&self.inner.fleet);
        for (key, seq) in seen {
            if let Some(spool) = fleet.spools.get_mut(&key) {
                spool.seqs.insert(seq);
            }
        }
        fleet.hot = hot;
        Ok(())
    }
}

async fn hot_page(
    pool: &SqlitePool,
    select: &str,
    after: i64,
) -> Result<Vec<sqlx::sqlite::SqliteRow>, Error> {
    sqlx::query(sqlx::AssertSqlSafe(format!("{select} WHERE no > ? ORDER BY no LIMIT {PAGE}")))
        .bind(after)
        .fetch_all(pool)
        .await
        .doing("reading what is not settled")
}

/// Writes a device's retained report, unless a newer one is there or the device is not.
async fn write_report(
    tx: &mut Transaction<'_, Sqlite>,
    id: DeviceId,
    row: &RetainedRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO retained (topic, payload, qos, properties, at)
         SELECT ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM device WHERE id = ?)
         ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload, qos = excluded.qos,
            properties = excluded.properties, at = excluded.at
         WHERE excluded.at >= retained.at",
    )
    .bind(&row.topic)
    .bind(row.payload.to_vec())
    .bind(row.qos as u8)
    .bind(row.properties.to_vec())
    .bind(row.at.0)
    .bind(id.as_str())
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// `?1` the numbers of the rows, `?2` the horizon of raw samples: what is older is not kept raw.
static MOVE: LazyLock<String> = LazyLock::new(|| {
    let shared = &*SHARED;
    format!(
        "INSERT OR IGNORE INTO sample (device_no, at, spool_no, seq, {shared})
         SELECT device_no, at, spool_no, seq, {shared} FROM json_each(?1) j CROSS JOIN sample_hot h ON h.no = j.value
         WHERE h.at >= ?2 ORDER BY device_no, at"
    )
});

/// How a rung is brought up to date with new rows.
struct Roll {
    /// Buckets of which all samples are there are worked out anew from what is below them: whatever comes, however often.
    anew: String,
    /// Buckets whose samples have expired take the late rows in addition. `?3` the rung's own horizon.
    joined: String,
}

/// Five minutes are worked out from samples, hours from five minutes, which are there before: of a device that sends many
/// samples an hour of them would be read again each time.
static FIVE_MINUTES: LazyLock<Roll> = LazyLock::new(|| Roll::of(Rung::FiveMinutes, Rung::Raw));
static HOUR: LazyLock<Roll> = LazyLock::new(|| Roll::of(Rung::Hour, Rung::FiveMinutes));

/// The columns of a rung and what they are worked out from, in the same order.
fn columns_and_values(from: Rung) -> (String, String) {
    let n = if from == Rung::Raw { "count(*)" } else { "sum(n)" };
    let mut columns = String::from("device_no, at, n, late, claw_state, claw_version_no");
    let mut values = format!("{n}, max(late), max(claw_state), max(claw_version_no)");
    for metric in Metric::ALL {
        let c = metric.column();
        // Writing to a String does not fail.
        if !metric.spreads() {
            let _ = write!(columns, ", {c}");
            let _ = write!(values, ", max({c})");
            continue;
        }
        let _ = write!(columns, ", {c}_min, {c}_avg, {c}_max");
        let _ = if from == Rung::Raw {
            write!(values, ", min({c}), CAST(round(avg({c})) AS INTEGER), max({c})")
        } else {
            write!(
                values,
                ", min({c}_min),
                 CAST(round(sum({c}_avg * n) * 1.0 / sum(CASE WHEN {c}_avg IS NOT NULL THEN n END)) AS INTEGER),
                 max({c}_max)"
            )
        };
    }
    (columns, values)
}

/// What a bucket that is there becomes with more samples.
fn joins() -> String {
    let either = |function: &str, column: &str| {
        let (own, new) = (format!("t.{column}"), format!("excluded.{column}"));
        format!("{column} = coalesce({function}({own}, {new}), {own}, {new})")
    };
    let mut joins = format!(
        "n = t.n + excluded.n, late = max(t.late, excluded.late), {}, {}",
        either("max", "claw_state"),
        either("max", "claw_version_no")
    );
    for metric in Metric::ALL {
        let c = metric.column();
        // Writing to a String does not fail.
        if !metric.spreads() {
            let _ = write!(joins, ", {}", either("max", c));
            continue;
        }
        let mean = format!(
            "{c}_avg = coalesce(
                CAST(round((t.{c}_avg * t.n + excluded.{c}_avg * excluded.n) * 1.0 / (t.n + excluded.n)) AS INTEGER),
                t.{c}_avg, excluded.{c}_avg)"
        );
        let (low, high) = (either("min", &format!("{c}_min")), either("max", &format!("{c}_max")));
        let _ = write!(joins, ", {low}, {mean}, {high}");
    }
    joins
}

impl Roll {
    fn of(rung: Rung, from: Rung) -> Self {
        let (table, bucket, source) = (rung.table(), rung.bucket_ms(), from.table());
        let rows = "json_each(?1) j CROSS JOIN sample_hot h ON h.no = j.value";
        let (columns, values) = columns_and_values(from);
        let (_, of_samples) = columns_and_values(Rung::Raw);
        Self {
            anew: format!(
                "INSERT OR REPLACE INTO {table} ({columns})
                 SELECT b.device_no, b.at, {values}
                 FROM (
                    SELECT DISTINCT h.device_no, h.at - h.at % {bucket} AS at FROM {rows} WHERE h.at >= ?2
                 ) b CROSS JOIN {source} s
                    ON s.device_no = b.device_no AND s.at >= b.at AND s.at < b.at + {bucket}
                 GROUP BY b.device_no, b.at"
            ),
            joined: format!(
                "INSERT INTO {table} AS t ({columns})
                 SELECT h.device_no, h.at - h.at % {bucket}, {of_samples} FROM {rows}
                 WHERE h.at < ?2 AND h.at >= ?3 GROUP BY 1, 2
                 ON CONFLICT DO UPDATE SET {joins}",
                joins = joins()
            ),
        }
    }
}
