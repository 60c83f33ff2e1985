//! What a rule would have done with the stored past: the same engine, fed from the history.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{
    DeviceId, Event, EventKind, Gateway, GatewayExit, GatewayOutcome, GatewayState, OfflineReason, OpenClaw,
    Timestamp,
};
use store::{
    Counts, Device, DeviceUsage, Error, EventFilter, Metric, Outage, OutageFilter, Page, Rule, RuleBody,
    Said, Severity, Store, Zone,
};

use crate::facts::{DeviceNow, ErrorTold, Fact, Happened, Measured};
use crate::kinds::{self, Kind, Of, Want};
use crate::{Engine, Ruleset, Transition, What};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// First a look in steps of this length: where nothing crosses a level, that is enough.
const COARSE_MS: i64 = 2 * HOUR_MS;
/// Moments that are told one by one.
const MOMENTS: usize = 1_000;
/// Rows of one question.
const ROWS: u32 = 10_000;
/// Devices of one answer at most: those that come first by name.
const DEVICES: usize = 1_000;
/// Points of a chart.
const POINTS: usize = 300;
/// Steps of [`COARSE_MS`] that make a trend, of disks and of a gateway's memory; and the fewest of each.
const DISK_STEPS: usize = 36;
const RSS_STEPS: usize = 6;
/// How much of what is measured a line must explain.
const FIT: f64 = 0.6;
/// What is usual is known from so long before.
const USUAL_MS: i64 = 36 * DAY_MS;
/// What a budget adds up is looked at by the hour.
const QUARTERS_OF_AN_HOUR: i64 = 4;

/// Why there is no dry run.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// The stored past does not tell of it.
    #[error("the stored past does not tell of it")]
    NotStored,
    /// The store does not answer.
    #[error("the stored past cannot be read")]
    Store(#[from] Error),
}

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRun {
    /// From when ...
    pub from: Timestamp,
    /// ... until when was judged.
    pub to: Timestamp,
    /// Each time that it would have fired, oldest first, at most 1,000.
    pub moments: Vec<DryMoment>,
    /// How often in all.
    pub count: u32,
    /// On how many devices.
    pub devices: u32,
    /// How long the longest took, in milliseconds.
    pub longest_ms: Option<i64>,
    /// Of the device that it was about most, what was measured, in the unit of the level.
    pub series: Option<Measurements>,
    /// How many devices were judged.
    pub judged_devices: u32,
}

/// A device, when something was measured of it, and what.
pub type Measurements = ((DeviceId, String), Vec<Timestamp>, Vec<Option<f64>>);

/// A rule would have fired.
#[derive(Debug, Clone, PartialEq)]
pub struct DryMoment {
    /// The device; `None`: several, or the fleet.
    pub device: Option<(DeviceId, String)>,
    /// When it would have fired.
    pub from: Timestamp,
    /// When it would have been over; `None`: not yet.
    pub to: Option<Timestamp>,
    /// The gravest it would have been.
    pub severity: Severity,
    /// What it would have said at first.
    pub title: Said,
}

/// Something of a device's past.
#[derive(Debug, Clone)]
enum Then {
    Lost(Option<OfflineReason>),
    Back,
    Measured(Box<Sample>),
    Happened(Box<Happened>),
    Error(Box<ErrorTold>),
    Used(Timestamp, Counts),
    Trend(crate::facts::Trend),
}

/// What is known of a moment of the past.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sample {
    cpu_pct: Option<f64>,
    memory_pct: Option<f64>,
    disk_pct: Option<f64>,
    disk_free: Option<f64>,
    state: Option<GatewayState>,
}

/// From where a kind is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Outages,
    Samples(&'static [Metric]),
    States,
    Trends,
    Events,
    Errors,
    Usage,
}

fn source(kind: &Kind) -> Source {
    match kind.word {
        "offline" => Source::Outages,
        "cpu" => Source::Samples(&[Metric::CpuPct]),
        "memory" => Source::Samples(&[Metric::MemoryUsed, Metric::MemoryTotal]),
        "disk" => Source::Samples(&[Metric::DiskUsed, Metric::DiskTotal]),
        "gateway_down" | "gateway_hung" | "gateway_not_ready" => Source::States,
        "disk_full" | "gateway_memory" => Source::Trends,
        "error_burst" | "error_new" | "error_spread" | "errors_after_upgrade" => Source::Errors,
        "budget" | "device_budget" | "budget_forecast" | "usage_anomaly" | "idle_burn" | "cache_collapse" => {
            Source::Usage
        }
        _ => Source::Events,
    }
}

/// What a rule would have done in the last days. Pauses and who would have been told do not matter.
pub async fn dry_run(store: &Store, word: &str, body: &RuleBody, days: u32) -> Result<DryRun, DryRunError> {
    let kind = kinds::kind(word).filter(|kind| kind.from_past).ok_or(DryRunError::NotStored)?;
    let to = store.clock().now();
    let from = to.plus_millis(-i64::from(days.clamp(1, 90)) * DAY_MS);
    let (settings, _) = store.alerting_settings().await?;
    let zone = crate::judge::zone(&settings);
    let all = store.devices();
    let devices: Vec<Arc<Device>> =
        all.into_iter().filter(|device| body.scope.has(device.id, &device.tags)).take(DEVICES).collect();
    let past = Past { store, kind, body, from, to };
    let mut then: Vec<(Timestamp, usize, Then)> = Vec::new();
    let mut used: Vec<BTreeMap<i64, Counts>> = vec![BTreeMap::new(); devices.len()];
    let mut humans: Vec<Vec<Timestamp>> = vec![vec![]; devices.len()];
    match source(kind) {
        Source::Outages => past.outages(&devices, &mut then).await?,
        Source::Events => past.events(&devices, &mut then).await?,
        Source::Errors => {
            past.errors(&devices, &mut then).await?;
            past.events(&devices, &mut then).await?;
        }
        Source::Samples(metrics) => {
            for (n, device) in devices.iter().enumerate() {
                past.samples(n, device.id, metrics, &mut then).await?;
            }
        }
        Source::States => {
            past.events(&devices, &mut then).await?;
            for (n, device) in devices.iter().enumerate() {
                past.samples(n, device.id, &[], &mut then).await?;
            }
        }
        Source::Trends => {
            for (n, device) in devices.iter().enumerate() {
                past.trends(n, device.id, &mut then).await?;
            }
        }
        Source::Usage => {
            past.usage(&devices, &zone, &mut used, &mut then).await?;
            if kind.word == "idle_burn" {
                for (device, humans) in devices.iter().zip(&mut humans) {
                    *humans = store.human_quarters(device.id, past.from.plus_millis(-3 * DAY_MS)).await?;
                }
            }
        }
    }
    then.sort_by_key(|(at, n, _)| (*at, *n));
    let rule = Rule { no: 1, kind: word.to_owned(), enabled: true, body: body.clone(), rev: 1 };
    let set = Ruleset { rules: vec![rule], pauses: vec![], zone: Some(zone.clone()) };
    let mut replay = Replay::new(set, &devices, from, &past, &zone, &used, &humans);
    replay.learn_blips(past.blips().await?);
    for (at, n, what) in then {
        replay.go_on(at);
        replay.happens(at, n, what);
    }
    replay.go_on(to);
    let mut run = replay.sum_up(to);
    if let (Source::Samples(metrics), Some(device)) = (source(kind), run.most_of.take()) {
        run.dry.series = past.series(&devices, device, metrics).await?;
    }
    Ok(run.dry)
}

/// What is asked of the stored past.
struct Past<'a> {
    store: &'a Store,
    kind: &'static Kind,
    body: &'a RuleBody,
    from: Timestamp,
    to: Timestamp,
}

impl Past<'_> {
    async fn blips(&self) -> Result<Vec<(DeviceId, i64)>, Error> {
        if self.kind.word != "offline" {
            return Ok(vec![]);
        }
        let outages = self.store.network_outages(self.to.plus_millis(-14 * DAY_MS)).await?;
        Ok(outages.into_iter().filter_map(|(id, ms)| Some((id, crate::judge::blip(&ms)?))).collect())
    }

    async fn outages(
        &self,
        devices: &[Arc<Device>],
        then: &mut Vec<(Timestamp, usize, Then)>,
    ) -> Result<(), Error> {
        let place = places(devices);
        let mut filter = OutageFilter { from: Some(self.from), to: Some(self.to), ..OutageFilter::default() };
        loop {
            let page = self.store.outages(&filter, ROWS).await?;
            let last = page.last().map(|outage| store::Place { at: outage.from, no: outage.no });
            let full = page.len() >= ROWS as usize;
            for Outage { device, from, to, reason, .. } in page {
                let Some(n) = place.get(&device) else { continue };
                then.push((from.max(self.from), *n, Then::Lost(reason)));
                then.extend(to.map(|to| (to, *n, Then::Back)));
            }
            if !full {
                return Ok(());
            }
            filter.after = last;
        }
    }

    async fn events(
        &self,
        devices: &[Arc<Device>],
        then: &mut Vec<(Timestamp, usize, Then)>,
    ) -> Result<(), Error> {
        let place = places(devices);
        let kinds = [
            EventKind::GatewayCrashed,
            EventKind::GatewayStartFailed,
            EventKind::GatewayStopped,
            EventKind::GatewayStarted,
            EventKind::GatewayUpgraded,
            EventKind::SpoolDropped,
        ];
        let filter = EventFilter {
            kinds: kinds.map(EventKind::as_str).to_vec(),
            from: Some(self.from.plus_millis(-HOUR_MS)),
            to: Some(self.to),
            device: None,
        };
        let mut page = Page::first(ROWS);
        loop {
            let events = self.store.fleet_events(&filter, page).await?;
            let last = events.last().map(store::FleetEvent::place);
            let full = events.len() >= ROWS as usize;
            for event in events {
                let Some(n) = event.device.as_ref().and_then(|(id, _)| place.get(id)) else { continue };
                let Event { at, kind, gateway, from, to, reason, count, .. } = event.event;
                // When it happened is when it would have been told: the rule is asked about the past.
                let happened = Happened { kind, at, received_at: at, gateway, from, to, reason, count };
                then.push((at, *n, Then::Happened(Box::new(happened))));
            }
            let (true, Some(last)) = (full, last) else { return Ok(()) };
            page = Page::after(last, ROWS);
        }
    }

    async fn errors(
        &self,
        devices: &[Arc<Device>],
        then: &mut Vec<(Timestamp, usize, Then)>,
    ) -> Result<(), Error> {
        let place = places(devices);
        // A day more, for what was before an upgrade.
        for slice in self.store.error_minutes(self.from.plus_millis(-DAY_MS), self.to).await? {
            let Some(n) = place.get(&slice.device) else { continue };
            let told = ErrorTold {
                at: slice.at,
                received_at: slice.at,
                fingerprint: slice.fingerprint,
                message: slice.message,
                count: slice.count,
                first: slice.first,
            };
            then.push((slice.at, *n, Then::Error(Box::new(told))));
        }
        Ok(())
    }

    /// Levels at which something changes.
    fn levels(&self) -> Vec<f64> {
        let value = |word: &str| self.body.values.get(word).and_then(serde_json::Value::as_f64);
        let own = [value("level"), value("clear")];
        own.into_iter().chain(self.body.steps.iter().map(|step| step.level)).flatten().collect()
    }

    /// What was measured: coarsely where it crosses no level, as finely as it is kept where it does.
    async fn samples(
        &self,
        n: usize,
        device: DeviceId,
        metrics: &[Metric],
        then: &mut Vec<(Timestamp, usize, Then)>,
    ) -> Result<(), Error> {
        let levels = self.levels();
        let coarse = self.store.steps_from(self.from, self.to, COARSE_MS);
        let Some(samples) = self.store.samples(device, coarse, metrics).await? else { return Ok(()) };
        let mut fine: Vec<(Timestamp, Timestamp)> = Vec::new();
        let mut before: Option<Sample> = None;
        for step in 0..coarse.steps {
            let at = moment(coarse.from, coarse.step_ms, step);
            let Some((low, mean, high)) = values(&samples, step) else {
                before = None;
                continue;
            };
            let crosses = |low: f64, high: f64| levels.iter().any(|level| low < *level && *level <= high);
            let range = value_of(metrics, &low).zip(value_of(metrics, &high));
            let jump = before.as_ref().and_then(|b| value_of(metrics, b)).zip(value_of(metrics, &mean));
            let unsteady = range.is_some_and(|(low, high)| crosses(low, high))
                || jump.is_some_and(|(a, b)| crosses(a.min(b), a.max(b)))
                || (metrics.is_empty() && mean.state.is_some_and(is_trouble));
            before = Some(mean);
            if unsteady {
                let (a, b) = (at, at.plus_millis(coarse.step_ms));
                match fine.last_mut().filter(|(_, end)| *end >= a) {
                    Some((_, end)) => *end = b,
                    None => fine.push((a, b)),
                }
            } else {
                then.push((at.max(self.from), n, Then::Measured(Box::new(mean))));
            }
        }
        for (from, to) in fine {
            let range = self.store.steps_from(from.max(self.from), to.min(self.to), MINUTE_MS);
            let Some(samples) = self.store.samples(device, range, metrics).await? else { continue };
            for step in 0..range.steps {
                let at = moment(range.from, range.step_ms, step);
                if let Some((_, mean, _)) = values(&samples, step).filter(|_| at >= self.from && at < self.to)
                {
                    then.push((at, n, Then::Measured(Box::new(mean))));
                }
            }
        }
        Ok(())
    }

    async fn trends(
        &self,
        n: usize,
        device: DeviceId,
        then: &mut Vec<(Timestamp, usize, Then)>,
    ) -> Result<(), Error> {
        let disk = self.kind.word == "disk_full";
        let metrics: &[Metric] =
            if disk { &[Metric::DiskUsed, Metric::DiskTotal] } else { &[Metric::GatewayRss] };
        let window = if disk { DISK_STEPS } else { RSS_STEPS };
        let before = i64::try_from(window).unwrap_or(0) * COARSE_MS;
        let range = self.store.steps_from(self.from.plus_millis(-before), self.to, COARSE_MS);
        let Some(samples) = self.store.samples(device, range, metrics).await? else { return Ok(()) };
        let used: Vec<Option<f64>> = samples.series.first().map(|s| s.avg.clone()).unwrap_or_default();
        for step in window..range.steps {
            let at = moment(range.from, range.step_ms, step + 1).min(self.to);
            let points: Vec<(f64, f64)> = (step + 1 - window..=step)
                .filter_map(|i| {
                    #[expect(clippy::cast_precision_loss, reason = "a few hours")]
                    let hours = i as f64 * range.step_ms as f64 / HOUR_MS as f64;
                    Some((hours, (*used.get(i)?)?))
                })
                .collect();
            let line = line(&points).filter(|_| points.len() * 3 >= window);
            let trend = match (line, disk) {
                (Some((slope, ..)), true) => {
                    crate::facts::Trend { disk_per_h: Some(slope), ..Default::default() }
                }
                (Some((slope, a, b)), false) => {
                    crate::facts::Trend { rss_per_h: Some(slope), rss: Some((a, b)), ..Default::default() }
                }
                (None, _) => crate::facts::Trend::default(),
            };
            if let Some((_, mean, _)) = values(&samples, step) {
                then.push((at, n, Then::Measured(Box::new(mean))));
            }
            then.push((at, n, Then::Trend(trend)));
        }
        Ok(())
    }

    async fn usage(
        &self,
        devices: &[Arc<Device>],
        zone: &Zone,
        used: &mut [BTreeMap<i64, Counts>],
        then: &mut Vec<(Timestamp, usize, Then)>,
    ) -> Result<(), Error> {
        let (before, quarters) = match self.kind.word {
            "usage_anomaly" => (self.from.plus_millis(-HOUR_MS), 1),
            "idle_burn" | "cache_collapse" => (self.from.plus_millis(-3 * DAY_MS), 1),
            // The month that the beginning is in, and the week before.
            _ => (zone.month_of(self.from).min(self.from.plus_millis(-8 * DAY_MS)), QUARTERS_OF_AN_HOUR),
        };
        let place = places(devices);
        let ids: Vec<DeviceId> = devices.iter().map(|device| device.id).collect();
        for (id, at, counts) in self.store.used_in_parts(&ids, before, self.to, quarters).await? {
            let Some((n, used)) = place.get(&id).and_then(|n| Some((*n, used.get_mut(*n)?))) else {
                continue;
            };
            used.insert(at.0.div_euclid(protocol::QUARTER_MILLIS), counts);
            // A part is known at its end.
            let known = at.plus_millis(quarters * protocol::QUARTER_MILLIS - 1);
            if known >= self.from && known < self.to {
                then.push((known, n, Then::Used(at, counts)));
            }
        }
        if self.kind.word != "usage_anomaly" {
            return Ok(());
        }
        // What is usual matters only where an hour was above the floor.
        let loud = |used: &BTreeMap<i64, Counts>| {
            used.keys().any(|quarter| {
                let hour = used.range(quarter - QUARTERS_OF_AN_HOUR + 1..=*quarter);
                self.is_above_floor(&hour.fold(Counts::default(), |sum, (_, counts)| sum + *counts))
            })
        };
        let ids: Vec<DeviceId> =
            ids.into_iter().zip(used.iter()).filter(|(_, used)| loud(used)).map(|(id, _)| id).collect();
        let (from, to) = (self.from.plus_millis(-USUAL_MS), before);
        for (id, at, counts) in self.store.used_in_parts(&ids, from, to, QUARTERS_OF_AN_HOUR).await? {
            if let Some(used) = place.get(&id).and_then(|n| used.get_mut(*n)) {
                // The hour of the beginning may be in both.
                used.entry(at.0.div_euclid(protocol::QUARTER_MILLIS)).or_insert(counts);
            }
        }
        Ok(())
    }

    /// Whether an hour is one that [`kinds`] asks about.
    fn is_above_floor(&self, hour: &Counts) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "money and tokens as people read them")]
        let (spent, tokens) = (hour.spent_nano_usd() as f64, hour.tokens() as f64);
        let value =
            |word: &str| self.body.values.get(word).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        spent > value("usd") * 1e9 || tokens > value("tokens")
    }

    async fn series(
        &self,
        devices: &[Arc<Device>],
        device: DeviceId,
        metrics: &[Metric],
    ) -> Result<Option<Measurements>, Error> {
        let range = self.store.range(self.from, self.to, POINTS, MINUTE_MS);
        let Some(samples) = self.store.samples(device, range, metrics).await? else { return Ok(None) };
        let at = (0..range.steps).map(|step| moment(range.from, range.step_ms, step)).collect();
        // The largest: that is what a level is about.
        let value = |step: usize| values(&samples, step).and_then(|(_, _, high)| value_of(metrics, &high));
        let values = (0..range.steps).map(value).collect();
        let name =
            devices.iter().find(|known| known.id == device).map_or_else(String::new, |d| d.name.clone());
        Ok(Some(((device, name), at, values)))
    }
}

fn places(devices: &[Arc<Device>]) -> std::collections::HashMap<DeviceId, usize> {
    devices.iter().enumerate().map(|(n, device)| (device.id, n)).collect()
}

fn moment(from: Timestamp, step_ms: i64, step: usize) -> Timestamp {
    from.plus_millis(step_ms.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX)))
}

fn is_trouble(state: GatewayState) -> bool {
    matches!(
        state,
        GatewayState::Stopped | GatewayState::Degraded | GatewayState::Hung | GatewayState::Starting
    )
}

/// The smallest, mean and largest of a step; `None` when nothing was measured.
fn values(samples: &store::Samples, step: usize) -> Option<(Sample, Sample, Sample)> {
    if samples.n.get(step).is_none_or(|n| *n == 0) {
        return None;
    }
    let state = samples.openclaw.get(step).copied().flatten();
    let read = |which: fn(&store::Series) -> &Vec<Option<f64>>| {
        let of = |metric: Metric| {
            let series = samples.series.iter().find(|series| series.metric == metric)?;
            which(series).get(step).copied().flatten()
        };
        let pct = |used: Metric, total: Metric| {
            of(used).zip(of(total).filter(|total| *total > 0.0)).map(|(used, total)| used * 100.0 / total)
        };
        Sample {
            cpu_pct: of(Metric::CpuPct),
            memory_pct: pct(Metric::MemoryUsed, Metric::MemoryTotal),
            disk_pct: pct(Metric::DiskUsed, Metric::DiskTotal),
            disk_free: of(Metric::DiskTotal)
                .zip(of(Metric::DiskUsed))
                .map(|(total, used)| (total - used).max(0.0)),
            state,
        }
    };
    Some((read(|s| &s.min), read(|s| &s.avg), read(|s| &s.max)))
}

fn value_of(metrics: &[Metric], sample: &Sample) -> Option<f64> {
    match metrics.first()? {
        Metric::CpuPct => sample.cpu_pct,
        Metric::MemoryUsed => sample.memory_pct,
        Metric::DiskUsed => sample.disk_pct,
        _ => None,
    }
}

/// A line through points: its slope, and its values at the first and the last. `None`: they are on no line.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "a few points")]
    let n = points.len() as f64;
    let (first, last) = (points.first()?, points.last()?);
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let (vx, vy, cov) =
        (mean(|p| p.0 * p.0) - mx * mx, mean(|p| p.1 * p.1) - my * my, mean(|p| p.0 * p.1) - mx * my);
    if points.len() < 3 || vx <= 0.0 || vy <= 0.0 || cov * cov / (vx * vy) < FIT {
        return None;
    }
    let slope = cov / vx;
    let at = |x: f64| (my + slope * (x - mx)).max(0.0);
    Some((slope, at(first.0), at(last.0)))
}

/// The engine going through the past.
struct Replay<'a> {
    engine: Engine,
    devices: Vec<DeviceNow>,
    steps: Vec<Transition>,
    now: Timestamp,
    past: &'a Past<'a>,
    zone: &'a Zone,
    used: &'a [BTreeMap<i64, Counts>],
    humans: &'a [Vec<Timestamp>],
}

struct Summed {
    dry: DryRun,
    /// The device that it was about longest.
    most_of: Option<DeviceId>,
}

impl<'a> Replay<'a> {
    fn new(
        set: Ruleset,
        devices: &[Arc<Device>],
        from: Timestamp,
        past: &'a Past<'a>,
        zone: &'a Zone,
        used: &'a [BTreeMap<i64, Counts>],
        humans: &'a [Vec<Timestamp>],
    ) -> Self {
        // A device is taken to have been there unless an outage says otherwise.
        let then = |device: &Arc<Device>| DeviceNow {
            online: Some(true),
            since: from,
            reason: None,
            measured: None,
            usage: None,
            clock_skew_ms: 0,
            ..DeviceNow::of(device, None)
        };
        let devices: Vec<DeviceNow> = devices.iter().map(then).collect();
        let mut engine = Engine::new(set, Timestamp(0), Timestamp(0));
        let steps = engine.start(devices.iter().cloned().map(Fact::Device), from);
        Self { engine, devices, steps, now: from, past, zone, used, humans }
    }

    fn learn_blips(&mut self, blips: Vec<(DeviceId, i64)>) {
        self.learn(blips.into_iter().map(|(id, ms)| Fact::Blips(id, ms)).collect());
    }

    fn learn(&mut self, facts: Vec<Fact>) {
        let steps = self.engine.step(facts, self.now);
        self.steps.extend(steps);
        // Answers may raise questions, and not for ever.
        for _ in 0..3 {
            let wants = self.engine.take_wants();
            if wants.is_empty() {
                return;
            }
            let facts: Vec<Fact> = wants.into_iter().filter_map(|want| self.answer(want)).collect();
            let steps = self.engine.step(facts, self.now);
            self.steps.extend(steps);
        }
    }

    /// What is due until a moment.
    fn go_on(&mut self, to: Timestamp) {
        while let Some(at) = self.engine.next_wake().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.learn(vec![]);
        }
        self.now = self.now.max(to);
    }

    fn happens(&mut self, at: Timestamp, n: usize, then: Then) {
        let Some(device) = self.devices.get_mut(n) else { return };
        let id = device.id;
        let fact = match then {
            Then::Lost(reason) => {
                (device.online, device.since, device.reason) = (Some(false), at, reason);
                Fact::Device(device.clone())
            }
            Then::Back => {
                (device.online, device.since, device.reason) = (Some(true), at, None);
                Fact::Device(device.clone())
            }
            Then::Measured(sample) => {
                let known = device.measured.as_ref().and_then(|measured| measured.claw.clone());
                device.measured = Some(measured(at, &sample, known.as_ref()));
                Fact::Device(device.clone())
            }
            Then::Happened(happened) => {
                // How a gateway ended is not measured: its own word tells.
                let outcome = match happened.kind {
                    EventKind::GatewayStopped => Some(GatewayOutcome::CleanStop),
                    EventKind::GatewayCrashed => Some(GatewayOutcome::Crashed),
                    EventKind::GatewayStartFailed => Some(GatewayOutcome::StartupFailed),
                    _ => None,
                };
                if let (Some(outcome), Some(measured)) = (outcome, device.measured.as_mut()) {
                    let exit = GatewayExit { outcome, at: Some(at), reason: happened.reason.clone() };
                    let state = measured.claw.as_ref().map_or(GatewayState::Running, |claw| claw.state);
                    measured.claw = Some(claw(state, Some(exit)));
                }
                Fact::Happened(id, *happened)
            }
            Then::Error(error) => Fact::Error(id, *error),
            Then::Used(since, counts) => {
                let quarter = since.0.div_euclid(protocol::QUARTER_MILLIS);
                let oldest = quarter - 3 * 96;
                let before = device.usage.take();
                let mut recent: BTreeMap<i64, Counts> = before
                    .iter()
                    .flat_map(|usage| usage.recent.range(oldest..))
                    .map(|(q, c)| (*q, *c))
                    .collect();
                recent.insert(quarter, counts);
                device.usage = Some(Arc::new(DeviceUsage { total: Counts::default(), recent }));
                Fact::Device(device.clone())
            }
            Then::Trend(trend) => Fact::Trend(id, trend),
        };
        self.learn(vec![fact]);
    }

    /// What the engine asks for, from what was read.
    fn answer(&self, want: Want) -> Option<Fact> {
        let place = |id: DeviceId| self.devices.iter().position(|device| device.id == id);
        let between = |used: &BTreeMap<i64, Counts>, from: Timestamp, to: Timestamp| {
            let quarter = |at: Timestamp| at.0.div_euclid(protocol::QUARTER_MILLIS);
            used.range(quarter(from)..quarter(to)).fold(Counts::default(), |sum, (_, counts)| sum + *counts)
        };
        Some(match want {
            Want::Usual(id, hour) => {
                let used = self.used.get(place(id)?)?;
                let first = used.keys().next().map_or(hour.0, |quarter| quarter * protocol::QUARTER_MILLIS);
                let every = |step: i64, times: i64| {
                    let ago =
                        (1..=times).map(|n| hour.plus_millis(-n * step)).filter(|at| at.0 >= first - HOUR_MS);
                    ago.map(|at| between(used, at, at.plus_millis(HOUR_MS))).collect::<Vec<_>>()
                };
                let weeks = every(7 * DAY_MS, 5);
                let like = if weeks.len() >= 3 { weeks } else { every(DAY_MS, 7) };
                Fact::Usual(id, crate::judge::usual(hour, &like))
            }
            Want::Human(id) => {
                let spoken = self.humans.get(place(id)?)?;
                let last_at = spoken.iter().rev().find(|at| **at <= self.now).copied();
                Fact::Human(id, crate::facts::Human { asked_at: self.now, last_at, mostly: None })
            }
            Want::Before(today) => {
                let month = self.zone.month_of(self.now);
                let week = today.plus_millis(-7 * DAY_MS);
                let all = self.devices.iter().zip(self.used);
                let both = |(device, used): (&DeviceNow, &BTreeMap<i64, Counts>)| {
                    (device.id, (between(used, month, today), between(used, week, today)))
                };
                Fact::Before(today, all.map(both).collect())
            }
        })
    }

    fn sum_up(self, to: Timestamp) -> Summed {
        let name = |id: DeviceId| self.devices.iter().find(|d| d.id == id).map(|d| (id, d.name.clone()));
        let mut open: BTreeMap<crate::Key, usize> = BTreeMap::new();
        let mut moments: Vec<DryMoment> = Vec::new();
        let mut about: BTreeMap<DeviceId, i64> = BTreeMap::new();
        let mut members: BTreeMap<crate::Key, std::collections::BTreeSet<DeviceId>> = BTreeMap::new();
        for step in &self.steps {
            members.entry(step.key.clone()).or_default().extend(step.members.iter().chain(&step.key.device));
            match step.what {
                What::Fired => {
                    open.insert(step.key.clone(), moments.len());
                    moments.push(DryMoment {
                        device: step.key.device.and_then(name),
                        from: step.at,
                        to: None,
                        severity: step.telling.severity,
                        title: step.telling.title.clone(),
                    });
                }
                What::Resolved => {
                    let known = open.remove(&step.key).and_then(|at| moments.get_mut(at));
                    if let Some(moment) = known {
                        moment.to = Some(step.at);
                    }
                }
                _ => {
                    let known = open.get(&step.key).and_then(|at| moments.get_mut(*at));
                    if let Some(moment) = known {
                        moment.severity = moment.severity.min(step.telling.severity);
                    }
                }
            }
        }
        let lasted = |moment: &DryMoment| moment.to.unwrap_or(to).millis_since(moment.from);
        for moment in &moments {
            if let Some((id, _)) = &moment.device {
                *about.entry(*id).or_default() += lasted(moment).max(1);
            }
        }
        let fired: std::collections::BTreeSet<DeviceId> = members.into_values().flatten().collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let busy = about.into_iter().max_by_key(|(_, ms)| *ms).map(|(id, _)| id);
        // Where nothing would have fired, any device shows how far it is from that.
        let most_of = busy.or_else(|| {
            let of_device = self.past.kind.of == Of::Device;
            self.devices.first().filter(|_| of_device).map(|device| device.id)
        });
        let (all, longest_ms) = (count(moments.len()), moments.iter().map(lasted).max());
        moments.truncate(MOMENTS);
        let dry = DryRun {
            from: self.past.from,
            to,
            moments,
            count: all,
            devices: count(fired.len()),
            longest_ms,
            series: None,
            judged_devices: count(self.devices.len()),
        };
        Summed { dry, most_of }
    }
}

fn claw(state: GatewayState, last_exit: Option<GatewayExit>) -> Arc<OpenClaw> {
    let gateway = Gateway { name: "default".to_owned(), state, last_exit, ..Gateway::default() };
    Arc::new(OpenClaw { state, version: None, gateways: vec![gateway] })
}

fn measured(at: Timestamp, sample: &Sample, before: Option<&Arc<OpenClaw>>) -> Measured {
    let exit = before.and_then(|claw| claw.gateways.first()).and_then(|gateway| gateway.last_exit.clone());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a count of bytes")]
    let disk_free = sample.disk_free.map(|free| free as u64);
    Measured {
        at,
        cpu_pct: sample.cpu_pct,
        memory_pct: sample.memory_pct,
        disks: sample.disk_pct.map(|pct| (String::new(), pct)).into_iter().collect(),
        disk_free,
        claw: sample.state.map(|state| claw(state, exit)),
        spool_problem: None,
    }
}
