//! What the devices had used at a moment of the past.

use std::collections::{BTreeMap, HashMap};

use protocol::Timestamp;
use sqlx::Row as _;

use super::{COLUMNS, Counts, DeviceUsage, quarter, sums};
use crate::reader::Reader;
use crate::{Days, Error};

const QUARTERS_OF_A_DAY: i64 = 96;

/// By the devices' numbers: today and yesterday as they were at that moment, each as one sum that stands in its first
/// quarter; and in all, which is what they have used until now less what came after. A quarter counts whole.
pub(crate) async fn as_of(
    reader: &mut Reader,
    at: Timestamp,
    days: &Days,
) -> Result<HashMap<i64, DeviceUsage>, Error> {
    let doing = "adding up what was used by then";
    let (today, yesterday, last) = (quarter(days.today), quarter(days.yesterday), quarter(at));
    let sums = sums();
    let mut all: HashMap<i64, DeviceUsage> = HashMap::new();
    // The devices first, each with its own part of the table, in its order: so a span is found without looking at the
    // rest, and is added up without sorting.
    let recent = format!(
        "SELECT d.no AS device_no, {sums} FROM device d CROSS JOIN usage u ON u.device_no = d.no
         WHERE quarter >= ?1 AND quarter <= ?2 AND counted GROUP BY d.no"
    );
    for (first, last) in [(today, last), (yesterday, last.min(today - 1))] {
        let query = sqlx::query(sqlx::AssertSqlSafe(recent.as_str())).bind(first).bind(last);
        for row in &reader.fetch_all(doing, query).await? {
            let usage = all.entry(row.get("device_no")).or_default();
            usage.recent.insert(first, Counts::of(row));
        }
    }
    let less = |name: &&str| format!("t.{name} - coalesce(sum(l.{name}), 0) AS {name}");
    let total = format!(
        "WITH later AS (
            SELECT d.no AS device_no, {sums} FROM device d CROSS JOIN usage_day u ON u.device_no = d.no
            WHERE day >= ?1 GROUP BY d.no
            UNION ALL SELECT d.no, {sums} FROM device d CROSS JOIN usage u ON u.device_no = d.no
            WHERE quarter > ?2 AND quarter < ?3 AND counted GROUP BY d.no)
         SELECT t.device_no, {} FROM usage_total t LEFT JOIN later l ON l.device_no = t.device_no GROUP BY t.device_no",
        COLUMNS.iter().map(less).collect::<Vec<_>>().join(", ")
    );
    let tomorrow = last.div_euclid(QUARTERS_OF_A_DAY) + 1;
    let query = sqlx::query(sqlx::AssertSqlSafe(total)).bind(tomorrow).bind(last);
    for row in &reader.fetch_all(doing, query.bind(tomorrow * QUARTERS_OF_A_DAY)).await? {
        let total = Counts::of(row);
        if total != Counts::default() {
            let usage = all.entry(row.get("device_no"));
            usage.or_insert_with(|| DeviceUsage { total, recent: BTreeMap::new() }).total = total;
        }
    }
    Ok(all)
}
