//! Processor use and load.

use protocol::{Cpu, limits};
use sysinfo::System;

use super::tidy;

/// Use since the reading before; `primed` says that there was one.
pub(super) fn read(system: &mut System, primed: bool) -> Cpu {
    system.refresh_cpu_usage();
    let (pct, cores) = if primed && !system.cpus().is_empty() {
        let cores = system.cpus().iter().map(|cpu| percent(cpu.usage())).collect::<Option<Vec<_>>>();
        let cores = cores.filter(|cores| cores.len() <= limits::MAX_LIST);
        (percent(system.global_cpu_usage()), cores.unwrap_or_default())
    } else {
        (None, Vec::new())
    };
    let load = if cfg!(windows) { None } else { System::load_average().ok() };
    let load =
        |pick: fn(&sysinfo::LoadAvg) -> f64| load.as_ref().map(pick).and_then(tidy).filter(|l| *l >= 0.0);
    Cpu { pct, cores, load1: load(|l| l.one), load5: load(|l| l.five), load15: load(|l| l.fifteen) }
}

/// A percentage as the protocol wants it. Rounding in the kernel's counters can lead a little above 100.
fn percent(usage: f32) -> Option<f64> {
    tidy(f64::from(usage)).map(|pct| pct.clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_stay_in_range() {
        let check = |usage, expected| assert_eq!(percent(usage), expected);
        check(12.345, Some(12.35));
        check(100.4, Some(100.0));
        check(-0.1, Some(0.0));
        check(f32::NAN, None);
    }
}
