//! What is measured, one file per kind. Each keeps its decisions in functions of values and returns `None` for what
//! could not be read.
//!
//! Reading takes a few milliseconds, but it may also block for long: a dying disk, a file server that is gone. So it
//! never happens on the thread that keeps the connection alive: [`Collectors::sample`] runs it on the runtime's
//! threads for blocking work, disks apart from the rest, and does not wait for what hangs.

mod battery;
mod cpu;
mod disk;
mod host;
mod memory;
mod network;
mod process;
mod temperature;

use std::time::Duration;

use protocol::{
    AgentHealth, Battery, BootId, Cpu, Disk, Memory, Network, OpenClaw, Process, Report, SpoolId,
    Temperature, Timestamp, limits,
};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::warn;

pub(crate) use host::{boot_id, facts};

/// How long a sample waits for its parts. What takes longer is absent from it.
const PATIENCE: Duration = Duration::from_secs(5);

/// One sample, before the spool numbers it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    quick: Quick,
    disk: Disk,
    boot_id: Option<BootId>,
}

/// What is read from the kernel without touching a disk.
#[derive(Debug, Clone, Default)]
struct Quick {
    uptime_s: Option<u64>,
    cpu: Cpu,
    memory: Memory,
    network: Network,
    temperatures: Vec<Temperature>,
    battery: Option<Battery>,
    top_cpu: Vec<Process>,
    top_memory: Vec<Process>,
}

impl Sample {
    /// The payload of this sample, before the spool numbers and dates it.
    pub(crate) fn into_report(
        self,
        interval: Duration,
        openclaw: Option<OpenClaw>,
        agent: AgentHealth,
    ) -> Report {
        let Self { quick, disk, boot_id } = self;
        Report {
            v: 1,
            spool: SpoolId::generate(),
            seq: 0,
            at: Timestamp(0),
            historical: false,
            interval_s: u32::try_from(interval.as_secs()).ok(),
            uptime_s: quick.uptime_s,
            boot_id,
            cpu: quick.cpu,
            memory: quick.memory,
            disk,
            network: quick.network,
            temperatures: quick.temperatures,
            battery: quick.battery,
            top_cpu: quick.top_cpu,
            top_memory: quick.top_memory,
            openclaw,
            agent,
        }
    }
}

/// All collectors, and what they remember between two samples.
pub(crate) struct Collectors {
    quick: Job<Meters, Quick>,
    disk: Job<(), Disk>,
    boot_id: Option<BootId>,
}

impl Collectors {
    pub(crate) fn new() -> Self {
        Self { quick: Job::new("host"), disk: Job::new("disk"), boot_id: None }
    }

    /// Takes a sample. Rates cover the time since the sample before, and are absent from the first one.
    pub(crate) async fn sample(&mut self) -> Sample {
        if self.boot_id.is_none() {
            self.boot_id = boot_id();
        }
        let (quick, disk) = tokio::join!(
            self.quick.run(|meters| meters.get_or_insert_default().read()),
            self.disk.run(|_| disk::read()),
        );
        Sample {
            quick: quick.unwrap_or_default(),
            disk: disk.unwrap_or_default(),
            boot_id: self.boot_id.clone(),
        }
    }
}

/// Meters that compare with the reading before.
#[derive(Default)]
struct Meters {
    system: SystemMeter,
    network: network::Meter,
    temperature: temperature::Meter,
}

/// The part of the `sysinfo` crate that processors, memory and processes share.
#[derive(Default)]
struct SystemMeter {
    system: Option<sysinfo::System>,
    /// Whether there is an earlier reading to compare with.
    primed: bool,
}

impl Meters {
    fn read(&mut self) -> Quick {
        let mut quick = Quick {
            uptime_s: host::uptime(),
            network: self.network.read(),
            temperatures: self.temperature.read(),
            battery: battery::read(),
            ..Quick::default()
        };
        let SystemMeter { system, primed } = &mut self.system;
        if system.is_none() {
            *system = sysinfo::System::new().ok();
        }
        if let Some(system) = system {
            quick.cpu = cpu::read(system, *primed);
            quick.memory = memory::read(system);
            (quick.top_cpu, quick.top_memory) = process::read(system, *primed);
            *primed = true;
        }
        quick
    }
}

/// Blocking work that is done again and again with the same memory, and that may hang.
struct Job<M, T> {
    name: &'static str,
    patience: Duration,
    memory: Option<M>,
    /// The work that did not end in time. While it hangs, no more of it is started.
    hanging: Option<JoinHandle<(Option<M>, T)>>,
}

impl<M: Send + 'static, T: Send + 'static> Job<M, T> {
    fn new(name: &'static str) -> Self {
        Self { name, patience: PATIENCE, memory: None, hanging: None }
    }

    async fn run(&mut self, work: impl FnOnce(&mut Option<M>) -> T + Send + 'static) -> Option<T> {
        let again = self.hanging.is_some();
        let mut handle = self.hanging.take().unwrap_or_else(|| {
            let mut memory = self.memory.take();
            spawn_blocking(move || {
                let result = work(&mut memory);
                (memory, result)
            })
        });
        match timeout(self.patience, &mut handle).await {
            Ok(Ok((memory, result))) => {
                self.memory = memory;
                // What a hanging reading finds in the end is from long ago.
                (!again).then_some(result)
            }
            Ok(Err(_)) => {
                warn!(collector = self.name, "a collector failed; its values are left out");
                None
            }
            Err(_) => {
                if !again {
                    warn!(
                        collector = self.name,
                        "a collector hangs; its values are left out until it comes back"
                    );
                }
                self.hanging = Some(handle);
                None
            }
        }
    }
}

/// Text from the host, within what the protocol allows and without what breaks a line.
fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(limits::MAX_TEXT_CHARS).collect()
}

/// A number worth sending: finite, and not longer than it is precise.
fn tidy(value: f64) -> Option<f64> {
    value.is_finite().then(|| (value * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Payload;

    #[tokio::test]
    async fn the_second_sample_has_everything_a_host_has() {
        let mut collectors = Collectors::new();
        let first = collectors.sample().await;
        assert_eq!(
            (first.quick.cpu.pct, first.quick.network.up_bytes_per_s),
            (None, None),
            "absent, not zero"
        );
        tokio::time::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL + Duration::from_millis(20)).await;
        let second = collectors.sample().await;
        let report = second.into_report(Duration::from_secs(30), None, AgentHealth::default());
        assert!(report.cpu.pct.is_some() && !report.cpu.cores.is_empty(), "{:?}", report.cpu);
        assert!(report.memory.total_bytes > report.memory.used_bytes && report.memory.used_bytes > Some(0));
        assert!(report.disk.total_bytes >= report.disk.used_bytes && report.disk.used_bytes > Some(0));
        assert!(report.top_memory.len() <= 5 && !report.top_memory.is_empty());
        assert!(report.uptime_s > Some(0) && report.boot_id.is_some());
        report.check().unwrap();
        assert!(report.encode().len() < 16 * 1024);
    }

    #[tokio::test]
    async fn a_collector_that_hangs_is_left_out_until_it_comes_back() {
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let mut job: Job<u32, u32> = Job::new("test");
        assert_eq!(job.run(|memory| *memory.insert(7)).await, Some(7));
        job.patience = Duration::from_millis(20);
        assert_eq!(job.run(move |memory| gate.recv().map_or(0, |()| memory.unwrap_or(0))).await, None);
        assert_eq!(job.run(|_| 9).await, None, "still hanging: nothing new is started");
        release.send(()).unwrap();
        job.patience = PATIENCE;
        assert_eq!(job.run(|_| 9).await, None, "what came back is old");
        assert_eq!(job.run(|memory| memory.unwrap_or(0)).await, Some(7), "and the memory came back with it");
        assert_eq!(job.run(|_| panic!("a collector fails")).await, None::<u32>);
        assert_eq!(job.run(|_| 9).await, Some(9));
    }

    #[test]
    fn text_and_numbers_are_made_presentable() {
        assert_eq!(clip("a\u{0}b\nc"), "abc");
        assert_eq!(clip(&"ä".repeat(300)).chars().count(), limits::MAX_TEXT_CHARS);
        assert_eq!((tidy(1.23456), tidy(f64::NAN), tidy(f64::INFINITY)), (Some(1.23), None, None));
    }
}
