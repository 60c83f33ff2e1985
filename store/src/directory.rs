//! Who may do what, in memory: a connection is never slower for a busy disk.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::{ApiKey, DeviceId, Identity, KeyHash, KeyId, KeyKind, Timestamp, TopicFilter, TopicRoot};
use sqlx::{Row as _, Sqlite, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Change, Doing as _, Error, Store, fleet, lock};

/// How soon a change made by another process (the command line) is seen.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often it is written down when keys and tokens were used.
const WRITE_USES_EVERY: Duration = Duration::from_mins(1);

#[derive(Default, Clone)]
pub(crate) struct Directory {
    version: i64,
    by_subject: HashMap<DeviceId, Vec<(KeyId, KeyHash)>>,
    identities: HashMap<KeyId, Identity>,
    /// Keys that were good once, for whoever wonders why a device is refused.
    ended: HashMap<DeviceId, Vec<(KeyHash, WhyNot)>>,
    /// Keys that another has replaced, and until when they are good.
    ending: BTreeSet<(Timestamp, DeviceId, KeyId)>,
}

/// Why a key is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// Nobody's.
    Unknown,
    /// It was revoked, or replaced.
    Revoked,
    /// It was replaced, and the time in which it went on working is over.
    Expired,
}

/// A key as the directory keeps it.
enum Key {
    Good(KeyHash, Identity, Option<Timestamp>),
    Ended(KeyHash, WhyNot),
}

impl Directory {
    /// Takes over what a device or a key of its own now has.
    fn replace(&mut self, subject: DeviceId, keys: Vec<Key>) {
        for (id, _) in self.by_subject.remove(&subject).unwrap_or_default() {
            self.identities.remove(&id);
        }
        self.ended.remove(&subject);
        self.ending.retain(|(_, of, _)| *of != subject);
        for key in keys {
            self.add(subject, key);
        }
    }

    fn add(&mut self, subject: DeviceId, key: Key) {
        match key {
            Key::Good(hash, identity, until) => {
                self.ending.extend(until.map(|until| (until, subject, identity.key)));
                self.by_subject.entry(subject).or_default().push((identity.key, hash));
                self.identities.insert(identity.key, identity);
            }
            Key::Ended(hash, why) => self.ended.entry(subject).or_default().push((hash, why)),
        }
    }

    /// Ends what is good until now. False when there was nothing.
    fn expire(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        while let Some((_, subject, key)) = self.ending.first().copied().filter(|(until, ..)| *until <= now) {
            self.ending.pop_first();
            self.identities.remove(&key);
            let keys = self.by_subject.entry(subject).or_default();
            let ended = keys.extract_if(.., |(id, _)| *id == key);
            self.ended.entry(subject).or_default().extend(ended.map(|(_, hash)| (hash, WhyNot::Expired)));
            any = true;
        }
        any
    }
}

fn filters(json: &str) -> Vec<TopicFilter> {
    let texts: Vec<String> = serde_json::from_str(json).unwrap_or_default();
    texts.iter().filter_map(|text| TopicFilter::parse(text).ok()).collect()
}

fn read_key(row: &sqlx::sqlite::SqliteRow, root: &TopicRoot, now: Timestamp) -> Option<(DeviceId, Key)> {
    let key = KeyId::parse(row.get("id")).ok()?;
    let kind = KeyKind::parse(row.get("kind"))?;
    let device = row.get::<Option<&str>, _>("device_id").and_then(|id| DeviceId::parse(id).ok());
    let mut subscribe = filters(row.get("subscribe"));
    if kind == KeyKind::Reader && subscribe.is_empty() {
        subscribe = vec![root.everything(), TopicFilter::parse("$SYS/#").ok()?];
    }
    // Readers and services are found by the key's own id.
    let subject = device.or_else(|| DeviceId::parse(key.as_str()).ok())?;
    let hash = KeyHash::from_bytes(row.get("hash"))?;
    let until = row.get::<Option<i64>, _>("expires_at").map(Timestamp);
    if row.get("revoked") {
        return Some((subject, Key::Ended(hash, WhyNot::Revoked)));
    }
    if until.is_some_and(|until| until <= now) {
        return Some((subject, Key::Ended(hash, WhyNot::Expired)));
    }
    let identity = Identity { key, kind, device, publish: filters(row.get("publish")), subscribe };
    Some((subject, Key::Good(hash, identity, until)))
}

impl Store {
    /// Whose key this is; `None` for a wrong or revoked one.
    pub fn identify(&self, key: &ApiKey) -> Option<Identity> {
        let directory = lock(&self.inner.directory).clone();
        let hash = key.hash();
        // Every candidate is compared, so that the time tells nothing.
        let mut found = None;
        for (id, stored) in directory.by_subject.get(&key.subject())? {
            if stored.matches(&hash) {
                found = Some(*id);
            }
        }
        let identity = directory.identities.get(&found?).cloned()?;
        self.note_key_use(identity.key);
        Some(identity)
    }

    /// Why a key is refused.
    pub fn why_not(&self, key: &ApiKey) -> WhyNot {
        let (directory, hash) = (lock(&self.inner.directory).clone(), key.hash());
        let ended = directory.ended.get(&key.subject()).into_iter().flatten();
        // Every candidate is compared, so that the time tells nothing.
        ended.fold(WhyNot::Unknown, |why, (stored, ended)| if stored.matches(&hash) { *ended } else { why })
    }

    /// What a key may do now; `None` when it was revoked.
    pub fn identity(&self, key: KeyId) -> Option<Identity> {
        lock(&self.inner.directory).identities.get(&key).cloned()
    }

    /// Changes whenever keys or devices have changed.
    pub fn directory_changes(&self) -> watch::Receiver<u64> {
        self.inner.directory_version.subscribe()
    }

    /// Looks for changes that another process made, and for keys whose time is over, until `shutdown`. Also writes down
    /// when keys and tokens were used.
    pub async fn watch_registry(self, shutdown: CancellationToken) {
        let mut written_at = tokio::time::Instant::now();
        loop {
            if lock(&self.inner.directory)
                .ending
                .first()
                .is_some_and(|(until, ..)| *until <= self.inner.clock.now())
            {
                self.end_expired().await;
            }
            if written_at.elapsed() >= WRITE_USES_EVERY {
                written_at = tokio::time::Instant::now();
                if let Err(error) = self.write_uses().await {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "when keys were used is not noted now"
                    );
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {
                    // Of the last minute; nobody misses it much.
                    drop(self.write_uses().await);
                    return;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.refresh_if_changed().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "changed keys are not seen now");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    }

    async fn end_expired(&self) {
        let _alone = self.inner.editing.lock().await;
        if Arc::make_mut(&mut lock(&self.inner.directory)).expire(self.inner.clock.now()) {
            self.tell(News::default());
        }
    }

    /// Looks now, for a key that is not known. Many that ask at once share one look.
    pub async fn look_again(&self) {
        let asked_at = tokio::time::Instant::now();
        let mut looked_at = self.inner.looked_at.lock().await;
        if looked_at.is_some_and(|at| at > asked_at) {
            return;
        }
        let started_at = tokio::time::Instant::now();
        // The regular look reports trouble; for this one it means that the key stays unknown.
        drop(self.refresh_if_changed().await);
        *looked_at = Some(started_at);
    }

    async fn refresh_if_changed(&self) -> Result<(), Error> {
        let known = lock(&self.inner.directory).version;
        let version = read_version(&self.inner.readers).await.doing("looking for changed keys")?;
        if version == known { Ok(()) } else { self.refresh_directory().await }
    }

    /// Reads all keys and devices again.
    pub(crate) async fn refresh_directory(&self) -> Result<(), Error> {
        let _alone = self.inner.editing.lock().await;
        self.read_directory().await
    }

    /// The caller holds `editing`: of two that read at once, the slower would bring the past back.
    async fn read_directory(&self) -> Result<(), Error> {
        let readers = &self.inner.readers;
        let mut directory = Directory {
            // Read first: a change that comes meanwhile is read again.
            version: read_version(readers).await.doing("reading the keys")?,
            ..Directory::default()
        };
        let rows = sqlx::query(
            "SELECT id, kind, device_id, hash, publish, subscribe, revoked_at IS NOT NULL AS revoked, expires_at
             FROM access_key",
        )
        .fetch_all(readers)
        .await
        .doing("reading the keys")?;
        let now = self.inner.clock.now();
        for (subject, key) in rows.iter().filter_map(|row| read_key(row, &self.inner.root, now)) {
            directory.add(subject, key);
        }
        let devices = fleet::read_names(readers, None).await.doing("reading the devices")?;
        *lock(&self.inner.directory) = Arc::new(directory);
        let mut news = News::default();
        {
            let mut fleet = lock(&self.inner.fleet);
            let ids: HashSet<DeviceId> = devices.iter().map(|d| d.id).collect();
            let gone: Vec<DeviceId> = fleet.devices.keys().filter(|id| !ids.contains(id)).copied().collect();
            for id in gone {
                fleet.forget(id, &mut news);
            }
            for device in devices {
                fleet.adopt(device, &mut news);
            }
        }
        self.tell(news);
        Ok(())
    }

    fn tell(&self, news: News) {
        self.inner.directory_version.send_modify(|version| *version += 1);
        if !news.changed.is_empty() {
            self.announce(Change::Devices(news.changed.into()));
        }
        if !news.removed.is_empty() {
            self.announce(Change::Removed(news.removed.into()));
        }
    }

    /// Begins a change of devices or keys.
    pub(crate) async fn edit(&self, doing: &'static str) -> Result<Edit<'_>, Error> {
        let alone = self.inner.editing.lock().await;
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let before = read_version(&mut *tx).await.doing(doing)?;
        Ok(Edit { store: self, tx, doing, before, _alone: alone })
    }
}

async fn read_version(connection: impl sqlx::SqliteExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT version FROM registry").fetch_one(connection).await
}

#[derive(Default)]
struct News {
    changed: Vec<DeviceId>,
    removed: Vec<DeviceId>,
}

impl fleet::Fleet {
    /// Takes names and tags over, or a new device; what is known of the present stays.
    fn adopt(&mut self, device: fleet::Device, news: &mut News) {
        match self.devices.get_mut(&device.id) {
            // What was changed and changed back is news too: an edit of what was before is refused by its `rev`.
            Some(known)
                if known.rev == device.rev && known.name == device.name && known.tags == device.tags => {}
            Some(known) => {
                let known = Arc::make_mut(known);
                known.name = device.name;
                known.tags = device.tags;
                known.rev = device.rev;
                news.changed.push(device.id);
            }
            None => {
                news.changed.push(device.id);
                self.devices.insert(device.id, Arc::new(device));
            }
        }
    }

    fn forget(&mut self, id: DeviceId, news: &mut News) {
        if let Some(device) = self.devices.remove(&id) {
            self.spools.retain(|(device_no, _), _| *device_no != device.no);
            self.hot.forget(device.no);
            news.removed.push(id);
        }
    }
}

/// A change of one device or one key. Only that one is read again: a fleet of ten thousand is added one by one.
pub(crate) struct Edit<'a> {
    store: &'a Store,
    pub(crate) tx: Transaction<'static, Sqlite>,
    doing: &'static str,
    before: i64,
    _alone: tokio::sync::MutexGuard<'a, ()>,
}

impl Edit<'_> {
    /// Commits, and takes over what the device, or the key that names itself, now is.
    pub(crate) async fn commit(mut self, subject: DeviceId) -> Result<(), Error> {
        let (doing, inner) = (self.doing, &self.store.inner);
        let rows = sqlx::query(
            "SELECT id, kind, device_id, hash, publish, subscribe, revoked_at IS NOT NULL AS revoked, expires_at
             FROM access_key WHERE device_id = ?1 OR (id = ?1 AND device_id IS NULL)",
        )
        .bind(subject.as_str())
        .fetch_all(&mut *self.tx)
        .await
        .doing(doing)?;
        let now = inner.clock.now();
        let keys = rows.iter().filter_map(|row| read_key(row, &inner.root, now)).map(|(_, key)| key);
        let device = fleet::read_names(&mut *self.tx, Some(subject)).await.doing(doing)?.pop();
        let after = read_version(&mut *self.tx).await.doing(doing)?;
        self.tx.commit().await.doing(doing)?;
        let current = {
            let mut directory = lock(&inner.directory);
            let current = directory.version == self.before;
            if current {
                let directory = Arc::make_mut(&mut directory);
                directory.version = after;
                directory.replace(subject, keys.collect());
            }
            current
        };
        if !current {
            // Another process has changed something, too.
            return self.store.read_directory().await;
        }
        let mut news = News::default();
        {
            let mut fleet = lock(&inner.fleet);
            match device {
                Some(device) => fleet.adopt(device, &mut news),
                None => fleet.forget(subject, &mut news),
            }
        }
        self.store.tell(news);
        Ok(())
    }
}
