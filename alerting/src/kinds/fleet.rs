//! Versions, safety, clocks and agents.

use protocol::EventKind;
use store::Severity;

use super::{DEVICE, Default, Kind, PLAIN, Readings, So, Text, Unit, View, calm, number, word};
use crate::facts::parts;
use crate::say::{cut, said, span};

const DAY_S: u32 = 86_400;
const LEAST: &[(&str, Text)] =
    &[("critical", ("critical", "严重")), ("warning", ("at least a warning", "警告及以上"))];

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "version_behind",
        name: ("Version behind the fleet", "版本落后"),
        sentence: (
            "When OpenClaw on {scope} is behind the newest of the fleet by {count} or more releases for {for}",
            "{scope}的 OpenClaw 比全部设备中的最新版落后 {count} 个版本以上并持续 {for}",
        ),
        fields: &[number(
            "count",
            ("Releases", "版本数"),
            Unit::Count,
            &[1.0, 2.0, 3.0, 5.0],
            (1.0, 50.0),
            1.0,
        )],
        default: Default { for_s: 7 * DAY_S, severity: Severity::Info, ..PLAIN },
        read: behind,
        ..DEVICE
    },
    Kind {
        word: "agent_outdated",
        name: ("Agent outdated", "探针版本过旧"),
        sentence: (
            "When the agent on {scope} is older than this server for {for}",
            "{scope}的探针版本比监控服务旧并持续 {for}",
        ),
        default: Default { for_s: DAY_S, severity: Severity::Info, resolved: false, ..PLAIN },
        read: agent_outdated,
        ..DEVICE
    },
    Kind {
        word: "security_finding",
        name: ("Security finding", "安全问题"),
        sentence: (
            "When a security finding of {scope} is new or worse and {least}",
            "{scope}出现新的或加重的安全问题，级别为{least}",
        ),
        lasts: false,
        fields: &[word("least", ("How bad", "级别"), LEAST, 0.0)],
        default: Default { severity: Severity::Error, ..PLAIN },
        explained_by: &[],
        read: findings,
        ..DEVICE
    },
    Kind {
        word: "clock_skew",
        name: ("Clock is off", "时钟偏差"),
        sentence: (
            "When the clock of {scope} is off by more than {level} for {for}",
            "{scope}的时钟偏差超过 {level} 持续 {for}",
        ),
        levels: true,
        fields: &[
            number(
                "level",
                ("More than", "超过"),
                Unit::Seconds,
                &[120.0, 300.0, 3_600.0],
                (120.0, 1e9),
                120.0,
            ),
            number("clear", ("Over below", "低于此值恢复"), Unit::Seconds, &[120.0], (0.0, 1e9), 120.0),
        ],
        default: Default { for_s: 600, ..PLAIN },
        read: clock_skew,
        ..DEVICE
    },
    Kind {
        word: "spool_dropping",
        name: ("Reports lost", "上报数据丢失"),
        sentence: (
            "When the agent of {scope} has to drop what it cannot deliver (over after {calm})",
            "{scope}的探针不得不丢弃未能送达的数据（{calm} 后恢复）",
        ),
        lasts: false,
        from_past: true,
        fields: &[calm(60.0)],
        explained_by: &[],
        read: spool,
        ..DEVICE
    },
];

fn behind(view: &View<'_>) -> Readings {
    let Some(claw) = view.measured().and_then(|measured| measured.claw.as_ref()) else {
        return Readings::unknown();
    };
    let Some(own) = &claw.version else { return Readings::clear() };
    let newer = view.world.versions.iter().take_while(|(version, _)| parts(version) > parts(own)).count();
    let Some((newest, _)) = view.world.versions.first().filter(|_| newer > 0) else {
        return Readings::clear();
    };
    #[expect(clippy::cast_precision_loss, reason = "a few releases")]
    if (newer as f64) < view.number("count") {
        return Readings::clear();
    }
    let (own, newest) = (cut(own, 40), cut(newest, 40));
    let releases = if newer == 1 { "release" } else { "releases" };
    Readings::so(
        So::new(said(format!("OpenClaw {newer} {releases} behind"), format!("OpenClaw 落后 {newer} 个版本")))
            .detail(said(
                format!("{own} here, {newest} elsewhere."),
                format!("本机 {own}，其他设备 {newest}。"),
            )),
    )
}

fn agent_outdated(view: &View<'_>) -> Readings {
    let (Some(device), Some(server)) = (view.device, &view.world.server) else { return Readings::unknown() };
    let Some(own) = device.now.agent_version.as_ref().filter(|_| device.now.online == Some(true)) else {
        return Readings::unknown();
    };
    if parts(own) >= parts(&server.version) {
        return Readings::clear();
    }
    let (own, newest) = (cut(own, 40), &server.version);
    Readings::so(
        So::new(said("Agent outdated", "探针版本过旧")).detail(said(
            format!("{own}; this server is {newest}."),
            format!("{own}，监控服务为 {newest}。"),
        )),
    )
}

/// One alert of a device: its findings together.
fn findings(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let all = view.word("least") == "warning";
    let mut bad: Vec<_> = device.findings.iter().filter(|finding| all || finding.critical).collect();
    if bad.is_empty() {
        return Readings::clear();
    }
    bad.sort_by(|a, b| b.critical.cmp(&a.critical).then(a.check.cmp(&b.check)));
    let n = bad.len();
    let titles: Vec<String> = bad.iter().take(5).map(|finding| cut(&finding.title, 120)).collect();
    let title = if n == 1 {
        said("Security finding", "安全问题")
    } else {
        said(format!("{n} security findings"), format!("{n} 个安全问题"))
    };
    let more = if n > titles.len() { " …" } else { "" };
    let detail = said(format!("{}{more}", titles.join("; ")), format!("{}{more}", titles.join("；")));
    // One that is graver than before is another.
    let part = |finding: &&crate::facts::Finding| format!("{}/{}", finding.check, finding.critical);
    let so = So { parts: bad.iter().map(part).collect(), ..So::new(title).detail(detail) };
    Readings::so(so)
}

fn clock_skew(view: &View<'_>) -> Readings {
    let Some(device) = view.device.filter(|device| device.now.online == Some(true)) else {
        return Readings::unknown();
    };
    let skew = device.now.clock_skew_ms;
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let s = skew.unsigned_abs() as f64 / 1000.0;
    let (by, ahead) = (span(skew.abs()), skew < 0);
    Readings::one(view.level(s, || {
        So::new(if ahead {
            said(format!("Clock is {} ahead", by.en), format!("时钟快了 {}", by.zh))
        } else {
            said(format!("Clock is {} behind", by.en), format!("时钟慢了 {}", by.zh))
        })
        .detail(said("Turn time synchronisation on (NTP).", "请开启时间同步（NTP）。"))
    }))
}

fn spool(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let calm = view.ms("calm");
    // It can be told only when the device is back: the drops of an outage count when they are told.
    let last = device.events(EventKind::SpoolDropped).filter(|event| event.received_at <= view.now).last();
    let recent = last.filter(|event| view.now.millis_since(event.received_at) < calm);
    if let Some(event) = recent {
        let n = event.count.unwrap_or(0);
        let so = So::new(said(format!("{n} reports lost"), format!("丢失 {n} 条上报")))
            .detail(said(
                "The queue on the device was full: away for too long, or its disk is full.",
                "设备上的缓存已满：离线过久或磁盘已满。",
            ))
            .since(event.received_at);
        return Readings::so(so).again(event.received_at.plus_millis(calm));
    }
    match view.measured().and_then(|measured| measured.spool_problem.as_deref()) {
        Some(problem) => {
            let problem = cut(problem, 200);
            Readings::so(
                So::new(said("Queue kept in memory only", "缓存仅保存在内存中"))
                    .detail(said(problem.clone(), problem)),
            )
        }
        None => Readings::clear(),
    }
}
