//! How fast the database grows, and what becomes of it. Samples and errors settle: each day brings as many as expire, once
//! the first ones do. Usage and events stay.

use protocol::Timestamp;
use sqlx::Row as _;

use crate::{Error, Keep, Store, lock};

const DAY_MS: i64 = 86_400_000;
/// Bytes of a row with its share of indexes, as measured on a year of a device (docs/OPERATIONS.md).
const RAW_BYTES: f64 = 67.0;
const FIVE_MINUTES_BYTES: f64 = 115.0;
const HOUR_BYTES: f64 = 112.0;
const ERROR_BYTES: f64 = 2_000.0;
const LASTING_BYTES: f64 = 100.0;
/// What a device tells while nothing can be measured yet: a report every half minute.
const USUAL_REPORTS: f64 = 2_880.0;
/// The reports of less than this say little about a day.
const LEAST_MS: i64 = 5 * 60_000;
/// Nobody plans further ahead.
const MAX_DAYS: u32 = 3_650;

/// What comes in on a day.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Amounts {
    /// Devices that were ever heard of.
    pub devices: f64,
    /// Samples.
    pub samples: f64,
    /// Error records.
    pub errors: f64,
    /// Rows that stay for ever: usage, events, outages, presence.
    pub lasting: f64,
    /// Since when there are devices: what is younger than its retention still grows.
    pub since: Option<Timestamp>,
}

/// What becomes of the database.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Growth {
    /// Bytes a day, now.
    pub bytes_per_day: f64,
    /// Bytes a day that stay, when all else has settled.
    pub lasting_bytes_per_day: f64,
    /// In how many days all but that has settled; 0: it has.
    pub settles_in_days: u32,
    /// How large the database is then.
    pub settled_bytes: f64,
    /// In how many days the room is used up; `None`: not within ten years.
    pub full_in_days: Option<u32>,
}

/// Looks ahead, from what comes in and how long it is kept. `used` and `room` are bytes: of the database now, and what may
/// still be written to its disk.
pub fn growth(amounts: Amounts, keep: &Keep, used: f64, room: Option<f64>, now: Timestamp) -> Growth {
    let age = amounts.since.map_or(0, |since| now.millis_since(since).max(0));
    let left = |kept_ms: i64| u32::try_from((kept_ms.saturating_sub(age) + DAY_MS - 1) / DAY_MS).unwrap_or(0);
    let settling = [
        (amounts.samples * RAW_BYTES, left(keep.raw_ms)),
        (amounts.devices * 288.0 * FIVE_MINUTES_BYTES, left(keep.five_minutes_ms)),
        (amounts.devices * 24.0 * HOUR_BYTES, left(keep.hour_ms)),
        (amounts.errors * ERROR_BYTES, left(keep.errors_ms)),
    ];
    let lasting = amounts.lasting * LASTING_BYTES;
    // Of a database that may not grow the oldest samples go earlier.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a disk are far below 2^53")]
    let limit = if keep.max_bytes == 0 { f64::INFINITY } else { (keep.max_bytes as f64).max(used) };
    let on = |day: u32| {
        let settling: f64 = settling.iter().filter(|(_, left)| *left > day).map(|(bytes, _)| *bytes).sum();
        settling + lasting
    };
    let settles_in_days =
        settling.iter().filter(|(bytes, _)| *bytes > 0.0).map(|(_, left)| *left).max().unwrap_or(0);
    let (mut size, mut settled_bytes, mut full_in_days) = (used, None, None);
    for day in 0..MAX_DAYS {
        if day >= settles_in_days {
            settled_bytes.get_or_insert(size);
        }
        if full_in_days.is_none() && room.is_some_and(|room| size - used > room) {
            full_in_days = Some(day);
        }
        size = (size + on(day)).min(limit);
    }
    Growth {
        bytes_per_day: if used >= limit { 0.0 } else { on(0) },
        lasting_bytes_per_day: lasting,
        settles_in_days,
        settled_bytes: settled_bytes.unwrap_or(size),
        full_in_days,
    }
}

impl Store {
    /// What comes in on a day, by what came in lately.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
    pub async fn daily_amounts(&self) -> Result<Amounts, Error> {
        let doing = "counting what comes in";
        let now = self.inner.clock.now();
        let week_ago = now.plus_millis(-7 * DAY_MS);
        let (devices, since) = {
            let fleet = lock(&self.inner.fleet);
            let heard = || fleet.devices.values().filter(|device| device.presence.is_some());
            (heard().count() as f64, heard().map(|device| device.created_at).min())
        };
        let mut reader = self.reader().await?;
        // What has not settled is of the last half hour. What came late is of another time.
        let query = sqlx::query(
            "SELECT count(*) AS n, min(received_at) AS first, max(received_at) AS last FROM sample_hot WHERE NOT late",
        );
        let rows = reader.fetch_all(doing, query).await?;
        let span = rows.first().and_then(|row| {
            let (first, last) = (row.get::<Option<i64>, _>("first")?, row.get::<Option<i64>, _>("last")?);
            let of = last - first;
            (of >= LEAST_MS).then(|| row.get::<i64, _>("n") as f64 / of as f64)
        });
        let query = sqlx::query(
            "SELECT (SELECT count(*) FROM error_record WHERE at > ?1) AS errors,
                (SELECT count(*) FROM event WHERE at > ?1) + (SELECT count(*) FROM outage WHERE from_at > ?1)
                    + (SELECT count(*) FROM audit_log WHERE at > ?1) AS noted",
        )
        .bind(week_ago.0);
        let rows = reader.fetch_all(doing, query).await?;
        let number = |name: &str| rows.first().map_or(0.0, |row| row.get::<i64, _>(name) as f64);
        // Of less than a week, by the days that there were.
        let days = since.map_or(7.0, |since| now.millis_since(since) as f64 / DAY_MS as f64).clamp(1.0, 7.0);
        // A device that works has a few rows of usage in each quarter of an hour.
        let usage = devices * 96.0;
        Ok(Amounts {
            devices,
            samples: span.map_or(devices * USUAL_REPORTS, |per_ms| per_ms * DAY_MS as f64),
            errors: number("errors") / days,
            lasting: number("noted") / days + usage,
            since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_160_000_000);

    #[test]
    fn a_device_settles_at_what_the_documentation_says() {
        let amounts = Amounts { devices: 1.0, samples: 2_880.0, since: Some(NOW), ..Amounts::default() };
        let found = growth(amounts, &Keep::default(), 0.0, Some(1e9), NOW);
        // 193 KB, 33 KB and 2.7 KB a day; 3.4 MB when a year has passed.
        assert!((found.bytes_per_day - 228_800.0).abs() < 2_000.0, "{found:?}");
        assert_eq!((found.settles_in_days, found.full_in_days), (400, None));
        assert!((found.settled_bytes - 3.4e6).abs() < 1e5, "{found:?}");
        assert!(found.lasting_bytes_per_day.abs() < 1e-9);
        // After a year and a half nothing grows.
        let old = Amounts { since: Some(NOW.plus_millis(-500 * DAY_MS)), ..amounts };
        let found = growth(old, &Keep::default(), 3.4e6, Some(0.0), NOW);
        assert_eq!((found.bytes_per_day, found.settles_in_days, found.full_in_days), (0.0, 0, None));
    }

    #[test]
    fn a_disk_that_is_too_small_is_told() {
        let amounts = Amounts { devices: 1.0, samples: 2_880.0, since: Some(NOW), ..Amounts::default() };
        let full = |room: f64| growth(amounts, &Keep::default(), 0.0, Some(room), NOW).full_in_days;
        assert_eq!(full(1e6), Some(5));
        assert_eq!(full(3.5e6), None);
        let lasting = Amounts { lasting: 1_000.0, ..amounts };
        assert_eq!(growth(lasting, &Keep::default(), 0.0, Some(1e7), NOW).full_in_days, Some(75));
        assert_eq!(growth(lasting, &Keep::default(), 0.0, None, NOW).full_in_days, None);
        // A limit of the database keeps the disk from being filled.
        let capped = Keep { max_bytes: 2_000_000, ..Keep::default() };
        assert_eq!(growth(lasting, &capped, 0.0, Some(3e6), NOW).full_in_days, None);
        assert!((growth(lasting, &capped, 2e6, Some(3e6), NOW).bytes_per_day).abs() < 1e-9);
    }
}
