//! What the API shows of the past: outages, uptime, the fleet as it was.

use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::words;
use crate::views::DeviceView;

/// A part of the outages, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct OutageListView {
    pub(crate) items: Vec<OutageView>,
    /// Send it as `cursor` for what comes after; absent at the end.
    pub(crate) next: Option<String>,
}

/// A span in which a device was offline.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct OutageView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) no: i64,
    pub(crate) device: String,
    pub(crate) device_name: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) from: String,
    /// Absent while it lasts.
    #[schema(format = DateTime)]
    pub(crate) to: Option<String>,
    /// Until now, while it lasts.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) duration_s: i64,
    /// What was known when it began.
    pub(crate) reason: Option<&'static str>,
    /// What it was; null while it lasts, and when nothing tells: no event, and nothing that was measured meanwhile.
    #[cfg_attr(
        test,
        ts(
            type = "\"host_rebooted\" | \"machine_slept\" | \"gateway_crashed\" | \"agent_restarted\" | \"server_down\" | \"network_only\" | null"
        )
    )]
    #[schema(schema_with = words::outage_label)]
    pub(crate) label: Option<&'static str>,
    /// Whether OpenClaw ran all the time; null when nothing was measured meanwhile, or it is not installed.
    pub(crate) openclaw_kept_running: Option<bool>,
}

/// How much of a span a device was there.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct UptimeView {
    #[schema(format = DateTime)]
    pub(crate) from: String,
    #[schema(format = DateTime)]
    pub(crate) to: String,
    /// Of the time that is known; absent when nothing is.
    pub(crate) uptime_pct: Option<f64>,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) online_s: i64,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) offline_s: i64,
}

/// The fleet as it was.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct FleetAtView {
    #[schema(format = DateTime)]
    pub(crate) time: String,
    /// How fine the numbers are.
    #[cfg_attr(test, ts(type = "\"raw\" | \"5m\" | \"1h\""))]
    pub(crate) rung: &'static str,
    /// The server was down: this is how things were before.
    pub(crate) server_down: bool,
    pub(crate) devices: Vec<DeviceView>,
}
