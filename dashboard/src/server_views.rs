//! What the API shows of the server itself, and of what everybody may see.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::neighbours::Attempt;
use crate::openapi::words;
use crate::views::rfc3339;

/// How long the past is kept, and what becomes of the disk.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RetentionView {
    pub(crate) kept: Vec<KeptView>,
    /// Bytes of the database above which the oldest samples go earlier; 0: no limit. `[retention] max_bytes`.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) max_bytes: u64,
    /// With less free, nothing is recorded. `[store] min_free_bytes`.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) min_free_bytes: u64,
    /// Of the file.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) database_bytes: u64,
    /// Of it, those that hold something: the rest is used again.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) used_bytes: u64,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) disk_free_bytes: Option<u64>,
    /// That come in, by the last half hour.
    pub(crate) samples_per_day: f64,
    /// By which the database grows now.
    pub(crate) growth_bytes_per_day: f64,
    /// By which it will grow for ever: usage, events, outages.
    pub(crate) lasting_bytes_per_day: f64,
    /// When as much expires as comes in; absent when it does already.
    #[schema(format = DateTime)]
    pub(crate) settles_at: Option<String>,
    /// How large the database is then.
    pub(crate) settled_bytes: f64,
    /// When the disk is full; absent when that is not within ten years.
    #[schema(format = DateTime)]
    pub(crate) full_at: Option<String>,
}

/// How long one thing is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct KeptView {
    /// `samples`, `five_minutes`, `hours` or `errors`.
    #[cfg_attr(test, ts(type = "\"samples\" | \"five_minutes\" | \"hours\" | \"errors\""))]
    pub(crate) what: &'static str,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) days: i64,
    /// The setting that changes it.
    pub(crate) setting: &'static str,
}

/// Copies of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct BackupsView {
    /// Where they are, on the server.
    pub(crate) folder: String,
    /// Hours between two; 0: only when somebody asks. `[backup] every_h`.
    pub(crate) every_h: u32,
    /// So many are kept. `[backup] keep`.
    pub(crate) keep: u32,
    /// Newest first.
    pub(crate) items: Vec<BackupView>,
    /// One is being made.
    pub(crate) running: bool,
    /// How the last one went.
    pub(crate) last: Option<LastBackupView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct BackupView {
    pub(crate) file: String,
    #[schema(format = DateTime)]
    pub(crate) at: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct LastBackupView {
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// What was wrong; absent when it is whole.
    pub(crate) error: Option<String>,
}

/// Somebody tried to connect to the device port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AttemptView {
    /// The last time.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    pub(crate) address: String,
    /// `accepted`, `unknown_key`, `revoked_key`, `expired_key`, `tls_failed`, `plain_refused`, `not_mqtt`, `bad_protocol`,
    /// `not_allowed`, `limited` or `timed_out`.
    #[cfg_attr(
        test,
        ts(
            type = "\"accepted\" | \"unknown_key\" | \"revoked_key\" | \"expired_key\" | \"tls_failed\" | \"plain_refused\" | \"not_mqtt\" | \"bad_protocol\" | \"not_allowed\" | \"limited\" | \"timed_out\""
        )
    )]
    pub(crate) outcome: &'static str,
    /// The device that the key named, whether or not its secret was right.
    pub(crate) device: Option<String>,
    pub(crate) device_name: Option<String>,
    /// More of why, in a word: of a TLS handshake the alert, `certificate_unknown` when the pin does not fit.
    pub(crate) detail: Option<String>,
    /// `tcp`, `websocket` or `http`.
    #[cfg_attr(test, ts(type = "\"tcp\" | \"websocket\" | \"http\""))]
    pub(crate) client: &'static str,
    /// Alike ones within a minute.
    pub(crate) count: u32,
}

impl AttemptView {
    pub(crate) fn of(attempt: Attempt, device_name: Option<String>) -> Self {
        Self {
            at: rfc3339(attempt.at),
            address: attempt.address.to_string(),
            outcome: attempt.outcome,
            device: attempt.device.map(|device| device.to_string()),
            device_name,
            detail: attempt.detail.map(std::borrow::Cow::into_owned),
            client: attempt.client,
            count: attempt.count,
        }
    }
}

/// What the status page shows, as an admin chose it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct StatusPageView {
    /// There is one, for everybody.
    pub(crate) enabled: bool,
    /// Its heading.
    pub(crate) title: String,
    /// A text under it.
    pub(crate) note: String,
    /// Ids, in the order in which the devices are shown.
    pub(crate) devices: Vec<String>,
    /// How much of the last 90 days each device was there.
    pub(crate) show_uptime: bool,
    /// Why one is not there.
    pub(crate) show_reason: bool,
}

/// What everybody may see.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct StatusView {
    pub(crate) title: String,
    pub(crate) note: String,
    /// Of when this is.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    pub(crate) devices: Vec<StatusDeviceView>,
}

/// A device as everybody may see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct StatusDeviceView {
    pub(crate) name: String,
    #[cfg_attr(test, ts(type = "\"online\" | \"offline\" | \"gateway_down\" | \"degraded\" | \"unknown\""))]
    #[schema(schema_with = words::status)]
    pub(crate) state: &'static str,
    /// When it came or went.
    #[schema(format = DateTime)]
    pub(crate) since: Option<String>,
    /// Why it is offline, if that is shown.
    pub(crate) reason: Option<&'static str>,
    /// Of the last 90 days, as far as they are known; if that is shown.
    pub(crate) uptime_90d_pct: Option<f64>,
    /// The same by day (UTC), oldest first, today last: null where nothing is known.
    pub(crate) days: Option<Vec<Option<f64>>>,
}
