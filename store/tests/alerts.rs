//! Alerts: fired, changed, acknowledged, over.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::*;
use protocol::DeviceId;
use store::{AlertFilter, AuditFilter, Change, Firing, Page, Said, Severity, Telling};

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
    let (ann, tester) = (store::Actor::cli("ann"), by());
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
