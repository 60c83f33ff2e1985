//! The processes that use the most.
//!
//! Only a process's name is taken, never its arguments: they may hold secrets.

use std::cmp::Ordering;

use protocol::Process;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::{clip, tidy};

const TOP: usize = 5;

/// The top five by processor and by memory. Without an earlier reading (`primed`) nothing is known of the processor.
pub(super) fn read(system: &mut System, primed: bool) -> (Vec<Process>, Vec<Process>) {
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let processes: Vec<_> = system
        .processes()
        .values()
        .filter(|process| process.thread_kind().is_none())
        .map(|process| Reading {
            pid: process.pid().as_u32(),
            cpu: if primed { tidy(f64::from(process.cpu_usage())) } else { None },
            memory: process.memory(),
        })
        .collect();
    let name = |pid: u32| {
        let process = system.process(sysinfo::Pid::from_u32(pid));
        process.map(|process| clip(&process.name().to_string_lossy())).filter(|name| !name.is_empty())
    };
    (named(top_cpu(&processes), name), named(top_memory(&processes), name))
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Reading {
    pid: u32,
    cpu: Option<f64>,
    memory: u64,
}

fn top_cpu(all: &[Reading]) -> Vec<Reading> {
    let busy = |reading: &&Reading| reading.cpu.is_some_and(|cpu| cpu > 0.0);
    top(all.iter().filter(busy), |a, b| b.cpu.partial_cmp(&a.cpu).unwrap_or(Ordering::Equal))
}

fn top_memory(all: &[Reading]) -> Vec<Reading> {
    top(all.iter().filter(|reading| reading.memory > 0), |a, b| b.memory.cmp(&a.memory))
}

fn top<'a>(
    readings: impl Iterator<Item = &'a Reading>,
    order: impl Fn(&Reading, &Reading) -> Ordering,
) -> Vec<Reading> {
    let mut readings: Vec<_> = readings.copied().collect();
    readings.sort_by(|a, b| order(a, b).then(a.pid.cmp(&b.pid)));
    readings.truncate(TOP);
    readings
}

fn named(readings: Vec<Reading>, name: impl Fn(u32) -> Option<String>) -> Vec<Process> {
    readings
        .into_iter()
        .filter_map(|Reading { pid, cpu, memory }| {
            let memory_bytes = (memory > 0).then_some(memory);
            Some(Process { pid, name: name(pid)?, cpu_pct: cpu, memory_bytes })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_ordered_and_short() {
        let all: Vec<_> = (1..=9)
            .map(|pid| Reading {
                pid,
                cpu: if pid == 9 { None } else { Some(f64::from(pid % 4)) },
                memory: u64::from(pid % 3) * 10,
            })
            .collect();
        let pids = |readings: Vec<Reading>| readings.iter().map(|r| r.pid).collect::<Vec<_>>();
        assert_eq!(pids(top_cpu(&all)), [3, 7, 2, 6, 1]);
        assert_eq!(pids(top_memory(&all)), [2, 5, 8, 1, 4]);
        assert_eq!(pids(top_cpu(&all[3..4])), [0; 0], "a process that does nothing is not at the top");
        assert_eq!(named(top_memory(&all), |_| None), []);
    }
}
