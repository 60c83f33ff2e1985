//! Tokens and what they cost.

use protocol::{QUARTER_MILLIS, Timestamp};
use store::{Counts, Said, Severity};

use super::{
    DEVICE, Default, Field, Kind, Of, PLAIN, Reading, Readings, So, Text, Unit, View, Want, number, word,
};
use crate::facts::{Known, Mostly};
use crate::say::{both, cut, dollars, percent, said, span, tokens};

const HOUR_MS: i64 = 3_600_000;
const QUARTERS_OF_AN_HOUR: i64 = 4;
/// How often something is looked up again that goes on.
const AGAIN_MS: i64 = 15 * 60_000;
/// Devices have this much of the past in memory.
const MEMORY_MS: i64 = 3 * 24 * HOUR_MS - HOUR_MS;
/// A day of which less is gone says little about the rest of it.
const LEAST_OF_A_DAY: f64 = 0.25;

const MEASURE: &[(&str, Text)] = &[("usd", ("US dollars", "美元")), ("tokens", ("tokens", "token"))];
const PERIOD: &[(&str, Text)] = &[("day", ("a day", "每天")), ("month", ("a month", "每月"))];

const fn amount(default: f64) -> Field {
    number(
        "amount",
        ("Budget", "预算"),
        Unit::Count,
        &[10.0, 50.0, 100.0, 500.0, 1_000_000.0],
        (0.01, 1e13),
        default,
    )
}

const BUDGET: &[Field] = &[
    number("level", ("At", "达到"), Unit::Percent, &[50.0, 80.0, 100.0], (1.0, 1_000.0), 50.0),
    number("clear", ("Over below", "低于此值恢复"), Unit::Percent, &[], (0.0, 1_000.0), 50.0),
    amount(100.0),
    word("measure", ("In", "单位"), MEASURE, 0.0),
    word("period", ("For", "周期"), PERIOD, 1.0),
];
const STEPS: &[(Severity, Option<f64>, Option<u32>)] =
    &[(Severity::Warning, Some(80.0), None), (Severity::Error, Some(100.0), None)];

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "budget",
        name: ("Budget of the fleet", "总预算"),
        sentence: (
            "When {scope} together have used {level} of {amount} {measure} {period}",
            "{scope}合计{period}用量达到 {amount} {measure}的 {level}",
        ),
        of: Of::Fleet,
        lasts: false,
        levels: true,
        from_past: true,
        fields: BUDGET,
        default: Default { severity: Severity::Info, steps: STEPS, resolved: false, ..PLAIN },
        explained_by: &[],
        read: |view| budget(view, &mut view.world.within(&view.body.scope)),
        ..DEVICE
    },
    Kind {
        word: "device_budget",
        name: ("Budget of each device", "单台设备预算"),
        sentence: (
            "When {scope} has used {level} of {amount} {measure} {period}",
            "{scope}单台{period}用量达到 {amount} {measure}的 {level}",
        ),
        lasts: false,
        levels: true,
        from_past: true,
        fields: &[
            number("level", ("At", "达到"), Unit::Percent, &[50.0, 80.0, 100.0], (1.0, 1_000.0), 80.0),
            number("clear", ("Over below", "低于此值恢复"), Unit::Percent, &[], (0.0, 1_000.0), 80.0),
            amount(20.0),
            word("measure", ("In", "单位"), MEASURE, 0.0),
            word("period", ("For", "周期"), PERIOD, 0.0),
        ],
        default: Default { steps: &[(Severity::Error, Some(100.0), None)], resolved: false, ..PLAIN },
        explained_by: &[],
        read: |view| budget(view, &mut view.device.into_iter()),
        ..DEVICE
    },
    Kind {
        word: "budget_forecast",
        name: ("Budget will be crossed", "预计超出预算"),
        sentence: (
            "When {scope} together will probably use more than {amount} {measure} {period}",
            "{scope}合计{period}用量预计将超过 {amount} {measure}",
        ),
        of: Of::Fleet,
        lasts: false,
        from_past: true,
        fields: &[
            amount(100.0),
            word("measure", ("In", "单位"), MEASURE, 0.0),
            word("period", ("For", "周期"), PERIOD, 1.0),
        ],
        default: Default { resolved: false, ..PLAIN },
        explained_by: &[],
        read: forecast,
        ..DEVICE
    },
    Kind {
        word: "usage_anomaly",
        name: ("Unusual spend", "用量异常"),
        sentence: (
            "When {scope} uses {times} what is usual in an hour, and more than {usd} or {tokens}",
            "{scope}一小时用量达到平时的 {times}，且高于 {usd}或 {tokens}",
        ),
        lasts: false,
        from_past: true,
        fields: &[
            number(
                "times",
                ("Times usual", "倍数"),
                Unit::Times,
                &[2.0, 3.0, 5.0, 10.0],
                (1.1, 1_000.0),
                3.0,
            ),
            number("usd", ("More than", "高于"), Unit::Usd, &[1.0, 2.0, 5.0, 10.0], (0.0, 1e6), 2.0),
            number(
                "tokens",
                ("Or, without a price", "未定价时高于"),
                Unit::Tokens,
                &[200_000.0, 500_000.0, 2_000_000.0],
                (1.0, 1e13),
                500_000.0,
            ),
        ],
        explained_by: &[],
        read: anomaly,
        ..DEVICE
    },
    Kind {
        word: "idle_burn",
        name: ("Spend without people", "无人对话的消耗"),
        sentence: (
            "When {scope} uses more than {tokens} while nobody has written for {hours}",
            "{scope}{hours}无人对话而消耗超过 {tokens}",
        ),
        lasts: false,
        from_past: true,
        fields: &[
            number(
                "tokens",
                ("More than", "超过"),
                Unit::Tokens,
                &[200_000.0, 500_000.0, 2_000_000.0],
                (1.0, 1e13),
                500_000.0,
            ),
            number(
                "hours",
                ("Nobody for", "无人对话时间"),
                Unit::Hours,
                &[3.0, 6.0, 12.0, 24.0],
                (1.0, 60.0),
                6.0,
            ),
        ],
        explained_by: &[],
        read: idle_burn,
        ..DEVICE
    },
    Kind {
        word: "cache_collapse",
        name: ("Cache hits collapsed", "缓存命中率骤降"),
        sentence: (
            "When the cache hits of {scope} fall below {level} in an hour of more than {tokens} although they were above {usual}",
            "{scope}在一小时消耗超过 {tokens} 时缓存命中率低于 {level}，而此前高于 {usual}",
        ),
        lasts: false,
        levels: true,
        falling: true,
        from_past: true,
        fields: &[
            number("level", ("Below", "低于"), Unit::Percent, &[10.0, 20.0, 30.0, 50.0], (0.0, 100.0), 30.0),
            number(
                "clear",
                ("Over above", "高于此值恢复"),
                Unit::Percent,
                &[40.0, 50.0, 60.0],
                (0.0, 100.0),
                50.0,
            ),
            number(
                "tokens",
                ("More than", "超过"),
                Unit::Tokens,
                &[100_000.0, 200_000.0, 1_000_000.0],
                (1.0, 1e13),
                200_000.0,
            ),
            number(
                "usual",
                ("Were above", "此前高于"),
                Unit::Percent,
                &[50.0, 60.0, 80.0],
                (0.0, 100.0),
                60.0,
            ),
        ],
        explained_by: &[],
        read: cache,
        ..DEVICE
    },
];

#[expect(clippy::cast_precision_loss, reason = "money and tokens as people read them")]
fn float(n: i64) -> f64 {
    n as f64
}

/// What a rule adds up: dollars in billionths, or tokens.
fn measured_in(view: &View<'_>, counts: &Counts) -> f64 {
    float(if view.word("measure") == "tokens" { counts.tokens() } else { counts.spent_nano_usd() })
}

fn shown(view: &View<'_>, value: f64) -> Said {
    if view.word("measure") == "tokens" {
        said(format!("{} tokens", tokens(value)), format!("{} token", tokens(value)))
    } else {
        said(dollars(value), dollars(value))
    }
}

/// The amount in the unit of [`measured_in`].
fn budget_of(view: &View<'_>) -> f64 {
    view.number("amount") * if view.word("measure") == "tokens" { 1.0 } else { 1e9 }
}

/// What was used since the period began; with what was used in the week before today. `Err`: it must be looked up.
fn used(view: &View<'_>, devices: &mut dyn Iterator<Item = &Known>) -> Result<(f64, f64), Want> {
    let days = view.zone.days(view.now);
    let month = view.word("period") == "month";
    let (mut all, mut week) = (0.0, 0.0);
    for device in devices {
        let today = device
            .now
            .usage
            .as_ref()
            .map(|usage| usage.between(days.today, days.tomorrow))
            .unwrap_or_default();
        all += measured_in(view, &today);
        if month {
            let Some((_, month, before)) = device.before.filter(|(day, ..)| *day == days.today) else {
                return Err(Want::Before(days.today));
            };
            all += measured_in(view, &month);
            week += measured_in(view, &before);
        }
    }
    Ok((all, week))
}

/// When the day turns, at which all of it is judged again.
fn tomorrow(view: &View<'_>) -> Timestamp {
    view.zone.days(view.now).tomorrow
}

fn budget(view: &View<'_>, devices: &mut dyn Iterator<Item = &Known>) -> Readings {
    let all = match used(view, devices) {
        Ok((all, _)) => all,
        Err(want) => return Readings::unknown().want(want).again(tomorrow(view)),
    };
    let budget = budget_of(view);
    let pct = all * 100.0 / budget;
    let month = view.word("period") == "month";
    let (told, of) = (shown(view, all), shown(view, budget));
    let reading = view.level(pct, || {
        let at = percent(pct);
        let title = if month {
            said(format!("{at} of the month's budget"), format!("本月预算已用 {at}"))
        } else {
            said(format!("{at} of the day's budget"), format!("今日预算已用 {at}"))
        };
        So::new(title)
            .detail(said(format!("{} of {}.", told.en, of.en), format!("{} / {}。", told.zh, of.zh)))
    });
    // A budget that is used up stays so until its period is over, however it is looked at.
    Readings::one(reading).again(tomorrow(view))
}

fn forecast(view: &View<'_>) -> Readings {
    let (all, week) = match used(view, &mut view.world.within(&view.body.scope)) {
        Ok(known) => known,
        Err(want) => return Readings::unknown().want(want).again(tomorrow(view)),
    };
    let (days, budget) = (view.zone.days(view.now), budget_of(view));
    let gone =
        float(view.now.millis_since(days.today)) / float(days.tomorrow.millis_since(days.today)).max(1.0);
    let month = view.word("period") == "month";
    let expected = if month {
        let left = f64::from(view.zone.days_left_in_month(view.now)) + (1.0 - gone);
        all + week / 7.0 * left
    } else if gone < LEAST_OF_A_DAY {
        return Readings::one(Reading::Between).again(view.now.plus_millis(AGAIN_MS));
    } else {
        all / gone
    };
    let readings = if expected <= budget {
        // Not before it is clearly less: a forecast wavers.
        Readings::one(if expected < budget * 0.95 { Reading::Clear } else { Reading::Between })
    } else {
        let (will, of) = (shown(view, expected), shown(view, budget));
        let title = if month {
            said(format!("About {} this month", will.en), format!("本月预计 {}", will.zh))
        } else {
            said(format!("About {} today", will.en), format!("今日预计 {}", will.zh))
        };
        let so_far = shown(view, all);
        Readings::so(So::new(title).detail(said(
            format!("The budget is {}; {} so far.", of.en, so_far.en),
            format!("预算为 {}，目前已用 {}。", of.zh, so_far.zh),
        )))
    };
    readings.again(view.now.plus_millis(AGAIN_MS).min(days.tomorrow))
}

/// The last four quarters, the present one among them.
fn last_hour(view: &View<'_>, device: &Known) -> Counts {
    let end = Timestamp((view.now.0.div_euclid(QUARTER_MILLIS) + 1) * QUARTER_MILLIS);
    let from = end.plus_millis(-QUARTERS_OF_AN_HOUR * QUARTER_MILLIS);
    device.now.usage.as_ref().map(|usage| usage.between(from, end)).unwrap_or_default()
}

fn anomaly(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let counts = last_hour(view, device);
    let (spent, used) = (float(counts.spent_nano_usd()), float(counts.tokens()));
    // What has a price is judged by it, all else by tokens.
    let (floor_usd, floor_tokens) = (view.number("usd") * 1e9, view.number("tokens"));
    let by_price = spent > floor_usd;
    let again = Timestamp((view.now.0.div_euclid(QUARTER_MILLIS) + 1) * QUARTER_MILLIS);
    if !by_price && (used <= floor_tokens || spent > 0.0) {
        return Readings::clear();
    }
    let hour = Timestamp(view.now.0.div_euclid(HOUR_MS) * HOUR_MS);
    let Some(usual) = device.usual.as_ref().filter(|usual| usual.hour == hour) else {
        return Readings::unknown().want(Want::Usual(device.now.id, hour)).again(again);
    };
    // Of a device that is new nobody knows what is usual.
    if usual.known < 3 {
        return Readings::clear().again(again);
    }
    let (value, (median, deviation)) = if by_price { (spent, usual.spent) } else { (used, usual.tokens) };
    let times = view.number("times");
    // Where an hour is hardly ever like another, more is usual: 1.4826 makes of that median a standard deviation.
    let bar = (median * times).max(median + times * 1.4826 * deviation);
    if value <= bar {
        return Readings::one(if value < bar * 0.8 { Reading::Clear } else { Reading::Between }).again(again);
    }
    let show = |value: f64| if by_price { dollars(value) } else { format!("{} tokens", tokens(value)) };
    let title = if median > 0.0 {
        let ratio = value / median;
        said(format!("Spend {ratio:.1}× usual for this hour"), format!("本小时用量是平时的 {ratio:.1} 倍"))
    } else {
        said("Spend in an hour that has none usually", "平时无消耗的时段出现用量")
    };
    let most = mostly(usual.mostly.as_ref());
    let so = So::new(title).detail(said(
        format!("{} in an hour; usually {}{}.", show(value), show(median), most.en),
        format!("一小时 {}，平时 {}{}。", show(value), show(median), most.zh),
    ));
    Readings::so(so).again(again)
}

/// What used most, to be added to a sentence.
fn mostly(most: Option<&Mostly>) -> Said {
    let Some(Mostly { model, trigger }) = most else { return both("") };
    let model = cut(model, 60);
    let why = match trigger.as_str() {
        "human" => (" for messages", "（用户消息）"),
        "heartbeat" => (" by the heartbeat", "（心跳）"),
        "cron" => (" by cron jobs", "（定时任务）"),
        "sub_agent" => (" by sub-agents", "（子智能体）"),
        _ => ("", ""),
    };
    said(format!("; mostly {model}{}", why.0), format!("；主要是 {model}{}", why.1))
}

fn idle_burn(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let Some(usage) = &device.now.usage else { return Readings::clear() };
    let (floor, idle) = (view.number("tokens"), view.ms("hours"));
    let end = Timestamp((view.now.0.div_euclid(QUARTER_MILLIS) + 1) * QUARTER_MILLIS);
    let lately = float(usage.between(view.now.plus_millis(-idle), end).tokens());
    if lately <= floor {
        return Readings::clear();
    }
    let fresh = |human: &crate::facts::Human| view.now.millis_since(human.asked_at) < AGAIN_MS;
    let Some(human) = device.human.as_ref().filter(|human| fresh(human)) else {
        return Readings::unknown().want(Want::Human(device.now.id));
    };
    let silent = human.last_at.map_or(MEMORY_MS, |last| view.now.millis_since(last));
    if silent < idle {
        return Readings::clear().again(view.now.plus_millis((idle - silent).min(AGAIN_MS)));
    }
    let since = view.now.plus_millis(-silent.min(MEMORY_MS));
    let burnt = usage.between(since, end);
    let (length, used) = (span(silent.min(MEMORY_MS)), tokens(float(burnt.tokens())));
    let cost = burnt.known_spent_nano_usd().filter(|nano| *nano > 0).map(|nano| dollars(float(nano)));
    let cost = cost.map(|cost| (format!(", {cost}"), format!("，{cost}"))).unwrap_or_default();
    let most = mostly(human.mostly.as_ref());
    let so = So::new(said(format!("{used} tokens without people"), format!("无人对话而消耗 {used} token")))
        .detail(said(
            format!("Nobody has written for {}{}{}.", length.en, cost.0, most.en),
            format!("已 {} 无人对话{}{}。", length.zh, cost.1, most.zh),
        ));
    Readings::so(so).again(view.now.plus_millis(AGAIN_MS))
}

/// Percent of what was read that came from the cache; `None` when hardly anything was read.
fn hits(counts: &Counts, least: f64) -> Option<f64> {
    let read = float(counts.input + counts.cache_read + counts.cache_write);
    (read > 0.0 && read >= least).then(|| float(counts.cache_read) * 100.0 / read)
}

fn cache(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    let Some(usage) = &device.now.usage else { return Readings::clear() };
    let again = Timestamp((view.now.0.div_euclid(QUARTER_MILLIS) + 1) * QUARTER_MILLIS);
    let least = view.number("tokens");
    let Some(now) = hits(&last_hour(view, device), least) else { return Readings::clear() };
    let end = Timestamp(view.now.0.div_euclid(QUARTER_MILLIS) * QUARTER_MILLIS - HOUR_MS);
    let before = hits(&usage.between(view.now.plus_millis(-MEMORY_MS), end), least);
    let Some(before) = before.filter(|before| *before >= view.number("usual")) else {
        return Readings::clear();
    };
    Readings::one(view.level(now, || {
        So::new(said(
            format!("Cache hits down to {}", percent(now)),
            format!("缓存命中率降至 {}", percent(now)),
        ))
        .detail(said(
            format!("They were {} before: each answer costs more.", percent(before)),
            format!("此前为 {}，每次回答的费用会升高。", percent(before)),
        ))
    }))
    .again(again)
}
