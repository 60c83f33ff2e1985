//! Secrets that the server must be able to read again (what two-factor codes are computed from, what a channel signs in
//! with), sealed with a key that lies beside the database and not in it: a copy of the database alone tells none of them.
//!
//! ChaCha20-Poly1305. What is sealed for one purpose opens for no other: a row that is moved elsewhere is refused.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

const KEY_BYTES: usize = 32;
/// The name of the key's file in the data folder.
const FILE: &str = "secrets.key";

/// Why something cannot be sealed or read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file of the key cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is no key, or it is not the one with which this was sealed.
    #[error(
        "{path} is missing, damaged or of another server: put the one back that belongs to this database"
    )]
    WrongKey {
        /// Which.
        path: PathBuf,
    },
}

/// Seals and opens secrets. The key is made when the first one is sealed.
#[derive(Debug, Clone)]
pub struct Vault {
    path: PathBuf,
}

impl Vault {
    /// With the key in this folder.
    pub fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE) }
    }

    /// Seals `secret` for one purpose, such as `two-factor/ann`: the nonce, what was sealed, and its tag.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let key = match self.key()? {
            Some(key) => key,
            None => self.make()?,
        };
        let mut nonce = [0; NONCE_LEN];
        let mut sealed = secret.to_vec();
        let tag = SystemRandom::new().fill(&mut nonce).and_then(|()| {
            key.seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut sealed,
            )
        });
        let tag = tag.map_err(|_| self.wrong())?;
        Ok([&nonce, sealed.as_slice(), tag.as_ref()].concat())
    }

    /// Opens what [`Vault::seal`] gave for the same purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let wrong = || self.wrong();
        let key = self.key()?.ok_or_else(wrong)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(wrong)?;
        let mut secret = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut secret);
        let len = opened.map_err(|_| wrong())?.len();
        secret.truncate(len);
        Ok(secret)
    }

    fn wrong(&self) -> VaultError {
        VaultError::WrongKey { path: self.path.clone() }
    }

    fn failed(&self, source: io::Error) -> VaultError {
        VaultError::File { path: self.path.clone(), source }
    }

    /// `None` when there is none yet. Read each time: it is asked for seldom, and whoever puts it back need not restart.
    fn key(&self) -> Result<Option<LessSafeKey>, VaultError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| self.wrong())?;
        Ok(Some(LessSafeKey::new(key)))
    }

    fn make(&self) -> Result<LessSafeKey, VaultError> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| self.wrong())?;
        let mut options = std::fs::OpenOptions::new();
        // Never over one that is there: two that seal their first secret at once take the same key.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&self.path) {
            Ok(mut file) => {
                file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|error| self.failed(error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(self.failed(error)),
        }
        self.key()?.ok_or_else(|| self.wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let dir = tempfile::TempDir::new().unwrap();
        let vault = Vault::new(dir.path());
        assert!(matches!(vault.open("a", &[0; 60]), Err(VaultError::WrongKey { .. })), "there is no key yet");
        let sealed = vault.seal("a", b"secret").unwrap();
        assert_ne!(sealed, vault.seal("a", b"secret").unwrap(), "the nonce is new each time");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        // Another one with the same folder, as after a restart.
        assert_eq!(Vault::new(dir.path()).open("a", &sealed).unwrap(), b"secret");
        assert!(vault.open("b", &sealed).is_err());
        for end in 0..sealed.len() {
            assert!(vault.open("a", &sealed[..end]).is_err(), "{end}");
        }
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(vault.open("a", &changed).is_err());
        let file = dir.path().join(FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Another server's key, a damaged one, none.
        for other in [&[7; 32][..], &[7; 5]] {
            std::fs::write(&file, other).unwrap();
            let error = vault.open("a", &sealed).unwrap_err();
            assert!(error.to_string().contains(FILE), "{error}");
        }
        assert!(vault.seal("a", b"x").is_err(), "a damaged key is not replaced: it may be put right");
    }
}
