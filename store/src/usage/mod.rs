//! Tokens: what was used, by whom and why, and what it cost.
//!
//! A device sends whole totals, and says of which ledger they are. Of one row the greater total is the newer. A device
//! that lost its ledger counts again what is still on its disk: of each quarter the ledger that knows more is
//! counted, the other is kept. What the table of prices makes of a row is written with it (`write`) and written anew when
//! the table changes (`reprice`), so that all that is asked (`query`, `summary`) is a sum of columns.

#[cfg(feature = "testing")]
mod fill;
mod past;
mod query;
mod reprice;
mod summary;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::ops::{Add, AddAssign, Sub};
use std::sync::Arc;

use protocol::{QUARTER_MILLIS, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlitePool};

use crate::{Doing as _, Error};

pub(crate) use past::as_of;
pub use query::{UnpricedModel, UsageBy, UsageFilter, UsageGroup, UsageQuery};
pub use summary::{Expected, Forecast, Summary, Usual};
pub(crate) use write::{Delta, write};

/// Quarters of an hour that are kept in memory: today, yesterday and the time zones around them.
const RECENT_QUARTERS: i64 = 3 * 96;

macro_rules! counts {
    ($($name:ident)*) => {
        /// Tokens, turns and cost, added up.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is the sum of the column of the same name, see the migrations")]
        pub struct Counts {
            $(pub $name: i64,)*
        }

        /// The columns, in the order of [`Counts::fields`].
        const COLUMNS: &[&str] = &[$(stringify!($name),)*];

        impl Counts {
            pub(crate) fn of(row: &SqliteRow) -> Self {
                Self { $($name: row.get(stringify!($name)),)* }
            }

            /// The same by place, for many rows: the first of the columns, in the order of [`sums`], is at `first`.
            pub(crate) fn at(row: &SqliteRow, first: usize) -> Self {
                let mut places = first..;
                let mut next = || places.next().map_or(0, |place| row.get(place));
                Self { $($name: next(),)* }
            }

            fn fields(&self) -> impl Iterator<Item = i64> {
                [$(self.$name,)*].into_iter()
            }

            fn zip(self, other: Self, f: impl Fn(i64, i64) -> i64) -> Self {
                Self { $($name: f(self.$name, other.$name),)* }
            }
        }
    };
}

counts! {
    turns error_turns unmetered_turns input output cache_read cache_write reasoning cost_nano_usd unpriced
    estimate_nano_usd estimated flat_nano_usd
}

/// All columns added up, each under its own name.
pub(crate) fn sums() -> String {
    let sum = |name: &&str| format!("coalesce(sum({name}), 0) AS {name}");
    COLUMNS.iter().map(sum).collect::<Vec<_>>().join(", ")
}

impl Counts {
    /// All tokens.
    pub fn tokens(&self) -> i64 {
        self.input + self.output + self.cache_read + self.cache_write
    }

    /// Tokens that neither OpenClaw nor the table had a price for.
    pub fn without_price(&self) -> i64 {
        (self.unpriced - self.estimated).max(0)
    }

    /// What was spent: recorded and estimated, without what a plan covers.
    pub fn spent_nano_usd(&self) -> i64 {
        self.worth_nano_usd() - self.flat_nano_usd
    }

    /// What was spent; `None` when nothing of it had a price: unknown, and not free.
    pub fn known_spent_nano_usd(&self) -> Option<i64> {
        let without_price = self.without_price();
        (without_price == 0 || without_price < self.tokens()).then(|| self.spent_nano_usd())
    }

    /// What it was worth, whoever paid.
    pub fn worth_nano_usd(&self) -> i64 {
        self.cost_nano_usd.saturating_add(self.estimate_nano_usd)
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, i64::saturating_add)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.zip(other, i64::saturating_sub)
    }
}

/// What a device used: in all, and of late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceUsage {
    /// Since the first turn that is known.
    pub total: Counts,
    /// By quarter of an hour since 1970, for the last three days.
    pub recent: BTreeMap<i64, Counts>,
}

impl DeviceUsage {
    /// What was used from one moment to another, both of them the beginning of a quarter and within the last three days.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Counts {
        self.recent
            .range(quarter(from)..quarter(to))
            .fold(Counts::default(), |sum, (_, counts)| sum + *counts)
    }
}

fn quarter(at: Timestamp) -> i64 {
    at.0.div_euclid(QUARTER_MILLIS)
}

/// Devices of one question at the start: many at once are fast, and all at once would be a lot of memory.
const DEVICES: usize = 200;

/// What all devices used, by their numbers.
pub(crate) async fn load(pool: &SqlitePool, now: Timestamp) -> Result<HashMap<i64, Arc<DeviceUsage>>, Error> {
    let rows =
        sqlx::query("SELECT * FROM usage_total").fetch_all(pool).await.doing("reading what was used")?;
    let mut all: HashMap<i64, DeviceUsage> = rows
        .iter()
        .map(|row| (row.get("device_no"), DeviceUsage { total: Counts::of(row), recent: BTreeMap::new() }))
        .collect();
    let recent = format!(
        "SELECT device_no, quarter, {} FROM usage
         WHERE device_no IN (SELECT value FROM json_each(?)) AND quarter >= ? AND counted GROUP BY device_no, quarter",
        sums()
    );
    let numbers: Vec<i64> = all.keys().copied().collect();
    for some in numbers.chunks(DEVICES) {
        let rows = sqlx::query(sqlx::AssertSqlSafe(recent.clone()))
            .bind(serde_json::to_string(some).unwrap_or_default())
            .bind(quarter(now) - RECENT_QUARTERS)
            .fetch_all(pool)
            .await
            .doing("reading what was used of late")?;
        for row in &rows {
            if let Some(usage) = all.get_mut(&row.get("device_no")) {
                usage.recent.insert(row.get("quarter"), Counts::of(row));
            }
        }
    }
    Ok(all.into_iter().map(|(no, usage)| (no, Arc::new(usage))).collect())
}
