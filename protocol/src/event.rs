use serde::{Deserialize, Serialize};

use crate::{Payload, PayloadError, SpoolId, Timestamp, limits};

/// Things that happened on a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// Version of this payload, 1.
    pub v: u32,
    /// The spool that counted it.
    pub spool: SpoolId,
    /// Its number in that spool.
    pub seq: u64,
    /// When it was written, by the device's clock.
    pub at: Timestamp,
    /// What happened, oldest first, at most [`limits::MAX_EVENTS`].
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To which gateway, as in [`crate::Gateway::name`]; absent for the host and the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// What it was before: a version, a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took or lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How many: reports dropped, turns counted, actions alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Of an activity: what was done and how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A gateway began to run.
    GatewayStarted,
    /// A gateway was stopped, as it was asked to.
    GatewayStopped,
    /// A gateway ended without being asked to.
    GatewayCrashed,
    /// A gateway could not start.
    GatewayStartFailed,
    /// A gateway does not answer any more.
    GatewayHung,
    /// A gateway is well again after it was hung or degraded.
    GatewayRecovered,
    /// A gateway says that something of it fails.
    GatewayDegraded,
    /// Another version runs than before.
    GatewayUpgraded,
    /// The host was started anew.
    HostRebooted,
    /// The machine slept.
    HostSlept,
    /// The device's clock was set.
    ClockStepped,
    /// The agent began to run.
    AgentStarted,
    /// The agent had to drop what it could not deliver.
    SpoolDropped,
    /// The history of token use was counted from the device's disk.
    UsageBackfilled,
    /// Something OpenClaw did, without its content.
    Activity,
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::GatewayStarted,
        Self::GatewayStopped,
        Self::GatewayCrashed,
        Self::GatewayStartFailed,
        Self::GatewayHung,
        Self::GatewayRecovered,
        Self::GatewayDegraded,
        Self::GatewayUpgraded,
        Self::HostRebooted,
        Self::HostSlept,
        Self::ClockStepped,
        Self::AgentStarted,
        Self::SpoolDropped,
        Self::UsageBackfilled,
        Self::Activity,
        Self::Unknown,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatewayStarted => "gateway_started",
            Self::GatewayStopped => "gateway_stopped",
            Self::GatewayCrashed => "gateway_crashed",
            Self::GatewayStartFailed => "gateway_start_failed",
            Self::GatewayHung => "gateway_hung",
            Self::GatewayRecovered => "gateway_recovered",
            Self::GatewayDegraded => "gateway_degraded",
            Self::GatewayUpgraded => "gateway_upgraded",
            Self::HostRebooted => "host_rebooted",
            Self::HostSlept => "host_slept",
            Self::ClockStepped => "clock_stepped",
            Self::AgentStarted => "agent_started",
            Self::SpoolDropped => "spool_dropped",
            Self::UsageBackfilled => "usage_backfilled",
            Self::Activity => "activity",
            Self::Unknown => "unknown",
        }
    }
}

/// Something OpenClaw did, from its own list of what it did, which holds no content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// What it was, such as `agent.run.finished` or `tool.action`.
    pub action: String,
    /// How it ended, such as `ok` or `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// OpenClaw's code for the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The OpenClaw agent that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The tool it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The channel it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// A hash of the session's key, made with a salt of the device: it tells sessions apart and names nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl Payload for Events {
    fn check(&self) -> Result<(), PayloadError> {
        if self.events.len() > limits::MAX_EVENTS {
            return Err(PayloadError::Range("events"));
        }
        if i64::try_from(self.seq).is_err() {
            return Err(PayloadError::Range("seq"));
        }
        for event in &self.events {
            let activity = event.activity.as_ref();
            let texts = [event.gateway.as_ref(), event.from.as_ref(), event.to.as_ref()];
            let of_activity = activity.map(|a| {
                [
                    Some(&a.action),
                    a.status.as_ref(),
                    a.error_code.as_ref(),
                    a.agent.as_ref(),
                    a.tool.as_ref(),
                    a.channel.as_ref(),
                    a.session.as_ref(),
                ]
            });
            let mut texts = texts.into_iter().chain(of_activity.into_iter().flatten()).flatten();
            if texts.any(|text| text.chars().count() > limits::MAX_TEXT_CHARS) {
                return Err(PayloadError::Range("a text"));
            }
            if event.reason.as_ref().is_some_and(|reason| reason.len() > limits::MAX_MESSAGE_BYTES) {
                return Err(PayloadError::Range("reason"));
            }
            if [event.duration_ms, event.count].into_iter().flatten().any(|n| i64::try_from(n).is_err()) {
                return Err(PayloadError::Range("a count"));
            }
        }
        Ok(())
    }
}
