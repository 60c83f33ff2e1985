//! What OpenClaw does on this device, read from outside: its files, its databases, its ports.
//!
//! Nothing here writes into OpenClaw's folders, starts its command line (but for its security audit) or needs its token.
//! Parsers are pure functions of text; `tests/fixtures` holds what OpenClaw really writes.

mod activity;
pub(crate) mod audit;
mod boots;
mod channels;
mod config;
mod cron;
pub(crate) mod exposure;
mod find;
pub(crate) mod gateways;
mod http;
pub(crate) mod log;
mod observer;
mod process;
pub(crate) mod redact;
mod slow;
pub(crate) mod sqlite;
mod state;
pub(crate) mod usage;
pub(crate) mod watch;
mod work;
mod workspace;

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

/// One of OpenClaw's state folders on this host. Each has, or can have, a gateway of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_field_names, reason = "a user's home, not one of OpenClaw's")]
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

/// Sixteen hexadecimal digits that stand for some texts.
fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex(hash.finalize().get(..8).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(u32::from(nibble), 16)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// A database of the samples, ready to be opened.
    pub(super) fn unpacked(dir: &Path, sample: &str) -> PathBuf {
        use std::io::Read as _;
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openclaw").join(sample);
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&from).unwrap();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        let path = dir.join(sample.replace('/', "-").trim_end_matches(".gz"));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A home as OpenClaw leaves it, in a folder of its own.
    pub(super) fn real_home(dir: &Path) -> super::Home {
        let state_dir = dir.join(".openclaw");
        let put = |from: &Path, to: &str| {
            let to = state_dir.join(to);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::rename(from, to).unwrap();
        };
        put(&unpacked(dir, "2026.9.6/state/openclaw.sqlite.gz"), "state/openclaw.sqlite");
        for agent in ["main", "ops"] {
            let sample = format!("2026.9.6/agents/{agent}/agent/openclaw-agent.sqlite.gz");
            put(&unpacked(dir, &sample), &format!("agents/{agent}/agent/openclaw-agent.sqlite"));
        }
        let config = include_str!("../../tests/fixtures/openclaw/2026.9.6/openclaw.json");
        let config = config.replace("/home/claw1/home", &dir.to_string_lossy().replace('\\', "/"));
        let config_path = state_dir.join("openclaw.json");
        std::fs::write(&config_path, config).unwrap();
        super::Home { name: "default".to_owned(), state_dir, config_path, user_home: dir.to_owned() }
    }
}
