//! OpenClaw's gateway: whether it works, and how it ended.

use protocol::{EventKind, Gateway, GatewayOutcome, GatewayState, Timestamp};
use store::{Said, Severity};

use super::{DEVICE, Default, Field, Kind, PLAIN, Reading, Readings, So, Unit, View, calm};
use crate::say::{cut, said};

const MINUTE_S: u32 = 60;

const fn minutes(word: &'static str, label: super::Text, offered: &'static [f64], default: f64) -> Field {
    Field { word, label, unit: Unit::Minutes, offered, min: 1.0, max: 1_440.0, default }
}

const fn count(word: &'static str, label: super::Text, offered: &'static [f64], default: f64) -> Field {
    Field { word, label, unit: Unit::Count, offered, min: 1.0, max: 100_000.0, default }
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "gateway_down",
        name: ("Gateway down", "网关停止"),
        sentence: (
            "When the gateway of {scope} is down for {for} and nobody stopped it",
            "{scope}的网关停止超过 {for} 且并非人为停止",
        ),
        from_past: true,
        default: Default { for_s: 30, severity: Severity::Critical, ..PLAIN },
        read: |view| {
            each(view, |gateway| {
                (gateway.state == GatewayState::Stopped && !on_purpose(gateway))
                    .then(|| So::new(said("Gateway down", "网关停止")).detail(how_it_ended(gateway)))
            })
        },
        ..DEVICE
    },
    Kind {
        word: "gateway_hung",
        name: ("Gateway hung", "网关无响应"),
        sentence: (
            "When the gateway of {scope} does not answer for {for} although it runs",
            "{scope}的网关仍在运行但无响应超过 {for}",
        ),
        from_past: true,
        default: Default {
            for_s: 30,
            severity: Severity::Error,
            steps: &[(Severity::Critical, None, Some(30 * MINUTE_S))],
            ..PLAIN
        },
        read: |view| {
            each(view, |gateway| {
                (gateway.state == GatewayState::Hung).then(|| {
                    So::new(said("Gateway hung", "网关无响应")).detail(said(
                        "Port open, no answer to the readiness check.",
                        "端口仍开放，就绪检查没有应答。",
                    ))
                })
            })
        },
        ..DEVICE
    },
    Kind {
        word: "gateway_stopped",
        name: ("Gateway stopped on purpose", "网关被人为停止"),
        sentence: (
            "When the gateway of {scope} was stopped on purpose and stays so for {for}",
            "{scope}的网关被人为停止并持续 {for}",
        ),
        default: Default { for_s: 15 * MINUTE_S, ..PLAIN },
        read: |view| {
            each(view, |gateway| {
                (gateway.state == GatewayState::Stopped && on_purpose(gateway)).then(|| {
                    So::new(said("Gateway still stopped", "网关仍处于停止状态")).detail(how_it_ended(gateway))
                })
            })
        },
        ..DEVICE
    },
    Kind {
        word: "gateway_not_ready",
        name: ("Gateway not ready", "网关未就绪"),
        sentence: ("When the gateway of {scope} is not ready for {for}", "{scope}的网关未就绪超过 {for}"),
        from_past: true,
        default: Default { for_s: 10 * MINUTE_S, ..PLAIN },
        explained_by: &["offline", "gateway_down", "gateway_hung"],
        read: |view| {
            each(view, |gateway| {
                let degraded = gateway.state == GatewayState::Degraded;
                // A channel that is not connected has a rule of its own.
                let only_channels =
                    !gateway.failing.is_empty() && gateway.failing.iter().all(|f| f.starts_with("channel:"));
                ((degraded && !only_channels) || gateway.state == GatewayState::Starting).then(|| {
                    let so = So::new(if degraded {
                        said("Gateway degraded", "网关部分异常")
                    } else {
                        said("Gateway still starting", "网关仍在启动")
                    });
                    let failing = cut(&gateway.failing.join(", "), 200);
                    if failing.is_empty() {
                        so
                    } else {
                        so.detail(said(format!("Failing: {failing}."), format!("异常项：{failing}。")))
                    }
                })
            })
        },
        ..DEVICE
    },
    Kind {
        word: "restart_needed",
        name: ("Restart due", "待重启"),
        sentence: (
            "When a new version is installed on {scope} and the old one still runs after {for}",
            "{scope}已安装新版本但 {for} 后旧版本仍在运行",
        ),
        default: Default { for_s: 86_400, severity: Severity::Info, ..PLAIN },
        read: |view| {
            each(view, |gateway| {
                let (running, installed) = (gateway.version.as_ref()?, gateway.installed_version.as_ref()?);
                (running != installed && up(gateway)).then(|| {
                    let (old, new) = (cut(running, 40), cut(installed, 40));
                    So::new(said("Restart due", "待重启")).detail(said(
                        format!("{new} is installed, {old} runs."),
                        format!("已安装 {new}，运行的仍是 {old}。"),
                    ))
                })
            })
        },
        ..DEVICE
    },
    Kind {
        word: "gateway_crash",
        name: ("Gateway crashed", "网关崩溃"),
        sentence: (
            "When the gateway of {scope} crashes (over after {calm} without another crash)",
            "{scope}的网关崩溃（此后 {calm} 内不再崩溃即恢复）",
        ),
        lasts: false,
        from_past: true,
        fields: &[calm(10.0)],
        default: Default { severity: Severity::Error, ..PLAIN },
        explained_by: &["offline", "gateway_down", "crash_loop"],
        read: |view| crashes(view, 1, i64::MAX, |so, _| so),
        ..DEVICE
    },
    Kind {
        word: "crash_loop",
        name: ("Crash loop", "反复崩溃"),
        sentence: (
            "When the gateway of {scope} crashes {count} times within {within} (over after {calm} without another crash)",
            "{scope}的网关在 {within}内崩溃 {count} 次（此后 {calm} 内不再崩溃即恢复）",
        ),
        lasts: false,
        from_past: true,
        fields: &[
            count("count", ("Crashes", "崩溃次数"), &[3.0, 5.0, 10.0], 5.0),
            minutes("within", ("Within", "时间范围"), &[5.0, 10.0, 30.0, 60.0], 5.0),
            calm(15.0),
        ],
        default: Default { severity: Severity::Critical, ..PLAIN },
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be a small count"
        )]
        read: |view| {
            crashes(view, view.number("count") as usize, view.ms("within"), |so, n| So {
                title: said("Crash loop", "反复崩溃"),
                value: Some(n),
                ..so
            })
        },
        ..DEVICE
    },
    Kind {
        word: "channel_down",
        name: ("Channel disconnected", "渠道断开"),
        sentence: (
            "When a channel of OpenClaw on {scope} is disconnected for {for}",
            "{scope}的 OpenClaw 任一渠道断开超过 {for}",
        ),
        default: Default { for_s: 10 * MINUTE_S, ..PLAIN },
        explained_by: &["offline", "gateway_down", "gateway_hung"],
        read: channels,
        ..DEVICE
    },
    Kind {
        word: "cron_failing",
        name: ("Cron job failing", "定时任务失败"),
        sentence: (
            "When a cron job of {scope} fails {count} times in a row",
            "{scope}的定时任务连续失败 {count} 次",
        ),
        lasts: false,
        fields: &[count("count", ("Failures in a row", "连续失败次数"), &[1.0, 2.0, 3.0, 5.0], 2.0)],
        explained_by: &["offline", "gateway_down", "gateway_hung"],
        read: cron_failing,
        ..DEVICE
    },
    Kind {
        word: "cron_missed",
        name: ("Cron job missed", "定时任务未执行"),
        sentence: (
            "When a cron job of {scope} did not run although it was due, for {for}",
            "{scope}的定时任务到期未执行超过 {for}",
        ),
        default: Default { for_s: 5 * MINUTE_S, ..PLAIN },
        explained_by: &["offline", "gateway_down", "gateway_hung"],
        read: |view| {
            each_up(view, |gateway| {
                let cron = gateway.cron.as_ref().filter(|cron| cron.missed > 0)?;
                let n = cron.missed;
                Some(So::new(said(
                    format!("{n} cron {} missed", plural(n, "job", "jobs")),
                    format!("{n} 个定时任务未执行"),
                )))
            })
        },
        ..DEVICE
    },
    Kind {
        word: "session_stuck",
        name: ("Session stuck", "会话卡住"),
        sentence: (
            "When a session or task of {scope} is stuck for {for}",
            "{scope}有会话或任务卡住超过 {for}",
        ),
        default: Default { for_s: 10 * MINUTE_S, ..PLAIN },
        explained_by: &["offline", "gateway_down", "gateway_hung"],
        read: |view| {
            each_up(view, |gateway| {
                let n = gateway.tasks.as_ref().map(|tasks| tasks.stuck).filter(|n| *n > 0)?;
                Some(
                    So::new(said(
                        format!("{n} {} stuck", plural(n, "task", "tasks")),
                        format!("{n} 个任务卡住"),
                    ))
                    .detail(said(
                        "Running, and nothing heard of for half an hour.",
                        "仍在运行，但已半小时没有动静。",
                    )),
                )
            })
        },
        ..DEVICE
    },
];

pub(super) fn plural(n: u32, one: &'static str, many: &'static str) -> &'static str {
    if n == 1 { one } else { many }
}

fn up(gateway: &Gateway) -> bool {
    matches!(gateway.state, GatewayState::Running | GatewayState::Degraded)
}

fn on_purpose(gateway: &Gateway) -> bool {
    gateway.last_exit.as_ref().is_some_and(|exit| exit.outcome == GatewayOutcome::CleanStop)
}

fn how_it_ended(gateway: &Gateway) -> Said {
    let exit = gateway.last_exit.as_ref();
    let reason =
        exit.and_then(|exit| exit.reason.as_deref()).map(|reason| cut(reason, 300)).filter(|r| !r.is_empty());
    let (en, zh) = match exit.map(|exit| exit.outcome) {
        Some(GatewayOutcome::CleanStop) => ("It was asked to stop", "被要求停止"),
        Some(GatewayOutcome::StartupFailed) => ("It could not start", "启动失败"),
        Some(GatewayOutcome::Crashed) => ("It crashed", "崩溃退出"),
        Some(GatewayOutcome::Unknown) | None => ("No process is there", "进程不存在"),
    };
    match reason {
        Some(reason) => said(format!("{en}: {reason}"), format!("{zh}：{reason}")),
        None => said(format!("{en}."), format!("{zh}。")),
    }
}

/// The subject of a gateway; the first of a device is the device itself.
fn subject(gateway: &Gateway) -> String {
    if gateway.name == "default" { String::new() } else { gateway.name.clone() }
}

fn each(view: &View<'_>, so: impl Fn(&Gateway) -> Option<So>) -> Readings {
    let Some(claw) = view.measured().and_then(|measured| measured.claw.as_ref()) else {
        return Readings::unknown();
    };
    let mut readings = Readings::clear();
    for gateway in &claw.gateways {
        // What cannot be found out is not well, and not wrong either.
        let reading = match gateway.state {
            GatewayState::Unknown => Some(Reading::Between),
            _ => so(gateway).map(Reading::Holds),
        };
        readings.list.extend(reading.map(|reading| (subject(gateway), reading)));
    }
    if claw.gateways.is_empty() {
        // Of the past only the state is known.
        let alone = Gateway { name: "default".to_owned(), state: claw.state, ..Gateway::default() };
        readings.list.extend(so(&alone).map(|so| (String::new(), Reading::Holds(so))));
    }
    readings
}

/// Of gateways that work: of others nothing can be said of what they do.
fn each_up(view: &View<'_>, so: impl Fn(&Gateway) -> Option<So>) -> Readings {
    let Some(claw) = view.measured().and_then(|measured| measured.claw.as_ref()) else {
        return Readings::unknown();
    };
    let mut readings = Readings::clear();
    for gateway in &claw.gateways {
        let reading = if up(gateway) { so(gateway).map(Reading::Holds) } else { Some(Reading::Between) };
        readings.list.extend(reading.map(|reading| (subject(gateway), reading)));
    }
    readings
}

/// At least so many crashes within a time, the last of them not long ago.
fn crashes(view: &View<'_>, least: usize, within: i64, also: fn(So, f64) -> So) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let calm = view.ms("calm");
    let mut all: Vec<_> = [EventKind::GatewayCrashed, EventKind::GatewayStartFailed]
        .into_iter()
        .flat_map(|kind| device.events(kind))
        .filter_map(|event| Some((event.when(view.body.late)?, event)))
        .filter(|(at, _)| *at <= view.now)
        .collect();
    all.sort_by_key(|(at, _)| *at);
    let Some((last_at, last)) = all.last() else { return Readings::clear() };
    if view.now.millis_since(*last_at) >= calm {
        return Readings::clear();
    }
    // The last time that there were so many within the time.
    let windows = all.windows(least.max(1)).rev();
    let full = |window: &&[(Timestamp, &crate::facts::Happened)]| {
        window.first().zip(window.last()).is_some_and(|(first, last)| last.0.millis_since(first.0) <= within)
    };
    let Some(end) = windows.into_iter().find(full).and_then(<[_]>::last) else { return Readings::clear() };
    if view.now.millis_since(end.0) >= calm {
        return Readings::clear();
    }
    let recent =
        all.iter().filter(|(at, _)| view.now.millis_since(*at) < calm.max(within.min(3_600_000))).count();
    let failed = last.kind == EventKind::GatewayStartFailed;
    let title = if failed {
        said("Gateway could not start", "网关启动失败")
    } else {
        said("Gateway crashed", "网关崩溃")
    };
    let reason = last.reason.as_deref().map(|reason| cut(reason, 300)).filter(|reason| !reason.is_empty());
    let times = |en: &str, zh: &str| {
        if recent > 1 {
            said(format!("{recent} times lately. {en}"), format!("近期 {recent} 次。{zh}"))
        } else {
            said(en, zh)
        }
    };
    let detail = match &reason {
        Some(reason) => times(reason, reason),
        None => {
            times("It ended without a word: killed, or out of memory.", "没有留下原因：被终止或内存不足。")
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let so = also(So::new(title).detail(detail).since(end.0), recent as f64);
    Readings::so(so).again(end.0.plus_millis(calm))
}

fn channels(view: &View<'_>) -> Readings {
    let Some(claw) = view.measured().and_then(|measured| measured.claw.as_ref()) else {
        return Readings::unknown();
    };
    let mut readings = Readings::clear();
    for gateway in &claw.gateways {
        let prefix = subject(gateway);
        let name = |channel: &str| {
            if prefix.is_empty() { channel.to_owned() } else { format!("{prefix}/{channel}") }
        };
        let told = gateway.channels.iter().filter_map(|c| Some((c.name.as_str(), c.connected?)));
        let failing = gateway.failing.iter().filter_map(|f| Some((f.strip_prefix("channel:")?, false)));
        for (channel, connected) in told.chain(failing) {
            let subject = name(channel);
            if connected || readings.list.iter().any(|(known, _)| *known == subject) {
                continue;
            }
            let shown = cut(channel, 60);
            let reading = if up(gateway) {
                Reading::Holds(So::new(said(
                    format!("Channel {shown} disconnected"),
                    format!("渠道 {shown} 已断开"),
                )))
            } else {
                Reading::Between
            };
            readings.list.push((subject, reading));
        }
    }
    readings
}

fn cron_failing(view: &View<'_>) -> Readings {
    let least = view.number("count");
    each_up(view, |gateway| {
        let cron = gateway.cron.as_ref()?;
        let jobs = cron.troubled.iter().filter(|job| f64::from(job.consecutive_errors) >= least);
        let (n, worst) = jobs.fold((0_u32, 0), |(n, worst), job| (n + 1, worst.max(job.consecutive_errors)));
        (n > 0).then(|| {
            So::new(said(
                format!("{n} cron {} failing", plural(n, "job", "jobs")),
                format!("{n} 个定时任务失败"),
            ))
            .detail(said(format!("Up to {worst} times in a row."), format!("最多连续失败 {worst} 次。")))
        })
    })
}
