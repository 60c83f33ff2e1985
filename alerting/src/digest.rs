//! The digest: what a day or a week was like, in one message. What it cost, what failed, what changed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::ToSpan as _;
use jiff::civil::{Date, Time, Weekday};
use protocol::{DeviceId, EventKind, Timestamp};
use store::{
    AlertFilter, AlertingSettings, Change, Digest, DigestEvery, Error, ErrorGroupFilter, EventFilter,
    GroupSort, NewDelivery, OutageFilter, Page, Said, Severity, Store, UsageBy, UsageFilter, UsageQuery,
    Zone,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::judge::zone;
use crate::say::{cut, dollars, said, span, tokens};
use crate::{Notification, Occasion, kinds};

/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_mins(1);
/// A server that was down at the time sends it when it is back, unless so long has passed that nobody waits for it.
const LATE_MS: i64 = 3 * 3_600_000;
/// Of a list that many are named.
const NAMED: usize = 3;
/// Rows that are looked at: more is said to be so many and more.
const ROWS: u32 = 1_000;
const MESSAGE: usize = 80;

/// Sends digests until `stop`.
pub(crate) async fn run(store: Store, stop: CancellationToken) {
    let mut feed = store.feed();
    let mut done = None;
    let mut look_at = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(look_at) => {}
            change = feed.recv() => match change {
                Ok(Change::Rules) | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            },
        }
        look_at = Instant::now() + LOOK;
        if let Err(error) = look(&store, &mut done).await {
            warn!(error = &error as &dyn std::error::Error, "a digest could not be made, it is tried again");
        }
    }
}

/// Sends the digest that is due, if it was not: `done` is the last one, and a second time changes nothing.
async fn look(store: &Store, done: &mut Option<Timestamp>) -> Result<(), Error> {
    let now = store.clock().now();
    let (settings, _) = store.alerting_settings().await?;
    let zone = zone(&settings);
    let Some(digest) = &settings.digest else { return Ok(()) };
    let Some(period) = period(digest, &zone, now).filter(|period| *done != Some(period.due_at)) else {
        return Ok(());
    };
    let past = past(store, &zone, &period).await?;
    let notification = notification(&past, &settings, now);
    let body = serde_json::to_string(&notification).unwrap_or_default();
    let to = |channel: &String| NewDelivery {
        id: format!("{}-{channel}", notification.id),
        channel: channel.clone(),
        occasion: Occasion::Digest.as_str(),
        body: body.clone(),
        due_at: now,
        held: None,
    };
    let deliveries: Vec<NewDelivery> = digest.channels.iter().map(to).collect();
    store.add_deliveries(&deliveries).await?;
    info!(days = past.days(), channels = deliveries.len(), "a digest is sent");
    *done = Some(period.due_at);
    Ok(())
}

/// What a digest is about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Period {
    /// When it is due.
    due_at: Timestamp,
    /// The first of its days, and the day after the last.
    days: (Date, Date),
    /// The same as moments.
    from: Timestamp,
    to: Timestamp,
    /// When the period before it began.
    before: Timestamp,
}

/// The digest that is due now, if one is: of the day before, or of the seven days before a Monday.
fn period(digest: &Digest, zone: &Zone, now: Timestamp) -> Option<Period> {
    let minutes = i8::try_from(digest.at.minutes() % 60).ok()?;
    let time = Time::new(i8::try_from(digest.at.minutes() / 60).ok()?, minutes, 0, 0).ok()?;
    let length = match digest.every {
        DigestEvery::Day => 1,
        DigestEvery::Week => 7,
    };
    let today = zone.date(now);
    // Late in the evening it may be due on the day before.
    let days = [Some(today), today.yesterday().ok()].into_iter().flatten();
    let day = days.filter(|day| length == 1 || day.weekday() == Weekday::Monday).find(|day| {
        let late = now.millis_since(zone.at(*day, time));
        (0..LATE_MS).contains(&late)
    })?;
    let first = day.checked_sub(length.days()).ok()?;
    let before = first.checked_sub(length.days()).ok()?;
    Some(Period {
        due_at: zone.at(day, time),
        days: (first, day),
        from: zone.start_of(first),
        to: zone.start_of(day),
        before: zone.start_of(before),
    })
}

/// A name, and what it used.
type Used = (String, i64, i64);

/// What there is to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Past {
    /// The first and the last day.
    from: String,
    to: String,
    /// Billionths of a dollar that were spent, and before.
    spent: i64,
    spent_before: i64,
    /// tokens that were used, and those of them that nobody knows a price for.
    tokens: i64,
    unpriced: i64,
    /// Those that cost most: name, billionths of a dollar, tokens.
    devices: Vec<Used>,
    models: Vec<Used>,
    /// Kinds of rules, how often they fired, the most frequent first.
    alerts: Vec<(Said, usize)>,
    critical: u32,
    /// How many fire now.
    firing: usize,
    /// Errors by device, most first.
    errors: Vec<(String, u32)>,
    /// Messages of errors that had not been seen before.
    new_errors: Vec<String>,
    /// Devices that were away, for so many milliseconds, the longest first.
    outages: Vec<(String, i64)>,
    /// Devices with their old and new version of OpenClaw.
    upgrades: Vec<(String, String, String)>,
}

impl Past {
    fn days(&self) -> String {
        if self.from == self.to { self.from.clone() } else { format!("{}..{}", self.from, self.to) }
    }

    fn fired(&self) -> usize {
        self.alerts.iter().map(|(_, count)| count).sum()
    }
}

async fn past(store: &Store, zone: &Zone, period: &Period) -> Result<Past, Error> {
    let Period { from, to, before, days: (first, end), .. } = *period;
    let firing = store.firing();
    let mut past = Past {
        from: first.to_string(),
        to: end.yesterday().unwrap_or(first).to_string(),
        firing: [firing.critical, firing.error, firing.warning, firing.info]
            .iter()
            .map(|n| *n as usize)
            .sum(),
        ..Past::default()
    };
    let names: BTreeMap<DeviceId, String> =
        store.devices().into_iter().map(|device| (device.id, device.name.clone())).collect();
    let called = |id: &DeviceId| names.get(id).cloned().unwrap_or_else(|| id.to_string());

    let used = async |from, to, by| {
        let (zone, filter, limit) = (zone.clone(), UsageFilter::default(), 3);
        store.usage(&UsageQuery { from, to, zone, by, then_by: None, filter, limit }).await
    };
    let by_device = used(from, to, UsageBy::Device).await?;
    for group in &by_device {
        past.spent += group.counts.spent_nano_usd();
        past.tokens += group.counts.tokens();
        past.unpriced += group.counts.without_price();
    }
    past.spent_before =
        used(before, from, UsageBy::Provider).await?.iter().map(|group| group.counts.spent_nano_usd()).sum();
    let most = |groups: Vec<store::UsageGroup>| {
        let named = groups
            .into_iter()
            .filter_map(|group| Some((group.key?, group.counts.spent_nano_usd(), group.counts.tokens())));
        let mut named: Vec<Used> = named.filter(|(_, _, tokens)| *tokens > 0).collect();
        named.sort_by_key(|(_, spent, tokens)| std::cmp::Reverse((*spent, *tokens)));
        named
    };
    past.models = most(used(from, to, UsageBy::Model).await?);
    past.devices = most(by_device);
    for device in &mut past.devices {
        if let Ok(id) = DeviceId::parse(&device.0) {
            device.0 = called(&id);
        }
    }

    let mut alerts: BTreeMap<String, usize> = BTreeMap::new();
    let mut page = Page::first(ROWS);
    'pages: loop {
        let rows = store.alerts(&AlertFilter::default(), page).await?;
        for alert in &rows {
            if alert.fired_at < from {
                break 'pages;
            }
            if alert.fired_at < to {
                *alerts.entry(alert.rule.clone()).or_default() += 1;
                past.critical += u32::from(alert.telling.severity == Severity::Critical);
            }
        }
        match rows.last() {
            Some(last) => page = Page::after(last.place(), ROWS),
            None => break,
        }
    }
    let name = |rule: &str| match kinds::kind(rule) {
        Some(kind) => said(kind.name.0, kind.name.1),
        None => said(rule, rule),
    };
    past.alerts = alerts.iter().map(|(rule, count)| (name(rule), *count)).collect();
    past.alerts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));

    let mut errors: BTreeMap<DeviceId, u32> = BTreeMap::new();
    for (device, _, count) in store.error_hours(from, to).await? {
        *errors.entry(device).or_default() += count;
    }
    past.errors = errors.iter().map(|(device, count)| (called(device), *count)).collect();
    past.errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let seen = ErrorGroupFilter { from: Some(from), ..ErrorGroupFilter::default() };
    let groups = store.error_groups(&seen, GroupSort::FirstSeen, None, ROWS).await?;
    let new = groups.into_iter().filter(|group| (from..to).contains(&group.first_seen_at));
    past.new_errors = new.map(|group| group.message).collect();

    let lasted = OutageFilter { from: Some(from), to: Some(to), ..OutageFilter::default() };
    let mut away: BTreeMap<DeviceId, i64> = BTreeMap::new();
    for outage in store.outages(&lasted, ROWS).await? {
        let within = outage.to.unwrap_or(to).min(to).millis_since(outage.from.max(from));
        *away.entry(outage.device).or_default() += within.max(0);
    }
    past.outages = away.iter().map(|(device, ms)| (called(device), *ms)).collect();
    past.outages.sort_by_key(|(_, ms)| std::cmp::Reverse(*ms));

    let upgraded = EventFilter {
        kinds: vec![EventKind::GatewayUpgraded.as_str()],
        from: Some(from),
        to: Some(to),
        ..EventFilter::default()
    };
    for event in store.fleet_events(&upgraded, Page::first(ROWS)).await? {
        let versions = event.event.from.zip(event.event.to);
        past.upgrades.extend(event.device.zip(versions).map(|((_, name), (old, new))| (name, old, new)));
    }
    Ok(past)
}

fn notification(past: &Past, settings: &AlertingSettings, now: Timestamp) -> Notification {
    let (title, detail) = told(past);
    let url = settings.url.trim_end_matches('/');
    Notification {
        id: format!("digest-{}", past.days()),
        occasion: Occasion::Digest,
        at: now,
        alert: None,
        rule: None,
        severity: Severity::Info,
        title,
        detail: Some(detail),
        device: None,
        devices: None,
        fired_at: None,
        resolved_at: None,
        url: (!url.is_empty()).then(|| format!("{url}/")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people, who read three digits")]
fn float(n: i64) -> f64 {
    n as f64
}

/// What it says: a title, and a line for each thing.
fn told(past: &Past) -> (Said, Said) {
    let days = if past.from == past.to {
        said(&past.from, &past.from)
    } else {
        said(format!("{} to {}", past.from, past.to), format!("{} 至 {}", past.from, past.to))
    };
    let spent = dollars(float(past.spent));
    let (fired, away) = (past.fired(), past.outages.len());
    let title = said(
        format!(
            "{}: {spent}, {}, {}",
            days.en,
            many(fired, "alert", "alerts"),
            many(away, "device was away", "devices were away")
        ),
        format!("{}：费用 {spent}，告警 {fired} 条，{away} 台设备中断过", days.zh),
    );
    let lines = [
        Some(cost_line(past)),
        most_line(&said("By device", "按设备"), &past.devices),
        most_line(&said("By model", "按模型"), &past.models),
        Some(alert_line(past)),
        Some(error_line(past)),
        new_error_line(past),
        Some(outage_line(past)),
        upgrade_line(past),
    ];
    let lines: Vec<Said> = lines.into_iter().flatten().collect();
    let joined = |of: fn(&Said) -> &str| lines.iter().map(of).collect::<Vec<_>>().join("\n");
    (title, said(joined(|line| &line.en), joined(|line| &line.zh)))
}

/// A number and what is counted.
fn many(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn cost_line(past: &Past) -> Said {
    if past.tokens == 0 {
        return said("Cost: nothing was used", "费用：没有用量");
    }
    let (now, before) = (float(past.spent), float(past.spent_before));
    let used = tokens(float(past.tokens));
    let change = match (past.spent, past.spent_before) {
        (_, ..=0) => said("", ""),
        (a, b) if a == b => said(", as before", "，与上期持平"),
        (a, b) => {
            let pct = format!("{:.0}%", (now - before).abs() / before * 100.0);
            let was = dollars(before);
            let word = if a > b { ("more", "增加") } else { ("less", "减少") };
            said(
                format!(", {pct} {} than before ({was})", word.0),
                format!("，较上期（{was}）{} {pct}", word.1),
            )
        }
    };
    let unpriced = match past.unpriced {
        0 => said("", ""),
        n => {
            let n = tokens(float(n));
            said(format!("; {n} of them without a price"), format!("，其中 {n} 未定价"))
        }
    };
    let spent = dollars(now);
    said(
        format!("Cost: {spent}{}; {used} tokens{}", change.en, unpriced.en),
        format!("费用：{spent}{}；{used} token{}", change.zh, unpriced.zh),
    )
}

/// Names with what each cost; where nothing has a price, with what each used.
fn most_line(what: &Said, most: &[Used]) -> Option<Said> {
    let priced = most.iter().any(|(_, spent, _)| *spent > 0);
    let each = most.iter().take(NAMED).map(|(name, spent, used)| {
        let amount = if priced { dollars(float(*spent)) } else { tokens(float(*used)) };
        format!("{} {amount}", cut(name, 60))
    });
    let each = each.collect::<Vec<_>>().join(" · ");
    (!each.is_empty()).then(|| said(format!("{}: {each}", what.en), format!("{}：{each}", what.zh)))
}

fn alert_line(past: &Past) -> Said {
    let firing = match past.firing {
        0 => said("", ""),
        n => said(format!("; {} now", many(n, "fires", "fire")), format!("；目前 {n} 条未恢复")),
    };
    if past.alerts.is_empty() {
        return said(format!("Alerts: none{}", firing.en), format!("告警：无{}", firing.zh));
    }
    let critical = match past.critical {
        0 => said("", ""),
        n => said(format!(" ({n} critical)"), format!("（紧急 {n} 条）")),
    };
    let each = |of: fn(&Said) -> &str| {
        let named = past.alerts.iter().take(NAMED).map(|(name, count)| format!("{} × {count}", of(name)));
        named.collect::<Vec<_>>().join(" · ")
    };
    said(
        format!("Alerts: {}{}: {}{}", past.fired(), critical.en, each(|name| &name.en), firing.en),
        format!("告警：{} 条{}：{}{}", past.fired(), critical.zh, each(|name| &name.zh), firing.zh),
    )
}

fn error_line(past: &Past) -> Said {
    let all: u32 = past.errors.iter().map(|(_, count)| count).sum();
    if all == 0 {
        return said("Errors: none", "错误：无");
    }
    let most = past.errors.iter().take(NAMED).map(|(name, count)| format!("{} {count}", cut(name, 60)));
    let most = most.collect::<Vec<_>>().join(" · ");
    said(format!("Errors: {all}, most on {most}"), format!("错误：{all} 条，最多的是 {most}"))
}

fn new_error_line(past: &Past) -> Option<Said> {
    let all = past.new_errors.len();
    let each = past
        .new_errors
        .iter()
        .take(NAMED)
        .map(|message| cut(message, MESSAGE))
        .collect::<Vec<_>>()
        .join(" · ");
    (all > 0).then(|| {
        said(format!("New kinds of errors: {all}: {each}"), format!("新出现的错误：{all} 类：{each}"))
    })
}

fn outage_line(past: &Past) -> Said {
    if past.outages.is_empty() {
        return said("Outages: none", "中断：无");
    }
    let each = |of: fn(&Said) -> &str| {
        let named = past.outages.iter().take(NAMED);
        named
            .map(|(name, ms)| format!("{} {}", cut(name, 60), of(&span(*ms))))
            .collect::<Vec<_>>()
            .join(" · ")
    };
    let all = past.outages.len();
    said(
        format!("Outages: {}, longest {}", many(all, "device", "devices"), each(|span| &span.en)),
        format!("中断：{all} 台设备，最久的是 {}", each(|span| &span.zh)),
    )
}

fn upgrade_line(past: &Past) -> Option<Said> {
    let all = past.upgrades.len();
    let each = past.upgrades.iter().take(NAMED);
    let each = each.map(|(name, old, new)| format!("{} {} → {}", cut(name, 60), cut(old, 30), cut(new, 30)));
    let each = each.collect::<Vec<_>>().join(" · ");
    (all > 0).then(|| said(format!("Upgraded: {all}: {each}"), format!("升级：{all} 台：{each}")))
}

#[cfg(test)]
mod tests {
    use store::TimeOfDay;

    use super::*;

    fn ms(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_digest_is_of_whole_days_by_the_clock_of_the_settings() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let check = |every: DigestEvery, at: &str, now: &str, days: Option<(&str, &str)>| {
            let digest = Digest { every, at: TimeOfDay::parse(at).unwrap(), channels: vec![] };
            let found = period(&digest, &zone, ms(now));
            let found_days = found.as_ref().map(|p| (p.days.0.to_string(), p.days.1.to_string()));
            assert_eq!(found_days, days.map(|(a, b)| (a.to_owned(), b.to_owned())), "{at} {now}");
            found
        };
        let (day, week) = (DigestEvery::Day, DigestEvery::Week);
        // 08:00 in Shanghai is midnight in UTC.
        check(day, "08:00", "2026-11-19T23:59:59Z", None);
        let found = check(day, "08:00", "2026-11-20T00:00:00Z", Some(("2026-11-19", "2026-11-20"))).unwrap();
        assert_eq!(found.from, ms("2026-11-18T16:00:00Z"));
        assert_eq!(found.to, ms("2026-11-19T16:00:00Z"));
        assert_eq!(found.before, ms("2026-11-17T16:00:00Z"));
        check(day, "08:00", "2026-11-20T02:59:59Z", Some(("2026-11-19", "2026-11-20")));
        check(day, "08:00", "2026-11-20T03:00:00Z", None);
        // Late in the evening, and the server is back after midnight.
        check(day, "23:30", "2026-11-20T16:30:00Z", Some(("2026-11-19", "2026-11-20")));
        // Only on Mondays.
        check(week, "08:00", "2026-11-20T00:00:00Z", None);
        let found = check(week, "08:00", "2026-11-23T00:00:00Z", Some(("2026-11-16", "2026-11-23"))).unwrap();
        assert_eq!(found.before, ms("2026-11-08T16:00:00Z"));
    }

    #[test]
    fn a_digest_reads_like_one() {
        let check = |past: &Past, title: (&str, &str), en: &[&str], zh: &[&str]| {
            let (told, detail) = told(past);
            assert_eq!((told.en.as_str(), told.zh.as_str()), title);
            assert_eq!(detail.en.lines().collect::<Vec<_>>(), en);
            assert_eq!(detail.zh.lines().collect::<Vec<_>>(), zh);
        };
        let quiet = Past { from: "2026-11-19".to_owned(), to: "2026-11-19".to_owned(), ..Past::default() };
        check(
            &quiet,
            (
                "2026-11-19: $0.00, 0 alerts, 0 devices were away",
                "2026-11-19：费用 $0.00，告警 0 条，0 台设备中断过",
            ),
            &["Cost: nothing was used", "Alerts: none", "Errors: none", "Outages: none"],
            &["费用：没有用量", "告警：无", "错误：无", "中断：无"],
        );
        let name = |text: &str| text.to_owned();
        let busy = Past {
            to: name("2026-11-25"),
            spent: 12_400_000_000,
            spent_before: 9_470_000_000,
            tokens: 4_100_000,
            unpriced: 120_000,
            devices: vec![(name("hk-edge-02"), 5_100_000_000, 1), (name("lab"), 0, 1)],
            models: vec![(name("anthropic/opus"), 9_000_000_000, 1)],
            alerts: vec![(said("Gateway down", "网关停止"), 3), (said("Offline", "设备离线"), 1)],
            critical: 2,
            firing: 1,
            errors: vec![(name("hk-edge-02"), 80), (name("lab"), 44)],
            new_errors: vec![name("boom\nbang")],
            outages: vec![(name("lab"), 4_320_000)],
            upgrades: vec![(name("lab"), name("2026.1.2"), name("2026.1.3"))],
            ..quiet
        };
        check(
            &busy,
            (
                "2026-11-19 to 2026-11-25: $12.40, 4 alerts, 1 device was away",
                "2026-11-19 至 2026-11-25：费用 $12.40，告警 4 条，1 台设备中断过",
            ),
            &[
                "Cost: $12.40, 31% more than before ($9.47); 4.1M tokens; 120K of them without a price",
                "By device: hk-edge-02 $5.10 · lab $0.00",
                "By model: anthropic/opus $9.00",
                "Alerts: 4 (2 critical): Gateway down × 3 · Offline × 1; 1 fires now",
                "Errors: 124, most on hk-edge-02 80 · lab 44",
                "New kinds of errors: 1: boom bang",
                "Outages: 1 device, longest lab 1 h 12 min",
                "Upgraded: 1: lab 2026.1.2 → 2026.1.3",
            ],
            &[
                "费用：$12.40，较上期（$9.47）增加 31%；4.1M token，其中 120K 未定价",
                "按设备：hk-edge-02 $5.10 · lab $0.00",
                "按模型：anthropic/opus $9.00",
                "告警：4 条（紧急 2 条）：网关停止 × 3 · 设备离线 × 1；目前 1 条未恢复",
                "错误：124 条，最多的是 hk-edge-02 80 · lab 44",
                "新出现的错误：1 类：boom bang",
                "中断：1 台设备，最久的是 lab 1 小时 12 分",
                "升级：1 台：lab 2026.1.2 → 2026.1.3",
            ],
        );
    }
}
