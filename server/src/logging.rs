//! Logs with tracing, on standard error.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat};

/// Starts logging. What the embedded router says of itself is only worth reading when it is trouble.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = format!("rumqttd=error,rumqttc=warn,sqlx=warn,{}", log.level);
    let filter = EnvFilter::try_new(&filter)
        .with_context(|| format!("[log] level \"{}\" is not a level or a filter", log.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_span_events(FmtSpan::NONE);
    let started = match log.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
