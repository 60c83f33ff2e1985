//! Judges what was recorded, and tells people.
//!
//! A *rule* says what is wrong; an *alert* is a rule being true for one device, from when to when; a *delivery* is one
//! notification to one *channel*, in as many *attempts* as it takes.

pub mod channels;
mod delivery;
mod notification;

pub use delivery::{ChannelTrouble, Deliveries, Tried, Troubles, try_channel};
pub use notification::{Notification, Occasion, Subject};
