use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::{DeviceId, DeviceTopic, Payload as _, Qos, Report, Timestamp, Topic};
use sqlx::Row as _;

use crate::{Doing as _, Error, Store, lock};

/// A retained message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedRow {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Bytes,
    /// How surely it was published.
    pub qos: Qos,
    /// MQTT 5 properties in their encoded form.
    pub properties: Bytes,
    /// When it was received.
    pub at: Timestamp,
}

impl Store {
    /// All retained messages.
    pub async fn retained(&self) -> Result<Vec<RetainedRow>, Error> {
        let rows = sqlx::query("SELECT topic, payload, qos, properties, at FROM retained")
            .fetch_all(&self.inner.readers)
            .await
            .doing("reading the retained messages")?;
        let row = |row: &sqlx::sqlite::SqliteRow| RetainedRow {
            topic: row.get("topic"),
            payload: row.get::<Vec<u8>, _>("payload").into(),
            qos: Qos::from_bits(row.get::<u8, _>("qos")).unwrap_or(Qos::AtMostOnce),
            properties: row.get::<Vec<u8>, _>("properties").into(),
            at: Timestamp(row.get("at")),
        };
        let mut all: BTreeMap<String, RetainedRow> =
            rows.iter().map(row).map(|row| (row.topic.clone(), row)).collect();
        // Newer than what the database has.
        all.extend(lock(&self.inner.fleet).hot.reports().map(|row| (row.topic.clone(), row.clone())));
        Ok(all.into_values().collect())
    }

    /// A device's last whole report.
    pub async fn last_report(&self, device: DeviceId) -> Result<Option<Report>, Error> {
        let fresh = {
            let fleet = lock(&self.inner.fleet);
            fleet.devices.get(&device).and_then(|d| fleet.hot.report(d.no)).map(|row| row.payload.clone())
        };
        if let Some(payload) = fresh {
            return Ok(Report::decode(&payload).ok());
        }
        let topic = Topic { device, what: DeviceTopic::Report }.name(&self.inner.root);
        let payload: Option<Vec<u8>> = sqlx::query_scalar("SELECT payload FROM retained WHERE topic = ?")
            .bind(topic.as_str())
            .fetch_optional(&self.inner.readers)
            .await
            .doing("reading a report")?;
        Ok(payload.and_then(|bytes| Report::decode(&bytes).ok()))
    }
}
