use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the gate counts. All grow for ever, but for those that say "now".
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[$doc])* pub(crate) $name: AtomicU64,)*
        }

        impl Metrics {
            /// The counters by name, in a fixed order.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

metrics! {
    /// Connections taken from the listener.
    connections_accepted,
    /// MQTT 3.1.1 clients that were let in.
    connections_mqtt3,
    /// MQTT 5 clients that were let in.
    connections_mqtt5,
    /// Of these, those that came through a WebSocket.
    connections_websocket,
    /// HTTP requests on the device port.
    http_requests,
    /// Clients connected now.
    clients_now,
    /// Sessions kept for clients that are away now.
    sessions_parked_now,
    /// Connections that have not shown a key yet, now.
    unauthenticated_now,
    /// Refused: too many connections per second.
    refused_rate,
    /// Refused: too many connections that have not shown a key.
    refused_unauthenticated,
    /// Refused: plain text where TLS is needed.
    refused_plain,
    /// Refused: the TLS handshake failed.
    refused_tls,
    /// Refused: no TLS, no CONNECT within the time allowed.
    refused_timeout,
    /// Refused: not MQTT, not HTTP, or broken MQTT.
    refused_protocol,
    /// Refused: no key, a wrong one, or a revoked one.
    refused_key,
    /// Refused: a will that the key may not publish, or too many sessions.
    refused_rights,
    /// Publishes refused for lack of rights.
    publish_denied,
    /// Subscriptions refused for lack of rights, or not valid.
    subscribe_denied,
    /// Publishes from clients.
    messages_received,
    /// Publishes to clients.
    messages_sent,
    /// Bytes from clients, after TLS.
    bytes_received,
    /// Bytes to clients, before TLS.
    bytes_sent,
    /// Payloads that were not what their topic promises.
    payloads_refused,
    /// Clients disconnected because they did not read what they asked for.
    slow_consumers,
    /// Messages dropped from the queue of a session whose client is away.
    offline_dropped,
    /// Messages for third parties dropped because the engine was behind or being rebuilt.
    engine_dropped,
    /// Times the engine was found dead or hung, and built anew.
    engine_rebuilds,
    /// Times the listener ran out of file descriptors or memory.
    accept_errors,
    /// Last wills published.
    wills,
    /// Clients disconnected because their key was revoked or changed.
    revoked_disconnects,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(crate) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// Counts something that is there now, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Gauge {
    metrics: std::sync::Arc<Metrics>,
    pick: fn(&Metrics) -> &AtomicU64,
}

impl Gauge {
    pub(crate) fn new(metrics: &std::sync::Arc<Metrics>, pick: fn(&Metrics) -> &AtomicU64) -> Self {
        count(pick(metrics));
        Self { metrics: metrics.clone(), pick }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        (self.pick)(&self.metrics).fetch_sub(1, Ordering::Relaxed);
    }
}
