//! Alerts: what somebody should know, from when to when, and whether somebody does.
//!
//! Whoever judges fires, updates and resolves them; how many fire now is kept in memory for all who ask all the time.

use protocol::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction};

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
    /// The number of the rule, while there is one.
    pub rule_no: Option<i64>,
    /// What of the device it is about, such as a channel of OpenClaw; empty: the device itself.
    pub subject: String,
    /// The devices, when several are one alert.
    pub members: Vec<DeviceId>,
    /// It comes and goes.
    pub flapping: bool,
    /// Another alert explains it.
    pub hidden: bool,
}

/// An alert that fires, as whoever judges must know it after a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringAlert {
    /// Rule, device and subject.
    pub key: String,
    /// Its number.
    pub no: i64,
    /// What it says.
    pub telling: Telling,
    /// When it began.
    pub fired_at: Timestamp,
    /// Somebody took note of it.
    pub acknowledged: bool,
    /// The devices, when several are one alert.
    pub members: Vec<DeviceId>,
}

/// What is written of an alert, and who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertWrite {
    /// Rule, device and subject: one alert fires of each.
    pub key: String,
    /// What becomes of it.
    pub deed: AlertDeed,
    /// Who is told.
    pub tell: Vec<NewDelivery>,
}

/// What becomes of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertDeed {
    /// It begins. When it fires already, it says this now.
    Fire {
        /// The rule.
        rule_no: i64,
        /// The word of its kind.
        rule: String,
        /// The device; `None`: several, the fleet or the server.
        device: Option<DeviceId>,
        /// What of it.
        subject: String,
        /// What it says.
        telling: Telling,
        /// The devices, when several are one alert.
        members: Vec<DeviceId>,
        /// When it began.
        at: Timestamp,
        /// It comes and goes.
        flapping: bool,
    },
    /// It says something else.
    Update {
        /// What.
        telling: Telling,
        /// The devices, when several are one alert.
        members: Vec<DeviceId>,
        /// It comes and goes.
        flapping: bool,
        /// The key of the alert that explains it.
        hidden_by: Option<String>,
    },
    /// It is over.
    Resolve {
        /// Since when.
        at: Timestamp,
        /// What it says from now on.
        telling: Telling,
        /// All devices that it was about, when several are one alert.
        members: Vec<DeviceId>,
    },
}

/// One notification to one channel, to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id, the same in each attempt.
    pub id: String,
    /// The channel's id. When it is not there any more, nobody is told.
    pub channel: String,
    /// Why it is told, in a word.
    pub occasion: &'static str,
    /// What is told, as JSON.
    pub body: String,
    /// Not before this moment.
    pub due_at: Timestamp,
    /// Why it waits until then: what is over before that is not told at all. `None`: it is due at once.
    pub held: Option<&'static str>,
}

/// How far was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Events up to this number.
    pub event_no: i64,
    /// Error records up to this number.
    pub error_no: i64,
    /// At this moment.
    pub at: Timestamp,
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
    /// Fires an alert that no rule judges, such as one of an invented past: its number, or `None` when it is about a device that is not there (any more).
    #[cfg(feature = "testing")]
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
    #[cfg(feature = "testing")]
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
    #[cfg(feature = "testing")]
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

    #[cfg(feature = "testing")]
    async fn alerts_changed_by(&self, rows: u64) -> Result<bool, Error> {
        if rows > 0 {
            self.alerts_changed().await?;
        }
        Ok(rows > 0)
    }
}

impl Store {
    /// Writes what was judged, in one transaction: alerts, who is told, what is remembered for the next time (`None`:
    /// nothing any more), and how far was judged. What is about a device that is not there any more is left out.
    pub async fn write_alerts(
        &self,
        writes: &[AlertWrite],
        remember: &[(String, Option<String>)],
        judged: Judged,
    ) -> Result<(), Error> {
        let doing = "writing alerts";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let mut told = false;
        for write in writes {
            let Some(no) = self.write_alert(&mut tx, write).await.doing(doing)? else { continue };
            told |= !write.tell.is_empty();
            let over = matches!(write.deed, AlertDeed::Resolve { .. });
            for delivery in &write.tell {
                insert_delivery(&mut tx, no, over, delivery, now).await.doing(doing)?;
            }
        }
        for (key, body) in remember {
            let query = match body {
                Some(body) => sqlx::query(
                    "INSERT INTO alert_state (key, body) VALUES (?, ?)
                     ON CONFLICT (key) DO UPDATE SET body = excluded.body",
                )
                .bind(key)
                .bind(body),
                None => sqlx::query("DELETE FROM alert_state WHERE key = ?").bind(key),
            };
            query.execute(&mut *tx).await.doing(doing)?;
        }
        sqlx::query("UPDATE alerting SET event_no = ?, error_no = ?, judged_at = ?")
            .bind(judged.event_no)
            .bind(judged.error_no)
            .bind(judged.at.0)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        tx.commit().await.doing(doing)?;
        if !writes.is_empty() {
            self.alerts_changed().await?;
        }
        if told {
            self.announce(Change::Deliveries);
        }
        Ok(())
    }

    /// The number of the alert that was written.
    async fn write_alert(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        write: &AlertWrite,
    ) -> Result<Option<i64>, sqlx::Error> {
        let members = |ids: &[DeviceId]| {
            (!ids.is_empty()).then(|| json!(ids.iter().map(DeviceId::as_str).collect::<Vec<_>>()).to_string())
        };
        let known: Option<i64> =
            sqlx::query_scalar("SELECT no FROM alert WHERE key = ? AND resolved_at IS NULL")
                .bind(&write.key)
                .fetch_optional(&mut **tx)
                .await?;
        match (&write.deed, known) {
            (
                AlertDeed::Fire { rule_no, rule, device, subject, telling, members: ids, at, flapping },
                None,
            ) => {
                // Looked up here: another process may have removed it, and the rule, too.
                let done = sqlx::query(
                    "INSERT INTO alert (device_no, rule, severity, title_en, title_zh, detail_en, detail_zh, fired_at,
                        rule_no, key, subject, members, flapping)
                     SELECT (SELECT no FROM device WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8,
                        (SELECT no FROM alert_rule WHERE no = ?9), ?10, ?11, ?12, ?13
                     WHERE ?1 IS NULL OR EXISTS (SELECT 1 FROM device WHERE id = ?1)",
                )
                .bind(device.map(|id| id.to_string()))
                .bind(rule)
                .bind(telling.severity.as_str())
                .bind(&telling.title.en)
                .bind(&telling.title.zh)
                .bind(telling.detail.as_ref().map(|detail| &detail.en))
                .bind(telling.detail.as_ref().map(|detail| &detail.zh))
                .bind(at.0)
                .bind(rule_no)
                .bind(&write.key)
                .bind(subject)
                .bind(members(ids))
                .bind(flapping)
                .execute(&mut **tx)
                .await?;
                Ok((done.rows_affected() > 0).then(|| done.last_insert_rowid()))
            }
            (AlertDeed::Fire { telling, members: ids, flapping, .. }, Some(no)) => {
                say(tx, no, telling, members(ids), *flapping, None).await?;
                Ok(Some(no))
            }
            (AlertDeed::Update { telling, members: ids, flapping, hidden_by }, Some(no)) => {
                say(tx, no, telling, members(ids), *flapping, hidden_by.as_deref()).await?;
                Ok(Some(no))
            }
            (AlertDeed::Resolve { at, telling, members: ids }, Some(no)) => {
                sqlx::query(
                    "UPDATE alert SET resolved_at = max(?, fired_at), hidden_by = NULL, severity = ?, title_en = ?,
                        title_zh = ?, detail_en = ?, detail_zh = ?, members = ? WHERE no = ?",
                )
                .bind(at.0)
                .bind(telling.severity.as_str())
                .bind(&telling.title.en)
                .bind(&telling.title.zh)
                .bind(telling.detail.as_ref().map(|detail| &detail.en))
                .bind(telling.detail.as_ref().map(|detail| &detail.zh))
                .bind(members(ids))
                    .bind(no)
                    .execute(&mut **tx)
                    .await?;
                Ok(Some(no))
            }
            (AlertDeed::Update { .. } | AlertDeed::Resolve { .. }, None) => Ok(None),
        }
    }

    /// Puts notifications that are of no alert into the queues of their channels: a digest.
    pub async fn add_deliveries(&self, deliveries: &[NewDelivery]) -> Result<(), Error> {
        let doing = "adding deliveries";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        for delivery in deliveries {
            put_delivery(&mut tx, None, delivery, now).await.doing(doing)?;
        }
        tx.commit().await.doing(doing)?;
        self.announce(Change::Deliveries);
        Ok(())
    }

    /// Forgets alerts that were over before a moment, at most so many: how many went.
    pub async fn expire_alerts(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let done = sqlx::query(
            "DELETE FROM alert WHERE no IN
                (SELECT no FROM alert WHERE fired_at < ?1 AND resolved_at < ?1 ORDER BY fired_at LIMIT ?2)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&self.inner.writer)
        .await
        .doing("forgetting old alerts")?;
        Ok(done.rows_affected())
    }

    /// The alerts that fire and are judged by a rule.
    pub async fn firing_alerts(&self) -> Result<Vec<FiringAlert>, Error> {
        let rows = sqlx::query("SELECT * FROM alert WHERE resolved_at IS NULL AND key IS NOT NULL")
            .fetch_all(&self.inner.readers)
            .await
            .doing("reading what fires")?;
        let firing = |row: &sqlx::sqlite::SqliteRow| {
            Some(FiringAlert {
                key: row.get("key"),
                no: row.get("no"),
                telling: telling(row)?,
                fired_at: Timestamp(row.get("fired_at")),
                acknowledged: row.get::<Option<i64>, _>("acknowledged_at").is_some(),
                members: members(row),
            })
        };
        Ok(rows.iter().filter_map(firing).collect())
    }

    /// What was remembered, by key, and how far was judged.
    pub async fn judged(&self) -> Result<(Vec<(String, String)>, Judged), Error> {
        let doing = "reading how far was judged";
        let readers = &self.inner.readers;
        let states =
            sqlx::query_as("SELECT key, body FROM alert_state").fetch_all(readers).await.doing(doing)?;
        let row = sqlx::query("SELECT event_no, error_no, judged_at FROM alerting")
            .fetch_one(readers)
            .await
            .doing(doing)?;
        let judged = Judged {
            event_no: row.get("event_no"),
            error_no: row.get("error_no"),
            at: Timestamp(row.get("judged_at")),
        };
        Ok((states, judged))
    }
}

async fn say(
    tx: &mut Transaction<'_, Sqlite>,
    no: i64,
    telling: &Telling,
    members: Option<String>,
    flapping: bool,
    hidden_by: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE alert SET severity = ?, title_en = ?, title_zh = ?, detail_en = ?, detail_zh = ?, members = ?,
            flapping = ?, hidden_by = ? WHERE no = ?",
    )
    .bind(telling.severity.as_str())
    .bind(&telling.title.en)
    .bind(&telling.title.zh)
    .bind(telling.detail.as_ref().map(|detail| &detail.en))
    .bind(telling.detail.as_ref().map(|detail| &detail.zh))
    .bind(members)
    .bind(flapping)
    .bind(hidden_by)
    .bind(no)
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// What was to be told later and is over by then is not told: neither that it began, nor that it is over.
async fn insert_delivery(
    tx: &mut Transaction<'_, Sqlite>,
    alert_no: i64,
    over: bool,
    delivery: &NewDelivery,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    if over {
        let skipped = sqlx::query(
            "UPDATE delivery SET state = 'skipped', why = 'over', done_at = ?
             WHERE alert_no = ? AND channel_id = ? AND state = 'held'",
        )
        .bind(now.0)
        .bind(alert_no)
        .bind(&delivery.channel)
        .execute(&mut **tx)
        .await?
        .rows_affected();
        let told: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM delivery WHERE alert_no = ? AND channel_id = ? AND state <> 'skipped')",
        )
        .bind(alert_no)
        .bind(&delivery.channel)
        .fetch_one(&mut **tx)
        .await?;
        if skipped > 0 && !told {
            return Ok(());
        }
    } else if delivery.held.is_none() {
        // What is told now says more than what was to be told later.
        sqlx::query(
            "UPDATE delivery SET state = 'skipped', why = 'newer', done_at = ?
             WHERE alert_no = ? AND channel_id = ? AND state = 'held'",
        )
        .bind(now.0)
        .bind(alert_no)
        .bind(&delivery.channel)
        .execute(&mut **tx)
        .await?;
    }
    put_delivery(tx, Some(alert_no), delivery, now).await
}

async fn put_delivery(
    tx: &mut Transaction<'_, Sqlite>,
    alert_no: Option<i64>,
    delivery: &NewDelivery,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR IGNORE INTO delivery (id, channel_id, alert_no, occasion, body, state, why, made_at, due_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM channel WHERE id = ?2)",
    )
    .bind(&delivery.id)
    .bind(&delivery.channel)
    .bind(alert_no)
    .bind(delivery.occasion)
    .bind(&delivery.body)
    .bind(if delivery.held.is_some() { "held" } else { "waiting" })
    .bind(delivery.held)
    .bind(now.0)
    .bind(delivery.due_at.0)
    .execute(&mut **tx)
    .await
    .map(drop)
}

fn telling(row: &sqlx::sqlite::SqliteRow) -> Option<Telling> {
    let said = |en: Option<String>, zh: Option<String>| Some(Said { en: en?, zh: zh? });
    Some(Telling {
        severity: Severity::parse(row.get("severity"))?,
        title: Said { en: row.get("title_en"), zh: row.get("title_zh") },
        detail: said(row.get("detail_en"), row.get("detail_zh")),
    })
}

fn members(row: &sqlx::sqlite::SqliteRow) -> Vec<DeviceId> {
    row.get::<Option<&str>, _>("members").and_then(|ids| serde_json::from_str(ids).ok()).unwrap_or_default()
}

fn alert(row: &sqlx::sqlite::SqliteRow) -> Option<Alert> {
    let device = row.get::<Option<&str>, _>("device").and_then(|id| DeviceId::parse(id).ok());
    let moment = |name: &str| row.get::<Option<i64>, _>(name).map(Timestamp);
    Some(Alert {
        no: row.get("no"),
        device: device.map(|id| (id, row.get("device_name"))),
        rule: row.get("rule"),
        telling: telling(row)?,
        fired_at: Timestamp(row.get("fired_at")),
        resolved_at: moment("resolved_at"),
        acknowledged: moment("acknowledged_at").zip(row.get("acknowledged_by")),
        rule_no: row.get("rule_no"),
        subject: row.get("subject"),
        members: members(row),
        flapping: row.get("flapping"),
        hidden: row.get::<Option<&str>, _>("hidden_by").is_some(),
    })
}
