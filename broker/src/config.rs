use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::limiter::Rate;

/// From where plain text (no TLS) is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlainText {
    /// From nowhere.
    Never,
    /// From this machine.
    Loopback,
    /// From everywhere: keys can be read on the way. For a gate behind a proxy that ends TLS.
    Everywhere,
}

/// The gate's settings, `[broker]` in `server.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port for devices and MQTT clients.
    pub listen: SocketAddr,
    /// First level of all topics.
    pub topic_root: String,
    /// From where plain text is taken: `never`, `loopback` or `everywhere`.
    pub plain_text: PlainText,
    /// Seconds for TLS and the first packet together.
    pub handshake_timeout_s: u64,
    /// Connections per second from one address, on average.
    pub connects_per_s_per_address: u32,
    /// Connections at once from one address.
    pub connect_burst_per_address: u32,
    /// Connections per second from all addresses, on average.
    pub connects_per_s: u32,
    /// Connections at once from all addresses.
    pub connect_burst: u32,
    /// Connections that have not shown a key yet, from all addresses.
    pub max_unauthenticated: usize,
    /// Connections that have not shown a key yet, from one address.
    pub max_unauthenticated_per_address: usize,
    /// Clients connected at once.
    pub max_clients: usize,
    /// Subscribers (readers and services) at once; each costs about 44 KiB.
    pub max_subscribers: usize,
    /// Filters one client may subscribe to.
    pub max_filters_per_client: usize,
    /// Filters that have a log of their own (4 MiB at most) in the router, over the life of the server; it never
    /// frees one. Subscribers of further filters share a log, and cost more time.
    pub max_filters: usize,
    /// Messages kept for a subscriber that is behind or away.
    pub max_queued_messages: usize,
    /// Bytes kept for a subscriber that is behind or away.
    pub max_queued_bytes: usize,
    /// Sessions kept for clients that are away.
    pub max_parked_sessions: usize,
    /// Seconds the session of a client that is away is kept at most.
    pub max_session_expiry_s: u32,
    /// Seconds a client may leave what it was sent unread.
    pub write_timeout_s: u64,
    /// Retained messages on topics that are no device's.
    pub max_retained: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 38889)),
            topic_root: "openclaw".to_owned(),
            plain_text: PlainText::Loopback,
            handshake_timeout_s: 10,
            connects_per_s_per_address: 700,
            connect_burst_per_address: 2_000,
            connects_per_s: 1_500,
            connect_burst: 4_000,
            max_unauthenticated: 4_096,
            max_unauthenticated_per_address: 1_024,
            max_clients: 50_000,
            max_subscribers: 2_000,
            max_filters_per_client: 100,
            max_filters: 64,
            max_queued_messages: 10_000,
            max_queued_bytes: 4 * 1024 * 1024,
            max_parked_sessions: 1_000,
            max_session_expiry_s: 7 * 24 * 3600,
            write_timeout_s: 20,
            max_retained: 10_000,
        }
    }
}

impl Config {
    pub(crate) fn address_rate(&self) -> Rate {
        Rate {
            per_second: f64::from(self.connects_per_s_per_address),
            burst: f64::from(self.connect_burst_per_address),
        }
    }

    pub(crate) fn overall_rate(&self) -> Rate {
        Rate { per_second: f64::from(self.connects_per_s), burst: f64::from(self.connect_burst) }
    }
}
