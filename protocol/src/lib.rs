//! The words both sides of OpenClaw Watch speak: topics, payloads, ids, keys, limits.
//!
//! No I/O and no runtime in here. Everything is built by a checked `parse` (or by a generator that takes its
//! randomness from the operating system) and is right by construction afterwards. The wire format is described
//! in `docs/PROTOCOL.md`; the golden files in `tests/golden` hold it still.

mod audit;
mod delivery;
mod event;
mod filter;
mod id;
mod identity;
mod key;
pub mod limits;
mod log;
mod openclaw;
mod packed;
mod presence;
mod report;
mod time;
mod topic;
mod usage;

pub use audit::{Audit, Finding, FindingSeverity, GatewayAudit, Listener};
pub use delivery::{Ack, Acknowledge, Delivery, Message, Outcome, Publication, Qos};
pub use event::{Activity, Event, EventKind, Events};
pub use filter::{InvalidFilter, InvalidTopicName, TopicFilter, TopicName};
pub use id::{BootId, DeviceId, InvalidId, KeyId, SpoolId};
pub use identity::{Identity, KeyKind};
pub use key::{ApiKey, InvalidKey, KeyHash, new_secret};
pub use log::{Log, LogLevel, LogRecord};
pub use openclaw::{
    ClawChannel, Cron, CronJob, Gateway, GatewayExit, GatewayOutcome, GatewayState, OpenClaw, Tasks,
    Workspace,
};
pub use packed::{pack, unpack};
pub use presence::{Host, OfflineReason, Presence, PresenceState};
pub use report::{
    AgentHealth, Battery, Cpu, Disk, Interface, Memory, Network, Process, Report, Temperature, Volume,
};
pub use time::{Clock, Timestamp};
pub use topic::{DeviceTopic, InvalidTopicRoot, Topic, TopicRoot};
pub use usage::{QUARTER_MILLIS, Usage, UsageRow, UsageTrigger};

use serde::de::DeserializeOwned;

/// Why a payload was not understood.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Longer than [`limits::MAX_PAYLOAD_BYTES`].
    #[error("the payload has {0} bytes, more than the limit of {max}", max = limits::MAX_PAYLOAD_BYTES)]
    TooLong(usize),
    /// A packed payload that cannot be unpacked.
    #[error("the packed payload cannot be unpacked")]
    Packed,
    /// Not JSON, or not JSON of this shape.
    #[error("the payload is not what its topic promises")]
    Shape(#[source] serde_json::Error),
    /// Valid JSON with a value that cannot be.
    #[error("the payload's field `{0}` is out of range")]
    Range(&'static str),
}

/// A payload that travels on a [`Topic`].
pub trait Payload: Sized + serde::Serialize + DeserializeOwned {
    /// Checks what the type itself cannot hold: lengths and ranges.
    fn check(&self) -> Result<(), PayloadError>;

    /// Reads a payload from its bytes.
    fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        if bytes.len() > limits::MAX_PAYLOAD_BYTES {
            return Err(PayloadError::TooLong(bytes.len()));
        }
        let payload: Self = serde_json::from_slice(bytes).map_err(PayloadError::Shape)?;
        payload.check()?;
        Ok(payload)
    }

    /// Writes the payload as UTF-8 JSON.
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("payloads have string keys and finite numbers only")
    }
}
