//! What people do is written down: who, what, before and after, and no secret.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::*;
use protocol::{KeyHash, TopicFilter};
use serde_json::json;
use store::{Actor, ActorKind, AuditEntry, AuditFilter, DeviceKind, NewKey, Role};

async fn log(world: &World, filter: AuditFilter) -> Vec<AuditEntry> {
    world.store.audit_log(&filter, None, 1000).await.unwrap()
}

fn address(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0xcb00_7100 + n))
}

#[tokio::test]
async fn every_change_stands_in_the_log_with_who_and_what() {
    let world = World::new().await;
    let (ann, script) = (Actor::user("ann", address(1)), Actor::token("deploy", address(2)));
    let hash = "$argon2id$not-to-be-kept";
    assert!(world.store.add_first_person(&ann, "ann", hash).await.unwrap());
    let cookie = KeyHash::of(b"a cookie");
    let until = NOW.plus_millis(DAY);
    assert!(world.store.add_login(&ann, &cookie, "ann", hash, "a csrf word", until).await.unwrap());
    let (id, key) =
        world.store.add_device(&ann, "one", &["lab".to_owned()], DeviceKind::Agent).await.unwrap().unwrap();
    world.store.change_device(&script, id, Some("two"), None, None).await.unwrap().unwrap();
    world.store.change_device(&script, id, None, Some(&[]), None).await.unwrap().unwrap();
    // Nothing changes: nothing was done.
    world.store.change_device(&script, id, Some("two"), None, None).await.unwrap().unwrap();
    let rotated = world.store.rotate_key(&by(), id, 0).await.unwrap().unwrap();
    let filter = TopicFilter::parse("house/#").unwrap();
    let new = NewKey::Service { publish: vec![filter], subscribe: vec![] };
    let (key_id, service) = world.store.add_key(&by(), "lamps", new).await.unwrap().unwrap();
    world.store.revoke_key(&by(), key_id).await.unwrap().unwrap();
    world.store.add_token(&by(), &KeyHash::of(b"a token"), Role::Viewer, "prometheus", None).await.unwrap();
    assert!(world.store.add_person(&by(), "bob", Role::Viewer, hash).await.unwrap());
    assert!(!world.store.add_person(&by(), "bob", Role::Admin, hash).await.unwrap(), "taken");
    world.store.remove_device(&ann, id).await.unwrap().unwrap();
    world.store.remove_device(&ann, id).await.unwrap().unwrap_err();
    world.store.remove_login(&ann, &cookie).await.unwrap();
    world.store.remove_login(&ann, &cookie).await.unwrap();
    let world = world.reopen().await;
    let mut all = log(&world, AuditFilter::default()).await;
    all.reverse();
    let told: Vec<(&str, &str)> = all.iter().map(|e| (e.actor.name.as_str(), e.action.as_str())).collect();
    assert_eq!(
        told,
        [
            ("ann", "setup"),
            ("ann", "login.ok"),
            ("ann", "device.add"),
            ("deploy", "device.rename"),
            ("deploy", "device.tag"),
            ("tester", "key.rotate"),
            ("tester", "key.add"),
            ("tester", "key.revoke"),
            ("tester", "token.create"),
            ("tester", "user.add"),
            ("ann", "device.remove"),
            ("ann", "logout"),
        ]
    );
    let renamed = &all[3];
    assert_eq!(renamed.actor, script);
    assert_eq!(renamed.before, Some(json!({ "name": "one", "tags": ["lab"] })));
    assert_eq!(renamed.after, Some(json!({ "name": "two", "tags": ["lab"] })));
    assert_eq!(
        (renamed.subject_id.as_deref(), renamed.subject_name.as_deref()),
        (Some(id.as_str()), Some("one"))
    );
    let kinds: Vec<ActorKind> = [0, 3, 5].map(|i| all[i].actor.kind).to_vec();
    assert_eq!(kinds, [ActorKind::User, ActorKind::Token, ActorKind::Cli]);
    let text = format!("{all:?}");
    for secret in
        [key.reveal(), rotated.reveal(), service.reveal(), hash, "a cookie", "a csrf word", "a token"]
    {
        assert!(!text.contains(secret), "a secret is in the log");
    }
    let count = async |filter: AuditFilter| log(&world, filter).await.len();
    let all = AuditFilter::default;
    assert_eq!(count(AuditFilter { action: Some("device.".to_owned()), ..all() }).await, 4);
    assert_eq!(count(AuditFilter { action: Some("device.add".to_owned()), ..all() }).await, 1);
    assert_eq!(count(AuditFilter { actor: Some("ann".to_owned()), ..all() }).await, 5);
    assert_eq!(count(AuditFilter { subject: Some(id.to_string()), ..all() }).await, 5);
    assert_eq!(count(AuditFilter { subject: Some("lamps".to_owned()), ..all() }).await, 2);
    assert_eq!(count(AuditFilter { from: Some(NOW.plus_millis(1)), ..all() }).await, 0);
    let first = world.store.audit_log(&all(), None, 5).await.unwrap();
    let rest = world.store.audit_log(&all(), Some(first[4].no), 100).await.unwrap();
    assert_eq!(first.len() + rest.len(), 12);
    assert_eq!(world.store.expire_audit_log(NOW.plus_millis(1), 7).await.unwrap(), 7);
    assert_eq!(count(all()).await, 5);
}

#[tokio::test]
async fn what_is_not_done_is_not_in_the_log() {
    let world = World::new().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.store.path());
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::raw_sql("CREATE TRIGGER refuse BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'full'); END")
        .execute(&mut other)
        .await
        .unwrap();
    assert!(world.store.add_device(&by(), "one", &[], DeviceKind::Agent).await.is_err());
    assert!(world.store.add_person(&by(), "bob", Role::Viewer, "x").await.is_err());
    // And what is not in the log is not done.
    let world = world.reopen().await;
    assert!(world.store.devices().is_empty());
    assert_eq!(world.store.count_people().await.unwrap(), 0);
}

#[tokio::test]
async fn guessing_does_not_fill_the_disk() {
    let world = World::new().await;
    world.store.add_person(&by(), "ann", Role::Admin, "x").await.unwrap();
    let refused = AuditFilter { action: Some("login.refused".to_owned()), ..AuditFilter::default() };
    for n in 0..30 {
        world.store.note_refused_login("ann", address(1)).await.unwrap();
        // Somebody typed a password where the name belongs.
        world.store.note_refused_login(&format!("hunter {n}"), address(1)).await.unwrap();
    }
    let rows = log(&world, refused.clone()).await;
    let told: Vec<(&str, i64)> = rows.iter().map(|e| (e.actor.name.as_str(), e.count)).collect();
    assert_eq!(told, [("", 30), ("ann", 30)]);
    assert!(!format!("{rows:?}").contains("hunter"));
    world.clock.set(NOW.plus_millis(5 * 60_000));
    world.store.note_refused_login("ann", address(1)).await.unwrap();
    assert_eq!(log(&world, refused.clone()).await.len(), 3);
    // From many addresses.
    for n in 0..1_100 {
        world.store.note_refused_login("nobody", address(1000 + n)).await.unwrap();
    }
    let rows = world.store.audit_log(&refused, None, 2000).await.unwrap();
    assert_eq!(rows.len(), 3 + 999 + 1);
    assert_eq!((rows[0].count, rows[0].actor.address), (101, None));
}
