//! What OpenClaw does on this device, read from outside: its files, its databases, its ports.
//!
//! Nothing here writes into OpenClaw's folders, starts its command line (but for its security audit) or needs its token.
//! Parsers are pure functions of text; `tests/fixtures` holds what OpenClaw really writes.

pub(crate) mod audit;
pub(crate) mod exposure;
pub(crate) mod log;
pub(crate) mod redact;
pub(crate) mod sqlite;
pub(crate) mod usage;

use std::path::PathBuf;

/// One of OpenClaw's state folders on this host. Each has, or can have, a gateway of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_field_names, reason = "that is what the folder of a user is called")]
pub(crate) struct Home {
    /// What it is called on this device: see [`protocol::Gateway::name`].
    pub(crate) name: String,
    /// The state folder, such as `~/.openclaw`.
    pub(crate) state_dir: PathBuf,
    /// The configuration file, usually `openclaw.json` in it.
    pub(crate) config_path: PathBuf,
    /// The home directory of the user it belongs to.
    pub(crate) user_home: PathBuf,
}
