//! Where the server is: what a person writes, read into what cannot be wrong.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The port devices connect to unless another is named.
pub const DEFAULT_PORT: u16 = 38889;
const DEFAULT_WSS_PORT: u16 = 443;
const DEFAULT_PATH: &str = "/mqtt";

/// How the server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// MQTT over TLS.
    Tls,
    /// MQTT in a WebSocket over TLS, for networks that let only the web through.
    WebSocket {
        /// The path of the URL.
        path: String,
    },
    /// MQTT in the clear; to this machine itself only.
    Plain,
}

/// The server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    transport: Transport,
    host: String,
    port: u16,
}

/// A text that is no server address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not of a known form.
    #[error("`{0}` is not a server address; write HOST:PORT, mqtts://HOST:PORT or wss://HOST/mqtt")]
    Form(String),
    /// The page's address in place of the device port's.
    #[error("`{0}` is the address of a web page; devices connect to another port: write {1}:{DEFAULT_PORT}")]
    WebPage(String, String),
    /// Plain MQTT to another machine.
    #[error("`{0}` would send the key unencrypted; mqtt:// is for this machine itself, use mqtts://")]
    PlainRemote(String),
}

impl ServerAddress {
    /// Reads `HOST:PORT`, `HOST`, `mqtts://HOST[:PORT]`, `wss://HOST[:PORT][/PATH]` or, for this machine itself,
    /// `mqtt://HOST[:PORT]`.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        let form = || InvalidAddress::Form(text.to_owned());
        let (scheme, rest) = text.split_once("://").unwrap_or(("mqtts", text));
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (host, port) = host_and_port(authority).ok_or_else(form)?;
        let transport = match scheme {
            "mqtts" | "ssl" if path.len() <= 1 => Transport::Tls,
            "mqtt" | "tcp" if path.len() <= 1 => {
                if !is_loopback(&host) {
                    return Err(InvalidAddress::PlainRemote(text.to_owned()));
                }
                Transport::Plain
            }
            "wss" => {
                let plain = path.bytes().all(|b| b.is_ascii_graphic());
                if !plain {
                    return Err(form());
                }
                let path = if path.len() <= 1 { DEFAULT_PATH } else { path };
                Transport::WebSocket { path: path.to_owned() }
            }
            "http" | "https" => return Err(InvalidAddress::WebPage(text.to_owned(), host)),
            _ => return Err(form()),
        };
        let default_port =
            if matches!(transport, Transport::WebSocket { .. }) { DEFAULT_WSS_PORT } else { DEFAULT_PORT };
        Ok(Self { transport, host, port: port.unwrap_or(default_port) })
    }

    /// Reads the `NAS_URL` of the earlier HTTP version, such as `http://host:38888`: its host, at the device port.
    /// Any other form is read by [`ServerAddress::parse`].
    pub fn parse_nas_url(text: &str) -> Result<Self, InvalidAddress> {
        match Self::parse(text) {
            Err(InvalidAddress::WebPage(_, host)) => {
                Ok(Self { transport: Transport::Tls, host, port: DEFAULT_PORT })
            }
            other => other,
        }
    }

    /// How it is reached.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Its name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.bracketed_host(), self.port);
        match &self.transport {
            Transport::Tls => write!(f, "{host}:{port}"),
            Transport::WebSocket { path } => write!(f, "wss://{host}:{port}{path}"),
            Transport::Plain => write!(f, "mqtt://{host}:{port}"),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        Self::parse(text)
    }
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if after.is_empty() => None,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Some((authority.to_owned(), None));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (authority, None),
    };
    let name_like = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let fine = !host.is_empty() && host.len() <= 253 && host.bytes().all(name_like);
    fine.then(|| (host.to_owned(), port))
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let check = |text: &str, expected: &str| {
            let got = ServerAddress::parse(text).map_or_else(|error| format!("! {error}"), |a| a.to_string());
            assert!(got == expected || (expected == "!" && got.starts_with('!')), "{text}: {got}");
        };
        check("nas.local", "nas.local:38889");
        check(" nas.local:1234 ", "nas.local:1234");
        check("192.168.1.2", "192.168.1.2:38889");
        check("::1", "[::1]:38889");
        check("[fe80::1]:99", "[fe80::1]:99");
        check("mqtts://nas", "nas:38889");
        check("mqtts://nas:8883/", "nas:8883");
        check("wss://watch.example", "wss://watch.example:443/mqtt");
        check("wss://watch.example:38889/mqtt", "wss://watch.example:38889/mqtt");
        check("wss://[::1]:38889/x/mqtt", "wss://[::1]:38889/x/mqtt");
        check("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:1883");
        check("mqtt://[::1]:1883", "mqtt://[::1]:1883");
        check("mqtt://localhost", "mqtt://localhost:38889");
        for bad in [
            "",
            ":1",
            "nas:",
            "nas:0",
            "nas:65536",
            "nas:1:2",
            "a b",
            "user@nas",
            "mqtts://nas/path",
            "ftp://nas",
            "ws://nas",
            "[::1",
            "[::1]x",
            "[nas]:1",
            "wss://nas/a b",
            "mqtt://192.168.1.2:1883",
            "mqtt://localhost.evil.example:1",
            "http://nas:38888",
        ] {
            check(bad, "!");
        }
    }

    #[test]
    fn the_older_address_means_the_same_host() {
        let check = |text: &str, expected: &str| {
            assert_eq!(ServerAddress::parse_nas_url(text).unwrap().to_string(), expected, "{text}");
        };
        check("http://192.168.1.9:38888", "192.168.1.9:38889");
        check("https://nas.example/", "nas.example:38889");
        check("http://[::1]:38888/api", "[::1]:38889");
        check("nas:4000", "nas:4000");
        check("wss://nas", "wss://nas:443/mqtt");
        assert!(ServerAddress::parse_nas_url("http://").is_err());
    }
}
