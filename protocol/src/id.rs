use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ID_LEN: usize = 12;
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is 12 characters of a-z and 0-9")]
pub struct InvalidId;

macro_rules! short_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_LEN]);

        impl $name {
            /// Reads an id: `[a-z0-9]{12}`.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let bytes: [u8; ID_LEN] = text.as_bytes().try_into().map_err(|_| InvalidId)?;
                if bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
                    Ok(Self(bytes))
                } else {
                    Err(InvalidId)
                }
            }

            /// A new id from the operating system's random numbers (60 bits).
            pub fn generate() -> Self {
                let mut random = [0u8; ID_LEN];
                getrandom::fill(&mut random).expect("the operating system gives random numbers");
                Self(random.map(|b| ALPHABET.get(usize::from(b & 31)).copied().unwrap_or(b'a')))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).expect("an id is ASCII")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

short_id! {
    /// The name of a device on the wire, in topics and in keys.
    DeviceId
}
short_id! {
    /// The name of a key. It may be shown; the secret may not.
    KeyId
}
short_id! {
    /// The name of one spool of one device. Made once when the spool is created; `seq` counts within it.
    SpoolId
}

/// What tells one boot of a host from the next. Opaque text of at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);
