//! Alerts: fired, changed, acknowledged, over.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::*;
use protocol::DeviceId;
use store::{
    Actor, AlertDeed, AlertFilter, AlertWrite, AuditFilter, Change, ChannelBody, ChannelDraft,
    DeliveryFilter, Firing, Judged, NewDelivery, Page, Said, Severity, Telling,
};

fn telling(severity: Severity, title: &str) -> Telling {
    let title = Said { en: title.to_owned(), zh: format!("中文 {title}") };
    Telling { severity, title, detail: None }
}

fn firing() -> AlertFilter {
    AlertFilter { firing: Some(true), ..AlertFilter::default() }
}

#[tokio::test]
async fn an_alert_fires_changes_and_is_over() {
    let world = World::new().await;
    let (store, device) = (world.store.clone(), world.device("one").await);
    let mut feed = store.feed();
    let no =
        store.fire_alert(Some(device), "gateway_down", &telling(Severity::Warning, "down")).await.unwrap();
    let no = no.unwrap();
    assert_eq!(feed.recv().await.unwrap(), Change::Alerts);
    assert_eq!(store.firing(), Firing { warning: 1, ..Firing::default() });
    let worse = telling(Severity::Critical, "still down");
    assert!(store.update_alert(no, &worse).await.unwrap());
    assert_eq!(store.firing(), Firing { critical: 1, ..Firing::default() });
    let alert = &store.alerts(&firing(), Page::first(9)).await.unwrap()[0];
    assert_eq!((alert.no, &alert.telling, alert.fired_at), (no, &worse, NOW));
    assert_eq!(alert.device, Some((device, "one".to_owned())));
    world.clock.set(NOW.plus_millis(60_000));
    assert!(store.resolve_alert(no).await.unwrap());
    assert!(!store.resolve_alert(no).await.unwrap() && !store.update_alert(no, &worse).await.unwrap());
    assert_eq!(store.alert(no).await.unwrap().unwrap().resolved_at, Some(NOW.plus_millis(60_000)));
    assert_eq!(store.firing(), Firing::default());
    assert_eq!(store.alerts(&firing(), Page::first(9)).await.unwrap(), []);
}

#[tokio::test]
async fn who_took_note_first_stays_and_is_written_down() {
    let world = World::new().await;
    let no =
        world.store.fire_alert(None, "budget", &telling(Severity::Error, "over")).await.unwrap().unwrap();
    let (ann, tester) = (Actor::cli("ann"), by());
    let note = async |by, on| world.store.acknowledge_alert(by, no, on).await.unwrap().unwrap().acknowledged;
    assert_eq!(note(&ann, true).await, Some((NOW, "ann".to_owned())));
    assert_eq!(note(&tester, true).await, Some((NOW, "ann".to_owned())));
    assert_eq!(note(&tester, false).await, None);
    assert_eq!(world.store.acknowledge_alert(&ann, 99, true).await.unwrap(), None);
    let filter = AuditFilter { action: Some("alert.".to_owned()), ..AuditFilter::default() };
    let log = world.store.audit_log(&filter, None, 9).await.unwrap();
    let deeds: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.actor.name.as_str())).collect();
    assert_eq!(deeds, [("alert.unacknowledge", "tester"), ("alert.acknowledge", "ann")]);
}

#[tokio::test]
async fn pages_follow_each_other_and_a_removed_device_takes_its_alerts_along() {
    let mut world = World::new().await;
    let (one, two) = (world.device("one").await, world.device("two").await);
    for n in 0..5 {
        world.clock.set(NOW.plus_millis(n / 2));
        let device = if n % 2 == 0 { one } else { two };
        let told = telling(Severity::Info, &n.to_string());
        assert!(world.store.fire_alert(Some(device), "test", &told).await.unwrap().is_some());
    }
    let (mut seen, mut page) = (Vec::new(), Page::first(2));
    loop {
        let alerts = world.store.alerts(&AlertFilter::default(), page).await.unwrap();
        let Some(last) = alerts.last() else { break };
        page = Page::after(last.place(), 2);
        seen.extend(alerts.iter().map(|alert| alert.telling.title.en.clone()));
    }
    assert_eq!(seen, ["4", "3", "2", "1", "0"]);
    world = world.reopen().await;
    assert_eq!(world.store.firing().info, 5);
    let filter = AlertFilter { device: Some(two), severities: vec![Severity::Info], firing: None };
    assert_eq!(world.store.alerts(&filter, Page::first(9)).await.unwrap().len(), 2);
    world.store.remove_device(&by(), two).await.unwrap().unwrap();
    assert_eq!(world.store.firing().info, 3);
    let stranger = DeviceId::generate();
    assert_eq!(
        world.store.fire_alert(Some(stranger), "test", &telling(Severity::Info, "x")).await.unwrap(),
        None
    );
}

const NOTHING: Judged = Judged { event_no: 7, error_no: 8, at: NOW };

fn deed(title: &str) -> AlertDeed {
    AlertDeed::Fire {
        rule_no: 1,
        rule: "offline".to_owned(),
        device: None,
        subject: String::new(),
        telling: telling(Severity::Error, title),
        members: vec![],
        at: NOW,
        flapping: false,
    }
}

fn over() -> AlertDeed {
    AlertDeed::Resolve { at: NOW, telling: telling(Severity::Error, "over"), members: vec![] }
}

fn write(deed: AlertDeed, tell: Vec<NewDelivery>) -> AlertWrite {
    AlertWrite { key: "1/-/".to_owned(), deed, tell }
}

fn told(channel: &str, id: &str, occasion: &'static str, held: bool) -> NewDelivery {
    NewDelivery {
        id: id.to_owned(),
        channel: channel.to_owned(),
        occasion,
        body: "{}".to_owned(),
        due_at: NOW,
        held: held.then_some("quiet"),
    }
}

async fn channel(store: &store::Store) -> String {
    let body = ChannelBody {
        settings: std::collections::BTreeMap::new(),
        language: "en".to_owned(),
        least: Severity::Info,
        takes_all: true,
        always: false,
    };
    let draft = ChannelDraft {
        name: "ops".to_owned(),
        enabled: true,
        body,
        secrets: [("token".to_owned(), "hunter2".to_owned())].into(),
    };
    store.add_channel(&Actor::server(), "webhook", &draft).await.unwrap().unwrap().id
}

async fn deliveries(store: &store::Store) -> Vec<String> {
    let all = store.deliveries(&DeliveryFilter::default(), Page::first(99)).await.unwrap();
    all.iter().rev().map(|d| format!("{} {} {}", d.id, d.occasion, d.state.as_str())).collect()
}

#[tokio::test]
async fn what_is_written_twice_is_there_once() {
    let world = World::new().await;
    let (store, id) = (&world.store, channel(&world.store).await);
    for _ in 0..2 {
        let fire = write(
            deed("gone"),
            vec![told(&id, "a", "fired", false), told("no-channel", "b", "fired", false)],
        );
        store.write_alerts(&[fire], &[("1/-/".to_owned(), Some("{}".to_owned()))], NOTHING).await.unwrap();
    }
    assert_eq!(store.firing().error, 1);
    assert_eq!(deliveries(store).await, ["a fired waiting"]);
    assert_eq!(store.judged().await.unwrap(), (vec![("1/-/".to_owned(), "{}".to_owned())], NOTHING));
    assert_eq!(store.firing_alerts().await.unwrap()[0].key, "1/-/");
    // Over, and nothing is remembered any more; the second time it is over already.
    for _ in 0..2 {
        let end = write(over(), vec![told(&id, "c", "resolved", false)]);
        store.write_alerts(&[end], &[("1/-/".to_owned(), None)], NOTHING).await.unwrap();
    }
    assert_eq!(store.firing(), Firing::default());
    assert_eq!(deliveries(store).await, ["a fired waiting", "c resolved waiting"]);
    assert_eq!(store.judged().await.unwrap().0, []);
}

#[tokio::test]
async fn what_is_over_in_quiet_hours_is_never_told() {
    let world = World::new().await;
    let (store, id) = (&world.store, channel(&world.store).await);
    let step = async |deed, delivery| {
        store.write_alerts(&[write(deed, vec![delivery])], &[], NOTHING).await.unwrap();
    };
    step(deed("gone"), told(&id, "a", "fired", true)).await;
    step(over(), told(&id, "b", "resolved", true)).await;
    assert_eq!(deliveries(store).await, ["a fired skipped"]);
    // What became grave meanwhile was told at once, and so its end is told, too.
    step(deed("gone again"), told(&id, "c", "fired", true)).await;
    let worse = AlertDeed::Update {
        telling: telling(Severity::Critical, "worse"),
        members: vec![],
        flapping: false,
        hidden_by: None,
    };
    step(worse, told(&id, "d", "worse", false)).await;
    step(over(), told(&id, "e", "resolved", true)).await;
    let expected = ["a fired skipped", "c fired skipped", "d worse waiting", "e resolved held"];
    assert_eq!(deliveries(store).await, expected);
}

#[tokio::test]
async fn what_a_channel_signs_in_with_is_in_no_table_and_no_log() {
    let world = World::new().await;
    let (store, id) = (&world.store, channel(&world.store).await);
    assert_eq!(store.channels().await.unwrap()[0].secrets, ["token"]);
    assert_eq!(store.channel_secrets(&id).await.unwrap()["token"], "hunter2");
    let log = store.audit_log(&AuditFilter::default(), None, 99).await.unwrap();
    assert!(!format!("{log:?}").contains("hunter2"));
    let file = std::fs::read(store.path()).unwrap();
    let beside = std::fs::read(store.path().with_extension("sqlite-wal")).unwrap_or_default();
    let holds = |bytes: &[u8]| bytes.windows(7).any(|part| part == b"hunter2");
    assert!(!holds(&file) && !holds(&beside) && !beside.is_empty());
}
