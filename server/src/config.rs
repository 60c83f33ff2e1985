//! Settings: `config/server.toml` says every key, its unit and default. A file, the environment and flags change them,
//! in that order. A key that is misspelt is refused by name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The settings with all their defaults, as they are documented.
pub const DOCUMENTED: &str = include_str!("../../config/server.toml");

const ENVIRONMENT: &str = "OPENCLAW_WATCH__";

/// The server's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder of the database and the certificate.
    pub data_dir: PathBuf,
    /// The page.
    pub dashboard: dashboard::Config,
    /// The port for devices and MQTT clients.
    pub broker: broker::Config,
    /// The certificate of both ports.
    pub tls: Tls,
    /// The database.
    pub store: Store,
    /// How long the past is kept.
    pub retention: Retention,
    /// Tokens and what they cost.
    pub usage: Usage,
    /// Copies of the database.
    pub backup: Backup,
    /// Who is told of alerts. Rules and channels are made on the page.
    pub alerting: Alerting,
    /// The machine that the server runs on, as the first device.
    pub local_agent: LocalAgent,
    /// Logs.
    pub log: Log,
}

/// The certificate of both ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate and its chain. Empty: one is made and kept in the data folder.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub private_key: PathBuf,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Connections for reading, at least 2: large questions leave one for what is answered at once.
    pub readers: u32,
    /// Milliseconds between two commits, unless there is much to write.
    pub commit_every_ms: u64,
    /// Bytes that must stay free on the disk: with less, nothing is recorded and devices keep their reports.
    pub min_free_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { readers: 3, commit_every_ms: 25, min_free_bytes: 1 << 30 }
    }
}

/// How long the past is kept. Presence, events and usage: for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days that every sample is kept.
    pub raw_days: u32,
    /// Days that five minutes are kept.
    pub five_minutes_days: u32,
    /// Days that hours are kept.
    pub hour_days: u32,
    /// Days that error records are kept.
    pub errors_days: u32,
    /// Bytes of the database above which the oldest samples go earlier; 0: no limit.
    pub max_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { raw_days: 7, five_minutes_days: 30, hour_days: 400, errors_days: 90, max_bytes: 0 }
    }
}

impl Retention {
    /// For the recorder.
    pub fn keep(&self) -> store::Keep {
        let ms = |days: u32| i64::from(days) * 86_400_000;
        store::Keep {
            raw_ms: ms(self.raw_days),
            five_minutes_ms: ms(self.five_minutes_days),
            hour_ms: ms(self.hour_days),
            errors_ms: ms(self.errors_days),
            max_bytes: self.max_bytes,
        }
    }
}

/// Tokens and what they cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// The table of prices. Empty: `prices.toml` in the data folder if it is there, else the one that the program comes with.
    pub prices_file: PathBuf,
}

/// Copies of the database, made by the server itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    /// Hours between two; 0: none are made.
    pub every_h: u32,
    /// So many are kept; older ones are removed when a new one is whole.
    pub keep: u32,
    /// Folder; empty: `backups` in the data folder.
    pub dir: PathBuf,
}

impl Default for Backup {
    fn default() -> Self {
        Self { every_h: 24, keep: 7, dir: PathBuf::new() }
    }
}

/// Who is told of alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerting {
    /// Channels may reach private networks and this machine.
    pub allow_private_addresses: bool,
}

/// The machine that the server runs on, as the first device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalAgent {
    /// Watch it.
    pub enabled: bool,
    /// Seconds between two reports.
    pub interval_s: u64,
}

impl Default for LocalAgent {
    fn default() -> Self {
        Self { enabled: true, interval_s: 30 }
    }
}

/// Logs, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,broker=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            dashboard: dashboard::Config::default(),
            broker: broker::Config::default(),
            tls: Tls::default(),
            store: Store::default(),
            retention: Retention::default(),
            usage: Usage::default(),
            backup: Backup::default(),
            alerting: Alerting::default(),
            local_agent: LocalAgent::default(),
            log: Log::default(),
        }
    }
}

/// Reads the settings.
pub fn load(
    file: Option<&Path>,
    data_dir: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> anyhow::Result<Config> {
    let mut table = Table::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the settings in {}", path.display()))?;
        table = text.parse().with_context(|| format!("{} is not valid TOML", path.display()))?;
        // Checked by itself first, so that the message names the file.
        check(&table).with_context(|| format!("the settings in {} are not valid", path.display()))?;
    }
    for (name, value) in environment {
        let Some(path) = name.to_str().and_then(|name| name.strip_prefix(ENVIRONMENT)) else {
            continue;
        };
        let Some(value) = value.to_str() else { bail!("the value of {ENVIRONMENT}{path} is not UTF-8") };
        set(&mut table, path, value);
        check(&table)
            .with_context(|| format!("the environment variable {ENVIRONMENT}{path} is not valid"))?;
    }
    let mut config: Config = table.try_into()?;
    if let Some(dir) = data_dir {
        dir.clone_into(&mut config.data_dir);
    }
    if config.tls.certificate.as_os_str().is_empty() != config.tls.private_key.as_os_str().is_empty() {
        bail!("[tls] certificate and private_key belong together: set both, or neither");
    }
    let kept = &config.retention;
    if !(1..=kept.five_minutes_days).contains(&kept.raw_days) || kept.five_minutes_days > kept.hour_days {
        bail!("[retention] what is coarser is kept longer: 1 <= raw_days <= five_minutes_days <= hour_days");
    }
    Ok(config)
}

fn check(table: &Table) -> Result<(), toml::de::Error> {
    table.clone().try_into().map(|_: Config| ())
}

/// Puts `SECTION__KEY` into the table. The value is what TOML makes of it, or else text.
fn set(table: &mut Table, path: &str, value: &str) {
    let path = path.to_lowercase();
    let mut parts = path.split("__").peekable();
    let mut here = table;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("v"));
            here.insert(part.to_owned(), parsed.unwrap_or_else(|| Value::String(value.to_owned())));
            return;
        }
        let next = here.entry(part).or_insert_with(|| Value::Table(Table::new()));
        if !next.is_table() {
            *next = Value::Table(Table::new());
        }
        let Value::Table(next) = next else { return };
        here = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment = environment.iter().map(|(k, v)| (OsString::from(k), OsString::from(v)));
        load(None, None, environment).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn an_empty_file_is_enough() {
        assert_eq!(with(&[]), Ok(Config::default()));
    }

    #[test]
    fn the_documented_settings_are_the_defaults_and_all_of_them() {
        let documented: Config = toml::from_str(DOCUMENTED).unwrap();
        assert_eq!(documented, Config::default());
        let keys = |table: &Table| {
            let mut keys = Vec::new();
            for (key, value) in table {
                match value {
                    Value::Table(inner) => keys.extend(inner.keys().map(|k| format!("{key}.{k}"))),
                    _ => keys.push(key.clone()),
                }
            }
            keys.sort();
            keys
        };
        assert_eq!(keys(&DOCUMENTED.parse().unwrap()), keys(&Table::try_from(Config::default()).unwrap()));
    }

    #[test]
    fn every_key_is_an_environment_variable() {
        let config = with(&[
            ("OPENCLAW_WATCH__DASHBOARD__LISTEN", "127.0.0.1:0"),
            ("OPENCLAW_WATCH__BROKER__MAX_CLIENTS", "7"),
            ("OPENCLAW_WATCH__LOCAL_AGENT__ENABLED", "false"),
            ("OPENCLAW_WATCH__DATA_DIR", "/srv/x"),
            ("OTHER__THING", "1"),
        ])
        .unwrap();
        assert_eq!(config.dashboard.listen.to_string(), "127.0.0.1:0");
        assert_eq!(config.broker.max_clients, 7);
        assert!(!config.local_agent.enabled);
        assert_eq!(config.data_dir, Path::new("/srv/x"));
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let error = with(&[("OPENCLAW_WATCH__DASHBOARD__LISTENN", "127.0.0.1:0")]).unwrap_err();
        assert!(error.contains("OPENCLAW_WATCH__DASHBOARD__LISTENN") && error.contains("listenn"), "{error}");
        let error = with(&[("OPENCLAW_WATCH__BROKER__LISTEN", "nonsense")]).unwrap_err();
        assert!(error.contains("OPENCLAW_WATCH__BROKER__LISTEN"), "{error}");
    }
}
