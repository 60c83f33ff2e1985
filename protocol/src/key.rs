use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{DeviceId, InvalidId};

const PREFIX: &str = "ocw_";
const SECRET_LEN: usize = 43;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A text that is not a key. It does not repeat the text: it may be most of a real key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key looks like ocw_<12 characters>_<43 characters>; copy the whole line")]
pub struct InvalidKey;

/// A key as its owner holds it: `ocw_<subject>_<secret>`, 256 random bits. `Debug` shows nothing of the secret.
///
/// The subject is the device's id for a device key, and the key's own id for readers and services.
#[derive(Clone)]
pub struct ApiKey {
    subject: DeviceId,
    text: String,
}

impl ApiKey {
    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        let (subject, secret) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(InvalidKey)?;
        let subject = DeviceId::parse(subject).map_err(|InvalidId| InvalidKey)?;
        if secret.len() != SECRET_LEN || !secret.bytes().all(|b| ALPHABET.contains(&b)) {
            return Err(InvalidKey);
        }
        Ok(Self { subject, text: text.to_owned() })
    }

    /// Whom a text names that may not be a whole key. Nothing is proven by it.
    pub fn subject_in(text: &str) -> Option<DeviceId> {
        let (subject, _) = text.trim().strip_prefix(PREFIX)?.split_once('_')?;
        DeviceId::parse(subject).ok()
    }

    /// A new key for `subject` from the operating system's random numbers.
    pub fn generate(subject: DeviceId) -> Self {
        Self { subject, text: format!("{PREFIX}{subject}_{}", new_secret()) }
    }

    /// Whom the key names. Nothing is proven by it.
    pub fn subject(&self) -> DeviceId {
        self.subject
    }

    /// The whole key, for sending it or for showing it once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is stored in place of the key.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.text.as_bytes())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// SHA-256 of a secret of 256 random bits: such a secret needs no salt and no slow hash.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a secret's bytes.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The hash as it was stored, or `None` when it has not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes, for storing them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// 256 random bits from the operating system, as 43 characters that are safe in URLs and headers.
pub fn new_secret() -> String {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).expect("the operating system gives random numbers");
    base64url(&random)
}

fn base64url(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |w, (i, b)| w | u32::from(*b) << (16 - 8 * i));
        for i in 0..=chunk.len() {
            let index = usize::try_from(word >> (18 - 6 * i) & 63).unwrap_or(0);
            out.push(ALPHABET.get(index).copied().map_or('A', char::from));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_parses_and_shows_nothing() {
        let key = ApiKey::generate(DeviceId::generate());
        let again = ApiKey::parse(key.reveal()).unwrap();
        assert!(key.hash().matches(&again.hash()));
        assert_eq!(key.subject(), again.subject());
        assert_eq!(format!("{key:?} {:?}", key.hash()), "ApiKey(..) KeyHash(..)");
        assert!(!ApiKey::generate(key.subject()).hash().matches(&key.hash()));
    }

    #[test]
    fn a_key_with_a_part_missing_is_refused() {
        let key = ApiKey::generate(DeviceId::generate());
        let text = key.reveal();
        for end in 0..text.len() {
            assert_eq!(ApiKey::parse(&text[..end]).unwrap_err(), InvalidKey, "{end}");
            let named = (end > 16).then(|| key.subject());
            assert_eq!(ApiKey::subject_in(&text[..end]), named, "{end}");
        }
        assert!(ApiKey::parse(&format!(" {text}\n")).is_ok(), "spaces around a pasted key do no harm");
    }

    #[test]
    fn base64url_is_the_standard_one() {
        assert_eq!(base64url(b"\xfb\xff\xfe"), "-__-");
        assert_eq!(base64url(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw");
    }
}
