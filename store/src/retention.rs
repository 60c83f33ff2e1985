//! How long the past is kept: a plan of values, carried out in small steps.

use protocol::Timestamp;
use sqlx::{Row as _, SqlitePool};

use crate::{Doing as _, Error, Horizon, Rung, Store, lock};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How much of a rung goes at once when the database is too large.
const SLICE_MS: i64 = 6 * HOUR_MS;

/// How long each rung is kept, in milliseconds, and how large the database may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Samples.
    pub raw_ms: i64,
    /// Five minutes.
    pub five_minutes_ms: i64,
    /// Hours.
    pub hour_ms: i64,
    /// Error records.
    pub errors_ms: i64,
    /// Bytes of the database; 0: no limit.
    pub max_bytes: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            raw_ms: 7 * DAY_MS,
            five_minutes_ms: 30 * DAY_MS,
            hour_ms: 400 * DAY_MS,
            errors_ms: 90 * DAY_MS,
            max_bytes: 0,
        }
    }
}

/// How large the database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Bytes of the file.
    pub file: u64,
    /// Bytes of it that hold something.
    pub used: u64,
    /// When the oldest raw sample is of.
    pub oldest_raw: Option<Timestamp>,
    /// When the oldest five minutes are of.
    pub oldest_five_minutes: Option<Timestamp>,
}

impl Keep {
    /// From when on each rung is to be kept. A database that is too large loses the oldest raw samples first, a quarter of
    /// a day for each plan; when there is an hour of them left, the oldest five minutes. Horizons never go back.
    pub fn plan(&self, present: Horizon, sizes: Sizes, now: Timestamp) -> Horizon {
        // Whole hours: a bucket of the ladder has all of its samples, or none.
        let hours = |ms: i64| ms - ms.rem_euclid(HOUR_MS);
        let back = |ms: i64| hours(now.0.saturating_sub(ms)).max(0);
        let mut plan = Horizon {
            raw: present.raw.max(back(self.raw_ms)),
            five_minutes: present.five_minutes.max(back(self.five_minutes_ms)),
            hour: present.hour.max(back(self.hour_ms)),
        };
        if self.max_bytes == 0 || sizes.used <= self.max_bytes {
            return plan;
        }
        let cut = |oldest: Option<Timestamp>, horizon: i64, last: i64| {
            let oldest = oldest.map(|at| at.0).filter(|at| *at < last)?;
            Some(hours(oldest.max(horizon).saturating_add(SLICE_MS)).min(last))
        };
        if let Some(raw) = cut(sizes.oldest_raw, plan.raw, back(HOUR_MS)) {
            plan.raw = plan.raw.max(raw);
        } else if let Some(five) = cut(sizes.oldest_five_minutes, plan.five_minutes, back(DAY_MS)) {
            plan.five_minutes = plan.five_minutes.max(five);
        }
        plan
    }
}

/// Where a round of expiring stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiring {
    rung: Rung,
    device_no: i64,
}

impl Default for Expiring {
    fn default() -> Self {
        Self { rung: Rung::Raw, device_no: 0 }
    }
}

pub(crate) async fn read_horizon(pool: &SqlitePool) -> Result<Horizon, Error> {
    let row = sqlx::query("SELECT raw, five_minutes, hour FROM horizon")
        .fetch_one(pool)
        .await
        .doing("reading how far the history goes back")?;
    Ok(Horizon { raw: row.get("raw"), five_minutes: row.get("five_minutes"), hour: row.get("hour") })
}

impl Store {
    /// How large the database is.
    pub async fn sizes(&self) -> Result<Sizes, Error> {
        let row = sqlx::query(
            "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS file,
                (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size) AS free,
                (SELECT min((SELECT min(at) FROM sample WHERE device_no = device.no)) FROM device) AS raw,
                (SELECT min((SELECT min(at) FROM sample_5m WHERE device_no = device.no)) FROM device) AS five",
        )
        .fetch_one(&self.inner.readers)
        .await
        .doing("looking how large the database is")?;
        let bytes = |name: &str| u64::try_from(row.get::<i64, _>(name)).unwrap_or(0);
        Ok(Sizes {
            file: bytes("file"),
            used: bytes("file").saturating_sub(bytes("free")),
            oldest_raw: row.get::<Option<i64>, _>("raw").map(Timestamp),
            oldest_five_minutes: row.get::<Option<i64>, _>("five").map(Timestamp),
        })
    }

    /// Sets from when on the rungs are kept. What is older is gone for whoever asks, and then step by step in the file.
    pub async fn set_horizon(&self, to: Horizon) -> Result<(), Error> {
        if lock(&self.inner.fleet).horizon == to {
            return Ok(());
        }
        sqlx::query("UPDATE horizon SET raw = ?, five_minutes = ?, hour = ?")
            .bind(to.raw)
            .bind(to.five_minutes)
            .bind(to.hour)
            .execute(&self.inner.writer)
            .await
            .doing("setting how far the history goes back")?;
        lock(&self.inner.fleet).horizon = to;
        Ok(())
    }

    /// Deletes about so many rows that lie before the horizon; `None` when nothing is left of this round. Only one caller
    /// at a time (the recorder's upkeep).
    pub async fn expire(&self, at: Expiring, rows: usize) -> Result<Option<Expiring>, Error> {
        let doing = "expiring samples";
        let (horizon, devices) = {
            let fleet = lock(&self.inner.fleet);
            let mut devices: Vec<i64> =
                fleet.devices.values().map(|d| d.no).filter(|no| *no > at.device_no).collect();
            devices.sort_unstable();
            (fleet.horizon.of(at.rung), devices)
        };
        let limit = i64::try_from(rows).unwrap_or(i64::MAX).max(1);
        let (mut left, mut stands, mut looked) = (limit, at, 0);
        let table = at.rung.table();
        let delete = format!(
            "DELETE FROM {table} WHERE device_no = ?1 AND at < ?2 AND at <= coalesce(
                (SELECT at FROM {table} WHERE device_no = ?1 AND at < ?2 ORDER BY at LIMIT 1 OFFSET ?3), ?2)"
        );
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        for no in devices {
            let gone = sqlx::query(sqlx::AssertSqlSafe(delete.as_str()))
                .bind(no)
                .bind(horizon)
                .bind(left)
                .execute(&mut *tx)
                .await
                .doing(doing)?
                .rows_affected();
            // Looking where nothing is to be deleted costs about as much as deleting four rows.
            left -= i64::try_from(gone).unwrap_or(i64::MAX);
            looked += 4;
            if left <= 0 {
                // There may be more of this device.
                tx.commit().await.doing(doing)?;
                return Ok(Some(stands));
            }
            stands.device_no = no;
            if looked >= limit {
                tx.commit().await.doing(doing)?;
                return Ok(Some(stands));
            }
        }
        tx.commit().await.doing(doing)?;
        let next = Rung::ALL.iter().copied().find(|rung| *rung > at.rung);
        Ok(next.map(|rung| Expiring { rung, device_no: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn horizons_are_whole_hours_and_never_go_back() {
        let keep = Keep::default();
        let plan = keep.plan(Horizon::default(), Sizes::default(), NOW);
        assert_eq!(plan.raw, NOW.0 - 7 * DAY_MS);
        assert_eq!(plan.five_minutes, NOW.0 - 30 * DAY_MS);
        assert_eq!(plan.hour, NOW.0 - 400 * DAY_MS);
        for ms in [1, HOUR_MS - 1] {
            assert_eq!(keep.plan(Horizon::default(), Sizes::default(), NOW.plus_millis(ms)), plan);
        }
        // A clock that is set back, or a longer time to keep, brings nothing back.
        assert_eq!(keep.plan(plan, Sizes::default(), NOW.plus_millis(-DAY_MS)), plan);
        let longer = Keep { raw_ms: 30 * DAY_MS, ..keep };
        assert_eq!(longer.plan(plan, Sizes::default(), NOW).raw, plan.raw);
        // A young server has nothing to expire.
        assert_eq!(keep.plan(Horizon::default(), Sizes::default(), Timestamp(DAY_MS)), Horizon::default());
    }

    #[test]
    fn a_database_that_is_too_large_loses_the_oldest_raw_first() {
        let keep = Keep { max_bytes: 1_000, ..Keep::default() };
        let mut sizes = Sizes {
            file: 2_000,
            used: 1_001,
            oldest_raw: Some(NOW.plus_millis(-2 * DAY_MS)),
            oldest_five_minutes: Some(NOW.plus_millis(-20 * DAY_MS)),
        };
        let before = keep.plan(Horizon::default(), Sizes::default(), NOW);
        let mut horizon = keep.plan(before, sizes, NOW);
        assert_eq!(horizon.raw, NOW.0 - 2 * DAY_MS + SLICE_MS);
        assert_eq!(horizon.five_minutes, before.five_minutes);
        for _ in 0..20 {
            sizes.oldest_raw = Some(Timestamp(horizon.raw));
            horizon = keep.plan(horizon, sizes, NOW);
        }
        // The last hour stays; then it is the turn of the five minutes, and they keep a day.
        assert_eq!(horizon.raw, NOW.0 - HOUR_MS);
        assert!(horizon.five_minutes > before.five_minutes);
        for _ in 0..100 {
            sizes.oldest_five_minutes = Some(Timestamp(horizon.five_minutes));
            horizon = keep.plan(horizon, sizes, NOW);
        }
        assert_eq!((horizon.five_minutes, horizon.hour), (NOW.0 - DAY_MS, before.hour));
        sizes.used = 1_000;
        assert_eq!(keep.plan(horizon, sizes, NOW), horizon, "nothing goes while it is small enough");
    }
}
