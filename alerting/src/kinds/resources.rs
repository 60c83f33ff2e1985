//! Processor, memory and disks.

use store::Severity;

use super::{DEVICE, Default, Field, Kind, PLAIN, Readings, So, Text, Unit, View, number};
use crate::facts::Measured;
use crate::say::{both, bytes, cut, percent, said, span};

const MINUTE_S: u32 = 60;

const fn level(default: f64) -> Field {
    number("level", ("Above", "高于"), Unit::Percent, &[80.0, 85.0, 90.0, 95.0], (1.0, 100.0), default)
}

const fn clear(default: f64) -> Field {
    number(
        "clear",
        ("Over below", "低于此值恢复"),
        Unit::Percent,
        &[70.0, 75.0, 80.0, 85.0],
        (0.0, 100.0),
        default,
    )
}

/// 80 percent is a warning, 90 an error.
const USED: Default =
    Default { for_s: 10 * MINUTE_S, steps: &[(Severity::Error, Some(90.0), None)], ..PLAIN };

const PERCENT: Kind =
    Kind { levels: true, from_past: true, fields: &[level(80.0), clear(75.0)], default: USED, ..DEVICE };

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "cpu",
        name: ("CPU", "CPU"),
        sentence: (
            "When the CPU of {scope} stays above {level} for {for}",
            "{scope}的 CPU 高于 {level} 持续 {for}",
        ),
        read: |view| one(view, |m| m.cpu_pct, ("CPU at", "CPU 占用")),
        ..PERCENT
    },
    Kind {
        word: "memory",
        name: ("Memory", "内存"),
        sentence: (
            "When the memory of {scope} stays above {level} for {for}",
            "{scope}的内存高于 {level} 持续 {for}",
        ),
        read: |view| one(view, |m| m.memory_pct, ("Memory at", "内存占用")),
        ..PERCENT
    },
    Kind {
        word: "disk",
        name: ("Disk", "磁盘"),
        sentence: (
            "When a disk of {scope} stays above {level} for {for}",
            "{scope}的任一磁盘高于 {level} 持续 {for}",
        ),
        default: Default { for_s: 5 * MINUTE_S, ..USED },
        read: disks,
        ..PERCENT
    },
    Kind {
        word: "disk_full",
        name: ("Disk full soon", "磁盘即将写满"),
        sentence: (
            "When the disks of {scope} will be full within {level}",
            "{scope}的磁盘预计 {level} 内写满",
        ),
        lasts: false,
        levels: true,
        falling: true,
        from_past: true,
        fields: &[
            number("level", ("Within", "预计时间"), Unit::Hours, &[24.0, 72.0, 168.0], (1.0, 2_000.0), 72.0),
            number(
                "clear",
                ("Over above", "高于此值恢复"),
                Unit::Hours,
                &[48.0, 120.0, 240.0],
                (1.0, 4_000.0),
                120.0,
            ),
        ],
        default: Default { steps: &[(Severity::Error, Some(24.0), None)], ..PLAIN },
        read: disk_full,
        ..DEVICE
    },
    Kind {
        word: "gateway_memory",
        name: ("Gateway memory growing", "网关内存持续增长"),
        sentence: (
            "When the memory of the gateway of {scope} grows by more than {level} an hour and by {growth} in all",
            "{scope}的网关内存每小时增长超过 {level}，且累计增长 {growth}",
        ),
        lasts: false,
        levels: true,
        from_past: true,
        fields: &[
            number(
                "level",
                ("An hour", "每小时"),
                Unit::Mib,
                &[20.0, 50.0, 100.0, 200.0],
                (1.0, 100_000.0),
                50.0,
            ),
            number(
                "clear",
                ("Over below", "低于此值恢复"),
                Unit::Mib,
                &[5.0, 20.0, 50.0],
                (0.0, 100_000.0),
                20.0,
            ),
            number(
                "growth",
                ("In all", "累计增长"),
                Unit::Percent,
                &[20.0, 30.0, 50.0, 100.0],
                (1.0, 10_000.0),
                30.0,
            ),
        ],
        explained_by: &["offline", "gateway_down", "gateway_hung"],
        read: gateway_memory,
        ..DEVICE
    },
];

fn one(view: &View<'_>, value: fn(&Measured) -> Option<f64>, name: Text) -> Readings {
    let Some(pct) = view.measured().and_then(value) else { return Readings::unknown() };
    let told = percent(pct);
    Readings::one(
        view.level(pct, || So::new(said(format!("{} {told}", name.0), format!("{} {told}", name.1)))),
    )
}

fn disks(view: &View<'_>) -> Readings {
    let Some(measured) = view.measured() else { return Readings::unknown() };
    if measured.disks.is_empty() {
        return Readings::unknown();
    }
    let mut readings = Readings::clear();
    for (mount, pct) in &measured.disks {
        let (told, name) = (percent(*pct), cut(mount, 60));
        let reading = view.level(*pct, || {
            if name.is_empty() {
                So::new(said(format!("Disk at {told}"), format!("磁盘占用 {told}")))
            } else {
                So::new(said(format!("Disk {name} at {told}"), format!("磁盘 {name} 占用 {told}")))
            }
        });
        // One disk is the device itself.
        let subject = if measured.disks.len() == 1 { String::new() } else { mount.clone() };
        readings.list.push((subject, reading));
    }
    readings
}

fn disk_full(view: &View<'_>) -> Readings {
    let (Some(device), Some(measured)) = (view.device, view.measured()) else { return Readings::unknown() };
    let Some(free) = measured.disk_free else { return Readings::unknown() };
    let Some(per_h) = device.trend.disk_per_h.filter(|per_h| *per_h > 0.0) else { return Readings::clear() };
    #[expect(clippy::cast_precision_loss, reason = "bytes that are free")]
    let hours = free as f64 / per_h;
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let left = span((hours * 3_600_000.0) as i64);
    Readings::one(view.level(hours, || {
        #[expect(clippy::cast_precision_loss, reason = "bytes that are free")]
        let (free, rate) = (bytes(free as f64), bytes(per_h));
        So::new(said(format!("Disk full in about {}", left.en), format!("磁盘约 {}后写满", left.zh))).detail(
            said(
                format!("{free} free, {rate} more used each hour."),
                format!("剩余 {free}，每小时增加 {rate}。"),
            ),
        )
    }))
}

fn gateway_memory(view: &View<'_>) -> Readings {
    let (Some(device), Some(_)) = (view.device, view.measured()) else { return Readings::unknown() };
    let Some((per_h, (from, to))) = device.trend.rss_per_h.zip(device.trend.rss) else {
        // What is no line does not grow, as far as anybody can tell.
        return Readings::clear();
    };
    let growth = if from > 0.0 { (to / from - 1.0) * 100.0 } else { 0.0 };
    if growth < view.number("growth") {
        return Readings::clear();
    }
    Readings::one(view.level(per_h / 1_048_576.0, || {
        let rate = bytes(per_h);
        So::new(said(format!("Gateway grows by {rate} an hour"), format!("网关内存每小时增长 {rate}")))
            .detail(both(format!("{} → {} (+{growth:.0}%)", bytes(from), bytes(to))))
    }))
}
