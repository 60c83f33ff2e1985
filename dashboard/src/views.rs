//! What the API shows. Views are not rows: they change when the API changes, not when the store does.
//! The page's types are generated from these (`just gen`), and a test keeps them equal.

mod openclaw;
mod usage;

use std::sync::Arc;

use protocol::{Host, Report, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Days, Device};
use utoipa::ToSchema;

use crate::openapi::words;

pub(crate) use openclaw::{GatewayView, OpenClawView};
pub(crate) use usage::{DeviceUsageView, PricesView, UsageGroupView, UsageSummaryView};

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| "1970-01-01T00:00:00.000Z".to_owned(), |at| format!("{at:.3}"))
}

/// Who is signed in, and what the page needs to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct SessionView {
    /// Nobody has been set up yet: follow the link that the server printed.
    pub(crate) setup_needed: bool,
    /// Who is signed in.
    pub(crate) user: Option<UserView>,
    /// What every changing request must send as `X-CSRF-Token`.
    pub(crate) csrf: Option<String>,
    /// The server's version.
    pub(crate) version: String,
    /// The server's clock.
    #[schema(format = DateTime)]
    pub(crate) server_time: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct UserView {
    pub(crate) name: String,
    #[cfg_attr(test, ts(type = "\"admin\" | \"viewer\""))]
    #[schema(schema_with = words::role)]
    pub(crate) role: &'static str,
    /// Their login asks for a code.
    pub(crate) two_factor: bool,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct SetupForm {
    pub(crate) token: String,
    pub(crate) name: String,
    pub(crate) password: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct LoginForm {
    pub(crate) name: String,
    pub(crate) password: String,
    /// Of the authenticator app, or a recovery code; asked for with `two_factor_needed`.
    #[cfg_attr(test, ts(optional))]
    pub(crate) code: Option<String>,
}

/// A device as the overview shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DeviceView {
    pub(crate) id: String,
    pub(crate) name: String,
    #[cfg_attr(test, ts(type = "\"agent\" | \"local\""))]
    #[schema(schema_with = words::device_kind)]
    pub(crate) kind: &'static str,
    pub(crate) tags: Vec<String>,
    pub(crate) online: bool,
    /// When it came or went; absent when it was never heard of.
    #[schema(format = DateTime)]
    pub(crate) since: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) last_seen_at: Option<String>,
    /// Why it is offline.
    pub(crate) reason: Option<&'static str>,
    pub(crate) agent_version: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    /// Grows with each change of name or tags by people: send it with a change, and of two at once the second is told.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) rev: i64,
    pub(crate) latest: Option<LatestView>,
    /// Absent while its agent has not looked.
    pub(crate) openclaw: Option<OpenClawView>,
    /// When its newest error or crash happened; warnings do not count.
    #[schema(format = DateTime)]
    pub(crate) last_error_at: Option<String>,
    /// By how many seconds its clock is behind the server's (negative: ahead); absent when that is little.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) clock_skew_s: Option<i64>,
    /// By the viewer's days; absent while nothing was ever counted.
    pub(crate) usage: Option<DeviceUsageView>,
}

/// The newest sample's main numbers; absent is not zero.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct LatestView {
    #[schema(format = DateTime)]
    pub(crate) at: String,
    pub(crate) cpu_pct: Option<f64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) memory_used_bytes: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) memory_total_bytes: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) disk_used_bytes: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) disk_total_bytes: Option<u64>,
    pub(crate) network_up_bytes_per_s: Option<f64>,
    pub(crate) network_down_bytes_per_s: Option<f64>,
}

/// Views of many devices, made one at a time while they are written.
pub(crate) struct Each<'a>(pub(crate) &'a [Arc<Device>], pub(crate) &'a Days);

impl Serialize for Each<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|device| DeviceView::of(device, self.1)))
    }
}

impl DeviceView {
    pub(crate) fn of(device: &Device, days: &Days) -> Self {
        let presence = device.presence.as_ref();
        let online = presence.as_ref().is_some_and(|p| p.online);
        Self {
            id: device.id.to_string(),
            name: device.name.clone(),
            kind: device.kind.as_str(),
            tags: device.tags.clone(),
            online,
            since: presence.as_ref().map(|p| rfc3339(p.since)),
            last_seen_at: device.last_seen_at.map(rfc3339),
            reason: presence.as_ref().and_then(|p| p.reason).map(protocol::OfflineReason::as_str),
            agent_version: presence.and_then(|p| p.agent_version.clone()),
            created_at: rfc3339(device.created_at),
            rev: device.rev,
            openclaw: device.latest.as_ref().and_then(|l| l.openclaw.as_deref()).map(OpenClawView::of),
            last_error_at: device.last_error_at.map(rfc3339),
            clock_skew_s: Some(device.clock_skew_ms / 1000).filter(|skew| *skew != 0),
            usage: device.usage.as_deref().map(|usage| DeviceUsageView::of(usage, days)),
            latest: device.latest.as_ref().map(|l| LatestView {
                at: rfc3339(l.at),
                cpu_pct: l.cpu_pct,
                memory_used_bytes: l.memory_used,
                memory_total_bytes: l.memory_total,
                disk_used_bytes: l.disk_used,
                disk_total_bytes: l.disk_total,
                network_up_bytes_per_s: l.network_up,
                network_down_bytes_per_s: l.network_down,
            }),
        }
    }
}

/// Something that happened on a device.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct EventView {
    #[schema(format = DateTime)]
    pub(crate) at: String,
    pub(crate) kind: &'static str,
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

impl From<protocol::Event> for EventView {
    fn from(event: protocol::Event) -> Self {
        let (action, status) = event.activity.map_or((None, None), |a| (Some(a.action), a.status));
        Self {
            at: rfc3339(event.at),
            kind: event.kind.as_str(),
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

/// A device with its last whole report.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DeviceDetailView {
    pub(crate) device: DeviceView,
    pub(crate) host: Option<HostView>,
    pub(crate) report: Option<ReportView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct HostView {
    pub(crate) hostname: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) os_version: Option<String>,
    pub(crate) kernel: Option<String>,
    pub(crate) arch: Option<String>,
    pub(crate) cores: Option<u32>,
}

impl From<Host> for HostView {
    fn from(host: Host) -> Self {
        let Host { hostname, os, os_version, kernel, arch, cores } = host;
        Self { hostname, os, os_version, kernel, arch, cores }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ReportView {
    #[schema(format = DateTime)]
    pub(crate) at: String,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) uptime_s: Option<u64>,
    pub(crate) boot_id: Option<String>,
    pub(crate) cpu: CpuView,
    pub(crate) memory: MemoryView,
    pub(crate) disk: DiskView,
    pub(crate) network: NetworkView,
    pub(crate) temperatures: Vec<TemperatureView>,
    pub(crate) battery: Option<BatteryView>,
    pub(crate) top_cpu: Vec<ProcessView>,
    pub(crate) top_memory: Vec<ProcessView>,
    pub(crate) agent: AgentHealthView,
    /// Every gateway of the host.
    pub(crate) gateways: Vec<GatewayView>,
}

/// How the agent itself is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AgentHealthView {
    /// Reports that wait for us.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) spooled: Option<u64>,
    /// Reports that it had to drop.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) dropped: Option<u64>,
    /// Why its spool is in memory only.
    pub(crate) spool_problem: Option<String>,
    /// Share of OpenClaw's history that has been counted; absent once it all is.
    pub(crate) backfill_pct: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct CpuView {
    pub(crate) pct: Option<f64>,
    pub(crate) cores: Vec<f64>,
    pub(crate) load1: Option<f64>,
    pub(crate) load5: Option<f64>,
    pub(crate) load15: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[expect(clippy::struct_field_names, reason = "the unit is part of each name in the API")]
pub(crate) struct MemoryView {
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) used_bytes: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) total_bytes: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) available_bytes: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) swap_used_bytes: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) swap_total_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DiskView {
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) used_bytes: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) total_bytes: Option<u64>,
    pub(crate) volumes: Vec<VolumeView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct VolumeView {
    pub(crate) mount: String,
    pub(crate) fs: Option<String>,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) used_bytes: u64,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) total_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NetworkView {
    pub(crate) up_bytes_per_s: Option<f64>,
    pub(crate) down_bytes_per_s: Option<f64>,
    pub(crate) interfaces: Vec<InterfaceView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct InterfaceView {
    pub(crate) name: String,
    pub(crate) up_bytes_per_s: Option<f64>,
    pub(crate) down_bytes_per_s: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TemperatureView {
    pub(crate) label: String,
    pub(crate) celsius: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct BatteryView {
    pub(crate) pct: f64,
    pub(crate) state: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ProcessView {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) cpu_pct: Option<f64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) memory_bytes: Option<u64>,
}

impl From<protocol::Process> for ProcessView {
    fn from(p: protocol::Process) -> Self {
        Self { pid: p.pid, name: p.name, cpu_pct: p.cpu_pct, memory_bytes: p.memory_bytes }
    }
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        let (cpu, memory, disk, network) = (report.cpu, report.memory, report.disk, report.network);
        let volumes = disk.volumes.into_iter().map(|v| VolumeView {
            mount: v.mount,
            fs: v.fs,
            used_bytes: v.used_bytes,
            total_bytes: v.total_bytes,
        });
        let interfaces = network.interfaces.into_iter().map(|i| InterfaceView {
            name: i.name,
            up_bytes_per_s: i.up_bytes_per_s,
            down_bytes_per_s: i.down_bytes_per_s,
        });
        Self {
            at: rfc3339(report.at),
            uptime_s: report.uptime_s,
            boot_id: report.boot_id.map(|b| b.0),
            cpu: CpuView {
                pct: cpu.pct,
                cores: cpu.cores,
                load1: cpu.load1,
                load5: cpu.load5,
                load15: cpu.load15,
            },
            memory: MemoryView {
                used_bytes: memory.used_bytes,
                total_bytes: memory.total_bytes,
                available_bytes: memory.available_bytes,
                swap_used_bytes: memory.swap_used_bytes,
                swap_total_bytes: memory.swap_total_bytes,
            },
            disk: DiskView {
                used_bytes: disk.used_bytes,
                total_bytes: disk.total_bytes,
                volumes: volumes.collect(),
            },
            network: NetworkView {
                up_bytes_per_s: network.up_bytes_per_s,
                down_bytes_per_s: network.down_bytes_per_s,
                interfaces: interfaces.collect(),
            },
            temperatures: report
                .temperatures
                .into_iter()
                .map(|t| TemperatureView { label: t.label, celsius: t.celsius })
                .collect(),
            battery: report.battery.map(|b| BatteryView { pct: b.pct, state: b.state }),
            top_cpu: report.top_cpu.into_iter().map(Into::into).collect(),
            top_memory: report.top_memory.into_iter().map(Into::into).collect(),
            agent: AgentHealthView {
                spooled: report.agent.spooled,
                dropped: report.agent.dropped,
                spool_problem: report.agent.spool_problem,
                backfill_pct: report.agent.backfill_pct,
            },
            gateways: report
                .openclaw
                .into_iter()
                .flat_map(|openclaw| openclaw.gateways)
                .map(Into::into)
                .collect(),
        }
    }
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewDevice {
    pub(crate) name: String,
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub(crate) tags: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DevicePatch {
    #[cfg_attr(test, ts(optional))]
    pub(crate) name: Option<String>,
    #[cfg_attr(test, ts(optional))]
    pub(crate) tags: Option<Vec<String>>,
    /// `rev` of the device as it was seen: when it is another now, nothing is changed (`conflict`).
    #[cfg_attr(test, ts(optional, type = "number"))]
    pub(crate) rev: Option<i64>,
}

/// A device with its new key, which is shown here and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AddedDeviceView {
    /// The device's id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The key, whole.
    pub key: String,
    /// What the agent checks the server's certificate against; absent when it is vouched for by a public authority.
    pub pin: Option<String>,
    /// `HOST:PORT` for devices.
    pub server: String,
    /// The line to run on the device.
    pub command: String,
    /// The same for other shells.
    pub commands: CommandsView,
}

/// The line to run on a device, by shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CommandsView {
    /// For sh, bash and zsh.
    pub unix: String,
    /// For PowerShell.
    pub powershell: String,
    /// As a container, from the image that this project's `Dockerfile` makes.
    pub docker: String,
}

/// One metric's values by step.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct SeriesView {
    pub(crate) min: Vec<Option<f64>>,
    pub(crate) avg: Vec<Option<f64>>,
    pub(crate) max: Vec<Option<f64>>,
}

/// What was measured, in columns: beside `at` and `step_s` a `SeriesView` for each metric by its name.
#[derive(Debug)]
pub(crate) struct SamplesView;

/// A span in which nothing could be heard of a device.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct GapView {
    #[schema(format = DateTime)]
    pub(crate) from: String,
    /// Absent while it lasts.
    #[schema(format = DateTime)]
    pub(crate) to: Option<String>,
    /// What it was (as in `/outages`); while that is not known, why the device went; `server_down` for the server's own
    /// absence.
    pub(crate) reason: &'static str,
}

impl utoipa::PartialSchema for SamplesView {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, Ref, Type, schema};
        let time = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(schema::SchemaFormat::KnownFormat(schema::KnownFormat::DateTime)));
        ObjectBuilder::new()
            .property("at", schema::ArrayBuilder::new().items(time))
            .property("step_s", ObjectBuilder::new().schema_type(Type::Integer))
            .property(
                "rung",
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["raw", "5m", "1h"])),
            )
            .property("n", schema::ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Integer)))
            .property(
                "late",
                schema::ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Boolean)),
            )
            .property(
                "openclaw",
                schema::ArrayBuilder::new().items(
                    ObjectBuilder::new()
                        .schema_type(schema::SchemaType::from_iter([Type::String, Type::Null])),
                ),
            )
            .property("gaps", schema::ArrayBuilder::new().items(Ref::from_schema_name("GapView")))
            .additional_properties(Some(Ref::from_schema_name("SeriesView")))
            .into()
    }
}

impl ToSchema for SamplesView {
    fn name() -> std::borrow::Cow<'static, str> {
        "SamplesView".into()
    }

    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        schemas.push(("SeriesView".to_owned(), <SeriesView as utoipa::PartialSchema>::schema()));
        schemas.push(("GapView".to_owned(), <GapView as utoipa::PartialSchema>::schema()));
    }
}

/// What is wrong, for those who may not know more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthView {
    /// `ok` or `failing`.
    pub status: &'static str,
    /// The store takes writes.
    pub store_writable: bool,
    /// The engine behind the broker answers.
    pub engine_alive: bool,
    /// For how many seconds nothing could be recorded; 0 while all is well.
    pub recorder_failing_s: i64,
    /// Why: `disk_low` (less than `[store] min_free_bytes` is free) or `store_fails`.
    pub trouble: Option<&'static str>,
    /// What is free on the disk of the database.
    pub disk_free_bytes: Option<u64>,
    /// `ok`, `checking` (after an unclean end) or `damaged`.
    pub database: &'static str,
    /// The last copy: `ok`, `failed`, `none` yet, or `off`.
    pub backup: &'static str,
    /// The server's version.
    pub version: &'static str,
}

#[cfg(test)]
mod tests {
    use ts_rs::TS as _;

    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/src/api/types.ts");

    fn generated() -> String {
        let config = ts_rs::Config::default();
        let mut out = String::from(
            "// Generated from dashboard/src/views.rs by `just gen`. Do not change it by hand; a test compares.\n",
        );
        macro_rules! add {
            ($($view:ty),* $(,)?) => { $(out.push_str("\nexport "); out.push_str(&<$view>::decl(&config)); out.push('\n');)* };
        }
        add!(
            SessionView,
            UserView,
            SetupForm,
            LoginForm,
            DeviceView,
            LatestView,
            OpenClawView,
            openclaw::ExitView,
            openclaw::ChannelCountView,
            DeviceUsageView,
            usage::UsageView,
            UsageGroupView,
            UsageSummaryView,
            usage::UsualView,
            usage::ForecastView,
            usage::ExpectedView,
            PricesView,
            usage::RatesView,
            usage::PriceView,
            usage::FlatRateView,
            usage::UnpricedModelView,
            crate::log_views::ErrorListView,
            crate::log_views::ErrorRowView,
            crate::log_views::ErrorRecordView,
            crate::log_views::ErrorGroupListView,
            crate::log_views::ErrorGroupView,
            crate::log_views::ErrorGroupDetailView,
            crate::log_views::ErrorGroupDeviceView,
            crate::log_views::ErrorGroupVersionView,
            crate::log_views::TrendPointView,
            crate::log_views::ErrorGroupPatch,
            crate::log_views::FleetEventListView,
            crate::log_views::FleetEventView,
            crate::log_views::AuditListView,
            crate::log_views::AuditEntryView,
            EventView,
            DeviceDetailView,
            HostView,
            ReportView,
            AgentHealthView,
            GatewayView,
            openclaw::ChannelView,
            openclaw::CronView,
            openclaw::CronJobView,
            openclaw::TasksView,
            openclaw::WorkspaceView,
            CpuView,
            MemoryView,
            DiskView,
            VolumeView,
            NetworkView,
            InterfaceView,
            TemperatureView,
            BatteryView,
            ProcessView,
            NewDevice,
            DevicePatch,
            AddedDeviceView,
            CommandsView,
            SeriesView,
            GapView,
            crate::history_views::OutageListView,
            crate::history_views::OutageView,
            crate::history_views::UptimeView,
            crate::history_views::FleetAtView,
            crate::api::alerts::AlertListView,
            crate::api::alerts::AlertView,
            crate::api::alerts::SaidView,
            crate::api::alerts::AlertMemberView,
            crate::api::alerts::AlertPatch,
            crate::alerting_views::ScopeView,
            crate::alerting_views::StepView,
            crate::alerting_views::RuleBodyView,
            crate::alerting_views::RuleView,
            crate::alerting_views::NewRule,
            crate::alerting_views::RulePatch,
            crate::alerting_views::RuleKindView,
            crate::alerting_views::RuleFieldView,
            crate::alerting_views::RuleChoiceView,
            crate::alerting_views::DryRunForm,
            crate::alerting_views::DryRunView,
            crate::alerting_views::DryMomentView,
            crate::alerting_views::DrySeriesView,
            crate::alerting_views::AlertChannelView,
            crate::alerting_views::ChannelTroubleView,
            crate::alerting_views::NewChannel,
            crate::alerting_views::ChannelPatch,
            crate::alerting_views::ChannelTest,
            crate::alerting_views::TriedView,
            crate::alerting_views::ChannelKindView,
            crate::alerting_views::ChannelFieldView,
            crate::alerting_views::ChannelChoiceView,
            crate::alerting_views::PauseWhen,
            crate::alerting_views::PauseView,
            crate::alerting_views::NewPause,
            crate::alerting_views::PausePatch,
            crate::alerting_views::AlertingView,
            crate::alerting_views::QuietHoursView,
            crate::alerting_views::DigestView,
            crate::alerting_views::DeliveryListView,
            crate::alerting_views::DeliveryView,
            crate::alerting_views::DeliveryAttemptView,
            crate::api::security::SecurityView,
            crate::api::security::FindingView,
            crate::api::security::FailedAuditView,
            crate::account_views::PersonView,
            crate::account_views::NewPerson,
            crate::account_views::PersonPatch,
            crate::account_views::PasswordForm,
            crate::account_views::NewTwoFactorView,
            crate::account_views::CodeForm,
            crate::account_views::RecoveryCodesView,
            crate::account_views::MyAccountView,
            crate::account_views::TokenView,
            crate::account_views::NewToken,
            crate::account_views::AddedTokenView,
            crate::account_views::KeyView,
            crate::account_views::NewKeyForm,
            crate::account_views::AddedKeyView,
            crate::account_views::CommandView,
            crate::account_views::Rotation,
            crate::server_views::RetentionView,
            crate::server_views::KeptView,
            crate::server_views::BackupsView,
            crate::server_views::BackupView,
            crate::server_views::LastBackupView,
            crate::server_views::AttemptView,
            crate::server_views::StatusPageView,
            crate::server_views::StatusView,
            crate::server_views::StatusDeviceView,
            crate::api::fleet::TrendsView,
            crate::api::fleet::TrendView,
            crate::live::FiringView,
            crate::live::NewsView,
            crate::live::Frame,
        );
        out.push_str(
            "\n/** Columns by metric name beside what is said of all of them. */\nexport type SamplesView = { at: Array<string>, step_s: number, rung: \"raw\" | \"5m\" | \"1h\", n: Array<number>, late: Array<boolean>, openclaw: Array<string | null>, gaps: Array<GapView> } & Record<string, SeriesView | Array<string> | number | string | Array<number> | Array<boolean> | Array<string | null> | Array<GapView>>;\n",
        );
        out.push_str("\nexport type ErrorView = { error: { code: string, message: string, fields?: Record<string, string> } };\n");
        out
    }

    #[test]
    fn the_pages_types_are_these() {
        let generated = generated();
        if std::env::var_os("UPDATE_TYPES").is_some() {
            std::fs::write(PATH, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(committed == generated, "web/src/api/types.ts is not what the views say: run `just gen`");
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(rfc3339(Timestamp(1_795_151_221_595)), "2026-11-20T05:07:01.595Z");
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000Z");
    }
}
