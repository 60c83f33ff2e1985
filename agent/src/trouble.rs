//! Why the server cannot be reached, and what a person can do about it.

use std::error::Error as StdError;
use std::io;

use protocol::Timestamp;
use rustls::{CertificateError, Error as RustlsError};

use crate::address::ServerAddress;
use crate::backoff::Pace;
use crate::tls::{Pin, TlsSetupError, Untrusted, WrongPin};

/// A connection to the server that failed or ended.
#[derive(Debug, thiserror::Error)]
#[error("the connection to {server} failed")]
pub struct LinkError {
    /// Where to.
    pub server: ServerAddress,
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// What went wrong with a connection.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it is")]
pub enum Cause {
    #[error("the name is not known")]
    UnknownName,
    #[error("the connection was refused")]
    ConnectionRefused,
    #[error("there is no way to the server's network")]
    Unreachable,
    #[error("the server did not answer in time")]
    Timeout,
    #[error("the connection was closed")]
    Closed,
    #[error("the server's certificate has fingerprint {found}")]
    WrongPin { found: Pin },
    #[error("the server's certificate {found} is not signed by a known authority")]
    Untrusted { found: Pin },
    #[error("this machine has no certificate authorities")]
    NoAuthorities,
    #[error("the server's certificate has expired")]
    Expired,
    #[error("the server's certificate is not yet valid")]
    NotYetValid,
    #[error("the server's certificate is for another name")]
    WrongName { names: Vec<String> },
    #[error("the server does not speak TLS")]
    NotTls,
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the server does not speak MQTT")]
    NotMqtt,
    #[error("the WebSocket was refused: {0}")]
    WebSocket(String),
    #[error("the key was refused")]
    KeyRefused,
    #[error("the server refused the connection: {0}")]
    Refused(&'static str),
    #[error("the server did not confirm what it received")]
    NoAcknowledgement,
    #[error("an error of the network")]
    Io(#[source] io::Error),
    #[error("{0}")]
    Other(String),
}

/// How far a connection came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The server was not reached.
    Network,
    /// It was reached, but is not the one we look for.
    Tls,
    /// It speaks TLS as it should, but not MQTT.
    Mqtt,
    /// It is the right server, and said no to us.
    Key,
}

impl Cause {
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::UnknownName
            | Self::ConnectionRefused
            | Self::Unreachable
            | Self::Timeout
            | Self::Closed
            | Self::Io(_)
            | Self::Other(_) => Stage::Network,
            Self::WrongPin { .. }
            | Self::Untrusted { .. }
            | Self::NoAuthorities
            | Self::Expired
            | Self::NotYetValid
            | Self::WrongName { .. }
            | Self::NotTls
            | Self::Tls(_) => Stage::Tls,
            Self::NotMqtt | Self::WebSocket(_) | Self::NoAcknowledgement => Stage::Mqtt,
            Self::KeyRefused | Self::Refused(_) => Stage::Key,
        }
    }

    /// How fast to try again.
    pub(crate) fn pace(&self) -> Pace {
        match self {
            // The server may be starting; the clock may be set at any moment after boot.
            Self::Refused(_) | Self::NotYetValid => Pace::Eager,
            other if matches!(other.stage(), Stage::Tls | Stage::Key) => Pace::Slow,
            _ => Pace::Eager,
        }
    }

    /// Finds the cause in an error of any library: rustls hides in I/O errors, these hide in all others.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<RustlsError>() {
                return Self::of_tls(tls);
            }
            if let Some(io) = error.downcast_ref::<io::Error>() {
                match io.get_ref() {
                    Some(inner) if inner.is::<RustlsError>() || inner.is::<io::Error>() => {
                        next = Some(inner);
                        continue;
                    }
                    _ => return Self::of_io(io),
                }
            }
            next = error.source();
        }
        Self::Other(error.to_string())
    }

    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused,
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected => Self::Closed,
            _ if is_unknown_name(error) => Self::UnknownName,
            kind => {
                let copy = error.raw_os_error().map(io::Error::from_raw_os_error);
                Self::Io(copy.unwrap_or_else(|| io::Error::new(kind, error.to_string())))
            }
        }
    }

    fn of_tls(error: &RustlsError) -> Self {
        let RustlsError::InvalidCertificate(certificate) = error else {
            return match error {
                RustlsError::InvalidMessage(_) => Self::NotTls,
                other => Self::Tls(other.to_string()),
            };
        };
        match certificate {
            CertificateError::Other(other) => {
                if let Some(WrongPin { found }) = other.0.downcast_ref() {
                    Self::WrongPin { found: *found }
                } else if let Some(Untrusted { found }) = other.0.downcast_ref() {
                    Self::Untrusted { found: *found }
                } else {
                    Self::Tls(error.to_string())
                }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName => Self::WrongName { names: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::WrongName { names: presented.clone() }
            }
            _ => Self::Tls(error.to_string()),
        }
    }
}

impl From<TlsSetupError> for Cause {
    fn from(error: TlsSetupError) -> Self {
        match error {
            TlsSetupError::NoRoots => Self::NoAuthorities,
            TlsSetupError::Refused(error) => Self::Tls(error.to_string()),
            TlsSetupError::Verifier(error) => Self::Other(error.to_string()),
        }
    }
}

/// A name that no resolver knows has no `ErrorKind` of its own: on Unix its text is the standard library's, on
/// Windows its number is one of the resolver's.
fn is_unknown_name(error: &io::Error) -> bool {
    const WINDOWS: [i32; 3] = [11001, 11002, 11004];
    error.to_string().contains("lookup address")
        || error.raw_os_error().is_some_and(|code| WINDOWS.contains(&code))
}

/// Says in a sentence what is wrong and what to do about it.
pub fn explain(error: &LinkError) -> String {
    let server = &error.server;
    let host = server.host();
    let port = server.port();
    let clock = jiff::Timestamp::from_millisecond(error.at.as_millis())
        .map_or_else(|_| "an impossible time".to_owned(), |at| format!("{at:.0}"));
    match &error.cause {
        Cause::UnknownName => {
            format!(
                "the name {host} is not known to this machine's resolver; check the spelling and the network"
            )
        }
        Cause::ConnectionRefused => format!(
            "{host} is there, but nothing listens on port {port}; is the server running, and is this its device port?"
        ),
        Cause::Unreachable => format!("there is no way from this machine to {host}; check the network"),
        Cause::Timeout => format!(
            "{host} does not answer on port {port}; is it switched on, and does a firewall let the port through?"
        ),
        Cause::Closed => format!("{server} closed the connection"),
        Cause::WrongPin { found } => format!(
            "the server's certificate has fingerprint {found}, not the one given with --pin; if the server was \
             reinstalled, copy the line from the page again"
        ),
        Cause::Untrusted { found } => format!(
            "the server's certificate is not signed by an authority this machine trusts; its fingerprint is {found}: \
             if the page shows the same one, give it with --pin"
        ),
        Cause::NoAuthorities => {
            "this machine has no list of certificate authorities to check the server by; copy the \
                                 line with --pin from the page, or install the system's CA certificates"
                .to_owned()
        }
        Cause::Expired => format!(
            "the server's certificate has expired; renew it on the server. This machine's clock says {clock}: if that \
             is wrong, set it"
        ),
        Cause::NotYetValid => format!(
            "the server's certificate is not yet valid: this machine's clock says {clock}; if that is wrong, set it"
        ),
        Cause::WrongName { names } => {
            let others =
                if names.is_empty() { String::new() } else { format!(" but for {}", names.join(", ")) };
            format!(
                "the server's certificate is not for {host}{others}; use the name that is in the certificate, or \
                 give its fingerprint with --pin"
            )
        }
        Cause::NotTls => format!(
            "what listens on {host}:{port} does not speak TLS; is this the server's device port (38889 by default)?"
        ),
        Cause::Tls(tls) => format!("no secure connection to {server}: {tls}"),
        Cause::NotMqtt => {
            format!(
                "what listens on {server} does not speak MQTT; is this the server's device port (38889 by default)?"
            )
        }
        Cause::WebSocket(problem) => format!(
            "{server} did not open a WebSocket for MQTT ({problem}); check the path, and that a proxy in between \
             passes WebSockets on"
        ),
        Cause::KeyRefused => {
            "the server does not accept this device's key; if the device was removed or its key \
                              replaced, copy the line from the page again"
                .to_owned()
        }
        Cause::Refused(reason) => format!("{server} refused the connection: {reason}"),
        Cause::NoAcknowledgement => format!(
            "{server} takes reports and does not confirm that they are stored; look at the server's log (is its disk full?)"
        ),
        Cause::Io(problem) => format!("the network failed on the way to {server}: {problem}"),
        Cause::Other(problem) => format!("the connection to {server} failed: {problem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_must_mend_is_tried_slowly() {
        let found = Pin::of(b"");
        for cause in [
            Cause::KeyRefused,
            Cause::WrongPin { found },
            Cause::Untrusted { found },
            Cause::NoAuthorities,
            Cause::Expired,
            Cause::WrongName { names: vec![] },
            Cause::NotTls,
        ] {
            assert_eq!(cause.pace(), Pace::Slow, "{cause:?}");
        }
        for cause in [
            Cause::NotYetValid,
            Cause::UnknownName,
            Cause::ConnectionRefused,
            Cause::Unreachable,
            Cause::Timeout,
            Cause::Closed,
            Cause::NotMqtt,
            Cause::NoAcknowledgement,
            Cause::Refused("it is not ready"),
        ] {
            assert_eq!(cause.pace(), Pace::Eager, "{cause:?}");
        }
    }

    #[test]
    fn causes_are_found_inside_other_errors() {
        let check = |error: io::Error, expected: Cause| {
            let wrapped = io::Error::other(error);
            assert_eq!(format!("{:?}", Cause::of(&wrapped)), format!("{expected:?}"));
        };
        check(io::ErrorKind::ConnectionRefused.into(), Cause::ConnectionRefused);
        check(io::ErrorKind::ConnectionReset.into(), Cause::Closed);
        check(io::ErrorKind::NetworkUnreachable.into(), Cause::Unreachable);
        check(io::Error::other("failed to lookup address information: no"), Cause::UnknownName);
        check(io::Error::other(RustlsError::InvalidCertificate(CertificateError::Expired)), Cause::Expired);
        check(
            io::Error::other(RustlsError::InvalidCertificate(CertificateError::NotValidYet)),
            Cause::NotYetValid,
        );
        assert!(matches!(Cause::of(&std::fmt::Error), Cause::Other(_)));
    }
}
