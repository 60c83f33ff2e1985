//! Errors that OpenClaw writes.

use protocol::EventKind;
use store::Severity;

use super::{DEVICE, Default, Kind, Of, PLAIN, Readings, So, Unit, View, calm, number};
use crate::facts::when;
use crate::say::{cut, names, said, span};

const HOUR_MS: i64 = 3_600_000;
/// Before and after an upgrade so much is compared at most.
const DAY_MS: i64 = 24 * HOUR_MS;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "error_burst",
        name: ("Error burst", "错误激增"),
        sentence: (
            "When {scope} writes more than {level} errors within {within}",
            "{scope}在 {within}内出现超过 {level} 条错误",
        ),
        lasts: false,
        levels: true,
        from_past: true,
        fields: &[
            number(
                "level",
                ("Errors", "错误数"),
                Unit::Count,
                &[10.0, 20.0, 50.0, 100.0],
                (2.0, 100_000.0),
                20.0,
            ),
            number(
                "clear",
                ("Over below", "低于此值恢复"),
                Unit::Count,
                &[2.0, 5.0, 10.0, 20.0],
                (1.0, 100_000.0),
                5.0,
            ),
            number(
                "within",
                ("Within", "时间范围"),
                Unit::Minutes,
                &[5.0, 10.0, 30.0, 60.0],
                (1.0, 60.0),
                10.0,
            ),
        ],
        default: Default { steps: &[(Severity::Error, Some(100.0), None)], ..PLAIN },
        explained_by: &[],
        read: burst,
        ..DEVICE
    },
    Kind {
        word: "error_new",
        name: ("New error group", "新的错误类别"),
        sentence: (
            "When {scope} writes an error that no device has written before (over after {calm})",
            "{scope}出现从未见过的错误类别（{calm} 后恢复）",
        ),
        lasts: false,
        from_past: true,
        fields: &[calm(60.0)],
        default: Default { severity: Severity::Info, resolved: false, ..PLAIN },
        explained_by: &[],
        read: new_groups,
        ..DEVICE
    },
    Kind {
        word: "error_spread",
        name: ("Same error on many devices", "多台设备出现同一错误"),
        sentence: (
            "When the same error is seen on {count} of {scope} within {within}",
            "{scope}中有 {count} 台设备在 {within}内出现同一错误",
        ),
        of: Of::Fleet,
        lasts: false,
        from_past: true,
        fields: &[
            number(
                "count",
                ("Devices", "设备数"),
                Unit::Count,
                &[3.0, 5.0, 10.0, 20.0],
                (2.0, 10_000.0),
                5.0,
            ),
            number(
                "within",
                ("Within", "时间范围"),
                Unit::Minutes,
                &[15.0, 60.0, 240.0],
                (1.0, 1_440.0),
                60.0,
            ),
        ],
        default: Default { severity: Severity::Error, ..PLAIN },
        explained_by: &[],
        read: spread,
        ..DEVICE
    },
    Kind {
        word: "errors_after_upgrade",
        name: ("More errors after an upgrade", "升级后错误增多"),
        sentence: (
            "When {scope} writes more than {times} the errors of before, and {count} at least, in the day after an upgrade",
            "{scope}升级后一天内错误超过升级前的 {times}，且不少于 {count} 条",
        ),
        lasts: false,
        from_past: true,
        fields: &[
            number("times", ("Times before", "倍数"), Unit::Times, &[2.0, 3.0, 5.0], (1.1, 100.0), 3.0),
            number("count", ("At least", "至少"), Unit::Count, &[10.0, 20.0, 50.0], (1.0, 100_000.0), 10.0),
        ],
        explained_by: &[],
        read: after_upgrade,
        ..DEVICE
    },
];

fn burst(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let within = view.ms("within");
    let n = device.errors.minutes(view.now.plus_millis(60_000 - within), view.now);
    let length = span(within);
    let reading = view.level(f64::from(n), || {
        So::new(said(format!("{n} errors within {}", length.en), format!("{}内 {n} 条错误", length.zh)))
    });
    let readings = Readings::one(reading);
    // While there are any, they go by themselves.
    if n == 0 { readings } else { readings.again(view.now.plus_millis(60_000)) }
}

fn new_groups(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let calm = view.ms("calm");
    let recent: Vec<_> = device
        .new_groups
        .iter()
        .filter_map(|error| Some((when(error.at, error.received_at, view.body.late)?, error)))
        .filter(|(at, _)| *at <= view.now && view.now.millis_since(*at) < calm)
        .collect();
    let Some((last_at, last)) = recent.last() else { return Readings::clear() };
    let title = match recent.len() {
        1 => said("New error", "新的错误类别"),
        n => said(format!("{n} new errors"), format!("{n} 类新错误")),
    };
    let message = cut(&last.message, 300);
    let so = So::new(title).detail(said(message.clone(), message)).since(*last_at);
    Readings::so(so).again(last_at.plus_millis(calm))
}

fn spread(view: &View<'_>) -> Readings {
    let (least, within) = (view.number("count"), view.ms("within"));
    let scope = &view.body.scope;
    let mut readings = Readings::clear();
    for (fingerprint, group) in &view.world.groups {
        let recent = |at: &protocol::Timestamp| *at <= view.now && view.now.millis_since(*at) < within;
        let mut seen: Vec<_> = group
            .seen
            .iter()
            .filter(|(_, at)| recent(at))
            .filter_map(|(id, at)| Some((view.world.devices.get(id)?, *at)))
            .filter(|(known, _)| scope.has(known.now.id, &known.now.tags))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a count of devices")]
        if (seen.len() as f64) < least {
            continue;
        }
        seen.sort_by(|(a, _), (b, _)| a.now.name.cmp(&b.now.name));
        let n = seen.len();
        let who = names(seen.iter().map(|(known, _)| known.now.name.as_str()), 5);
        let message = cut(&group.message, 200);
        let mut so = So::new(said(format!("Same error on {n} devices"), format!("{n} 台设备出现同一错误")))
            .detail(said(format!("{message} ({})", who.en), format!("{message}（{}）", who.zh)));
        so.members = seen.iter().map(|(known, _)| known.now.id).collect();
        // When the oldest of those that are needed is too old.
        let mut times: Vec<_> = seen.iter().map(|(_, at)| *at).collect();
        times.sort_unstable();
        let first = times.first().copied().unwrap_or(view.now);
        readings.list.push((fingerprint.clone(), super::Reading::Holds(so)));
        readings = readings.again(first.plus_millis(within));
    }
    readings
}

fn after_upgrade(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let upgrades = device.events(EventKind::GatewayUpgraded);
    let Some((at, upgrade)) = upgrades
        .filter_map(|event| Some((event.when(view.body.late)?, event)))
        .filter(|(at, _)| *at <= view.now)
        .last()
    else {
        return Readings::clear();
    };
    let since = view.now.millis_since(at);
    if since >= DAY_MS {
        return Readings::clear();
    }
    let after = f64::from(
        device
            .errors
            .minutes(at, view.now)
            .max(device.errors.hours(at.plus_millis(HOUR_MS), view.now.plus_millis(HOUR_MS))),
    );
    let before = f64::from(device.errors.hours(at.plus_millis(-DAY_MS), at));
    #[expect(clippy::cast_precision_loss, reason = "hours")]
    let hours = (since as f64 / HOUR_MS as f64).max(0.25);
    let (rate_after, rate_before) = (after / hours, before / 24.0);
    let (times, least) = (view.number("times"), view.number("count"));
    let readings = if after >= least && rate_after > times * rate_before {
        let [from, to] =
            [&upgrade.from, &upgrade.to].map(|version| cut(version.as_deref().unwrap_or("?"), 40));
        let n = after;
        let more = if before > 0.0 {
            let ratio = rate_after / rate_before;
            said(
                format!("{ratio:.1} times as many in an hour as before"),
                format!("每小时是之前的 {ratio:.1} 倍"),
            )
        } else {
            said("none in the day before", "之前一天没有错误")
        };
        Readings::so(
            So::new(said(format!("{n:.0} errors since the upgrade"), format!("升级后 {n:.0} 条错误")))
                .detail(said(
                    format!("{from} to {to}; {}.", more.en),
                    format!("{from} 升级到 {to}，{}。", more.zh),
                )),
        )
    } else {
        Readings::clear()
    };
    readings.again(at.plus_millis(DAY_MS).min(view.now.plus_millis(5 * 60_000)))
}
