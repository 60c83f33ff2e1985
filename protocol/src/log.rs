use serde::{Deserialize, Serialize};

use crate::{Payload, PayloadError, SpoolId, Timestamp, limits};

/// Error and crash records of OpenClaw, redacted on the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// Version of this payload, 1.
    pub v: u32,
    /// The spool that counted it.
    pub spool: SpoolId,
    /// Its number in that spool.
    pub seq: u64,
    /// When it was written, by the device's clock.
    pub at: Timestamp,
    /// Records, oldest first, at most [`limits::MAX_LOG_RECORDS`].
    pub records: Vec<LogRecord>,
}

/// One error or crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When it happened; of several alike, when the first did.
    pub at: Timestamp,
    /// What it is.
    pub level: LogLevel,
    /// The gateway it is of, as in [`crate::Gateway::name`].
    pub gateway: String,
    /// The part of OpenClaw that wrote it, such as `agent/embedded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<String>,
    /// What it says, redacted.
    pub message: String,
    /// What alike records have in common: 16 hexadecimal digits, the same on all devices.
    pub fingerprint: String,
    /// How many alike it stands for, one after the other.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// The error's own name, such as `TypeError`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_name: Option<String>,
    /// OpenClaw's word for why a model failed, such as `rate_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The provider it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The OpenClaw agent it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The OpenClaw that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where in the program, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Of a crash: the last lines of the log before it, redacted, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// A warning that matters, such as a model's failure.
    Warning,
    /// An error that the gateway survived.
    Error,
    /// An error that nobody in the gateway caught.
    Exception,
    /// The end of a gateway that was not asked for.
    Crash,
    /// A level that this version does not know.
    #[serde(other)]
    Unknown,
}

impl LogLevel {
    /// Every level.
    pub const ALL: [Self; 5] = [Self::Warning, Self::Error, Self::Exception, Self::Crash, Self::Unknown];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Exception => "exception",
            Self::Crash => "crash",
            Self::Unknown => "unknown",
        }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_one(n: &u32) -> bool {
    *n == 1
}

impl Payload for Log {
    fn check(&self) -> Result<(), PayloadError> {
        if self.records.len() > limits::MAX_LOG_RECORDS {
            return Err(PayloadError::Range("records"));
        }
        if i64::try_from(self.seq).is_err() {
            return Err(PayloadError::Range("seq"));
        }
        for record in &self.records {
            if record.message.len() > limits::MAX_MESSAGE_BYTES {
                return Err(PayloadError::Range("message"));
            }
            if record.fingerprint.len() != 16
                || !record.fingerprint.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            {
                return Err(PayloadError::Range("fingerprint"));
            }
            let texts = [
                &record.subsystem,
                &record.error_name,
                &record.reason,
                &record.provider,
                &record.model,
                &record.agent,
                &record.version,
            ];
            let mut texts = texts.into_iter().flatten().chain([&record.gateway]);
            if texts.any(|text| text.chars().count() > limits::MAX_TEXT_CHARS) {
                return Err(PayloadError::Range("a text"));
            }
            if record.context.len() > limits::MAX_LIST {
                return Err(PayloadError::Range("context"));
            }
        }
        Ok(())
    }
}
