//! Runs the engine: brings it what the store has recorded, writes down what follows, and looks up what it asks for.
//!
//! What happened is read by its number, and how far was read stands in the same transaction as what followed: after a kill
//! nothing is judged twice, and nothing is left out. Of what the feed says only that something changed is used, so a receiver
//! that is behind loses nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::{DeviceId, FindingSeverity, Timestamp};
use store::{
    AlertingSettings, Change, Channel, ChannelBody, Error, Judged, NumberedError, NumberedEvent, Severity,
    Store, Zone,
};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::facts::{DeviceNow, ErrorTold, Fact, Finding, Happened, Human, Mostly, ServerNow, Trend, Usual};
use crate::kinds::{self, Want};
use crate::tell::{self, Whom};
use crate::{Engine, Ruleset, Subject, Transition, Troubles, What};

/// News of so long are judged together.
const GATHER: Duration = Duration::from_millis(50);
/// The server itself is looked at so often, and whether the clock was set.
const LOOK: Duration = Duration::from_secs(5);
/// What was about to fire is written down so often; what fires at once.
const REMEMBER: Duration = Duration::from_secs(5);
/// What goes slowly is looked up so often.
const SLOWLY: Duration = Duration::from_hours(1);
/// Devices need some time to be back after a start of the server: until then nobody is missed.
const BACK_MS: i64 = 50_000;
/// A step of the clock that is noticed.
const STEP_MS: i64 = 10_000;
/// Of the past so much is read at a start: for crashes that make a loop, and errors before an upgrade.
const PAST_MS: i64 = 26 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Outages of so many days say how a line is; of fewer outages than this nothing is learned.
const BLIP_DAYS: i64 = 14;
const FEWEST_BLIPS: usize = 3;
/// Somebody who has not spoken for so long has not spoken.
const HUMAN_DAYS: i64 = 30;
/// Rows of one question.
const AT_ONCE: u32 = 5_000;
/// What could not be looked up is asked again after this.
const ASK_AGAIN: Duration = Duration::from_mins(10);
/// What is over is kept for so long, and forgotten in such steps.
const KEEP_DAYS: i64 = 400;
const FORGET_STEP: u32 = 500;
/// Questions for errors at a start.
const MOST_PAGES: usize = 20;
/// A topic for whoever subscribes, and a log file.
const FIRST_CHANNELS: [(&str, &str); 2] = [("mqtt", "MQTT"), ("file", "health log")];
/// Between two attempts to write, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is asked of the server.
#[derive(Clone)]
pub struct Server {
    /// How it is.
    pub now: Arc<dyn Fn() -> ServerNow + Send + Sync>,
    /// From where a device is connected, or was last.
    pub address: Arc<dyn Fn(DeviceId) -> Option<IpAddr> + Send + Sync>,
}

/// Why it is time to judge.
enum Woke {
    News(Vec<Change>),
    Behind,
    Troubles,
    Time,
}

/// Judges what the store records.
pub struct Judge {
    store: Store,
    server: Server,
    troubles: watch::Receiver<Troubles>,
    engine: Engine,
    settings: AlertingSettings,
    zone: Zone,
    channels: Vec<Channel>,
    judged: Judged,
    audits_at: Timestamp,
    /// Devices whose news wait.
    changed: BTreeSet<DeviceId>,
    acknowledged: HashSet<String>,
    /// What could not be looked up, and when. As many as there are devices at most.
    unanswered: HashMap<Want, Instant>,
}

impl Judge {
    /// Reads what was judged before, and makes the first rules and channels where there were none.
    pub async fn start(
        store: Store,
        server: Server,
        troubles: watch::Receiver<Troubles>,
    ) -> Result<Self, Error> {
        let defaults: Vec<_> = kinds::kinds().map(|kind| (kind.word, kind.default.on, kind.body())).collect();
        store.add_default_rules(&defaults).await?;
        store.add_first_channels(&FIRST_CHANNELS.map(|(kind, name)| (kind, name, first_channel()))).await?;
        let (states, mut judged) = store.judged().await?;
        let now = store.clock().now();
        if judged.at == Timestamp(0) {
            // Whoever begins to judge a database with a past judges none of that.
            (judged.event_no, judged.error_no) = store.news_before(now).await?;
        }
        let (settings, _) = store.alerting_settings().await?;
        let zone = zone(&settings);
        let mut engine = Engine::new(ruleset(&store, &zone).await?, now, now.plus_millis(BACK_MS));
        let firing = store.firing_alerts().await?;
        engine.remember(&states, &firing, judged.at, now);
        let acknowledged =
            firing.iter().filter(|alert| alert.acknowledged).map(|alert| alert.key.clone()).collect();
        let channels = store.channels().await?;
        Ok(Self {
            store,
            server,
            troubles,
            engine,
            settings,
            zone,
            channels,
            judged,
            audits_at: Timestamp(0),
            changed: BTreeSet::new(),
            acknowledged,
            unanswered: HashMap::new(),
        })
    }

    /// Judges until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let work = async {
            let mut feed = self.store.feed();
            let mut pause = Duration::from_millis(200);
            // A database that is busy or broken at a start is asked again: alerting never gives up.
            while let Err(error) = self.begin().await {
                warn!(error = &error as &dyn std::error::Error, "cannot judge yet, it is tried again");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            info!(rules = self.engine.rules(), devices = self.store.count_devices(), "alerting judges");
            let (mut looked, mut remembered, mut slowly) = (Instant::now(), Instant::now(), Instant::now());
            let (mut wall, mut since) = (self.store.clock().now(), Instant::now());
            loop {
                let next = self.next_look(looked);
                let woke = tokio::select! {
                    change = feed.recv() => match change {
                        Ok(change) => {
                            let mut changes = vec![change];
                            sleep(GATHER).await;
                            loop {
                                match feed.try_recv() {
                                    Ok(change) => changes.push(change),
                                    Err(TryRecvError::Lagged(_)) => break Woke::Behind,
                                    Err(TryRecvError::Empty | TryRecvError::Closed) => break Woke::News(changes),
                                }
                            }
                        }
                        Err(RecvError::Lagged(_)) => Woke::Behind,
                        Err(RecvError::Closed) => return,
                    },
                    result = self.troubles.changed() => {
                        if result.is_err() {
                            return;
                        }
                        Woke::Troubles
                    }
                    () = sleep_until(next) => Woke::Time,
                };
                // Before anything is judged by a clock that was set.
                let now = self.store.clock().now();
                let stepped = now.millis_since(wall) - millis(since.elapsed());
                (wall, since) = (now, Instant::now());
                if stepped.abs() >= STEP_MS {
                    warn!(by_ms = stepped, "the clock of this machine was set");
                    self.step(vec![Fact::ClockStepped(stepped)], true).await;
                }
                match woke {
                    Woke::News(changes) => self.hear(&changes).await,
                    Woke::Behind => self.hear_everything().await,
                    Woke::Troubles => self.tell_troubles().await,
                    Woke::Time => {}
                }
                let mut facts = Vec::new();
                if looked.elapsed() >= LOOK {
                    looked = Instant::now();
                    facts.push(Fact::Server((self.server.now)()));
                    facts.extend(self.audits().await);
                }
                if slowly.elapsed() >= SLOWLY {
                    slowly = Instant::now();
                    facts.extend(self.slowly().await.unwrap_or_else(|error| {
                        warn!(error = &error as &dyn std::error::Error, "trends could not be looked up");
                        vec![]
                    }));
                    self.forget().await;
                }
                let write = remembered.elapsed() >= REMEMBER;
                if write {
                    remembered = Instant::now();
                }
                self.step(facts, write).await;
                self.look_up().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    fn next_look(&self, looked: Instant) -> Instant {
        let regular = looked + LOOK;
        let Some(wake) = self.engine.next_wake() else { return regular };
        let wait = wake.millis_since(self.store.clock().now()).max(1);
        regular.min(Instant::now() + Duration::from_millis(wait.unsigned_abs()))
    }

    /// Learns all there is, and judges it.
    async fn begin(&mut self) -> Result<(), Error> {
        let now = self.store.clock().now();
        let past = now.plus_millis(-PAST_MS);
        let mut facts: Vec<Fact> = self.store.devices().iter().map(|device| self.device(device)).collect();
        facts.push(Fact::Server((self.server.now)()));
        // What was judged already is known, what is new is judged with the rest.
        let before = self.judged;
        let (mut no, _) = self.store.news_before(past).await?;
        loop {
            let (events, last) = self.store.events_after(no, AT_ONCE).await?;
            facts.extend(events.into_iter().map(happened));
            if last == no {
                break;
            }
            no = last;
        }
        self.judged.event_no = before.event_no.max(no);
        // The last hour or two one by one, what lies before only as numbers.
        let one_by_one = Timestamp((now.0.div_euclid(HOUR_MS) - 1) * HOUR_MS);
        let hours = self.store.error_hours(past, one_by_one).await?;
        facts.extend(
            hours.into_iter().map(|(device, at, count)| Fact::Error(device, ErrorTold::counted(at, count))),
        );
        let (_, mut no) = self.store.news_before(one_by_one).await?;
        for _ in 0..MOST_PAGES {
            let (errors, last) = self.store.errors_after(no, AT_ONCE).await?;
            facts.extend(errors.into_iter().map(error_told));
            if last == no {
                break;
            }
            no = last;
        }
        self.judged.error_no = before.error_no.max(no);
        let (audits, newest) = self.store.audits_after(Timestamp(0)).await?;
        facts.extend(audits.into_iter().map(findings));
        self.audits_at = newest;
        facts.extend(self.slowly().await?);
        let steps = self.engine.start(facts, now);
        self.write(steps, true).await;
        self.tell_troubles().await;
        // More than fits into a start.
        self.news().await;
        Ok(())
    }

    fn device(&self, device: &store::Device) -> Fact {
        Fact::Device(DeviceNow::of(device, (self.server.address)(device.id)))
    }

    /// What the feed says.
    async fn hear(&mut self, changes: &[Change]) {
        let (mut devices, mut rules, mut channels, mut alerts) = (false, false, false, false);
        let mut removed = Vec::new();
        for change in changes {
            match change {
                Change::Devices(ids) => {
                    devices = true;
                    self.changed.extend(ids.iter());
                }
                Change::Removed(ids) => removed.extend(ids.iter().map(|id| Fact::Removed(*id))),
                Change::Alerts => alerts = true,
                Change::Rules => rules = true,
                Change::Channels => channels = true,
                Change::Deliveries => {}
            }
        }
        if rules {
            self.take_rules().await;
        }
        if channels {
            match self.store.channels().await {
                Ok(channels) => self.channels = channels,
                Err(error) => warn!(error = &error as &dyn std::error::Error, "channels could not be read"),
            }
        }
        let mut facts = removed;
        if alerts {
            facts.extend(self.acknowledged().await);
        }
        let changed = std::mem::take(&mut self.changed);
        facts.extend(self.store.some_devices(&changed).iter().map(|device| self.device(device)));
        if !facts.is_empty() {
            self.step(facts, false).await;
        }
        if devices {
            self.news().await;
        }
    }

    /// After too much was missed.
    async fn hear_everything(&mut self) {
        debug!("behind the news, everything is read again");
        self.take_rules().await;
        if let Ok(channels) = self.store.channels().await {
            self.channels = channels;
        }
        let all = self.store.devices();
        let there: HashSet<DeviceId> = all.iter().map(|device| device.id).collect();
        let gone = self.engine.devices().filter(|id| !there.contains(id)).map(Fact::Removed);
        let mut facts: Vec<Fact> = gone.collect();
        facts.extend(all.iter().map(|device| self.device(device)));
        facts.extend(self.acknowledged().await);
        self.step(facts, false).await;
        self.news().await;
    }

    async fn take_rules(&mut self) {
        let read = async {
            let (settings, _) = self.store.alerting_settings().await?;
            let zone = zone(&settings);
            Ok::<_, Error>((ruleset(&self.store, &zone).await?, settings, zone))
        };
        match read.await {
            Ok((set, settings, zone)) => {
                (self.settings, self.zone) = (settings, zone);
                let steps = self.engine.change_rules(set, self.store.clock().now());
                self.write(steps, true).await;
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "rules could not be read"),
        }
    }

    async fn acknowledged(&mut self) -> Option<Fact> {
        let firing = self.store.firing_alerts().await.ok()?;
        let now: HashSet<String> =
            firing.into_iter().filter(|alert| alert.acknowledged).map(|alert| alert.key).collect();
        if now == self.acknowledged {
            return None;
        }
        self.acknowledged.clone_from(&now);
        Some(Fact::Acknowledged(now.into_iter().collect()))
    }

    /// What happened since it was last looked: events and errors.
    async fn news(&mut self) {
        loop {
            let events = self.store.events_after(self.judged.event_no, AT_ONCE).await;
            let errors = if self.store.newest_error() > self.judged.error_no {
                self.store.errors_after(self.judged.error_no, AT_ONCE).await
            } else {
                Ok((vec![], self.judged.error_no))
            };
            let ((events, last_event), (errors, last_error)) = match (events, errors) {
                (Ok(events), Ok(errors)) => (events, errors),
                (Err(error), _) | (_, Err(error)) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "news could not be read, they are judged later"
                    );
                    return;
                }
            };
            if (last_event, last_error) == (self.judged.event_no, self.judged.error_no) {
                return;
            }
            (self.judged.event_no, self.judged.error_no) = (last_event, last_error);
            let facts = events.into_iter().map(happened).chain(errors.into_iter().map(error_told)).collect();
            // How far was read is written with what follows.
            self.step(facts, true).await;
        }
    }

    /// Audits that devices have told since it was last looked.
    async fn audits(&mut self) -> Vec<Fact> {
        match self.store.audits_after(self.audits_at).await {
            Ok((audits, newest)) => {
                self.audits_at = newest;
                audits.into_iter().map(findings).collect()
            }
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "audits could not be read, they are judged later"
                );
                vec![]
            }
        }
    }

    async fn tell_troubles(&mut self) {
        let troubles = self.troubles.borrow_and_update().clone();
        let failing = troubles.into_values().map(|t| (t.id, t.name, t.failing_since, t.why)).collect();
        self.step(vec![Fact::Channels(failing)], false).await;
    }

    /// What goes slowly: how lines are, trends, keys.
    async fn slowly(&self) -> Result<Vec<Fact>, Error> {
        let now = self.store.clock().now();
        let outages = self.store.network_outages(now.plus_millis(-BLIP_DAYS * DAY_MS)).await?;
        let blips = outages.into_iter().filter_map(|(id, ms)| Some(Fact::Blips(id, blip(&ms)?)));
        let trends = self.store.trends().await?.into_iter().map(|(id, trend)| {
            let (rss_per_h, from, to) =
                trend.rss.map_or((None, 0.0, 0.0), |(slope, a, b)| (Some(slope), a, b));
            Fact::Trend(
                id,
                Trend { disk_per_h: trend.disk_per_h, rss_per_h, rss: rss_per_h.map(|_| (from, to)) },
            )
        });
        let keys = self.store.keys().await?.into_iter();
        let keys = keys.filter(|key| key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now));
        let keys = keys.map(|key| {
            let name = match key.device.and_then(|id| self.store.device(id)) {
                Some(device) => device.name,
                None if key.name.is_empty() => key.id.to_string(),
                None => key.name,
            };
            (key.id.to_string(), name, key.last_used_at.unwrap_or(key.created_at))
        });
        Ok(blips.chain(trends).chain([Fact::Keys(keys.collect())]).collect())
    }

    /// Forgets what is over for long.
    async fn forget(&self) {
        let before = self.store.clock().now().plus_millis(-KEEP_DAYS * DAY_MS);
        let forget = async {
            while self.store.expire_alerts(before, FORGET_STEP).await? > 0 {
                sleep(GATHER).await;
            }
            self.store.expire_pauses(before).await
        };
        if let Err(error) = forget.await {
            warn!(error = &error as &dyn std::error::Error, "old alerts could not be forgotten");
        }
    }

    /// Looks up what the engine asks for. What took too long is not asked again at once: it would take as long.
    async fn look_up(&mut self) {
        let wants = self.engine.take_wants();
        if wants.is_empty() {
            return;
        }
        self.unanswered.retain(|_, at| at.elapsed() < ASK_AGAIN);
        let mut facts = Vec::new();
        for want in wants {
            if self.unanswered.contains_key(&want) {
                continue;
            }
            match self.answer(want).await {
                Ok(fact) => facts.push(fact),
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "what is usual could not be looked up");
                    self.unanswered.insert(want, Instant::now());
                }
            }
        }
        self.step(facts, false).await;
    }

    async fn answer(&self, want: Want) -> Result<Fact, Error> {
        let now = self.store.clock().now();
        Ok(match want {
            Want::Usual(id, hour) => {
                let like = self.store.like_hours(id, hour).await?;
                // The last hour goes back to where the hour before was at this minute.
                let mostly = self.mostly(id, now.plus_millis(-HOUR_MS)).await?;
                Fact::Usual(id, Usual { mostly, ..usual(hour, &like) })
            }
            Want::Human(id) => {
                let last_at = self.store.last_human(id, now.plus_millis(-HUMAN_DAYS * DAY_MS)).await?;
                let since = last_at.unwrap_or(now.plus_millis(-DAY_MS)).max(now.plus_millis(-3 * DAY_MS));
                Fact::Human(id, Human { asked_at: now, last_at, mostly: self.mostly(id, since).await? })
            }
            Want::Before(today) => {
                let month = self.store.used_by_device(self.zone.month_of(now), today).await?;
                let mut week = self.store.used_by_device(today.plus_millis(-7 * DAY_MS), today).await?;
                let ids: HashSet<DeviceId> = month.keys().chain(week.keys()).copied().collect();
                let both = |id| {
                    (id, (month.get(&id).copied().unwrap_or_default(), week.remove(&id).unwrap_or_default()))
                };
                Fact::Before(today, ids.into_iter().map(both).collect::<HashMap<_, _>>())
            }
        })
    }

    async fn mostly(&self, id: DeviceId, since: Timestamp) -> Result<Option<Mostly>, Error> {
        let most = self.store.used_most(id, since).await?;
        Ok(most.map(|(model, trigger)| Mostly { model, trigger }))
    }

    async fn step(&mut self, facts: Vec<Fact>, write: bool) {
        let steps = self.engine.step(facts, self.store.clock().now());
        if write || !steps.is_empty() {
            self.write(steps, write).await;
        }
    }

    /// Writes down what followed; not before that is anything told. A database that does not take it is asked again and
    /// again: what was judged must not be lost.
    async fn write(&mut self, steps: Vec<Transition>, progress: bool) {
        let remember = self.engine.take_remembered();
        let now = self.store.clock().now();
        if steps.is_empty() && remember.is_empty() && (!progress || self.judged_is_written()) {
            return;
        }
        self.judged.at = now;
        let whom = Whom { channels: &self.channels, settings: &self.settings, zone: &self.zone };
        let subject = |id: DeviceId| {
            self.store.device(id).map(|device| Subject { id, name: device.name, tags: device.tags })
        };
        let writes: Vec<_> = steps
            .iter()
            .map(|step| {
                tell::write(
                    step,
                    self.engine.rule(step.key.rule),
                    step.key.device.and_then(subject),
                    &whom,
                    now,
                )
            })
            .collect();
        let mut pause = Duration::from_millis(100);
        while let Err(error) = self.store.write_alerts(&writes, &remember, self.judged).await {
            if error.is_about_the_data() {
                warn!(error = &error as &dyn std::error::Error, source = ?error.source(), "alerts could not be written");
                break;
            }
            warn!(error = &error as &dyn std::error::Error, "alerts cannot be written, it is tried again");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        for step in &steps {
            if matches!(step.what, What::Fired | What::Resolved) {
                info!(alert = %step.key, rule = step.kind, what = ?step.what, "{}", step.telling.title.en);
            }
        }
    }

    /// How far was judged is written at least once a minute, so that a start does not judge what is long past.
    fn judged_is_written(&self) -> bool {
        self.store.clock().now().millis_since(self.judged.at) < 60_000
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn zone(settings: &AlertingSettings) -> Zone {
    Zone::parse(&settings.zone).unwrap_or_else(Zone::utc)
}

/// Channels that tell nobody who does not look: they take all of it.
fn first_channel() -> ChannelBody {
    ChannelBody {
        settings: BTreeMap::new(),
        language: "en".to_owned(),
        least: Severity::Info,
        takes_all: true,
        always: true,
    }
}

async fn ruleset(store: &Store, zone: &Zone) -> Result<Ruleset, Error> {
    let (rules, pauses) = (store.rules().await?, store.pauses(None).await?);
    Ok(Ruleset { rules, pauses, zone: Some(zone.clone()) })
}

pub(crate) fn happened(event: NumberedEvent) -> Fact {
    let NumberedEvent { device, received_at, event, .. } = event;
    let happened = Happened {
        kind: event.kind,
        at: event.at,
        received_at,
        gateway: event.gateway,
        from: event.from,
        to: event.to,
        reason: event.reason,
        count: event.count,
    };
    Fact::Happened(device, happened)
}

pub(crate) fn error_told(error: NumberedError) -> Fact {
    let NumberedError { device, at, received_at, fingerprint, message, count, first, .. } = error;
    Fact::Error(device, ErrorTold { at, received_at, fingerprint, message, count, first })
}

fn findings((device, audit): (DeviceId, protocol::Audit)) -> Fact {
    let all = audit.findings.into_iter().chain(audit.audits.into_iter().flat_map(|audit| audit.findings));
    let bad = all
        .filter(|finding| matches!(finding.severity, FindingSeverity::Critical | FindingSeverity::Warning));
    let finding = |finding: protocol::Finding| Finding {
        critical: finding.severity == FindingSeverity::Critical,
        check: finding.check,
        title: finding.title,
    };
    Fact::Findings(device, bad.map(finding).collect())
}

/// How long a line is away when it is away for a moment: longer than nine of ten such times. `ms` is in order.
pub(crate) fn blip(ms: &[i64]) -> Option<i64> {
    if ms.len() < FEWEST_BLIPS {
        return None;
    }
    ms.get((ms.len() * 9).div_ceil(10) - 1).copied()
}

/// The median, and the median of how far from it.
fn spread(mut values: Vec<f64>) -> (f64, f64) {
    fn median(values: &mut [f64]) -> f64 {
        values.sort_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or(0.0);
        let half = values.len() / 2;
        if values.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.saturating_sub(1)), at(half)) }
    }
    let middle = median(&mut values);
    let mut away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    (middle, median(&mut away))
}

#[expect(clippy::cast_precision_loss, reason = "money and tokens as people read them")]
pub(crate) fn usual(hour: Timestamp, like: &[store::Counts]) -> Usual {
    Usual {
        hour,
        spent: spread(like.iter().map(|counts| counts.spent_nano_usd() as f64).collect()),
        tokens: spread(like.iter().map(|counts| counts.tokens() as f64).collect()),
        known: u32::try_from(like.len()).unwrap_or(u32::MAX),
        mostly: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_bad_as_nine_of_ten_of_its_gaps() {
        assert_eq!(blip(&[1, 2]), None);
        assert_eq!(blip(&[1, 2, 900]), Some(900));
        assert_eq!(blip(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 900]), Some(9));
    }

    #[test]
    fn what_is_usual_is_in_the_middle_whatever_stands_out() {
        assert_eq!(spread(vec![5.0, 1.0, 9.0, 3.0, 1000.0]), (5.0, 4.0));
        assert_eq!(spread(vec![2.0, 4.0]), (3.0, 1.0));
        assert_eq!(spread(vec![]), (0.0, 0.0));
    }
}
