//! What happens to a machine, decided before anything of it is told: a function of its seed and of when its past ends.

use protocol::{BootId, GatewayState, OfflineReason};

use crate::cast::{End, Machine, NEWEST, RELEASES};
use crate::dice::{Dice, hash};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Something that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection is gone, the machine measures on.
    Network,
    /// The same, and the gateway crashes meanwhile.
    CrashUnseen,
    Reboot,
    AgentRestart,
    Sleep,
    /// The agent does nothing, and nobody will know why.
    Silence,
    Crash,
    Stopped,
    Hung,
    Degraded,
}

impl Trouble {
    /// Why the connection ends; `None` when it does not.
    pub(crate) fn reason(self) -> Option<OfflineReason> {
        match self {
            Self::Network | Self::Sleep | Self::Silence => Some(OfflineReason::KeepAliveTimeout),
            Self::CrashUnseen | Self::Reboot => Some(OfflineReason::ConnectionLost),
            Self::AgentRestart => Some(OfflineReason::Shutdown),
            Self::Crash | Self::Stopped | Self::Hung | Self::Degraded => None,
        }
    }

    /// Whether the agent measures on.
    pub(crate) fn measures(self) -> bool {
        !matches!(self, Self::Reboot | Self::AgentRestart | Self::Sleep | Self::Silence)
    }

    /// Whether OpenClaw answers, so that tokens are used.
    pub(crate) fn works(self) -> bool {
        matches!(self, Self::Network | Self::AgentRestart | Self::Silence | Self::Degraded)
    }

    pub(crate) fn gateway(self) -> GatewayState {
        match self {
            Self::Crash | Self::CrashUnseen | Self::Stopped | Self::Reboot => GatewayState::Stopped,
            Self::Hung => GatewayState::Hung,
            Self::Degraded => GatewayState::Degraded,
            Self::Network | Self::AgentRestart | Self::Sleep | Self::Silence => GatewayState::Running,
        }
    }
}

/// A trouble, from when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incident {
    pub(crate) from: i64,
    /// `i64::MAX` while it lasts.
    pub(crate) to: i64,
    pub(crate) trouble: Trouble,
}

/// A span in which the server itself is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Down {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// It was killed, not stopped.
    pub(crate) crashed: bool,
}

/// When the server is down in a past of so many days.
pub(crate) fn downs(end: i64, days: i64) -> Vec<Down> {
    let all = [
        (17 * DAY + 5 * HOUR, 11 * MINUTE, false),
        (6 * DAY + 9 * HOUR, 48 * MINUTE, true),
        (30 * HOUR, 4 * MINUTE, false),
    ];
    let within = all.into_iter().filter(|(ago, _, _)| *ago < days * DAY - DAY);
    within.map(|(ago, long, crashed)| Down { from: end - ago, to: end - ago + long, crashed }).collect()
}

/// A machine's past, and its present.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) born: i64,
    /// In order; none overlaps another.
    pub(crate) incidents: Vec<Incident>,
    /// From when which version runs, in order.
    pub(crate) versions: Vec<(i64, &'static str)>,
    seed: u64,
}

impl Life {
    pub(crate) fn new(machine: &Machine, number: usize, end: i64, days: i64) -> Self {
        let seed = hash(machine.seed, 2);
        let mut dice = Dice::new(seed, 0);
        let start = end - days * DAY;
        let born = if machine.end == End::Never {
            end - (2 * DAY).min(days * DAY / 2)
        } else if number % 7 == 6 && days > 8 {
            // Not all were there from the first day on.
            start + dice.between(DAY, days * DAY - 7 * DAY)
        } else {
            start + i64::try_from(number).unwrap_or(0) * MINUTE
        };
        let mut life = Self { born, incidents: Vec::new(), versions: Vec::new(), seed };
        if machine.end == End::Never {
            return life;
        }
        life.at_the_end(machine.end, end);
        for down in downs(end, days) {
            // Nothing else happens around a failure of the server: each is told apart from the other.
            life.add(Trouble::Network, down.from - 10 * MINUTE, down.to + 15 * MINUTE, end);
        }
        let reserved = life.incidents.clone();
        life.by_chance(machine, &mut dice, end);
        let around_downs =
            |incident: &Incident| downs(end, days).iter().any(|d| incident.from == d.from - 10 * MINUTE);
        life.incidents.retain(|incident| !(reserved.contains(incident) && around_downs(incident)));
        life.incidents.sort_by_key(|incident| incident.from);
        life.grow_up(machine, &mut dice, end);
        life
    }

    /// Adds an incident unless another is near.
    fn add(&mut self, trouble: Trouble, from: i64, to: i64, end: i64) {
        let near = 4 * MINUTE;
        let free = self
            .incidents
            .iter()
            .all(|other| to.saturating_add(near) < other.from || from > other.to.saturating_add(near));
        let ended = to == i64::MAX || to < end - 20 * MINUTE;
        if free && from > self.born + HOUR && ended {
            self.incidents.push(Incident { from, to, trouble });
        }
    }

    fn at_the_end(&mut self, end_as: End, end: i64) {
        let mut last = |trouble, minutes: i64| {
            self.incidents.push(Incident { from: end - minutes * MINUTE, to: i64::MAX, trouble });
        };
        match end_as {
            End::Crashed => {
                last(Trouble::Crash, 6);
                for minutes in [9, 12, 15, 18] {
                    let from = end - minutes * MINUTE;
                    self.incidents.push(Incident { from, to: from + 40_000, trouble: Trouble::Crash });
                }
            }
            End::Stopped => last(Trouble::Stopped, 12),
            End::Hung => last(Trouble::Hung, 9),
            End::Unreachable => last(Trouble::Network, 14),
            End::Rebooting => last(Trouble::Reboot, 2),
            End::Degraded => last(Trouble::Degraded, 21),
            End::Hot => last(Trouble::Degraded, 97),
            End::Asleep => last(Trouble::Sleep, 112),
            End::Well | End::RestartDue | End::Never => {}
        }
    }

    fn by_chance(&mut self, machine: &Machine, dice: &mut Dice, end: i64) {
        let mut day = self.born;
        while day < end {
            let some = |life: &mut Self, dice: &mut Dice, share: f64, trouble, low: i64, high: i64| {
                if dice.chance(share) {
                    let from = day + dice.between(0, DAY) / 1000 * 1000;
                    life.add(trouble, from, from + dice.mostly_short(low, high) / 1000 * 1000, end);
                }
            };
            let mut network = machine.flaky;
            while network > 0.0 {
                some(self, dice, network.min(1.0), Trouble::Network, 40_000, 3 * HOUR);
                network -= 1.0;
            }
            some(self, dice, 0.035, Trouble::Reboot, 70_000, 6 * MINUTE);
            some(self, dice, 0.05, Trouble::AgentRestart, 4_000, 90_000);
            some(self, dice, 0.06, Trouble::Crash, 15_000, 8 * MINUTE);
            some(self, dice, 0.015, Trouble::CrashUnseen, 3 * MINUTE, 25 * MINUTE);
            some(self, dice, 0.012, Trouble::Silence, 3 * MINUTE, HOUR);
            some(self, dice, 0.03, Trouble::Hung, 2 * MINUTE, 40 * MINUTE);
            some(self, dice, 0.05, Trouble::Degraded, 4 * MINUTE, 5 * HOUR);
            some(self, dice, 0.02, Trouble::Stopped, 2 * MINUTE, HOUR);
            if machine.laptop {
                let night = day.div_euclid(DAY) * DAY
                    + (22 - machine.zone_h) * HOUR
                    + dice.between(0, 2 * HOUR) / 1000 * 1000;
                self.add(
                    Trouble::Sleep,
                    night,
                    night + 8 * HOUR + dice.between(0, 2 * HOUR) / 1000 * 1000,
                    end,
                );
            }
            day += DAY;
        }
    }

    fn grow_up(&mut self, machine: &Machine, dice: &mut Dice, end: i64) {
        let last = RELEASES.iter().position(|(version, _)| *version == machine.version).unwrap_or(0);
        for (version, days_ago) in RELEASES.into_iter().take(last + 1) {
            // The first ones do it at once, the others wait and see.
            let wait = dice.mostly_short(HOUR, 30 * HOUR) / 1000 * 1000;
            self.versions.push(((end - days_ago * DAY + wait).max(self.born), version));
        }
        self.versions.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
    }

    /// What is wrong at a moment.
    pub(crate) fn incident(&self, at: i64) -> Option<&Incident> {
        let next = self.incidents.partition_point(|incident| incident.from <= at);
        self.incidents.get(next.checked_sub(1)?).filter(|incident| at < incident.to)
    }

    pub(crate) fn connected(&self, at: i64) -> bool {
        self.incident(at).is_none_or(|incident| incident.trouble.reason().is_none())
    }

    pub(crate) fn measures(&self, at: i64) -> bool {
        self.incident(at).is_none_or(|incident| incident.trouble.measures())
    }

    pub(crate) fn works(&self, at: i64) -> bool {
        self.incident(at).is_none_or(|incident| incident.trouble.works())
    }

    pub(crate) fn version(&self, at: i64) -> &'static str {
        let next = self.versions.partition_point(|(from, _)| *from <= at);
        next.checked_sub(1).and_then(|n| self.versions.get(n)).map_or(RELEASES[0].0, |(_, version)| version)
    }

    /// What is on its disk, which may be newer than what runs.
    pub(crate) fn installed(&self, machine: &Machine, at: i64, end: i64) -> &'static str {
        if machine.end == End::RestartDue && at > end - 13 * HOUR { NEWEST } else { self.version(at) }
    }

    fn reboots(&self, at: i64) -> impl Iterator<Item = &Incident> {
        self.incidents.iter().filter(move |i| i.trouble == Trouble::Reboot && i.to <= at)
    }

    /// When the host was started.
    pub(crate) fn booted_at(&self, at: i64) -> i64 {
        self.reboots(at).last().map_or(self.born - 9 * DAY, |incident| incident.to - 20_000)
    }

    /// When the gateway was started.
    pub(crate) fn gateway_at(&self, at: i64) -> i64 {
        let restarts = self.incidents.iter().filter(|i| i.to <= at && !i.trouble.works());
        let restarts = restarts.filter(|i| i.trouble != Trouble::Sleep).map(|i| i.to);
        let upgrades = self.versions.iter().map(|(from, _)| *from).filter(|from| *from <= at);
        restarts.chain(upgrades).max().unwrap_or(self.born - 2 * DAY)
    }

    pub(crate) fn boot(&self, at: i64) -> BootId {
        let part = |n: u64| hash(self.seed, n + self.reboots(at).count() as u64 * 7);
        let (a, b) = (part(11), part(12));
        BootId(format!(
            "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
            a >> 32,
            a & 0xffff,
            a >> 20 & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        ))
    }

    /// Starts and crashes of the gateway so far.
    pub(crate) fn boots(&self, at: i64) -> (u64, u64) {
        let ended = |crash: bool| {
            let of_kind = |t: Trouble| matches!(t, Trouble::Crash | Trouble::CrashUnseen) == crash;
            self.incidents.iter().filter(|i| i.from <= at && !i.trouble.works() && of_kind(i.trouble)).count()
                as u64
        };
        let upgrades = self.versions.iter().filter(|(from, _)| *from <= at).count() as u64;
        (ended(false) + ended(true) + upgrades, ended(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::machines;

    #[test]
    fn a_life_is_in_order_and_the_same_each_time() {
        let end = 1_800_000_000_000;
        for (n, machine) in machines(60, 7, true).iter().enumerate() {
            let life = Life::new(machine, n, end, 40);
            assert!(life.incidents.windows(2).all(|pair| pair[0].to < pair[1].from), "{}", machine.name);
            assert!(life.versions.windows(2).all(|pair| pair[0].0 < pair[1].0), "{:?}", life.versions);
            assert_eq!(life.incidents, Life::new(machine, n, end, 40).incidents);
            let quiet = |down: &Down| life.incident(down.from).is_none() || life.incident(down.to).is_none();
            assert!(downs(end, 40).iter().all(|down| machine.laptop || quiet(down)), "{}", machine.name);
        }
    }
}
