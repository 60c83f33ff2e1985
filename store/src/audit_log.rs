//! What people, scripts and the command line did on the server. A deed is written in the transaction that does it: what
//! is not in the log has not happened.

use std::net::IpAddr;

use protocol::Timestamp;
use serde_json::Value;
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction};

use crate::page::Filtered as _;
use crate::{Doing as _, Error, Store};

/// Refused logins of an address and name are one row for this long.
const FOLD_MS: i64 = 5 * 60_000;
/// Rows of refused logins within that time; further ones are one row together, whoever they are of.
const MAX_REFUSED: i64 = 1_000;
/// The longest `before` or `after` that is kept, in bytes.
const MAX_VALUE_BYTES: usize = 16 * 1024;
const REFUSED: &str = "login.refused";
const CUT: &str = "[secret]";

/// What kind of actor did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// Somebody who is signed in, or tries to be.
    User,
    /// A script with a bearer token.
    Token,
    /// Somebody at the server's command line.
    Cli,
    /// The server by itself.
    Server,
}

impl ActorKind {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::User, Self::Token, Self::Cli, Self::Server];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Cli => "cli",
            Self::Server => "server",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind.
    pub kind: ActorKind,
    /// The person's, token's or operating system user's name.
    pub name: String,
    /// From where.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Somebody at the page.
    pub fn user(name: impl Into<String>, address: IpAddr) -> Self {
        Self { kind: ActorKind::User, name: name.into(), address: Some(address) }
    }

    /// A script with a bearer token.
    pub fn token(name: impl Into<String>, address: IpAddr) -> Self {
        Self { kind: ActorKind::Token, name: name.into(), address: Some(address) }
    }

    /// Somebody at the command line, as the operating system calls them.
    pub fn cli(name: impl Into<String>) -> Self {
        Self { kind: ActorKind::Cli, name: name.into(), address: None }
    }

    /// The server by itself.
    pub fn server() -> Self {
        Self { kind: ActorKind::Server, name: "server".to_owned(), address: None }
    }
}

/// Something that was done.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    /// What, such as `device.rename`.
    pub action: &'static str,
    /// To what.
    pub subject: Option<Subject<'a>>,
    /// What it was before. What has a name like a secret's is cut out.
    pub before: Option<Value>,
    /// What it is since, the same way.
    pub after: Option<Value>,
}

/// What a deed is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Such as `device`.
    pub kind: &'static str,
    /// Its id.
    pub id: &'a str,
    /// What it was called.
    pub name: &'a str,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its number, growing with every row.
    pub no: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: String,
    /// To what: its kind.
    pub subject_kind: Option<String>,
    /// Its id.
    pub subject_id: Option<String>,
    /// What it was called.
    pub subject_name: Option<String>,
    /// What it was before.
    pub before: Option<Value>,
    /// What it is since.
    pub after: Option<Value>,
    /// How many alike this row stands for.
    pub count: i64,
    /// When the last of them was.
    pub last_at: Option<Timestamp>,
}

/// Which rows are asked for. Empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By somebody of this name.
    pub actor: Option<String>,
    /// Of this action, or of all that begin so when it ends with a dot: `device.`.
    pub action: Option<String>,
    /// About something with this id or name.
    pub subject: Option<String>,
    /// At this moment or later.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// Names of values that are nobody's business, in lower case.
const SECRET_NAMES: [&str; 10] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "hash",
    "cookie",
    "csrf",
    "authorization",
    "api_key",
    "private_key",
];

/// Cuts out what must not be kept. A second line of defence: callers do not hand secrets over.
fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let name = name.to_ascii_lowercase();
                if name == "key" || SECRET_NAMES.iter().any(|secret| name.contains(secret)) {
                    *field = Value::String(CUT.to_owned());
                } else {
                    redact(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        // Our own keys and tokens, wherever they stand.
        Value::String(text) if text.contains("ocw_") || text.contains("ocwt_") => CUT.clone_into(text),
        _ => {}
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    let mut value = value?.clone();
    redact(&mut value);
    let text = value.to_string();
    Some(if text.len() > MAX_VALUE_BYTES { "\"[too long]\"".to_owned() } else { text })
}

/// Writes a deed down, in the transaction that does it.
pub(crate) async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    at: Timestamp,
    by: &Actor,
    deed: &Deed<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_log (at, actor_kind, actor, address, action, subject_kind, subject_id, subject_name, before,
            after)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(at.0)
    .bind(by.kind.as_str())
    .bind(&by.name)
    .bind(by.address.map(|address| address.to_string()))
    .bind(deed.action)
    .bind(deed.subject.map(|subject| subject.kind))
    .bind(deed.subject.map(|subject| subject.id))
    .bind(deed.subject.map(|subject| subject.name))
    .bind(text(deed.before.as_ref()))
    .bind(text(deed.after.as_ref()))
    .execute(&mut **tx)
    .await
    .map(drop)
}

impl Store {
    /// Writes something down that was done outside of the database, such as a backup.
    pub async fn note(&self, by: &Actor, deed: &Deed<'_>) -> Result<(), Error> {
        let doing = "writing the audit log";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        write(&mut tx, self.inner.clock.now(), by, deed).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    /// Writes down that somebody was not let in. Alike ones are one row for five minutes, so that guessing fills no disk.
    /// A name that nobody has is not kept: it may be a password in the wrong field.
    pub async fn note_refused_login(&self, name: &str, address: IpAddr) -> Result<(), Error> {
        let doing = "writing the audit log";
        let now = self.inner.clock.now();
        let since = now.plus_millis(-FOLD_MS);
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let known: Option<String> = sqlx::query_scalar("SELECT name FROM person WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *tx)
            .await
            .doing(doing)?;
        let rows: i64 =
            sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = 'login.refused' AND at > ?")
                .bind(since.0)
                .fetch_one(&mut *tx)
                .await
                .doing(doing)?;
        let fold = async |tx: &mut Transaction<'_, Sqlite>, name: &str, address: Option<String>| {
            sqlx::query(
                "UPDATE audit_log SET count = count + 1, last_at = ?
                 WHERE action = 'login.refused' AND at > ? AND actor = ? AND address IS ?",
            )
            .bind(now.0)
            .bind(since.0)
            .bind(name)
            .bind(address)
            .execute(&mut **tx)
            .await
            .map(|done| done.rows_affected() > 0)
        };
        let name = known.unwrap_or_default();
        let mut folded = fold(&mut tx, &name, Some(address.to_string())).await.doing(doing)?;
        let mut by = Actor::user(name, address);
        if !folded && rows >= MAX_REFUSED {
            by = Actor { name: String::new(), address: None, ..by };
            folded = fold(&mut tx, "", None).await.doing(doing)?;
        }
        if !folded {
            let deed = Deed { action: REFUSED, subject: None, before: None, after: None };
            write(&mut tx, now, &by, &deed).await.doing(doing)?;
        }
        tx.commit().await.doing(doing)
    }

    /// The log, newest first, from the row with number `after` on.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT a.* FROM audit_log a WHERE 1");
        if let Some(actor) = &filter.actor {
            query.push(" AND a.actor = ").push_bind(actor.clone());
        }
        match &filter.action {
            Some(action) if action.ends_with('.') => {
                query.push(" AND substr(a.action, 1, length(").push_bind(action.clone());
                query.push(")) = ").push_bind(action.clone());
            }
            Some(action) => {
                query.push(" AND a.action = ").push_bind(action.clone());
            }
            None => {}
        }
        if let Some(subject) = &filter.subject {
            query.push(" AND (a.subject_id = ").push_bind(subject.clone());
            query.push(" OR a.subject_name = ").push_bind(subject.clone()).push(")");
        }
        query.between("a.at", filter.from, filter.to);
        if let Some(after) = after {
            query.push(" AND a.no < ").push_bind(after);
        }
        query.push(" ORDER BY a.no DESC LIMIT ").push_bind(limit);
        let rows = self.reader().await?.fetch_all("reading the audit log", query.build()).await?;
        Ok(rows.iter().filter_map(entry).collect())
    }

    /// Forgets rows from before a moment, at most so many. Returns how many.
    pub async fn expire_audit_log(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        sqlx::query(
            "DELETE FROM audit_log WHERE no IN (SELECT no FROM audit_log WHERE at < ? ORDER BY at LIMIT ?)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&self.inner.writer)
        .await
        .map(|done| done.rows_affected())
        .doing("forgetting old rows of the audit log")
    }
}

fn entry(row: &sqlx::sqlite::SqliteRow) -> Option<AuditEntry> {
    let json = |name: &str| {
        row.get::<Option<&str>, _>(name).and_then(|text| serde_json::from_str::<Value>(text).ok())
    };
    Some(AuditEntry {
        no: row.get("no"),
        at: Timestamp(row.get("at")),
        actor: Actor {
            kind: ActorKind::parse(row.get("actor_kind"))?,
            name: row.get("actor"),
            address: row.get::<Option<&str>, _>("address").and_then(|address| address.parse().ok()),
        },
        action: row.get("action"),
        subject_kind: row.get("subject_kind"),
        subject_id: row.get("subject_id"),
        subject_name: row.get("subject_name"),
        before: json("before"),
        after: json("after"),
        count: row.get("count"),
        last_at: row.get::<Option<i64>, _>("last_at").map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_cut_out_wherever_they_stand() {
        let key = protocol::ApiKey::generate(protocol::DeviceId::generate());
        let mut value = json!({
            "name": "lamp", "key_id": "abc", "key": "x", "Password_Hash": "x", "list": [{ "csrfToken": "x" }, key.reveal()],
        });
        redact(&mut value);
        let expected = json!({
            "name": "lamp", "key_id": "abc", "key": CUT, "Password_Hash": CUT, "list": [{ "csrfToken": CUT }, CUT],
        });
        assert_eq!(value, expected);
        let long = json!("x".repeat(MAX_VALUE_BYTES));
        assert_eq!(text(Some(&long)).unwrap(), "\"[too long]\"");
    }
}
