//! What holds for all rules, told with a few of them.

use alerting::What::{Fired, Reminder, Resolved, Told, Worse};
use alerting::facts::Fact;
use protocol::{EventKind, GatewayState};
use serde_json::json;
use store::Severity::{Critical, Error, Warning};
use store::{Pause, PauseBody, PauseKind, Scope, Step, When};

use crate::common::*;

fn pause(kind: PauseKind, from: protocol::Timestamp, ms: i64) -> Pause {
    let when = When::Once { from, to: from.plus_millis(ms) };
    let body = PauseBody { scope: Scope::default(), rules: vec![], when, note: String::new() };
    Pause { no: 1, kind, body, made_by: "ann".to_owned(), made_at: from, rev: 1 }
}

#[test]
fn what_lasts_fires_after_its_time_and_is_over_after_its_clear_level() {
    let mut story = Story::new(&[rule(1, "memory")]);
    story.keep(0, 9 * MINUTE, |m| m.memory_pct = Some(85.0)).expect(&[]);
    // It dips: the time begins anew.
    story.keep(0, MINUTE, |m| m.memory_pct = Some(79.0)).expect(&[]);
    story.keep(0, 10 * MINUTE - SECOND, |m| m.memory_pct = Some(85.0)).expect(&[]);
    story.keep(0, 2 * SECOND, |m| m.memory_pct = Some(85.0)).expect(&[("memory", Fired, Warning)]);
    assert_eq!(story.last().telling.title.zh, "内存占用 85%");
    // Between the two levels it goes on.
    story.keep(0, 30 * MINUTE, |m| m.memory_pct = Some(77.0)).expect(&[]);
    // Graver by its second level, and not less grave at once.
    story.keep(0, MINUTE, |m| m.memory_pct = Some(93.0)).expect(&[("memory", Worse, Error)]);
    story.keep(0, MINUTE, |m| m.memory_pct = Some(88.0)).expect(&[]);
    assert_eq!(story.firing()[0].telling.severity, Error);
    story.keep(0, MINUTE, |m| m.memory_pct = Some(82.0)).expect(&[]);
    assert_eq!(story.firing()[0].telling.severity, Warning);
    // Over two minutes after it is below.
    story.keep(0, 2 * MINUTE - SECOND, |m| m.memory_pct = Some(60.0)).expect(&[]);
    story.keep(0, SECOND, |m| m.memory_pct = Some(60.0)).expect(&[("memory", Resolved, Warning)]);
    story.keep(0, 3 * HOUR, |m| m.memory_pct = Some(60.0)).expect(&[]);
}

#[test]
fn what_is_missing_neither_fires_nor_ends_anything() {
    let mut story = Story::new(&[rule(1, "cpu")]);
    story.keep(0, 9 * MINUTE, |m| m.cpu_pct = Some(99.0));
    story.keep(0, 30 * MINUTE, |m| m.cpu_pct = None).expect(&[]);
    story.keep(0, 9 * MINUTE, |m| m.cpu_pct = Some(99.0)).expect(&[]);
    story.keep(0, 2 * MINUTE, |m| m.cpu_pct = Some(99.0)).expect(&[("cpu", Fired, Error)]);
    // Away, it is not known: what fires goes on, and ends when it is known again.
    story.lose(0).pass(HOUR).expect(&[]);
    story.back(0);
    story.keep(0, 3 * MINUTE, |m| m.cpu_pct = Some(5.0)).expect(&[("cpu", Resolved, Error)]);
}

#[test]
fn an_offline_device_waits_as_long_as_it_usually_needs() {
    let mut story = Story::of(2, &[rule(1, "offline")]);
    story.lose(0).pass(15 * SECOND - 1).expect(&[]);
    story.pass(1).expect(&[("offline", Fired, Error)]);
    story.pass(30 * MINUTE).expect(&[("offline", Worse, Critical)]);
    story.back(0).expect(&[("offline", Resolved, Critical)]);
    // A bad line: away for four minutes every now and then.
    story.learn([Fact::Blips(id(1), 4 * MINUTE)]);
    story.lose(1).pass(6 * MINUTE - SECOND).expect(&[]);
    story.back(1).pass(HOUR).expect(&[]);
    story.lose(1).pass(6 * MINUTE).expect(&[("offline", Fired, Error)]);
    assert!(story.last().telling.detail.as_ref().unwrap().en.contains("6 min"), "{:?}", story.last());
}

#[test]
fn a_device_that_was_never_there_is_not_gone() {
    let mut story = Story::new(&[rule(1, "offline")]);
    story.change(0, |device| {
        device.online = None;
        device.measured = None;
    });
    story.pass(DAY).expect(&[]);
}

#[test]
fn what_comes_and_goes_is_one_alert_until_it_is_calm() {
    let mut story = Story::new(&[rule(1, "offline")]);
    for _ in 0..3 {
        story.lose(0).pass(20 * SECOND).expect(&[("offline", Fired, Error)]);
        story.back(0).expect(&[("offline", Resolved, Error)]);
        story.pass(MINUTE);
    }
    // The fourth time within the hour.
    story.lose(0).pass(20 * SECOND).expect(&[("offline", Fired, Error)]);
    assert!(story.last().flapping);
    for _ in 0..3 {
        story.back(0).pass(5 * MINUTE).lose(0).pass(MINUTE).expect(&[]);
    }
    story.back(0).pass(15 * MINUTE - 1);
    assert_eq!(story.firing().len(), 1);
    story.pass(1);
    assert_eq!(story.firing(), []);
    // After a calm hour it is an ordinary one again.
    story.pass(HOUR).lose(0).pass(20 * SECOND);
    assert!(!story.last().flapping);
}

#[test]
fn a_host_that_is_gone_explains_what_else_is_wrong_with_it() {
    let rules = [rule(1, "offline"), rule(2, "gateway_down"), rule(3, "channel_down"), rule(4, "memory")];
    let mut story = Story::new(&rules);
    story.keep(0, 11 * MINUTE, |m| m.memory_pct = Some(85.0)).expect(&[("memory", Fired, Warning)]);
    story.gateway(0, |g| g.state = GatewayState::Stopped);
    story.lose(0).pass(5 * MINUTE).expect(&[("offline", Fired, Error)]);
    let memory = story.firing().into_iter().find(|alert| alert.kind == "memory").unwrap();
    assert_eq!(memory.hidden_by, Some(key(1, 0)));
    // Back, and the gateway is still down: now that is what is wrong.
    story.back(0).expect(&[("offline", Resolved, Error)]);
    story.pass(30 * SECOND).expect(&[("gateway_down", Fired, Critical)]);
}

#[test]
fn a_crash_is_told_at_once_and_the_gateway_that_stays_down_explains_it() {
    let mut story = Story::new(&[rule(1, "gateway_crash"), rule(2, "gateway_down")]);
    story.happens(0, EventKind::GatewayCrashed).expect(&[("gateway_crash", Fired, Error)]);
    assert!(story.last().telling.detail.as_ref().unwrap().en.contains("signal 9"));
    story.gateway(0, |g| g.state = GatewayState::Stopped).pass(30 * SECOND).expect(&[(
        "gateway_down",
        Fired,
        Critical,
    )]);
    let crash = story.firing().into_iter().find(|alert| alert.kind == "gateway_crash").unwrap();
    assert_eq!(crash.hidden_by, Some(key(2, 0)));
    story.gateway(0, |g| g.state = GatewayState::Running).expect(&[("gateway_down", Resolved, Critical)]);
    story.pass(10 * MINUTE).expect(&[("gateway_crash", Resolved, Error)]);
}

#[test]
fn what_happened_long_before_it_was_told_never_fires_unless_it_is_asked_for() {
    let late = NOON.plus_millis(-2 * HOUR);
    let mut story = Story::new(&[rule(1, "gateway_crash"), rule(2, "crash_loop")]);
    for n in 0..9 {
        story.happened(0, EventKind::GatewayCrashed, late.plus_millis(n * SECOND));
    }
    story.pass(DAY).expect(&[]);
    let mut asked = rule(1, "gateway_crash");
    asked.body.late = true;
    let mut story = Story::new(&[asked]);
    story.happened(0, EventKind::GatewayCrashed, late).expect(&[("gateway_crash", Fired, Error)]);
    // Measurements that come late are no present at all: they are not told as such.
    let mut story = Story::new(&[rule(1, "error_burst")]);
    let error = alerting::facts::ErrorTold {
        at: late,
        received_at: NOON,
        fingerprint: "a".to_owned(),
        message: "boom".to_owned(),
        count: 1_000,
        first: false,
    };
    story.learn([Fact::Error(id(0), error)]);
    story.pass(HOUR).expect(&[]);
}

#[test]
fn a_clock_that_is_set_makes_nothing_last_longer() {
    for by in [5 * HOUR, -5 * HOUR] {
        let mut story = Story::new(&[rule(1, "offline"), rule(2, "cpu")]);
        story.keep(0, 5 * MINUTE, |m| m.cpu_pct = Some(99.0)).expect(&[]);
        story.now = story.now.plus_millis(by);
        story.learn([Fact::ClockStepped(by)]);
        story.keep(0, 4 * MINUTE, |m| m.cpu_pct = Some(99.0)).expect(&[]);
        story.keep(0, 2 * MINUTE, |m| m.cpu_pct = Some(99.0)).expect(&[("cpu", Fired, Error)]);
        // A device that was lost before the step, by the clock of before.
        story.lose(0);
        let since = story.now.plus_millis(-by);
        story.change(0, |device| device.since = since);
        story.pass(10 * SECOND);
        story.now = story.now.plus_millis(by);
        story.learn([Fact::ClockStepped(by)]);
        story.pass(5 * SECOND - 1).expect(&[]);
        story.pass(11 * SECOND).expect(&[("offline", Fired, Error)]);
        story.back(0).expect(&[("offline", Resolved, Error)]);
    }
}

#[test]
fn a_restart_in_the_middle_repeats_nothing_and_loses_nothing() {
    let rules = [rule(1, "offline"), rule(2, "cpu"), rule(3, "gateway_crash")];
    let mut story = Story::of(2, &rules);
    story.lose(0).pass(MINUTE).expect(&[("offline", Fired, Error)]);
    story.keep(1, 9 * MINUTE, |m| m.cpu_pct = Some(85.0));
    story.happens(1, EventKind::GatewayCrashed).expect(&[("gateway_crash", Fired, Error)]);
    // A short one: what was about to fire keeps its time.
    story.restart(30 * SECOND).expect(&[]);
    story.keep(1, 31 * SECOND, |m| m.cpu_pct = Some(85.0)).expect(&[("cpu", Fired, Warning)]);
    // A long one: what fires goes on, and its escalation comes when it is due.
    story.restart(25 * MINUTE).expect(&[("gateway_crash", Resolved, Error), ("offline", Worse, Critical)]);
    story.back(0).expect(&[("offline", Resolved, Critical)]);
    story.keep(1, 3 * MINUTE, |m| m.cpu_pct = Some(5.0)).expect(&[("cpu", Resolved, Warning)]);
}

#[test]
fn what_was_about_to_fire_begins_anew_after_the_server_was_down() {
    let mut story = Story::new(&[rule(1, "offline"), rule(2, "memory")]);
    story.keep(0, 9 * MINUTE, |m| m.memory_pct = Some(95.0));
    story.lose(0).pass(10 * SECOND);
    // For all of that time nobody knows whether it was there.
    story.restart(2 * HOUR).expect(&[]);
    story.pass(14 * SECOND).expect(&[]);
    story.pass(SECOND).expect(&[("offline", Fired, Error)]);
    story.back(0).expect(&[("offline", Resolved, Error)]);
    story.keep(0, 9 * MINUTE, |m| m.memory_pct = Some(95.0)).expect(&[]);
}

#[test]
fn in_maintenance_nothing_fires_and_what_is_still_so_fires_after_it() {
    let mut story = Story::new(&[rule(1, "offline")]);
    story.pause(pause(PauseKind::Maintenance, NOON, HOUR));
    story.lose(0).pass(10 * MINUTE).back(0).pass(10 * MINUTE).lose(0).pass(39 * MINUTE).expect(&[]);
    // It is away for forty minutes by then: as grave as its rule says of that.
    story.pass(2 * MINUTE).expect(&[("offline", Fired, Critical)]);
}

#[test]
fn in_silence_alerts_fire_and_are_told_when_it_is_over() {
    let mut story = Story::of(2, &[rule(1, "offline")]);
    story.pause(pause(PauseKind::Silence, NOON, HOUR));
    story.lose(0).lose(1).pass(MINUTE).expect(&[("offline", Fired, Error), ("offline", Fired, Error)]);
    assert!(story.told.iter().all(|step| !step.tell));
    story.back(1).expect(&[("offline", Resolved, Error)]);
    assert!(!story.last().tell, "what nobody heard of need not be taken back");
    story.pass(20 * MINUTE).expect(&[]);
    story.pass(HOUR).expect(&[("offline", Worse, Critical), ("offline", Told, Critical)]);
    assert!(story.last().tell);
    story.back(0);
    assert!(story.last().tell);
}

#[test]
fn reminders_come_until_somebody_takes_note() {
    let mut reminded = rule(1, "gateway_hung");
    reminded.body.remind_s = Some(600);
    reminded.body.steps = vec![];
    let mut story = Story::new(&[reminded]);
    story.gateway(0, |g| g.state = GatewayState::Hung).pass(MINUTE).expect(&[("gateway_hung", Fired, Error)]);
    story.pass(20 * MINUTE).expect(&[("gateway_hung", Reminder, Error), ("gateway_hung", Reminder, Error)]);
    let known = key(1, 0).to_string();
    story.learn([Fact::Acknowledged(vec![known])]);
    story.pass(HOUR).expect(&[]);
    story.learn([Fact::Acknowledged(vec![])]);
    story.gateway(0, |_| {}).expect(&[("gateway_hung", Reminder, Error)]);
}

#[test]
fn a_rule_that_is_changed_or_goes_ends_what_it_does_not_mean_any_more() {
    let mut story = Story::of(2, &[rule(1, "offline"), rule(2, "gateway_hung")]);
    story.lose(0);
    story.gateway(1, |g| g.state = GatewayState::Hung).pass(MINUTE);
    story.expect(&[("offline", Fired, Error), ("gateway_hung", Fired, Error)]);
    story.rules[0].body.scope = Scope { devices: vec![id(1)], tags: vec![] };
    story.take_rules().expect(&[("offline", Resolved, Error)]);
    story.rules[1].enabled = false;
    story.take_rules().expect(&[("gateway_hung", Resolved, Error)]);
    // And begins what it means now.
    story.rules[1].enabled = true;
    story.rules[1].body.severity = Critical;
    story.rules[1].body.steps = vec![];
    story.take_rules().pass(MINUTE).expect(&[("gateway_hung", Fired, Critical)]);
    story.learn([Fact::Removed(id(1))]);
    story.expect(&[("gateway_hung", Resolved, Critical)]);
}

#[test]
fn of_each_disk_there_is_an_alert_of_its_own() {
    let mut story = Story::new(&[rule(1, "disk")]);
    let disks = |root: f64, data: f64| {
        move |m: &mut alerting::facts::Measured| {
            m.disks = vec![("/".to_owned(), root), ("/data".to_owned(), data)];
        }
    };
    story.keep(0, 6 * MINUTE, disks(85.0, 95.0)).expect(&[("disk", Fired, Warning), ("disk", Fired, Error)]);
    assert_eq!(story.last().telling.title.en, "Disk /data at 95%");
    story.keep(0, 6 * MINUTE, disks(85.0, 20.0)).expect(&[("disk", Resolved, Error)]);
    // A disk that is taken away is not full any more.
    story
        .keep(0, 6 * MINUTE, |m| m.disks = vec![("/data".to_owned(), 20.0)])
        .expect(&[("disk", Resolved, Warning)]);
}

#[test]
fn a_step_may_come_by_time() {
    let mut slow = with(rule(1, "cpu"), &[("level", json!(90)), ("clear", json!(85))]);
    slow.body.steps = vec![Step { severity: Critical, level: None, after_s: Some(1_800) }];
    let mut story = Story::new(&[slow]);
    story.keep(0, 11 * MINUTE, |m| m.cpu_pct = Some(95.0)).expect(&[("cpu", Fired, Warning)]);
    // Half an hour after it began to be so, and that was ten minutes before it fired.
    story.keep(0, 18 * MINUTE, |m| m.cpu_pct = Some(95.0)).expect(&[]);
    story.keep(0, 2 * MINUTE, |m| m.cpu_pct = Some(95.0)).expect(&[("cpu", Worse, Critical)]);
}

#[test]
fn a_new_finding_is_told_also_when_another_is_mended() {
    let mut story = Story::new(&[rule(1, "security_finding")]);
    let found = |checks: &[&str]| {
        let finding = |check: &&str| alerting::facts::Finding {
            check: (*check).to_owned(),
            critical: true,
            title: format!("{check} is open"),
        };
        Fact::Findings(id(0), checks.iter().map(finding).collect())
    };
    story.learn([found(&["a", "b"])]);
    story.expect(&[("security_finding", Fired, Error)]);
    story.learn([found(&["b"])]);
    story.expect(&[]);
    story.learn([found(&["b", "c"])]);
    story.expect(&[("security_finding", Worse, Error)]);
    assert!(story.last().telling.detail.as_ref().unwrap().en.contains("c is open"));
    story.learn([found(&[])]);
    story.expect(&[("security_finding", Resolved, Error)]);
}
