//! Bearer tokens of scripts.

use protocol::{KeyHash, KeyId, Timestamp};
use serde_json::json;
use sqlx::Row as _;

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::{Doing as _, Error, Role, Store};

/// A token as it may be shown: all but itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its id.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute; `None` when it never was.
    pub last_used_at: Option<Timestamp>,
    /// From when on it is refused; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Remembers a token for scripts. Returns its id.
    pub async fn add_token(
        &self,
        by: &Actor,
        token: &KeyHash,
        role: Role,
        name: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<KeyId, Error> {
        let doing = "adding a token";
        let now = self.inner.clock.now();
        let id = KeyId::generate();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        sqlx::query(
            "INSERT INTO bearer_token (id, hash, role, name, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(id.as_str())
        .bind(token.as_bytes().to_vec())
        .bind(role.as_str())
        .bind(name)
        .bind(now.0)
        .bind(expires_at.map(|at| at.0))
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        let deed = Deed {
            action: "token.create",
            subject: Some(Subject { kind: "token", id: id.as_str(), name }),
            before: None,
            after: Some(json!({ "role": role.as_str(), "expires_at": expires_at.map(|at| at.0) })),
        };
        audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(id)
    }

    /// What a token may do, and what it is called; `None` for one that is not known or has expired. Notes that it was used.
    pub async fn token(&self, token: &KeyHash) -> Result<Option<(Role, String)>, Error> {
        let now = self.inner.clock.now();
        let row: Option<(String, String, String)> = sqlx::query_as(
            "SELECT role, name, id FROM bearer_token WHERE hash = ? AND (expires_at IS NULL OR expires_at > ?)",
        )
        .bind(token.as_bytes().to_vec())
        .bind(now.0)
        .fetch_optional(&self.inner.readers)
        .await
        .doing("reading a token")?;
        let Some((role, name, id)) = row else { return Ok(None) };
        if let Ok(id) = KeyId::parse(&id) {
            self.note_token_use(id);
        }
        Ok(Role::parse(&role).map(|role| (role, name)))
    }

    /// All tokens, newest first.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, Error> {
        let rows = sqlx::query(
            "SELECT id, name, role, created_at, last_used_at, expires_at FROM bearer_token
             ORDER BY created_at DESC, id",
        )
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading the tokens")?;
        let info = |row: &sqlx::sqlite::SqliteRow| {
            let id = KeyId::parse(row.get("id")).ok()?;
            let written = row.get::<Option<i64>, _>("last_used_at").map(Timestamp);
            Some(TokenInfo {
                id,
                name: row.get("name"),
                role: Role::parse(row.get("role"))?,
                created_at: Timestamp(row.get("created_at")),
                last_used_at: self.token_used_at(id).max(written),
                expires_at: row.get::<Option<i64>, _>("expires_at").map(Timestamp),
            })
        };
        Ok(rows.iter().filter_map(info).collect())
    }

    /// Ends a token. False when there is none with that id.
    pub async fn revoke_token(&self, by: &Actor, id: KeyId) -> Result<bool, Error> {
        let doing = "revoking a token";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let gone: Option<(String, String)> =
            sqlx::query_as("DELETE FROM bearer_token WHERE id = ? RETURNING name, role")
                .bind(id.as_str())
                .fetch_optional(&mut *tx)
                .await
                .doing(doing)?;
        let Some((name, role)) = gone else { return Ok(false) };
        let deed = Deed {
            action: "token.revoke",
            subject: Some(Subject { kind: "token", id: id.as_str(), name: &name }),
            before: Some(json!({ "role": role })),
            after: None,
        };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(true)
    }
}
