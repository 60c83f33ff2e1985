//! The command line.

use std::path::PathBuf;

use agent::{ConfigError, Settings};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures this machine and tells your OpenClaw Watch server.
#[derive(Debug, Parser)]
#[command(name = "openclaw-watch-agent", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run until stopped, reporting at every interval.
    Run(Options),
    /// Print exactly what would be sent, and send nothing. Needs no server.
    Show(Options),
    /// Connect, send one report, wait until the server has stored it, and say goodbye.
    Once(Options),
    /// Try everything the agent needs and say in words what works and what does not.
    Check(Options),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Environment: OPENCLAW_WATCH_SERVER (or NAS_URL), API_KEY, OPENCLAW_WATCH_KEY_FILE, OPENCLAW_WATCH_PIN, \
OPENCLAW_WATCH_STATE_DIR, REPORT_INTERVAL (seconds).
Flags stand above the environment, the environment above the configuration file.
Exit codes: 0 done, 1 failed, 2 wrong configuration.")]
pub(crate) struct Options {
    #[arg(
        long,
        value_name = "HOST:PORT",
        help = "Where the server is: HOST:PORT, mqtts://HOST:PORT, wss://HOST/mqtt, or mqtt://127.0.0.1:PORT on this machine"
    )]
    server: Option<String>,
    /// The device's key, from "add device" on the page. Other users of this machine can see it in the process list;
    /// the environment or a key file keep it to yourself.
    #[arg(long)]
    key: Option<String>,
    /// Accept exactly the server certificate with this fingerprint.
    #[arg(long, value_name = "sha256:HEX")]
    pin: Option<String>,
    /// Where to keep what must be remembered from one run to the next.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where OpenClaw keeps its data, when not where it usually does.
    #[arg(long, value_name = "DIR")]
    openclaw_home: Option<PathBuf>,
    /// Time between two reports, such as 30s or 5m (at least 1s; 30s if left out).
    #[arg(long, value_name = "TIME")]
    interval: Option<String>,
    /// Read a configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How much is logged: error, warn, info, debug or trace (info if left out).
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How the log is written, to standard error (text if left out).
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Options {
    /// What flags, environment and file say together.
    pub(crate) fn settings(self) -> Result<Settings, ConfigError> {
        let file = self.config.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
        let flags = Settings {
            server: self.server,
            key: self.key.map(Into::into),
            pin: self.pin,
            state_dir: self.state_dir,
            openclaw_home: self.openclaw_home,
            interval: self.interval,
            log_level: self.log_level,
            log_format: self.log_format.map(|format| {
                match format {
                    LogFormat::Text => "text",
                    LogFormat::Json => "json",
                }
                .to_owned()
            }),
            ..Settings::default()
        };
        let environment = Settings::from_env(|name| std::env::var(name).ok())?;
        Ok(flags.or(environment).or(file))
    }
}
