//! What passes between the gate and the recorder. Both know only these types, not each other.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{DeviceId, KeyId, Timestamp, TopicName};

/// How surely a message travels (MQTT §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// At most once.
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
}

impl Qos {
    /// Reads the two bits of a packet.
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A message that the gate took from a client.
#[derive(Debug, Clone)]
pub struct Message {
    /// The device it comes from; `None` for a service.
    pub device: Option<DeviceId>,
    /// The key it came with.
    pub key: KeyId,
    /// Its topic.
    pub topic: TopicName,
    /// Its payload, as it was sent.
    pub payload: Bytes,
    /// Keep it for subscribers to come; an empty payload ends that.
    pub retain: bool,
    /// How surely the client sent it.
    pub qos: Qos,
    /// MQTT 5 properties that travel with a retained message, in their encoded form.
    pub properties: Bytes,
    /// The client's last will, published for it.
    pub will: bool,
    /// When the gate read it, by the server's clock.
    pub received_at: Timestamp,
}

/// A message on its way into the store, and whom to tell when it is there.
#[derive(Debug)]
pub struct Delivery {
    /// What was sent.
    pub message: Message,
    /// Whom to tell.
    pub ack: Ack,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is committed.
    Stored,
    /// It is committed, and something newer was there already: not to be retained.
    StoredLate,
    /// It was committed before, or newer news made it void: acknowledged, and nothing more.
    AlreadyStored,
    /// It will never be stored: its payload is not what its topic promises.
    Refused,
    /// It was not stored now; the sender must try again.
    NotStored,
}

/// Somebody who waits for deliveries.
pub trait Acknowledge: Send + Sync {
    /// Told once for each delivery, from any thread; must not block.
    fn acknowledge(&self, token: u64, outcome: Outcome);
}

/// The promise that an [`Acknowledge`] is told once: dropping it says [`Outcome::NotStored`].
pub struct Ack {
    to: Option<Arc<dyn Acknowledge>>,
    token: u64,
}

impl Ack {
    /// Tells `to`, with `token` to know the delivery by.
    pub fn new(to: Arc<dyn Acknowledge>, token: u64) -> Self {
        Self { to: Some(to), token }
    }

    /// Nobody waits.
    pub fn nobody() -> Self {
        Self { to: None, token: 0 }
    }

    /// Tells what became of the delivery.
    pub fn send(mut self, outcome: Outcome) {
        if let Some(to) = self.to.take() {
            to.acknowledge(self.token, outcome);
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            to.acknowledge(self.token, Outcome::NotStored);
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("token", &self.token).finish_non_exhaustive()
    }
}

/// A message from the server itself, already stored where it needs to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its topic.
    pub topic: TopicName,
    /// Its payload.
    pub payload: Bytes,
    /// Keep it for subscribers to come; an empty payload ends that.
    pub retain: bool,
}
