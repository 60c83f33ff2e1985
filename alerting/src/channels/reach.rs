//! Which addresses of the network a channel may reach. Whoever sets up a channel chooses the name; what it stands for is
//! decided here, each time that it is asked: otherwise a webhook would be a way into the network the server stands in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a channel may reach on the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Also addresses of private networks and of this machine.
    pub private: bool,
}

/// Why a name leads nowhere.
#[derive(Debug)]
pub(super) enum Nowhere {
    /// It stands for addresses that may not be asked.
    Private,
    /// It stands for nothing.
    Unknown(std::io::Error),
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str(
                "the address is of this machine or of a private or reserved network, which channels may reach only with allow_private_addresses = true in [alerting] of the server's settings",
            ),
            Self::Unknown(error) => write!(f, "the name cannot be resolved ({error})"),
        }
    }
}

impl std::error::Error for Nowhere {}

impl Reach {
    /// Whether this address may be asked.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return false;
        }
        self.private || is_public(address)
    }

    /// The addresses of a host that may be asked; a literal address stands for itself.
    pub(super) async fn resolve(self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Nowhere> {
        let found: Vec<SocketAddr> = match literal(host) {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => tokio::net::lookup_host((host, port)).await.map_err(Nowhere::Unknown)?.collect(),
        };
        let allowed: Vec<_> = found.into_iter().filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() { Err(Nowhere::Private) } else { Ok(allowed) }
    }
}

/// The address that a host of a URL is, if it is one.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Whether an address belongs to the public network: by what IANA has set apart for other uses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224.., ..]
            // Shared by the customers of a provider.
            | [100, 64..=127, ..]
            // Link-local: where clouds tell a machine its secrets.
            | [169, 254, ..]
            | [172, 16..=31, ..]
            // Protocol assignments, documentation, relays of 6to4, private, measuring, documentation.
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // A network without IPv4 reaches the rest of the world through these.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Assignments of protocols, Teredo among them; documentation.
        [0x2001, ..=0x1ff | 0xdb8, ..] | [0x3fff, ..=0xfff, ..] => false,
        // Only this part is given out. Private, link-local, multicast, mapped and compatible addresses are elsewhere.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_network_is_reached_unless_more_is_allowed() {
        let public = "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 198.20.0.1 \
            223.255.255.255 2606:4700::1111 2001:4860:4860::8888 2a00::1 64:ff9b::808:808 2002:808:808::1 \
            ::ffff:8.8.8.8";
        let not = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 \
            172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.0.1 198.51.100.1 203.0.113.1 \
            224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 \
            64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:20::1 2001:db8::1 2002:7f00:1::1 \
            2002:c0a8:101::1 3fff::1 fc00::1 fd12::1 fe80::1 fec0::1 ff02::1 5f00::1";
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for text in public.split_whitespace() {
            assert!(Reach::default().allows(ip(text)), "{text}");
        }
        for text in not.split_whitespace() {
            assert!(!Reach::default().allows(ip(text)), "{text}");
        }
        let all = Reach { private: true };
        assert!(all.allows(ip("127.0.0.1")) && all.allows(ip("fd12::1")) && all.allows(ip("10.0.0.1")));
        for text in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"] {
            assert!(!all.allows(ip(text)), "{text} is nobody's");
        }
    }
}
