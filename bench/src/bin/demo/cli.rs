//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A fleet to look at: fills an empty data folder with the past of simulated devices, so that every view of the page has
/// something true-looking to show.
///
/// There are outages of every kind, crashes with the lines before them, repeating errors, token use over several models
/// and reasons, security findings, changes by people. The same seed gives the same past (but for ids and keys). Keys of
/// the devices are kept in DIR/demo-keys.json, so that `demo live` can go on as those devices.
#[derive(Debug, Parser)]
#[command(name = "demo", after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) fill: Option<Fill>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connects to a running server as the devices of a filled folder, and reports as their agents would, until it is
    /// stopped.
    Live(Live),
}

#[derive(Debug, Args)]
pub(crate) struct Fill {
    /// The folder to fill: a new one, or an empty one.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// How many devices.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub(crate) devices: u16,
    /// How many days their past is long.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u16).range(2..=400))]
    pub(crate) days: u16,
    /// Another seed, another past.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Adds devices whose names, tags, models and log lines are meant to break a page: HTML, emoji, directions, NUL, spreadsheet
    /// formulas, as long as the limits allow.
    #[arg(long)]
    pub(crate) hostile: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Live {
    /// The folder that was filled.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// The server's port for devices.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:38889")]
    pub(crate) server: String,
    /// Reports per second of the whole fleet [default: each device every 5 s].
    #[arg(long, value_name = "R")]
    pub(crate) rate: Option<f64>,
    /// Use TLS, as agents do. Without it the connections are plain (the server allows that on this machine only).
    #[arg(long)]
    pub(crate) tls: bool,
}

const EXAMPLES: &str = "Examples:
  demo --data-dir /tmp/demo                  40 devices, 40 days
  openclaw-watch serve --data-dir /tmp/demo  look at them; the server prints a link for the first login
  demo live --data-dir /tmp/demo             beside it: they go on
  demo --data-dir /tmp/odd --hostile         with texts that are meant to break a page";
