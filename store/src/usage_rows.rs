//! What was used, row by row, for those who count it themselves.

use protocol::{DeviceId, QUARTER_MILLIS, Timestamp};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::{Counts, Error, Store};

/// What one device used in a quarter of an hour, of one model, by one OpenClaw agent, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// The quarter's beginning.
    pub quarter: Timestamp,
    /// The device.
    pub device: DeviceId,
    /// What it is called.
    pub device_name: String,
    /// Who was paid.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The OpenClaw agent.
    pub agent: String,
    /// What made it run.
    pub trigger: String,
    /// How much.
    pub counts: Counts,
    /// Where it stands in the list.
    pub place: UsagePlace,
}

/// Where a row stands among all: device by device, quarter by quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsagePlace {
    device_no: i64,
    quarter: i64,
    kind_no: i64,
    ledger_no: i64,
}

impl Store {
    /// What was used from one moment to another (of whole quarters of an hour), by all devices or by one, from a place on.
    pub async fn usage_rows(
        &self,
        device: Option<DeviceId>,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        after: Option<UsagePlace>,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, Error> {
        let quarter = |at: Timestamp| at.0.div_euclid(QUARTER_MILLIS);
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT u.*, d.id AS device, d.name AS device_name, k.provider, k.model, k.agent, k.\"trigger\"
             FROM usage u JOIN device d ON d.no = u.device_no JOIN usage_kind k ON k.no = u.kind_no WHERE u.counted",
        );
        if let Some(device) = device {
            query
                .push(" AND u.device_no = (SELECT no FROM device WHERE id = ")
                .push_bind(device.to_string())
                .push(")");
        }
        if let Some(from) = from {
            query.push(" AND u.quarter >= ").push_bind(quarter(from));
        }
        if let Some(to) = to {
            query.push(" AND u.quarter < ").push_bind(quarter(to));
        }
        if let Some(UsagePlace { device_no, quarter, kind_no, ledger_no }) = after {
            query.push(" AND (u.device_no, u.quarter, u.kind_no, u.ledger_no) > (");
            let mut place = query.separated(", ");
            place.push_bind(device_no).push_bind(quarter).push_bind(kind_no).push_bind(ledger_no);
            query.push(")");
        }
        query.push(" ORDER BY u.device_no, u.quarter, u.kind_no, u.ledger_no LIMIT ").push_bind(limit);
        let rows = self.export_reader().await?.fetch_all("reading what was used", query.build()).await?;
        Ok(rows.iter().filter_map(record).collect())
    }
}

fn record(row: &sqlx::sqlite::SqliteRow) -> Option<UsageRecord> {
    let place = UsagePlace {
        device_no: row.get("device_no"),
        quarter: row.get("quarter"),
        kind_no: row.get("kind_no"),
        ledger_no: row.get("ledger_no"),
    };
    Some(UsageRecord {
        quarter: Timestamp(place.quarter.saturating_mul(QUARTER_MILLIS)),
        device: DeviceId::parse(row.get("device")).ok()?,
        device_name: row.get("device_name"),
        provider: row.get("provider"),
        model: row.get("model"),
        agent: row.get("agent"),
        trigger: row.get("trigger"),
        counts: Counts::of(row),
        place,
    })
}
