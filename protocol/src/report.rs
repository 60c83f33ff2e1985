use serde::{Deserialize, Serialize};

use crate::{BootId, OpenClaw, Payload, PayloadError, SpoolId, Timestamp, limits};

/// One sample of everything measured. Whatever could not be read is absent, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this payload, 1.
    pub v: u32,
    /// The spool that counted it.
    pub spool: SpoolId,
    /// Its number in that spool; grows by one for ever.
    pub seq: u64,
    /// When it was measured, by the device's clock.
    pub at: Timestamp,
    /// Sent after the fact, from the spool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
    /// Seconds until the next report is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u32>,
    /// Seconds since the host booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_s: Option<u64>,
    /// Which boot of the host this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<BootId>,
    /// Processor.
    #[serde(default)]
    pub cpu: Cpu,
    /// Memory and swap.
    #[serde(default)]
    pub memory: Memory,
    /// Disks.
    #[serde(default)]
    pub disk: Disk,
    /// Network.
    #[serde(default)]
    pub network: Network,
    /// Temperature sensors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temperatures: Vec<Temperature>,
    /// Battery, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery: Option<Battery>,
    /// The five processes that use the most CPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_cpu: Vec<Process>,
    /// The five processes that use the most memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_memory: Vec<Process>,
    /// OpenClaw on this device; absent while the agent has not looked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openclaw: Option<OpenClaw>,
    /// How the agent itself is doing.
    #[serde(default)]
    pub agent: AgentHealth,
}

/// Processor use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Percent of all cores together, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pct: Option<f64>,
    /// Percent of each core, 0 to 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cores: Vec<f64>,
    /// Load average over one minute (not on Windows).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load1: Option<f64>,
    /// Over five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load5: Option<f64>,
    /// Over fifteen minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load15: Option<f64>,
}

/// Memory and swap, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// In use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// In the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Can be given to programs without swapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_bytes: Option<u64>,
    /// Swap in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_used_bytes: Option<u64>,
    /// Swap there is; 0 when the host has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_total_bytes: Option<u64>,
}

/// Disks: every real file system once, and their sum. In bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// In use on all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// Size of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
}

/// One file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Where it is mounted, such as `/` or `C:\`.
    pub mount: String,
    /// Its kind, such as `ext4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs: Option<String>,
    /// In use, in bytes.
    pub used_bytes: u64,
    /// Its size, in bytes.
    pub total_bytes: u64,
}

/// Network traffic of the real interfaces, in bytes per second since the report before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Sent by all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_bytes_per_s: Option<f64>,
    /// Received by all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_bytes_per_s: Option<f64>,
    /// Each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// Sent, in bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_bytes_per_s: Option<f64>,
    /// Received, in bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_bytes_per_s: Option<f64>,
}

/// One temperature sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// The sensor's name.
    pub label: String,
    /// Degrees Celsius.
    pub celsius: f64,
}

/// A battery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Battery {
    /// Charge in percent.
    pub pct: f64,
    /// `charging`, `discharging`, `full` or `unknown`.
    pub state: String,
}

/// One process of the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name, without arguments (they may hold secrets).
    pub name: String,
    /// Percent of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pct: Option<f64>,
    /// Resident memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// How the agent itself is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentHealth {
    /// Reports waiting in the spool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spooled: Option<u64>,
    /// Reports that the spool had to drop since it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
    /// Why the spool is kept in memory only, and would be lost with the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool_problem: Option<String>,
    /// Share of OpenClaw's history that has been counted, in percent; absent once it all is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill_pct: Option<u8>,
}

impl Payload for Report {
    fn check(&self) -> Result<(), PayloadError> {
        // SQLite's integers are signed, and a value beyond them is no measurement.
        let byte_counts = [
            self.memory.used_bytes,
            self.memory.total_bytes,
            self.memory.available_bytes,
            self.memory.swap_used_bytes,
            self.memory.swap_total_bytes,
            self.disk.used_bytes,
            self.disk.total_bytes,
            self.uptime_s,
            Some(self.seq),
        ];
        if byte_counts.into_iter().flatten().any(|n| i64::try_from(n).is_err()) {
            return Err(PayloadError::Range("a count"));
        }
        let rates = [self.network.up_bytes_per_s, self.network.down_bytes_per_s];
        if rates.into_iter().flatten().any(|rate| !(0.0..=1e15).contains(&rate)) {
            return Err(PayloadError::Range("network"));
        }
        if self.cpu.pct.is_some_and(|pct| !(0.0..=100.0).contains(&pct)) {
            return Err(PayloadError::Range("cpu.pct"));
        }
        let lists = [
            self.cpu.cores.len(),
            self.disk.volumes.len(),
            self.network.interfaces.len(),
            self.temperatures.len(),
            self.top_cpu.len(),
            self.top_memory.len(),
        ];
        if lists.into_iter().any(|len| len > limits::MAX_LIST) {
            return Err(PayloadError::Range("a list"));
        }
        let finite = |value: &f64| value.is_finite() && value.abs() < 1e15;
        let numbers = [self.cpu.load1, self.cpu.load5, self.cpu.load15, self.battery.as_ref().map(|b| b.pct)];
        let temperatures = self.temperatures.iter().map(|t| &t.celsius);
        if !numbers.iter().flatten().chain(&self.cpu.cores).chain(temperatures).all(finite) {
            return Err(PayloadError::Range("a number"));
        }
        let texts = (self.disk.volumes.iter().flat_map(|v| [Some(&v.mount), v.fs.as_ref()]))
            .chain(self.network.interfaces.iter().map(|i| Some(&i.name)))
            .chain(self.temperatures.iter().map(|t| Some(&t.label)))
            .chain(self.top_cpu.iter().chain(&self.top_memory).map(|p| Some(&p.name)))
            .chain(self.battery.iter().map(|b| Some(&b.state)))
            .chain([self.agent.spool_problem.as_ref()]);
        if texts.flatten().any(|text| text.chars().count() > limits::MAX_TEXT_CHARS) {
            return Err(PayloadError::Range("a text"));
        }
        if self.boot_id.as_ref().is_some_and(|b| b.0.len() > 64) {
            return Err(PayloadError::Range("boot_id"));
        }
        self.openclaw.as_ref().map_or(Ok(()), OpenClaw::check)
    }
}
