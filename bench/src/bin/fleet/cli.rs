//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// A fleet of simulated devices, in one process, against a real server.
///
/// Each device behaves as the agent does: MQTT 3.1.1, a last will, a birth, then reports of about 1.5 KB with QoS 1, at
/// most 64 of them unacknowledged. By default the server is started in a folder of its own and stopped at the end, and
/// what was acknowledged is compared with what is in its database. Progress goes to standard error; the last line of
/// standard output is one line of JSON.
#[derive(Debug, Clone, Parser)]
#[command(name = "fleet", after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Cli {
    /// How many devices.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) devices: usize,
    /// Reports per second of the whole fleet; 0: each device sends as fast as it is acknowledged.
    #[arg(long, value_name = "R", default_value_t = 0.0)]
    pub(crate) rate: f64,
    /// For how long to send and measure, in seconds.
    #[arg(long, value_name = "S", default_value_t = 20)]
    pub(crate) seconds: u64,
    /// Use TLS, as agents do. Without it the connections are plain (the server allows that on this machine only).
    #[arg(long)]
    pub(crate) tls: bool,
    /// Each device also brings this many hours of reports that it could not send before, one for each 30 seconds.
    #[arg(long, value_name = "H", default_value_t = 0.0)]
    pub(crate) backlog: f64,
    /// Measure memory instead: each device sends its birth and one report and then only keeps its connection alive.
    #[arg(long)]
    pub(crate) idle: bool,
    /// Reports of one device that may be unacknowledged.
    #[arg(long, value_name = "W", default_value_t = usize::from(protocol::limits::AGENT_IN_FLIGHT))]
    pub(crate) window: usize,
    /// So many rows of history are there before the devices come; afterwards some questions about it are asked and timed.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "server")]
    pub(crate) rows: u64,
    /// Afterwards let SQLite alone, and mosquitto with a subscriber, do the same on this machine.
    #[arg(long)]
    pub(crate) yardsticks: bool,
    /// Do not open the page's live socket.
    #[arg(long)]
    pub(crate) no_live: bool,
    /// The server's program [default: beside this one; it is built when it is not there].
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
    /// Use this running server instead. What only the server's process and database can tell is null then.
    #[arg(long, value_name = "HOST:PORT", requires = "keys")]
    pub(crate) server: Option<String>,
    /// Keys of devices on that server, one a line, at least as many as there are devices.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  fleet --devices 200 --seconds 20 --tls               how much one server takes
  fleet --devices 1000 --rate 33 --seconds 30 --tls    how soon the page shows a report
  fleet --devices 1000 --idle --tls                    what an idle device costs the server
  fleet --devices 100 --backlog 24 --rate 3 --tls      a day's backlog after an outage
  fleet --rows 10000000 --tls --yardsticks             the same with a past, beside what others make of the machine";
