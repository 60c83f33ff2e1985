//! What a gateway does, judged from what was seen of it.

use protocol::GatewayState;

use super::http::{Answers, Reach};

/// How long a gateway must be silent before it counts as hung, in milliseconds.
const HUNG_AFTER: i64 = 10_000;
/// And how often it must not have answered: a clock that jumps is no proof.
const HUNG_PROBES: u32 = 3;
/// How long a gateway may take to open its port.
const START_PATIENCE: i64 = 180_000;
/// How long one that starts may be silent: while it loads its parts, it answers nobody, and a small board takes its time.
const START_SILENCE: i64 = 60_000;
/// How long a gateway may take to end after it closed its port: what its service allows, and a little.
const STOP_PATIENCE: i64 = 345_000;
/// How old the sign of life in its database may be, which it renews every 30 s.
pub(super) const LEASE_PATIENCE: i64 = 95_000;

/// Whether the process was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    There,
    Gone,
    Unknown,
}

/// What was seen of a gateway at one look.
#[derive(Debug, Clone)]
pub(crate) struct Observation<'a> {
    /// What it was judged to be at the look before.
    pub(crate) before: GatewayState,
    /// Its process.
    pub(crate) process: Seen,
    /// How long that process is there.
    pub(crate) process_age_ms: Option<i64>,
    /// Whether that process has ever answered.
    pub(crate) has_answered: bool,
    /// What its port said.
    pub(crate) reach: &'a Reach,
    /// For how long the port has said nothing, or refused: since the first such look in a row.
    pub(crate) unreached_ms: i64,
    /// And how often in a row.
    pub(crate) unreached_probes: u32,
    /// Age of the sign of life in its database.
    pub(crate) lease_age_ms: Option<i64>,
    /// What else is known to fail, such as `channel:telegram`.
    pub(crate) also_failing: &'a [String],
}

/// The state, and what fails or is waited for.
pub(crate) fn judge(seen: &Observation<'_>) -> (GatewayState, Vec<String>) {
    match seen.reach {
        Reach::Answered(answers) => answered(answers, seen.also_failing),
        // Somebody else's open port says nothing of a gateway that is not there.
        Reach::Silent if seen.process == Seen::Gone => (GatewayState::Stopped, Vec::new()),
        Reach::Silent => (silent(seen), Vec::new()),
        Reach::Refused | Reach::Foreign => (refused(seen), Vec::new()),
    }
}

fn answered(answers: &Answers, also_failing: &[String]) -> (GatewayState, Vec<String>) {
    let mut failing: Vec<String> = Vec::new();
    let mut add = |text: &String| {
        if !failing.contains(text) {
            failing.push(text.clone());
        }
    };
    let status = answers.startup.as_ref().map_or("", |startup| startup.status.as_str());
    if let Some(ready) = &answers.ready {
        ready.failing.iter().for_each(&mut add);
    }
    if let Some(pending) = answers.startup.as_ref().and_then(|startup| startup.pending.as_ref()) {
        add(pending);
    }
    let says = |word: &str| failing.iter().any(|text| text == word);
    if status == "draining" || says("gateway-draining") {
        return (GatewayState::Draining, failing);
    }
    let ready = answers.ready.as_ref().map_or(answers.live, |ready| ready.all_well);
    let only_starting = !failing.is_empty() && failing.iter().all(|text| text.starts_with("startup"));
    if !ready && (status == "starting" || only_starting) {
        return (GatewayState::Starting, failing);
    }
    for text in also_failing {
        // It says so itself after some minutes, with the channel's name alone.
        let own_word = text.strip_prefix("channel:").unwrap_or(text);
        if !failing.iter().any(|said| said == text || said == own_word) {
            failing.push(text.clone());
        }
    }
    let well = ready && failing.is_empty();
    (if well { GatewayState::Running } else { GatewayState::Degraded }, failing)
}

/// The port is open, and nothing comes out of it.
fn silent(seen: &Observation<'_>) -> GatewayState {
    let loads = seen.before == GatewayState::Starting
        && seen.process_age_ms.is_some_and(|age| (0..START_SILENCE).contains(&age));
    if !loads && seen.unreached_ms >= HUNG_AFTER && seen.unreached_probes >= HUNG_PROBES {
        return GatewayState::Hung;
    }
    match seen.before {
        // A single slow answer says nothing; but that a port is open does.
        GatewayState::NotInstalled | GatewayState::Stopped | GatewayState::Unknown => {
            let old = seen.process_age_ms.is_some_and(|age| age > START_PATIENCE);
            if old { GatewayState::Unknown } else { GatewayState::Starting }
        }
        before => before,
    }
}

/// Nothing of OpenClaw listens on the port.
fn refused(seen: &Observation<'_>) -> GatewayState {
    let lease_is_fresh = seen.lease_age_ms.is_some_and(|age| age < LEASE_PATIENCE);
    match seen.process {
        // Its port cannot be reached from here either: what it writes is all there is.
        Seen::Unknown if lease_is_fresh => GatewayState::Running,
        Seen::Gone | Seen::Unknown => GatewayState::Stopped,
        Seen::There => {
            let old = seen.process_age_ms.is_some_and(|age| age > START_PATIENCE);
            if !seen.has_answered && !old {
                GatewayState::Starting
            } else if seen.unreached_ms < STOP_PATIENCE {
                // It closes its port first, and then waits for what it has begun.
                GatewayState::Draining
            } else {
                GatewayState::Hung
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::http::{parse_live, parse_ready, parse_startup};
    use super::*;

    const STATES: &str = include_str!("../../tests/fixtures/openclaw/http/other-states.txt");
    const READY: &str = include_str!("../../tests/fixtures/openclaw/http/readyz.ready.txt");
    const STARTED: &str = include_str!("../../tests/fixtures/openclaw/http/startupz.ready.txt");

    fn body(text: &str) -> &str {
        text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n")).unwrap().1
    }

    /// The answers that a line of the samples shows, with `...` taken out.
    fn sample(prefix: &str) -> Answers {
        let mut answers = Answers { live: true, ..Answers::default() };
        for line in STATES.lines().filter(|line| line.starts_with(prefix)) {
            let body = line.split_once('{').unwrap().1.replace(",...", "");
            let body =
                format!("{{{}", body.split(" and ").next().unwrap().split(" /healthz").next().unwrap());
            let body = &body[..=body.rfind('}').unwrap()];
            let body = &body[..body.find("}   GET").map_or(body.len(), |at| at + 1)];
            if line.contains("/readyz") {
                answers.ready = Some(parse_ready(body).unwrap_or_else(|| panic!("{body}")));
            } else {
                answers.startup = Some(parse_startup(body).unwrap_or_else(|| panic!("{body}")));
            }
        }
        answers
    }

    fn seen(reach: &Reach) -> Observation<'_> {
        Observation {
            before: GatewayState::Running,
            process: Seen::There,
            process_age_ms: Some(60_000),
            has_answered: true,
            reach,
            unreached_ms: 0,
            unreached_probes: 1,
            lease_age_ms: None,
            also_failing: &[],
        }
    }

    fn words(failing: &[String]) -> Vec<&str> {
        failing.iter().map(String::as_str).collect()
    }

    #[test]
    fn what_it_says_of_itself() {
        let check = |answers: Answers, also: &[&str], state: GatewayState, failing: &[&str]| {
            let also: Vec<_> = also.iter().map(|text| (*text).to_owned()).collect();
            let reach = Reach::Answered(answers);
            let (got, words_got) = judge(&Observation { also_failing: &also, ..seen(&reach) });
            assert_eq!((got, words(&words_got)), (state, failing.to_vec()));
        };
        let ready =
            || Answers { ready: parse_ready(body(READY)), startup: parse_startup(body(STARTED)), live: true };
        let failing = |text: &str| Answers { ready: parse_ready(text), ..ready() };
        check(ready(), &[], GatewayState::Running, &[]);
        check(sample("starting"), &[], GatewayState::Starting, &["startup-sidecars"]);
        check(sample("draining"), &[], GatewayState::Draining, &["gateway-draining"]);
        check(sample("2026.6.11"), &[], GatewayState::Running, &[]);
        check(ready(), &["channel:telegram"], GatewayState::Degraded, &["channel:telegram"]);
        check(
            failing(r#"{"ready":false,"failing":["agent-database:ops","plugin-reload"]}"#),
            &["channel:telegram"],
            GatewayState::Degraded,
            &["agent-database:ops", "plugin-reload", "channel:telegram"],
        );
        check(
            failing(r#"{"ready":false,"failing":["telegram"]}"#),
            &["channel:telegram", "crash-loop"],
            GatewayState::Degraded,
            &["telegram", "crash-loop"],
        );
        check(failing(r#"{"ready":false,"failing":[]}"#), &[], GatewayState::Degraded, &[]);
        check(failing(r#"{"ready":false}"#), &[], GatewayState::Degraded, &[]);
        // Only /healthz: an old one, or a caller it does not trust.
        check(
            Answers { live: parse_live(r#"{"ok":true,"status":"live"}"#), ..Answers::default() },
            &[],
            GatewayState::Running,
            &[],
        );
    }

    #[test]
    fn a_port_that_is_open_and_says_nothing() {
        let check = |before, unreached_ms, unreached_probes, expected| {
            let seen = Observation { before, unreached_ms, unreached_probes, ..seen(&Reach::Silent) };
            assert_eq!(judge(&seen), (expected, Vec::new()));
        };
        check(GatewayState::Running, 0, 1, GatewayState::Running);
        check(GatewayState::Degraded, 9_999, 3, GatewayState::Degraded);
        check(GatewayState::Running, 3_600_000, 2, GatewayState::Running);
        check(GatewayState::Running, 10_000, 3, GatewayState::Hung);
        check(GatewayState::Stopped, 2_000, 2, GatewayState::Starting);
        check(GatewayState::Hung, 20_000, 8, GatewayState::Hung);
        let loading = |process_age_ms| {
            let process_age_ms = Some(process_age_ms);
            let (before, unreached_ms, unreached_probes) = (GatewayState::Starting, 12_000, 4);
            let seen = Observation {
                before,
                process_age_ms,
                unreached_ms,
                unreached_probes,
                ..seen(&Reach::Silent)
            };
            judge(&seen).0
        };
        assert_eq!(loading(59_000), GatewayState::Starting);
        assert_eq!(loading(61_000), GatewayState::Hung);
        let old = Observation {
            before: GatewayState::NotInstalled,
            process_age_ms: Some(3_600_000),
            ..seen(&Reach::Silent)
        };
        assert_eq!(judge(&old).0, GatewayState::Unknown, "the agent has just come");
        let gone = Observation { process: Seen::Gone, ..old };
        assert_eq!(judge(&gone).0, GatewayState::Stopped, "whose port it is, is another question");
    }

    #[test]
    fn a_port_where_nobody_listens() {
        let check = |seen: Observation<'_>, expected| assert_eq!(judge(&seen).0, expected, "{seen:?}");
        for reach in [&Reach::Refused, &Reach::Foreign] {
            let seen = || seen(reach);
            check(Observation { process: Seen::Gone, ..seen() }, GatewayState::Stopped);
            check(Observation { has_answered: false, ..seen() }, GatewayState::Starting);
            check(
                Observation { has_answered: false, process_age_ms: Some(200_000), ..seen() },
                GatewayState::Draining,
            );
            check(seen(), GatewayState::Draining);
            check(Observation { unreached_ms: 325_000, ..seen() }, GatewayState::Draining);
            check(Observation { unreached_ms: 350_000, ..seen() }, GatewayState::Hung);
            let unseen = || Observation { process: Seen::Unknown, ..seen() };
            check(unseen(), GatewayState::Stopped);
            check(Observation { lease_age_ms: Some(31_000), ..unseen() }, GatewayState::Running);
            check(Observation { lease_age_ms: Some(100_000), ..unseen() }, GatewayState::Stopped);
        }
    }
}
