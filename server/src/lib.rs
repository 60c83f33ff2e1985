//! The server: assembles broker, recorder and dashboard around the store. `main.rs` tells the story.

mod alerting;
pub mod backups;
pub mod cli;
pub mod commands;
pub mod config;
pub mod data_dir;
pub mod lifecycle;
pub mod logging;
mod prices;
pub mod serve;
pub mod tls;
mod wiring;
