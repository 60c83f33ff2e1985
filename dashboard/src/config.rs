use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The dashboard's settings, `[dashboard]` in `server.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port of the page. HTTP and HTTPS are spoken on the same port.
    pub listen: SocketAddr,
    /// Answer plain HTTP with a redirect to HTTPS only.
    pub require_https: bool,
    /// Hours a login lasts.
    pub login_hours: u32,
    /// Failed logins within five minutes, per address and name, before it must wait.
    pub login_attempts: u32,
    /// Host name or address under which devices reach this server; empty: the one in the browser's address bar.
    pub public_host: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 38888)),
            require_https: false,
            login_hours: 24 * 14,
            login_attempts: 10,
            public_host: String::new(),
        }
    }
}
