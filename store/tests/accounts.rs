//! People, their second factor, tokens, keys that go on for a while, and the status page.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::time::Duration;

use common::*;
use protocol::{ApiKey, DeviceId, KeyHash};
use store::{AuditFilter, DeviceKind, PersonRefusal, Refusal, Role, StatusPage, WhyNot};
use tokio_util::sync::CancellationToken;

const HOUR: i64 = 3_600_000;

async fn last_deeds(world: &World, n: u32) -> Vec<String> {
    let log = world.store.audit_log(&AuditFilter::default(), None, n).await.unwrap();
    log.into_iter().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn the_last_admin_stays_and_a_change_ends_the_logins() {
    let world = World::new().await;
    let store = &world.store;
    assert!(store.add_person(&by(), "ann", Role::Admin, "hash").await.unwrap());
    assert!(store.add_person(&by(), "bob", Role::Viewer, "hash").await.unwrap());
    let last = Err(PersonRefusal::LastAdmin);
    assert_eq!(store.remove_person(&by(), "ann").await.unwrap(), last);
    assert_eq!(store.change_person(&by(), "ann", Some(Role::Viewer), None, None).await.unwrap(), last);
    let nobody = Err(PersonRefusal::NoPerson);
    assert_eq!(store.remove_person(&by(), "eve").await.unwrap(), nobody);
    assert_eq!(store.change_person(&by(), "eve", None, Some("x"), None).await.unwrap(), nobody);

    let (one, two) = (KeyHash::of(b"one"), KeyHash::of(b"two"));
    let until = NOW.plus_millis(DAY);
    for cookie in [&one, &two] {
        assert!(store.add_login(&by(), cookie, "bob", "hash", "csrf", until).await.unwrap());
    }
    let people = store.people().await.unwrap();
    let bob = people.iter().find(|person| person.name == "bob").unwrap();
    assert_eq!((people.len(), bob.last_login_at, bob.two_factor), (2, Some(NOW), false));
    // Nothing new: nothing ends, and nothing is noted.
    store.change_person(&by(), "bob", Some(Role::Viewer), None, None).await.unwrap().unwrap();
    assert!(store.login(&one).await.unwrap().is_some());
    store.change_person(&by(), "bob", None, Some("other"), Some(&two)).await.unwrap().unwrap();
    assert!(store.login(&one).await.unwrap().is_none() && store.login(&two).await.unwrap().is_some());
    assert_eq!(store.person("bob").await.unwrap().unwrap().0, "other");
    // Whoever showed the password before, and was let in a moment too late; and somebody who is not there.
    for (name, hash) in [("bob", "hash"), ("eve", "hash")] {
        assert!(!store.add_login(&by(), &one, name, hash, "csrf", until).await.unwrap(), "{name}");
    }
    assert!(store.login(&one).await.unwrap().is_none());
    store.change_person(&by(), "bob", Some(Role::Admin), None, None).await.unwrap().unwrap();
    assert!(store.login(&two).await.unwrap().is_none());
    // Now there is another.
    store.remove_person(&by(), "ann").await.unwrap().unwrap();
    assert_eq!(store.remove_person(&by(), "bob").await.unwrap(), last);
    assert_eq!(
        last_deeds(&world, 5).await,
        ["user.remove", "user.role", "user.password", "login.ok", "login.ok"]
    );
}

#[tokio::test]
async fn a_second_factor_is_confirmed_and_its_codes_are_good_once() {
    let world = World::new().await;
    let store = &world.store;
    store.add_person(&by(), "ann", Role::Admin, "hash").await.unwrap();
    assert_eq!(store.two_factor("ann").await.unwrap(), None);
    assert!(!store.begin_two_factor("eve", b"secret").await.unwrap(), "nobody has that name");
    assert!(store.begin_two_factor("ann", b"first").await.unwrap());
    assert!(
        store.begin_two_factor("ann", b"zebra 1795").await.unwrap(),
        "one that was never confirmed is replaced"
    );
    let begun = store.two_factor("ann").await.unwrap().unwrap();
    assert_eq!((begun.secret.as_slice(), begun.on), (&b"zebra 1795"[..], false));
    assert!(!format!("{begun:?}").contains("115"), "no secret in a debug text");
    assert!(!store.has_two_factor("ann").await.unwrap());
    let codes: Vec<KeyHash> = (0..10_u8).map(|n| KeyHash::of(&[n])).collect();
    assert!(store.confirm_two_factor(&by(), "ann", &codes).await.unwrap());
    assert!(!store.confirm_two_factor(&by(), "ann", &codes).await.unwrap());
    assert!(!store.begin_two_factor("ann", b"third").await.unwrap(), "it is turned off first");
    assert!(store.has_two_factor("ann").await.unwrap());
    assert!(store.people().await.unwrap()[0].two_factor);

    assert!(store.use_step("ann", 100).await.unwrap());
    for used in [100, 99] {
        assert!(!store.use_step("ann", used).await.unwrap(), "{used}");
    }
    assert!(store.use_step("ann", 101).await.unwrap());
    assert!(store.use_recovery_code(&by(), "ann", &codes[3]).await.unwrap());
    assert!(!store.use_recovery_code(&by(), "ann", &codes[3]).await.unwrap());
    assert_eq!(store.count_recovery_codes("ann").await.unwrap(), 9);
    store.renew_recovery_codes(&by(), "ann", &[KeyHash::of(b"new")]).await.unwrap();
    assert!(!store.use_recovery_code(&by(), "ann", &codes[4]).await.unwrap());
    assert!(store.use_recovery_code(&by(), "ann", &KeyHash::of(b"new")).await.unwrap());

    // Without the key of secrets nothing is read, and nothing is lost.
    let key = world.dir.path().join("data/secrets.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert!(store.two_factor("ann").await.is_err());
    std::fs::write(&key, kept).unwrap();
    assert_eq!(store.two_factor("ann").await.unwrap().unwrap().secret, b"zebra 1795");
    let file = std::fs::read(store.path()).unwrap();
    assert!(!file.windows(10).any(|part| part == b"zebra 1795"), "it is sealed in the file");

    assert!(store.remove_two_factor(&by(), "ann").await.unwrap());
    assert!(!store.remove_two_factor(&by(), "ann").await.unwrap());
    assert_eq!(store.count_recovery_codes("ann").await.unwrap(), 0);
    assert_eq!(
        last_deeds(&world, 5).await,
        [
            "two_factor.off",
            "two_factor.recovery_used",
            "two_factor.recovery_codes",
            "two_factor.recovery_used",
            "two_factor.on"
        ]
    );
}

#[tokio::test]
async fn a_token_expires_is_revoked_and_remembers_when_it_was_used() {
    let world = World::new().await;
    let store = &world.store;
    let (one, two) = (KeyHash::of(b"one"), KeyHash::of(b"two"));
    let first = store.add_token(&by(), &one, Role::Viewer, "one", Some(NOW.plus_millis(HOUR))).await.unwrap();
    store.add_token(&by(), &two, Role::Admin, "two", None).await.unwrap();
    let used = async |store: &store::Store| {
        let tokens = store.tokens().await.unwrap();
        tokens.into_iter().find(|token| token.id == first).unwrap().last_used_at
    };
    assert_eq!(used(store).await, None);
    assert!(store.token(&one).await.unwrap().is_some());
    assert_eq!(used(store).await, Some(NOW));
    store.write_uses().await.unwrap();
    assert_eq!(used(&world.second().await).await, Some(NOW), "another process reads it");
    world.clock.set(NOW.plus_millis(HOUR));
    assert_eq!(store.token(&one).await.unwrap(), None);
    assert_eq!(store.token(&two).await.unwrap().unwrap().1, "two");
    assert!(store.revoke_token(&by(), first).await.unwrap());
    assert!(!store.revoke_token(&by(), first).await.unwrap());
    assert_eq!(store.tokens().await.unwrap().len(), 1);
    assert_eq!(last_deeds(&world, 1).await, ["token.revoke"]);
}

#[tokio::test]
async fn an_old_key_goes_on_as_long_as_was_agreed() {
    let world = World::new().await;
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(world.store.clone().watch_registry(stop.clone()));
    let store = &world.store;
    let (id, first) = store.add_device(&by(), "one", &[], DeviceKind::Agent).await.unwrap().unwrap();
    let second = store.rotate_key(&by(), id, 2).await.unwrap().unwrap();
    let good = |key: &ApiKey| store.identify(key).is_some();
    assert!(good(&first) && good(&second));
    // A later rotation makes nothing last longer.
    let third = store.rotate_key(&by(), id, 100).await.unwrap().unwrap();
    let keys = store.keys().await.unwrap();
    let ends: Vec<_> = keys.iter().filter_map(|key| key.expires_at).collect();
    assert_eq!((keys.len(), ends.len()), (3, 2));
    assert!(ends.contains(&NOW.plus_millis(2 * HOUR)) && ends.contains(&NOW.plus_millis(100 * HOUR)));
    let mut changes = store.directory_changes();
    changes.mark_unchanged();
    world.clock.set(NOW.plus_millis(2 * HOUR));
    // Whoever serves connections hears of it, and asks again.
    tokio::time::timeout(Duration::from_secs(20), changes.changed()).await.unwrap().unwrap();
    assert!(!good(&first) && good(&second) && good(&third));
    assert_eq!(
        (store.why_not(&first), store.why_not(&ApiKey::generate(id))),
        (WhyNot::Expired, WhyNot::Unknown)
    );
    assert_eq!(store.why_not(&ApiKey::generate(DeviceId::generate())), WhyNot::Unknown);
    // A restart knows the same.
    let again = world.second().await;
    assert!(again.identify(&first).is_none() && again.identify(&second).is_some());
    assert_eq!(again.why_not(&first), WhyNot::Expired);
    // Without an overlap all others end at once.
    let last = store.rotate_key(&by(), id, 0).await.unwrap().unwrap();
    assert!(!good(&second) && !good(&third) && good(&last));
    assert_eq!(store.why_not(&third), WhyNot::Revoked);
    assert_eq!(store.keys().await.unwrap().last().unwrap().last_used_at, Some(NOW.plus_millis(2 * HOUR)));
    stop.cancel();
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn of_two_who_edit_at_once_the_second_is_told() {
    let world = World::new().await;
    let id = world.device("one").await;
    let rev = || world.store.device(id).unwrap().rev;
    let change = async |name: &str, rev: Option<i64>| {
        world.store.change_device(&by(), id, Some(name), None, rev).await.unwrap()
    };
    let seen = rev();
    assert_eq!(change("two", Some(seen)).await, Ok(()));
    assert_eq!(rev(), seen + 1);
    assert_eq!(change("three", Some(seen)).await, Err(Refusal::Conflict));
    assert_eq!(world.store.device(id).unwrap().name, "two");
    // Nothing new is no change; a script without a number is the last.
    assert_eq!(change("two", Some(seen + 1)).await, Ok(()));
    assert_eq!(rev(), seen + 1);
    assert_eq!(change("four", None).await, Ok(()));
    assert_eq!((rev(), world.second().await.device(id).unwrap().rev), (seen + 2, seen + 2));
}

#[tokio::test]
async fn the_status_page_shows_devices_that_there_are() {
    let world = World::new().await;
    assert_eq!(
        world.store.status_page().await.unwrap(),
        StatusPage { show_uptime: true, ..StatusPage::default() }
    );
    let (one, two) = (world.device("one").await, world.device("two").await);
    let page = StatusPage {
        enabled: true,
        title: "Ours".to_owned(),
        note: "a note".to_owned(),
        devices: vec![two, one],
        show_uptime: false,
        show_reason: true,
    };
    world.store.change_status_page(&by(), &page).await.unwrap();
    world.store.change_status_page(&by(), &page).await.unwrap();
    assert_eq!(world.store.status_page().await.unwrap(), page);
    assert_eq!(last_deeds(&world, 2).await, ["status_page.change", "device.add"]);
    world.store.remove_device(&by(), two).await.unwrap().unwrap();
    assert_eq!(world.store.status_page().await.unwrap().devices, [one]);
}

#[tokio::test]
async fn what_comes_in_is_counted() {
    let world = World::new().await;
    let id = world.device("one").await;
    let spool = protocol::SpoolId::generate();
    let rows: Vec<_> = (0..61_u32)
        .map(|n| {
            let at = NOW.plus_millis(i64::from(n) * 10_000);
            report(id, &a_report(spool, u64::from(n) + 1, at), at)
        })
        .collect();
    world.record(&rows).await;
    let amounts = world.store.daily_amounts().await.unwrap();
    // One every ten seconds.
    assert!((amounts.samples - 8_784.0).abs() < 1.0, "{amounts:?}");
}
