//! The agent as a program: command line, signals, log, exit code.

mod cli;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use agent::{Config, ConfigError, Logging, Settings};
use anyhow::Context as _;
use clap::Parser as _;
use protocol::Clock;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{Cli, Command};

const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => options.settings().map_err(Into::into).and_then(run),
        Command::Show(options) => options.settings().map_err(Into::into).and_then(|settings| show(&settings)),
        Command::Once(options) => options.settings().map_err(Into::into).and_then(once),
        Command::Check(options) => options.settings().map_err(Into::into).and_then(check),
    };
    result.unwrap_or_else(|error| {
        complain(&error);
        if error.is::<ConfigError>() { ExitCode::from(WRONG_CONFIGURATION) } else { ExitCode::FAILURE }
    })
}

fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let config = prepare(settings)?;
    block_on(async {
        let shutdown = CancellationToken::new();
        let stop = stop_signal()?;
        let mut agent = std::pin::pin!(agent::run(config, Clock::system(), shutdown.clone()));
        tokio::select! {
            result = &mut agent => result?,
            () = stop => {
                shutdown.cancel();
                agent.await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn once(settings: Settings) -> anyhow::Result<ExitCode> {
    let config = prepare(settings)?;
    block_on(async {
        agent::once(config, Clock::system()).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn show(settings: &Settings) -> anyhow::Result<ExitCode> {
    start_log(settings.logging()?);
    let interval = settings.interval()?;
    let device = settings.api_key()?.map_or_else(|| "<device>".to_owned(), |key| key.subject().to_string());
    let root = settings.topic_root()?;
    let openclaw = settings.openclaw();
    block_on(async {
        let preview = agent::preview(interval, &openclaw, &Clock::system()).await;
        let topic = |what: &str| format!("{root}/{device}/{what}");
        let mut messages = vec![
            (topic("presence"), serde_json::to_string_pretty(&preview.birth)?),
            (topic("report"), serde_json::to_string_pretty(&preview.report)?),
        ];
        for usage in &preview.usage {
            messages.push((topic("usage"), serde_json::to_string_pretty(usage)?));
        }
        if let Some(log) = &preview.log {
            messages.push((topic("log"), serde_json::to_string_pretty(log)?));
        }
        if let Some(events) = &preview.events {
            messages.push((topic("event"), serde_json::to_string_pretty(events)?));
        }
        if let Some(audit) = &preview.audit {
            messages.push((topic("audit"), serde_json::to_string_pretty(audit)?));
        }
        // A list and not an object: there may be several messages of one topic.
        let messages = messages
            .into_iter()
            .map(|(topic, payload)| format!("{{\"topic\": \"{topic}\", \"payload\": {payload}}}"));
        print(&format!("[\n{}\n]", messages.collect::<Vec<_>>().join(",\n")))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn check(settings: Settings) -> anyhow::Result<ExitCode> {
    let config = prepare(settings)?;
    block_on(async {
        let findings = agent::check(&config, &Clock::system()).await;
        for finding in &findings {
            let mark = match finding.fine {
                Some(true) => "ok    ",
                Some(false) => "FAILED",
                None => "-     ",
            };
            print(&format!("{mark}  {}", finding.text))?;
        }
        let failed = findings.iter().any(|finding| finding.fine == Some(false));
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

fn prepare(settings: Settings) -> Result<Config, ConfigError> {
    let logging = settings.logging()?;
    let config = settings.into_config()?;
    start_log(logging);
    Ok(config)
}

fn start_log(Logging { json, level }: Logging) {
    let level = LevelFilter::from_level(level);
    // Libraries may write whole packets into their most detailed log, and our first packet holds the key: of them only
    // warnings are let through.
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("agent", level)
        .with_target("openclaw_watch_agent", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let lines = if json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// One thread does everything but what may block: the reading of meters, and asking for names. That is done by helpers
/// with small stacks, as many as are needed; a name server that does not answer can hold several for a while.
fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .thread_stack_size(512 * 1024)
        .build()
        .context("the asynchronous runtime cannot start")?;
    let result = runtime.block_on(work);
    // A meter that hangs must not keep the program from ending.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// Resolves when the program is asked to stop.
#[cfg(unix)]
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).context("signals cannot be received");
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Resolves when the program is asked to stop.
#[cfg(windows)]
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};
    let mut interrupt = ctrl_c().context("signals cannot be received")?;
    let mut close = ctrl_close().context("signals cannot be received")?;
    let mut shutdown = ctrl_shutdown().context("signals cannot be received")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
    })
}

fn print(line: &str) -> std::io::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        // Whoever read us has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn complain(error: &anyhow::Error) {
    // Nobody is left to tell when standard error is gone.
    writeln!(std::io::stderr(), "error: {error:#}").ok();
}
