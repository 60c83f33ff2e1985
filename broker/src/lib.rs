//! The gate on port 38889, and the embedded rumqttd engine behind it.
//!
//! A connection's way: `gate` accepts it and looks at its first bytes, TLS is terminated, `session` speaks MQTT
//! with it. What a device publishes goes into the inbox (the recorder's queue); the PUBACK is sent when the recorder
//! says that it is stored. After that, and not before, the message is retained and handed to `engine`, which fans
//! it out to third-party subscribers. `hub` holds what all connections share.
//!
//! The gate asks a [`Directory`] who may do what, and knows nothing of the store.

mod attempts;
mod config;
mod directory;
mod engine;
mod gate;
mod http;
mod hub;
mod limiter;
mod message;
mod metrics;
mod mqtt;
mod retained;
mod session;
mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::{Clock, Delivery, DeviceId, InvalidTopicRoot, Publication, TopicName, TopicRoot};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use attempts::{Attempt, AttemptOutcome, Via};
pub use config::{Config, PlainText};
pub use directory::{Directory, WhyNot};
pub use metrics::Metrics;
pub use retained::Retained;

use hub::Hub;
use retained::RetainedMessages;

/// Connections that the kernel keeps while the gate is busy.
const BACKLOG: u32 = 4096;
const SYS_EVERY: Duration = Duration::from_secs(10);

/// Why the broker could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// `[broker] topic_root` is not a root.
    #[error("topic_root is not valid")]
    TopicRoot(#[from] InvalidTopicRoot),
}

/// The broker, bound to its port and not yet running.
pub struct Broker {
    hub: Arc<Hub>,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// Speaks to a running broker. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Hub>);

impl Broker {
    /// Takes the port and starts the engine. Without `tls` only plain text is spoken.
    pub fn bind(
        config: Config,
        clock: Clock,
        tls: Option<Arc<rustls::ServerConfig>>,
        directory: Arc<dyn Directory>,
        inbox: mpsc::Sender<Delivery>,
        retained: impl IntoIterator<Item = (String, Retained)>,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        let root = TopicRoot::parse(&config.topic_root)?;
        let address = config.listen;
        let listener = listen(address).map_err(|source| Error::Listen { address, source })?;
        let bound = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
        let hub = Hub::new(
            config,
            root,
            clock,
            directory,
            inbox,
            RetainedMessages::new(retained),
            Arc::new(Metrics::default()),
            TaskTracker::new(),
            shutdown,
        );
        Ok(Self { hub: Arc::new(hub), listener, address: bound, tls: tls.map(TlsAcceptor::from) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Speaks to it while it runs.
    pub fn handle(&self) -> Handle {
        Handle(self.hub.clone())
    }

    /// Serves clients until `shutdown`, then waits for their connections to end. Wills are not published then: that
    /// the server stops says nothing about a device.
    pub async fn run(self) {
        let hub = self.hub;
        hub.tasks.spawn(gate::listen(hub.clone(), self.listener, self.tls));
        hub.tasks.spawn(watch_keys(hub.clone()));
        hub.tasks.spawn(publish_counters(hub.clone()));
        hub.shutdown.cancelled().await;
        hub.tasks.close();
        hub.tasks.wait().await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for connections of the life before. (On Windows it would let two servers share a port.)
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Handle {
    /// Sends a word of the server to subscribers, and retains it if asked.
    pub fn publish(&self, publication: &Publication) {
        self.0.publish(publication);
    }

    /// The gate's counters.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.0.metrics.clone()
    }

    /// Who tried to connect lately, newest first.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.0.attempts.latest()
    }

    /// From where a device is connected, or was last.
    pub fn address_of(&self, device: DeviceId) -> Option<IpAddr> {
        self.0.address_of(device)
    }

    /// How much of the inbox is taken, in percent.
    #[expect(clippy::cast_precision_loss, reason = "percent")]
    pub fn inbox_pct(&self) -> f64 {
        let (free, all) = (self.0.inbox.capacity(), self.0.inbox.max_capacity());
        100.0 - free as f64 * 100.0 / all.max(1) as f64
    }

    /// Whether the engine answers.
    pub fn engine_alive(&self) -> bool {
        self.0.engine.alive()
    }

    /// The root of all topics.
    pub fn topic_root(&self) -> &TopicRoot {
        &self.0.root
    }
}

/// Ends connections whose key was revoked or changed, by whomever.
async fn watch_keys(hub: Arc<Hub>) {
    let mut changes = hub.directory.changes();
    loop {
        hub.sessions.kick_revoked(hub.directory.as_ref());
        tokio::select! {
            () = hub.shutdown.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Publishes the counters below `$SYS`.
async fn publish_counters(hub: Arc<Hub>) {
    let mut ticks = interval(SYS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = hub.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for (name, value) in hub.metrics.snapshot() {
            let topic =
                TopicName::parse(&format!("$SYS/broker/{name}")).expect("names of counters are plain words");
            hub.publish(&Publication { topic, payload: Bytes::from(value.to_string()), retain: true });
        }
    }
}
