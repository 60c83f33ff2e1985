//! Adding, changing and removing devices and keys.

use protocol::{ApiKey, DeviceId, DeviceTopic, KeyId, KeyKind, Timestamp, Topic, TopicFilter, limits};
use serde_json::{Value, json};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::{DeviceKind, Doing as _, Error, Store, error_groups};

const HOUR_MS: i64 = 3_600_000;

/// Why something was not done. A decision, not a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is empty, too long, or has control characters.
    #[error("a name has 1 to {max} characters and no line breaks", max = limits::MAX_NAME_CHARS)]
    Name,
    /// Too many tags, or one that is not a word.
    #[error("at most {tags} tags, each a word of at most {max} characters", tags = limits::MAX_TAGS, max = limits::MAX_TAG_CHARS)]
    Tags,
    /// A device has that name.
    #[error("there is a device named \"{0}\" already")]
    NameTaken(String),
    /// There is no such device.
    #[error("there is no device {0}")]
    NoDevice(DeviceId),
    /// Somebody else has changed it since it was looked at.
    #[error("somebody else has changed this device meanwhile; look at it again")]
    Conflict,
    /// There is no such key.
    #[error("there is no key {0}, or it was revoked before")]
    NoKey(KeyId),
}

/// A key to make.
#[derive(Debug, Clone)]
pub enum NewKey {
    /// Reads all devices, or these.
    Reader(Vec<DeviceId>),
    /// Publishes and subscribes to these filters.
    Service {
        /// What it may publish.
        publish: Vec<TopicFilter>,
        /// What it may subscribe to.
        subscribe: Vec<TopicFilter>,
    },
}

/// A key as it may be shown: all but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its id.
    pub id: KeyId,
    /// What it is for.
    pub kind: KeyKind,
    /// What people call it.
    pub name: String,
    /// Its device.
    pub device: Option<DeviceId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// From when on it is refused: another took its place. `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When somebody last connected with it, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// What it may publish, of a service.
    pub publish: Vec<String>,
    /// What it may subscribe to; of a reader without any: everything.
    pub subscribe: Vec<String>,
}

/// Characters that cannot be seen, or that change how others are: two names must not look alike by them.
pub fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn clean_name(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    let fine =
        !name.is_empty() && name.chars().count() <= limits::MAX_NAME_CHARS && !name.chars().any(unseen);
    if fine { Ok(name.to_owned()) } else { Err(Refusal::Name) }
}

fn clean_tags(tags: &[String]) -> Result<String, Refusal> {
    let mut clean: Vec<&str> = tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()).collect();
    clean.sort_unstable();
    clean.dedup();
    let word = |tag: &&str| {
        tag.chars().count() <= limits::MAX_TAG_CHARS
            && !tag.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',')
    };
    if clean.len() > limits::MAX_TAGS || !clean.iter().all(word) {
        return Err(Refusal::Tags);
    }
    Ok(serde_json::to_string(&clean).expect("words make valid JSON"))
}

impl Store {
    /// Adds a device with its first key. The key is told here and never again.
    pub async fn add_device(
        &self,
        by: &Actor,
        name: &str,
        tags: &[String],
        kind: DeviceKind,
    ) -> Result<Result<(DeviceId, ApiKey), Refusal>, Error> {
        let (name, tags) = match clean_name(name).and_then(|name| Ok((name, clean_tags(tags)?))) {
            Ok(clean) => clean,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let id = DeviceId::generate();
        let now = self.inner.clock.now();
        let mut edit = self.edit("adding a device").await?;
        if name_taken(&mut edit.tx, &name, id).await? {
            return Ok(Err(Refusal::NameTaken(name)));
        }
        sqlx::query("INSERT INTO device (id, name, kind, tags, created_at) VALUES (?, ?, ?, ?, ?)")
            .bind(id.as_str())
            .bind(&name)
            .bind(kind.as_str())
            .bind(&tags)
            .bind(now.0)
            .execute(&mut *edit.tx)
            .await
            .doing("adding a device")?;
        let (_, key) = insert_device_key(&mut edit.tx, id, now).await?;
        let after = json!({ "name": name, "tags": parsed(&tags), "kind": kind.as_str() });
        let deed = Deed {
            action: "device.add",
            subject: Some(Subject { kind: "device", id: id.as_str(), name: &name }),
            before: None,
            after: Some(after),
        };
        audit_log::write(&mut edit.tx, now, by, &deed).await.doing("adding a device")?;
        edit.commit(id).await?;
        Ok(Ok((id, key)))
    }

    /// The device that the server runs on, added when there is none; and a new key for it (its old ones are revoked).
    pub async fn local_device(&self, name: &str) -> Result<(DeviceId, ApiKey), Error> {
        let by = Actor::server();
        if let Some(device) = self.devices().into_iter().find(|d| d.kind == DeviceKind::Local)
            && let Ok(key) = self.rotate_key(&by, device.id, 0).await?
        {
            return Ok((device.id, key));
        }
        let mut candidate = clean_name(name).unwrap_or_else(|_| "this machine".to_owned());
        for n in 2.. {
            match self.add_device(&by, &candidate, &[], DeviceKind::Local).await? {
                Ok(added) => return Ok(added),
                Err(_) => candidate = format!("this machine {n}"),
            }
        }
        unreachable!("some name is free")
    }

    /// Changes a device's name or tags; with `rev` only if it is as it was then.
    pub async fn change_device(
        &self,
        by: &Actor,
        id: DeviceId,
        name: Option<&str>,
        tags: Option<&[String]>,
        rev: Option<i64>,
    ) -> Result<Result<(), Refusal>, Error> {
        let clean = name.map(clean_name).transpose().and_then(|n| Ok((n, tags.map(clean_tags).transpose()?)));
        let (name, tags) = match clean {
            Ok(clean) => clean,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut edit = self.edit("changing a device").await?;
        if let Some(name) = &name
            && name_taken(&mut edit.tx, name, id).await?
        {
            return Ok(Err(Refusal::NameTaken(name.clone())));
        }
        let Some(Known { no, name: old_name, tags: old_tags, rev: present }) =
            known(&mut edit.tx, id).await?
        else {
            return Ok(Err(Refusal::NoDevice(id)));
        };
        if rev.is_some_and(|rev| rev != present) {
            return Ok(Err(Refusal::Conflict));
        }
        let (new_name, new_tags) =
            (name.unwrap_or_else(|| old_name.clone()), tags.unwrap_or_else(|| old_tags.clone()));
        if (&new_name, &new_tags) != (&old_name, &old_tags) {
            sqlx::query("UPDATE device SET name = ?, tags = ?, rev = rev + 1 WHERE no = ?")
                .bind(&new_name)
                .bind(&new_tags)
                .bind(no)
                .execute(&mut *edit.tx)
                .await
                .doing("changing a device")?;
            let deed = Deed {
                action: if new_name == old_name { "device.tag" } else { "device.rename" },
                subject: Some(Subject { kind: "device", id: id.as_str(), name: &old_name }),
                before: Some(json!({ "name": old_name, "tags": parsed(&old_tags) })),
                after: Some(json!({ "name": new_name, "tags": parsed(&new_tags) })),
            };
            let now = self.inner.clock.now();
            audit_log::write(&mut edit.tx, now, by, &deed).await.doing("changing a device")?;
        }
        edit.commit(id).await?;
        Ok(Ok(()))
    }

    /// Removes a device, its keys and all that was recorded of it.
    pub async fn remove_device(&self, by: &Actor, id: DeviceId) -> Result<Result<(), Refusal>, Error> {
        let mut edit = self.edit("removing a device").await?;
        let Some(Known { no, name, tags, .. }) = known(&mut edit.tx, id).await? else {
            return Ok(Err(Refusal::NoDevice(id)));
        };
        for what in DeviceTopic::ALL {
            sqlx::query("DELETE FROM retained WHERE topic = ?")
                .bind(Topic { device: id, what }.name(&self.inner.root).as_str())
                .execute(&mut *edit.tx)
                .await
                .doing("removing a device")?;
        }
        sqlx::query("DELETE FROM device WHERE no = ?")
            .bind(no)
            .execute(&mut *edit.tx)
            .await
            .doing("removing a device")?;
        error_groups::forget_samples(&mut edit.tx, no).await.doing("removing a device")?;
        let deed = Deed {
            action: "device.remove",
            subject: Some(Subject { kind: "device", id: id.as_str(), name: &name }),
            before: Some(json!({ "name": name, "tags": parsed(&tags) })),
            after: None,
        };
        let now = self.inner.clock.now();
        audit_log::write(&mut edit.tx, now, by, &deed).await.doing("removing a device")?;
        edit.commit(id).await?;
        // Its alerts went with it.
        self.alerts_changed().await?;
        Ok(Ok(()))
    }

    /// A new key for a device; those before are revoked, or go on working for `overlap_h` hours.
    pub async fn rotate_key(
        &self,
        by: &Actor,
        id: DeviceId,
        overlap_h: u32,
    ) -> Result<Result<ApiKey, Refusal>, Error> {
        let doing = "rotating a key";
        let now = self.inner.clock.now();
        let mut edit = self.edit(doing).await?;
        let Some(Known { name, .. }) = known(&mut edit.tx, id).await? else {
            return Ok(Err(Refusal::NoDevice(id)));
        };
        let until = (overlap_h > 0).then(|| now.plus_millis(i64::from(overlap_h) * HOUR_MS));
        // One that ends sooner by an earlier rotation does so.
        let end = match until {
            None => {
                "UPDATE access_key SET revoked_at = ? WHERE device_id = ? AND revoked_at IS NULL RETURNING id"
            }
            Some(_) => {
                "UPDATE access_key SET expires_at = min(?, coalesce(expires_at, 9223372036854775807))
                 WHERE device_id = ? AND revoked_at IS NULL RETURNING id"
            }
        };
        let ended: Vec<String> = sqlx::query_scalar(end)
            .bind(until.unwrap_or(now).0)
            .bind(id.as_str())
            .fetch_all(&mut *edit.tx)
            .await
            .doing(doing)?;
        let (key_id, key) = insert_device_key(&mut edit.tx, id, now).await?;
        let deed = Deed {
            action: "key.rotate",
            subject: Some(Subject { kind: "device", id: id.as_str(), name: &name }),
            before: Some(json!({ "key_ids": ended })),
            after: Some(json!({ "key_ids": [key_id.as_str()], "overlap_h": overlap_h })),
        };
        audit_log::write(&mut edit.tx, now, by, &deed).await.doing(doing)?;
        edit.commit(id).await?;
        Ok(Ok(key))
    }

    /// Makes a key for a reader or a service. The key is told here and never again.
    pub async fn add_key(
        &self,
        by: &Actor,
        name: &str,
        new: NewKey,
    ) -> Result<Result<(KeyId, ApiKey), Refusal>, Error> {
        let name = match clean_name(name) {
            Ok(name) => name,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (kind, publish, subscribe) = match new {
            NewKey::Reader(devices) => {
                if let Some(unknown) = devices.iter().find(|id| self.device(**id).is_none()) {
                    return Ok(Err(Refusal::NoDevice(*unknown)));
                }
                let filters = devices.iter().map(|id| self.inner.root.device(*id)).collect();
                (KeyKind::Reader, vec![], filters)
            }
            NewKey::Service { publish, subscribe } => (KeyKind::Service, publish, subscribe),
        };
        let json = |filters: &[TopicFilter]| {
            let texts: Vec<&str> = filters.iter().map(TopicFilter::as_str).collect();
            serde_json::to_string(&texts).expect("texts make valid JSON")
        };
        let id = KeyId::generate();
        // The key names itself: a reader or a service has no device.
        let subject = own_subject(id);
        let key = ApiKey::generate(subject);
        let (publish, subscribe) = (json(&publish), json(&subscribe));
        let now = self.inner.clock.now();
        let mut edit = self.edit("adding a key").await?;
        sqlx::query(
            "INSERT INTO access_key (id, kind, name, hash, publish, subscribe, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id.as_str())
        .bind(kind.as_str())
        .bind(&name)
        .bind(key.hash().as_bytes().to_vec())
        .bind(&publish)
        .bind(&subscribe)
        .bind(now.0)
        .execute(&mut *edit.tx)
        .await
        .doing("adding a key")?;
        let after =
            json!({ "kind": kind.as_str(), "publish": parsed(&publish), "subscribe": parsed(&subscribe) });
        let deed = Deed {
            action: "key.add",
            subject: Some(Subject { kind: "key", id: id.as_str(), name: &name }),
            before: None,
            after: Some(after),
        };
        audit_log::write(&mut edit.tx, now, by, &deed).await.doing("adding a key")?;
        edit.commit(subject).await?;
        Ok(Ok((id, key)))
    }

    /// Revokes a key. Its connections are closed by whoever serves them.
    pub async fn revoke_key(&self, by: &Actor, id: KeyId) -> Result<Result<(), Refusal>, Error> {
        let now = self.inner.clock.now();
        let mut edit = self.edit("revoking a key").await?;
        let revoked: Option<(Option<String>, String, String)> = sqlx::query_as(
            "UPDATE access_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING device_id, name, kind",
        )
        .bind(now.0)
        .bind(id.as_str())
        .fetch_optional(&mut *edit.tx)
        .await
        .doing("revoking a key")?;
        let Some((device, name, kind)) = revoked else {
            return Ok(Err(Refusal::NoKey(id)));
        };
        let deed = Deed {
            action: "key.revoke",
            subject: Some(Subject { kind: "key", id: id.as_str(), name: &name }),
            before: Some(json!({ "kind": kind, "device": device })),
            after: None,
        };
        audit_log::write(&mut edit.tx, now, by, &deed).await.doing("revoking a key")?;
        let device = device.and_then(|device| DeviceId::parse(&device).ok());
        edit.commit(device.unwrap_or_else(|| own_subject(id))).await?;
        Ok(Ok(()))
    }

    /// All keys, without their secrets.
    pub async fn keys(&self) -> Result<Vec<KeyInfo>, Error> {
        let rows = sqlx::query(
            "SELECT id, kind, name, device_id, created_at, revoked_at, expires_at, last_used_at, publish, subscribe
             FROM access_key ORDER BY created_at, id",
        )
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading the keys")?;
        let info = |row: &sqlx::sqlite::SqliteRow| {
            let id = KeyId::parse(row.get("id")).ok()?;
            let time = |column: &str| row.get::<Option<i64>, _>(column).map(Timestamp);
            let list = |column: &str| serde_json::from_str(row.get(column)).unwrap_or_default();
            Some(KeyInfo {
                id,
                kind: KeyKind::parse(row.get("kind"))?,
                name: row.get("name"),
                device: row.get::<Option<&str>, _>("device_id").and_then(|id| DeviceId::parse(id).ok()),
                created_at: Timestamp(row.get("created_at")),
                revoked_at: time("revoked_at"),
                expires_at: time("expires_at"),
                last_used_at: self.key_used_at(id).max(time("last_used_at")),
                publish: list("publish"),
                subscribe: list("subscribe"),
            })
        };
        Ok(rows.iter().filter_map(info).collect())
    }
}

/// Whom a reader's or a service's key names: itself.
fn own_subject(id: KeyId) -> DeviceId {
    DeviceId::parse(id.as_str()).expect("ids have one form")
}

/// A device as people have made it.
struct Known {
    no: i64,
    name: String,
    tags: String,
    rev: i64,
}

async fn known(tx: &mut Transaction<'_, Sqlite>, id: DeviceId) -> Result<Option<Known>, Error> {
    let row = sqlx::query("SELECT no, name, tags, rev FROM device WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(&mut **tx)
        .await
        .doing("looking for a device")?;
    Ok(row.map(|row| Known {
        no: row.get("no"),
        name: row.get("name"),
        tags: row.get("tags"),
        rev: row.get("rev"),
    }))
}

/// A list as it is kept, for the audit log.
fn parsed(list: &str) -> Value {
    serde_json::from_str(list).unwrap_or_default()
}

async fn name_taken(tx: &mut Transaction<'_, Sqlite>, name: &str, but: DeviceId) -> Result<bool, Error> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM device WHERE name = ? AND id <> ?")
        .bind(name)
        .bind(but.as_str())
        .fetch_one(&mut **tx)
        .await
        .doing("looking for a name")?;
    Ok(count > 0)
}

async fn insert_device_key(
    tx: &mut Transaction<'_, Sqlite>,
    device: DeviceId,
    now: Timestamp,
) -> Result<(KeyId, ApiKey), Error> {
    let (id, key) = (KeyId::generate(), ApiKey::generate(device));
    sqlx::query(
        "INSERT INTO access_key (id, kind, name, device_id, hash, created_at) VALUES (?, 'device', '', ?, ?, ?)",
    )
    .bind(id.as_str())
    .bind(device.as_str())
    .bind(key.hash().as_bytes().to_vec())
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .doing("adding a key")?;
    Ok((id, key))
}
