//! When keys and tokens were last used: noted in memory, written once a minute, so that no connection and no request waits
//! for the disk because of it. What was noted in the minute before a crash is lost.

use std::collections::HashMap;
use std::sync::Mutex;

use protocol::{KeyId, Timestamp};

use crate::{Doing as _, Error, Store, lock};

/// As many as there are keys and tokens at most: only known ones are noted.
#[derive(Default)]
pub(crate) struct Used {
    keys: Mutex<HashMap<KeyId, Timestamp>>,
    tokens: Mutex<HashMap<KeyId, Timestamp>>,
}

impl Store {
    pub(crate) fn note_key_use(&self, id: KeyId) {
        lock(&self.inner.used.keys).insert(id, self.inner.clock.now());
    }

    pub(crate) fn note_token_use(&self, id: KeyId) {
        lock(&self.inner.used.tokens).insert(id, self.inner.clock.now());
    }

    pub(crate) fn key_used_at(&self, id: KeyId) -> Option<Timestamp> {
        lock(&self.inner.used.keys).get(&id).copied()
    }

    pub(crate) fn token_used_at(&self, id: KeyId) -> Option<Timestamp> {
        lock(&self.inner.used.tokens).get(&id).copied()
    }

    /// Writes what was noted since the last time.
    pub async fn write_uses(&self) -> Result<(), Error> {
        let doing = "noting when keys were used";
        let take = |noted: &Mutex<HashMap<KeyId, Timestamp>>| std::mem::take(&mut *lock(noted));
        let (keys, tokens) = (take(&self.inner.used.keys), take(&self.inner.used.tokens));
        if keys.is_empty() && tokens.is_empty() {
            return Ok(());
        }
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        for (id, at) in keys {
            sqlx::query("UPDATE access_key SET last_used_at = ? WHERE id = ?")
                .bind(at.0)
                .bind(id.as_str())
                .execute(&mut *tx)
                .await
                .doing(doing)?;
        }
        for (id, at) in tokens {
            sqlx::query("UPDATE bearer_token SET last_used_at = ? WHERE id = ?")
                .bind(at.0)
                .bind(id.as_str())
                .execute(&mut *tx)
                .await
                .doing(doing)?;
        }
        tx.commit().await.doing(doing)
    }
}
