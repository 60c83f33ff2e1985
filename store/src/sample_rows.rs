//! What was measured, sample by sample, for those who work it out themselves.

use protocol::{DeviceId, GatewayState, Timestamp};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::page::Filtered as _;
use crate::samples::{Metric, state_of};
use crate::{Error, Store};

/// A sample of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRecord {
    /// When it was measured.
    pub at: Timestamp,
    /// It was told after the device had been cut off.
    pub back_filled: bool,
    /// How OpenClaw was; `None` when nobody looked.
    pub openclaw: Option<GatewayState>,
    /// Which one.
    pub openclaw_version: Option<String>,
    /// What was measured, in the order of [`Metric::ALL`].
    pub values: Vec<Option<f64>>,
    /// Where it stands in the list.
    pub place: SamplePlace,
}

/// Where a sample stands among those of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SamplePlace {
    at: i64,
    spool_no: i64,
    seq: i64,
}

impl Store {
    /// The samples of a device from one moment to another, oldest first, from a place on.
    pub async fn samples_page(
        &self,
        device: DeviceId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        after: Option<SamplePlace>,
        limit: u32,
    ) -> Result<Vec<SampleRecord>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT s.*, v.version FROM (SELECT * FROM samples_raw s WHERE s.device_no = (SELECT no FROM device WHERE id = ",
        );
        query.push_bind(device.to_string()).push(")");
        query.between("s.at", from, to);
        if let Some(SamplePlace { at, spool_no, seq }) = after {
            query.push(" AND (s.at, s.spool_no, s.seq) > (");
            let mut place = query.separated(", ");
            place.push_bind(at).push_bind(spool_no).push_bind(seq);
            query.push(")");
        }
        query.push(" ORDER BY s.at, s.spool_no, s.seq LIMIT ").push_bind(limit);
        query.push(
            ") s LEFT JOIN claw_version v ON v.no = s.claw_version_no ORDER BY s.at, s.spool_no, s.seq",
        );
        let rows = self.export_reader().await?.fetch_all("reading samples", query.build()).await?;
        Ok(rows.iter().map(record).collect())
    }
}

fn record(row: &sqlx::sqlite::SqliteRow) -> SampleRecord {
    let place = SamplePlace { at: row.get("at"), spool_no: row.get("spool_no"), seq: row.get("seq") };
    SampleRecord {
        at: Timestamp(place.at),
        back_filled: row.get("late"),
        openclaw: row.get::<Option<i64>, _>("claw_state").map(state_of),
        openclaw_version: row.get("version"),
        values: Metric::ALL.iter().map(|metric| metric.shown(row.get(metric.column()))).collect(),
        place,
    }
}
