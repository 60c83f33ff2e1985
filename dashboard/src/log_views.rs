//! What the API shows of what happened: errors and their groups, events, the audit log.

use serde::{Deserialize, Serialize};
use store::{AuditEntry, ErrorGroup, ErrorGroupDetail, ErrorRecord, FleetEvent};
use utoipa::ToSchema;

use crate::openapi::words;
use crate::views::rfc3339;

/// A part of the errors, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorListView {
    pub(crate) items: Vec<ErrorRowView>,
    /// Send it as `cursor` for what comes after; absent at the end.
    pub(crate) next: Option<String>,
}

/// An error or a crash, in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorRowView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) no: i64,
    pub(crate) device: String,
    pub(crate) device_name: String,
    /// When it happened; of several alike, when the first did.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// When the server was told.
    #[schema(format = DateTime)]
    pub(crate) received_at: String,
    #[cfg_attr(test, ts(type = "\"warning\" | \"error\" | \"exception\" | \"crash\" | \"unknown\""))]
    #[schema(schema_with = words::error_level)]
    pub(crate) level: &'static str,
    pub(crate) gateway: String,
    pub(crate) subsystem: Option<String>,
    pub(crate) message: String,
    /// What alike ones of all devices have in common.
    pub(crate) fingerprint: String,
    /// How many alike it stands for.
    pub(crate) count: u32,
    pub(crate) error_name: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) version: Option<String>,
}

/// An error or a crash, whole.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorRecordView {
    pub(crate) error: ErrorRowView,
    /// Where in the program.
    pub(crate) stack: Option<String>,
    /// Of a crash: the last lines of the log before it, oldest first.
    pub(crate) context: Vec<String>,
}

impl From<ErrorRecord> for ErrorRowView {
    fn from(error: ErrorRecord) -> Self {
        let record = error.record;
        Self {
            no: error.no,
            device: error.device.to_string(),
            device_name: error.device_name,
            at: rfc3339(record.at),
            received_at: rfc3339(error.received_at),
            level: record.level.as_str(),
            gateway: record.gateway,
            subsystem: record.subsystem,
            message: record.message,
            fingerprint: record.fingerprint,
            count: record.count,
            error_name: record.error_name,
            reason: record.reason,
            provider: record.provider,
            model: record.model,
            agent: record.agent,
            version: record.version,
        }
    }
}

impl From<ErrorRecord> for ErrorRecordView {
    fn from(mut error: ErrorRecord) -> Self {
        let stack = error.record.stack.take();
        let context = std::mem::take(&mut error.record.context);
        Self { error: error.into(), stack, context }
    }
}

/// A part of the groups.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorGroupListView {
    pub(crate) items: Vec<ErrorGroupView>,
    /// Send it as `cursor` for what comes after; absent at the end.
    pub(crate) next: Option<String>,
}

/// Errors of the whole fleet that are alike.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorGroupView {
    pub(crate) fingerprint: String,
    #[cfg_attr(test, ts(type = "\"warning\" | \"error\" | \"exception\" | \"crash\" | \"unknown\""))]
    #[schema(schema_with = words::error_level)]
    pub(crate) level: &'static str,
    /// Of the newest one.
    pub(crate) message: String,
    pub(crate) subsystem: Option<String>,
    pub(crate) error_name: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) first_seen_at: String,
    #[schema(format = DateTime)]
    pub(crate) last_seen_at: String,
    /// How many, also of records that are forgotten.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) count: i64,
    /// On how many devices.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) devices: i64,
    /// Under which versions of OpenClaw, the last seen first; at most 20.
    pub(crate) versions: Vec<String>,
    /// How many in each of the last 24 hours, the present one last.
    #[cfg_attr(test, ts(type = "Array<number>"))]
    pub(crate) recent: Vec<i64>,
    #[cfg_attr(test, ts(type = "\"open\" | \"resolved\" | \"ignored\""))]
    #[schema(schema_with = words::error_state)]
    pub(crate) state: &'static str,
    /// Since when it is in this state; absent when nobody ever decided.
    #[schema(format = DateTime)]
    pub(crate) state_at: Option<String>,
    /// Who decided; absent when it opened again by itself.
    pub(crate) state_by: Option<String>,
    /// When it happened again after it was resolved.
    #[schema(format = DateTime)]
    pub(crate) reopened_at: Option<String>,
}

impl From<ErrorGroup> for ErrorGroupView {
    fn from(group: ErrorGroup) -> Self {
        Self {
            fingerprint: group.fingerprint,
            level: group.level.as_str(),
            message: group.message,
            subsystem: group.subsystem,
            error_name: group.error_name,
            first_seen_at: rfc3339(group.first_seen_at),
            last_seen_at: rfc3339(group.last_seen_at),
            count: group.count,
            devices: group.devices,
            versions: group.versions,
            recent: group.recent,
            state: group.state.as_str(),
            state_at: group.state_at.map(rfc3339),
            state_by: group.state_by,
            reopened_at: group.reopened_at.map(rfc3339),
        }
    }
}

/// A group with where and when it is seen.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorGroupDetailView {
    pub(crate) group: ErrorGroupView,
    /// The last seen first; at most 200.
    pub(crate) devices: Vec<ErrorGroupDeviceView>,
    /// The last seen first; at most 20.
    pub(crate) versions: Vec<ErrorGroupVersionView>,
    /// The last 48 hours, oldest first.
    pub(crate) hours: Vec<TrendPointView>,
    /// The last 30 days of UTC, oldest first.
    pub(crate) days: Vec<TrendPointView>,
}

/// A device's share of a group.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorGroupDeviceView {
    pub(crate) device: String,
    pub(crate) name: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) count: i64,
    #[schema(format = DateTime)]
    pub(crate) first_seen_at: String,
    #[schema(format = DateTime)]
    pub(crate) last_seen_at: String,
}

/// A version's share of a group.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorGroupVersionView {
    pub(crate) version: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) count: i64,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) devices: i64,
    #[schema(format = DateTime)]
    pub(crate) first_seen_at: String,
    #[schema(format = DateTime)]
    pub(crate) last_seen_at: String,
}

/// How many in one hour or on one day.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TrendPointView {
    /// Its beginning.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) count: i64,
}

impl From<ErrorGroupDetail> for ErrorGroupDetailView {
    fn from(detail: ErrorGroupDetail) -> Self {
        let trend = |points: Vec<(protocol::Timestamp, i64)>| {
            points.into_iter().map(|(at, count)| TrendPointView { at: rfc3339(at), count }).collect()
        };
        let device = |share: store::GroupDevice| ErrorGroupDeviceView {
            device: share.device.to_string(),
            name: share.name,
            count: share.count,
            first_seen_at: rfc3339(share.first_seen_at),
            last_seen_at: rfc3339(share.last_seen_at),
        };
        let version = |share: store::GroupVersion| ErrorGroupVersionView {
            version: share.version,
            count: share.count,
            devices: share.devices,
            first_seen_at: rfc3339(share.first_seen_at),
            last_seen_at: rfc3339(share.last_seen_at),
        };
        Self {
            group: detail.group.into(),
            devices: detail.devices.into_iter().map(device).collect(),
            versions: detail.versions.into_iter().map(version).collect(),
            hours: trend(detail.hours),
            days: trend(detail.days),
        }
    }
}

/// What somebody decides about a group.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ErrorGroupPatch {
    #[cfg_attr(test, ts(type = "\"open\" | \"resolved\" | \"ignored\""))]
    #[schema(schema_with = words::error_state)]
    pub(crate) state: String,
}

/// A part of what happened, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct FleetEventListView {
    pub(crate) items: Vec<FleetEventView>,
    /// Send it as `cursor` for what comes after; absent at the end.
    pub(crate) next: Option<String>,
}

/// Something that happened on a device, or to the server.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct FleetEventView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) no: i64,
    /// Absent for the server itself.
    pub(crate) device: Option<String>,
    pub(crate) device_name: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// When the server was told.
    #[schema(format = DateTime)]
    pub(crate) received_at: String,
    pub(crate) kind: String,
    pub(crate) gateway: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) reason: Option<String>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) duration_ms: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) count: Option<u64>,
    pub(crate) action: Option<String>,
    pub(crate) status: Option<String>,
}

impl From<FleetEvent> for FleetEventView {
    fn from(event: FleetEvent) -> Self {
        let FleetEvent { no, device, received_at, kind, event } = event;
        let (device, device_name) = device.map(|(id, name)| (id.to_string(), name)).unzip();
        let (action, status) = event.activity.map_or((None, None), |a| (Some(a.action), a.status));
        Self {
            no,
            device,
            device_name,
            at: rfc3339(event.at),
            received_at: rfc3339(received_at),
            kind,
            gateway: event.gateway,
            from: event.from,
            to: event.to,
            reason: event.reason,
            duration_ms: event.duration_ms,
            count: event.count,
            action,
            status,
        }
    }
}

/// A part of the audit log, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AuditListView {
    pub(crate) items: Vec<AuditEntryView>,
    /// Send it as `cursor` for what comes after; absent at the end.
    pub(crate) next: Option<String>,
}

/// Something that was done on the server.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AuditEntryView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) no: i64,
    #[schema(format = DateTime)]
    pub(crate) at: String,
    #[cfg_attr(test, ts(type = "\"user\" | \"token\" | \"cli\" | \"server\""))]
    #[schema(schema_with = words::actor_kind)]
    pub(crate) actor_kind: &'static str,
    /// Empty for a refused login under a name that nobody has: it may be a password in the wrong field.
    pub(crate) actor: String,
    /// From where; absent for the command line and the server.
    pub(crate) address: Option<String>,
    /// Such as `device.rename`.
    pub(crate) action: String,
    pub(crate) subject_kind: Option<String>,
    pub(crate) subject_id: Option<String>,
    /// What it was called then.
    pub(crate) subject_name: Option<String>,
    /// What it was, without secrets.
    #[cfg_attr(test, ts(type = "unknown"))]
    pub(crate) before: Option<serde_json::Value>,
    /// What it is since, without secrets.
    #[cfg_attr(test, ts(type = "unknown"))]
    pub(crate) after: Option<serde_json::Value>,
    /// How many alike this stands for: refused logins.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) count: i64,
    /// When the last of them was.
    #[schema(format = DateTime)]
    pub(crate) last_at: Option<String>,
}

impl From<AuditEntry> for AuditEntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            no: entry.no,
            at: rfc3339(entry.at),
            actor_kind: entry.actor.kind.as_str(),
            actor: entry.actor.name,
            address: entry.actor.address.map(|address| address.to_string()),
            action: entry.action,
            subject_kind: entry.subject_kind,
            subject_id: entry.subject_id,
            subject_name: entry.subject_name,
            before: entry.before,
            after: entry.after,
            count: entry.count,
            last_at: entry.last_at.map(rfc3339),
        }
    }
}
