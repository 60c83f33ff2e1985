//! What a machine tells the server, hour by hour.

use bytes::Bytes;
use protocol::{
    ApiKey, DeviceId, DeviceTopic, Event, EventKind, Events, Log, LogRecord, OfflineReason, Payload,
    Presence, QUARTER_MILLIS, Qos, SpoolId, Timestamp, Topic, TopicRoot, Usage, limits,
};
use store::{Fact, Prices, Record, RetainedRow};

use crate::cast::{End, Machine};
use crate::dice::hash;
use crate::errors;
use crate::life::{DAY, Down, HOUR, Incident, Life, MINUTE, Trouble};
use crate::sample::Context;
use crate::tokens;

const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Between two samples long ago, and lately.
const RARELY: i64 = 5 * MINUTE;
const OFTEN: i64 = 30_000;
const LATELY: i64 = 26 * HOUR;
const RECORDS: usize = 20;

/// A machine that tells, and what it has told.
pub(crate) struct Teller {
    pub(crate) machine: Machine,
    pub(crate) life: Life,
    pub(crate) key: Option<ApiKey>,
    pub(crate) ledger: SpoolId,
    end: i64,
    spool: SpoolId,
    seq: u64,
    epoch: u64,
    /// The server has not seen it again before this, after it was down itself.
    away_until: i64,
    sampled: i64,
    counted: i64,
    /// Measured while nobody was there to take it.
    backlog: Vec<i64>,
    logs: Vec<LogRecord>,
    events: Vec<Event>,
    out: Vec<Record>,
}

enum Step {
    Sample,
    Errors(Vec<LogRecord>),
    Upgrade(&'static str, &'static str),
    Gone(Incident),
    Back(Incident),
    /// It comes back to a server that was down.
    Rejoin,
    /// It did not come back in time.
    Missed,
    Count,
    Audit,
}

fn at_least_once(device: DeviceId, what: DeviceTopic, payload: Vec<u8>, at: i64) -> RetainedRow {
    RetainedRow {
        topic: Topic { device, what }.name(&TopicRoot::default()).as_str().to_owned(),
        payload: Bytes::from(payload),
        qos: Qos::AtLeastOnce,
        properties: Bytes::new(),
        at: Timestamp(at),
    }
}

/// How far apart samples are at a moment.
fn every(at: i64, end: i64) -> i64 {
    if at >= end - LATELY { OFTEN } else { RARELY }
}

pub(crate) fn event(at: i64, kind: EventKind) -> Event {
    let of_gateway = kind.as_str().starts_with("gateway_");
    Event {
        at: Timestamp(at),
        kind,
        gateway: of_gateway.then(|| "default".to_owned()),
        from: None,
        to: None,
        reason: None,
        duration_ms: None,
        count: None,
        activity: None,
    }
}

impl Teller {
    pub(crate) fn new(machine: Machine, number: usize, end: i64, days: i64) -> Self {
        let life = Life::new(&machine, number, end, days);
        Self {
            end,
            spool: SpoolId::generate(),
            ledger: SpoolId::generate(),
            key: None,
            seq: 0,
            epoch: 0,
            away_until: 0,
            sampled: life.born,
            counted: life.born.div_euclid(QUARTER_MILLIS) * QUARTER_MILLIS,
            backlog: Vec::new(),
            logs: Vec::new(),
            events: Vec::new(),
            out: Vec::new(),
            machine,
            life,
        }
    }

    fn seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    fn connected(&self, at: i64) -> bool {
        at >= self.away_until && self.life.connected(at)
    }

    /// What it tells from `from` to before `to`, a span in which the server is up; `after`: it was down right before.
    pub(crate) fn tell(&mut self, from: i64, to: i64, after: Option<Down>, prices: &Prices) -> Vec<Record> {
        let Some(id) = self.key.as_ref().map(ApiKey::subject) else { return Vec::new() };
        if self.machine.end == End::Never {
            return Vec::new();
        }
        let steps = self.steps(from, to, after);
        for (at, step) in steps {
            self.step(id, at, step, prices);
            if self.connected(at) {
                self.flush(id, at);
            }
        }
        self.sampled = to;
        // Only the last report is kept for those who come later.
        let last =
            self.out.iter().rposition(|r| matches!(&r.fact, Fact::Report(_, report) if !report.historical));
        if let Some(record) = last.and_then(|last| self.out.get_mut(last))
            && let Fact::Report(_, report) = &record.fact
        {
            record.retain =
                Some(at_least_once(id, DeviceTopic::Report, report.encode(), record.received_at.0));
        }
        std::mem::take(&mut self.out)
    }

    fn steps(&mut self, from: i64, to: i64, after: Option<Down>) -> Vec<(i64, Step)> {
        let mut steps = Vec::new();
        let of_seed = |n: u64, below: i64| (hash(self.machine.seed, n) % below.cast_unsigned()).cast_signed();
        if self.epoch == 0 {
            steps.push((self.life.born.max(from), Step::Rejoin));
        }
        if let Some(down) = after
            && self.epoch > 0
        {
            let late = hash(self.machine.seed, 77).is_multiple_of(13);
            let wait = if late { 3 * MINUTE + of_seed(78, 6 * MINUTE) } else { 1_500 + of_seed(79, 25_000) };
            self.away_until = down.to + wait;
            if self.life.connected(down.to) {
                if late {
                    steps.push((down.to + 45_000, Step::Missed));
                }
                steps.push((self.away_until, Step::Rejoin));
            }
        }
        let mut at = self.sampled;
        while at < to {
            let every = every(at, self.end);
            let next = at.div_euclid(every) * every + of_seed(80, every) / 1_000 * 1_000;
            if (self.sampled..to).contains(&next) {
                steps.push((next, Step::Sample));
            }
            at = at.div_euclid(every) * every + every;
        }
        let within = |at: i64| (from..to).contains(&at);
        for incident in &self.life.incidents {
            if within(incident.from) {
                steps.push((incident.from, Step::Gone(*incident)));
            }
            if within(incident.to) {
                steps.push((incident.to, Step::Back(*incident)));
            }
        }
        for pair in self.life.versions.windows(2) {
            if let [(_, before), (at, version)] = pair
                && within(*at)
            {
                steps.push((*at, Step::Upgrade(before, version)));
            }
        }
        for record in errors::between(&self.machine, &self.life, self.sampled, to) {
            steps.push((record.at.0, Step::Errors(vec![record])));
        }
        let recently = to > self.end - 2 * DAY;
        if recently || to.div_euclid(HOUR) % 3 == 0 {
            steps.push((to - 1_000, Step::Count));
        }
        let old_audit = hash(self.machine.seed, 81).is_multiple_of(11);
        let audited = self.end - if old_audit { 9 * DAY } else { 3 * HOUR + of_seed(82, 18 * HOUR) };
        if within(audited) {
            steps.push((audited, Step::Audit));
        }
        steps.sort_by_key(|(at, _)| *at);
        steps
    }

    fn step(&mut self, id: DeviceId, at: i64, step: Step, prices: &Prices) {
        match step {
            Step::Sample if self.connected(at) => self.report(id, at, at + 180, false),
            Step::Sample => {
                if self.life.measures(at) {
                    self.backlog.push(at);
                }
            }
            Step::Errors(records) => self.logs.extend(records),
            Step::Upgrade(before, version) => {
                let upgraded = Event {
                    from: Some(before.to_owned()),
                    to: Some(version.to_owned()),
                    ..event(at, EventKind::GatewayUpgraded)
                };
                self.events.extend([upgraded, event(at + 4_000, EventKind::GatewayStarted)]);
            }
            Step::Missed => self.offline(id, at, OfflineReason::ServerRestart),
            Step::Rejoin => self.birth(id, at),
            Step::Gone(incident) => match incident.trouble.reason() {
                Some(reason) => self.offline(id, at, reason),
                None => self.fails(incident),
            },
            Step::Back(incident) => {
                if incident.trouble.reason().is_some() {
                    self.birth(id, at);
                }
                self.recovers(incident);
            }
            Step::Count => self.count(id, at, prices),
            Step::Audit => {
                let seq = self.seq();
                if let Some(audit) = errors::audit(&self.machine, at, self.spool, seq) {
                    let retain = at_least_once(id, DeviceTopic::Audit, audit.encode(), at);
                    self.push(at, Fact::Audit(id, Box::new(audit)), Some(retain));
                }
            }
        }
    }

    fn push(&mut self, at: i64, fact: Fact, retain: Option<RetainedRow>) {
        self.out.push(Record { received_at: Timestamp(at), fact, retain });
    }

    fn report(&mut self, id: DeviceId, at: i64, received_at: i64, historical: bool) {
        let seq = self.seq();
        let context = Context { machine: &self.machine, life: &self.life, end: self.end };
        let report = context.report(at, every(at, self.end), self.spool, seq, historical);
        self.push(received_at, Fact::Report(id, Box::new(report)), None);
    }

    fn presence(&mut self, id: DeviceId, at: i64, presence: Presence) {
        let retain = at_least_once(id, DeviceTopic::Presence, presence.encode(), at);
        self.push(at, Fact::Presence(id, Box::new(presence)), Some(retain));
    }

    fn birth(&mut self, id: DeviceId, at: i64) {
        self.epoch += 1;
        let (boot, host) = (self.life.boot(at), self.machine.host());
        self.presence(id, at, Presence::birth(self.epoch, Timestamp(at), AGENT_VERSION, Some(boot), host));
    }

    fn offline(&mut self, id: DeviceId, at: i64, reason: OfflineReason) {
        self.presence(id, at, Presence::offline(self.epoch, None, reason));
    }

    /// What begins while the agent is connected.
    fn fails(&mut self, incident: Incident) {
        let at = incident.from;
        let hot = self.machine.end == End::Hot;
        let (kind, reason) = match incident.trouble {
            Trouble::Crash => (EventKind::GatewayCrashed, "out of memory (exit code 137)"),
            Trouble::Stopped => (EventKind::GatewayStopped, "the process was ended from outside"),
            Trouble::Hung => (EventKind::GatewayHung, "port open, no answer to the readiness check"),
            _ if hot => (EventKind::GatewayDegraded, "event-loop"),
            _ => (EventKind::GatewayDegraded, "channel:telegram"),
        };
        self.events.push(Event { reason: Some(reason.to_owned()), ..event(at, kind) });
        if incident.trouble == Trouble::Crash {
            self.logs.push(errors::crash(&self.machine, &self.life, at));
        }
    }

    /// What is told when it is over.
    fn recovers(&mut self, incident: Incident) {
        let (from, to) = (incident.from, incident.to);
        let lasted = |event: Event| Event { duration_ms: u64::try_from(to - from).ok(), ..event };
        match incident.trouble {
            Trouble::Crash | Trouble::Stopped => self.events.push(event(to, EventKind::GatewayStarted)),
            Trouble::Hung | Trouble::Degraded => {
                self.events.push(lasted(event(to, EventKind::GatewayRecovered)));
            }
            Trouble::CrashUnseen => {
                self.events.push(event(from + 30_000, EventKind::GatewayCrashed));
                self.events.push(event(to - 20_000, EventKind::GatewayStarted));
                self.logs.push(errors::crash(&self.machine, &self.life, from + 30_000));
            }
            Trouble::Reboot => {
                let kinds = [EventKind::HostRebooted, EventKind::AgentStarted, EventKind::GatewayStarted];
                self.events.extend(kinds.map(|kind| event(to, kind)));
            }
            Trouble::AgentRestart => self.events.push(event(to, EventKind::AgentStarted)),
            Trouble::Sleep => self.events.push(lasted(event(to, EventKind::HostSlept))),
            Trouble::Network | Trouble::Silence => {}
        }
    }

    /// Sends what waits.
    fn flush(&mut self, id: DeviceId, at: i64) {
        for (n, measured) in (0..).zip(std::mem::take(&mut self.backlog)) {
            self.report(id, measured, at + 1_500 + n * 15, true);
        }
        if !self.events.is_empty() {
            let mut events = std::mem::take(&mut self.events);
            events.sort_by_key(|event| event.at);
            let (spool, seq) = (self.spool, self.seq());
            let events = Events { v: 1, spool, seq, at: Timestamp(at), events };
            self.push(at + 300, Fact::Events(id, Box::new(events)), None);
        }
        let mut records = std::mem::take(&mut self.logs);
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(RECORDS));
            let (spool, seq) = (self.spool, self.seq());
            let log = Log { v: 1, spool, seq, at: Timestamp(at), records };
            self.push(at + 400, Fact::Log(id, Box::new(log)), None);
            records = rest;
        }
    }

    fn count(&mut self, id: DeviceId, at: i64, prices: &Prices) {
        if !self.connected(at) {
            return;
        }
        let mut rows = Vec::new();
        let mut quarter = self.counted;
        while quarter <= at {
            rows.extend(tokens::rows(&self.machine, &self.life, prices, self.end, quarter, at));
            quarter += QUARTER_MILLIS;
        }
        // The quarter that is not over is told again.
        self.counted = at.div_euclid(QUARTER_MILLIS) * QUARTER_MILLIS;
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(limits::MAX_USAGE_ROWS));
            let (spool, seq) = (self.spool, self.seq());
            let usage = Usage { v: 1, spool, seq, at: Timestamp(at), ledger: self.ledger, rows };
            self.push(at, Fact::Usage(id, Box::new(usage)), None);
            rows = rest;
        }
    }
}
