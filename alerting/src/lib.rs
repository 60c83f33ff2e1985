//! Judges what was recorded, and tells people.
//!
//! A *rule* says what is wrong; an *alert* is a rule being true for one device, from when to when; a *delivery* is one
//! notification to one *channel*, in as many *attempts* as it takes.
//!
//! What is judged is in [`kinds`], what follows from that over time in [`Engine`]: a function of what is remembered, what
//! is learned and the time.

pub mod channels;
mod delivery;
mod digest;
mod dry_run;
mod engine;
pub mod facts;
mod fold;
mod judge;
pub mod kinds;
mod notification;
mod say;
mod tell;

pub use delivery::{ChannelTrouble, Deliveries, Tried, Troubles, try_channel};
pub use dry_run::{DryMoment, DryRun, DryRunError, Measurements, dry_run};
pub use engine::{Engine, Key, Ruleset, Transition, What};
pub use judge::{Judge, Server};
pub use notification::{Notification, Occasion, Subject};
