use serde::{Deserialize, Serialize};

use crate::{Payload, PayloadError, SpoolId, Timestamp, limits};

/// How safe a device's OpenClaw is: its own audit, and what the agent sees from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Version of this payload, 1.
    pub v: u32,
    /// The spool that counted it.
    pub spool: SpoolId,
    /// Its number in that spool.
    pub seq: u64,
    /// When it was written, by the device's clock.
    pub at: Timestamp,
    /// What each gateway's own audit (`openclaw security audit`) found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audits: Vec<GatewayAudit>,
    /// What the agent found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Ports that programs of this host listen on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
}

/// OpenClaw's audit of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayAudit {
    /// Whose, as in [`crate::Gateway::name`].
    pub gateway: String,
    /// When it ran.
    pub ran_at: Timestamp,
    /// Why it could not be made, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Something that makes a device less safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, such as `fs.state_dir.perms_world_writable`; the same on all devices.
    pub check: String,
    /// How bad it is.
    pub severity: FindingSeverity,
    /// It in a few words.
    pub title: String,
    /// More about it, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingSeverity {
    /// Good to know.
    Info,
    /// To be looked at.
    Warning,
    /// To be mended now.
    Critical,
    /// Not known to this version.
    #[serde(other)]
    Unknown,
}

/// A port that is listened on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address, such as `127.0.0.1`, or `0.0.0.0` or `::` for all of them.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The program's name, where it may be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
}

impl Payload for Audit {
    fn check(&self) -> Result<(), PayloadError> {
        if i64::try_from(self.seq).is_err() {
            return Err(PayloadError::Range("seq"));
        }
        let lists = [self.audits.len(), self.findings.len(), self.listeners.len()];
        let findings = self.findings.iter().chain(self.audits.iter().flat_map(|audit| &audit.findings));
        if lists.into_iter().any(|len| len > limits::MAX_LIST) || findings.clone().count() > limits::MAX_LIST
        {
            return Err(PayloadError::Range("a list"));
        }
        let short = |text: &str| text.chars().count() <= limits::MAX_TEXT_CHARS;
        let bounded =
            |text: &Option<String>| text.as_ref().is_none_or(|t| t.len() <= limits::MAX_MESSAGE_BYTES);
        let fine = findings
            .clone()
            .all(|f| short(&f.check) && short(&f.title) && bounded(&f.detail) && bounded(&f.remediation))
            && self.audits.iter().all(|a| short(&a.gateway) && bounded(&a.error))
            && self
                .listeners
                .iter()
                .all(|l| short(&l.protocol) && short(&l.address) && l.process.as_deref().is_none_or(short));
        if fine { Ok(()) } else { Err(PayloadError::Range("a text")) }
    }
}
