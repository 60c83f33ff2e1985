//! Facts in, transitions out, in simulated time: one story for each rule, and for what holds for all of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::semicolon_if_nothing_returned,
    clippy::assigning_clones,
    unreachable_pub,
    missing_docs,
    reason = "a test"
)]

mod common;

#[path = "timelines/all_rules.rs"]
mod all_rules;
#[path = "timelines/devices.rs"]
mod devices;
#[path = "timelines/storms.rs"]
mod storms;
#[path = "timelines/tokens.rs"]
mod tokens;
