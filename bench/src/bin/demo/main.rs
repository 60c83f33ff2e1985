//! A fleet to look at. `--help` says what it does.
//!
//! What happens to a machine is decided first (`life`), as a function of the seed; what it measures (`sample`), what its
//! OpenClaw uses (`tokens`) and what goes wrong there (`errors`) are functions of that and of the moment. `teller` makes
//! messages of it, `fill` records them in an empty folder, `live` sends them to a server.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "invented measurements"
)]

mod alerts;
mod cast;
mod cli;
mod dice;
mod errors;
mod fill;
mod keys;
mod life;
mod live;
mod sample;
mod teller;
mod tokens;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use protocol::Clock;

use cli::{Cli, Command};

#[expect(clippy::print_stderr, reason = "progress is for the person who waits")]
fn say(text: &str) {
    eprintln!("demo: {text}");
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match (&cli.command, &cli.fill) {
        (Some(Command::Live(live)), _) => live::live(live, Clock::system()).await,
        (None, Some(fill)) => Box::pin(fill::fill(fill, Clock::system().now())).await,
        (None, None) => Err(anyhow::anyhow!("--data-dir is missing")).context("see `demo --help`"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
