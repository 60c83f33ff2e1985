//! Channels: where notifications go. Their secrets are sealed, and are opened only by whoever sends.

use std::collections::BTreeMap;

use protocol::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::{Change, Doing as _, EditRefusal, Error, Severity, Store};

/// Channels at most: each has a task of its own.
const MAX_CHANNELS: i64 = 100;
const ID_BYTES: usize = 6;

/// What people say of a channel, apart from its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelBody {
    /// The values of its kind's form that are no secrets, by their words.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// `en` or `zh-CN`.
    pub language: String,
    /// It is told only what is as grave as this, or graver.
    pub least: Severity,
    /// It takes all rules that name no channels.
    pub takes_all: bool,
    /// It is told in quiet hours, too.
    #[serde(default)]
    pub always: bool,
}

/// A channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// Its kind, in a word.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// It is told.
    pub enabled: bool,
    /// What people say of it.
    pub body: ChannelBody,
    /// The words of the secrets that it has.
    pub secrets: Vec<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Grows with each change.
    pub rev: i64,
}

/// What people want a channel to be.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelDraft {
    /// What they call it.
    pub name: String,
    /// It is told.
    pub enabled: bool,
    /// What they say of it.
    pub body: ChannelBody,
    /// Secrets that are new, by their words; those that are not named stay as they are. Empty text: it goes.
    pub secrets: BTreeMap<String, String>,
}

fn purpose(id: &str) -> String {
    format!("channel/{id}")
}

impl Store {
    /// All channels, by name.
    pub async fn channels(&self) -> Result<Vec<Channel>, Error> {
        let rows = sqlx::query("SELECT * FROM channel ORDER BY name, id")
            .fetch_all(&self.inner.readers)
            .await
            .doing("reading channels")?;
        Ok(rows.iter().filter_map(|row| self.channel_of(row)).collect())
    }

    /// The secrets of a channel, by their words. For whoever sends, and nobody else.
    pub async fn channel_secrets(&self, id: &str) -> Result<BTreeMap<String, String>, Error> {
        let sealed: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT secrets FROM channel WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.inner.readers)
            .await
            .doing("reading a channel's secrets")?;
        self.open_secrets(id, sealed.flatten().as_deref())
    }

    fn open_secrets(&self, id: &str, sealed: Option<&[u8]>) -> Result<BTreeMap<String, String>, Error> {
        let Some(sealed) = sealed else { return Ok(BTreeMap::new()) };
        let open = self.vault().open(&purpose(id), sealed)?;
        Ok(serde_json::from_slice(&open).unwrap_or_default())
    }

    /// Adds a channel.
    pub async fn add_channel(
        &self,
        by: &Actor,
        kind: &str,
        draft: &ChannelDraft,
    ) -> Result<Result<Channel, EditRefusal>, Error> {
        let doing = "adding a channel";
        let mut id = [0; ID_BYTES];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut id).map_err(|_| {
            Error::Sql { doing, source: sqlx::Error::Io(std::io::Error::other("no random numbers")) }
        })?;
        let id = id.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let now = self.inner.clock.now();
        let secrets: BTreeMap<_, _> = draft.secrets.iter().filter(|(_, value)| !value.is_empty()).collect();
        let sealed = self.seal_secrets(&id, &json!(secrets), secrets.is_empty())?;
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM channel").fetch_one(&mut *tx).await.doing(doing)?;
        if count >= MAX_CHANNELS {
            return Ok(Err(EditRefusal::TooMany));
        }
        sqlx::query("INSERT INTO channel (id, kind, name, enabled, body, secrets, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(&id)
            .bind(kind)
            .bind(&draft.name)
            .bind(draft.enabled)
            .bind(json!(draft.body).to_string())
            .bind(sealed)
            .bind(now.0)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        let words: Vec<String> = secrets.keys().map(|word| (*word).clone()).collect();
        let channel = Channel {
            id,
            kind: kind.to_owned(),
            name: draft.name.clone(),
            enabled: draft.enabled,
            body: draft.body.clone(),
            secrets: words,
            made_at: now,
            rev: 1,
        };
        let subject = Some(Subject { kind: "channel", id: &channel.id, name: &channel.name });
        let deed = Deed { action: "channel.add", subject, before: None, after: Some(told(&channel, &[])) };
        audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Channels);
        Ok(Ok(channel))
    }

    /// Makes channels that every server begins with, each once: what people have removed stays removed.
    pub async fn add_first_channels(&self, first: &[(&str, &str, ChannelBody)]) -> Result<(), Error> {
        let doing = "adding the first channels";
        let known: String = sqlx::query_scalar("SELECT kinds FROM alerting")
            .fetch_one(&self.inner.readers)
            .await
            .doing(doing)?;
        let mut known: Vec<String> = serde_json::from_str(&known).unwrap_or_default();
        for (kind, name, body) in first {
            let mark = format!("channel:{kind}");
            if known.contains(&mark) {
                continue;
            }
            let draft = ChannelDraft {
                name: (*name).to_owned(),
                enabled: true,
                body: body.clone(),
                secrets: BTreeMap::new(),
            };
            // A kill in between makes it twice at worst.
            drop(self.add_channel(&Actor::server(), kind, &draft).await?);
            known.push(mark);
            sqlx::query("UPDATE alerting SET kinds = ?")
                .bind(json!(known).to_string())
                .execute(&self.inner.writer)
                .await
                .doing(doing)?;
        }
        Ok(())
    }

    /// Changes a channel; `rev` is the one that was looked at.
    pub async fn change_channel(
        &self,
        by: &Actor,
        id: &str,
        rev: i64,
        draft: &ChannelDraft,
    ) -> Result<Result<Channel, EditRefusal>, Error> {
        let doing = "changing a channel";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let row = sqlx::query("SELECT * FROM channel WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await
            .doing(doing)?;
        let Some((row, before)) = row.as_ref().and_then(|row| Some((row, self.channel_of(row)?))) else {
            return Ok(Err(EditRefusal::Gone));
        };
        if before.rev != rev {
            return Ok(Err(EditRefusal::Conflict));
        }
        let sealed = if draft.secrets.is_empty() {
            row.get::<Option<Vec<u8>>, _>("secrets")
        } else {
            // Without the key the old ones are lost: then all of them must be given anew.
            let mut secrets = self.open_secrets(id, row.get("secrets")).unwrap_or_default();
            secrets.extend(draft.secrets.clone());
            secrets.retain(|_, value| !value.is_empty());
            self.seal_secrets(id, &json!(secrets), secrets.is_empty())?
        };
        let mut changed: Vec<&str> = draft.secrets.keys().map(String::as_str).collect();
        changed.sort_unstable();
        sqlx::query("UPDATE channel SET name = ?, enabled = ?, body = ?, secrets = ?, rev = ? WHERE id = ?")
            .bind(&draft.name)
            .bind(draft.enabled)
            .bind(json!(draft.body).to_string())
            .bind(&sealed)
            .bind(rev + 1)
            .bind(id)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        let mut words = before.secrets.clone();
        words.retain(|word| draft.secrets.get(word).is_none_or(|value| !value.is_empty()));
        for (word, value) in &draft.secrets {
            if !value.is_empty() && !words.contains(word) {
                words.push(word.clone());
            }
        }
        let after = Channel {
            name: draft.name.clone(),
            enabled: draft.enabled,
            body: draft.body.clone(),
            secrets: words,
            rev: rev + 1,
            ..before.clone()
        };
        let deed = Deed {
            action: "channel.change",
            subject: Some(Subject { kind: "channel", id, name: &after.name }),
            before: Some(told(&before, &[])),
            after: Some(told(&after, &changed)),
        };
        audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Channels);
        Ok(Ok(after))
    }

    /// Removes a channel, and what was told to it. False when there is none.
    pub async fn remove_channel(&self, by: &Actor, id: &str) -> Result<bool, Error> {
        let doing = "removing a channel";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let row = sqlx::query("DELETE FROM channel WHERE id = ? RETURNING *")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await
            .doing(doing)?;
        let Some(before) = row.as_ref().and_then(|row| self.channel_of(row)) else { return Ok(false) };
        let deed = Deed {
            action: "channel.remove",
            subject: Some(Subject { kind: "channel", id, name: &before.name }),
            before: Some(told(&before, &[])),
            after: None,
        };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Channels);
        Ok(true)
    }

    fn seal_secrets(&self, id: &str, secrets: &Value, none: bool) -> Result<Option<Vec<u8>>, Error> {
        if none {
            return Ok(None);
        }
        Ok(Some(self.vault().seal(&purpose(id), secrets.to_string().as_bytes())?))
    }

    fn channel_of(&self, row: &SqliteRow) -> Option<Channel> {
        let id: String = row.get("id");
        // Of those that cannot be opened nothing is known: whoever sends says so.
        let secrets = self.open_secrets(&id, row.get("secrets")).unwrap_or_default();
        Some(Channel {
            kind: row.get("kind"),
            name: row.get("name"),
            enabled: row.get("enabled"),
            body: serde_json::from_str(row.get("body")).ok()?,
            secrets: secrets.into_keys().collect(),
            made_at: Timestamp(row.get("made_at")),
            rev: row.get("rev"),
            id,
        })
    }
}

/// For the audit log: which secrets are new, and none of them.
fn told(channel: &Channel, new: &[&str]) -> Value {
    json!({
        "kind": channel.kind, "name": channel.name, "enabled": channel.enabled, "channel": channel.body,
        "given_anew": new,
    })
}
