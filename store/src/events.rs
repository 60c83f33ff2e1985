//! What happened on devices, and how safe they are.

use protocol::{Audit, DeviceId, Event, Payload as _, Timestamp};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::record::insert;
use crate::{Doing as _, Error, Store};

pub(crate) struct Row<'r> {
    pub(crate) device_no: i64,
    pub(crate) at: Timestamp,
    pub(crate) received_at: Timestamp,
    pub(crate) event: &'r Event,
}

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
    insert(
        tx,
        rows,
        "INSERT INTO event (device_no, at, received_at, kind, gateway, before, after, reason, duration_ms, count,
            activity) ",
        "",
        |mut row, r| {
            let Row { device_no, at, received_at, event } = r;
            // Checked when the payload was decoded.
            let whole = |n: Option<u64>| n.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
            row.push_bind(*device_no)
                .push_bind(at.0)
                .push_bind(received_at.0)
                .push_bind(event.kind.as_str())
                .push_bind(event.gateway.clone())
                .push_bind(event.from.clone())
                .push_bind(event.to.clone())
                .push_bind(event.reason.clone())
                .push_bind(whole(event.duration_ms))
                .push_bind(whole(event.count))
                .push_bind(event.activity.as_ref().and_then(|a| serde_json::to_string(a).ok()));
        },
    )
    .await
}

/// Writes a device's audit, unless a newer one is there.
pub(crate) async fn write_audit(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
    at: Timestamp,
    received_at: Timestamp,
    audit: &Audit,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit (device_no, at, received_at, body) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET at = excluded.at, received_at = excluded.received_at, body = excluded.body
         WHERE excluded.at >= at",
    )
    .bind(device_no)
    .bind(at.0)
    .bind(received_at.0)
    .bind(String::from_utf8(audit.encode()).unwrap_or_default())
    .execute(&mut **tx)
    .await
    .map(drop)
}

impl Store {
    /// The newest events of a device, newest first.
    pub async fn events(&self, device: DeviceId, limit: u32) -> Result<Vec<Event>, Error> {
        let rows = sqlx::query(
            "SELECT e.* FROM event e JOIN device d ON d.no = e.device_no
             WHERE d.id = ? ORDER BY e.at DESC, e.no DESC LIMIT ?",
        )
        .bind(device.to_string())
        .bind(limit)
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading events")?;
        Ok(rows.iter().filter_map(event).collect())
    }

    /// The last audit of a device.
    pub async fn audit(&self, device: DeviceId) -> Result<Option<Audit>, Error> {
        let body: Option<String> = sqlx::query_scalar(
            "SELECT a.body FROM audit a JOIN device d ON d.no = a.device_no WHERE d.id = ?",
        )
        .bind(device.to_string())
        .fetch_optional(&self.inner.readers)
        .await
        .doing("reading an audit")?;
        Ok(body.and_then(|body| Audit::decode(body.as_bytes()).ok()))
    }
}

fn event(row: &sqlx::sqlite::SqliteRow) -> Option<Event> {
    let count = |name: &str| row.get::<Option<i64>, _>(name).and_then(|n| u64::try_from(n).ok());
    Some(Event {
        at: Timestamp(row.get("at")),
        kind: serde_json::from_value(row.get::<&str, _>("kind").into()).ok()?,
        gateway: row.get("gateway"),
        from: row.get("before"),
        to: row.get("after"),
        reason: row.get("reason"),
        duration_ms: count("duration_ms"),
        count: count("count"),
        activity: row.get::<Option<&str>, _>("activity").and_then(|text| serde_json::from_str(text).ok()),
    })
}
