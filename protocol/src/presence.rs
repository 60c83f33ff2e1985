use serde::{Deserialize, Serialize};

use crate::{BootId, Payload, PayloadError, Timestamp, limits};

/// Whether a device is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceState {
    /// Connected.
    Online,
    /// Not connected.
    Offline,
}

impl PresenceState {
    /// The plain word, as it stands on the `status` topic.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// Why a device went offline, as far as it is known at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfflineReason {
    /// The agent was asked to stop and said goodbye.
    Shutdown,
    /// The connection closed without a goodbye: the agent was killed, or the network dropped it.
    ConnectionLost,
    /// Nothing was heard for 1.5 times the keep-alive: cable pulled, host frozen.
    KeepAliveTimeout,
    /// The same device connected a second time.
    TakenOver,
    /// The device sent something that is not MQTT.
    ProtocolError,
    /// Its key was revoked.
    KeyRevoked,
    /// It did not come back after the server was restarted.
    ServerRestart,
    /// A reason that this version does not know.
    #[serde(other)]
    Unknown,
}

impl OfflineReason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::ConnectionLost => "connection_lost",
            Self::KeepAliveTimeout => "keep_alive_timeout",
            Self::TakenOver => "taken_over",
            Self::ProtocolError => "protocol_error",
            Self::KeyRevoked => "key_revoked",
            Self::ServerRestart => "server_restart",
            Self::Unknown => "unknown",
        }
    }
}

/// What is told of a host once per connection. Whatever could not be read is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The host's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Operating system or distribution, such as `Debian GNU/Linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Its version, such as `12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Kernel version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Processor architecture, such as `x86_64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Logical processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
}

/// A device's birth (`online`), farewell or will (`offline`).
///
/// `epoch` grows with every connection of a device. A will with an older epoch than the current birth is ignored,
/// so that a connection that was taken over cannot declare a living device dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Version of this payload, 1.
    pub v: u32,
    /// Online for a birth, offline for a farewell or a will.
    pub state: PresenceState,
    /// Which connection of the device this is about.
    pub epoch: u64,
    /// When it was said, by the device's clock. Absent in a will, which is written before the end it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why, when offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<OfflineReason>,
    /// Version of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// Which boot of the host this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<BootId>,
    /// What the host is, in a birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
}

impl Presence {
    /// The birth of a connection.
    pub fn birth(
        epoch: u64,
        at: Timestamp,
        agent_version: &str,
        boot_id: Option<BootId>,
        host: Host,
    ) -> Self {
        Self {
            v: 1,
            state: PresenceState::Online,
            epoch,
            at: Some(at),
            reason: None,
            agent_version: Some(agent_version.to_owned()),
            boot_id,
            host: Some(host),
        }
    }

    /// The will of a connection, left with the server when connecting.
    pub fn will(epoch: u64) -> Self {
        Self::offline(epoch, None, OfflineReason::ConnectionLost)
    }

    /// The farewell of a connection that ends on purpose.
    pub fn farewell(epoch: u64, at: Timestamp) -> Self {
        Self::offline(epoch, Some(at), OfflineReason::Shutdown)
    }

    /// The end of a connection for a known reason.
    pub fn offline(epoch: u64, at: Option<Timestamp>, reason: OfflineReason) -> Self {
        Self {
            v: 1,
            state: PresenceState::Offline,
            epoch,
            at,
            reason: Some(reason),
            agent_version: None,
            boot_id: None,
            host: None,
        }
    }
}

impl Payload for Presence {
    fn check(&self) -> Result<(), PayloadError> {
        let short =
            |text: &Option<String>| text.as_ref().is_none_or(|t| t.chars().count() <= limits::MAX_TEXT_CHARS);
        if !short(&self.agent_version) {
            return Err(PayloadError::Range("agent_version"));
        }
        if self.boot_id.as_ref().is_some_and(|b| b.0.len() > 64) {
            return Err(PayloadError::Range("boot_id"));
        }
        if i64::try_from(self.epoch).is_err() {
            return Err(PayloadError::Range("epoch"));
        }
        let host = self.host.as_ref();
        if host
            .is_some_and(|h| ![&h.hostname, &h.os, &h.os_version, &h.kernel, &h.arch].into_iter().all(short))
        {
            return Err(PayloadError::Range("host"));
        }
        Ok(())
    }
}
