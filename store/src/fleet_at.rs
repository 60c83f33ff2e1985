//! The whole fleet as it was at a moment of the past.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use protocol::{OfflineReason, SpoolId, Timestamp};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::fleet::SHOWN;
use crate::samples::{Horizon, Rung};
use crate::{Days, Device, Error, Latest, PresenceNow, Store, lock, usage};

/// The fleet at a moment.
#[derive(Debug, Clone)]
pub struct FleetAt {
    /// The devices that there were (and still are), as they were; names and tags are those of today.
    pub devices: Vec<Arc<Device>>,
    /// The server was down, and nothing is known of that very moment: this is how things were before.
    pub server_down: bool,
    /// How fine the numbers are.
    pub rung: Rung,
}

impl Horizon {
    /// The finest rung that has a moment.
    fn at(self, at: Timestamp) -> Rung {
        *Rung::ALL.iter().find(|rung| self.of(**rung) <= at.0).unwrap_or(&Rung::Hour)
    }
}

/// The last sample of each device at or before `?1`, from what has settled. A sub-query for each device, at its own end of
/// the table: a maximum over all would read everything.
fn last_settled(rung: Rung) -> String {
    let table = rung.table();
    let mut sql = String::from("SELECT s.device_no, s.at, s.claw_state, v.version");
    for metric in SHOWN {
        let (column, mean) =
            (metric.column(), if rung != Rung::Raw && metric.spreads() { "_avg" } else { "" });
        // Writing to a String does not fail.
        let _ = write!(sql, ", s.{column}{mean} AS {column}");
    }
    // Two samples of one moment are told apart by the rest of their key.
    let (key, order) = if rung == Rung::Raw {
        ("at, spool_no, seq", "at DESC, spool_no DESC, seq DESC")
    } else {
        ("at", "at DESC")
    };
    let own = key.split(", ").map(|column| format!("s.{column}")).collect::<Vec<_>>().join(", ");
    let _ = write!(
        sql,
        " FROM device d JOIN {table} s ON s.device_no = d.no
           AND ({own}) = (SELECT {key} FROM {table} WHERE device_no = d.no AND at <= ?1 ORDER BY {order} LIMIT 1)
          LEFT JOIN claw_version v ON v.no = s.claw_version_no WHERE d.created_at <= ?1"
    );
    sql
}

/// The same from what has not settled.
fn last_fresh() -> String {
    let mut sql = String::from("SELECT h.device_no, h.at, h.claw_state, v.version");
    for metric in SHOWN {
        sql.extend([", h.", metric.column()]);
    }
    // With one `max` the other columns are of its row.
    sql.push_str(
        ", max(h.at) FROM sample_hot h LEFT JOIN claw_version v ON v.no = h.claw_version_no WHERE h.at <= ?1
         GROUP BY h.device_no",
    );
    sql
}

impl Store {
    /// The fleet as it was at a moment: what was recorded of it until now, also what came late. `days` are the viewer's, as
    /// they were then.
    pub async fn fleet_at(&self, at: Timestamp, days: &Days) -> Result<FleetAt, Error> {
        let doing = "looking at the past";
        let mut reader = self.reader().await?;
        let rung = self.horizon().at(at);
        let spool = SpoolId::generate();
        let mut samples: HashMap<i64, Latest> = HashMap::new();
        // Looking through what is fresh takes as long as all the rest.
        let fresh = !lock(&self.inner.fleet).hot.is_younger_than(at);
        // In this order: what settles between the two questions is found by both, and otherwise by none.
        for sql in fresh.then(last_fresh).into_iter().chain([last_settled(rung)]) {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(at.0);
            for row in &reader.fetch_all(doing, query).await? {
                let sample = Latest::of_row(row, spool, 0, None);
                let known = samples.entry(row.get("device_no")).or_insert_with(|| sample.clone());
                if known.at < sample.at {
                    *known = sample;
                }
            }
        }
        let query = sqlx::query(
            "SELECT d.no, o.from_at, o.to_at, o.reason,
                (SELECT min(received_at) FROM presence WHERE device_no = d.no AND online) AS born,
                (SELECT agent_version FROM presence WHERE device_no = d.no AND online AND received_at <= ?1
                 ORDER BY received_at DESC LIMIT 1) AS agent_version
             FROM device d
             LEFT JOIN outage o ON o.no = (
                SELECT no FROM outage WHERE device_no = d.no AND from_at <= ?1 ORDER BY from_at DESC, no DESC LIMIT 1)
             WHERE d.created_at <= ?1",
        );
        let rows = reader.fetch_all(doing, query.bind(at.0)).await?;
        let mut used = usage::as_of(&mut reader, at, days).await?;
        let query = sqlx::query(
            "SELECT d.no, (SELECT at FROM error_record e WHERE e.device_no = d.no AND e.at <= ?1
                AND e.level IN ('error', 'exception', 'crash') ORDER BY at DESC LIMIT 1) AS at
             FROM device d WHERE d.created_at <= ?1",
        );
        let errors = reader.fetch_all(doing, query.bind(at.0)).await?;
        let mut errors: HashMap<i64, Timestamp> = errors
            .iter()
            .filter_map(|row| Some((row.get("no"), Timestamp(row.get::<Option<i64>, _>("at")?))))
            .collect();
        let there: HashMap<i64, Option<PresenceNow>> =
            rows.iter().map(|row| (row.get("no"), presence(row, at))).collect();
        let mut devices: Vec<Arc<Device>> = Vec::with_capacity(there.len());
        for now in lock(&self.inner.fleet).devices.values() {
            let Some(presence) = there.get(&now.no) else { continue };
            let latest = samples.remove(&now.no);
            devices.push(Arc::new(Device {
                id: now.id,
                name: now.name.clone(),
                kind: now.kind,
                tags: now.tags.clone(),
                created_at: now.created_at,
                rev: now.rev,
                last_seen_at: latest.as_ref().map(|l| l.at).max(presence.as_ref().map(|p| p.since)),
                presence: presence.clone(),
                latest,
                last_error_at: errors.remove(&now.no),
                usage: used.remove(&now.no).map(Arc::new),
                clock_skew_ms: 0,
                no: now.no,
            }));
        }
        devices.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        let server_down = !self.down_spans(at, at.plus_millis(1)).await?.is_empty();
        Ok(FleetAt { devices, server_down, rung })
    }
}

/// Whether a device was there: since its last outage, or its first birth.
fn presence(row: &SqliteRow, at: Timestamp) -> Option<PresenceNow> {
    let born = row.get::<Option<i64>, _>("born").filter(|born| *born <= at.0)?;
    let gone = row.get::<Option<i64>, _>("from_at");
    let back = row.get::<Option<i64>, _>("to_at").filter(|to| *to <= at.0);
    let online = gone.is_none() || back.is_some();
    let reason = row.get::<Option<&str>, _>("reason").and_then(|r| serde_json::from_value(r.into()).ok());
    Some(PresenceNow {
        online,
        since: Timestamp(if online { back } else { gone }.unwrap_or(born)),
        reason: if online { None } else { reason.or(Some(OfflineReason::Unknown)) },
        epoch: 0,
        boot_id: None,
        agent_version: row.get("agent_version"),
        host: None,
    })
}
