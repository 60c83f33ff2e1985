//! The rule engine: a function of what is remembered, what is learned, and the time.
//!
//! A rule is read off what is known of a device ([`crate::kinds`]); this file says what follows from that over time: what was
//! so for long enough fires, what is over is resolved, what comes and goes is held, what is explained by something graver
//! keeps quiet, and what many devices lose at once is one alert. Nothing here looks at a clock or a database, so a dry run
//! and a test in simulated time are the same code.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use protocol::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Pause, PauseKind, Rule, Severity, Telling, Zone};

use crate::facts::{Fact, Touched, World};
use crate::fold;
use crate::kinds::{self, Kind, Of, Reading, Readings, So, View, Want};

const MINUTE_MS: i64 = 60_000;
/// What fired so often ...
const FLAPS: usize = 4;
/// ... within this time comes and goes: it is over only when it was well for this long.
const FLAP_WITHIN_MS: i64 = 60 * MINUTE_MS;
const FLAP_CALM_MS: i64 = 15 * MINUTE_MS;
/// A level that was just left is not over at once: at most for this long.
const CALM_MS: i64 = 2 * MINUTE_MS;
/// A number that changes while an alert fires is told anew at most so often.
const SAY_AGAIN_MS: i64 = MINUTE_MS;
/// What is judged of all devices together is read at most so often.
const FLEET_EVERY_MS: i64 = 5_000;

/// What is judged, of what of which device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The rule's number.
    pub rule: i64,
    /// The device; `None`: several, the fleet or the server.
    pub device: Option<DeviceId>,
    /// What of it; empty: itself.
    pub subject: String,
}

impl Key {
    /// Reads what [`std::fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (rule, rest) = text.split_once('/')?;
        let (device, subject) = rest.split_once('/')?;
        let device = if device == "-" { None } else { Some(DeviceId::parse(device).ok()?) };
        Some(Self { rule: rule.parse().ok()?, device, subject: subject.to_owned() })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.device {
            Some(device) => write!(f, "{}/{device}/{}", self.rule, self.subject),
            None => write!(f, "{}/-/{}", self.rule, self.subject),
        }
    }
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It began.
    Fired,
    /// It became graver, or is about more devices.
    Worse,
    /// It says something else.
    Changed,
    /// People wanted to be reminded.
    Reminder,
    /// Nobody was told because of a silence, and that is over.
    Told,
    /// It is over.
    Resolved,
}

/// A step in the life of an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Whose.
    pub key: Key,
    /// The word of the rule's kind.
    pub kind: &'static str,
    /// What became of it.
    pub what: What,
    /// What it says.
    pub telling: Telling,
    /// The devices, when it is about several.
    pub members: Vec<DeviceId>,
    /// When it began.
    pub fired_at: Timestamp,
    /// When this step was.
    pub at: Timestamp,
    /// It comes and goes.
    pub flapping: bool,
    /// The alert that explains it.
    pub hidden_by: Option<Key>,
    /// People are told.
    pub tell: bool,
    /// As grave as it ever was: whoever was told of that is told that it is over.
    pub gravest: Severity,
}

/// What is remembered of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// When it last fired, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fires: Vec<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nothing is so; it fired not long ago.
    Idle,
    /// It is so, and not for long enough.
    Pending { since: Timestamp },
    /// It is part of an alert about many devices.
    Folded { into: String },
    /// It fires.
    Firing(Box<Firing>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Firing {
    pub(crate) since: Timestamp,
    pub(crate) severity: Severity,
    /// As grave as it ever was.
    #[serde(default)]
    pub(crate) gravest: Option<Severity>,
    /// What was said last.
    pub(crate) telling: Saying,
    /// When that was.
    pub(crate) said_at: Timestamp,
    /// Since when it is not so any more.
    #[serde(default)]
    pub(crate) clear_since: Option<Timestamp>,
    /// People know of it.
    pub(crate) told: bool,
    /// When they were last told.
    pub(crate) told_at: Timestamp,
    #[serde(default)]
    pub(crate) flapping: bool,
    #[serde(default)]
    pub(crate) hidden_by: Option<String>,
    #[serde(default)]
    pub(crate) acknowledged: bool,
    #[serde(default)]
    pub(crate) members: Vec<DeviceId>,
    /// What it consists of.
    #[serde(default)]
    pub(crate) parts: Vec<String>,
    /// Of a folded one: when the last of its devices was lost, how many it were, and what they share.
    #[serde(default)]
    pub(crate) storm: Option<fold::Storm>,
}

/// A [`Telling`] as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saying {
    pub(crate) title: store::Said,
    pub(crate) detail: Option<store::Said>,
}

impl Firing {
    pub(crate) fn telling(&self) -> Telling {
        Telling {
            severity: self.severity,
            title: self.telling.title.clone(),
            detail: self.telling.detail.clone(),
        }
    }
}

/// A rule with what its kind is.
#[derive(Debug, Clone)]
struct RuleNow {
    rule: Rule,
    kind: &'static Kind,
}

/// What people have said.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    /// All rules.
    pub rules: Vec<Rule>,
    /// Pauses that are not over.
    pub pauses: Vec<Pause>,
    /// The time zone of days.
    pub zone: Option<Zone>,
}

/// What is judged next although nothing is learned.
type Wake = Reverse<(Timestamp, i64, Option<DeviceId>)>;

/// The engine.
pub struct Engine {
    pub(crate) world: World,
    rules: BTreeMap<i64, RuleNow>,
    pauses: Vec<Pause>,
    zone: Zone,
    states: HashMap<(i64, Option<DeviceId>), BTreeMap<String, State>>,
    wakes: BinaryHeap<Wake>,
    /// The soonest wake of each, so that none is there twice.
    woken: HashMap<(i64, Option<DeviceId>), Timestamp>,
    /// Nothing that is said to have begun before this moment is believed: the server was down, or its clock was set ...
    started: Timestamp,
    /// ... it is taken to have begun at this one.
    floor: Timestamp,
    wants: HashSet<Want>,
    /// Keys whose state has changed since it was last taken.
    dirty: HashSet<Key>,
    /// Rules of which devices were lost, or are back, since their storms were last judged.
    stormy: HashSet<i64>,
    fleet_dirty: bool,
    fleet_read_at: Timestamp,
}

/// What holds while a key is judged.
struct Circumstances<'a> {
    now: Timestamp,
    started: Timestamp,
    floor: Timestamp,
    maintenance: Option<Timestamp>,
    silence: Option<Timestamp>,
    explained_by: Option<&'a Key>,
}

/// What follows of a reading for one key.
struct Next {
    state: Option<State>,
    step: Option<Step>,
    /// When it must be judged again.
    wake: Option<Timestamp>,
    /// It has been so for long enough, and its kind folds: whoever judges all of them decides.
    due: Option<(Timestamp, So)>,
}

struct Step {
    what: What,
    tell: bool,
}

impl Engine {
    /// An engine that knows nothing, from a moment on. What is said to have begun before that is taken to have begun at
    /// `floor`.
    pub fn new(set: Ruleset, started: Timestamp, floor: Timestamp) -> Self {
        let mut engine = Self {
            world: World::default(),
            rules: BTreeMap::new(),
            pauses: Vec::new(),
            zone: Zone::utc(),
            states: HashMap::new(),
            wakes: BinaryHeap::new(),
            woken: HashMap::new(),
            started,
            floor,
            wants: HashSet::new(),
            dirty: HashSet::new(),
            stormy: HashSet::new(),
            fleet_dirty: false,
            fleet_read_at: Timestamp(i64::MIN),
        };
        engine.take_rules(set);
        engine
    }

    /// Takes over what people have said, in place of what they said before.
    pub(crate) fn take_rules(&mut self, set: Ruleset) {
        let known = |rule: Rule| Some((rule.no, RuleNow { kind: kinds::kind(&rule.kind)?, rule }));
        self.rules = set.rules.into_iter().filter_map(known).collect();
        self.pauses = set.pauses;
        self.zone = set.zone.unwrap_or_else(Zone::utc);
    }

    /// Remembers what was remembered before a restart: `firing` is the truth of what fires.
    pub fn remember(
        &mut self,
        states: &[(String, String)],
        firing: &[store::FiringAlert],
        judged_at: Timestamp,
        now: Timestamp,
    ) {
        // What was about to fire begins anew when too much may have happened since.
        let recent = now.millis_since(judged_at) < 2 * MINUTE_MS;
        let fire: HashSet<&str> = firing.iter().map(|alert| alert.key.as_str()).collect();
        for (text, body) in states {
            let (Some(key), Ok(mut state)) = (Key::parse(text), serde_json::from_str::<State>(body)) else {
                self.dirty.extend(Key::parse(text));
                continue;
            };
            let holds = match &state.phase {
                Phase::Firing(_) => fire.contains(text.as_str()),
                Phase::Folded { into } => fire.contains(into.as_str()),
                Phase::Pending { .. } => recent,
                Phase::Idle => true,
            };
            if !holds {
                state.phase = Phase::Idle;
                self.dirty.insert(key.clone());
            }
            self.put(&key, Some(state));
        }
        for alert in firing {
            let Some(key) = Key::parse(&alert.key) else { continue };
            if let Some(State { phase: Phase::Firing(known), .. }) = self.state_mut(&key) {
                known.acknowledged = alert.acknowledged;
                continue;
            }
            let told = alert.telling.clone();
            let known = Firing {
                since: alert.fired_at,
                severity: told.severity,
                gravest: None,
                telling: Saying { title: told.title, detail: told.detail },
                said_at: alert.fired_at,
                clear_since: None,
                told: true,
                told_at: alert.fired_at,
                flapping: false,
                hidden_by: None,
                acknowledged: alert.acknowledged,
                members: alert.members.clone(),
                parts: Vec::new(),
                storm: None,
            };
            self.put(
                &key,
                Some(State { phase: Phase::Firing(Box::new(known)), fires: vec![alert.fired_at] }),
            );
            self.dirty.insert(key);
        }
    }

    /// Learns what there is to know at a start, and judges it when all of it is known.
    pub fn start(&mut self, facts: impl IntoIterator<Item = Fact>, now: Timestamp) -> Vec<Transition> {
        for fact in facts {
            drop(self.world.learn(fact));
        }
        let mut out = Vec::new();
        self.judge_everything(now, &mut out);
        out
    }

    /// Learns something, and says what follows. Without a fact, only what is due by now.
    pub fn step(&mut self, facts: impl IntoIterator<Item = Fact>, now: Timestamp) -> Vec<Transition> {
        let mut out = Vec::new();
        let mut touched: HashSet<Touched> = HashSet::new();
        for fact in facts {
            match &fact {
                Fact::ClockStepped(by) => self.shift(*by, now),
                Fact::Acknowledged(keys) => self.acknowledge(keys),
                _ => {}
            }
            touched.extend(self.world.learn(fact));
        }
        for touched in touched {
            match touched {
                Touched::Device(id) => self.judge_device(id, now, &mut out),
                Touched::Fleet => self.fleet_dirty = true,
                Touched::Server => self.judge_all_of(Of::Server, now, &mut out),
            }
        }
        if self.fleet_dirty && now.millis_since(self.fleet_read_at) >= FLEET_EVERY_MS {
            self.fleet_dirty = false;
            self.fleet_read_at = now;
            self.judge_all_of(Of::Fleet, now, &mut out);
        }
        self.finish(now, &mut out);
        out
    }

    /// What follows by itself: what is due by now, the storms that devices left or joined, and what is explained by all that.
    fn finish(&mut self, now: Timestamp, out: &mut Vec<Transition>) {
        self.due(now, out);
        self.storms(now, out);
        self.explain(now, out);
        self.storms(now, out);
    }

    fn storms(&mut self, now: Timestamp, out: &mut Vec<Transition>) {
        for rule in std::mem::take(&mut self.stormy) {
            self.judge_storms(rule, now, out);
        }
    }

    /// What has begun or is over may explain what else fires of its devices.
    fn explain(&mut self, now: Timestamp, out: &mut Vec<Transition>) {
        let explains = |word: &str| kinds::kinds().any(|kind| kind.explained_by.contains(&word));
        let devices: HashSet<DeviceId> = out
            .iter()
            .filter(|step| matches!(step.what, What::Fired | What::Resolved) && explains(step.kind))
            .flat_map(|step| step.key.device.into_iter().chain(step.members.iter().copied()))
            .collect();
        for id in devices {
            self.judge_device(id, now, out);
        }
    }

    /// Takes new rules and pauses, and judges everything by them.
    pub fn change_rules(&mut self, set: Ruleset, now: Timestamp) -> Vec<Transition> {
        self.take_rules(set);
        let mut out = Vec::new();
        // Of rules that are gone or off, and devices that are not of them any more, everything is over.
        let keys: Vec<(i64, Option<DeviceId>)> = self.states.keys().copied().collect();
        for (rule, device) in keys {
            if !self.rule(rule).is_some_and(|rule| rule.enabled) {
                self.end(rule, device, now, &mut out);
            }
        }
        self.judge_everything(now, &mut out);
        out
    }

    /// Judges everything that is known.
    fn judge_everything(&mut self, now: Timestamp, out: &mut Vec<Transition>) {
        let ids: Vec<DeviceId> = self.world.devices.keys().copied().collect();
        for id in ids {
            self.judge_device(id, now, out);
        }
        self.judge_all_of(Of::Fleet, now, out);
        self.judge_all_of(Of::Server, now, out);
        self.finish(now, out);
    }

    /// When something must be judged although nothing is learned.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let fleet = self.fleet_dirty.then(|| self.fleet_read_at.plus_millis(FLEET_EVERY_MS));
        self.wakes.peek().map(|Reverse((at, ..))| *at).into_iter().chain(fleet).min()
    }

    /// What must be looked up before it can be judged; each is said once.
    pub fn take_wants(&mut self) -> Vec<Want> {
        self.wants.drain().collect()
    }

    /// What is to be remembered for the next start: keys, and what of them; `None`: nothing any more.
    pub fn take_remembered(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let body = |key: &Key| self.state(key).and_then(|state| serde_json::to_string(state).ok());
        dirty.iter().map(|key| (key.to_string(), body(key))).collect()
    }

    /// The rule with this number.
    pub fn rule(&self, no: i64) -> Option<&Rule> {
        self.rules.get(&no).map(|r| &r.rule)
    }

    /// How many rules are judged.
    pub fn rules(&self) -> usize {
        self.rules.values().filter(|r| r.rule.enabled).count()
    }

    /// The devices that are known.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.world.devices.keys().copied()
    }

    fn state(&self, key: &Key) -> Option<&State> {
        self.states.get(&(key.rule, key.device))?.get(&key.subject)
    }

    fn fires(&self, key: &Key) -> Vec<Timestamp> {
        self.state(key).map(|state| state.fires.clone()).unwrap_or_default()
    }

    fn state_mut(&mut self, key: &Key) -> Option<&mut State> {
        self.states.get_mut(&(key.rule, key.device))?.get_mut(&key.subject)
    }

    fn put(&mut self, key: &Key, state: Option<State>) {
        match state {
            Some(state) => {
                self.states.entry((key.rule, key.device)).or_default().insert(key.subject.clone(), state);
            }
            None => {
                if let Some(map) = self.states.get_mut(&(key.rule, key.device)) {
                    map.remove(&key.subject);
                    if map.is_empty() {
                        self.states.remove(&(key.rule, key.device));
                    }
                }
            }
        }
    }

    /// The clock was set: what was remembered moves along, and nothing began before now.
    fn shift(&mut self, by: i64, now: Timestamp) {
        let moved = |at: &mut Timestamp| *at = at.plus_millis(by);
        let mut dirty = Vec::new();
        for ((rule, device), map) in &mut self.states {
            for (subject, state) in map {
                state.fires.iter_mut().for_each(moved);
                match &mut state.phase {
                    Phase::Pending { since } => moved(since),
                    Phase::Firing(firing) => {
                        moved(&mut firing.since);
                        moved(&mut firing.said_at);
                        moved(&mut firing.told_at);
                        firing.clear_since.iter_mut().for_each(moved);
                    }
                    Phase::Idle | Phase::Folded { .. } => {}
                }
                dirty.push(Key { rule: *rule, device: *device, subject: subject.clone() });
            }
        }
        self.dirty.extend(dirty);
        (self.started, self.floor) = (now, now);
        self.fleet_read_at = Timestamp(i64::MIN);
        let wakes: Vec<Wake> = self
            .wakes
            .drain()
            .map(|Reverse((at, rule, device))| Reverse((at.plus_millis(by), rule, device)))
            .collect();
        self.wakes.extend(wakes);
        self.woken.values_mut().for_each(moved);
    }

    fn acknowledge(&mut self, keys: &[String]) {
        let known: HashSet<Key> = keys.iter().filter_map(|key| Key::parse(key)).collect();
        let mut changed = Vec::new();
        for ((rule, device), map) in &mut self.states {
            for (subject, state) in map {
                let Phase::Firing(firing) = &mut state.phase else { continue };
                let key = Key { rule: *rule, device: *device, subject: subject.clone() };
                let now = known.contains(&key);
                if firing.acknowledged != now {
                    firing.acknowledged = now;
                    changed.push(key);
                }
            }
        }
        self.dirty.extend(changed);
    }

    fn due(&mut self, now: Timestamp, out: &mut Vec<Transition>) {
        while let Some(Reverse((at, rule, device))) = self.wakes.peek().copied() {
            if at > now {
                break;
            }
            self.wakes.pop();
            // If not, an earlier one has judged it, and asked for another time.
            if self.woken.get(&(rule, device)).is_none_or(|soonest| *soonest > at) {
                continue;
            }
            self.woken.remove(&(rule, device));
            self.judge(rule, device, now, out);
        }
    }

    fn wake(&mut self, rule: i64, device: Option<DeviceId>, at: Timestamp) {
        let soonest = self.woken.entry((rule, device)).or_insert(Timestamp(i64::MAX));
        if at < *soonest {
            *soonest = at;
            self.wakes.push(Reverse((at, rule, device)));
        }
    }

    fn judge_device(&mut self, id: DeviceId, now: Timestamp, out: &mut Vec<Transition>) {
        let rules: Vec<i64> = self
            .rules
            .values()
            .filter(|r| r.kind.of == Of::Device && r.rule.enabled)
            .map(|r| r.rule.no)
            .collect();
        for rule in rules {
            self.judge(rule, Some(id), now, out);
        }
    }

    fn judge_all_of(&mut self, of: Of, now: Timestamp, out: &mut Vec<Transition>) {
        let rules: Vec<i64> =
            self.rules.values().filter(|r| r.kind.of == of && r.rule.enabled).map(|r| r.rule.no).collect();
        for rule in rules {
            self.judge(rule, None, now, out);
        }
    }

    /// The pause of a kind that holds now, and until when.
    fn paused(
        &self,
        kind: PauseKind,
        rule: i64,
        device: Option<DeviceId>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if self.pauses.is_empty() {
            return None;
        }
        let tags = device.and_then(|id| self.world.devices.get(&id)).map_or(&[][..], |known| &known.now.tags);
        self.pauses
            .iter()
            .filter(|pause| pause.kind == kind)
            .filter(|pause| pause.body.rules.is_empty() || pause.body.rules.contains(&rule))
            .filter(|pause| match device {
                Some(id) => pause.body.scope.has(id, tags),
                None => pause.body.scope.is_all(),
            })
            .filter_map(|pause| pause.body.when.lasts_until(now))
            .max()
    }

    /// What explains an alert of a kind about a device.
    fn explained(&self, kind: &Kind, device: Option<DeviceId>) -> Option<Key> {
        let id = device?;
        for parent in kind.explained_by {
            for rule in self.rules.values().filter(|r| r.kind.word == *parent) {
                let Some(map) = self.states.get(&(rule.rule.no, Some(id))) else { continue };
                for (subject, state) in map {
                    match &state.phase {
                        Phase::Firing(firing) if firing.clear_since.is_none() => {
                            return Some(Key { rule: rule.rule.no, device, subject: subject.clone() });
                        }
                        Phase::Folded { into } => return Key::parse(into),
                        _ => {}
                    }
                }
            }
        }
        None
    }

    /// Judges a rule of a device, the fleet or the server.
    fn judge(&mut self, no: i64, device: Option<DeviceId>, now: Timestamp, out: &mut Vec<Transition>) {
        let Some(RuleNow { rule, kind }) = self.rules.get(&no) else { return };
        let kind = *kind;
        let known = device.map(|id| self.world.devices.get(&id));
        let gone = match known {
            // Removed, or not of this rule's scope (any more).
            Some(None) => true,
            Some(Some(known)) => !rule.body.scope.has(known.now.id, &known.now.tags),
            None => false,
        };
        if gone || !rule.enabled {
            return self.end(no, device, now, out);
        }
        if device.is_none() && kind.folds {
            return self.judge_storms(no, now, out);
        }
        let view = View {
            kind,
            body: &rule.body,
            world: &self.world,
            device: known.flatten(),
            zone: &self.zone,
            now,
        };
        let mut readings = (kind.read)(&view);
        if let Some(want) = readings.want.take() {
            self.wants.insert(want);
        }
        if let Some(again) = readings.again {
            // Never at once again, however it is asked for.
            self.wake(no, device, again.max(now.plus_millis(1)));
        }
        let before = self.states.get(&(no, device));
        if before.is_none() && readings.list.iter().all(|(_, reading)| !matches!(reading, Reading::Holds(_)))
        {
            return;
        }
        self.apply(no, kind, device, readings, now, out);
    }

    fn apply(
        &mut self,
        no: i64,
        kind: &'static Kind,
        device: Option<DeviceId>,
        readings: Readings,
        now: Timestamp,
        out: &mut Vec<Transition>,
    ) {
        let mut map = self.states.remove(&(no, device)).unwrap_or_default();
        let maintenance = self.paused(PauseKind::Maintenance, no, device, now);
        let silence = self.paused(PauseKind::Silence, no, device, now);
        let explained_by = self.explained(kind, device);
        let Readings { list, unknown, .. } = readings;
        let mut all: BTreeMap<String, Option<Reading>> = map
            .keys()
            .map(|subject| (subject.clone(), if unknown { None } else { Some(Reading::Clear) }))
            .collect();
        all.extend(list.into_iter().map(|(subject, reading)| (subject, Some(reading))));
        let (mut wakes, mut due, mut changed) = (Vec::new(), Vec::new(), false);
        for (subject, reading) in all {
            let key = Key { rule: no, device, subject };
            let before = map.remove(&key.subject);
            let circumstances = Circumstances {
                now,
                started: self.started,
                floor: self.floor,
                maintenance,
                silence,
                explained_by: explained_by.as_ref().filter(|parent| **parent != key),
            };
            let Some(rule) = self.rule(no) else { continue };
            let next = next(rule, kind, before.clone(), reading, &circumstances);
            wakes.extend(next.wake);
            due.extend(next.due.map(|due| (key.clone(), due)));
            if let (Some(step), Some(state)) = (next.step, next.state.as_ref().or(before.as_ref())) {
                // Of one that is over: what it said last.
                let firing = match (&state.phase, before.as_ref().map(|state| &state.phase)) {
                    (Phase::Firing(firing), _) | (_, Some(Phase::Firing(firing))) => Some(firing.clone()),
                    _ => None,
                };
                out.extend(firing.map(|firing| transition(key.clone(), kind.word, &firing, &step, now)));
            }
            if next.state != before {
                changed = true;
                self.dirty.insert(key.clone());
            }
            if let Some(state) = next.state {
                map.insert(key.subject, state);
            }
        }
        if !map.is_empty() {
            self.states.insert((no, device), map);
        }
        for at in wakes {
            self.wake(no, device, at.max(now.plus_millis(1)));
        }
        for (key, (since, so)) in due {
            self.fire_or_fold(&key, kind, since, so, now, out);
        }
        // A device that is part of a storm and is back, or is lost while one goes on.
        if kind.folds && changed {
            self.stormy.insert(no);
        }
    }

    /// Ends everything of a rule and a device.
    fn end(&mut self, no: i64, device: Option<DeviceId>, now: Timestamp, out: &mut Vec<Transition>) {
        let Some(map) = self.states.remove(&(no, device)) else { return };
        let word = self.rules.get(&no).map_or("", |r| r.kind.word);
        for (subject, state) in map {
            let key = Key { rule: no, device, subject };
            if let Phase::Firing(firing) = &state.phase {
                let step = Step { what: What::Resolved, tell: firing.told };
                out.push(transition(key.clone(), word, firing, &step, now));
            }
            self.dirty.insert(key);
        }
        if device.is_some() {
            self.stormy.insert(no);
        }
    }

    /// What has been so for long enough fires: by itself, or with all that were lost with it.
    fn fire_or_fold(
        &mut self,
        key: &Key,
        kind: &'static Kind,
        since: Timestamp,
        so: So,
        now: Timestamp,
        out: &mut Vec<Transition>,
    ) {
        let pending = self.pending_of(key.rule);
        let scope = self.scope_of(key.rule);
        let group = key.device.and_then(|id| fold::group(&self.world, &scope, &pending, id));
        let Some(group) = group else {
            self.fire(key, kind, since, so, now, out);
            return;
        };
        let storm = Key { rule: key.rule, device: None, subject: format!("storm:{}", group.storm.first.0) };
        for id in &group.members {
            let own = Key { rule: key.rule, device: Some(*id), subject: String::new() };
            let fires = self.fires(&own);
            self.put(&own, Some(State { phase: Phase::Folded { into: storm.to_string() }, fires }));
            self.dirty.insert(own);
        }
        let said = fold::say(&self.world, &group.storm, &group.members, group.members.len());
        let so = So { members: group.members, title: said.title, detail: said.detail, ..so };
        self.fire(&storm, kind, group.storm.first, so, now, out);
        if let Some(State { phase: Phase::Firing(firing), .. }) = self.state_mut(&storm) {
            firing.storm = Some(group.storm);
        }
    }

    fn scope_of(&self, rule: i64) -> store::Scope {
        self.rule(rule).map(|rule| rule.body.scope.clone()).unwrap_or_default()
    }

    /// Devices of a folding rule that are lost and not told of yet, and since when.
    fn pending_of(&self, rule: i64) -> Vec<(DeviceId, Timestamp)> {
        // The floor hides when they were lost; what is known of the device does not.
        self.states
            .iter()
            .filter(|((no, _), _)| *no == rule)
            .filter_map(|((_, device), map)| {
                let id = (*device)?;
                let pending = matches!(map.get("")?.phase, Phase::Pending { .. });
                pending.then_some((id, self.world.devices.get(&id)?.now.since))
            })
            .collect()
    }

    fn fire(
        &mut self,
        key: &Key,
        kind: &'static Kind,
        since: Timestamp,
        so: So,
        now: Timestamp,
        out: &mut Vec<Transition>,
    ) {
        let Some(rule) = self.rule(key.rule) else { return };
        let silenced = self.paused(PauseKind::Silence, key.rule, key.device, now);
        let fires = self.fires(key);
        let (state, step, wake) = fire(rule, kind, fires, since, so, silenced, now);
        if let Phase::Firing(firing) = &state.phase {
            out.push(transition(key.clone(), kind.word, firing, &step, now));
        }
        self.put(key, Some(state));
        self.dirty.insert(key.clone());
        if let Some(at) = wake {
            self.wake(key.rule, key.device, at.max(now.plus_millis(1)));
        }
    }

    /// Brings the storms of a rule up to date: who is back, and who was lost with the others.
    fn judge_storms(&mut self, no: i64, now: Timestamp, out: &mut Vec<Transition>) {
        let Some(RuleNow { rule, kind }) = self.rules.get(&no).cloned() else { return };
        let Some(storms) = self.states.get(&(no, None)).cloned() else { return };
        for (subject, mut state) in storms {
            let key = Key { rule: no, device: None, subject };
            let text = key.to_string();
            let Phase::Firing(firing) = &mut state.phase else {
                // It fired not long ago.
                if state.fires.iter().all(|at| now.millis_since(*at) >= FLAP_WITHIN_MS) {
                    self.put(&key, None);
                    self.dirty.insert(key);
                }
                continue;
            };
            let Some(mut storm) = firing.storm.clone() else { continue };
            let joined = fold::joins(&self.world, &storm, &self.pending_of(no), &rule.body.scope);
            for (id, since) in &joined {
                let own = Key { rule: no, device: Some(*id), subject: String::new() };
                let fires = self.fires(&own);
                self.put(&own, Some(State { phase: Phase::Folded { into: text.clone() }, fires }));
                self.dirty.insert(own);
                storm.last = storm.last.max(*since);
                storm.lost.push(*id);
            }
            let mut members: Vec<DeviceId> = firing
                .members
                .iter()
                .chain(joined.iter().map(|(id, _)| id))
                .filter(|id| {
                    let state = self.states.get(&(no, Some(**id))).and_then(|map| map.get(""));
                    state.is_some_and(|state| matches!(&state.phase, Phase::Folded { into } if *into == text))
                })
                .copied()
                .collect();
            members.sort_unstable();
            members.dedup();
            if members.is_empty() {
                let step = Step { what: What::Resolved, tell: firing.told };
                firing.telling = fold::over(&storm);
                firing.members = storm.lost;
                out.push(transition(key.clone(), kind.word, firing, &step, now));
                let idle = State { phase: Phase::Idle, fires: state.fires };
                self.put(&key, Some(idle));
                self.dirty.insert(key);
                self.wake(no, None, now.plus_millis(FLAP_WITHIN_MS));
                continue;
            }
            let told = fold::say(&self.world, &storm, &members, storm.lost.len());
            let changed =
                members != firing.members || told != firing.telling || firing.storm.as_ref() != Some(&storm);
            firing.members = members;
            firing.telling = told;
            firing.storm = Some(storm);
            let graver = escalated(&rule, kind, firing, None, now);
            let worse = graver < firing.severity;
            firing.severity = graver;
            let silenced = self.paused(PauseKind::Silence, no, None, now);
            let step = remind(&rule, firing, worse, silenced, now).or_else(|| {
                changed.then_some(Step { what: What::Changed, tell: firing.told && silenced.is_none() })
            });
            let wake = next_wake(&rule, firing, silenced, now);
            if let Some(step) = step {
                out.push(transition(key.clone(), kind.word, firing, &step, now));
            }
            self.put(&key, Some(state));
            self.dirty.insert(key);
            if let Some(at) = wake {
                self.wake(no, None, at.max(now.plus_millis(1)));
            }
        }
    }
}

fn transition(key: Key, kind: &'static str, firing: &Firing, step: &Step, now: Timestamp) -> Transition {
    Transition {
        key,
        kind,
        what: step.what,
        telling: firing.telling(),
        members: firing.members.clone(),
        fired_at: firing.since,
        at: now,
        flapping: firing.flapping,
        hidden_by: firing.hidden_by.as_deref().and_then(Key::parse),
        tell: step.tell,
        gravest: firing.gravest.unwrap_or(firing.severity).min(firing.severity),
    }
}

/// What follows of a reading: a function of values. `None`: nothing can be said.
fn next(
    rule: &Rule,
    kind: &'static Kind,
    before: Option<State>,
    reading: Option<Reading>,
    at: &Circumstances<'_>,
) -> Next {
    let fires = before.as_ref().map(|state| state.fires.clone()).unwrap_or_default();
    let phase = before.map_or(Phase::Idle, |state| state.phase);
    match (phase, reading) {
        (Phase::Firing(firing), reading) => still(rule, kind, *firing, fires, reading, at),
        // It is told with the others until it is over.
        (Phase::Folded { into }, None | Some(Reading::Between | Reading::Holds(_))) => Next {
            state: Some(State { phase: Phase::Folded { into }, fires }),
            step: None,
            wake: None,
            due: None,
        },
        (phase, Some(Reading::Holds(so))) => {
            let since = match phase {
                Phase::Pending { since } => since,
                _ => match so.since.unwrap_or(at.now).min(at.now) {
                    since if since < at.started => at.floor,
                    since => since,
                },
            };
            // What happened once is no matter of how long.
            let since = if kind.lasts { since } else { so.since.unwrap_or(at.now).min(at.now) };
            let wait = so.for_ms.unwrap_or(if kind.lasts { i64::from(rule.body.for_s) * 1000 } else { 0 });
            let due_at = since.plus_millis(wait);
            let state = |phase| Some(State { phase, fires: fires.clone() });
            let pending = state(Phase::Pending { since });
            // In maintenance it waits for the end; what is explained waits until it is not.
            if let Some(until) = at.maintenance {
                return Next { state: pending, step: None, wake: Some(until), due: None };
            }
            if at.explained_by.is_some() {
                return Next { state: pending, step: None, wake: None, due: None };
            }
            if due_at > at.now {
                return Next { state: pending, step: None, wake: Some(due_at), due: None };
            }
            if kind.folds {
                return Next { state: pending, step: None, wake: None, due: Some((since, so)) };
            }
            let (state, step, wake) = fire(rule, kind, fires, since, so, at.silence, at.now);
            Next { state: Some(state), step: Some(step), wake, due: None }
        }
        // What was about to fire is not so any more, or nothing is known of it.
        (_, None | Some(Reading::Clear | Reading::Between)) => {
            let fires: Vec<Timestamp> =
                fires.into_iter().filter(|fired| at.now.millis_since(*fired) < FLAP_WITHIN_MS).collect();
            let forget = fires.last().map(|last| last.plus_millis(FLAP_WITHIN_MS));
            let state = forget.is_some().then_some(State { phase: Phase::Idle, fires });
            Next { state, step: None, wake: forget, due: None }
        }
    }
}

fn fire(
    rule: &Rule,
    kind: &'static Kind,
    mut fires: Vec<Timestamp>,
    since: Timestamp,
    so: So,
    silence: Option<Timestamp>,
    now: Timestamp,
) -> (State, Step, Option<Timestamp>) {
    fires.retain(|fired| now.millis_since(*fired) < FLAP_WITHIN_MS);
    fires.push(now);
    if fires.len() > FLAPS * 2 {
        fires.remove(0);
    }
    let flapping = kind.lasts && fires.len() >= FLAPS;
    let mut firing = Firing {
        since,
        severity: rule.body.severity,
        gravest: None,
        telling: Saying { title: so.title, detail: so.detail },
        said_at: now,
        clear_since: None,
        told: silence.is_none(),
        told_at: now,
        flapping,
        hidden_by: None,
        acknowledged: false,
        members: so.members,
        parts: so.parts,
        storm: None,
    };
    firing.severity = escalated(rule, kind, &firing, so.value, now);
    let wake = next_wake(rule, &firing, silence, now);
    let step = Step { what: What::Fired, tell: firing.told };
    (State { phase: Phase::Firing(Box::new(firing)), fires }, step, wake)
}

/// How grave an alert is: by its steps, and what was measured. It becomes less grave only when the level is left as far
/// behind as the rule's own.
fn escalated(rule: &Rule, kind: &Kind, firing: &Firing, value: Option<f64>, now: Timestamp) -> Severity {
    let values = &rule.body.values;
    let number = |word: &str| values.get(word).and_then(serde_json::Value::as_f64);
    let slack = number("level").zip(number("clear")).map_or(0.0, |(level, clear)| (level - clear).abs());
    let reached = |step: &&store::Step| {
        let by_time = step.after_s.is_some_and(|s| now.millis_since(firing.since) >= i64::from(s) * 1000);
        let by_level = step.level.zip(value).is_some_and(|(level, value)| {
            // Where it is already it stays a little longer.
            let level = match (firing.severity <= step.severity, kind.falling) {
                (true, false) => level - slack,
                (true, true) => level + slack,
                (false, _) => level,
            };
            if kind.falling { value <= level } else { value >= level }
        });
        // Without a value nothing is known of the level: it stays what it is.
        by_time || by_level || (value.is_none() && step.level.is_some() && firing.severity <= step.severity)
    };
    let steps = rule.body.steps.iter().filter(reached).map(|step| step.severity);
    steps.chain([rule.body.severity]).min().unwrap_or(rule.body.severity)
}

/// When an alert that fires must be looked at again.
fn next_wake(rule: &Rule, firing: &Firing, silence: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let steps = rule.body.steps.iter().filter_map(|step| step.after_s);
    let steps = steps.map(|s| firing.since.plus_millis(i64::from(s) * 1000));
    let remind = rule.body.remind_s.filter(|_| !firing.acknowledged);
    let remind = remind.map(|s| firing.told_at.plus_millis(i64::from(s) * 1000));
    steps.chain(remind).chain(silence).filter(|at| *at > now).min()
}

/// Whether people must hear of an alert that goes on.
fn remind(
    rule: &Rule,
    firing: &mut Firing,
    worse: bool,
    silence: Option<Timestamp>,
    now: Timestamp,
) -> Option<Step> {
    let tell = silence.is_none() && firing.hidden_by.is_none();
    if tell && !firing.told {
        (firing.told, firing.told_at, firing.said_at) = (true, now, now);
        return Some(Step { what: What::Told, tell: true });
    }
    if worse {
        (firing.told_at, firing.said_at) = (now, now);
        return Some(Step { what: What::Worse, tell });
    }
    let due = rule.body.remind_s.is_some_and(|s| now.millis_since(firing.told_at) >= i64::from(s) * 1000);
    if due && tell && !firing.acknowledged {
        (firing.told_at, firing.said_at) = (now, now);
        return Some(Step { what: What::Reminder, tell: true });
    }
    None
}

/// What becomes of an alert that fires.
fn still(
    rule: &Rule,
    kind: &'static Kind,
    mut firing: Firing,
    fires: Vec<Timestamp>,
    reading: Option<Reading>,
    at: &Circumstances<'_>,
) -> Next {
    let hidden_by = at.explained_by.map(Key::to_string);
    let hidden = hidden_by != firing.hidden_by;
    firing.hidden_by = hidden_by;
    let value = match &reading {
        Some(Reading::Holds(so)) => so.value,
        _ => None,
    };
    if reading == Some(Reading::Clear) {
        let since = *firing.clear_since.get_or_insert(at.now);
        let calm = match (firing.flapping, kind.levels && kind.lasts) {
            (true, _) => FLAP_CALM_MS,
            (false, true) => (i64::from(rule.body.for_s) * 1000).min(CALM_MS),
            (false, false) => 0,
        };
        let over_at = since.plus_millis(calm);
        if over_at <= at.now {
            let step = Step { what: What::Resolved, tell: firing.told };
            let forget =
                fires.last().map(|last| last.plus_millis(FLAP_WITHIN_MS)).filter(|forget| *forget > at.now);
            let state = forget.is_some().then_some(State { phase: Phase::Idle, fires });
            return Next { state, step: Some(step), wake: forget, due: None };
        }
        let state = Some(State { phase: Phase::Firing(Box::new(firing)), fires });
        return Next { state, step: None, wake: Some(over_at), due: None };
    }
    firing.clear_since = None;
    let mut says = false;
    let mut more = false;
    if let Some(Reading::Holds(so)) = reading {
        let told = Saying { title: so.title, detail: so.detail };
        more = so.members.len() > firing.members.len()
            || so.parts.iter().any(|part| !firing.parts.contains(part));
        let by_time = at.now.millis_since(firing.said_at) >= SAY_AGAIN_MS;
        says = (told != firing.telling || so.members != firing.members) && (by_time || more);
        if says {
            (firing.telling, firing.members) = (told, so.members);
        }
        firing.parts = so.parts;
    }
    let graver = escalated(rule, kind, &firing, value, at.now);
    let (worse, less) = (graver < firing.severity, graver > firing.severity);
    firing.gravest = Some(firing.gravest.unwrap_or(firing.severity).min(firing.severity));
    firing.severity = graver;
    let silence = at.silence.or(at.maintenance);
    let step = remind(rule, &mut firing, worse || more, silence, at.now).or_else(|| {
        (says || less || hidden).then(|| {
            firing.said_at = at.now;
            Step { what: What::Changed, tell: firing.told && silence.is_none() && firing.hidden_by.is_none() }
        })
    });
    let wake = next_wake(rule, &firing, silence, at.now);
    Next { state: Some(State { phase: Phase::Firing(Box::new(firing)), fires }), step, wake, due: None }
}
