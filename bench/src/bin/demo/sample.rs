//! What a machine measures at a moment: a function of the machine, its life and the moment.

use protocol::{
    AgentHealth, Battery, ClawChannel, Cpu, Cron, CronJob, Disk, Gateway, GatewayExit, GatewayOutcome,
    GatewayState, Interface, Memory, Network, OpenClaw, Process, Report, SpoolId, Tasks, Temperature,
    Timestamp, Volume, Workspace,
};

use crate::cast::{End, Machine};
use crate::dice::wave;
use crate::life::{DAY, HOUR, Life, MINUTE, Trouble};

/// How busy people keep a machine at a moment: 0 at night to 1, less at weekends.
pub(crate) fn busy(machine: &Machine, at: i64) -> f64 {
    let local = at + machine.zone_h * HOUR;
    let hour = local.rem_euclid(DAY) as f64 / HOUR as f64;
    let day = (-((hour - 15.0) / 4.6).powi(2)).exp();
    // 1 January 1970 was a Thursday.
    let weekend = matches!((local.div_euclid(DAY) + 4).rem_euclid(7), 0 | 6);
    let office = machine.tags.iter().any(|tag| tag == "office");
    let share = match (weekend, office) {
        (true, true) => 0.2,
        (true, false) => 0.75,
        _ => 1.0,
    };
    (0.12 + 0.88 * day) * share
}

fn of(total: u64, pct: f64) -> u64 {
    (total as f64 * pct.clamp(0.0, 100.0) / 100.0) as u64
}

/// Everything a report needs besides the moment.
pub(crate) struct Context<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) life: &'a Life,
    /// When the past ends.
    pub(crate) end: i64,
}

impl Context<'_> {
    /// The report of a moment. `every`: milliseconds until the next.
    pub(crate) fn report(&self, at: i64, every: i64, spool: SpoolId, seq: u64, historical: bool) -> Report {
        let Self { machine, life, .. } = self;
        let noise = |n: u64, period: i64| wave(machine.seed.wrapping_add(n), at, period);
        let busy = busy(machine, at);
        let trouble = life.incident(at).map(|incident| incident.trouble);
        let jitter = noise(1, 5 * MINUTE) * 0.5 + noise(2, 37 * MINUTE) * 0.5;
        let night_job = if noise(3, 6 * HOUR) > 0.75 { 25.0 * (noise(4, 20 * MINUTE) + 1.0) } else { 0.0 };
        let hung = if trouble == Some(Trouble::Hung) { 48.0 } else { 0.0 };
        let cpu = (machine.cpu * (0.35 + 0.9 * busy) * (1.0 + 0.45 * jitter) + night_job * 0.6 + hung)
            .clamp(0.4, 99.6);
        let starved = machine.end == End::Crashed && at > self.end - 3 * HOUR;
        let memory = if starved {
            (machine.memory - 12.0 + 15.0 * ((at - self.end + 3 * HOUR) as f64 / (3 * HOUR) as f64)).min(97.0)
        } else {
            machine.memory * (0.9 + 0.12 * busy) + 4.0 * noise(5, 3 * HOUR)
        };
        // It fills up, and is tidied once a week.
        let week =
            (at + (machine.seed % 7).cast_signed() * DAY).rem_euclid(7 * DAY) as f64 / (7 * DAY) as f64;
        let ago = (self.end - at).max(0) as f64 / DAY as f64;
        let disk = machine.disk - 0.06 * ago + 2.5 * week;
        let traffic =
            (0.25 + 0.9 * busy) * (1.0 + 0.7 * jitter) * if noise(6, 50 * MINUTE) > 0.8 { 6.0 } else { 1.0 };
        let offline = trouble.is_some_and(|t| t.reason().is_some());
        let (up, down) = if offline {
            (0.0, 0.0)
        } else {
            (machine.up * traffic.max(0.05), machine.down * traffic.max(0.05))
        };
        let hot = if machine.end == End::Hot { 24.0 } else { 0.0 };
        let celsius = (36.0 + hot + cpu * 0.28 + 3.0 * noise(7, 8 * HOUR) + 2.0 * busy) * 10.0;
        let (swap_total, memory_total) = (machine.memory_bytes / 4, machine.memory_bytes);
        let main = of(machine.disk_bytes * 3 / 4, disk);
        let data = of(machine.disk_bytes / 4, disk * 0.6);
        let volume = |mount: &str, used, total| Volume {
            mount: mount.to_owned(),
            fs: Some("ext4".to_owned()),
            used_bytes: used,
            total_bytes: total,
        };
        let interface = if machine.os == "macOS" { "en0" } else { "eth0" };
        let gateway = self.gateway(at, trouble, cpu);
        let processes = self.processes(&gateway, cpu);
        let load = cpu / 100.0 * f64::from(machine.cores) * (1.0 + 0.2 * noise(8, 3 * MINUTE));
        let windows = machine.os.starts_with("Windows");
        Report {
            v: 1,
            spool,
            seq,
            at: Timestamp(at),
            historical,
            interval_s: u32::try_from(every / 1000).ok(),
            uptime_s: u64::try_from((at - life.booted_at(at)) / 1000).ok(),
            boot_id: Some(life.boot(at)),
            cpu: Cpu {
                pct: Some(cpu),
                cores: (0..machine.cores)
                    .map(|n| (cpu * (1.0 + 0.5 * noise(20 + u64::from(n), 4 * MINUTE))).clamp(0.0, 100.0))
                    .collect(),
                load1: (!windows).then_some(load),
                load5: (!windows).then_some(load * 0.93),
                load15: (!windows).then_some(load * 0.88),
            },
            memory: Memory {
                used_bytes: Some(of(memory_total, memory)),
                total_bytes: Some(memory_total),
                available_bytes: Some(of(memory_total, 100.0 - memory)),
                swap_used_bytes: Some(of(swap_total, (memory - 55.0) * 1.2)),
                swap_total_bytes: Some(swap_total),
            },
            disk: Disk {
                used_bytes: Some(main + data),
                total_bytes: Some(machine.disk_bytes),
                volumes: if windows {
                    vec![volume("C:\\", main + data, machine.disk_bytes)]
                } else {
                    vec![
                        volume("/", main, machine.disk_bytes * 3 / 4),
                        volume("/data", data, machine.disk_bytes / 4),
                    ]
                },
            },
            network: Network {
                up_bytes_per_s: Some(up),
                down_bytes_per_s: Some(down),
                interfaces: vec![Interface {
                    name: interface.to_owned(),
                    up_bytes_per_s: Some(up),
                    down_bytes_per_s: Some(down),
                }],
            },
            temperatures: if machine.tags.iter().any(|tag| tag == "prod") {
                // A virtual machine has no sensor.
                Vec::new()
            } else {
                vec![Temperature { label: "cpu".to_owned(), celsius: celsius.round() / 10.0 }]
            },
            battery: machine.laptop.then(|| Battery {
                pct: (60.0 + 35.0 * noise(9, 2 * HOUR)).round(),
                state: "charging".to_owned(),
            }),
            top_memory: processes.iter().rev().cloned().collect(),
            top_cpu: processes,
            openclaw: Some(Self::openclaw(gateway)),
            agent: AgentHealth { spooled: Some(0), dropped: Some(0), ..AgentHealth::default() },
        }
    }

    fn openclaw(gateway: Gateway) -> OpenClaw {
        OpenClaw {
            state: gateway.state,
            version: gateway.version.clone().or_else(|| gateway.installed_version.clone()),
            gateways: vec![gateway],
        }
    }

    fn processes(&self, gateway: &Gateway, cpu: f64) -> Vec<Process> {
        let all = cpu * f64::from(self.machine.cores);
        let mut list = vec![
            ("chromium", 0.22, 410),
            ("node", 0.13, 220),
            ("postgres", 0.08, 180),
            ("systemd-journald", 0.02, 60),
        ];
        if gateway.pid.is_some() {
            list.insert(0, ("openclaw-gateway", 0.5, gateway.rss_bytes.unwrap_or(0) >> 20));
        }
        (3_100..)
            .zip(list)
            .map(|(pid, (name, share, mib))| Process {
                pid,
                name: name.to_owned(),
                cpu_pct: Some((all * share * 10.0).round() / 10.0),
                memory_bytes: Some(mib << 20),
            })
            .collect()
    }

    fn gateway(&self, at: i64, trouble: Option<Trouble>, cpu: f64) -> Gateway {
        let Self { machine, life, end } = self;
        let noise = |n: u64, period: i64| wave(machine.seed.wrapping_add(n), at, period);
        let state = trouble.map_or(GatewayState::Running, Trouble::gateway);
        let runs = state != GatewayState::Stopped;
        let started = life.gateway_at(at);
        let (boots, crashes) = life.boots(at);
        let age_h = (at - started) as f64 / HOUR as f64;
        // It grows slowly until it is started anew.
        let rss =
            (210.0 + 40.0 * (noise(31, 40 * MINUTE) + 1.0) + (age_h * 2.1).min(420.0) + machine.tokens / 3e4)
                * 1_048_576.0;
        let hot = machine.end == End::Hot && at > end - 2 * HOUR;
        let delay = if state == GatewayState::Hung {
            None
        } else if hot {
            Some(1_700.0 + 300.0 * noise(32, 5 * MINUTE))
        } else {
            Some(8.0 + cpu * 0.35 + 18.0 * (noise(32, 9 * MINUTE) + 1.0) * cpu / 60.0)
        };
        let failing = match (state, hot) {
            (GatewayState::Degraded, true) => vec!["event-loop".to_owned()],
            (GatewayState::Degraded, false) => vec!["channel:telegram".to_owned()],
            (GatewayState::Hung, _) => vec!["readiness".to_owned()],
            _ => Vec::new(),
        };
        let connected = |name: &str| runs && !(name == "telegram" && state == GatewayState::Degraded && !hot);
        let last_exit =
            life.incidents.iter().rfind(|i| i.from <= at && !i.trouble.works()).map(|incident| GatewayExit {
                outcome: match incident.trouble {
                    Trouble::Crash | Trouble::CrashUnseen => GatewayOutcome::Crashed,
                    _ => GatewayOutcome::CleanStop,
                },
                at: Some(Timestamp(incident.from)),
                reason: matches!(incident.trouble, Trouble::Crash | Trouble::CrashUnseen)
                    .then(|| "out of memory (exit code 137)".to_owned()),
            });
        let failing_jobs = u32::from(machine.seed % 5 == 0);
        let busy = busy(machine, at);
        Gateway {
            name: "default".to_owned(),
            state,
            failing,
            problem: None,
            version: runs.then(|| life.version(at).to_owned()),
            installed_version: Some(life.installed(machine, at, *end).to_owned()),
            pid: runs.then_some(3_100),
            started_at: runs.then_some(Timestamp(started)),
            rss_bytes: runs.then_some(rss as u64),
            cpu_pct: runs.then_some(cpu * f64::from(machine.cores) * 0.5),
            event_loop_p99_ms: delay.filter(|_| runs),
            boots: Some(boots + 3),
            crashes: Some(crashes),
            last_exit,
            channels: machine
                .channel_names()
                .map(|name| ClawChannel { name: name.to_owned(), connected: Some(connected(name)) })
                .collect(),
            agents: Some(1 + (machine.seed % 4) as u32),
            sessions: Some(12 + (machine.tokens / 4e4) as u32),
            sessions_active: Some((busy * (1.0 + machine.tokens / 6e5)) as u32),
            cron: Some(Cron {
                enabled: 2 + (machine.seed % 6) as u32,
                failing: failing_jobs,
                missed: 0,
                troubled: (0..failing_jobs)
                    .map(|_| CronJob {
                        id: "job-nightly".to_owned(),
                        agent: Some("main".to_owned()),
                        last_status: Some("error".to_owned()),
                        last_run_at: Some(Timestamp(at.div_euclid(DAY) * DAY)),
                        due_at: Some(Timestamp(at.div_euclid(DAY) * DAY + DAY)),
                        consecutive_errors: 3,
                    })
                    .collect(),
            }),
            tasks: Some(Tasks {
                active: (busy * 3.0) as u32,
                stuck: 0,
                failed_day: (machine.seed % 3) as u32,
            }),
            workspaces: vec![Workspace {
                agent: "main".to_owned(),
                files: Some(140 + (machine.seed % 900) as u32),
                bytes: Some(9_000_000 + machine.seed % 90_000_000),
                changed_at: Some(Timestamp(at - 7 * MINUTE)),
                memory_files: Some(24),
                memory_bytes: Some(180_000),
                committed_at: Some(Timestamp(at - 5 * HOUR)),
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::Payload as _;

    use super::*;
    use crate::cast::machines;

    #[test]
    fn what_is_measured_is_a_report() {
        let end = 1_800_000_000_000;
        for (n, machine) in machines(60, 7, true).iter().enumerate() {
            let life = Life::new(machine, n, end, 40);
            let context = Context { machine, life: &life, end };
            for at in (0..400).map(|k| end - k * 2 * HOUR).filter(|at| *at > life.born) {
                let report = context.report(at, 30_000, SpoolId::generate(), 1, false);
                assert_eq!(Report::decode(&report.encode()).unwrap().at, Timestamp(at), "{}", machine.name);
            }
        }
    }
}
