//! A changed table of prices: what it makes of each row is computed anew, in steps.
//!
//! The fingerprint of the table is written last, so work that was interrupted begins again, and doing it twice changes
//! nothing. Rows that are written meanwhile have the new prices already.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use protocol::{DeviceId, QUARTER_MILLIS, Timestamp};
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;

use super::write::{Delta, add_to_total};
use super::{COLUMNS, Counts};
use crate::{Change, Doing as _, Error, Prices, Store, lock};

/// Rows of one transaction: the recorder waits for it, and not for long.
const STEP: i64 = 500;

/// Where a step ended: device, quarter, kind, ledger.
type Key = (i64, i64, i64, i64);

struct Step {
    /// Where the next one begins; `None` after the last.
    next: Option<Key>,
    /// What has changed, by device.
    deltas: HashMap<DeviceId, Delta>,
}

impl Store {
    /// The table of prices in force.
    pub fn prices(&self) -> Arc<Prices> {
        self.inner.prices.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another table of prices, for all that is written from now on. What was written is not changed: see
    /// [`Store::reprice`].
    pub async fn set_prices(&self, prices: Prices) -> Result<(), Error> {
        if self.priced_with().await?.as_ref() != Some(&prices.fingerprint()) {
            // Before the first row has the new prices: however this goes on, all rows are looked at again.
            self.note_prices("").await?;
        }
        *self.inner.prices.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(prices);
        Ok(())
    }

    /// The fingerprint of the table that all rows were computed with.
    async fn priced_with(&self) -> Result<Option<String>, Error> {
        sqlx::query_scalar("SELECT fingerprint FROM usage_prices")
            .fetch_optional(&self.inner.readers)
            .await
            .doing("looking which prices were used")
    }

    async fn note_prices(&self, fingerprint: &str) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO usage_prices VALUES (1, ?) ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint",
        )
        .bind(fingerprint)
        .execute(&self.inner.writer)
        .await
        .map(drop)
        .doing("noting which prices were used")
    }

    /// Brings all that was written to the table of prices in force, if it is not. Returns how many devices' numbers
    /// have changed. Ends early when `stop` says so, and goes on when it is called again.
    pub async fn reprice(&self, stop: &CancellationToken) -> Result<usize, Error> {
        let prices = self.prices();
        let fingerprint = prices.fingerprint();
        if self.priced_with().await?.as_ref() == Some(&fingerprint) {
            return Ok(0);
        }
        let (mut from, mut changed) = ((0, 0, 0, 0), 0);
        loop {
            if stop.is_cancelled() {
                return Ok(changed);
            }
            let step = self.reprice_some(from, &prices).await.doing("computing costs anew")?;
            changed += step.deltas.len();
            self.apply_usage(step.deltas);
            let Some(next) = step.next else { break };
            from = next;
        }
        // Prices that came meanwhile are for the next call.
        if Arc::ptr_eq(&prices, &self.prices()) {
            self.note_prices(&fingerprint).await?;
        }
        Ok(changed)
    }

    async fn reprice_some(&self, from: Key, prices: &Prices) -> Result<Step, sqlx::Error> {
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await?;
        let columns = COLUMNS.join(", ");
        let sql = format!(
            "SELECT device_no, quarter, kind_no, ledger_no, counted, provider, model, id, {columns}
             FROM usage JOIN usage_word w ON w.no = usage.word_no JOIN device ON device.no = usage.device_no
             WHERE (device_no, quarter, kind_no, ledger_no) > (?, ?, ?, ?)
             ORDER BY device_no, quarter, kind_no, ledger_no LIMIT ?"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(from.0).bind(from.1).bind(from.2).bind(from.3);
        let rows = query.bind(STEP).fetch_all(&mut *tx).await?;
        let mut deltas: HashMap<(i64, DeviceId), Delta> = HashMap::new();
        let mut last = None;
        for row in &rows {
            let quarter: i64 = row.get("quarter");
            let key = (row.get("device_no"), quarter, row.get("kind_no"), row.get("ledger_no"));
            last = Some(key);
            let before = Counts::of(row);
            let mut after = before;
            let at = Timestamp(quarter * QUARTER_MILLIS);
            after.price(prices, row.get("provider"), row.get("model"), at);
            if after == before {
                continue;
            }
            sqlx::query(
                "UPDATE usage SET estimate_nano_usd = ?, estimated = ?, flat_nano_usd = ?
                 WHERE device_no = ? AND quarter = ? AND kind_no = ? AND ledger_no = ?",
            )
            .bind(after.estimate_nano_usd)
            .bind(after.estimated)
            .bind(after.flat_nano_usd)
            .bind(key.0)
            .bind(key.1)
            .bind(key.2)
            .bind(key.3)
            .execute(&mut *tx)
            .await?;
            if let (true, Ok(id)) = (row.get("counted"), DeviceId::parse(row.get("id"))) {
                deltas.entry((key.0, id)).or_default().add(quarter, after - before);
            }
        }
        for ((device_no, _), delta) in &mut deltas {
            add_to_total(&mut tx, *device_no, delta).await?;
        }
        tx.commit().await?;
        let full = i64::try_from(rows.len()).is_ok_and(|n| n == STEP);
        let deltas = deltas.into_iter().map(|((_, id), delta)| (id, delta)).collect();
        Ok(Step { next: last.filter(|_| full), deltas })
    }

    /// Takes what was committed over into the memory, and tells the news.
    fn apply_usage(&self, deltas: HashMap<DeviceId, Delta>) {
        let now = self.inner.clock.now();
        let mut changed = Vec::with_capacity(deltas.len());
        {
            let mut fleet = lock(&self.inner.fleet);
            for (id, delta) in deltas {
                if let Some(device) = fleet.devices.get_mut(&id) {
                    let device = Arc::make_mut(device);
                    device.usage = Some(delta.apply(device.usage.as_deref(), now));
                    changed.push(id);
                }
            }
        }
        if !changed.is_empty() {
            self.announce(Change::Devices(changed.into()));
        }
    }
}
