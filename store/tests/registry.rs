//! Devices and keys, changed by this process and by another one.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::time::Duration;

use common::*;
use protocol::{KeyKind, SpoolId, TopicFilter};
use store::{Change, DeviceKind, NewKey, Refusal, Verdict};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn names_and_tags_are_checked_and_cleaned() {
    let world = World::new().await;
    let add = async |name: &str, tags: &[&str]| {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        world.store.add_device(&by(), name, &tags, DeviceKind::Agent).await.unwrap().map(|(id, _)| id)
    };
    let id = add("  büro \u{1f5a5} ", &["b", " a ", "", "b"]).await.unwrap();
    let device = world.store.device(id).unwrap();
    assert_eq!(
        (device.name.as_str(), device.tags.as_slice()),
        ("büro \u{1f5a5}", &["a".into(), "b".into()][..])
    );
    for name in ["", "  ", "a\nb", "a\u{7}", &"x".repeat(65)] {
        assert_eq!(add(name, &[]).await, Err(Refusal::Name), "{name:?}");
    }
    for tag in ["two words", "a,b", "a\tb", &"x".repeat(33)] {
        assert_eq!(add("other", &[tag]).await, Err(Refusal::Tags), "{tag:?}");
    }
    let many: Vec<String> = (0..17).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(add("other", &many).await, Err(Refusal::Tags));
    assert_eq!(add("büro \u{1f5a5}", &[]).await, Err(Refusal::NameTaken("büro \u{1f5a5}".into())));
    let second = add(&"x".repeat(64), &many[..16]).await.unwrap();
    let taken = world.store.change_device(&by(), second, Some("büro \u{1f5a5}"), None, None).await.unwrap();
    assert!(matches!(taken, Err(Refusal::NameTaken(_))));
    world.store.change_device(&by(), second, Some("new"), None, None).await.unwrap().unwrap();
    // Its own name is not taken from it.
    world
        .store
        .change_device(&by(), second, Some("new"), Some(&["t".to_owned()]), None)
        .await
        .unwrap()
        .unwrap();
    let device = world.store.device(second).unwrap();
    assert_eq!((device.name.as_str(), device.tags.len()), ("new", 1));
    world.store.remove_device(&by(), second).await.unwrap().unwrap();
    let gone = Err(Refusal::NoDevice(second));
    assert_eq!(world.store.remove_device(&by(), second).await.unwrap(), gone);
    assert_eq!(world.store.change_device(&by(), second, Some("x"), None, None).await.unwrap(), gone);
    assert_eq!(world.store.rotate_key(&by(), second, 0).await.unwrap().err(), gone.err());
    assert_eq!(add("new", &[]).await.map(|_| ()), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_ask_at_once_one_gets_the_name() {
    let world = World::new().await;
    let second = world.second().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = if n % 2 == 0 { world.store.clone() } else { second.clone() };
        tasks.spawn(
            async move { store.add_device(&by(), "same", &[], DeviceKind::Agent).await.unwrap().is_ok() },
        );
    }
    let added = tasks.join_all().await;
    assert_eq!(added.iter().filter(|ok| **ok).count(), 1);
}

#[tokio::test]
async fn keys_are_known_until_they_are_revoked() {
    let world = World::new().await;
    let (id, first) = world.store.add_device(&by(), "one", &[], DeviceKind::Agent).await.unwrap().unwrap();
    assert_eq!(world.store.identify(&first).unwrap().device, Some(id));
    let second = world.store.rotate_key(&by(), id, 0).await.unwrap().unwrap();
    assert!(world.store.identify(&first).is_none());
    let identity = world.store.identify(&second).unwrap();
    world.store.revoke_key(&by(), identity.key).await.unwrap().unwrap();
    assert!(world.store.identify(&second).is_none() && world.store.identity(identity.key).is_none());
    let again = world.store.revoke_key(&by(), identity.key).await.unwrap();
    assert_eq!(again, Err(Refusal::NoKey(identity.key)));

    let lamp = TopicFilter::parse("house/#").unwrap();
    let service = NewKey::Service { publish: vec![lamp.clone()], subscribe: vec![] };
    let (key_id, key) = world.store.add_key(&by(), "lamps", service).await.unwrap().unwrap();
    let (_, reader) = world.store.add_key(&by(), "wall", NewKey::Reader(vec![id])).await.unwrap().unwrap();
    let (_, all) = world.store.add_key(&by(), "all", NewKey::Reader(vec![])).await.unwrap().unwrap();
    let check = |world: &World| {
        let service = world.store.identify(&key).unwrap();
        assert_eq!(
            (service.kind, service.publish, service.key),
            (KeyKind::Service, vec![lamp.clone()], key_id)
        );
        let filter = TopicFilter::parse(&format!("openclaw/{id}/report")).unwrap();
        let other = TopicFilter::parse("openclaw/#").unwrap();
        let reader = world.store.identify(&reader).unwrap();
        assert!(reader.may_subscribe(&filter) && !reader.may_subscribe(&other));
        assert!(world.store.identify(&all).unwrap().may_subscribe(&other));
        assert!(world.store.identify(&first).is_none() && world.store.identify(&second).is_none());
    };
    check(&world);
    let world = world.reopen().await;
    check(&world);
    world.store.revoke_key(&by(), key_id).await.unwrap().unwrap();
    assert!(world.store.identify(&key).is_none());
    let infos = world.store.keys().await.unwrap();
    assert_eq!(infos.len(), 5);
    assert_eq!(infos.iter().filter(|info| info.revoked_at.is_some()).count(), 3);
    assert!(!format!("{infos:?}").contains(key.reveal()));
}

#[tokio::test]
async fn what_the_command_line_changes_is_seen_by_the_server() {
    let world = World::new().await;
    let (id, key) = world.store.add_device(&by(), "one", &[], DeviceKind::Agent).await.unwrap().unwrap();
    world.record(&[birth(id, 1, NOW)]).await;
    let command_line = world.second().await;
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(world.store.clone().watch_registry(stop.clone()));
    let mut changes = world.store.directory_changes();
    let seen = async |changes: &mut tokio::sync::watch::Receiver<u64>| {
        tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    };
    let rotated = command_line.rotate_key(&by(), id, 0).await.unwrap().unwrap();
    seen(&mut changes).await;
    assert!(world.store.identify(&key).is_none() && world.store.identify(&rotated).is_some());
    // Somebody who shows a new key need not wait for the next look.
    let (other, fresh) =
        command_line.add_device(&by(), "two", &[], DeviceKind::Agent).await.unwrap().unwrap();
    world.store.look_again().await;
    assert_eq!(world.store.identify(&fresh).unwrap().device, Some(other));
    let identity = world.store.identify(&rotated).unwrap();
    changes.mark_unchanged();
    command_line.revoke_key(&by(), identity.key).await.unwrap().unwrap();
    seen(&mut changes).await;
    assert!(world.store.identify(&rotated).is_none());
    let mut feed = world.store.feed();
    command_line.change_device(&by(), id, Some("renamed"), None, None).await.unwrap().unwrap();
    seen(&mut changes).await;
    assert_eq!(feed.recv().await.unwrap(), Change::Devices([id].into()));
    let device = world.store.device(id).unwrap();
    // Its name is new, and what is known of the present stays.
    assert!(device.name == "renamed" && device.presence.unwrap().online);
    command_line.remove_device(&by(), other).await.unwrap().unwrap();
    seen(&mut changes).await;
    assert_eq!(feed.recv().await.unwrap(), Change::Removed([other].into()));
    assert!(world.store.identify(&fresh).is_none());
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

/// Both processes change devices while reports are recorded; in the end all see the same, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn changes_from_two_processes_and_recording_do_not_disturb_each_other() {
    let world = World::new().await;
    let (device, spool) = (world.device("steady").await, SpoolId::generate());
    let other = world.second().await;
    let stop = CancellationToken::new();
    let mut watch = tokio::task::JoinSet::new();
    watch.spawn(world.store.clone().watch_registry(stop.clone()));
    let mut tasks = tokio::task::JoinSet::new();
    for (who, store) in
        [("here", world.store.clone()), ("there", other.clone()), ("again", world.store.clone())]
    {
        tasks.spawn(async move {
            for n in 0..30 {
                let name = format!("{who} {n}");
                let (id, key) =
                    store.add_device(&by(), &name, &[], DeviceKind::Agent).await.unwrap().unwrap();
                assert!(store.identify(&key).is_some());
                store.look_again().await;
                if n % 3 == 0 {
                    store.remove_device(&by(), id).await.unwrap().unwrap();
                    assert!(store.identify(&key).is_none());
                }
            }
        });
    }
    for seq in 1..=200 {
        assert_eq!(world.record(&[live(device, spool, seq)]).await, [Verdict::New]);
    }
    tasks.join_all().await;
    stop.cancel();
    watch.join_all().await;
    world.store.look_again().await;
    other.look_again().await;
    let names =
        |store: &store::Store| store.devices().into_iter().map(|d| d.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&world.store).len(), 61);
    assert_eq!(names(&world.store), names(&other));
    assert_eq!(world.seqs(device).await, (1..=200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_removed_device_leaves_nothing_behind() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    world.record(&[birth(id, 1, NOW), live(id, spool, 1)]).await;
    world.store.remove_device(&by(), id).await.unwrap().unwrap();
    assert_eq!(world.record(&[live(id, spool, 2), will(id, 1, NOW)]).await, [Verdict::Stranger; 2]);
    let world = world.reopen().await;
    assert!(world.store.devices().is_empty());
    assert!(world.store.retained().await.unwrap().is_empty());
}

#[tokio::test]
async fn this_machine_keeps_its_device() {
    let world = World::new().await;
    let taken = world.device("box").await;
    let (id, first) = world.store.local_device("box").await.unwrap();
    assert_ne!(id, taken);
    let world = world.reopen().await;
    let (again, second) = world.store.local_device("box").await.unwrap();
    assert_eq!(id, again);
    assert!(world.store.identify(&first).is_none() && world.store.identify(&second).is_some());
}
