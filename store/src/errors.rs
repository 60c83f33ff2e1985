//! Errors and crashes of OpenClaw, as devices told them.

use protocol::{DeviceId, LogRecord, Timestamp};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::record::insert;
use crate::{Doing as _, Error, Store};

/// An error or a crash, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRecord {
    /// Its number, growing with every record.
    pub no: i64,
    /// The device.
    pub device: DeviceId,
    /// What it told.
    pub record: LogRecord,
}

pub(crate) struct Row<'r> {
    pub(crate) device_no: i64,
    pub(crate) at: Timestamp,
    pub(crate) received_at: Timestamp,
    pub(crate) record: &'r LogRecord,
}

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
    insert(
        tx,
        rows,
        "INSERT INTO error_record (device_no, at, received_at, level, gateway, subsystem, message, fingerprint, count,
            error_name, reason, provider, model, agent, version, stack, context) ",
        "",
        |mut row, r| {
            let Row { device_no, at, received_at, record } = r;
            let context = (!record.context.is_empty()).then(|| serde_json::to_string(&record.context).ok());
            row.push_bind(*device_no)
                .push_bind(at.0)
                .push_bind(received_at.0)
                .push_bind(record.level.as_str())
                .push_bind(record.gateway.clone())
                .push_bind(record.subsystem.clone())
                .push_bind(record.message.clone())
                .push_bind(record.fingerprint.clone())
                .push_bind(i64::from(record.count))
                .push_bind(record.error_name.clone())
                .push_bind(record.reason.clone())
                .push_bind(record.provider.clone())
                .push_bind(record.model.clone())
                .push_bind(record.agent.clone())
                .push_bind(record.version.clone())
                .push_bind(record.stack.clone())
                .push_bind(context.flatten());
        },
    )
    .await
}

impl Store {
    /// The newest errors and crashes, newest first, of all devices or of one.
    pub async fn errors(&self, device: Option<DeviceId>, limit: u32) -> Result<Vec<ErrorRecord>, Error> {
        let mut query = sqlx::QueryBuilder::<Sqlite>::new(
            "SELECT e.*, d.id AS device FROM error_record e JOIN device d ON d.no = e.device_no",
        );
        if let Some(device) = device {
            query.push(" WHERE d.id = ").push_bind(device.to_string());
        }
        query.push(" ORDER BY e.at DESC, e.no DESC LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&self.inner.readers).await.doing("reading errors")?;
        Ok(rows.iter().filter_map(record).collect())
    }
}

fn record(row: &sqlx::sqlite::SqliteRow) -> Option<ErrorRecord> {
    let level = row.get::<&str, _>("level");
    Some(ErrorRecord {
        no: row.get("no"),
        device: DeviceId::parse(row.get("device")).ok()?,
        record: LogRecord {
            at: Timestamp(row.get("at")),
            level: serde_json::from_value(level.into()).ok()?,
            gateway: row.get("gateway"),
            subsystem: row.get("subsystem"),
            message: row.get("message"),
            fingerprint: row.get("fingerprint"),
            count: row.get("count"),
            error_name: row.get("error_name"),
            reason: row.get("reason"),
            provider: row.get("provider"),
            model: row.get("model"),
            agent: row.get("agent"),
            version: row.get("version"),
            stack: row.get("stack"),
            context: row
                .get::<Option<&str>, _>("context")
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
        },
    })
}
