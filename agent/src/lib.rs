//! The device side of OpenClaw Watch: measures this machine and tells the server.
//!
//! # How a sample travels
//!
//! Every interval `collect` reads processor, memory, disks, network and the rest, on threads that may block. The
//! sample goes into the [`spool`], which numbers it (`seq`) and keeps it. `link` holds one MQTT connection to the
//! server: it was opened with a last will (`offline`), began with a birth (`online`), and now takes samples from the
//! spool and publishes them with QoS 1. The server's PUBACK means "stored", and only then the spool lets go of the
//! sample.
//!
//! When the connection is lost, sampling goes on. `runtime` connects anew, slower and slower (`backoff`), always with
//! a fresh client and the next epoch; then the present goes first and the backlog follows, marked `historical`, at a
//! measured pace. Whatever was sent twice, the server stores once.
//!
//! [`run`] is all of that; the binary adds a command line, signals and a log. What goes wrong with the connection is
//! a [`LinkError`], and [`explain`] says what to do about it.

mod address;
mod backoff;
mod blocking;
pub mod clock;
mod collect;
mod config;
mod host_watch;
mod link;
mod memory;
mod openclaw;
mod outbox;
mod runtime;
pub mod spool;
mod state;
mod tls;
mod trouble;

pub use address::{DEFAULT_PORT, InvalidAddress, ServerAddress, Transport};
pub use config::{Config, ConfigError, DEFAULT_FILE, Logging, OpenClawConfig, Secret, Settings};
pub use runtime::{Error, Finding, Preview, VERSION, check, once, preview, run};
pub use state::AlreadyRunning;
pub use tls::{InvalidPin, Pin};
pub use trouble::{Cause, LinkError, explain};
