//! `openclaw-watch`: one admin opens one page and knows whether anything is broken.

use std::process::ExitCode;

use clap::Parser as _;
use server::cli::{Cli, Command};
use server::{commands, config, serve};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match config::load(cli.config.as_deref(), cli.data_dir.as_deref(), std::env::vars_os()) {
        Ok(config) => config,
        Err(error) => return commands::fail(&error, 2),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return commands::fail(&anyhow::Error::new(error).context("cannot start"), 1),
    };
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => runtime.block_on(serve::serve(config)),
        command => runtime.block_on(commands::run(command, &config, cli.json)),
    };
    // A task that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => commands::fail(&error, 1),
    }
}
