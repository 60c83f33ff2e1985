//! OpenClaw on a device, as the API shows it.

use protocol::{ClawChannel, CronJob, Gateway, GatewayExit, GatewayOutcome, OpenClaw, Workspace};
use serde::Serialize;
use utoipa::ToSchema;

use super::rfc3339;
use crate::openapi::words;

/// OpenClaw on a device in a few words.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct OpenClawView {
    /// Of the gateway that is worst off.
    #[cfg_attr(
        test,
        ts(
            type = "\"not_installed\" | \"stopped\" | \"starting\" | \"running\" | \"degraded\" | \"hung\" | \"draining\" | \"unknown\""
        )
    )]
    #[schema(schema_with = words::gateway_state)]
    pub(crate) state: &'static str,
    pub(crate) version: Option<String>,
    /// The version on disk, where it is not the one that runs: a restart is due.
    pub(crate) restart_for: Option<String>,
    /// What fails or is waited for, in OpenClaw's own words.
    pub(crate) failing: Vec<String>,
    /// Why the agent sees less than there is, and what to do about it.
    pub(crate) problem: Option<String>,
    /// How the gateway that is worst off ended, when it does not run.
    pub(crate) exit: Option<ExitView>,
    /// Channels of all gateways; absent when none is known.
    pub(crate) channels: Option<ChannelCountView>,
}

/// How a gateway's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ExitView {
    /// `clean_stop`, `startup_failed`, `crashed` or `unknown`.
    #[cfg_attr(test, ts(type = "\"clean_stop\" | \"startup_failed\" | \"crashed\" | \"unknown\""))]
    pub(crate) outcome: &'static str,
    #[schema(format = DateTime)]
    pub(crate) at: Option<String>,
    /// In OpenClaw's words, redacted.
    pub(crate) reason: Option<String>,
}

/// How many channels work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ChannelCountView {
    /// Connected, or not known not to be.
    pub(crate) up: usize,
    pub(crate) all: usize,
}

/// One gateway of a device. Whatever could not be found out is null.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct GatewayView {
    /// What it is called on its device.
    pub(crate) name: String,
    #[cfg_attr(test, ts(type = "OpenClawView[\"state\"]"))]
    #[schema(schema_with = words::gateway_state)]
    pub(crate) state: &'static str,
    pub(crate) failing: Vec<String>,
    pub(crate) problem: Option<String>,
    /// The version that runs.
    pub(crate) version: Option<String>,
    /// The version on disk.
    pub(crate) installed_version: Option<String>,
    pub(crate) pid: Option<u32>,
    #[schema(format = DateTime)]
    pub(crate) started_at: Option<String>,
    /// Resident memory of its process tree.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) rss_bytes: Option<u64>,
    /// Percent of one core.
    pub(crate) cpu_pct: Option<f64>,
    /// 99th percentile of its event loop's delay, in milliseconds.
    pub(crate) event_loop_p99_ms: Option<f64>,
    /// Starts that it has on record, of about a day.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) boots: Option<u64>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) crashes: Option<u64>,
    pub(crate) last_exit: Option<ExitView>,
    pub(crate) channels: Vec<ChannelView>,
    pub(crate) agents: Option<u32>,
    pub(crate) sessions: Option<u32>,
    /// With something said in the last 15 minutes.
    pub(crate) sessions_active: Option<u32>,
    pub(crate) cron: Option<CronView>,
    pub(crate) tasks: Option<TasksView>,
    pub(crate) workspaces: Vec<WorkspaceView>,
}

/// A channel through which people talk to OpenClaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ChannelView {
    pub(crate) name: String,
    /// Null when only its configuration can be seen.
    pub(crate) connected: Option<bool>,
}

/// Scheduled jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct CronView {
    pub(crate) enabled: u32,
    pub(crate) failing: u32,
    pub(crate) missed: u32,
    /// Those that fail or were missed, at most 20.
    pub(crate) troubled: Vec<CronJobView>,
}

/// A scheduled job in trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct CronJobView {
    pub(crate) id: String,
    pub(crate) agent: Option<String>,
    pub(crate) last_status: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) last_run_at: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) due_at: Option<String>,
    pub(crate) consecutive_errors: u32,
}

/// Background tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TasksView {
    pub(crate) active: u32,
    pub(crate) stuck: u32,
    pub(crate) failed_day: u32,
}

/// An OpenClaw agent's workspace: how much there is, never what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct WorkspaceView {
    pub(crate) agent: String,
    pub(crate) files: Option<u32>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) bytes: Option<u64>,
    #[schema(format = DateTime)]
    pub(crate) changed_at: Option<String>,
    pub(crate) memory_files: Option<u32>,
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) memory_bytes: Option<u64>,
    #[schema(format = DateTime)]
    pub(crate) committed_at: Option<String>,
}

impl From<GatewayExit> for ExitView {
    fn from(GatewayExit { outcome, at, reason }: GatewayExit) -> Self {
        let outcome = match outcome {
            GatewayOutcome::CleanStop => "clean_stop",
            GatewayOutcome::StartupFailed => "startup_failed",
            GatewayOutcome::Crashed => "crashed",
            GatewayOutcome::Unknown => "unknown",
        };
        Self { outcome, at: at.map(rfc3339), reason }
    }
}

/// Whether a running gateway is not the one on disk.
fn restart_for(gateway: &Gateway) -> Option<&String> {
    gateway.installed_version.as_ref().filter(|on_disk| {
        gateway.pid.is_some() && gateway.version.as_ref().is_some_and(|runs| runs != *on_disk)
    })
}

impl OpenClawView {
    pub(super) fn of(openclaw: &OpenClaw) -> Self {
        let worst = openclaw.gateways.iter().find(|gateway| gateway.state == openclaw.state);
        let channels = openclaw.gateways.iter().flat_map(|gateway| &gateway.channels);
        let (up, all) = channels
            .fold((0, 0), |(up, all), channel| (up + usize::from(channel.connected != Some(false)), all + 1));
        let exit =
            worst.filter(|gateway| gateway.pid.is_none()).and_then(|gateway| gateway.last_exit.clone());
        Self {
            state: openclaw.state.as_str(),
            version: openclaw.version.clone(),
            restart_for: openclaw.gateways.iter().find_map(restart_for).cloned(),
            failing: worst.map(|gateway| gateway.failing.clone()).unwrap_or_default(),
            problem: openclaw.gateways.iter().find_map(|gateway| gateway.problem.clone()),
            exit: exit.map(Into::into),
            channels: (all > 0).then_some(ChannelCountView { up, all }),
        }
    }
}

impl From<Gateway> for GatewayView {
    fn from(gateway: Gateway) -> Self {
        let job = |job: CronJob| CronJobView {
            id: job.id,
            agent: job.agent,
            last_status: job.last_status,
            last_run_at: job.last_run_at.map(rfc3339),
            due_at: job.due_at.map(rfc3339),
            consecutive_errors: job.consecutive_errors,
        };
        let workspace = |workspace: Workspace| WorkspaceView {
            agent: workspace.agent,
            files: workspace.files,
            bytes: workspace.bytes,
            changed_at: workspace.changed_at.map(rfc3339),
            memory_files: workspace.memory_files,
            memory_bytes: workspace.memory_bytes,
            committed_at: workspace.committed_at.map(rfc3339),
        };
        let channel = |ClawChannel { name, connected }: ClawChannel| ChannelView { name, connected };
        Self {
            name: gateway.name,
            state: gateway.state.as_str(),
            failing: gateway.failing,
            problem: gateway.problem,
            version: gateway.version,
            installed_version: gateway.installed_version,
            pid: gateway.pid,
            started_at: gateway.started_at.map(rfc3339),
            rss_bytes: gateway.rss_bytes,
            cpu_pct: gateway.cpu_pct,
            event_loop_p99_ms: gateway.event_loop_p99_ms,
            boots: gateway.boots,
            crashes: gateway.crashes,
            last_exit: gateway.last_exit.map(Into::into),
            channels: gateway.channels.into_iter().map(channel).collect(),
            agents: gateway.agents,
            sessions: gateway.sessions,
            sessions_active: gateway.sessions_active,
            cron: gateway.cron.map(|cron| CronView {
                enabled: cron.enabled,
                failing: cron.failing,
                missed: cron.missed,
                troubled: cron.troubled.into_iter().map(job).collect(),
            }),
            tasks: gateway.tasks.map(|tasks| TasksView {
                active: tasks.active,
                stuck: tasks.stuck,
                failed_day: tasks.failed_day,
            }),
            workspaces: gateway.workspaces.into_iter().map(workspace).collect(),
        }
    }
}
