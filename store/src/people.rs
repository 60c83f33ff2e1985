//! People who may see the page, their logins, and tokens for scripts.

use protocol::{KeyHash, Timestamp};
use serde_json::json;
use sqlx::{Row as _, Sqlite, Transaction};

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::{Doing as _, Error, Store};

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Looks and changes.
    Admin,
}

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Admin].into_iter().find(|role| role.as_str() == text)
    }
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Who.
    pub person: String,
    /// What they may do.
    pub role: Role,
    /// What every changing request must repeat.
    pub csrf: String,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Store {
    /// How many people there are; none before set-up.
    pub async fn count_people(&self) -> Result<i64, Error> {
        sqlx::query_scalar("SELECT count(*) FROM person")
            .fetch_one(&self.inner.readers)
            .await
            .doing("counting people")
    }

    /// Adds a person. False when the name is taken.
    pub async fn add_person(
        &self,
        by: &Actor,
        name: &str,
        role: Role,
        password_hash: &str,
    ) -> Result<bool, Error> {
        let doing = "adding a person";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let done = sqlx::query(
            "INSERT INTO person (name, role, password_hash, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(role.as_str())
        .bind(password_hash)
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        note_person(&mut tx, now, by, "user.add", name, role).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(true)
    }

    /// Adds the first person, an admin. False when somebody was first.
    pub async fn add_first_person(&self, by: &Actor, name: &str, password_hash: &str) -> Result<bool, Error> {
        let doing = "adding the first person";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let done = sqlx::query(
            "INSERT INTO person (name, role, password_hash, created_at)
             SELECT ?, 'admin', ?, ? WHERE NOT EXISTS (SELECT 1 FROM person)",
        )
        .bind(name)
        .bind(password_hash)
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        note_person(&mut tx, now, by, "setup", name, Role::Admin).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(true)
    }

    /// A person's password hash and role.
    pub async fn person(&self, name: &str) -> Result<Option<(String, Role)>, Error> {
        let row = sqlx::query("SELECT password_hash, role FROM person WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.inner.readers)
            .await
            .doing("reading a person")?;
        Ok(row.and_then(|row| Some((row.get("password_hash"), Role::parse(row.get("role"))?))))
    }

    /// Remembers a login, and forgets those that are over.
    pub async fn add_login(
        &self,
        by: &Actor,
        cookie: &KeyHash,
        person: &str,
        csrf: &str,
        until: Timestamp,
    ) -> Result<(), Error> {
        let at = self.inner.clock.now();
        let now = at.0;
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing("adding a login")?;
        sqlx::query("DELETE FROM login WHERE expires_at < ?")
            .bind(now)
            .execute(&mut *tx)
            .await
            .doing("adding a login")?;
        sqlx::query("INSERT INTO login (hash, person, csrf, created_at, expires_at) VALUES (?, ?, ?, ?, ?)")
            .bind(cookie.as_bytes().to_vec())
            .bind(person)
            .bind(csrf)
            .bind(now)
            .bind(until.0)
            .execute(&mut *tx)
            .await
            .doing("adding a login")?;
        let deed = Deed { action: "login.ok", subject: None, before: None, after: None };
        audit_log::write(&mut tx, at, by, &deed).await.doing("adding a login")?;
        tx.commit().await.doing("adding a login")
    }

    /// Whose login a cookie is.
    pub async fn login(&self, cookie: &KeyHash) -> Result<Option<Login>, Error> {
        let row = sqlx::query(
            "SELECT l.person, p.role, l.csrf, l.expires_at FROM login l JOIN person p ON p.name = l.person
             WHERE l.hash = ? AND l.expires_at > ?",
        )
        .bind(cookie.as_bytes().to_vec())
        .bind(self.inner.clock.now().0)
        .fetch_optional(&self.inner.readers)
        .await
        .doing("reading a login")?;
        Ok(row.and_then(|row| {
            Some(Login {
                person: row.get("person"),
                role: Role::parse(row.get("role"))?,
                csrf: row.get("csrf"),
                expires_at: Timestamp(row.get("expires_at")),
            })
        }))
    }

    /// Ends a login.
    pub async fn remove_login(&self, by: &Actor, cookie: &KeyHash) -> Result<(), Error> {
        let doing = "removing a login";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let done = sqlx::query("DELETE FROM login WHERE hash = ?")
            .bind(cookie.as_bytes().to_vec())
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        if done.rows_affected() > 0 {
            let deed = Deed { action: "logout", subject: None, before: None, after: None };
            audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        }
        tx.commit().await.doing(doing)
    }

    /// Remembers a token for scripts.
    pub async fn add_token(&self, by: &Actor, token: &KeyHash, role: Role, name: &str) -> Result<(), Error> {
        let doing = "adding a token";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        sqlx::query("INSERT INTO bearer_token (hash, role, name, created_at) VALUES (?, ?, ?, ?)")
            .bind(token.as_bytes().to_vec())
            .bind(role.as_str())
            .bind(name)
            .bind(now.0)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        let deed = Deed {
            action: "token.create",
            subject: Some(Subject { kind: "token", id: name, name }),
            before: None,
            after: Some(json!({ "role": role.as_str() })),
        };
        audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    /// What a token may do, and what it is called.
    pub async fn token(&self, token: &KeyHash) -> Result<Option<(Role, String)>, Error> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT role, name FROM bearer_token WHERE hash = ?")
                .bind(token.as_bytes().to_vec())
                .fetch_optional(&self.inner.readers)
                .await
                .doing("reading a token")?;
        Ok(row.and_then(|(role, name)| Some((Role::parse(&role)?, name))))
    }
}

async fn note_person(
    tx: &mut Transaction<'_, Sqlite>,
    at: Timestamp,
    by: &Actor,
    action: &'static str,
    name: &str,
    role: Role,
) -> Result<(), sqlx::Error> {
    let deed = Deed {
        action,
        subject: Some(Subject { kind: "user", id: name, name }),
        before: None,
        after: Some(json!({ "role": role.as_str() })),
    };
    audit_log::write(tx, at, by, &deed).await
}
