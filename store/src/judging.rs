//! What whoever judges must know beside the present: news since it last looked, and what is usual.

use std::collections::HashMap;

use protocol::{DeviceId, Event, QUARTER_MILLIS, Timestamp};
use sqlx::Row as _;

use crate::events::event;
use crate::{Counts, Doing as _, Error, Range, Store, UsageBy, UsageFilter, UsageQuery, Zone, lock};

const HOUR_MS: i64 = 3_600_000;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;
/// Hours of a trend; with fewer of them than a third it is none.
const DISK_HOURS: i64 = 72;
const RSS_HOURS: i64 = 12;
/// How much of what is measured a line must explain.
const FIT: f64 = 0.6;
/// Weeks in which the same hour says what is usual.
const WEEKS: i64 = 5;

/// An event, and when we were told.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedEvent {
    /// Its number.
    pub no: i64,
    /// Whose.
    pub device: DeviceId,
    /// When we were told.
    pub received_at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// An error, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedError {
    /// Its number.
    pub no: i64,
    /// Whose.
    pub device: DeviceId,
    /// When it happened.
    pub at: Timestamp,
    /// When we were told.
    pub received_at: Timestamp,
    /// Its group.
    pub fingerprint: String,
    /// What it says.
    pub message: String,
    /// How many alike.
    pub count: u32,
    /// The first of its group on any device. A crash is told as such and never the first of anything.
    pub first: bool,
}

/// Errors of a group that a device wrote in a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMinute {
    /// Whose.
    pub device: DeviceId,
    /// The minute.
    pub at: Timestamp,
    /// The group.
    pub fingerprint: String,
    /// What one of them says.
    pub message: String,
    /// How many.
    pub count: u32,
    /// The first of the group on any device is among them.
    pub first: bool,
}

/// A line through what was measured of a device by the hour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Trend {
    /// Bytes of disk that are used more with each hour; `None`: it is no line, or too little is known.
    pub disk_per_h: Option<f64>,
    /// Bytes of memory that the gateway takes more with each hour, and how many it took at both ends of the line.
    pub rss: Option<(f64, f64, f64)>,
}

impl Store {
    /// What happened on devices with a number above this one, oldest first; no activities. With the highest number that was
    /// looked at, of whichever kind.
    pub async fn events_after(&self, no: i64, limit: u32) -> Result<(Vec<NumberedEvent>, i64), Error> {
        let doing = "reading news of devices";
        let readers = &self.inner.readers;
        // Asked first: what comes in between is looked at the next time.
        let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(no), 0) FROM event")
            .fetch_one(readers)
            .await
            .doing(doing)?;
        if newest <= no {
            return Ok((vec![], no));
        }
        let rows = sqlx::query(
            "SELECT e.*, d.id AS device FROM event e JOIN device d ON d.no = e.device_no
             WHERE e.no > ? AND e.no <= ? AND e.kind <> 'activity' ORDER BY e.no LIMIT ?",
        )
        .bind(no)
        .bind(newest)
        .bind(limit)
        .fetch_all(readers)
        .await
        .doing(doing)?;
        let full = u32::try_from(rows.len()).is_ok_and(|n| n >= limit);
        let last = rows.last().filter(|_| full).map_or(newest, |row| row.get("no"));
        let numbered = |row: &sqlx::sqlite::SqliteRow| {
            Some(NumberedEvent {
                no: row.get("no"),
                device: DeviceId::parse(row.get("device")).ok()?,
                received_at: Timestamp(row.get("received_at")),
                event: event(row)?,
            })
        };
        Ok((rows.iter().filter_map(numbered).collect(), last))
    }

    /// Errors with a number above this one, oldest first: no warnings, and none of groups that somebody ignores. With the
    /// highest number that was looked at, of whichever level.
    pub async fn errors_after(&self, no: i64, limit: u32) -> Result<(Vec<NumberedError>, i64), Error> {
        let rows = sqlx::query(
            "SELECT e.no, e.at, e.received_at, e.fingerprint, e.message, e.count, e.level, d.id AS device,
                coalesce(g.first_seen_at >= e.at AND e.level <> 'crash', 0) AS first, coalesce(g.state = 'ignored', 0) AS ignored
             FROM error_record e JOIN device d ON d.no = e.device_no
             LEFT JOIN error_group g ON g.fingerprint = e.fingerprint
             WHERE e.no > ? ORDER BY e.no LIMIT ?",
        )
        .bind(no)
        .bind(limit)
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading new errors")?;
        let last = rows.last().map_or(no, |row| row.get("no"));
        let error = |row: &sqlx::sqlite::SqliteRow| {
            let counts = matches!(row.get::<&str, _>("level"), "error" | "exception" | "crash");
            (counts && !row.get::<bool, _>("ignored")).then_some(())?;
            Some(NumberedError {
                no: row.get("no"),
                device: DeviceId::parse(row.get("device")).ok()?,
                at: Timestamp(row.get("at")),
                received_at: Timestamp(row.get("received_at")),
                fingerprint: row.get("fingerprint"),
                message: row.get("message"),
                count: row.get("count"),
                first: row.get("first"),
            })
        };
        Ok((rows.iter().filter_map(error).collect(), last))
    }

    /// The number of the newest event and error before a moment, by when we were told.
    pub async fn news_before(&self, at: Timestamp) -> Result<(i64, i64), Error> {
        sqlx::query_as(
            "SELECT coalesce((SELECT no FROM event WHERE received_at < ?1 ORDER BY no DESC LIMIT 1), 0),
                    coalesce((SELECT no FROM error_record WHERE received_at < ?1 ORDER BY no DESC LIMIT 1), 0)",
        )
        .bind(at.0)
        .fetch_one(&self.inner.readers)
        .await
        .doing("finding where news begin")
    }

    /// Errors of devices by the hour (of UTC), from a moment to another.
    pub async fn error_hours(
        &self,
        since: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(DeviceId, Timestamp, u32)>, Error> {
        let rows = sqlx::query(
            "SELECT d.id AS device, e.at / 3600000 AS hour, sum(e.count) AS n
             FROM error_record e JOIN device d ON d.no = e.device_no
             WHERE e.at >= ? AND e.at < ? AND e.level IN ('error', 'exception', 'crash') GROUP BY d.no, hour",
        )
        .bind(since.0)
        .bind(to.0)
        .fetch_all(&self.inner.readers)
        .await
        .doing("counting errors by the hour")?;
        let hour = |row: &sqlx::sqlite::SqliteRow| {
            let device = DeviceId::parse(row.get("device")).ok()?;
            Some((device, Timestamp(row.get::<i64, _>("hour") * HOUR_MS), row.get("n")))
        };
        Ok(rows.iter().filter_map(hour).collect())
    }

    /// The last audits of devices of which we were told after a moment, and the newest such moment.
    pub async fn audits_after(
        &self,
        at: Timestamp,
    ) -> Result<(Vec<(DeviceId, protocol::Audit)>, Timestamp), Error> {
        let rows = sqlx::query(
            "SELECT d.id AS device, a.received_at, a.body FROM audit a JOIN device d ON d.no = a.device_no
             WHERE a.received_at > ?",
        )
        .bind(at.0)
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading new audits")?;
        let newest = rows.iter().map(|row| Timestamp(row.get("received_at"))).max().unwrap_or(at);
        let audit = |row: &sqlx::sqlite::SqliteRow| {
            let body = protocol::Payload::decode(row.get::<&str, _>("body").as_bytes()).ok()?;
            Some((DeviceId::parse(row.get("device")).ok()?, body))
        };
        Ok((rows.iter().filter_map(audit).collect(), newest))
    }

    /// How long the outages of devices took that began after a moment, are over, and were of the network as far as is
    /// known; in milliseconds.
    pub async fn network_outages(&self, since: Timestamp) -> Result<HashMap<DeviceId, Vec<i64>>, Error> {
        let rows = sqlx::query(
            "SELECT d.id AS device, o.to_at - o.from_at AS ms FROM outage o JOIN device d ON d.no = o.device_no
             WHERE o.from_at >= ? AND o.to_at IS NOT NULL
               AND coalesce(o.label, 'unknown') IN ('network_only', 'unknown') ORDER BY ms",
        )
        .bind(since.0)
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading how long devices are away")?;
        let mut all: HashMap<DeviceId, Vec<i64>> = HashMap::new();
        for row in &rows {
            if let Ok(device) = DeviceId::parse(row.get("device")) {
                all.entry(device).or_default().push(row.get("ms"));
            }
        }
        Ok(all)
    }

    /// How disk and memory of all devices have gone until now, by the hour.
    pub async fn trends(&self) -> Result<Vec<(DeviceId, Trend)>, Error> {
        let now = self.inner.clock.now().0;
        // A line by least squares, of hours before now; one question for all devices.
        let line = |column: &str, hours: i64| {
            format!(
                "SELECT device_no, count(*) AS n, avg(x) AS mx, avg(y) AS my, avg(x * x) AS mxx, avg(x * y) AS mxy,
                    avg(y * y) AS myy, min(x) AS x0, max(x) AS x1
                 FROM (SELECT device_no, (at - ?1) / 3600000.0 AS x, {column}_avg * 1024.0 AS y FROM sample_1h
                    WHERE device_no IN (SELECT no FROM device) AND at >= ?1 - {hours} * 3600000 AND {column}_avg IS NOT NULL)
                 GROUP BY device_no"
            )
        };
        let mut all: HashMap<i64, Trend> = HashMap::new();
        for (column, hours) in [("disk_used_kib", DISK_HOURS), ("gateway_rss_kib", RSS_HOURS)] {
            let query = sqlx::query(sqlx::AssertSqlSafe(line(column, hours))).bind(now);
            let rows = query.fetch_all(&self.inner.readers).await.doing("drawing trends")?;
            for row in &rows {
                let get = |name: &str| row.get::<f64, _>(name);
                let (mx, my) = (get("mx"), get("my"));
                let (vx, vy, cov) = (get("mxx") - mx * mx, get("myy") - my * my, get("mxy") - mx * my);
                if row.get::<i64, _>("n") < hours / 3 || vx <= 0.0 || vy <= 0.0 || cov * cov / (vx * vy) < FIT
                {
                    continue;
                }
                let slope = cov / vx;
                let at = |x: f64| (my + slope * (x - mx)).max(0.0);
                let trend = all.entry(row.get("device_no")).or_default();
                if column == "disk_used_kib" {
                    trend.disk_per_h = Some(slope);
                } else {
                    trend.rss = Some((slope, at(get("x0")), at(get("x1"))));
                }
            }
        }
        let fleet = lock(&self.inner.fleet);
        let known = fleet
            .devices
            .values()
            .map(|device| (device.id, all.get(&device.no).copied().unwrap_or_default()));
        Ok(known.collect())
    }

    /// What a device used in each of the hours that are like this one: of the same hour of the weeks before; when there are
    /// fewer than three of those, of the same hour of the days before. Only hours since its first use. `hour` is a whole hour.
    pub async fn like_hours(&self, device: DeviceId, hour: Timestamp) -> Result<Vec<Counts>, Error> {
        let from = hour.plus_millis(-WEEKS * WEEK_MS);
        let asked = UsageQuery {
            from,
            to: hour,
            zone: Zone::utc(),
            by: UsageBy::Quarter,
            then_by: None,
            filter: UsageFilter { devices: Some(vec![device]), ..UsageFilter::default() },
            limit: 1,
        };
        let mut hours: HashMap<i64, Counts> = HashMap::new();
        let mut first = hour.0;
        for (key, counts) in self.usage_by_time(&asked).await? {
            let at = key.parse::<i64>().unwrap_or(0) * 1000;
            *hours.entry(at.div_euclid(HOUR_MS)).or_default() += counts;
            first = first.min(at);
        }
        let every = |step: i64, times: i64| {
            let ago = (1..=times).map(|n| hour.0 - n * step).filter(|at| *at >= first - HOUR_MS);
            ago.map(|at| hours.get(&at.div_euclid(HOUR_MS)).copied().unwrap_or_default()).collect::<Vec<_>>()
        };
        let weeks = every(WEEK_MS, WEEKS);
        Ok(if weeks.len() >= 3 { weeks } else { every(WEEK_MS / 7, 7) })
    }

    /// When somebody last spoke to a device's OpenClaw, since a moment: the end of that quarter of an hour.
    pub async fn last_human(&self, device: DeviceId, since: Timestamp) -> Result<Option<Timestamp>, Error> {
        let quarter: Option<i64> = sqlx::query_scalar(
            "SELECT max(u.quarter) FROM usage u JOIN usage_kind k ON k.no = u.kind_no
             WHERE u.device_no = (SELECT no FROM device WHERE id = ?) AND u.quarter >= ? AND u.counted AND u.turns > 0
               AND k.\"trigger\" = 'human'",
        )
        .bind(device.to_string())
        .bind(since.0.div_euclid(QUARTER_MILLIS))
        .fetch_one(&self.inner.readers)
        .await
        .doing("finding who spoke last")?;
        Ok(quarter.map(|quarter| Timestamp((quarter + 1) * QUARTER_MILLIS)))
    }

    /// The model and the reason that cost a device most since a moment, or of equals used most tokens; `None`: nothing was used.
    pub async fn used_most(
        &self,
        device: DeviceId,
        since: Timestamp,
    ) -> Result<Option<(String, String)>, Error> {
        sqlx::query_as(
            "SELECT k.model, k.\"trigger\" FROM usage u JOIN usage_kind k ON k.no = u.kind_no
             WHERE u.device_no = (SELECT no FROM device WHERE id = ?) AND u.quarter >= ? AND u.counted
             GROUP BY k.model, k.\"trigger\" HAVING sum(u.input + u.output + u.cache_read + u.cache_write) > 0
             ORDER BY sum(u.cost_nano_usd + u.estimate_nano_usd) DESC,
                sum(u.input + u.output + u.cache_read + u.cache_write) DESC LIMIT 1",
        )
        .bind(device.to_string())
        .bind(since.0.div_euclid(QUARTER_MILLIS))
        .fetch_optional(&self.inner.readers)
        .await
        .doing("finding what used most")
    }

    /// What each device used in a span, both of its ends the beginning of a quarter.
    pub async fn used_by_device(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<HashMap<DeviceId, Counts>, Error> {
        let asked = UsageQuery {
            from,
            to,
            zone: Zone::utc(),
            by: UsageBy::Device,
            then_by: None,
            filter: UsageFilter::default(),
            limit: u32::MAX,
        };
        let groups = self.usage(&asked).await?;
        let of =
            |group: crate::UsageGroup| Some((DeviceId::parse(group.key.as_deref()?).ok()?, group.counts));
        Ok(groups.into_iter().filter_map(of).collect())
    }

    /// What devices used in each part of a span: in quarters of an hour, or in as many of them together as `quarters` says.
    /// By device, the parts in the order of time; a part is named by its beginning.
    pub async fn used_in_parts(
        &self,
        devices: &[DeviceId],
        from: Timestamp,
        to: Timestamp,
        quarters: i64,
    ) -> Result<Vec<(DeviceId, Timestamp, Counts)>, Error> {
        let (ids, numbers): (Vec<DeviceId>, Vec<i64>) = {
            let fleet = lock(&self.inner.fleet);
            devices.iter().filter_map(|id| fleet.devices.get(id)).map(|device| (device.id, device.no)).unzip()
        };
        // A device's rows lie together in the order of time: no sorting, and nothing is looked at twice.
        let sql = format!(
            "SELECT j.key, u.quarter / ?4 * ?4 AS part, {} FROM json_each(?1) j
             CROSS JOIN usage u ON u.device_no = j.value
             WHERE u.quarter >= ?2 AND u.quarter < ?3 AND u.counted GROUP BY j.key, part",
            crate::usage::sums()
        );
        let quarter = |at: Timestamp| at.0.div_euclid(QUARTER_MILLIS);
        let query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(serde_json::to_string(&numbers).unwrap_or_default())
            .bind(quarter(from))
            .bind(quarter(to))
            .bind(quarters.max(1));
        let rows = self.reader().await?.fetch_all("adding up what was used", query).await?;
        let part = |row: &sqlx::sqlite::SqliteRow| {
            let place = usize::try_from(row.get::<i64, _>(0)).ok()?;
            Some((*ids.get(place)?, Timestamp(row.get::<i64, _>(1) * QUARTER_MILLIS), Counts::at(row, 2)))
        };
        Ok(rows.iter().filter_map(part).collect())
    }

    /// The quarters of an hour in which somebody spoke to a device's OpenClaw since a moment: the end of each, in order.
    pub async fn human_quarters(&self, device: DeviceId, since: Timestamp) -> Result<Vec<Timestamp>, Error> {
        let quarters: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT u.quarter FROM usage u JOIN usage_kind k ON k.no = u.kind_no
             WHERE u.device_no = (SELECT no FROM device WHERE id = ?) AND u.quarter >= ? AND u.counted AND u.turns > 0
               AND k.\"trigger\" = 'human' ORDER BY u.quarter",
        )
        .bind(device.to_string())
        .bind(since.0.div_euclid(QUARTER_MILLIS))
        .fetch_all(&self.inner.readers)
        .await
        .doing("finding when somebody spoke")?;
        Ok(quarters.into_iter().map(|quarter| Timestamp((quarter + 1) * QUARTER_MILLIS)).collect())
    }

    /// Errors by the minute, device and group, from a moment to another, oldest first.
    pub async fn error_minutes(&self, from: Timestamp, to: Timestamp) -> Result<Vec<ErrorMinute>, Error> {
        let query = sqlx::query(
            "SELECT d.id AS device, e.at / 60000 AS minute, e.fingerprint, sum(e.count) AS n,
                min(substr(e.message, 1, 300)) AS message, max(coalesce(g.first_seen_at >= e.at AND e.level <> 'crash', 0)) AS first
             FROM error_record e JOIN device d ON d.no = e.device_no
             LEFT JOIN error_group g ON g.fingerprint = e.fingerprint
             WHERE e.at >= ? AND e.at < ? AND e.level IN ('error', 'exception', 'crash')
               AND coalesce(g.state, 'open') <> 'ignored'
             GROUP BY minute, d.no, e.fingerprint ORDER BY minute",
        )
        .bind(from.0)
        .bind(to.0);
        let rows = self.reader().await?.fetch_all("counting errors by the minute", query).await?;
        let minute = |row: &sqlx::sqlite::SqliteRow| {
            Some(ErrorMinute {
                device: DeviceId::parse(row.get("device")).ok()?,
                at: Timestamp(row.get::<i64, _>("minute") * 60_000),
                fingerprint: row.get("fingerprint"),
                message: row.get("message"),
                count: row.get("n"),
                first: row.get("first"),
            })
        };
        Ok(rows.iter().filter_map(minute).collect())
    }

    /// The beginning of what is kept as steps of this length.
    pub fn steps_from(&self, from: Timestamp, to: Timestamp, step_ms: i64) -> Range {
        let points = usize::try_from(to.millis_since(from) / step_ms.max(1)).unwrap_or(1).max(2);
        self.range(from, to, points, step_ms)
    }
}
