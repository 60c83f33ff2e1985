//! What the API shows and takes of people, their second factor, tokens and keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::openapi::words;

/// A person as an admin sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PersonView {
    pub(crate) name: String,
    #[cfg_attr(test, ts(type = "\"admin\" | \"viewer\""))]
    #[schema(schema_with = words::role)]
    pub(crate) role: &'static str,
    /// Their login asks for a code.
    pub(crate) two_factor: bool,
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    #[schema(format = DateTime)]
    pub(crate) last_login_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewPerson {
    pub(crate) name: String,
    /// `admin` or `viewer`.
    #[cfg_attr(test, ts(type = "\"admin\" | \"viewer\""))]
    #[schema(schema_with = words::role)]
    pub(crate) role: String,
    pub(crate) password: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PersonPatch {
    /// `admin` or `viewer`.
    #[cfg_attr(test, ts(optional, type = "\"admin\" | \"viewer\""))]
    pub(crate) role: Option<String>,
    #[cfg_attr(test, ts(optional))]
    pub(crate) password: Option<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PasswordForm {
    /// The one until now.
    pub(crate) old: String,
    pub(crate) new: String,
}

/// What an authenticator app is given. It is on only when a code of it has come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewTwoFactorView {
    /// For typing, in base 32.
    pub(crate) secret: String,
    /// The same as a link.
    pub(crate) otpauth_url: String,
    /// The link as a picture: SVG path data, in squares of size 1.
    pub(crate) qr_path: String,
    /// How many squares are in a row.
    pub(crate) qr_size: i32,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct CodeForm {
    /// Of the app, or a recovery code.
    pub(crate) code: String,
}

/// Codes for whoever has lost the app. Shown here and never again; each is good once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RecoveryCodesView {
    pub(crate) recovery_codes: Vec<String>,
}

/// How one's own login is secured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct MyAccountView {
    pub(crate) name: String,
    /// A login asks for a code.
    pub(crate) two_factor: bool,
    /// How many are left.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) recovery_codes: i64,
}

/// A token: all but itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TokenView {
    pub(crate) id: String,
    pub(crate) name: String,
    #[cfg_attr(test, ts(type = "\"admin\" | \"viewer\""))]
    #[schema(schema_with = words::role)]
    pub(crate) role: &'static str,
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    /// To the minute.
    #[schema(format = DateTime)]
    pub(crate) last_used_at: Option<String>,
    /// From then on it is refused.
    #[schema(format = DateTime)]
    pub(crate) expires_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewToken {
    pub(crate) name: String,
    /// `admin` or `viewer`.
    #[cfg_attr(test, ts(type = "\"admin\" | \"viewer\""))]
    #[schema(schema_with = words::role)]
    pub(crate) role: String,
    /// Without it: never.
    #[schema(format = DateTime)]
    #[cfg_attr(test, ts(optional))]
    pub(crate) expires_at: Option<String>,
}

/// A new token, which is shown here and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AddedTokenView {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// A key of the device port: all but its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct KeyView {
    pub(crate) id: String,
    /// `device`, `reader` or `service`.
    #[cfg_attr(test, ts(type = "\"device\" | \"reader\" | \"service\""))]
    #[schema(schema_with = words::key_kind)]
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// Whose it is, of kind `device`.
    pub(crate) device: Option<String>,
    pub(crate) device_name: Option<String>,
    /// What it may publish, of kind `service`.
    pub(crate) publish: Vec<String>,
    /// What it may subscribe to. Of a reader: empty for everything.
    pub(crate) subscribe: Vec<String>,
    /// The devices that a reader is limited to; empty for all.
    pub(crate) devices: Vec<String>,
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    /// From then on it is refused: another has taken its place.
    #[schema(format = DateTime)]
    pub(crate) expires_at: Option<String>,
    /// When somebody last connected with it, to the minute.
    #[schema(format = DateTime)]
    pub(crate) last_used_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewKeyForm {
    /// `reader` or `service`.
    #[cfg_attr(test, ts(type = "\"reader\" | \"service\""))]
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Of a reader: only these; empty for all.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub(crate) devices: Vec<String>,
    /// Of a service: topic filters that it may publish to.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub(crate) publish: Vec<String>,
    /// Of a service: topic filters that it may subscribe to.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub(crate) subscribe: Vec<String>,
}

/// A new key, which is shown here and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AddedKeyView {
    pub(crate) id: String,
    pub(crate) key: String,
    /// `HOST:PORT` for MQTT clients.
    pub(crate) server: String,
    /// What a client checks the server's certificate against; absent when a public authority vouches for it.
    pub(crate) pin: Option<String>,
    /// Lines to try it with, in their order.
    pub(crate) commands: Vec<CommandView>,
}

/// A line for a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct CommandView {
    /// What it does: `certificate`, `fingerprint`, `subscribe` or `publish`.
    #[cfg_attr(test, ts(type = "\"certificate\" | \"fingerprint\" | \"subscribe\" | \"publish\""))]
    pub(crate) label: &'static str,
    pub(crate) line: String,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Rotation {
    /// Hours that the old key goes on working, up to 168; without it none.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<u32>"))]
    pub(crate) overlap_h: u32,
}
