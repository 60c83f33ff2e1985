//! The certificate of both ports: made at the first start, or configured; read again when its file changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use protocol::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate in use.
#[derive(Debug, Clone)]
pub struct Certificate {
    resolver: Arc<Resolver>,
    files: Files,
    /// Made here, so that devices must be told its fingerprint.
    self_made: bool,
}

#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    private_key: PathBuf,
}

#[derive(Debug)]
struct Resolver(RwLock<Arc<CertifiedKey>>);

impl Resolver {
    fn current(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl Files {
    fn read(&self) -> anyhow::Result<CertifiedKey> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .with_context(|| format!("cannot read the certificate in {}", self.certificate.display()))?;
        if chain.is_empty() {
            bail!("there is no certificate in {}", self.certificate.display());
        }
        let key = PrivateKeyDer::from_pem_file(&self.private_key)
            .with_context(|| format!("cannot read the private key in {}", self.private_key.display()))?;
        let pair = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider());
        pair.with_context(|| {
            format!(
                "{} and {} do not belong together",
                self.certificate.display(),
                self.private_key.display()
            )
        })
    }

    fn changed_at(&self) -> (Option<SystemTime>, Option<SystemTime>) {
        let at = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        (at(&self.certificate), at(&self.private_key))
    }
}

impl Certificate {
    /// Whether there is one already: configured, or made by an earlier start.
    pub fn exists(config: &config::Tls, data_dir: &Path) -> bool {
        !config.certificate.as_os_str().is_empty() || data_dir.join("tls").join("certificate.pem").exists()
    }

    /// The configured certificate, or the one in the data folder, made if need be.
    pub fn open(config: &config::Tls, data_dir: &Path) -> anyhow::Result<Self> {
        let self_made = config.certificate.as_os_str().is_empty();
        let files = if self_made {
            let dir = data_dir.join("tls");
            Files { certificate: dir.join("certificate.pem"), private_key: dir.join("private-key.pem") }
        } else {
            Files { certificate: config.certificate.clone(), private_key: config.private_key.clone() }
        };
        if self_made && !files.certificate.exists() {
            make(&files).with_context(|| format!("cannot make a certificate in {}", data_dir.display()))?;
        }
        let resolver = Arc::new(Resolver(RwLock::new(Arc::new(files.read()?))));
        Ok(Self { resolver, files, self_made })
    }

    /// `sha256:HEX` of a certificate that was made here: what devices check instead of a public authority's word.
    pub fn pin(&self) -> Option<String> {
        let current = self.resolver.current();
        let end_entity = current.cert.first().filter(|_| self.self_made)?;
        let hex = Sha256::digest(end_entity.as_ref()).iter().fold(String::new(), |mut hex, byte| {
            hex.extend(
                [byte >> 4, byte & 15].map(|half| char::from_digit(u32::from(half), 16).unwrap_or('0')),
            );
            hex
        });
        Some(format!("sha256:{hex}"))
    }

    /// When it ends; `None` when that cannot be read.
    pub fn ends_at(&self) -> Option<Timestamp> {
        not_after(self.resolver.current().cert.first()?.as_ref())
    }

    /// A server's side of TLS with this certificate, also after it has changed.
    pub fn server_config(&self, protocol: &[u8]) -> anyhow::Result<Arc<rustls::ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("cannot set up TLS")?
            .with_no_client_auth()
            .with_cert_resolver(self.resolver.clone());
        if !protocol.is_empty() {
            config.alpn_protocols = vec![protocol.to_vec()];
        }
        Ok(Arc::new(config))
    }

    /// Reads the files again when they change, until `shutdown`. A pair that does not fit leaves the one before.
    pub async fn watch(self, shutdown: CancellationToken) {
        let mut seen = self.files.changed_at();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let now = self.files.changed_at();
            if now == seen {
                continue;
            }
            seen = now;
            match self.files.read() {
                Ok(pair) => {
                    *self.resolver.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                    info!(file = %self.files.certificate.display(), "certificate was read again");
                }
                Err(error) => {
                    warn!(
                        error = format!("{error:#}"),
                        "changed certificate cannot be used, the one before stays"
                    );
                }
            }
        }
    }
}

fn make(files: &Files) -> anyhow::Result<()> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params =
        CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "OpenClaw Watch");
    // Pinned by its fingerprint, so its span says nothing; a device whose clock is off must still get in.
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2099, 12, 31);
    let certificate = params.self_signed(&key)?;
    if let Some(dir) = files.certificate.parent() {
        std::fs::create_dir_all(dir)?;
    }
    write_private(&files.private_key, key.serialize_pem().as_bytes())?;
    // Last: its presence says that the pair is complete.
    write_private(&files.certificate, certificate.pem().as_bytes())?;
    Ok(())
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// One value of DER: its tag, its content, and what comes after it.
fn der(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |len, digit| (len << 8) | usize::from(*digit)), rest)
        }
        // Of no length, which DER does not have, or longer than any certificate.
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((*tag, content, rest))
}

/// The end of a certificate's validity (RFC 5280, 4.1).
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const VERSION: u8 = 0xa0;
    const UTC_TIME: u8 = 0x17;
    let (_, certificate, _) = der(certificate)?;
    let (_, fields, _) = der(certificate)?;
    let (tag, _, after) = der(fields)?;
    let (_, _, rest) = if tag == VERSION { der(after)? } else { der(fields)? };
    // After the serial number: the signature's algorithm, the issuer, the validity.
    let (_, _, rest) = der(rest)?;
    let (_, _, rest) = der(rest)?;
    let (_, validity, _) = der(rest)?;
    let (_, _, rest) = der(validity)?;
    let (tag, time, _) = der(rest)?;
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    // Two digits of a year are of this half century or the last one's.
    let text = match (tag, text.get(..2)?.parse::<u8>().ok()?) {
        (UTC_TIME, 50..) => format!("19{text}"),
        (UTC_TIME, _) => format!("20{text}"),
        _ => text.to_owned(),
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
    Some(Timestamp(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_when_it_ends() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        // Before 2050 a year has two digits, later four.
        for (year, month, day, end) in [
            (2027, 1, 2, 1_798_848_000_000),
            (2049, 12, 31, 2_524_521_600_000),
            (2099, 12, 31, 4_102_358_400_000),
        ] {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let made = params.self_signed(&key).unwrap();
            assert_eq!(not_after(made.der()), Some(Timestamp(end)), "{year}");
            for cut in 0..made.der().len() {
                // Whatever is cut off.
                assert_eq!(not_after(&made.der()[..cut]), None);
            }
        }
        assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
