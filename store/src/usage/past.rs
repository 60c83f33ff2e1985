//! What the devices had used at a moment of the past.

use std::collections::{BTreeMap, HashMap};

use protocol::Timestamp;
use sqlx::Row as _;

use super::{COLUMNS, Counts, DeviceUsage, RECENT_QUARTERS, quarter, sums};
use crate::Error;
use crate::reader::Reader;

/// By the devices' numbers: the days before the moment by quarter, and in all, which is what they have used until now less
/// what came after. A quarter counts whole.
pub(crate) async fn as_of(reader: &mut Reader, at: Timestamp) -> Result<HashMap<i64, DeviceUsage>, Error> {
    let doing = "adding up what was used by then";
    let mut all: HashMap<i64, DeviceUsage> = HashMap::new();
    // The devices first: each has its own part of the table, in the order of time.
    let recent = format!(
        "SELECT u.device_no, quarter, {} FROM device d CROSS JOIN usage u ON u.device_no = d.no
         WHERE quarter > ? AND quarter <= ? AND counted GROUP BY u.device_no, quarter",
        sums()
    );
    let query =
        sqlx::query(sqlx::AssertSqlSafe(recent)).bind(quarter(at) - RECENT_QUARTERS).bind(quarter(at));
    for row in &reader.fetch_all(doing, query).await? {
        let usage = all.entry(row.get("device_no")).or_default();
        usage.recent.insert(row.get("quarter"), Counts::of(row));
    }
    let columns =
        COLUMNS.iter().map(|c| format!("t.{c} - coalesce(sum(u.{c}), 0) AS {c}")).collect::<Vec<_>>();
    let total = format!(
        "SELECT t.device_no, {} FROM usage_total t
         LEFT JOIN usage u ON u.device_no = t.device_no AND u.quarter > ? AND u.counted GROUP BY t.device_no",
        columns.join(", ")
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(total)).bind(quarter(at));
    for row in &reader.fetch_all(doing, query).await? {
        let total = Counts::of(row);
        if total != Counts::default() {
            all.entry(row.get("device_no"))
                .or_insert_with(|| DeviceUsage { total, recent: BTreeMap::new() })
                .total = total;
        }
    }
    Ok(all)
}
