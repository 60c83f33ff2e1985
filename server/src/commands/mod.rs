//! Commands beside a running server, and without one.

mod device;
mod doctor;
mod health;
mod key;
mod people;
mod who;

use std::process::ExitCode;

use anyhow::Context as _;
use protocol::Clock;
use store::Store;

use crate::cli::Command;
use crate::config::Config;
use crate::serve;

/// Says what went wrong in one line, and ends with `code`.
#[expect(clippy::print_stderr, reason = "the command line's own words")]
pub fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    // One line, whatever the cause's own words look like.
    let text = format!("{error:#}");
    let words: Vec<&str> = text.split_whitespace().collect();
    eprintln!("error: {}", words.join(" "));
    ExitCode::from(code)
}

/// Runs a command.
pub async fn run(command: Command, config: &Config, json: bool) -> anyhow::Result<()> {
    match command {
        Command::Serve => serve::serve(config.clone()).await,
        Command::Device(command) => device::run(command, config, json).await,
        Command::Key(command) => key::run(command, config, json).await,
        Command::Token(command) => people::token(command, config, json).await,
        Command::User(command) => people::user(command, config, json).await,
        Command::Backup { file } => backup(&file, config, json).await,
        Command::Doctor => doctor::run(config, json).await,
        Command::Health => health::run(config, json),
    }
}

pub(crate) async fn open(config: &Config, create: bool) -> anyhow::Result<Store> {
    serve::open_store(config, Clock::system(), create).await
}

/// A result for scripts, or a text for people.
#[expect(clippy::print_stdout, reason = "a command's result")]
pub(crate) fn print(json: bool, value: &serde_json::Value, text: impl FnOnce() -> String) {
    if json {
        println!("{value}");
    } else {
        println!("{}", text());
    }
}

async fn backup(file: &std::path::Path, config: &Config, json: bool) -> anyhow::Result<()> {
    let store = open(config, false).await?;
    anyhow::ensure!(!file.exists(), "{} exists already; give a new name", file.display());
    store.backup(file).await?;
    let bytes = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    print(json, &serde_json::json!({ "file": file, "bytes": bytes }), || {
        format!(
            "wrote {} ({bytes} bytes)\nThe certificate is not in it: keep {} too, devices pin it.",
            file.display(),
            config.data_dir.join("tls").display()
        )
    });
    store.close().await;
    Ok(())
}
