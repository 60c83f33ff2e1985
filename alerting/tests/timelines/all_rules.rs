//! Each rule in its simplest story, as it is without a word: nothing, fired, over.

use std::collections::HashSet;

use alerting::What::{Fired, Resolved};
use alerting::facts::{Fact, Finding, ServerNow, Trend};
use alerting::kinds;
use protocol::{ClawChannel, Cron, CronJob, EventKind, GatewayExit, GatewayOutcome, GatewayState, Tasks};
use store::Severity;

use crate::common::*;

/// What makes a rule fire, and what ends it; each with how long it takes then.
struct Case {
    kind: &'static str,
    severity: Severity,
    so: fn(&mut Story),
    wait: i64,
    not: fn(&mut Story),
    calm: i64,
}

fn exit(outcome: GatewayOutcome) -> GatewayExit {
    GatewayExit { outcome, at: None, reason: None }
}

fn well(story: &mut Story) {
    story.gateway(0, |g| {
        let fresh = device(0, NOON);
        *g = fresh.measured.unwrap().claw.unwrap().gateways[0].clone();
    });
}

fn server(story: &mut Story, change: fn(&mut ServerNow)) {
    let mut now = ServerNow { version: "0.1.0".to_owned(), ..ServerNow::default() };
    change(&mut now);
    story.learn([Fact::Server(now)]);
}

fn nothing(_: &mut Story) {}

const CASES: &[Case] = &[
    Case {
        kind: "offline",
        severity: Severity::Error,
        so: |s| _ = s.lose(0),
        wait: 15 * SECOND,
        not: |s| _ = s.back(0),
        calm: 0,
    },
    Case {
        kind: "gateway_down",
        severity: Severity::Critical,
        so: |s| _ = s.gateway(0, |g| g.state = GatewayState::Stopped),
        wait: 30 * SECOND,
        not: well,
        calm: 0,
    },
    Case {
        kind: "gateway_hung",
        severity: Severity::Error,
        so: |s| _ = s.gateway(0, |g| g.state = GatewayState::Hung),
        wait: 30 * SECOND,
        not: well,
        calm: 0,
    },
    Case {
        kind: "gateway_stopped",
        severity: Severity::Warning,
        so: |s| {
            s.gateway(0, |g| {
                g.state = GatewayState::Stopped;
                g.last_exit = Some(exit(GatewayOutcome::CleanStop));
            });
        },
        wait: 15 * MINUTE,
        not: well,
        calm: 0,
    },
    Case {
        kind: "gateway_not_ready",
        severity: Severity::Warning,
        so: |s| {
            s.gateway(0, |g| {
                g.state = GatewayState::Degraded;
                g.failing = vec!["memory".to_owned()];
            });
        },
        wait: 10 * MINUTE,
        not: well,
        calm: 0,
    },
    Case {
        kind: "restart_needed",
        severity: Severity::Info,
        so: |s| _ = s.gateway(0, |g| g.installed_version = Some("2026.9.7".to_owned())),
        wait: DAY,
        not: well,
        calm: 0,
    },
    Case {
        kind: "gateway_crash",
        severity: Severity::Error,
        so: |s| _ = s.happens(0, EventKind::GatewayCrashed),
        wait: 0,
        not: nothing,
        calm: 10 * MINUTE,
    },
    Case {
        kind: "crash_loop",
        severity: Severity::Critical,
        so: |s| {
            for _ in 0..4 {
                s.happens(0, EventKind::GatewayCrashed).pass(MINUTE);
            }
            s.expect(&[]).happens(0, EventKind::GatewayStartFailed);
        },
        wait: 0,
        not: nothing,
        calm: 15 * MINUTE,
    },
    Case {
        kind: "channel_down",
        severity: Severity::Warning,
        so: |s| {
            _ = s.gateway(0, |g| {
                g.channels = vec![ClawChannel { name: "telegram".to_owned(), connected: Some(false) }];
            });
        },
        wait: 10 * MINUTE,
        not: well,
        calm: 0,
    },
    Case {
        kind: "cron_failing",
        severity: Severity::Warning,
        so: |s| {
            s.gateway(0, |g| {
                let job = CronJob { id: "a".to_owned(), consecutive_errors: 2, ..CronJob::default() };
                g.cron = Some(Cron { enabled: 1, failing: 1, missed: 0, troubled: vec![job] });
            });
        },
        wait: 0,
        not: well,
        calm: 0,
    },
    Case {
        kind: "cron_missed",
        severity: Severity::Warning,
        so: |s| _ = s.gateway(0, |g| g.cron = Some(Cron { enabled: 1, missed: 1, ..Cron::default() })),
        wait: 5 * MINUTE,
        not: well,
        calm: 0,
    },
    Case {
        kind: "session_stuck",
        severity: Severity::Warning,
        so: |s| _ = s.gateway(0, |g| g.tasks = Some(Tasks { active: 1, stuck: 1, failed_day: 0 })),
        wait: 10 * MINUTE,
        not: well,
        calm: 0,
    },
    Case {
        kind: "error_burst",
        severity: Severity::Warning,
        so: |s| _ = s.error(0, "a", 25, false),
        wait: 0,
        not: nothing,
        calm: 11 * MINUTE,
    },
    Case {
        kind: "error_new",
        severity: Severity::Info,
        so: |s| _ = s.error(0, "a", 1, true),
        wait: 0,
        not: nothing,
        calm: HOUR,
    },
    Case {
        kind: "error_spread",
        severity: Severity::Error,
        so: |s| {
            for n in 0..4 {
                s.error(n, "a", 1, false).pass(MINUTE);
            }
            // The same once more on one of them is no other device.
            s.error(0, "a", 1, false).pass(MINUTE).expect(&[]);
            s.error(4, "a", 1, false).pass(10 * SECOND);
        },
        wait: 0,
        not: nothing,
        calm: HOUR,
    },
    Case {
        kind: "errors_after_upgrade",
        severity: Severity::Warning,
        so: |s| {
            s.error(0, "a", 24, false).pass(2 * HOUR).happens(0, EventKind::GatewayUpgraded);
            s.error(0, "a", 2, false).pass(HOUR).expect(&[]);
            s.error(0, "a", 12, false);
        },
        wait: 0,
        not: nothing,
        calm: DAY,
    },
    Case {
        kind: "cpu",
        severity: Severity::Warning,
        so: |s| _ = s.measure(0, |m| m.cpu_pct = Some(85.0)),
        wait: 10 * MINUTE,
        not: |s| _ = s.measure(0, |m| m.cpu_pct = Some(5.0)),
        calm: 2 * MINUTE,
    },
    Case {
        kind: "memory",
        severity: Severity::Warning,
        so: |s| _ = s.measure(0, |m| m.memory_pct = Some(85.0)),
        wait: 10 * MINUTE,
        not: |s| _ = s.measure(0, |m| m.memory_pct = Some(5.0)),
        calm: 2 * MINUTE,
    },
    Case {
        kind: "disk",
        severity: Severity::Error,
        so: |s| _ = s.measure(0, |m| m.disks = vec![("/".to_owned(), 91.0)]),
        wait: 5 * MINUTE,
        not: |s| _ = s.measure(0, |m| m.disks = vec![("/".to_owned(), 50.0)]),
        calm: 2 * MINUTE,
    },
    Case {
        kind: "disk_full",
        severity: Severity::Warning,
        so: |s| {
            s.learn([Fact::Trend(id(0), Trend { disk_per_h: Some(f64::from(1 << 30)), ..Trend::default() })]);
        },
        wait: 0,
        not: |s| s.learn([Fact::Trend(id(0), Trend { disk_per_h: Some(-1.0), ..Trend::default() })]),
        calm: 0,
    },
    Case {
        kind: "gateway_memory",
        severity: Severity::Warning,
        so: |s| {
            let trend =
                Trend { rss_per_h: Some(60.0 * 1_048_576.0), rss: Some((4e8, 8e8)), ..Trend::default() };
            s.learn([Fact::Trend(id(0), trend)]);
        },
        wait: 0,
        not: |s| {
            // It wavers: there is no line any more.
            s.learn([Fact::Trend(id(0), Trend::default())]);
        },
        calm: 0,
    },
    Case {
        kind: "version_behind",
        severity: Severity::Info,
        so: |s| {
            s.gateway(1, |g| g.version = Some("2026.9.10".to_owned()));
            s.gateway(0, |_| {});
            // All others are behind as well.
            for n in 2..5 {
                s.gateway(n, |g| g.version = Some("2026.9.10".to_owned()));
            }
        },
        wait: 7 * DAY,
        not: |s| _ = s.gateway(0, |g| g.version = Some("2026.9.10".to_owned())),
        calm: 0,
    },
    Case {
        kind: "agent_outdated",
        severity: Severity::Info,
        so: |s| {
            server(s, |now| "0.2.0".clone_into(&mut now.version));
            for n in 1..5 {
                s.change(n, |device| device.agent_version = Some("0.2.0".to_owned()));
            }
            s.change(0, |_| {});
        },
        wait: DAY,
        not: |s| _ = s.change(0, |device| device.agent_version = Some("0.2.0".to_owned())),
        calm: 0,
    },
    Case {
        kind: "security_finding",
        severity: Severity::Error,
        so: |s| {
            let finding =
                |critical| Finding { check: "a".to_owned(), critical, title: "open to all".to_owned() };
            s.learn([Fact::Findings(id(0), vec![finding(false)])]);
            s.expect(&[]).learn([Fact::Findings(id(0), vec![finding(true)])]);
        },
        wait: 0,
        not: |s| s.learn([Fact::Findings(id(0), vec![])]),
        calm: 0,
    },
    Case {
        kind: "clock_skew",
        severity: Severity::Warning,
        so: |s| _ = s.change(0, |device| device.clock_skew_ms = -5 * MINUTE),
        wait: 10 * MINUTE,
        not: |s| _ = s.change(0, |device| device.clock_skew_ms = 0),
        calm: 2 * MINUTE,
    },
    Case {
        kind: "spool_dropping",
        severity: Severity::Warning,
        so: |s| _ = s.happens(0, EventKind::SpoolDropped),
        wait: 0,
        not: nothing,
        calm: HOUR,
    },
    Case {
        kind: "server_disk",
        severity: Severity::Error,
        so: |s| server(s, |now| now.disk_free = Some((3 << 29, 1 << 30))),
        wait: 0,
        not: |s| server(s, |now| now.disk_free = Some((4 << 30, 1 << 30))),
        calm: 0,
    },
    Case {
        kind: "server_recording",
        severity: Severity::Critical,
        so: |s| server(s, |now| now.recording_fails_since = Some(NOON.plus_millis(MINUTE))),
        wait: 30 * SECOND,
        not: |s| server(s, |_| {}),
        calm: 0,
    },
    Case {
        kind: "server_lag",
        severity: Severity::Warning,
        so: |s| server(s, |now| now.engine_dead = true),
        wait: MINUTE,
        not: |s| server(s, |_| {}),
        calm: 0,
    },
    Case {
        kind: "backup_failed",
        severity: Severity::Error,
        so: |s| server(s, |now| now.backup_failed = Some("full".to_owned())),
        wait: 0,
        not: |s| server(s, |_| {}),
        calm: 0,
    },
    Case {
        kind: "certificate",
        severity: Severity::Warning,
        so: |s| server(s, |now| now.certificate_until = Some(NOON.plus_millis(13 * DAY))),
        wait: 0,
        not: |s| server(s, |now| now.certificate_until = Some(NOON.plus_millis(300 * DAY))),
        calm: 0,
    },
    Case {
        kind: "channel_failing",
        severity: Severity::Error,
        so: |s| s.learn([Fact::Channels(vec![("c".to_owned(), "phone".to_owned(), NOON, "401".to_owned())])]),
        wait: 0,
        not: |s| s.learn([Fact::Channels(vec![])]),
        calm: 0,
    },
    Case {
        kind: "key_unused",
        severity: Severity::Info,
        so: |s| {
            s.learn([Fact::Keys(vec![(
                "k".to_owned(),
                "old phone".to_owned(),
                NOON.plus_millis(-91 * DAY),
            )])]);
        },
        wait: 0,
        not: |s| s.learn([Fact::Keys(vec![])]),
        calm: 0,
    },
];

#[test]
fn each_rule_fires_once_and_is_over_once() {
    for case in CASES {
        let mut story = Story::of(5, &[rule(1, case.kind)]);
        story.pass(MINUTE).expect(&[]);
        (case.so)(&mut story);
        if case.wait > 0 {
            story.pass(case.wait - SECOND).expect(&[]);
            story.pass(SECOND);
        }
        story.expect(&[(case.kind, Fired, case.severity)]);
        let told = story.last();
        assert!(
            !told.telling.title.en.is_empty() && told.telling.title.en != told.telling.title.zh,
            "{}",
            case.kind
        );
        (case.not)(&mut story);
        story.pass(case.calm).expect(&[(case.kind, Resolved, case.severity)]);
        story.pass(8 * DAY).expect(&[]);
    }
}

#[test]
fn every_rule_has_its_story() {
    // Those of tokens are told beside, with what must be looked up for them.
    let beside =
        ["budget", "device_budget", "budget_forecast", "usage_anomaly", "idle_burn", "cache_collapse"];
    let told: HashSet<&str> = CASES.iter().map(|case| case.kind).chain(beside).collect();
    let all: HashSet<&str> = kinds::kinds().map(|kind| kind.word).collect();
    assert_eq!(told, all);
}
