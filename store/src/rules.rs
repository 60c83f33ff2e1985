//! Rules: what is judged, how gravely, and whom it is told to. What a kind of rule means is known to whoever judges; here a
//! rule is what people have said.

use std::collections::BTreeMap;

use protocol::DeviceId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::{Change, Doing as _, Error, Severity, Store};

/// Which devices: those named, and those with one of the tags. Neither: all, and the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceId>,
    /// By tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Scope {
    /// Everything.
    pub fn is_all(&self) -> bool {
        self.devices.is_empty() && self.tags.is_empty()
    }

    /// Whether a device is of it.
    pub fn has(&self, device: DeviceId, tags: &[String]) -> bool {
        self.is_all() || self.devices.contains(&device) || self.tags.iter().any(|tag| tags.contains(tag))
    }
}

/// From when on an alert is graver than it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// As grave as this ...
    pub severity: Severity,
    /// ... from this level on, in the unit of the rule's kind ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<f64>,
    /// ... or after so many seconds of firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_s: Option<u32>,
}

/// What people say of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleBody {
    /// Of which devices.
    #[serde(default)]
    pub scope: Scope,
    /// The values of its kind, by their words: `level`, `clear`, ...
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
    /// Seconds that it must be so before the alert fires.
    #[serde(default)]
    pub for_s: u32,
    /// How grave it is.
    pub severity: Severity,
    /// When it becomes graver; in the order of gravity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The channels it is told to; `None`: those that take all.
    #[serde(default)]
    pub channels: Option<Vec<String>>,
    /// Seconds after which it is told again while it fires and nobody took note; `None`: never.
    #[serde(default)]
    pub remind_s: Option<u32>,
    /// Tell when it is over.
    #[serde(default = "yes")]
    pub tell_resolved: bool,
    /// Wait for the end of the quiet hours, unless it is graver than those let pass.
    #[serde(default = "yes")]
    pub quiet: bool,
    /// Judge also what happened long before it was told.
    #[serde(default)]
    pub late: bool,
}

fn yes() -> bool {
    true
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its number.
    pub no: i64,
    /// What is judged, in a word.
    pub kind: String,
    /// It is judged.
    pub enabled: bool,
    /// What people say of it.
    pub body: RuleBody,
    /// Grows with each change.
    pub rev: i64,
}

/// Why a change by people was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    /// It is not there (any more).
    #[error("it is not there any more")]
    Gone,
    /// Somebody else has changed it since it was looked at.
    #[error("somebody else has changed it meanwhile; look at it again")]
    Conflict,
    /// There are as many as there may be.
    #[error("there are too many of them; remove one that is not needed")]
    TooMany,
}

/// Rules at most.
const MAX_RULES: i64 = 500;

impl Store {
    /// All rules, in the order in which they were made.
    pub async fn rules(&self) -> Result<Vec<Rule>, Error> {
        let rows = sqlx::query("SELECT * FROM alert_rule ORDER BY no")
            .fetch_all(&self.inner.readers)
            .await
            .doing("reading rules")?;
        Ok(rows.iter().filter_map(rule).collect())
    }

    /// Adds a rule.
    pub async fn add_rule(
        &self,
        by: &Actor,
        kind: &str,
        enabled: bool,
        body: &RuleBody,
    ) -> Result<Result<Rule, EditRefusal>, Error> {
        let doing = "adding a rule";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM alert_rule").fetch_one(&mut *tx).await.doing(doing)?;
        if count >= MAX_RULES {
            return Ok(Err(EditRefusal::TooMany));
        }
        let no = sqlx::query("INSERT INTO alert_rule (kind, enabled, body) VALUES (?, ?, ?)")
            .bind(kind)
            .bind(enabled)
            .bind(json!(body).to_string())
            .execute(&mut *tx)
            .await
            .doing(doing)?
            .last_insert_rowid();
        let rule = Rule { no, kind: kind.to_owned(), enabled, body: body.clone(), rev: 1 };
        let (id, after) = (no.to_string(), told(&rule));
        let subject = Some(Subject { kind: "rule", id: &id, name: kind });
        let deed = Deed { action: "rule.add", subject, before: None, after: Some(after) };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Rules);
        Ok(Ok(rule))
    }

    /// Changes a rule; `rev` is the one that was looked at.
    pub async fn change_rule(
        &self,
        by: &Actor,
        no: i64,
        rev: i64,
        enabled: bool,
        body: &RuleBody,
    ) -> Result<Result<Rule, EditRefusal>, Error> {
        let doing = "changing a rule";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let row = sqlx::query("SELECT * FROM alert_rule WHERE no = ?")
            .bind(no)
            .fetch_optional(&mut *tx)
            .await
            .doing(doing)?;
        let Some(before) = row.as_ref().and_then(rule) else { return Ok(Err(EditRefusal::Gone)) };
        if before.rev != rev {
            return Ok(Err(EditRefusal::Conflict));
        }
        let after = Rule { enabled, body: body.clone(), rev: rev + 1, ..before.clone() };
        sqlx::query("UPDATE alert_rule SET enabled = ?, body = ?, rev = ? WHERE no = ?")
            .bind(enabled)
            .bind(json!(body).to_string())
            .bind(after.rev)
            .bind(no)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        let id = no.to_string();
        let deed = Deed {
            action: "rule.change",
            subject: Some(Subject { kind: "rule", id: &id, name: &after.kind }),
            before: Some(told(&before)),
            after: Some(told(&after)),
        };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Rules);
        Ok(Ok(after))
    }

    /// Removes a rule; its alerts stay in the history, those that fire are over. False when there is none.
    pub async fn remove_rule(&self, by: &Actor, no: i64) -> Result<bool, Error> {
        let doing = "removing a rule";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let row = sqlx::query("DELETE FROM alert_rule WHERE no = ? RETURNING *")
            .bind(no)
            .fetch_optional(&mut *tx)
            .await
            .doing(doing)?;
        let Some(before) = row.as_ref().and_then(rule) else { return Ok(false) };
        let id = no.to_string();
        let deed = Deed {
            action: "rule.remove",
            subject: Some(Subject { kind: "rule", id: &id, name: &before.kind }),
            before: Some(told(&before)),
            after: None,
        };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Rules);
        Ok(true)
    }

    /// Makes the rules of kinds that this database has never had: of a new server all, after an upgrade the new ones. What
    /// people have removed stays removed.
    pub async fn add_default_rules(&self, defaults: &[(&str, bool, RuleBody)]) -> Result<(), Error> {
        let doing = "adding the first rules";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let known: String =
            sqlx::query_scalar("SELECT kinds FROM alerting").fetch_one(&mut *tx).await.doing(doing)?;
        let mut known: Vec<String> = serde_json::from_str(&known).unwrap_or_default();
        let before = known.len();
        for (kind, enabled, body) in defaults {
            if known.iter().any(|one| one == kind) {
                continue;
            }
            sqlx::query("INSERT INTO alert_rule (kind, enabled, body) VALUES (?, ?, ?)")
                .bind(kind)
                .bind(enabled)
                .bind(json!(body).to_string())
                .execute(&mut *tx)
                .await
                .doing(doing)?;
            known.push((*kind).to_owned());
        }
        if known.len() == before {
            return Ok(());
        }
        sqlx::query("UPDATE alerting SET kinds = ?")
            .bind(json!(known).to_string())
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Rules);
        Ok(())
    }
}

fn told(rule: &Rule) -> Value {
    json!({ "kind": rule.kind, "enabled": rule.enabled, "rule": rule.body })
}

fn rule(row: &sqlx::sqlite::SqliteRow) -> Option<Rule> {
    Some(Rule {
        no: row.get("no"),
        kind: row.get("kind"),
        enabled: row.get("enabled"),
        body: serde_json::from_str(row.get("body")).ok()?,
        rev: row.get("rev"),
    })
}
