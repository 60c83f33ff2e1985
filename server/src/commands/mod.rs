//! Commands beside a running server, and without one.

mod backup;
mod device;
mod doctor;
mod export;
mod health;
mod key;
mod people;
mod who;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

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
        Command::Backup { file } => backup::make(&file, config, json).await,
        Command::Restore { file } => backup::restore(&file, config, json).await,
        Command::Doctor { full } => doctor::run(full, config, json).await,
        Command::Export(arguments) => export::run(arguments, config, json).await,
        Command::Health => health::run(config, json),
    }
}

pub(crate) async fn open(config: &Config, create: bool) -> anyhow::Result<Store> {
    serve::open_store(config, Clock::system(), create).await
}

/// One line on standard error that changes, for somebody who watches. Nothing for a file, a pipe or a script.
pub(crate) struct Line {
    shown: bool,
    last: String,
}

impl Line {
    pub(crate) fn new(json: bool) -> Self {
        Self { shown: !json && std::io::stderr().is_terminal(), last: String::new() }
    }

    pub(crate) fn say(&mut self, text: String) {
        if self.shown && text != self.last {
            // What cannot be shown is not missed.
            drop(write!(std::io::stderr(), "\r\x1b[2K{text}"));
            drop(std::io::stderr().flush());
            self.last = text;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.say(String::new());
    }
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
