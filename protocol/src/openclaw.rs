use serde::{Deserialize, Serialize};

use crate::{PayloadError, Timestamp, limits};

/// What a gateway does, from the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayState {
    /// There is no OpenClaw on this device.
    #[default]
    NotInstalled,
    /// It is installed, and no gateway process is there.
    Stopped,
    /// It has begun and does not yet take work.
    Starting,
    /// It takes work, and says that all is well.
    Running,
    /// It takes work, but something of it fails; `failing` says what.
    Degraded,
    /// Its process is there and its port open, but it does not answer.
    Hung,
    /// It was told to stop and finishes what it has begun.
    Draining,
    /// A state that this version does not know, or one that could not be found out.
    #[serde(other)]
    Unknown,
}

impl GatewayState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInstalled => "not_installed",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Hung => "hung",
            Self::Draining => "draining",
            Self::Unknown => "unknown",
        }
    }
}

/// OpenClaw on a device. Without any gateway: not installed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OpenClaw {
    /// The state of the gateway that is worst off.
    pub state: GatewayState,
    /// Its version: the running one, else the installed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Every gateway of the host, one for each of OpenClaw's state folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<Gateway>,
}

/// One gateway. Whatever could not be found out is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    /// What it is called on this device: `default`, its profile, or `user/profile` where several users have one.
    pub name: String,
    /// What it does.
    pub state: GatewayState,
    /// In its own words what fails or is waited for, such as `startup-sidecars`; and `channel:NAME` for a channel that is
    /// not connected although the gateway calls itself ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// Why the agent sees less than there is, and what its owner can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The version that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version on disk. Another than the running one: a restart is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_version: Option<String>,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Resident memory of its process tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// Processor use of its process tree, in percent of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pct: Option<f64>,
    /// 99th percentile of its event loop's delay, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_loop_p99_ms: Option<f64>,
    /// Starts that it has on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boots: Option<u64>,
    /// Those of them that ended in a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crashes: Option<u64>,
    /// How the last one ended before the present one, or before now when it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<GatewayExit>,
    /// Its channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ClawChannel>,
    /// How many OpenClaw agents it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<u32>,
    /// How many sessions it keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    /// Those of them with something said in the last 15 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_active: Option<u32>,
    /// Its scheduled jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<Cron>,
    /// Its background tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Tasks>,
    /// Its agents' workspaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workspaces: Vec<Workspace>,
}

/// How a gateway's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayExit {
    /// How.
    pub outcome: GatewayOutcome,
    /// When, as far as it is known: a crash leaves no time of its own, then when it was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why, in words of OpenClaw, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a gateway's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayOutcome {
    /// It was asked to stop and did.
    CleanStop,
    /// It could not start: usually a wrong configuration (exit code 78).
    StartupFailed,
    /// It ended without a word: killed, out of memory, or an error nobody caught.
    Crashed,
    /// Not known to this version.
    #[serde(other)]
    Unknown,
}

/// A channel through which people talk to OpenClaw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClawChannel {
    /// Its kind, such as `telegram`, with its account where there are several: `telegram:work`.
    pub name: String,
    /// Whether it is connected; absent when only its configuration can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
}

/// Scheduled jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cron {
    /// How many are switched on.
    pub enabled: u32,
    /// How many of them failed when they last ran.
    pub failing: u32,
    /// How many should have run and did not, while the gateway was up.
    pub missed: u32,
    /// Those that fail or were missed, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubled: Vec<CronJob>,
}

/// A scheduled job in trouble. Its name is the owner's own words and stays on the device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronJob {
    /// Its id in OpenClaw.
    pub id: String,
    /// The OpenClaw agent that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// `ok`, `error` or `skipped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<String>,
    /// When it last ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Timestamp>,
    /// When it is due; in the past for a missed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// How often it failed since it last succeeded.
    #[serde(default)]
    pub consecutive_errors: u32,
}

/// Background tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// Waiting or running.
    pub active: u32,
    /// Running, with nothing heard of for half an hour.
    pub stuck: u32,
    /// Failed, timed out or lost within the last day.
    pub failed_day: u32,
}

/// An OpenClaw agent's workspace: how much there is, never what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Whose it is.
    pub agent: String,
    /// Files in it (not those of git); at most as many as the agent counts before it stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// Their size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When one last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// Of them memory files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_files: Option<u32>,
    /// Their size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// When the last commit was made, where the workspace is kept with git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
}

impl OpenClaw {
    pub(crate) fn check(&self) -> Result<(), PayloadError> {
        let short = |text: &str| text.chars().count() <= limits::MAX_TEXT_CHARS;
        let short_option = |text: &Option<String>| text.as_deref().is_none_or(short);
        if self.gateways.len() > limits::MAX_GATEWAYS {
            return Err(PayloadError::Range("openclaw.gateways"));
        }
        if !short_option(&self.version) {
            return Err(PayloadError::Range("openclaw.version"));
        }
        for gateway in &self.gateways {
            let lists = [
                gateway.failing.len(),
                gateway.channels.len(),
                gateway.workspaces.len(),
                gateway.cron.as_ref().map_or(0, |cron| cron.troubled.len()),
            ];
            if lists.into_iter().any(|len| len > limits::MAX_LIST) {
                return Err(PayloadError::Range("openclaw: a list"));
            }
            let texts = [&gateway.version, &gateway.installed_version];
            let jobs = gateway.cron.iter().flat_map(|cron| &cron.troubled);
            if !short(&gateway.name)
                || !texts.into_iter().all(short_option)
                || !gateway.failing.iter().all(|text| short(text))
                || !gateway.channels.iter().all(|channel| short(&channel.name))
                || !gateway.workspaces.iter().all(|workspace| short(&workspace.agent))
                || !jobs
                    .clone()
                    .all(|job| short(&job.id) && short_option(&job.agent) && short_option(&job.last_status))
                || [&gateway.problem, &gateway.last_exit.as_ref().and_then(|exit| exit.reason.clone())]
                    .into_iter()
                    .flatten()
                    .any(|text| text.len() > limits::MAX_MESSAGE_BYTES)
            {
                return Err(PayloadError::Range("openclaw: a text"));
            }
            let numbers = [gateway.cpu_pct, gateway.event_loop_p99_ms];
            if numbers.into_iter().flatten().any(|n| !(0.0..1e12).contains(&n))
                || [gateway.rss_bytes, gateway.boots, gateway.crashes]
                    .into_iter()
                    .flatten()
                    .any(|n| i64::try_from(n).is_err())
            {
                return Err(PayloadError::Range("openclaw: a number"));
            }
        }
        Ok(())
    }
}
