//! Which server certificate is accepted: exactly the pinned one, or what this machine trusts.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

/// The SHA-256 fingerprint of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a certificate's fingerprint looks like sha256: and 64 hexadecimal digits; copy the whole line")]
pub struct InvalidPin;

impl Pin {
    /// Reads `sha256:HEX`; colons between the bytes and capitals do no harm.
    pub fn parse(text: &str) -> Result<Self, InvalidPin> {
        let (algorithm, digits) = text.trim().split_once(':').ok_or(InvalidPin)?;
        if !algorithm.eq_ignore_ascii_case("sha256") {
            return Err(InvalidPin);
        }
        let nibbles: Option<Vec<u32>> =
            digits.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect();
        let nibbles = nibbles.filter(|n| n.len() == 64).ok_or(InvalidPin)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(nibbles.chunks(2)) {
            *byte = pair.iter().fold(0, |value, nibble| value << 4 | u8::try_from(*nibble).unwrap_or(0));
        }
        Ok(Self(bytes))
    }

    /// The fingerprint of a certificate in its binary form (DER).
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The server's certificate is not the pinned one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the server's certificate has fingerprint {found}")]
pub(crate) struct WrongPin {
    pub(crate) found: Pin,
}

/// Nobody this machine trusts has signed the server's certificate.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no trusted authority has signed the server's certificate {found}")]
pub(crate) struct Untrusted {
    pub(crate) found: Pin,
}

/// No rule to accept a server by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSetupError {
    #[error("this machine has no certificate authorities")]
    NoRoots,
    #[error("the TLS library refused its configuration")]
    Refused(#[source] Error),
    #[error("the certificate authorities of this machine cannot be used")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
}

/// TLS for the link, made once per run so that reconnects can resume a TLS session.
pub(crate) fn client_config(pin: Option<Pin>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match pin {
        Some(pin) => Arc::new(Pinned { pin, algorithms: provider.signature_verification_algorithms }),
        None => Arc::new(Trusted { webpki: system_roots(&provider)? }),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsSetupError::Refused)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // One server: the default of 256 remembered ones would only cost memory.
    config.resumption = Resumption::in_memory_sessions(4);
    Ok(Arc::new(config))
}

fn system_roots(provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsSetupError::NoRoots);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(TlsSetupError::Verifier)
}

/// Accepts one certificate, by its fingerprint. Name, dates and issuer do not matter, so a wrong clock does no harm;
/// that the server holds the certificate's key is still proven by the handshake's signature.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = Pin::of(end_entity);
        if found == self.pin { Ok(ServerCertVerified::assertion()) } else { Err(other(WrongPin { found })) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Accepts what the machine's authorities have signed; tells the fingerprint of what they have not, so that a
/// person can compare it with the one on the page.
#[derive(Debug)]
struct Trusted {
    webpki: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verdict.map_err(|error| match error {
            // `Other` is a self-signed authority used as a server's certificate, `BadSignature` one that only bears
            // the name of an authority we know.
            Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_),
            ) => other(Untrusted { found: Pin::of(end_entity) }),
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

fn other(reason: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(reason))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_and_written() {
        let pin = Pin::of(b"certificate");
        let text = pin.to_string();
        assert_eq!(text.len(), 7 + 64);
        assert_eq!(Pin::parse(&text), Ok(pin));
        assert_eq!(Pin::parse(&format!(" SHA256:{} ", text[7..].to_uppercase())), Ok(pin));
        let openssl: Vec<_> =
            text.as_bytes()[7..].chunks(2).map(|b| std::str::from_utf8(b).unwrap()).collect();
        assert_eq!(Pin::parse(&format!("sha256:{}", openssl.join(":"))), Ok(pin));
        for bad in [
            "",
            "sha256:",
            &text[7..],
            &text[..70],
            &format!("{text}0"),
            "sha1:00",
            &text.replace("sha256:", "sha256:x"),
        ] {
            assert_eq!(Pin::parse(bad), Err(InvalidPin), "{bad}");
        }
    }
}
