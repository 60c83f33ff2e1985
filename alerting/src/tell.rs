//! Who is told what of a step in the life of an alert, and when: a function of values.

use protocol::Timestamp;
use sha2::{Digest as _, Sha256};
use store::{AlertDeed, AlertWrite, AlertingSettings, Channel, NewDelivery, Rule, Severity, Zone};

use crate::engine::{Transition, What};
use crate::{Notification, Occasion, Subject, channels};

/// Why a delivery waits, as it stands in the log.
const QUIET: &str = "quiet";
/// Bytes of a hash that tell deliveries apart.
const ID_BYTES: usize = 16;

/// What is known of those who may be told.
pub(crate) struct Whom<'a> {
    pub(crate) channels: &'a [Channel],
    pub(crate) settings: &'a AlertingSettings,
    pub(crate) zone: &'a Zone,
}

fn occasion(what: What) -> Occasion {
    match what {
        What::Fired | What::Told => Occasion::Fired,
        What::Worse => Occasion::Worse,
        What::Changed => Occasion::Changed,
        What::Reminder => Occasion::Reminder,
        What::Resolved => Occasion::Resolved,
    }
}

/// What is told of a step.
pub(crate) fn notification(
    step: &Transition,
    device: Option<Subject>,
    settings: &AlertingSettings,
) -> Notification {
    let url = settings.url.trim_end_matches('/');
    let url = (!url.is_empty()).then(|| match step.key.device {
        Some(id) => format!("{url}/devices/{id}"),
        None => format!("{url}/alerts"),
    });
    Notification {
        id: String::new(),
        occasion: occasion(step.what),
        at: step.at,
        alert: None,
        // Of a rule that is gone nothing is known any more.
        rule: (!step.kind.is_empty()).then(|| step.kind.to_owned()),
        severity: step.telling.severity,
        title: step.telling.title.clone(),
        detail: step.telling.detail.clone(),
        device,
        devices: (!step.members.is_empty()).then(|| u32::try_from(step.members.len()).unwrap_or(u32::MAX)),
        fired_at: Some(step.fired_at),
        resolved_at: (step.what == What::Resolved).then_some(step.at),
        url,
    }
}

/// The id of a notification to a channel: the same however often this step is worked out.
fn id(step: &Transition, channel: &str) -> String {
    let mut hash = Sha256::new();
    let parts = [
        step.key.to_string(),
        step.fired_at.0.to_string(),
        format!("{:?}", step.what),
        step.at.0.to_string(),
    ];
    for part in parts.iter().map(String::as_str).chain([channel]) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    hash.finalize().iter().take(ID_BYTES).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether a channel takes what a rule says. One that fails is not told that it does. Where all channels that a rule names are
/// gone the others are told: better those than nobody.
fn takes(channel: &Channel, rule: Option<&Rule>, step: &Transition, all: &[Channel]) -> bool {
    let there = |ids: &&Vec<String>| ids.is_empty() || all.iter().any(|one| ids.contains(&one.id));
    let named = rule.and_then(|rule| rule.body.channels.as_ref()).filter(there);
    let asked = named.map_or(channel.body.takes_all, |ids| ids.contains(&channel.id));
    let itself = step.kind == "channel_failing" && step.key.subject == channel.id;
    let severity = if step.what == What::Resolved { step.gravest } else { step.telling.severity };
    channel.enabled && asked && !itself && severity <= channel.body.least
}

/// Until when a step waits for a channel.
fn held_until(
    channel: &Channel,
    rule: Option<&Rule>,
    severity: Severity,
    whom: &Whom<'_>,
    now: Timestamp,
) -> Option<Timestamp> {
    let quiet = whom.settings.quiet.as_ref()?;
    let waits = rule.is_none_or(|rule| rule.body.quiet) && !channel.body.always && severity > quiet.passes;
    if waits { quiet.last_until(whom.zone, now) } else { None }
}

/// What is written of a step, and who is told.
pub(crate) fn write(
    step: &Transition,
    rule: Option<&Rule>,
    device: Option<Subject>,
    whom: &Whom<'_>,
    now: Timestamp,
) -> AlertWrite {
    let (telling, members) = (step.telling.clone(), step.members.clone());
    let deed = match step.what {
        What::Fired => AlertDeed::Fire {
            rule_no: step.key.rule,
            rule: step.kind.to_owned(),
            device: step.key.device,
            subject: step.key.subject.clone(),
            telling,
            members,
            at: step.fired_at,
            flapping: step.flapping,
        },
        What::Resolved => AlertDeed::Resolve { at: step.at, telling, members },
        What::Worse | What::Changed | What::Reminder | What::Told => AlertDeed::Update {
            telling,
            members,
            flapping: step.flapping,
            hidden_by: step.hidden_by.as_ref().map(ToString::to_string),
        },
    };
    let silent_end = step.what == What::Resolved && rule.is_some_and(|rule| !rule.body.tell_resolved);
    let told = notification(step, device, whom.settings);
    let tell = |channel: &Channel| {
        let kind = channels::kind(&channel.kind);
        let (edits, must_end) = (kind.is_some_and(|kind| kind.edits), kind.is_some_and(|kind| kind.must_end));
        // Whoever changes what was sent is told of every change, all others of what is news. What must be ended is.
        if (step.what == What::Changed && !edits) || (silent_end && !edits && !must_end) {
            return None;
        }
        let until = held_until(channel, rule, step.telling.severity, whom, now);
        let own = Notification { id: id(step, &channel.id), ..told.clone() };
        Some(NewDelivery {
            id: own.id.clone(),
            channel: channel.id.clone(),
            occasion: own.occasion.as_str(),
            body: serde_json::to_string(&own).unwrap_or_default(),
            due_at: until.unwrap_or(now),
            held: until.map(|_| QUIET),
        })
    };
    let tell: Vec<NewDelivery> = if step.tell {
        whom.channels
            .iter()
            .filter(|channel| takes(channel, rule, step, whom.channels))
            .filter_map(tell)
            .collect()
    } else {
        vec![]
    };
    AlertWrite { key: step.key.to_string(), deed, tell }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Key;
    use store::{ChannelBody, QuietHours, Said, Telling, TimeOfDay};

    fn channel(id: &str, kind: &str, least: Severity) -> Channel {
        let body = ChannelBody {
            settings: std::collections::BTreeMap::new(),
            language: "en".to_owned(),
            least,
            takes_all: true,
            always: false,
        };
        Channel {
            id: id.to_owned(),
            kind: kind.to_owned(),
            name: id.to_owned(),
            enabled: true,
            body,
            secrets: vec![],
            made_at: Timestamp(0),
            rev: 1,
        }
    }

    fn step(what: What, severity: Severity) -> Transition {
        let said = Said { en: "Offline".to_owned(), zh: "离线".to_owned() };
        Transition {
            key: Key { rule: 1, device: None, subject: String::new() },
            kind: "offline",
            what,
            telling: Telling { severity, title: said, detail: None },
            members: vec![],
            fired_at: Timestamp(1),
            at: Timestamp(2),
            flapping: false,
            hidden_by: None,
            tell: true,
            gravest: severity,
        }
    }

    fn told(
        step: &Transition,
        rule: Option<&Rule>,
        channels: &[Channel],
        settings: &AlertingSettings,
    ) -> Vec<String> {
        // A little after four in the morning.
        let now = Timestamp(1_795_147_200_000);
        let whom = Whom { channels, settings, zone: &Zone::utc() };
        let write = write(step, rule, None, &whom, now);
        write
            .tell
            .iter()
            .map(|d| format!("{} {}{}", d.channel, d.occasion, if d.due_at > now { " later" } else { "" }))
            .collect()
    }

    #[test]
    fn each_channel_is_told_what_it_takes() {
        let none = AlertingSettings::default();
        let channels = [
            channel("grave", "webhook", Severity::Error),
            channel("all", "webhook", Severity::Info),
            channel("chat", "telegram", Severity::Info),
        ];
        let check = |what, severity, expected: &[&str]| {
            assert_eq!(
                told(&step(what, severity), None, &channels, &none),
                expected,
                "{what:?} {severity:?}"
            );
        };
        check(What::Fired, Severity::Critical, &["grave fired", "all fired", "chat fired"]);
        check(What::Fired, Severity::Warning, &["all fired", "chat fired"]);
        check(What::Changed, Severity::Critical, &["chat changed"]);
        check(What::Told, Severity::Info, &["all fired", "chat fired"]);
        let silent = Transition { tell: false, ..step(What::Fired, Severity::Critical) };
        assert_eq!(told(&silent, None, &channels, &none), Vec::<String>::new());
        // Who was told when it was grave is told that it is over, also when it is not grave any more.
        let eased = Transition { gravest: Severity::Error, ..step(What::Resolved, Severity::Warning) };
        assert_eq!(told(&eased, None, &channels, &none), ["grave resolved", "all resolved", "chat resolved"]);
        // A rule that names channels, and one whose end is no news.
        let kind = crate::kinds::kind("offline").unwrap();
        let mut rule = Rule { no: 1, kind: "offline".to_owned(), enabled: true, body: kind.body(), rev: 1 };
        rule.body.channels = Some(vec!["all".to_owned()]);
        assert_eq!(told(&step(What::Fired, Severity::Error), Some(&rule), &channels, &none), ["all fired"]);
        rule.body.channels = Some(vec!["gone".to_owned()]);
        let instead = ["grave fired", "all fired", "chat fired"];
        assert_eq!(told(&step(What::Fired, Severity::Error), Some(&rule), &channels, &none), instead);
        rule.body.channels = None;
        rule.body.tell_resolved = false;
        assert_eq!(
            told(&step(What::Resolved, Severity::Error), Some(&rule), &channels, &none),
            ["chat resolved"]
        );
        // What is kept open elsewhere is closed, and not told of every change.
        let pager = [channel("pager", "pagerduty", Severity::Info)];
        assert_eq!(
            told(&step(What::Changed, Severity::Error), Some(&rule), &pager, &none),
            Vec::<String>::new()
        );
        assert_eq!(
            told(&step(What::Resolved, Severity::Error), Some(&rule), &pager, &none),
            ["pager resolved"]
        );
        // A channel that fails is not told so itself.
        let failing = Transition {
            kind: "channel_failing",
            key: Key { rule: 1, device: None, subject: "all".to_owned() },
            ..step(What::Fired, Severity::Error)
        };
        assert_eq!(told(&failing, None, &channels, &none), ["grave fired", "chat fired"]);
    }

    #[test]
    fn at_night_only_what_is_grave_is_told_at_once() {
        let time = |text| TimeOfDay::parse(text).unwrap();
        let quiet = QuietHours { from: time("23:00"), to: time("08:00"), passes: Severity::Critical };
        let settings = AlertingSettings { quiet: Some(quiet), ..AlertingSettings::default() };
        let mut pager = channel("pager", "pagerduty", Severity::Info);
        pager.body.always = true;
        let channels = [channel("mail", "email", Severity::Info), pager];
        assert_eq!(
            told(&step(What::Fired, Severity::Critical), None, &channels, &settings),
            ["mail fired", "pager fired"]
        );
        assert_eq!(
            told(&step(What::Fired, Severity::Error), None, &channels, &settings),
            ["mail fired later", "pager fired"]
        );
    }

    #[test]
    fn the_same_step_has_the_same_id_for_ever_and_for_each_channel_its_own() {
        let (a, b) = (step(What::Fired, Severity::Error), step(What::Worse, Severity::Error));
        assert_eq!(id(&a, "x"), id(&a, "x"));
        assert_ne!(id(&a, "x"), id(&a, "y"));
        assert_ne!(id(&a, "x"), id(&b, "x"));
        assert_eq!(id(&a, "x").len(), 32);
    }
}
