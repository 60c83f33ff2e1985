//! Who tried to connect lately, and what became of it: for whoever wonders why a device does not come.
//!
//! In memory and bounded. What an address does again within a minute is one entry with a count, and who was let in has
//! places of its own: neither a scanner nor a fleet that comes back pushes everything else out.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Mutex;

use protocol::{DeviceId, Timestamp};

use crate::hub::lock;
use crate::limiter::subnet;

/// Entries of those who were let in, and of the others.
const MAX_ACCEPTED: usize = 128;
const MAX_REFUSED: usize = 384;
/// Alike ones within this are one entry.
const MERGE_MS: i64 = 60_000;

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It was let in.
    Accepted,
    /// No key, or nobody's.
    UnknownKey,
    /// A key that was revoked.
    RevokedKey,
    /// A key that was replaced, and whose time is over.
    ExpiredKey,
    /// The TLS handshake failed.
    TlsFailed,
    /// Plain text, where TLS is needed.
    PlainRefused,
    /// Neither MQTT nor a WebSocket for it.
    NotMqtt,
    /// Broken MQTT, or a version that is not spoken here.
    BadProtocol,
    /// Something that the key does not allow.
    NotAllowed,
    /// Too many of its kind at once.
    Limited,
    /// It said nothing for too long.
    TimedOut,
}

impl AttemptOutcome {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Accepted,
        Self::UnknownKey,
        Self::RevokedKey,
        Self::ExpiredKey,
        Self::TlsFailed,
        Self::PlainRefused,
        Self::NotMqtt,
        Self::BadProtocol,
        Self::NotAllowed,
        Self::Limited,
        Self::TimedOut,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::UnknownKey => "unknown_key",
            Self::RevokedKey => "revoked_key",
            Self::ExpiredKey => "expired_key",
            Self::TlsFailed => "tls_failed",
            Self::PlainRefused => "plain_refused",
            Self::NotMqtt => "not_mqtt",
            Self::BadProtocol => "bad_protocol",
            Self::NotAllowed => "not_allowed",
            Self::Limited => "limited",
            Self::TimedOut => "timed_out",
        }
    }
}

/// How somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// MQTT, or nothing that could be told.
    Tcp,
    /// MQTT in a WebSocket.
    WebSocket,
    /// HTTP.
    Http,
}

impl Via {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::WebSocket => "websocket",
            Self::Http => "http",
        }
    }
}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) address: IpAddr,
    pub(crate) via: Via,
}

/// Somebody tried to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When, the last time.
    pub at: Timestamp,
    /// From where.
    pub address: IpAddr,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// The device that the key named, whether or not its secret was right.
    pub device: Option<DeviceId>,
    /// More of why, in a word: the alert that ended a TLS handshake, for one.
    pub detail: Option<Cow<'static, str>>,
    /// How they came.
    pub via: Via,
    /// How many alike this stands for.
    pub count: u32,
}

/// The entries, newest last.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    accepted: Mutex<VecDeque<Attempt>>,
    refused: Mutex<VecDeque<Attempt>>,
}

impl Attempts {
    /// Notes one.
    pub(crate) fn note(&self, mut attempt: Attempt) {
        let (ring, most) = if attempt.outcome == AttemptOutcome::Accepted {
            (&self.accepted, MAX_ACCEPTED)
        } else {
            (&self.refused, MAX_REFUSED)
        };
        let mut ring = lock(ring);
        let alike = |old: &Attempt| {
            old.outcome == attempt.outcome
                && old.device == attempt.device
                && subnet(old.address) == subnet(attempt.address)
                && attempt.at.millis_since(old.at) < MERGE_MS
        };
        // From the newest on: what is alike is near.
        if let Some(old) = ring.iter().rposition(alike).and_then(|at| ring.remove(at)) {
            attempt.count = attempt.count.saturating_add(old.count);
        } else if ring.len() >= most {
            ring.pop_front();
        }
        ring.push_back(attempt);
    }

    /// The latest, newest first.
    pub(crate) fn latest(&self) -> Vec<Attempt> {
        let mut all: Vec<Attempt> =
            lock(&self.accepted).iter().chain(lock(&self.refused).iter()).cloned().collect();
        all.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
        all
    }
}

/// Why a TLS handshake failed: the alert of the other side, when there was one.
pub(crate) fn tls_detail(error: &std::io::Error) -> Cow<'static, str> {
    let known = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match known {
        Some(rustls::Error::AlertReceived(alert)) => Cow::Owned(snake(&format!("{alert:?}"))),
        Some(rustls::Error::PeerIncompatible(_)) => Cow::Borrowed("incompatible"),
        Some(_) => Cow::Borrowed("not_tls"),
        None => Cow::Borrowed("closed"),
    }
}

/// `UnknownCA` as `unknown_ca`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut before_was_lower = false;
    for c in name.chars().take(40).filter(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && before_was_lower {
            out.push('_');
        }
        before_was_lower = c.is_ascii_lowercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(second: i64, address: &str, outcome: AttemptOutcome) -> Attempt {
        Attempt {
            at: Timestamp(second * 1000),
            address: address.parse().unwrap(),
            outcome,
            device: None,
            detail: None,
            via: Via::Tcp,
            count: 1,
        }
    }

    #[test]
    fn alike_ones_are_one_entry_for_a_minute() {
        let attempts = Attempts::default();
        let unknown = AttemptOutcome::UnknownKey;
        for second in [0, 30, 80] {
            // Each within a minute of the one before.
            attempts.note(attempt(second, "192.0.2.1", unknown));
        }
        attempts.note(attempt(81, "192.0.2.2", unknown));
        attempts.note(attempt(82, "192.0.2.1", AttemptOutcome::TlsFailed));
        attempts.note(Attempt { device: Some(DeviceId::generate()), ..attempt(83, "192.0.2.1", unknown) });
        attempts.note(attempt(140, "192.0.2.1", unknown));
        let latest: Vec<_> = attempts.latest().iter().map(|a| (a.at.0 / 1000, a.count)).collect();
        assert_eq!(latest, [(140, 1), (83, 1), (82, 1), (81, 1), (80, 3)]);
    }

    #[test]
    fn a_scanner_and_a_fleet_push_nothing_else_out() {
        let attempts = Attempts::default();
        attempts.note(attempt(0, "192.0.2.1", AttemptOutcome::RevokedKey));
        for n in 0..5_000 {
            attempts.note(attempt(n / 100, "192.0.2.9", AttemptOutcome::NotMqtt));
            let device = Some(DeviceId::generate());
            attempts.note(Attempt { device, ..attempt(n / 100, "192.0.2.2", AttemptOutcome::Accepted) });
        }
        let latest = attempts.latest();
        assert_eq!(latest.len(), MAX_ACCEPTED + 2);
        assert_eq!(latest.last().map(|a| a.outcome), Some(AttemptOutcome::RevokedKey));
        for n in 0..1_000_u32 {
            let address = std::net::Ipv4Addr::from(n).to_string();
            attempts.note(attempt(100, &address, AttemptOutcome::NotMqtt));
        }
        assert_eq!(attempts.latest().len(), MAX_ACCEPTED + MAX_REFUSED);
    }

    #[test]
    fn alerts_have_the_names_of_their_standard() {
        for (name, word) in [
            ("CertificateUnknown", "certificate_unknown"),
            ("UnknownCA", "unknown_ca"),
            ("Unknown(0x2a)", "unknown0x2a"),
        ] {
            assert_eq!(snake(name), word);
        }
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateUnknown);
        assert_eq!(tls_detail(&std::io::Error::other(alert)), "certificate_unknown");
        assert_eq!(tls_detail(&std::io::Error::from(std::io::ErrorKind::UnexpectedEof)), "closed");
    }
}
