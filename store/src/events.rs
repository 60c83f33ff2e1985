//! What happened on devices and to the server, and how safe devices are.

use std::collections::HashMap;

use protocol::{Audit, DeviceId, Event, EventKind, Payload as _, Timestamp};
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction};

use crate::page::{Filtered as _, Page, Place};
use crate::record::insert;
use crate::{Doing as _, Error, Store};

/// What can happen to the server itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerEventKind {
    /// It began to run.
    Started,
    /// It stopped, as it was asked to.
    Stopped,
    /// It ended without being asked to. `duration_ms`: until it ran again.
    Crashed,
    /// Another version runs than before.
    Upgraded,
    /// For some time it could record nothing, and acknowledged nothing.
    RecordingStopped,
}

impl ServerEventKind {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Started, Self::Stopped, Self::Crashed, Self::Upgraded, Self::RecordingStopped];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "server_started",
            Self::Stopped => "server_stopped",
            Self::Crashed => "server_crashed",
            Self::Upgraded => "server_upgraded",
            Self::RecordingStopped => "recording_stopped",
        }
    }
}

/// Something that happened to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ServerEventKind,
    /// The version before.
    pub from: Option<String>,
    /// The version since.
    pub to: Option<String>,
    /// Why, for people.
    pub reason: Option<String>,
    /// How long it lasted.
    pub duration_ms: Option<i64>,
}

/// An event of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetEvent {
    /// Its number.
    pub no: i64,
    /// The device and what it is called; `None` for the server itself.
    pub device: Option<(DeviceId, String)>,
    /// When we were told.
    pub received_at: Timestamp,
    /// What happened, in one word.
    pub kind: String,
    /// The rest of it.
    pub event: Event,
}

impl FleetEvent {
    /// Where it stands in the list.
    pub fn place(&self) -> Place {
        Place { at: self.event.at, no: self.no }
    }
}

/// Which events are asked for. Empty: all but activities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Of these kinds. Activities come only when they are among them.
    pub kinds: Vec<&'static str>,
    /// That happened at this moment or later.
    pub from: Option<Timestamp>,
    /// That happened before this moment.
    pub to: Option<Timestamp>,
}

impl EventFilter {
    /// Every kind that can be asked for.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        EventKind::ALL
            .into_iter()
            .map(EventKind::as_str)
            .chain(ServerEventKind::ALL.map(ServerEventKind::as_str))
    }
}

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

/// Writes an event of the server.
pub(crate) async fn write_server(
    tx: &mut Transaction<'_, Sqlite>,
    received_at: Timestamp,
    event: &ServerEvent,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO event (at, received_at, kind, before, after, reason, duration_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(event.at.0)
    .bind(received_at.0)
    .bind(event.kind.as_str())
    .bind(&event.from)
    .bind(&event.to)
    .bind(&event.reason)
    .bind(event.duration_ms)
    .execute(&mut **tx)
    .await
    .map(drop)
}

impl Store {
    /// Takes down what happened to the server itself.
    pub async fn record_server_event(&self, event: &ServerEvent) -> Result<(), Error> {
        let doing = "recording an event of the server";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        write_server(&mut tx, self.inner.clock.now(), event).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    /// What happened on all devices and to the server, newest first.
    pub async fn fleet_events(&self, filter: &EventFilter, page: Page) -> Result<Vec<FleetEvent>, Error> {
        let mut query = QueryBuilder::new(
            "SELECT e.*, d.id AS device, d.name AS device_name
             FROM event e LEFT JOIN device d ON d.no = e.device_no WHERE 1",
        );
        // Said so, the smaller index is used.
        if !filter.kinds.contains(&EventKind::Activity.as_str()) {
            query.push(" AND e.kind <> 'activity'");
        }
        query.one_of("e.kind", filter.kinds.iter().copied());
        if let Some(device) = filter.device {
            query
                .push(" AND e.device_no = (SELECT no FROM device WHERE id = ")
                .push_bind(device.to_string())
                .push(")");
        }
        query.between("e.at", filter.from, filter.to);
        query.newest_first("e", page);
        let rows = self.reader().await?.fetch_all("reading events", query.build()).await?;
        Ok(rows.iter().filter_map(fleet_event).collect())
    }

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

    /// The last audit of each device that was ever looked at, and when that was.
    pub async fn audits(&self) -> Result<HashMap<DeviceId, (Timestamp, Audit)>, Error> {
        let query = sqlx::query(
            "SELECT d.id AS device, a.at, a.body FROM audit a JOIN device d ON d.no = a.device_no",
        );
        let rows = self.reader().await?.fetch_all("reading audits", query).await?;
        let audit = |row: &sqlx::sqlite::SqliteRow| {
            let audit = Audit::decode(row.get::<&str, _>("body").as_bytes()).ok()?;
            Some((DeviceId::parse(row.get("device")).ok()?, (Timestamp(row.get("at")), audit)))
        };
        Ok(rows.iter().filter_map(audit).collect())
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

pub(crate) fn event(row: &sqlx::sqlite::SqliteRow) -> Option<Event> {
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

fn fleet_event(row: &sqlx::sqlite::SqliteRow) -> Option<FleetEvent> {
    let device = row.get::<Option<&str>, _>("device").and_then(|id| DeviceId::parse(id).ok());
    Some(FleetEvent {
        no: row.get("no"),
        device: device.map(|id| (id, row.get("device_name"))),
        received_at: Timestamp(row.get("received_at")),
        kind: row.get("kind"),
        event: event(row)?,
    })
}
