//! OpenClaw's configuration: where its gateway listens, which agents and channels it has.
//!
//! The file holds keys and tokens in clear. [`parse`] takes out what is named in [`Config`] and forgets the rest; the one
//! secret that is ever read is [`token`]. What is a reference to elsewhere (`${VAR}`, a secret's place, `$include`) is absent.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The port where a gateway listens when nothing is said.
pub(crate) const DEFAULT_PORT: u16 = 18789;
/// The port of the profile that `--dev` makes.
pub(crate) const DEV_PORT: u16 = 19001;
/// The longest file that is read.
pub(crate) const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How deep a value may lie: the parser calls itself, and its thread's stack is small.
const MAX_DEPTH: usize = 100;

/// What the agent needs to know of OpenClaw's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// The gateway's port, where it says one.
    pub(crate) port: Option<u16>,
    /// An address other than loopback that it listens on alone.
    pub(crate) host: Option<IpAddr>,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// OpenClaw's agents; without any there is one called `main`.
    pub(crate) agents: Vec<AgentEntry>,
    /// The workspace of agents that have none of their own.
    pub(crate) workspace: Option<PathBuf>,
    /// Channels that are switched on: `telegram`, or `telegram:work` where there are several accounts.
    pub(crate) channels: Vec<String>,
    /// Where the log goes, when not to the usual place.
    pub(crate) log_file: Option<PathBuf>,
    /// The version that last wrote the file.
    pub(crate) touched_version: Option<String>,
}

/// One of OpenClaw's agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AgentEntry {
    /// What it is called.
    pub(crate) id: String,
    /// Where its database lies.
    pub(crate) agent_dir: Option<PathBuf>,
    /// Where it works.
    pub(crate) workspace: Option<PathBuf>,
}

/// The gateway's token, which gives full power over it. Never logged, kept or sent to anybody but the gateway.
pub(crate) struct Token(String);

impl Token {
    /// The secret itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Reads the configuration's text; `None` when it is not JSON5. `home` is what `~` stands for.
pub(crate) fn parse(text: &str, home: &Path) -> Option<Config> {
    let root = value(text)?;
    let gateway = root.get("gateway");
    let gateway = |name: &str| gateway.and_then(|gateway| gateway.get(name));
    let custom = gateway("bind").and_then(plain).filter(|bind| bind == "custom");
    let host = custom.and_then(|_| gateway("customBindHost").and_then(plain)?.parse::<IpAddr>().ok());
    let agents = root.get("agents");
    Some(Config {
        port: gateway("port").and_then(port),
        host: host.filter(|host| !host.is_unspecified() && !host.is_loopback()),
        tls: gateway("tls").is_some_and(|tls| {
            tls.as_bool().or_else(|| tls.get("enabled").and_then(Value::as_bool)).unwrap_or(false)
        }),
        agents: agents.map(|agents| entries(agents, home)).unwrap_or_default(),
        workspace: root.pointer("/agents/defaults/workspace").and_then(|value| path(value, home)),
        channels: root.get("channels").map(channels).unwrap_or_default(),
        log_file: root.pointer("/logging/file").and_then(|value| path(value, home)),
        touched_version: root.pointer("/meta/lastTouchedVersion").and_then(plain),
    })
}

/// The gateway's shared token, for the one who may ask it. `None` when it is kept elsewhere.
pub(crate) fn token(text: &str) -> Option<Token> {
    value(text)?.pointer("/gateway/auth/token").and_then(plain).filter(|token| !token.is_empty()).map(Token)
}

/// Reads a file that is not longer than it should be.
pub(crate) fn read(path: &Path, max: u64) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let read = file.take(max + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > max) {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

fn value(text: &str) -> Option<Value> {
    let text = text.trim_start_matches('\u{feff}');
    if too_deep(text) {
        return None;
    }
    // Most are plain JSON, for which the other parser needs a tenth of the time.
    serde_json::from_str(text).or_else(|_| json5::from_str(text)).ok()
}

/// Whether brackets are open deeper than the parser may go. Those in texts and comments count too: what is a text depends on
/// what came before it, and to be wrong about that would end the agent.
fn too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// A text that means itself.
fn plain(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.contains("${")).map(|text| text.trim().to_owned())
}

fn port(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| plain(value)?.parse().ok())?;
    u16::try_from(number).ok().filter(|port| *port != 0)
}

fn path(value: &Value, home: &Path) -> Option<PathBuf> {
    let text = plain(value)?;
    let path = match text.strip_prefix('~') {
        Some(rest) => home.join(rest.trim_start_matches(['/', '\\'])),
        None => PathBuf::from(text),
    };
    path.is_absolute().then_some(path)
}

fn entries(agents: &Value, home: &Path) -> Vec<AgentEntry> {
    let entry = |id: &str, entry: &Value| AgentEntry {
        id: id.chars().filter(|c| !c.is_control()).take(64).collect(),
        agent_dir: entry.get("agentDir").and_then(|value| path(value, home)),
        workspace: entry.get("workspace").and_then(|value| path(value, home)),
    };
    let mut found: Vec<AgentEntry> = match agents.get("entries").and_then(Value::as_object) {
        Some(map) => map.iter().map(|(id, value)| entry(id, value)).collect(),
        None => {
            let list = agents.get("list").and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|value| Some(entry(&value.get("id").and_then(plain)?, value))).collect()
        }
    };
    found.truncate(256);
    found
}

fn channels(channels: &Value) -> Vec<String> {
    let enabled =
        |value: &Value| value.is_object() && value.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    let mut names = Vec::new();
    for (kind, channel) in channels.as_object().into_iter().flatten() {
        // `defaults` is what channels have in common; `$include` is a file.
        if kind == "defaults" || kind.starts_with('$') || !enabled(channel) {
            continue;
        }
        let accounts: Vec<_> = channel
            .get("accounts")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(_, account)| enabled(account))
            .map(|(account, _)| format!("{kind}:{account}"))
            .collect();
        if accounts.len() > 1 { names.extend(accounts) } else { names.push(kind.clone()) }
    }
    names.truncate(64);
    names.iter().map(|name| name.chars().filter(|c| !c.is_control()).take(128).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = include_str!("../../tests/fixtures/openclaw/2026.9.6/openclaw.json");
    const OLD: &str = include_str!("../../tests/fixtures/openclaw/2026.6.11/openclaw.json");

    fn read(text: &str) -> Config {
        parse(text, Path::new("/home/ann")).unwrap()
    }

    #[test]
    fn what_openclaw_writes_is_read() {
        let config = read(NEW);
        assert_eq!((config.port, config.tls, config.host), (Some(18789), false, None));
        let agents: Vec<_> = config.agents.iter().map(|agent| agent.id.as_str()).collect();
        assert_eq!(agents, ["main", "ops"]);
        assert_eq!(
            config.agents[1].workspace.as_deref(),
            Some(Path::new("/home/claw1/home/.openclaw/workspace-ops"))
        );
        assert_eq!(config.touched_version.as_deref(), Some("2026.9.6"));
        let config = read(OLD);
        assert_eq!((config.port, config.agents.len()), (Some(18790), 0));
        assert!(config.workspace.is_some());
    }

    #[test]
    fn json5_and_old_words_are_read() {
        let config = read(
            "\u{feff}// mine\n{ gateway: { port: '19000', bind: 'custom', customBindHost: '10.0.0.7', tls: { enabled: true }, },\n\
             agents: { list: [ { id: 'a', workspace: '~/w', }, { workspace: '/x' } ] },\n\
             channels: { defaults: {}, telegram: { botToken: 'x', accounts: { work: {}, home: {}, off: { enabled: false } } },\n\
             whatsapp: { enabled: false }, discord: {} }, logging: { file: '/var/log/claw.log' } }",
        );
        assert_eq!((config.port, config.tls, config.host), (Some(19000), true, "10.0.0.7".parse().ok()));
        assert_eq!(config.agents.len(), 1);
        assert_eq!(config.agents[0].workspace, Some(PathBuf::from("/home/ann/w")));
        assert_eq!(config.channels, ["discord", "telegram:home", "telegram:work"]);
        assert_eq!(config.log_file, Some(PathBuf::from("/var/log/claw.log")));
    }

    #[test]
    fn what_lies_elsewhere_is_absent() {
        let config = read(
            r#"{"$include": "./more.json5", "gateway": {"port": "${PORT}", "tls": {"enabled": "${X}"},
                "auth": {"token": {"source": "env", "id": "T"}}}, "agents": {"$include": "./a.json"},
                "logging": {"file": "${HOME}/x"}, "channels": {"$include": "x"}}"#,
        );
        assert_eq!(config, Config::default());
        assert!(token(r#"{"gateway": {"auth": {"token": {"source": "env"}}}}"#).is_none());
        assert!(token(r#"{"gateway": {"auth": {"token": "${T}"}}}"#).is_none());
    }

    #[test]
    fn secrets_stay_in_the_file() {
        let shown = format!("{:?}", read(NEW));
        assert!(!shown.contains("FAKE") && !shown.contains("apiKey"), "{shown}");
        let token = token(NEW).unwrap();
        assert!(token.reveal().starts_with("lab-token-"));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn damaged_files_are_no_configuration() {
        let home = Path::new("/");
        let deep = "[".repeat(1_000_000);
        for bad in ["", "{", "{\"a\": }", "\u{0}", deep.as_str(), &NEW[..NEW.len() / 2]] {
            assert_eq!(parse(bad, home), None);
        }
        // As deep as is let through, on a stack as small as the agent's, and past the quicker parser.
        let deepest = format!("{{a: {}{}}}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1));
        let parsed = std::thread::Builder::new()
            .stack_size(512 * 1024)
            .spawn(move || parse(&deepest, Path::new("/")).is_some());
        assert!(parsed.unwrap().join().unwrap());
        for odd in ["[]", "1", "null", r#"{"gateway": 7, "agents": [], "channels": "x", "meta": null}"#] {
            assert_eq!(parse(odd, home), Some(Config::default()), "{odd}");
        }
    }
}
