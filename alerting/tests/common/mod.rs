//! A fleet whose time is moved by hand.

#![allow(dead_code, unreachable_pub, reason = "a module of tests")]

use std::sync::Arc;

use alerting::facts::{DeviceNow, ErrorTold, Fact, Happened, Measured};
use alerting::{Engine, Key, Ruleset, Transition, What, kinds};
use protocol::{ClawChannel, DeviceId, EventKind, Gateway, GatewayState, OfflineReason, OpenClaw, Timestamp};
use serde_json::Value;
use store::{Pause, Rule, Severity};

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// A Friday, at noon.
pub const NOON: Timestamp = Timestamp(1_795_176_000_000);

pub struct Story {
    pub engine: Engine,
    pub rules: Vec<Rule>,
    pub pauses: Vec<Pause>,
    pub now: Timestamp,
    pub devices: Vec<DeviceNow>,
    /// What the store keeps of what happened.
    pub kept: Vec<Fact>,
    /// What has followed.
    pub told: Vec<Transition>,
    /// How much of that was looked at.
    pub seen: usize,
}

pub fn id(n: usize) -> DeviceId {
    DeviceId::parse(&format!("device{n:06}")).unwrap()
}

/// A rule of a kind as it is without a word.
pub fn rule(no: i64, kind: &str) -> Rule {
    let body = kinds::kind(kind).unwrap().body();
    Rule { no, kind: kind.to_owned(), enabled: true, body, rev: 1 }
}

pub fn with(mut rule: Rule, values: &[(&str, Value)]) -> Rule {
    for (word, value) in values {
        rule.body.values.insert((*word).to_owned(), value.clone());
    }
    rule
}

impl Story {
    /// One device that is well, and these rules.
    pub fn new(rules: &[Rule]) -> Self {
        Self::of(1, rules)
    }

    pub fn of(devices: usize, rules: &[Rule]) -> Self {
        let set = Ruleset { rules: rules.to_vec(), ..Ruleset::default() };
        let engine = Engine::new(set, NOON, NOON);
        let devices = (0..devices).map(|n| device(n, NOON)).collect::<Vec<_>>();
        let mut story = Self {
            engine,
            rules: rules.to_vec(),
            pauses: vec![],
            now: NOON,
            devices: devices.clone(),
            kept: vec![],
            told: vec![],
            seen: 0,
        };
        story.learn(devices.into_iter().map(Fact::Device));
        assert_eq!(story.told, [], "nothing is wrong yet");
        story
    }

    pub fn learn(&mut self, facts: impl IntoIterator<Item = Fact>) {
        let facts: Vec<Fact> = facts.into_iter().collect();
        let news = |fact: &&Fact| matches!(fact, Fact::Happened(..) | Fact::Error(..));
        self.kept.extend(facts.iter().filter(news).cloned());
        let steps = self.engine.step(facts, self.now);
        self.told.extend(steps);
    }

    /// Time goes on; what is due in between is judged when it is due.
    pub fn pass(&mut self, ms: i64) -> &mut Self {
        let end = self.now.plus_millis(ms);
        while let Some(at) = self.engine.next_wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.learn([]);
        }
        self.now = end;
        self.learn([]);
        self
    }

    /// A device changes.
    pub fn change(&mut self, n: usize, change: impl FnOnce(&mut DeviceNow)) -> &mut Self {
        change(&mut self.devices[n]);
        let now = self.devices[n].clone();
        self.learn([Fact::Device(now)]);
        self
    }

    pub fn measure(&mut self, n: usize, change: impl FnOnce(&mut Measured)) -> &mut Self {
        let now = self.now;
        self.change(n, |device| {
            let measured = device.measured.as_mut().unwrap();
            measured.at = now;
            change(measured);
        })
    }

    /// The same values come in every half minute, as of a real device.
    pub fn keep(&mut self, n: usize, ms: i64, change: impl Fn(&mut Measured)) -> &mut Self {
        let end = self.now.plus_millis(ms);
        while self.now < end {
            self.measure(n, &change);
            let next = (30 * SECOND).min(end.millis_since(self.now));
            self.pass(next);
        }
        self
    }

    pub fn gateway(&mut self, n: usize, change: impl FnOnce(&mut Gateway)) -> &mut Self {
        self.measure(n, |measured| {
            let mut claw = OpenClaw::clone(measured.claw.as_ref().unwrap());
            change(&mut claw.gateways[0]);
            claw.state = claw.gateways[0].state;
            claw.version.clone_from(&claw.gateways[0].version);
            measured.claw = Some(Arc::new(claw));
        })
    }

    pub fn lose(&mut self, n: usize) -> &mut Self {
        let now = self.now;
        self.change(n, |device| {
            device.online = Some(false);
            device.since = now;
            device.reason = Some(OfflineReason::ConnectionLost);
        })
    }

    pub fn back(&mut self, n: usize) -> &mut Self {
        let now = self.now;
        self.change(n, |device| {
            device.online = Some(true);
            device.since = now;
            device.reason = None;
        })
    }

    pub fn happens(&mut self, n: usize, kind: EventKind) -> &mut Self {
        self.happened(n, kind, self.now)
    }

    /// Something that happened before, and is told now.
    pub fn happened(&mut self, n: usize, kind: EventKind, at: Timestamp) -> &mut Self {
        let event = Happened {
            kind,
            at,
            received_at: self.now,
            gateway: Some("default".to_owned()),
            from: Some("2026.9.5".to_owned()),
            to: Some("2026.9.6".to_owned()),
            reason: Some("signal 9".to_owned()),
            count: Some(3),
        };
        self.learn([Fact::Happened(id(n), event)]);
        self
    }

    pub fn error(&mut self, n: usize, fingerprint: &str, count: u32, first: bool) -> &mut Self {
        let error = ErrorTold {
            at: self.now,
            received_at: self.now,
            fingerprint: fingerprint.to_owned(),
            message: format!("boom {fingerprint}"),
            count,
            first,
        };
        self.learn([Fact::Error(id(n), error)]);
        self
    }

    /// The server is killed and starts again after so long; what it remembered is what was written.
    pub fn restart(&mut self, down_ms: i64) -> &mut Self {
        let states: Vec<(String, String)> = self.remembered();
        let firing: Vec<store::FiringAlert> = self
            .firing()
            .into_iter()
            .enumerate()
            .map(|(no, step)| store::FiringAlert {
                key: step.key.to_string(),
                no: i64::try_from(no).unwrap(),
                telling: step.telling,
                fired_at: step.fired_at,
                acknowledged: false,
                members: step.members,
            })
            .collect();
        let judged_at = self.now;
        self.now = self.now.plus_millis(down_ms);
        let set = Ruleset { rules: self.rules.clone(), pauses: self.pauses.clone(), zone: None };
        self.engine = Engine::new(set, self.now, self.now);
        self.engine.remember(&states, &firing, judged_at, self.now);
        let facts = self.devices.clone().into_iter().map(Fact::Device).chain(self.kept.clone());
        let steps = self.engine.start(facts, self.now);
        self.told.extend(steps);
        self
    }

    fn remembered(&mut self) -> Vec<(String, String)> {
        // Everything is written with each step; here it is asked for at once.
        let mut all = std::collections::BTreeMap::new();
        for (key, body) in self.engine.take_remembered() {
            match body {
                Some(body) => all.insert(key, body),
                None => all.remove(&key),
            };
        }
        all.into_iter().collect()
    }

    pub fn pause(&mut self, pause: Pause) -> &mut Self {
        self.pauses.push(pause);
        self.take_rules()
    }

    pub fn take_rules(&mut self) -> &mut Self {
        let set = Ruleset { rules: self.rules.clone(), pauses: self.pauses.clone(), zone: None };
        let steps = self.engine.change_rules(set, self.now);
        self.told.extend(steps);
        self
    }

    /// What fires by what was told.
    pub fn firing(&self) -> Vec<Transition> {
        let mut firing: Vec<Transition> = Vec::new();
        for step in &self.told {
            match step.what {
                What::Fired => {
                    assert!(!firing.iter().any(|known| known.key == step.key), "{} fired twice", step.key);
                    firing.push(step.clone());
                }
                What::Resolved => {
                    let at = firing.iter().position(|known| known.key == step.key);
                    firing.remove(at.unwrap_or_else(|| panic!("{} was over and had not begun", step.key)));
                }
                _ => {
                    let known = firing.iter_mut().find(|known| known.key == step.key);
                    *known.unwrap_or_else(|| panic!("{} says something and does not fire", step.key)) =
                        step.clone();
                }
            }
        }
        firing
    }

    /// What followed since this was asked last: what became of which kind, and how grave it is. A number that changes is
    /// left out.
    #[track_caller]
    pub fn expect(&mut self, expected: &[(&str, What, Severity)]) -> &mut Self {
        self.firing();
        let new = self.told[self.seen..].iter().filter(|step| step.what != What::Changed);
        let mut told: Vec<(&str, What, Severity)> =
            new.map(|step| (step.kind, step.what, step.telling.severity)).collect();
        // Different rules may follow in any order, what follows of one may not.
        let mut expected = expected.to_vec();
        told.sort_by_key(|(kind, ..)| *kind);
        expected.sort_by_key(|(kind, ..)| *kind);
        assert_eq!(told, expected);
        self.seen = self.told.len();
        self
    }

    /// The last of what followed.
    pub fn last(&self) -> &Transition {
        self.told.last().unwrap()
    }
}

/// What a rule says of a device.
pub fn key(rule: i64, n: usize) -> Key {
    Key { rule, device: Some(id(n)), subject: String::new() }
}

/// A device that is well.
pub fn device(n: usize, now: Timestamp) -> DeviceNow {
    let gateway = Gateway {
        name: "default".to_owned(),
        state: GatewayState::Running,
        version: Some("2026.9.6".to_owned()),
        installed_version: Some("2026.9.6".to_owned()),
        channels: vec![ClawChannel { name: "telegram".to_owned(), connected: Some(true) }],
        ..Gateway::default()
    };
    let claw = OpenClaw {
        state: GatewayState::Running,
        version: Some("2026.9.6".to_owned()),
        gateways: vec![gateway],
    };
    DeviceNow {
        id: id(n),
        name: format!("box-{n}"),
        tags: vec![],
        online: Some(true),
        since: now.plus_millis(-HOUR),
        reason: None,
        address: None,
        agent_version: Some("0.1.0".to_owned()),
        measured: Some(Measured {
            at: now,
            cpu_pct: Some(10.0),
            memory_pct: Some(40.0),
            disks: vec![("/".to_owned(), 50.0)],
            disk_free: Some(50 << 30),
            claw: Some(Arc::new(claw)),
            spool_problem: None,
        }),
        usage: None,
        clock_skew_ms: 0,
    }
}
