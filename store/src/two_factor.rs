//! The second factor of people's logins: what their codes are computed from, which of them were used, recovery codes.

use protocol::{KeyHash, Timestamp};
use sqlx::{Sqlite, Transaction};

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::vault::Vault;
use crate::{Doing as _, Error, Store};

/// A person's second factor.
#[derive(Clone, PartialEq, Eq)]
pub struct TwoFactor {
    /// What codes are computed from.
    pub secret: Vec<u8>,
    /// Whether it is asked for at a login: it was confirmed with a code.
    pub on: bool,
}

impl std::fmt::Debug for TwoFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TwoFactor").field("on", &self.on).finish_non_exhaustive()
    }
}

fn purpose(person: &str) -> String {
    format!("two-factor/{person}")
}

async fn note(
    tx: &mut Transaction<'_, Sqlite>,
    at: Timestamp,
    by: &Actor,
    action: &'static str,
    person: &str,
) -> Result<(), sqlx::Error> {
    let subject = Some(Subject { kind: "user", id: person, name: person });
    audit_log::write(tx, at, by, &Deed { action, subject, before: None, after: None }).await
}

async fn replace_codes(
    tx: &mut Transaction<'_, Sqlite>,
    person: &str,
    codes: &[KeyHash],
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM recovery_code WHERE person = ?").bind(person).execute(&mut **tx).await?;
    for code in codes {
        sqlx::query("INSERT INTO recovery_code (person, hash) VALUES (?, ?)")
            .bind(person)
            .bind(code.as_bytes().to_vec())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Where secrets that must be read again are sealed.
    pub fn vault(&self) -> Vault {
        Vault::new(self.inner.path.parent().unwrap_or(std::path::Path::new(".")))
    }

    /// Whether a person's login asks for a code.
    pub async fn has_two_factor(&self, person: &str) -> Result<bool, Error> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM two_factor WHERE person = ? AND on_since IS NOT NULL)",
        )
        .bind(person)
        .fetch_one(&self.inner.readers)
        .await
        .doing("reading a second factor")
    }

    /// A person's second factor; `None` when there is none, not even one to be confirmed.
    pub async fn two_factor(&self, person: &str) -> Result<Option<TwoFactor>, Error> {
        let row: Option<(Vec<u8>, bool)> =
            sqlx::query_as("SELECT secret, on_since IS NOT NULL FROM two_factor WHERE person = ?")
                .bind(person)
                .fetch_optional(&self.inner.readers)
                .await
                .doing("reading a second factor")?;
        let Some((sealed, on)) = row else { return Ok(None) };
        Ok(Some(TwoFactor { secret: self.vault().open(&purpose(person), &sealed)?, on }))
    }

    /// Keeps a secret that is to be confirmed with a code, in the place of one that never was. False when the person has a
    /// second factor that is on: it is turned off first.
    pub async fn begin_two_factor(&self, person: &str, secret: &[u8]) -> Result<bool, Error> {
        let sealed = self.vault().seal(&purpose(person), secret)?;
        let done = sqlx::query(
            "INSERT INTO two_factor (person, secret) SELECT name, ?2 FROM person WHERE name = ?1
             ON CONFLICT (person) DO UPDATE SET secret = ?2, last_step = 0 WHERE on_since IS NULL",
        )
        .bind(person)
        .bind(sealed)
        .execute(&self.inner.writer)
        .await
        .doing("keeping a second factor")?;
        Ok(done.rows_affected() > 0)
    }

    /// Uses a code up, by its half minute. False when it or a later one was used before.
    pub async fn use_step(&self, person: &str, step: i64) -> Result<bool, Error> {
        sqlx::query("UPDATE two_factor SET last_step = ?2 WHERE person = ?1 AND last_step < ?2")
            .bind(person)
            .bind(step)
            .execute(&self.inner.writer)
            .await
            .map(|done| done.rows_affected() > 0)
            .doing("using a code")
    }

    /// Uses a recovery code up. False when the person has no such one.
    pub async fn use_recovery_code(&self, by: &Actor, person: &str, code: &KeyHash) -> Result<bool, Error> {
        let doing = "using a recovery code";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let done = sqlx::query("DELETE FROM recovery_code WHERE person = ? AND hash = ?")
            .bind(person)
            .bind(code.as_bytes().to_vec())
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        note(&mut tx, self.inner.clock.now(), by, "two_factor.recovery_used", person).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(true)
    }

    /// How many recovery codes a person has left.
    pub async fn count_recovery_codes(&self, person: &str) -> Result<i64, Error> {
        sqlx::query_scalar("SELECT count(*) FROM recovery_code WHERE person = ?")
            .bind(person)
            .fetch_one(&self.inner.readers)
            .await
            .doing("counting recovery codes")
    }

    /// Turns a confirmed second factor on, with its recovery codes. False when none was begun, or it is on.
    pub async fn confirm_two_factor(
        &self,
        by: &Actor,
        person: &str,
        codes: &[KeyHash],
    ) -> Result<bool, Error> {
        let doing = "turning a second factor on";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let done = sqlx::query("UPDATE two_factor SET on_since = ? WHERE person = ? AND on_since IS NULL")
            .bind(now.0)
            .bind(person)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        replace_codes(&mut tx, person, codes).await.doing(doing)?;
        note(&mut tx, now, by, "two_factor.on", person).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(true)
    }

    /// New recovery codes in the place of all before.
    pub async fn renew_recovery_codes(
        &self,
        by: &Actor,
        person: &str,
        codes: &[KeyHash],
    ) -> Result<(), Error> {
        let doing = "renewing recovery codes";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        replace_codes(&mut tx, person, codes).await.doing(doing)?;
        note(&mut tx, self.inner.clock.now(), by, "two_factor.recovery_codes", person).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    /// Takes a person's second factor away. False when there was none.
    pub async fn remove_two_factor(&self, by: &Actor, person: &str) -> Result<bool, Error> {
        let doing = "turning a second factor off";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let done = sqlx::query("DELETE FROM two_factor WHERE person = ?")
            .bind(person)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        note(&mut tx, self.inner.clock.now(), by, "two_factor.off", person).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(true)
    }
}
