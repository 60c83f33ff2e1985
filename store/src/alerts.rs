//! Alerts: what somebody should know, from when to when, and whether somebody does.
//!
//! Whoever judges fires, updates and resolves them; how many fire now is kept in memory for all who ask all the time.

use protocol::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::page::{Filtered as _, Page, Place};
use crate::{Change, Doing as _, Error, Store, lock};

/// How much an alert matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody must act now.
    Critical,
    /// Something does not work.
    Error,
    /// Something will not work, or works badly.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// Every one, the gravest first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::Error, Self::Warning, Self::Info];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text)
    }
}

/// A text in both languages of the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// What an alert says. It may change while it fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// How much it matters.
    pub severity: Severity,
    /// In one line.
    pub title: Said,
    /// More about it.
    pub detail: Option<Said>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its number, growing with every alert.
    pub no: i64,
    /// The device and what it is called; `None` for the whole fleet, or the server.
    pub device: Option<(DeviceId, String)>,
    /// The word of the rule that fired it.
    pub rule: String,
    /// What it says.
    pub telling: Telling,
    /// When it began.
    pub fired_at: Timestamp,
    /// When it was over; `None` while it fires.
    pub resolved_at: Option<Timestamp>,
    /// When somebody took note of it, and who.
    pub acknowledged: Option<(Timestamp, String)>,
}

impl Alert {
    /// Where it stands in the list.
    pub fn place(&self) -> Place {
        Place { at: self.fired_at, no: self.no }
    }
}

/// Which alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Those that fire now, or those that do not any more; `None`: both.
    pub firing: Option<bool>,
    /// One of these; empty: any.
    pub severities: Vec<Severity>,
    /// Of this device.
    pub device: Option<DeviceId>,
}

/// How many alerts fire now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Firing {
    /// Of this severity.
    pub critical: u32,
    /// Of this severity.
    pub error: u32,
    /// Of this severity.
    pub warning: u32,
    /// Of this severity.
    pub info: u32,
}

/// Of a title that becomes a name in the audit log.
const NAME_CHARS: usize = 120;

const SELECT: &str = "SELECT a.*, d.id AS device, d.name AS device_name
    FROM alert a LEFT JOIN device d ON d.no = a.device_no WHERE 1";

impl Store {
    /// Fires an alert: its number, or `None` when it is about a device that is not there (any more).
    pub async fn fire_alert(
        &self,
        device: Option<DeviceId>,
        rule: &str,
        telling: &Telling,
    ) -> Result<Option<i64>, Error> {
        let device_no = match device {
            Some(id) => match lock(&self.inner.fleet).devices.get(&id).map(|device| device.no) {
                Some(no) => Some(no),
                None => return Ok(None),
            },
            None => None,
        };
        let done = sqlx::query(
            "INSERT INTO alert (device_no, rule, severity, title_en, title_zh, detail_en, detail_zh, fired_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(device_no)
        .bind(rule)
        .bind(telling.severity.as_str())
        .bind(&telling.title.en)
        .bind(&telling.title.zh)
        .bind(telling.detail.as_ref().map(|detail| &detail.en))
        .bind(telling.detail.as_ref().map(|detail| &detail.zh))
        .bind(self.inner.clock.now().0)
        .execute(&self.inner.writer)
        .await;
        match done {
            Ok(done) => {
                self.alerts_changed().await?;
                Ok(Some(done.last_insert_rowid()))
            }
            // Another process has removed the device, and we have not seen it yet.
            Err(error)
                if error
                    .as_database_error()
                    .is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation) =>
            {
                Ok(None)
            }
            Err(source) => Err(Error::Sql { doing: "firing an alert", source }),
        }
    }

    /// Changes what an alert that fires says; false when it does not fire.
    pub async fn update_alert(&self, no: i64, telling: &Telling) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE alert SET severity = ?, title_en = ?, title_zh = ?, detail_en = ?, detail_zh = ?
             WHERE no = ? AND resolved_at IS NULL",
        )
        .bind(telling.severity.as_str())
        .bind(&telling.title.en)
        .bind(&telling.title.zh)
        .bind(telling.detail.as_ref().map(|detail| &detail.en))
        .bind(telling.detail.as_ref().map(|detail| &detail.zh))
        .bind(no)
        .execute(&self.inner.writer)
        .await
        .doing("changing an alert")?;
        self.alerts_changed_by(done.rows_affected()).await
    }

    /// Takes down that an alert is over; false when it does not fire.
    pub async fn resolve_alert(&self, no: i64) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE alert SET resolved_at = max(?, fired_at) WHERE no = ? AND resolved_at IS NULL",
        )
        .bind(self.inner.clock.now().0)
        .bind(no)
        .execute(&self.inner.writer)
        .await
        .doing("resolving an alert")?;
        self.alerts_changed_by(done.rows_affected()).await
    }

    /// Takes down that somebody took note of an alert, or did not after all. `None` when there is no such alert.
    pub async fn acknowledge_alert(
        &self,
        by: &Actor,
        no: i64,
        acknowledged: bool,
    ) -> Result<Option<Alert>, Error> {
        let doing = "acknowledging an alert";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let known: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT title_en, acknowledged_by FROM alert WHERE no = ?")
                .bind(no)
                .fetch_optional(&mut *tx)
                .await
                .doing(doing)?;
        let Some((title, before)) = known else { return Ok(None) };
        // Whoever was first stays.
        if before.is_some() != acknowledged {
            sqlx::query("UPDATE alert SET acknowledged_at = ?, acknowledged_by = ? WHERE no = ?")
                .bind(acknowledged.then_some(now.0))
                .bind(acknowledged.then_some(&by.name))
                .bind(no)
                .execute(&mut *tx)
                .await
                .doing(doing)?;
            let (id, name) = (no.to_string(), title.chars().take(NAME_CHARS).collect::<String>());
            let deed = Deed {
                action: if acknowledged { "alert.acknowledge" } else { "alert.unacknowledge" },
                subject: Some(Subject { kind: "alert", id: &id, name: &name }),
                before: Some(json!({ "acknowledged_by": before })),
                after: Some(json!({ "acknowledged_by": acknowledged.then_some(&by.name) })),
            };
            audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
            tx.commit().await.doing(doing)?;
            self.alerts_changed().await?;
        }
        self.alert(no).await
    }

    /// One alert.
    pub async fn alert(&self, no: i64) -> Result<Option<Alert>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" AND a.no = ").push_bind(no);
        let rows = self.reader().await?.fetch_all("reading an alert", query.build()).await?;
        Ok(rows.first().and_then(alert))
    }

    /// Alerts, the newest first.
    pub async fn alerts(&self, filter: &AlertFilter, page: Page) -> Result<Vec<Alert>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        match filter.firing {
            Some(true) => _ = query.push(" AND a.resolved_at IS NULL"),
            Some(false) => _ = query.push(" AND a.resolved_at IS NOT NULL"),
            None => {}
        }
        query.one_of("a.severity", filter.severities.iter().map(|severity| severity.as_str()));
        if let Some(device) = filter.device {
            query
                .push(" AND a.device_no = (SELECT no FROM device WHERE id = ")
                .push_bind(device.to_string())
                .push(")");
        }
        if let Some(Place { at, no }) = page.after {
            query.push(" AND (a.fired_at, a.no) < (").push_bind(at.0).push(", ").push_bind(no).push(")");
        }
        query.push(" ORDER BY a.fired_at DESC, a.no DESC LIMIT ").push_bind(page.limit);
        let rows = self.reader().await?.fetch_all("reading alerts", query.build()).await?;
        Ok(rows.iter().filter_map(alert).collect())
    }

    /// How many alerts fire now.
    pub fn firing(&self) -> Firing {
        *lock(&self.inner.firing)
    }

    /// Reads again how many alerts fire.
    pub(crate) async fn count_firing(&self) -> Result<(), Error> {
        let _counting = self.inner.counting.lock().await;
        let rows: Vec<(String, u32)> = sqlx::query_as(
            "SELECT severity, count(*) FROM alert WHERE resolved_at IS NULL GROUP BY severity",
        )
        .fetch_all(&self.inner.readers)
        .await
        .doing("counting alerts")?;
        let of = |severity: Severity| {
            rows.iter().find(|(word, _)| word == severity.as_str()).map_or(0, |(_, count)| *count)
        };
        *lock(&self.inner.firing) = Firing {
            critical: of(Severity::Critical),
            error: of(Severity::Error),
            warning: of(Severity::Warning),
            info: of(Severity::Info),
        };
        Ok(())
    }

    pub(crate) async fn alerts_changed(&self) -> Result<(), Error> {
        self.count_firing().await?;
        self.announce(Change::Alerts);
        Ok(())
    }

    async fn alerts_changed_by(&self, rows: u64) -> Result<bool, Error> {
        if rows > 0 {
            self.alerts_changed().await?;
        }
        Ok(rows > 0)
    }
}

fn alert(row: &sqlx::sqlite::SqliteRow) -> Option<Alert> {
    let device = row.get::<Option<&str>, _>("device").and_then(|id| DeviceId::parse(id).ok());
    let moment = |name: &str| row.get::<Option<i64>, _>(name).map(Timestamp);
    let said = |en: Option<String>, zh: Option<String>| Some(Said { en: en?, zh: zh? });
    Some(Alert {
        no: row.get("no"),
        device: device.map(|id| (id, row.get("device_name"))),
        rule: row.get("rule"),
        telling: Telling {
            severity: Severity::parse(row.get("severity"))?,
            title: Said { en: row.get("title_en"), zh: row.get("title_zh") },
            detail: said(row.get("detail_en"), row.get("detail_zh")),
        },
        fired_at: Timestamp(row.get("fired_at")),
        resolved_at: moment("resolved_at"),
        acknowledged: moment("acknowledged_at").zip(row.get("acknowledged_by")),
    })
}
