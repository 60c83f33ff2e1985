//! Writing totals, each once, with what the table of prices makes of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use protocol::{Timestamp, Usage, UsageRow};
use sqlx::{Row as _, Sqlite, Transaction};

use super::{COLUMNS, Counts, DeviceUsage, RECENT_QUARTERS, quarter, sums};
use crate::Prices;

/// Writes totals and returns, for each device, how what it used has changed.
pub(crate) async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    news: &[(i64, Timestamp, &Usage)],
    prices: &Prices,
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
            write_row(tx, *device_no, ledger_no, row, prices).await?;
        }
        let delta = deltas.entry(*device_no).or_default();
        for quarter in touched {
            if several {
                choose(tx, *device_no, quarter).await?;
            }
            let after = counted(tx, *device_no, quarter).await?;
            delta.add(quarter, after - before.get(&quarter).copied().unwrap_or_default());
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
    /// What was added in each quarter. Differences, not sums: they may be told in another order than they were committed.
    quarters: BTreeMap<i64, Counts>,
}

impl Delta {
    pub(super) fn add(&mut self, quarter: i64, more: Counts) {
        self.total += more;
        *self.quarters.entry(quarter).or_default() += more;
    }

    /// What the device used, with this.
    pub(crate) fn apply(self, to: Option<&DeviceUsage>, now: Timestamp) -> Arc<DeviceUsage> {
        let mut usage = to.cloned().unwrap_or_default();
        usage.total += self.total;
        let oldest = quarter(now) - RECENT_QUARTERS;
        for (quarter, more) in self.quarters.range(oldest..) {
            *usage.recent.entry(*quarter).or_default() += *more;
        }
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
    let sql = format!("SELECT {} FROM usage WHERE device_no = ? AND quarter = ? AND counted", sums());
    let row =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(device_no).bind(quarter).fetch_one(&mut **tx).await?;
    Ok(Counts::of(&row))
}

async fn write_row(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
    ledger_no: i64,
    row: &UsageRow,
    prices: &Prices,
) -> Result<(), sqlx::Error> {
    let (kind_no, word_no) = kind(tx, device_no, row).await?;
    // Checked when the payload was decoded.
    let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let mut fields = row.counts().into_iter().map(whole);
    let mut next = || fields.next().unwrap_or(0);
    let mut counts = Counts {
        turns: next(),
        error_turns: next(),
        unmetered_turns: next(),
        input: next(),
        output: next(),
        cache_read: next(),
        cache_write: next(),
        reasoning: next(),
        cost_nano_usd: next(),
        unpriced: next(),
        ..Counts::default()
    };
    counts.price(prices, &row.provider, &row.model, row.quarter);
    let columns = COLUMNS.join(", ");
    let marks = vec!["?"; COLUMNS.len()].join(", ");
    let update: Vec<String> = COLUMNS.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let sql = format!(
        "INSERT INTO usage (device_no, quarter, kind_no, ledger_no, word_no, {columns}) VALUES (?, ?, ?, ?, ?, {marks})
         ON CONFLICT DO UPDATE SET {} WHERE excluded.turns >= turns",
        update.join(", ")
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(device_no)
        .bind(quarter(row.quarter))
        .bind(kind_no)
        .bind(ledger_no)
        .bind(word_no);
    counts.fields().fold(query, sqlx::query::Query::bind).execute(&mut **tx).await?;
    Ok(())
}

impl Counts {
    /// Sets what the table of prices makes of this row.
    pub(super) fn price(&mut self, prices: &Prices, provider: &str, model: &str, quarter: Timestamp) {
        let estimate = prices.estimate(provider, model, quarter, self);
        self.estimate_nano_usd = estimate.nano_usd;
        self.estimated = estimate.tokens;
        self.flat_nano_usd = estimate.flat_nano_usd;
    }
}

/// The numbers of a row's provider, model, agent and trigger: for the device, and for the whole fleet.
async fn kind(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
    row: &UsageRow,
) -> Result<(i64, i64), sqlx::Error> {
    let words = || {
        [&row.provider, &row.model, &row.agent].map(String::as_str).into_iter().chain([row.trigger.as_str()])
    };
    let select = "SELECT no, word_no FROM usage_kind
                  WHERE device_no = ? AND provider = ? AND model = ? AND agent = ? AND \"trigger\" = ?";
    let query = words().fold(sqlx::query(select).bind(device_no), sqlx::query::Query::bind);
    if let Some(known) = query.fetch_optional(&mut **tx).await? {
        return Ok((known.get("no"), known.get("word_no")));
    }
    let insert = "INSERT INTO usage_word (provider, model, agent, \"trigger\") VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    words().fold(sqlx::query(insert), sqlx::query::Query::bind).execute(&mut **tx).await?;
    let select =
        "SELECT no FROM usage_word WHERE provider = ? AND model = ? AND agent = ? AND \"trigger\" = ?";
    let query = words().fold(sqlx::query(select), sqlx::query::Query::bind);
    let word_no: i64 = query.fetch_one(&mut **tx).await?.get("no");
    let insert = "INSERT INTO usage_kind (device_no, word_no, provider, model, agent, \"trigger\")
                  VALUES (?, ?, ?, ?, ?, ?)";
    let query = words().fold(sqlx::query(insert).bind(device_no).bind(word_no), sqlx::query::Query::bind);
    Ok((query.execute(&mut **tx).await?.last_insert_rowid(), word_no))
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

/// Brings what a device used in all up to what was written.
pub(super) async fn add_to_total(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
    delta: &mut Delta,
) -> Result<(), sqlx::Error> {
    let more = delta.total - delta.written;
    delta.written = delta.total;
    let columns = COLUMNS.join(", ");
    let marks = vec!["?"; COLUMNS.len()].join(", ");
    let update: Vec<String> =
        COLUMNS.iter().map(|name| format!("{name} = {name} + excluded.{name}")).collect();
    let sql = format!(
        "INSERT INTO usage_total (device_no, {columns}) VALUES (?, {marks}) ON CONFLICT DO UPDATE SET {}",
        update.join(", ")
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(device_no);
    more.fields().fold(query, sqlx::query::Query::bind).execute(&mut **tx).await.map(drop)
}
