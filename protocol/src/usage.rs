use serde::{Deserialize, Serialize};

use crate::{Payload, PayloadError, SpoolId, Timestamp, limits};

/// Length of the span that a [`UsageRow`] counts, in milliseconds: a quarter of an hour, so that the day of every time zone
/// is a sum of whole rows.
pub const QUARTER_MILLIS: i64 = 15 * 60 * 1000;

/// Token counts of OpenClaw, from the agent's ledger.
///
/// Each row is the whole total of its key so far, not a difference: a row that comes twice, late or out of order does no harm,
/// because of two totals of one key and one ledger the greater is the newer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Version of this payload, 1.
    pub v: u32,
    /// The spool that counted it.
    pub spool: SpoolId,
    /// Its number in that spool.
    pub seq: u64,
    /// When it was written, by the device's clock.
    pub at: Timestamp,
    /// The ledger that the totals are of. A device that lost its ledger counts anew what is still on its disk.
    pub ledger: SpoolId,
    /// Totals, at most [`limits::MAX_USAGE_ROWS`].
    pub rows: Vec<UsageRow>,
}

/// What was used in one quarter of an hour, by one model for one OpenClaw agent and one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// When the quarter began: a multiple of [`QUARTER_MILLIS`].
    pub quarter: Timestamp,
    /// The provider, as OpenClaw names it.
    pub provider: String,
    /// The model, as OpenClaw names it.
    pub model: String,
    /// The OpenClaw agent; `gateway:agent` where it is not of the default gateway.
    pub agent: String,
    /// What made it run.
    pub trigger: UsageTrigger,
    /// Answers of the model, failed ones included.
    #[serde(default)]
    pub turns: u64,
    /// Those of them that ended in an error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub error_turns: u64,
    /// Those of them that succeeded and for which the provider reported no usage: spent, and not measured.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unmetered_turns: u64,
    /// Tokens read, without those of the cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input: u64,
    /// Tokens written, with those of reasoning.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub output: u64,
    /// Tokens read from the provider's cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Tokens written into the provider's cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write: u64,
    /// Of the tokens written, those of reasoning.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning: u64,
    /// Cost as OpenClaw recorded it, in billionths of a US dollar.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost_nano_usd: u64,
    /// Tokens for which OpenClaw knew no price.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced: u64,
}

/// What made OpenClaw run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageTrigger {
    /// A person said something.
    Human,
    /// The heartbeat.
    Heartbeat,
    /// A scheduled job.
    Cron,
    /// Another agent.
    SubAgent,
    /// It cannot be known, or this version does not know it.
    #[default]
    #[serde(other)]
    Unknown,
}

impl UsageTrigger {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Heartbeat => "heartbeat",
            Self::Cron => "cron",
            Self::SubAgent => "sub_agent",
            Self::Unknown => "unknown",
        }
    }
}

impl UsageRow {
    /// What is counted, from `turns` to `unpriced`.
    pub fn counts(&self) -> [u64; 10] {
        [
            self.turns,
            self.error_turns,
            self.unmetered_turns,
            self.input,
            self.output,
            self.cache_read,
            self.cache_write,
            self.reasoning,
            self.cost_nano_usd,
            self.unpriced,
        ]
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Payload for Usage {
    fn check(&self) -> Result<(), PayloadError> {
        if self.rows.len() > limits::MAX_USAGE_ROWS {
            return Err(PayloadError::Range("rows"));
        }
        if i64::try_from(self.seq).is_err() {
            return Err(PayloadError::Range("seq"));
        }
        for row in &self.rows {
            if row.quarter.0 < 0 || row.quarter.0 % QUARTER_MILLIS != 0 {
                return Err(PayloadError::Range("quarter"));
            }
            if [&row.provider, &row.model, &row.agent]
                .into_iter()
                .any(|text| text.chars().count() > limits::MAX_TEXT_CHARS)
            {
                return Err(PayloadError::Range("a text"));
            }
            if row.counts().into_iter().any(|n| n > limits::MAX_USAGE_COUNT) {
                return Err(PayloadError::Range("a count"));
            }
        }
        Ok(())
    }
}
