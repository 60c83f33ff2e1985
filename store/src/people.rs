//! People who may see the page, and their logins.

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

/// A person as an admin sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonInfo {
    /// What they log in with.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Their login asks for a code.
    pub two_factor: bool,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they last logged in.
    pub last_login_at: Option<Timestamp>,
}

/// Why a person was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonRefusal {
    /// There is nobody of that name.
    #[error("there is no user of that name")]
    NoPerson,
    /// Nobody could change anything any more.
    #[error("this is the only admin: make somebody else an admin first")]
    LastAdmin,
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

    /// Everybody, by name.
    pub async fn people(&self) -> Result<Vec<PersonInfo>, Error> {
        let rows = sqlx::query(
            "SELECT p.name, p.role, p.created_at, p.last_login_at, t.on_since IS NOT NULL AS two_factor
             FROM person p LEFT JOIN two_factor t ON t.person = p.name ORDER BY p.name",
        )
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading the people")?;
        let info = |row: &sqlx::sqlite::SqliteRow| {
            Some(PersonInfo {
                name: row.get("name"),
                role: Role::parse(row.get("role"))?,
                two_factor: row.get("two_factor"),
                created_at: Timestamp(row.get("created_at")),
                last_login_at: row.get::<Option<i64>, _>("last_login_at").map(Timestamp),
            })
        };
        Ok(rows.iter().filter_map(info).collect())
    }

    /// Changes what a person may do, or their password. Their logins end, but for `but`: the one that asks.
    pub async fn change_person(
        &self,
        by: &Actor,
        name: &str,
        role: Option<Role>,
        password_hash: Option<&str>,
        but: Option<&KeyHash>,
    ) -> Result<Result<(), PersonRefusal>, Error> {
        let doing = "changing a person";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let Some(present) = role_of(&mut tx, name).await.doing(doing)? else {
            return Ok(Err(PersonRefusal::NoPerson));
        };
        let role = role.filter(|role| *role != present);
        if role == Some(Role::Viewer) && is_last_admin(&mut tx, name).await.doing(doing)? {
            return Ok(Err(PersonRefusal::LastAdmin));
        }
        let subject = Some(Subject { kind: "user", id: name, name });
        if let Some(role) = role {
            sqlx::query("UPDATE person SET role = ? WHERE name = ?")
                .bind(role.as_str())
                .bind(name)
                .execute(&mut *tx)
                .await
                .doing(doing)?;
            let (before, after) = (json!({ "role": present.as_str() }), json!({ "role": role.as_str() }));
            let deed = Deed { action: "user.role", subject, before: Some(before), after: Some(after) };
            audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
        }
        if let Some(hash) = password_hash {
            sqlx::query("UPDATE person SET password_hash = ? WHERE name = ?")
                .bind(hash)
                .bind(name)
                .execute(&mut *tx)
                .await
                .doing(doing)?;
            let deed = Deed { action: "user.password", subject, before: None, after: None };
            audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
        }
        if role.is_some() || password_hash.is_some() {
            sqlx::query("DELETE FROM login WHERE person = ?1 AND (?2 IS NULL OR hash <> ?2)")
                .bind(name)
                .bind(but.map(|hash| hash.as_bytes().to_vec()))
                .execute(&mut *tx)
                .await
                .doing(doing)?;
        }
        tx.commit().await.doing(doing)?;
        Ok(Ok(()))
    }

    /// Removes a person with their logins and their second factor.
    pub async fn remove_person(&self, by: &Actor, name: &str) -> Result<Result<(), PersonRefusal>, Error> {
        let doing = "removing a person";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let Some(role) = role_of(&mut tx, name).await.doing(doing)? else {
            return Ok(Err(PersonRefusal::NoPerson));
        };
        if role == Role::Admin && is_last_admin(&mut tx, name).await.doing(doing)? {
            return Ok(Err(PersonRefusal::LastAdmin));
        }
        sqlx::query("DELETE FROM person WHERE name = ?").bind(name).execute(&mut *tx).await.doing(doing)?;
        let deed = Deed {
            action: "user.remove",
            subject: Some(Subject { kind: "user", id: name, name }),
            before: Some(json!({ "role": role.as_str() })),
            after: None,
        };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(Ok(()))
    }

    /// Remembers a login by the password of this hash, and forgets those that are over. False when the person has another
    /// password by now, or is gone.
    pub async fn add_login(
        &self,
        by: &Actor,
        cookie: &KeyHash,
        person: &str,
        password_hash: &str,
        csrf: &str,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let at = self.inner.clock.now();
        let now = at.0;
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing("adding a login")?;
        sqlx::query("DELETE FROM login WHERE expires_at < ?")
            .bind(now)
            .execute(&mut *tx)
            .await
            .doing("adding a login")?;
        let done = sqlx::query(
            "INSERT INTO login (hash, person, csrf, created_at, expires_at)
             SELECT ?, name, ?, ?, ? FROM person WHERE name = ? AND password_hash = ?",
        )
        .bind(cookie.as_bytes().to_vec())
        .bind(csrf)
        .bind(now)
        .bind(until.0)
        .bind(person)
        .bind(password_hash)
        .execute(&mut *tx)
        .await
        .doing("adding a login")?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE person SET last_login_at = ? WHERE name = ?")
            .bind(now)
            .bind(person)
            .execute(&mut *tx)
            .await
            .doing("adding a login")?;
        let deed = Deed { action: "login.ok", subject: None, before: None, after: None };
        audit_log::write(&mut tx, at, by, &deed).await.doing("adding a login")?;
        tx.commit().await.doing("adding a login")?;
        Ok(true)
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
}

async fn role_of(tx: &mut Transaction<'_, Sqlite>, name: &str) -> Result<Option<Role>, sqlx::Error> {
    let role: Option<String> = sqlx::query_scalar("SELECT role FROM person WHERE name = ?")
        .bind(name)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(role.and_then(|role| Role::parse(&role)))
}

async fn is_last_admin(tx: &mut Transaction<'_, Sqlite>, name: &str) -> Result<bool, sqlx::Error> {
    let others: i64 = sqlx::query_scalar("SELECT count(*) FROM person WHERE role = 'admin' AND name <> ?")
        .bind(name)
        .fetch_one(&mut **tx)
        .await?;
    Ok(others == 0)
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
