//! The seams between crates that do not know each other.

use std::pin::Pin;

use broker::{Directory, Retained, WhyNot};
use bytes::Bytes;
use protocol::{ApiKey, DeviceId, DeviceTopic, Identity, KeyId, Publication, Topic};
use store::{Change, RetainedRow, Store};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The store as the gate's directory.
pub(crate) struct StoreDirectory(pub(crate) Store);

impl Directory for StoreDirectory {
    fn identify(&self, key: &ApiKey) -> Option<Identity> {
        self.0.identify(key)
    }

    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.look_again())
    }

    fn why_not(&self, key: &ApiKey) -> WhyNot {
        match self.0.why_not(key) {
            store::WhyNot::Unknown => WhyNot::Unknown,
            store::WhyNot::Revoked => WhyNot::Revoked,
            store::WhyNot::Expired => WhyNot::Expired,
        }
    }

    fn knows(&self, device: DeviceId) -> bool {
        self.0.knows_device(device)
    }

    fn current(&self, key: KeyId) -> Option<Identity> {
        self.0.identity(key)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.directory_changes()
    }
}

/// What the gate saw, as the page is told of it.
pub(crate) fn attempt(seen: broker::Attempt) -> dashboard::Attempt {
    let broker::Attempt { at, address, outcome, device, detail, via, count } = seen;
    dashboard::Attempt { at, address, outcome: outcome.as_str(), device, detail, client: via.as_str(), count }
}

pub(crate) fn retained(row: RetainedRow) -> (String, Retained) {
    let RetainedRow { topic, payload, qos, properties, at } = row;
    (topic, Retained { payload, qos, properties, at })
}

/// Ends the retained messages of devices that were removed, by whomever, so that third parties forget them too.
pub(crate) async fn forget_removed(store: Store, gate: broker::Handle, shutdown: CancellationToken) {
    let mut feed = store.feed();
    loop {
        let change = tokio::select! {
            () = shutdown.cancelled() => return,
            change = feed.recv() => change,
        };
        let removed = match change {
            Ok(Change::Removed(ids)) => ids,
            // Behind the news: what is left over goes with the next start, which reads what the store keeps.
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        for device in removed.iter() {
            for what in DeviceTopic::ALL {
                let topic = Topic { device: *device, what }.name(gate.topic_root());
                gate.publish(&Publication { topic, payload: Bytes::new(), retain: true });
            }
        }
    }
}
