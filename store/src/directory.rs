//! Who may do what, in memory: a connection is never slower for a busy disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::{ApiKey, DeviceId, Identity, KeyHash, KeyId, KeyKind, TopicFilter, TopicRoot};
use sqlx::Row as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Change, Doing as _, Error, Store, fleet, lock};

/// How soon a change made by another process (the command line) is seen.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(crate) struct Directory {
    version: i64,
    by_subject: HashMap<DeviceId, Vec<(KeyId, KeyHash)>>,
    identities: HashMap<KeyId, Identity>,
}

fn filters(json: &str) -> Vec<TopicFilter> {
    let texts: Vec<String> = serde_json::from_str(json).unwrap_or_default();
    texts.iter().filter_map(|text| TopicFilter::parse(text).ok()).collect()
}

fn identity(row: &sqlx::sqlite::SqliteRow, root: &TopicRoot) -> Option<(DeviceId, KeyHash, Identity)> {
    let key = KeyId::parse(row.get("id")).ok()?;
    let kind = KeyKind::parse(row.get("kind"))?;
    let device = row.get::<Option<&str>, _>("device_id").and_then(|id| DeviceId::parse(id).ok());
    let mut subscribe = filters(row.get("subscribe"));
    if kind == KeyKind::Reader && subscribe.is_empty() {
        subscribe = vec![root.everything(), TopicFilter::parse("$SYS/#").ok()?];
    }
    // Readers and services are found by the key's own id.
    let subject = device.or_else(|| DeviceId::parse(key.as_str()).ok())?;
    let identity = Identity { key, kind, device, publish: filters(row.get("publish")), subscribe };
    Some((subject, KeyHash::from_bytes(row.get("hash"))?, identity))
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
        directory.identities.get(&found?).cloned()
    }

    /// What a key may do now; `None` when it was revoked.
    pub fn identity(&self, key: KeyId) -> Option<Identity> {
        lock(&self.inner.directory).identities.get(&key).cloned()
    }

    /// Changes whenever keys or devices have changed.
    pub fn directory_changes(&self) -> watch::Receiver<u64> {
        self.inner.directory_version.subscribe()
    }

    /// Looks for changes that another process made, until `shutdown`.
    pub async fn watch_registry(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.refresh_if_changed().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "changed keys are not seen now");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
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
        let version: i64 = sqlx::query_scalar("SELECT version FROM registry")
            .fetch_one(&self.inner.readers)
            .await
            .doing("looking for changed keys")?;
        if version == known { Ok(()) } else { self.refresh_directory().await }
    }

    /// Reads keys and devices again.
    pub(crate) async fn refresh_directory(&self) -> Result<(), Error> {
        let mut directory = Directory {
            // Read first: a change that comes meanwhile is read again.
            version: sqlx::query_scalar("SELECT version FROM registry")
                .fetch_one(&self.inner.readers)
                .await
                .doing("reading the keys")?,
            ..Directory::default()
        };
        let rows = sqlx::query(
            "SELECT id, kind, device_id, hash, publish, subscribe FROM access_key WHERE revoked_at IS NULL",
        )
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading the keys")?;
        for (subject, hash, identity) in rows.iter().filter_map(|row| identity(row, &self.inner.root)) {
            directory.by_subject.entry(subject).or_default().push((identity.key, hash));
            directory.identities.insert(identity.key, identity);
        }
        let devices = fleet::read_devices(&self.inner.readers, &self.inner.root).await?;
        {
            let mut now = lock(&self.inner.directory);
            if now.version > directory.version {
                return Ok(());
            }
            *now = Arc::new(directory);
        }
        self.inner.directory_version.send_modify(|version| *version += 1);
        self.adopt_devices(devices);
        Ok(())
    }

    /// Takes names, tags, new and removed devices over; what is known of the present stays.
    fn adopt_devices(&self, devices: Vec<fleet::Device>) {
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        {
            let mut fleet = lock(&self.inner.fleet);
            let ids: std::collections::HashSet<DeviceId> = devices.iter().map(|d| d.id).collect();
            let gone: Vec<(DeviceId, i64)> =
                fleet.devices.values().filter(|d| !ids.contains(&d.id)).map(|d| (d.id, d.no)).collect();
            for (id, no) in gone {
                fleet.devices.remove(&id);
                fleet.seqs.retain(|(device_no, _), _| *device_no != no);
                removed.push(id);
            }
            for device in devices {
                match fleet.devices.get_mut(&device.id) {
                    Some(known) if known.name == device.name && known.tags == device.tags => {}
                    Some(known) => {
                        known.name = device.name;
                        known.tags = device.tags;
                        changed.push(device.id);
                    }
                    None => {
                        changed.push(device.id);
                        fleet.devices.insert(device.id, device);
                    }
                }
            }
        }
        if !changed.is_empty() {
            self.announce(Change::Devices(changed.into()));
        }
        if !removed.is_empty() {
            self.announce(Change::Removed(removed.into()));
        }
    }
}
