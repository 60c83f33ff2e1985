//! What the agent is told: by flags, by the environment, by a file, in that order.
//!
//! [`Settings`] is what one of these sources says, all of it optional; [`Settings::or`] lays one over the other, and
//! [`Settings::into_config`] makes the [`Config`] that the agent runs by.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::{ApiKey, InvalidKey, InvalidTopicRoot, TopicRoot};
use serde::{Deserialize, Serialize};

use crate::address::{InvalidAddress, ServerAddress};
use crate::spool::SpoolLimits;
use crate::tls::{InvalidPin, Pin};

/// The configuration file with every key, its meaning and its default.
pub const DEFAULT_FILE: &str = include_str!("../../config/agent.toml");

const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_hours(24);

/// What the agent runs by.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the server is.
    pub server: ServerAddress,
    /// Who this device is, and the proof of it.
    pub key: ApiKey,
    /// The one certificate the server may show. Without it the certificates that this machine trusts decide.
    pub pin: Option<Pin>,
    /// Where the agent keeps what it must remember.
    pub state_dir: PathBuf,
    /// How OpenClaw is read.
    pub openclaw: OpenClawConfig,
    /// Time between two reports, at least a second.
    pub interval: Duration,
    /// The first level(s) of all topics.
    pub topic_root: TopicRoot,
    /// Whether payloads are packed, which only our own server understands.
    pub pack: bool,
    /// How much is kept while the server cannot be reached.
    pub spool_limits: SpoolLimits,
}

/// How OpenClaw is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenClawConfig {
    /// Where it keeps its data, when not where it usually does.
    pub home: Option<PathBuf>,
    /// Whether the gateway may be asked, with its token, what its files do not say.
    pub rpc: bool,
    /// Whether the text of errors is sent, redacted; without it only what kind they are.
    pub log_text: bool,
    /// Whether its security audit is run.
    pub audit: bool,
}

impl Default for OpenClawConfig {
    fn default() -> Self {
        Self { home: None, rpc: false, log_text: true, audit: true }
    }
}

impl Config {
    /// A configuration with the defaults for everything that has one.
    pub fn new(server: ServerAddress, key: ApiKey, state_dir: PathBuf) -> Self {
        Self {
            server,
            key,
            pin: None,
            state_dir,
            openclaw: OpenClawConfig::default(),
            interval: DEFAULT_INTERVAL,
            topic_root: TopicRoot::default(),
            pack: true,
            spool_limits: SpoolLimits::default(),
        }
    }
}

/// Why there is no configuration to run by. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The configuration file has a mistake. The text names the line, and never the line's content: it may be a key.
    #[error("{}, line {line}: {problem}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The line of the mistake.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// No server given.
    #[error(
        "no server: give --server HOST:PORT, or set OPENCLAW_WATCH_SERVER, or `server` in the configuration file"
    )]
    NoServer,
    /// Not an address.
    #[error(transparent)]
    Server(#[from] InvalidAddress),
    /// No key given.
    #[error(
        "no key: give --key, or set API_KEY, or `key_file` in the configuration file; the page's \"add device\" makes one"
    )]
    NoKey,
    /// Not a key.
    #[error("the given key is not complete")]
    Key(#[source] InvalidKey),
    /// The key file cannot be read.
    #[error("the key file {} cannot be read", .0.display())]
    KeyFile(PathBuf, #[source] std::io::Error),
    /// Not a pin.
    #[error(transparent)]
    Pin(#[from] InvalidPin),
    /// Not a time span.
    #[error("`{0}` is not an interval; write a time from 1s to 24h, such as 30s or 5m")]
    Interval(String),
    /// Not a topic root.
    #[error("`{0}` cannot be the first level of topics")]
    TopicRoot(String, #[source] InvalidTopicRoot),
    /// Too small, or too large.
    #[error("`{0}` is {1}; write a number from {2} to {3}")]
    Number(&'static str, u32, u32, u32),
    /// No idea where to keep state.
    #[error("no folder to keep state in: HOME is not set; give --state-dir DIR")]
    NoStateDir,
    /// Neither text nor json.
    #[error("`{0}` is not a log format; write text or json")]
    LogFormat(String),
    /// Not a log level.
    #[error("`{0}` is not a log level; write error, warn, info, debug or trace")]
    LogLevel(String),
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What one source says. `None`: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the server is, as [`ServerAddress::parse`] reads it.
    pub server: Option<String>,
    /// The device's key.
    pub key: Option<Secret>,
    /// A file that holds the device's key.
    pub key_file: Option<PathBuf>,
    /// The fingerprint of the server's certificate.
    pub pin: Option<String>,
    /// Where the agent keeps what it must remember.
    pub state_dir: Option<PathBuf>,
    /// Where OpenClaw keeps its data.
    pub openclaw_home: Option<PathBuf>,
    /// Time between two reports.
    pub interval: Option<String>,
    /// The first level(s) of all topics.
    pub topic_root: Option<String>,
    /// Whether payloads are packed.
    pub pack: Option<bool>,
    /// The most that is kept while the server cannot be reached, in MiB.
    pub spool_mib: Option<u32>,
    /// The longest that it is kept, in days.
    pub spool_days: Option<u32>,
    /// Whether the gateway may be asked with its token.
    pub openclaw_rpc: Option<bool>,
    /// Whether the text of errors is sent, redacted.
    pub openclaw_log_text: Option<bool>,
    /// Whether OpenClaw's security audit is run.
    pub openclaw_audit: Option<bool>,
    /// How much is logged.
    pub log_level: Option<String>,
    /// How it is logged.
    pub log_format: Option<String>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// One JSON object per line in place of text.
    pub json: bool,
    /// What is left out.
    pub level: tracing::Level,
}

impl Settings {
    /// What a configuration file says.
    pub fn from_file(file: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(file).map_err(|error| ConfigError::Unreadable(file.to_owned(), error))?;
        Self::from_toml(&text, file)
    }

    fn from_toml(text: &str, file: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
            ConfigError::File {
                file: file.to_owned(),
                line: before.matches('\n').count() + 1,
                problem: error.message().to_owned(),
            }
        })
    }

    /// What the environment says, asked through `var`. An empty variable says nothing.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let var = |name: &str| var(name).filter(|value| !value.trim().is_empty());
        let server = match (var("OPENCLAW_WATCH_SERVER"), var("NAS_URL")) {
            (Some(server), _) => Some(server),
            (None, Some(url)) => Some(ServerAddress::parse_nas_url(&url)?.to_string()),
            (None, None) => None,
        };
        Ok(Self {
            server,
            key: var("API_KEY").map(Secret),
            key_file: var("OPENCLAW_WATCH_KEY_FILE").map(PathBuf::from),
            pin: var("OPENCLAW_WATCH_PIN"),
            state_dir: var("OPENCLAW_WATCH_STATE_DIR").map(PathBuf::from),
            interval: var("REPORT_INTERVAL"),
            ..Self::default()
        })
    }

    /// These settings, and `below` for what they leave open.
    #[must_use]
    pub fn or(self, below: Self) -> Self {
        // A key and a key file are two ways to say the same: the upper source's word hides both of the lower's.
        let own_key = self.key.is_some() || self.key_file.is_some();
        let (key, key_file) = if own_key { (self.key, self.key_file) } else { (below.key, below.key_file) };
        Self {
            server: self.server.or(below.server),
            key,
            key_file,
            pin: self.pin.or(below.pin),
            state_dir: self.state_dir.or(below.state_dir),
            openclaw_home: self.openclaw_home.or(below.openclaw_home),
            interval: self.interval.or(below.interval),
            topic_root: self.topic_root.or(below.topic_root),
            pack: self.pack.or(below.pack),
            spool_mib: self.spool_mib.or(below.spool_mib),
            spool_days: self.spool_days.or(below.spool_days),
            openclaw_rpc: self.openclaw_rpc.or(below.openclaw_rpc),
            openclaw_log_text: self.openclaw_log_text.or(below.openclaw_log_text),
            openclaw_audit: self.openclaw_audit.or(below.openclaw_audit),
            log_level: self.log_level.or(below.log_level),
            log_format: self.log_format.or(below.log_format),
        }
    }

    /// The configuration that the agent runs by. Reads the key file if one is named.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let server = ServerAddress::parse(self.server.as_deref().ok_or(ConfigError::NoServer)?)?;
        let key = self.api_key()?.ok_or(ConfigError::NoKey)?;
        let state_dir = match &self.state_dir {
            Some(dir) => dir.clone(),
            None => default_state_dir(|name| std::env::var_os(name).map(PathBuf::from), is_root())
                .ok_or(ConfigError::NoStateDir)?,
        };
        let defaults = Config::new(server, key, state_dir);
        Ok(Config {
            pin: self.pin.as_deref().map(Pin::parse).transpose()?,
            interval: self.interval()?,
            topic_root: self.topic_root()?,
            spool_limits: self.spool_limits()?,
            pack: self.pack.unwrap_or(defaults.pack),
            openclaw: self.openclaw(),
            ..defaults
        })
    }

    /// The device's key, from itself or from its file; `None` when none is given.
    pub fn api_key(&self) -> Result<Option<ApiKey>, ConfigError> {
        let text = match (&self.key, &self.key_file) {
            (Some(Secret(key)), _) => key.clone(),
            (None, Some(file)) => {
                std::fs::read_to_string(file).map_err(|error| ConfigError::KeyFile(file.clone(), error))?
            }
            (None, None) => return Ok(None),
        };
        ApiKey::parse(&text).map(Some).map_err(ConfigError::Key)
    }

    /// Time between two reports.
    pub fn interval(&self) -> Result<Duration, ConfigError> {
        self.interval.as_deref().map_or(Ok(DEFAULT_INTERVAL), parse_interval)
    }

    /// How OpenClaw is read.
    pub fn openclaw(&self) -> OpenClawConfig {
        let defaults = OpenClawConfig::default();
        OpenClawConfig {
            home: self.openclaw_home.clone(),
            rpc: self.openclaw_rpc.unwrap_or(defaults.rpc),
            log_text: self.openclaw_log_text.unwrap_or(defaults.log_text),
            audit: self.openclaw_audit.unwrap_or(defaults.audit),
        }
    }

    /// How much is kept while the server cannot be reached.
    pub fn spool_limits(&self) -> Result<SpoolLimits, ConfigError> {
        let within = |name, value: Option<u32>, max| match value {
            Some(value) if !(1..=max).contains(&value) => Err(ConfigError::Number(name, value, 1, max)),
            value => Ok(value),
        };
        let defaults = SpoolLimits::default();
        let mib = within("spool_mib", self.spool_mib, 4096)?;
        Ok(SpoolLimits {
            bytes: mib.map_or(defaults.bytes, |mib| u64::from(mib) * 1024 * 1024),
            days: within("spool_days", self.spool_days, 365)?.unwrap_or(defaults.days),
            ..defaults
        })
    }

    /// The first level(s) of all topics.
    pub fn topic_root(&self) -> Result<TopicRoot, ConfigError> {
        self.topic_root.as_ref().map_or_else(
            || Ok(TopicRoot::default()),
            |text| TopicRoot::parse(text).map_err(|error| ConfigError::TopicRoot(text.clone(), error)),
        )
    }

    /// How the log is written.
    pub fn logging(&self) -> Result<Logging, ConfigError> {
        let json = match self.log_format.as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => return Err(ConfigError::LogFormat(other.to_owned())),
        };
        let level = match self.log_level.as_deref() {
            None => tracing::Level::INFO,
            Some(word) => word.parse().map_err(|_| ConfigError::LogLevel(word.to_owned()))?,
        };
        Ok(Logging { json, level })
    }
}

/// Reads a time span: `30s`, `5m`, `1h`, or plain seconds.
fn parse_interval(text: &str) -> Result<Duration, ConfigError> {
    let bad = || ConfigError::Interval(text.to_owned());
    let trimmed = text.trim();
    let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match trimmed.strip_prefix(digits).map(str::trim) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        _ => return Err(bad()),
    };
    let number: u64 = digits.trim_end().parse().map_err(|_| bad())?;
    let interval = Duration::from_secs(number.saturating_mul(unit));
    if (MIN_INTERVAL..=MAX_INTERVAL).contains(&interval) { Ok(interval) } else { Err(bad()) }
}

/// Where state is kept by default, asked through the environment `var`.
fn default_state_dir(var: impl Fn(&str) -> Option<PathBuf>, root: bool) -> Option<PathBuf> {
    const NAME: &str = "openclaw-watch-agent";
    let var = |name: &str| var(name).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return var("LOCALAPPDATA").map(|dir| dir.join(NAME));
    }
    if cfg!(target_os = "macos") {
        return var("HOME").map(|home| home.join("Library/Application Support").join(NAME));
    }
    if root {
        return Some(Path::new("/var/lib").join(NAME));
    }
    var("XDG_STATE_HOME")
        .or_else(|| var("HOME").map(|home| home.join(".local/state")))
        .map(|dir| dir.join(NAME))
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::DeviceId;

    fn toml(text: &str) -> Result<Settings, ConfigError> {
        Settings::from_toml(text, Path::new("agent.toml"))
    }

    fn complete() -> Settings {
        Settings {
            server: Some("nas".to_owned()),
            key: Some(Secret(ApiKey::generate(DeviceId::generate()).reveal().to_owned())),
            state_dir: Some(PathBuf::from("/s")),
            ..Settings::default()
        }
    }

    #[test]
    fn the_documented_defaults_are_the_real_ones() {
        let documented = toml(DEFAULT_FILE).unwrap();
        let config = documented.clone().or(complete()).into_config().unwrap();
        let defaults = complete().into_config().unwrap();
        assert_eq!(config.interval, defaults.interval);
        assert_eq!(config.topic_root, defaults.topic_root);
        assert_eq!(config.spool_limits, defaults.spool_limits);
        assert_eq!((config.pack, &config.openclaw), (defaults.pack, &defaults.openclaw));
        assert_eq!(config.pin, None);
        assert_eq!(documented.logging().unwrap(), Settings::default().logging().unwrap());
    }

    #[test]
    fn every_key_is_documented() {
        let all: String = DEFAULT_FILE
            .lines()
            .map(|line| {
                line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line).to_owned() + "\n"
            })
            .collect();
        // Serialising leaves out what is `None`: what is left is what the file says something about.
        let table = toml::Table::try_from(toml(&all).unwrap()).unwrap();
        let unknown = toml("no_such_key = 1").unwrap_err().to_string();
        let fields: Vec<_> = unknown.split('`').skip(3).step_by(2).map(str::to_owned).collect();
        assert_eq!(fields.len(), 16, "{unknown}");
        for field in fields {
            assert!(table.contains_key(&field), "`{field}` is not documented");
        }
    }

    #[test]
    fn a_misspelt_key_is_named_and_a_secret_is_not() {
        let error = toml("interval = \"30s\"\nintervall = 3\n").unwrap_err().to_string();
        assert!(error.starts_with("agent.toml, line 2: unknown field `intervall`"), "{error}");
        let error = toml("\nkey = [\"ocw_secret\"]\n").unwrap_err().to_string();
        assert!(error.starts_with("agent.toml, line 2") && !error.contains("secret"), "{error}");
        assert!(!format!("{:?}", complete()).contains("ocw_"));
        assert!(
            !format!("{:?}", complete().into_config().unwrap()).contains(complete().key.unwrap().0.as_str())
        );
    }

    #[test]
    fn an_empty_file_is_fine() {
        assert_eq!(toml("").unwrap(), Settings::default());
    }

    #[test]
    fn the_environment_speaks_both_dialects() {
        let env = |pairs: &'static [(&str, &str)]| {
            Settings::from_env(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        let new = env(&[("OPENCLAW_WATCH_SERVER", "new"), ("NAS_URL", "http://old:38888"), ("API_KEY", "k")])
            .unwrap();
        assert_eq!((new.server.as_deref(), new.key), (Some("new"), Some(Secret("k".to_owned()))));
        let old =
            env(&[("OPENCLAW_WATCH_SERVER", ""), ("NAS_URL", "http://old:38888"), ("REPORT_INTERVAL", "60")])
                .unwrap();
        assert_eq!(old.server.as_deref(), Some("old:38889"));
        assert_eq!(old.interval().unwrap(), Duration::from_mins(1));
        assert!(env(&[("NAS_URL", "http://")]).is_err());
        assert_eq!(env(&[]).unwrap(), Settings::default());
    }

    #[test]
    fn the_upper_source_wins() {
        let upper =
            Settings { key_file: Some("/k".into()), interval: Some("1s".to_owned()), ..Settings::default() };
        let both = upper.or(Settings { interval: Some("9s".to_owned()), ..complete() });
        assert_eq!((both.interval.as_deref(), both.server.as_deref()), (Some("1s"), Some("nas")));
        assert_eq!(
            (both.key, both.key_file),
            (None, Some("/k".into())),
            "the lower key must not beat the upper file"
        );
    }

    #[test]
    fn intervals_are_read() {
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(parse_interval(text).ok(), seconds.map(Duration::from_secs), "{text}");
        };
        check("30s", Some(30));
        check(" 5 m ", Some(300));
        check("24h", Some(86_400));
        check("1", Some(1));
        for bad in ["", "0", "0s", "500ms", "25h", "-1s", "1.5s", "s", "30 sec", "99999999999999999999s"] {
            check(bad, None);
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let check = |settings: Settings, words: &str| {
            let error = settings.into_config().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check(Settings { server: None, ..complete() }, "--server");
        check(Settings { key: None, ..complete() }, "--key");
        check(Settings { key: Some(Secret("ocw_half".to_owned())), ..complete() }, "not complete");
        check(Settings { key: None, key_file: Some("/no/such".into()), ..complete() }, "/no/such");
        check(Settings { pin: Some("sha256:00".to_owned()), ..complete() }, "fingerprint");
        check(Settings { interval: Some("soon".to_owned()), ..complete() }, "soon");
        check(Settings { topic_root: Some("#".to_owned()), ..complete() }, "`#`");
        assert!(Settings { log_level: Some("loud".to_owned()), ..complete() }.logging().is_err());
        assert!(Settings { log_format: Some("xml".to_owned()), ..complete() }.logging().is_err());
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn state_has_a_home() {
        let check = |vars: &'static [(&str, &str)], root, expected: Option<&str>| {
            let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| PathBuf::from(v));
            assert_eq!(default_state_dir(var, root), expected.map(PathBuf::from));
        };
        check(&[("HOME", "/root")], true, Some("/var/lib/openclaw-watch-agent"));
        check(&[("HOME", "/home/a")], false, Some("/home/a/.local/state/openclaw-watch-agent"));
        check(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/x")], false, Some("/x/openclaw-watch-agent"));
        check(&[("XDG_STATE_HOME", "relative")], false, None);
    }
}
