//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use protocol::{DeviceId, KeyId, TopicFilter};

/// Monitor for people who run OpenClaw on many machines.
///
/// Without a command the server starts: the page on port 38888, devices and MQTT clients on port 38889. The other
/// commands work beside a running server and without one.
#[derive(Debug, Parser)]
#[command(name = "openclaw-watch", version, propagate_version = true)]
pub struct Cli {
    /// Settings; every key is optional, and can also be given in the environment, such as
    /// `OPENCLAW_WATCH__DASHBOARD__LISTEN`.
    #[arg(long, global = true, value_name = "FILE", env = "OPENCLAW_WATCH_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder of the database and the certificate [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the same as no command).
    Serve,
    /// Devices: the machines that are watched.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Keys for MQTT clients of third parties.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Bearer tokens for the REST API.
    #[command(subcommand)]
    Token(TokenCommand),
    /// People who may see the page.
    #[command(subcommand)]
    User(UserCommand),
    /// Write a complete copy of the database, also beside a running server.
    Backup {
        /// Where to; must not exist yet.
        file: PathBuf,
    },
    /// Put a copy in the place of the database. The one that is there is kept under another name.
    Restore {
        /// What `backup` wrote.
        file: PathBuf,
    },
    /// Look for what is wrong, and say what to do.
    Doctor {
        /// Read the whole database through. Takes seconds for each gigabyte.
        #[arg(long)]
        full: bool,
    },
    /// Write what was recorded as CSV or lines of JSON, of any size.
    Export(ExportArgs),
    /// Ask the running server whether it is well: ends with 0 when it is, 1 when not. For health checks.
    Health,
}

/// What to export, and how.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// What.
    pub what: ExportWhat,
    /// Only of this device.
    #[arg(long, value_name = "ID")]
    pub device: Option<DeviceId>,
    /// From this time on, such as 2026-11-20T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub from: Option<jiff::Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    pub to: Option<jiff::Timestamp>,
    /// How rows are written.
    #[arg(long, default_value = "csv")]
    pub format: ExportFormat,
    /// File to write to; must not exist yet. Without it: standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportWhat {
    /// Errors and crashes, with stacks and contexts.
    Errors,
    /// What happened on devices and to the server, without activities.
    Events,
    /// What people did on the server.
    AuditLog,
    /// Tokens, by quarter of an hour.
    Usage,
    /// What was measured of a device, sample by sample.
    Samples,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// RFC 4180, with a row of names first.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// What to do with devices.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Add a device. Its key is shown now and never again.
    Add {
        /// What people call it.
        name: String,
        /// A word to group and find it by; may come more than once.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// List all devices.
    List,
    /// Remove a device, its keys, and all that was recorded of it.
    Remove {
        /// The device's id.
        id: DeviceId,
    },
    /// Make a new key for a device; the one before stops working at once, or when the overlap is over.
    RotateKey {
        /// The device's id.
        id: DeviceId,
        /// Hours that the old key goes on working.
        #[arg(long, value_name = "HOURS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=168))]
        overlap_h: u32,
    },
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key. It is shown now and never again.
    Add {
        /// What it is for.
        #[arg(long)]
        kind: NewKeyKind,
        /// Reader: only this device; may come more than once. Without it: all devices.
        #[arg(long = "device", value_name = "ID")]
        devices: Vec<DeviceId>,
        /// Service: a topic filter it may publish to; may come more than once.
        #[arg(long, value_name = "FILTER", value_parser = filter)]
        publish: Vec<TopicFilter>,
        /// Service: a topic filter it may subscribe to; may come more than once.
        #[arg(long, value_name = "FILTER", value_parser = filter)]
        subscribe: Vec<TopicFilter>,
        /// What people call it.
        #[arg(default_value = "")]
        name: String,
    },
    /// List all keys, without their secrets.
    List,
    /// Revoke a key. Its connections are closed at once.
    Revoke {
        /// The key's id.
        id: KeyId,
    },
}

fn filter(text: &str) -> Result<TopicFilter, protocol::InvalidFilter> {
    TopicFilter::parse(text)
}

/// Kinds of keys that are made by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NewKeyKind {
    /// Subscribes, never publishes.
    Reader,
    /// Its own lists of what it may publish and subscribe to.
    Service,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token. It is shown now and never again.
    Create {
        /// What it may do.
        #[arg(long, default_value = "viewer")]
        role: RoleArg,
        /// Days until it is refused. Without it: never.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: Option<u32>,
        /// What people call it.
        #[arg(default_value = "")]
        name: String,
    },
    /// List all tokens, without what they are.
    List,
    /// Revoke a token.
    Revoke {
        /// The token's id.
        id: KeyId,
    },
}

/// What to do with people.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a person.
    Add {
        /// The name to log in with.
        name: String,
        /// What they may do.
        #[arg(long)]
        role: RoleArg,
        /// Read the password from standard input. (An argument would show in the list of processes.)
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// List all people.
    List,
    /// Give a person a new password. Their logins end.
    Password {
        /// The name they log in with.
        name: String,
        /// Read the password from standard input. (An argument would show in the list of processes.)
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Change what a person may do. Their logins end.
    Role {
        /// The name they log in with.
        name: String,
        /// What they may do.
        role: RoleArg,
    },
    /// Remove a person. The last admin stays.
    Remove {
        /// The name they log in with.
        name: String,
    },
    /// Turn a person's two-factor login off, for one who has lost the app and the recovery codes.
    ResetTwoFactor {
        /// The name they log in with.
        name: String,
    },
}

/// A role, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Looks and changes.
    Admin,
    /// Looks.
    Viewer,
}

impl From<RoleArg> for store::Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Admin => Self::Admin,
            RoleArg::Viewer => Self::Viewer,
        }
    }
}
