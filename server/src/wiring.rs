//! The seams between crates that do not know each other.

use std::pin::Pin;

use broker::{Directory, Retained};
use protocol::{ApiKey, Identity, KeyId};
use store::{RetainedRow, Store};
use tokio::sync::watch;

/// The store as the gate's directory.
pub(crate) struct StoreDirectory(pub(crate) Store);

impl Directory for StoreDirectory {
    fn identify(&self, key: &ApiKey) -> Option<Identity> {
        self.0.identify(key)
    }

    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.look_again())
    }

    fn current(&self, key: KeyId) -> Option<Identity> {
        self.0.identity(key)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.directory_changes()
    }
}

pub(crate) fn retained(row: RetainedRow) -> (String, Retained) {
    let RetainedRow { topic, payload, qos, properties, at } = row;
    (topic, Retained { payload, qos, properties, at })
}
