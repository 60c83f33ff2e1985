//! Tokens: what was used, by whom and why.
//!
//! A device sends whole totals, and says of which ledger they are. Of one row the greater total is the newer. A device
//! that lost its ledger counts again what is still on its disk: of each quarter the ledger that knows more is
//! counted, the other is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Add, AddAssign, Sub};
use std::sync::Arc;

use protocol::{DeviceId, QUARTER_MILLIS, Timestamp, Usage, UsageRow};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};

use crate::{Doing as _, Error, Store};

/// Quarters of an hour that are kept in memory: today, yesterday and the time zones around them.
const RECENT_QUARTERS: i64 = 3 * 96;

/// Tokens, turns and cost, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the sum of the field of the same name in `protocol::UsageRow`")]
pub struct Counts {
    pub turns: i64,
    pub error_turns: i64,
    pub unmetered_turns: i64,
    pub input: i64,
    pub output: i64,
    pub cache_read: i64,
    pub cache_write: i64,
    pub reasoning: i64,
    pub cost_nano_usd: i64,
    pub unpriced: i64,
}

const SUMS: &str = "coalesce(sum(turns), 0) AS turns, coalesce(sum(error_turns), 0) AS error_turns,
    coalesce(sum(unmetered_turns), 0) AS unmetered_turns, coalesce(sum(input), 0) AS input,
    coalesce(sum(output), 0) AS output, coalesce(sum(cache_read), 0) AS cache_read,
    coalesce(sum(cache_write), 0) AS cache_write, coalesce(sum(reasoning), 0) AS reasoning,
    coalesce(sum(cost_nano_usd), 0) AS cost_nano_usd, coalesce(sum(unpriced), 0) AS unpriced";

impl Counts {
    /// All tokens.
    pub fn tokens(&self) -> i64 {
        self.input + self.output + self.cache_read + self.cache_write
    }

    pub(crate) fn of(row: &SqliteRow) -> Self {
        Self {
            turns: row.get("turns"),
            error_turns: row.get("error_turns"),
            unmetered_turns: row.get("unmetered_turns"),
            input: row.get("input"),
            output: row.get("output"),
            cache_read: row.get("cache_read"),
            cache_write: row.get("cache_write"),
            reasoning: row.get("reasoning"),
            cost_nano_usd: row.get("cost_nano_usd"),
            unpriced: row.get("unpriced"),
        }
    }

    fn fields(&self) -> [i64; 10] {
        [
            self.turns,
            self.error_turns,
            self.unmetered_turns,
            self.input,
            self.output,
            self.cache_read,
            self.cache_write,
            self.reasoning,
            self.cost_nano_usd,
            self.unpriced,
        ]
    }

    fn zip(self, other: Self, f: impl Fn(i64, i64) -> i64) -> Self {
        Self {
            turns: f(self.turns, other.turns),
            error_turns: f(self.error_turns, other.error_turns),
            unmetered_turns: f(self.unmetered_turns, other.unmetered_turns),
            input: f(self.input, other.input),
            output: f(self.output, other.output),
            cache_read: f(self.cache_read, other.cache_read),
            cache_write: f(self.cache_write, other.cache_write),
            reasoning: f(self.reasoning, other.reasoning),
            cost_nano_usd: f(self.cost_nano_usd, other.cost_nano_usd),
            unpriced: f(self.unpriced, other.unpriced),
        }
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

/// How [`Store::usage`] groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    /// Days of UTC.
    Day,
    /// Provider and model.
    Model,
    /// Devices.
    Device,
    /// OpenClaw agents, of all devices.
    Agent,
    /// What made OpenClaw run.
    Trigger,
}

impl UsageBy {
    /// Every way.
    pub const ALL: [Self; 5] = [Self::Day, Self::Model, Self::Device, Self::Agent, Self::Trigger];

    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Device => "device",
            Self::Agent => "agent",
            Self::Trigger => "trigger",
        }
    }

    /// What is grouped by, as text.
    fn expression(self) -> &'static str {
        match self {
            Self::Day => "strftime('%Y-%m-%d', quarter * 900, 'unixepoch')",
            Self::Model => "provider || '/' || model",
            Self::Device => "device.id",
            Self::Agent => "agent",
            Self::Trigger => "\"trigger\"",
        }
    }
}

impl Store {
    /// What was used from one moment to another (rounded down to quarters of an hour), by all devices or by one, in groups
    /// ordered by name.
    pub async fn usage(
        &self,
        from: Timestamp,
        to: Timestamp,
        by: UsageBy,
        device: Option<DeviceId>,
    ) -> Result<Vec<(String, Counts)>, Error> {
        let key = by.expression();
        let mut query = sqlx::QueryBuilder::<Sqlite>::new(format!(
            "SELECT {key} AS key, {SUMS} FROM usage
             JOIN device ON device.no = usage.device_no JOIN usage_kind kind ON kind.no = usage.kind_no
             WHERE counted AND quarter >= "
        ));
        query.push_bind(quarter(from)).push(" AND quarter < ").push_bind(quarter(to));
        if let Some(device) = device {
            query.push(" AND device.id = ").push_bind(device.to_string());
        }
        query.push(" GROUP BY key ORDER BY key");
        let rows = query.build().fetch_all(&self.inner.readers).await.doing("adding up what was used")?;
        Ok(rows.iter().map(|row| (row.get("key"), Counts::of(row))).collect())
    }
}

/// Writes totals and returns, for each device, how what it used has changed.
pub(crate) async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    news: &[(i64, Timestamp, &Usage)],
) -> Result<HashMap<i64, Delta>, sqlx::Error> {
    let mut deltas: HashMap<i64, Delta> = HashMap::new();
    for (device_no, received_at, usage) in news {
        let (ledger_no, several) = ledger(tx, *device_no, usage, *received_at).await?;
        let touched: BTreeSet<i64> = usage.rows.iter().map(|row| quarter(row.quarter)).collect();
        let mut before = HashMap::new();
        for quarter in &touched {
            before.insert(*quarter, counted(tx, *device_no, *quarter).await?);
        }
        for row in &usage.rows {
            write_row(tx, *device_no, ledger_no, row).await?;
        }
        let delta = deltas.entry(*device_no).or_default();
        for quarter in touched {
            if several {
                choose(tx, *device_no, quarter).await?;
            }
            let after = counted(tx, *device_no, quarter).await?;
            delta.total += after - before.get(&quarter).copied().unwrap_or_default();
            delta.quarters.insert(quarter, after);
        }
        add_to_total(tx, *device_no, delta).await?;
    }
    Ok(deltas)
}

/// How what a device used has changed.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// What was added in all.
    total: Counts,
    /// What of it stands in `usage_total` already.
    written: Counts,
    /// The sums of quarters as they are now.
    quarters: BTreeMap<i64, Counts>,
}

impl Delta {
    /// What the device used, with this.
    pub(crate) fn apply(self, to: Option<&DeviceUsage>, now: Timestamp) -> Arc<DeviceUsage> {
        let mut usage = to.cloned().unwrap_or_default();
        usage.total += self.total;
        let oldest = quarter(now) - RECENT_QUARTERS;
        usage.recent.extend(self.quarters.into_iter().filter(|(quarter, _)| *quarter >= oldest));
        usage.recent = usage.recent.split_off(&oldest);
        Arc::new(usage)
    }
}

async fn ledger(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
    usage: &Usage,
    received_at: Timestamp,
) -> Result<(i64, bool), sqlx::Error> {
    let ledger = usage.ledger.to_string();
    sqlx::query(
        "INSERT INTO usage_ledger (device_no, ledger, first_seen_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(device_no)
    .bind(&ledger)
    .bind(received_at.0)
    .execute(&mut **tx)
    .await?;
    let rows = sqlx::query("SELECT no, ledger FROM usage_ledger WHERE device_no = ?")
        .bind(device_no)
        .fetch_all(&mut **tx)
        .await?;
    let own = rows.iter().find(|row| row.get::<&str, _>("ledger") == ledger);
    Ok((own.map_or(0, |row| row.get("no")), rows.len() > 1))
}

async fn counted(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
    quarter: i64,
) -> Result<Counts, sqlx::Error> {
    let sql = format!("SELECT {SUMS} FROM usage WHERE device_no = ? AND quarter = ? AND counted");
    let row =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(device_no).bind(quarter).fetch_one(&mut **tx).await?;
    Ok(Counts::of(&row))
}

async fn write_row(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
    ledger_no: i64,
    row: &UsageRow,
) -> Result<(), sqlx::Error> {
    let kind = || {
        [&row.provider, &row.model, &row.agent].map(String::as_str).into_iter().chain([row.trigger.as_str()])
    };
    let select = "SELECT no FROM usage_kind
                  WHERE device_no = ? AND provider = ? AND model = ? AND agent = ? AND \"trigger\" = ?";
    let query = kind().fold(sqlx::query(select).bind(device_no), sqlx::query::Query::bind);
    let kind_no: i64 = match query.fetch_optional(&mut **tx).await? {
        Some(known) => known.get("no"),
        None => {
            let insert = "INSERT INTO usage_kind (device_no, provider, model, agent, \"trigger\") VALUES (?, ?, ?, ?, ?)";
            let query = kind().fold(sqlx::query(insert).bind(device_no), sqlx::query::Query::bind);
            query.execute(&mut **tx).await?.last_insert_rowid()
        }
    };
    // Checked when the payload was decoded.
    let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let query = sqlx::query(
        "INSERT INTO usage (device_no, quarter, kind_no, ledger_no, turns, error_turns, unmetered_turns, input, output,
            cache_read, cache_write, reasoning, cost_nano_usd, unpriced)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET turns = excluded.turns, error_turns = excluded.error_turns,
            unmetered_turns = excluded.unmetered_turns, input = excluded.input, output = excluded.output,
            cache_read = excluded.cache_read, cache_write = excluded.cache_write, reasoning = excluded.reasoning,
            cost_nano_usd = excluded.cost_nano_usd, unpriced = excluded.unpriced
         WHERE excluded.turns >= turns",
    )
    .bind(device_no)
    .bind(quarter(row.quarter))
    .bind(kind_no)
    .bind(ledger_no);
    row.counts().into_iter().map(whole).fold(query, sqlx::query::Query::bind).execute(&mut **tx).await?;
    Ok(())
}

/// Counts the ledger that knows more of a quarter; of equals the younger, which goes on.
async fn choose(tx: &mut Transaction<'_, Sqlite>, device_no: i64, quarter: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE usage SET counted = (ledger_no = (
            SELECT ledger_no FROM usage WHERE device_no = ?1 AND quarter = ?2
            GROUP BY ledger_no ORDER BY sum(turns) DESC, ledger_no DESC LIMIT 1))
         WHERE device_no = ?1 AND quarter = ?2",
    )
    .bind(device_no)
    .bind(quarter)
    .execute(&mut **tx)
    .await
    .map(drop)
}

async fn add_to_total(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
    delta: &mut Delta,
) -> Result<(), sqlx::Error> {
    let more = delta.total - delta.written;
    delta.written = delta.total;
    let query = sqlx::query(
        "INSERT INTO usage_total (device_no, turns, error_turns, unmetered_turns, input, output, cache_read, cache_write,
            reasoning, cost_nano_usd, unpriced)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET turns = turns + excluded.turns, error_turns = error_turns + excluded.error_turns,
            unmetered_turns = unmetered_turns + excluded.unmetered_turns, input = input + excluded.input,
            output = output + excluded.output, cache_read = cache_read + excluded.cache_read,
            cache_write = cache_write + excluded.cache_write, reasoning = reasoning + excluded.reasoning,
            cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd, unpriced = unpriced + excluded.unpriced",
    )
    .bind(device_no);
    more.fields().into_iter().fold(query, sqlx::query::Query::bind).execute(&mut **tx).await.map(drop)
}

/// What all devices used, by their numbers.
pub(crate) async fn load(pool: &SqlitePool, now: Timestamp) -> Result<HashMap<i64, Arc<DeviceUsage>>, Error> {
    let rows =
        sqlx::query("SELECT * FROM usage_total").fetch_all(pool).await.doing("reading what was used")?;
    let mut all = HashMap::with_capacity(rows.len());
    let recent = format!(
        "SELECT quarter, {SUMS} FROM usage WHERE device_no = ? AND quarter >= ? AND counted GROUP BY quarter"
    );
    for row in rows {
        let device_no: i64 = row.get("device_no");
        let quarters = sqlx::query(sqlx::AssertSqlSafe(recent.clone()))
            .bind(device_no)
            .bind(quarter(now) - RECENT_QUARTERS)
            .fetch_all(pool)
            .await
            .doing("reading what was used of late")?;
        let recent = quarters.iter().map(|row| (row.get("quarter"), Counts::of(row))).collect();
        all.insert(device_no, Arc::new(DeviceUsage { total: Counts::of(&row), recent }));
    }
    Ok(all)
}
