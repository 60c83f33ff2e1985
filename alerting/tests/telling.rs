//! How people are told: channels against servers that check what is sent to them, and deliveries from the database to them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "a test")]

#[path = "telling/deliveries.rs"]
mod deliveries;
#[path = "telling/elsewhere.rs"]
mod elsewhere;
#[path = "telling/email.rs"]
mod email;
#[path = "telling/here.rs"]
mod here;
#[path = "telling/proxy.rs"]
mod proxy;
#[path = "telling/vendors.rs"]
mod vendors;
#[path = "telling/weather.rs"]
mod weather;
