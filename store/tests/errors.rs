//! Errors over the fleet: found, counted, resolved, forgotten.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use proptest::prelude::*;
use protocol::{DeviceId, Log, LogLevel, LogRecord, SpoolId};
use sqlx::{ConnectOptions as _, Connection as _};
use store::{
    AuditFilter, ErrorFilter, ErrorGroup, ErrorGroupFilter, ErrorState, Fact, GroupSort, Page, Record,
    Search, Store,
};

const HOUR: i64 = 3_600_000;

fn an_error(at: i64, fingerprint: u64, message: &str) -> LogRecord {
    LogRecord {
        at: NOW.plus_millis(at),
        level: LogLevel::Error,
        gateway: "default".to_owned(),
        subsystem: Some("agent/embedded".to_owned()),
        message: message.to_owned(),
        fingerprint: format!("{fingerprint:016x}"),
        count: 1,
        error_name: None,
        reason: None,
        provider: None,
        model: None,
        agent: None,
        version: Some("2026.11.1".to_owned()),
        stack: None,
        context: vec![],
    }
}

fn told(device: DeviceId, seq: u64, records: Vec<LogRecord>) -> Record {
    let log = Log { v: 1, spool: SpoolId::generate(), seq, at: NOW, records };
    Record { received_at: NOW, fact: Fact::Log(device, Box::new(log)), retain: None }
}

async fn groups(store: &Store) -> Vec<ErrorGroup> {
    store.error_groups(&ErrorGroupFilter::default(), GroupSort::LastSeen, None, 500).await.unwrap()
}

async fn found(store: &Store, text: &str) -> Vec<String> {
    let filter = ErrorFilter { text: Search::parse(text).unwrap(), ..ErrorFilter::default() };
    let listed = store.errors(&filter, Page::first(100)).await.unwrap();
    let mut whole = Vec::new();
    let mut after = None;
    // Whatever the order, both ways find the same.
    loop {
        let page = store.errors_whole(&filter, Page { after, limit: 2 }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        whole.extend(page.into_iter().map(|e| e.no));
    }
    let nos: BTreeSet<i64> = listed.iter().map(|e| e.no).collect();
    assert_eq!(whole.iter().copied().collect::<BTreeSet<_>>(), nos, "{text}");
    assert_eq!(whole.len(), nos.len(), "{text}");
    listed.into_iter().map(|e| e.record.message).collect()
}

/// What SQLite itself says of the index: that it has the words of the table and no others.
async fn index_is_whole(store: &Store) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(store.path());
    let mut own = options.connect().await.unwrap();
    sqlx::query("INSERT INTO error_text (error_text, rank) VALUES ('integrity-check', 1)")
        .execute(&mut own)
        .await
        .unwrap();
    own.close().await.unwrap();
}

#[tokio::test]
async fn any_part_of_a_text_is_found_and_nothing_typed_is_a_query() {
    let world = World::new().await;
    let id = world.device("one").await;
    let texts = [
        "Connection refused by api.example.net",
        "模型调用失败：请求超时",
        "100% of \"quota\" used (limit_exceeded)",
        "tiny",
        "AND OR NOT NEAR( column:",
    ];
    let mut records: Vec<LogRecord> =
        (0..).zip(texts).map(|(n, text)| an_error(-n * 1000, n.cast_unsigned(), text)).collect();
    records[3].stack = Some("at Timeout._onTimeout (node:internal)".to_owned());
    records[3].error_name = Some("TypeError".to_owned());
    world.record(&[told(id, 1, records)]).await;
    let check = async |text: &str, expected: &[usize]| {
        let expected: Vec<&str> = expected.iter().map(|i| texts[*i]).collect();
        assert_eq!(found(&world.store, text).await, expected, "{text:?}");
    };
    check("refused", &[0]).await;
    check("EFUSE", &[0]).await;
    check("refused example", &[0]).await;
    check("refused quota", &[]).await;
    check("调用失败", &[1]).await;
    check("失败", &[1]).await;
    check("超", &[1]).await;
    check("\"quota\"", &[2]).await;
    check("100%", &[2]).await;
    check("0%", &[2]).await;
    check("limit_exceeded", &[2]).await;
    check("x_", &[]).await;
    check("t_", &[2]).await;
    check("_onTimeout", &[3]).await;
    check("typeerror tiny", &[3]).await;
    check("AND OR", &[4]).await;
    check("NEAR(", &[4]).await;
    check("column:", &[4]).await;
    check("embedded", &[0, 1, 2, 3, 4]).await;
    check("\"", &[2]).await;
    check("\"\"\"", &[]).await;
    for text in
        ["* ^ + - {}", "NOT", "a\0b", "( ) (((", "'; DROP TABLE error_record; --", "{message}:x", "\\", "-"]
    {
        drop(found(&world.store, text).await);
    }
    assert_eq!(Search::parse(" \t\n"), Ok(None));
    assert!(Search::parse(&"x".repeat(201)).is_err() && Search::parse(&"x ".repeat(11)).is_err());
    index_is_whole(&world.store).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_typed_is_answered(text in "\\PC{0,40}") {
        static WORLD: std::sync::OnceLock<(tokio::runtime::Runtime, World)> = std::sync::OnceLock::new();
        let (runtime, world) = WORLD.get_or_init(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let world = runtime.block_on(World::new());
            (runtime, world)
        });
        let Ok(search) = Search::parse(&text) else { return Ok(()) };
        let filter = ErrorFilter { text: search, ..ErrorFilter::default() };
        runtime.block_on(world.store.errors(&filter, Page::first(1))).unwrap();
        runtime.block_on(world.store.errors_whole(&filter, Page::first(1))).unwrap();
    }
}

#[tokio::test]
async fn pages_are_stable_while_new_ones_arrive() {
    let world = World::new().await;
    let id = world.device("one").await;
    // Many of the same moment.
    let records = (0..50).map(|n| an_error(-(n / 10) * 1000, 7, &format!("m{n}"))).collect();
    world.record(&[told(id, 1, records)]).await;
    let mut seen = Vec::new();
    let mut after = None;
    for seq in 2.. {
        let page = world.store.errors(&ErrorFilter::default(), Page { after, limit: 7 }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        seen.extend(page.into_iter().map(|e| e.record.message));
        world.record(&[told(id, seq, vec![an_error(0, 7, "new"), an_error(0, 8, "new")])]).await;
    }
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 50);
    assert!(seen.len() == 50 && !seen.contains(&"new".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn filters_select_what_they_say() {
    let world = World::new().await;
    let one = world.device("one").await;
    let tags = ["lab".to_owned(), "berlin".to_owned()];
    let two = world.store.add_device(&by(), "two", &tags, store::DeviceKind::Agent).await.unwrap().unwrap().0;
    let crash = LogRecord { level: LogLevel::Crash, subsystem: None, ..an_error(-10_000, 2, "crash") };
    world
        .record(&[
            told(one, 1, vec![an_error(-5000, 1, "a"), crash]),
            told(two, 1, vec![an_error(0, 1, "b")]),
        ])
        .await;
    let check = async |filter: ErrorFilter, expected: &[&str]| {
        let rows = world.store.errors(&filter, Page::first(10)).await.unwrap();
        let messages: Vec<&str> = rows.iter().map(|e| e.record.message.as_str()).collect();
        assert_eq!(messages, expected, "{filter:?}");
        let rows = world.store.errors_whole(&filter, Page::first(10)).await.unwrap();
        assert_eq!(rows.len(), expected.len(), "{filter:?}");
    };
    let all = ErrorFilter::default;
    check(all(), &["b", "a", "crash"]).await;
    check(ErrorFilter { device: Some(one), ..all() }, &["a", "crash"]).await;
    check(ErrorFilter { device: Some(DeviceId::generate()), ..all() }, &[]).await;
    check(ErrorFilter { tag: Some("lab".to_owned()), ..all() }, &["b"]).await;
    check(ErrorFilter { tag: Some("la".to_owned()), ..all() }, &[]).await;
    check(ErrorFilter { levels: vec![LogLevel::Crash], ..all() }, &["crash"]).await;
    check(ErrorFilter { levels: vec![LogLevel::Crash, LogLevel::Error], ..all() }, &["b", "a", "crash"])
        .await;
    check(ErrorFilter { subsystem: Some("agent/embedded".to_owned()), ..all() }, &["b", "a"]).await;
    check(ErrorFilter { fingerprint: Some(format!("{:016x}", 1)), device: Some(one), ..all() }, &["a"]).await;
    let (from, to) = (Some(NOW.plus_millis(-5000)), Some(NOW));
    check(ErrorFilter { from, to, ..all() }, &["a"]).await;
    let text = Search::parse("crash").unwrap();
    check(ErrorFilter { text, device: Some(two), ..all() }, &[]).await;
}

#[derive(Debug, Clone)]
enum Step {
    /// (device, fingerprint, hours before now, count, version) of each.
    Tell(Vec<(usize, u64, i64, u32, usize)>),
    Decide(u64, ErrorState),
    Remove(usize),
    Expire(i64),
}

const VERSIONS: [Option<&str>; 3] = [None, Some("2026.10.9"), Some("2026.11.1")];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0usize..3, 0u64..3, -60i64..1, 1u32..4, 0usize..VERSIONS.len());
    let state = prop_oneof![Just(ErrorState::Open), Just(ErrorState::Resolved), Just(ErrorState::Ignored)];
    let step = prop_oneof![
        6 => prop::collection::vec(record, 1..6).prop_map(Step::Tell),
        3 => (0u64..3, state).prop_map(|(f, s)| Step::Decide(f, s)),
        1 => (0usize..3).prop_map(Step::Remove),
        1 => (-60i64..0).prop_map(Step::Expire),
    ];
    prop::collection::vec(step, 1..25)
}

#[derive(Debug, Clone)]
struct Seen {
    device: DeviceId,
    at: i64,
    count: i64,
    version: Option<&'static str>,
    /// The record is still there; its share of the totals is, anyway.
    record: bool,
}

#[derive(Debug, Clone, Default)]
struct Model {
    seen: BTreeMap<u64, Vec<Seen>>,
    state: BTreeMap<u64, (Option<ErrorState>, i64)>,
}

impl Model {
    fn tell(&mut self, fingerprint: u64, seen: Seen) {
        let state = self.state.entry(fingerprint).or_insert((None, 0));
        if state.0 == Some(ErrorState::Resolved) && seen.at > state.1 {
            state.0 = Some(ErrorState::Open);
        }
        self.seen.entry(fingerprint).or_default().push(seen);
    }

    fn tidy(&mut self) {
        self.seen.retain(|_, all| !all.is_empty());
        self.state.retain(|fingerprint, _| self.seen.contains_key(fingerprint));
    }
}

async fn agree(store: &Store, model: &Model) {
    let groups = groups(store).await;
    assert_eq!(groups.len(), model.seen.len(), "{groups:?} {model:?}");
    for group in groups {
        let fingerprint = u64::from_str_radix(&group.fingerprint, 16).unwrap();
        let seen = &model.seen[&fingerprint];
        let sum = |pick: &dyn Fn(&&Seen) -> bool| seen.iter().filter(pick).map(|s| s.count).sum::<i64>();
        let devices: BTreeSet<DeviceId> = seen.iter().map(|s| s.device).collect();
        let versions: BTreeSet<&str> = seen.iter().filter_map(|s| s.version).collect();
        assert_eq!(group.count, sum(&|_| true), "{group:?} {model:?}");
        assert_eq!(usize::try_from(group.devices).unwrap(), devices.len());
        assert_eq!(group.versions.iter().map(String::as_str).collect::<BTreeSet<_>>(), versions);
        assert_eq!(group.first_seen_at.0, seen.iter().map(|s| s.at).min().unwrap());
        assert_eq!(group.last_seen_at.0, seen.iter().map(|s| s.at).max().unwrap());
        assert_eq!(group.state, model.state[&fingerprint].0.unwrap_or(ErrorState::Open), "{group:?}");
        let detail = store.error_group(&group.fingerprint).await.unwrap().unwrap();
        for device in detail.devices {
            assert_eq!(device.count, sum(&|s| s.device == device.device));
        }
        for version in detail.versions {
            assert_eq!(version.count, sum(&|s| s.version == Some(&*version.version)));
        }
        assert_eq!((detail.hours.len(), detail.days.len()), (48, 30));
        for (at, count) in detail.hours {
            let of_hour = sum(&|s| s.record && s.at.div_euclid(HOUR) == at.0.div_euclid(HOUR));
            assert_eq!(count, of_hour, "{at:?} {model:?}");
        }
        let days: i64 = detail.days.iter().map(|(_, count)| count).sum();
        assert_eq!(days, sum(&|s| s.record));
    }
    index_is_whole(store).await;
}

async fn play(steps: Vec<Step>) {
    let world = World::new().await;
    let mut devices = Vec::new();
    for n in 0..3 {
        devices.push(world.device(&format!("first {n}")).await);
    }
    let (mut model, mut seq) = (Model::default(), 0);
    for (n, step) in steps.into_iter().enumerate() {
        // Time goes on: what people decide lies between what devices tell.
        world.clock.set(NOW.plus_millis(i64::try_from(n).unwrap()));
        match step {
            Step::Tell(rows) => {
                seq += 1;
                let mut batch = Vec::new();
                for (who, device) in devices.iter().enumerate() {
                    let mut records = Vec::new();
                    for (_, fingerprint, hours, count, version) in rows.iter().filter(|row| row.0 == who) {
                        let at = if *hours == 0 { i64::try_from(n).unwrap() } else { hours * HOUR };
                        let version = VERSIONS[*version];
                        let record = LogRecord {
                            count: *count,
                            version: version.map(str::to_owned),
                            ..an_error(at, *fingerprint, &format!("from {device}"))
                        };
                        records.push(record);
                        let at = NOW.0 + at;
                        model.tell(
                            *fingerprint,
                            Seen { device: *device, at, count: i64::from(*count), version, record: true },
                        );
                    }
                    batch.push(told(*device, seq, records));
                }
                world.record(&batch).await;
            }
            Step::Decide(fingerprint, state) => {
                let now = world.clock.now().0;
                let done =
                    world.store.set_error_state(&by(), &format!("{fingerprint:016x}"), state).await.unwrap();
                assert_eq!(done.is_some(), model.seen.contains_key(&fingerprint));
                if done.is_some() {
                    let known = model.state.entry(fingerprint).or_insert((None, 0));
                    if known.0.unwrap_or(ErrorState::Open) != state {
                        *known = (Some(state), now);
                    }
                }
            }
            Step::Remove(who) => {
                let gone = std::mem::replace(&mut devices[who], world.device(&format!("next {n}")).await);
                world.store.remove_device(&by(), gone).await.unwrap().unwrap();
                for all in model.seen.values_mut() {
                    all.retain(|seen| seen.device != gone);
                }
                model.tidy();
                for group in groups(&world.store).await {
                    assert!(!group.message.contains(gone.as_str()), "its text is still shown: {group:?}");
                }
            }
            Step::Expire(hours) => {
                let before = NOW.plus_millis(hours * HOUR);
                while world.store.expire_errors(before, 2).await.unwrap() > 0 {}
                for (fingerprint, all) in &mut model.seen {
                    for seen in all.iter_mut().filter(|seen| seen.at < before.0) {
                        seen.record = false;
                    }
                    let ignored = model.state[fingerprint].0 == Some(ErrorState::Ignored);
                    if !ignored && all.iter().all(|seen| seen.at < before.0) {
                        all.clear();
                    }
                }
                model.tidy();
            }
        }
        agree(&world.store, &model).await;
    }
    let left: usize = model.seen.values().flatten().filter(|seen| seen.record).count();
    let rows = world.store.errors(&ErrorFilter::default(), Page::first(1000)).await.unwrap();
    assert_eq!(rows.len(), left);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 300, ..ProptestConfig::default() })]

    /// Totals, states and trends are what one gets who counts each record by hand.
    #[test]
    fn groups_are_what_their_records_say(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(play(steps));
    }
}

#[tokio::test]
async fn what_happens_again_opens_and_what_comes_late_does_not() {
    let world = World::new().await;
    let id = world.device("one").await;
    world.record(&[told(id, 1, vec![an_error(-HOUR, 1, "first")])]).await;
    let fingerprint = format!("{:016x}", 1);
    let state = async || {
        let group = world.store.error_group(&fingerprint).await.unwrap().unwrap().group;
        (group.state, group.state_by, group.reopened_at)
    };
    world.store.set_error_state(&by(), &fingerprint, ErrorState::Resolved).await.unwrap().unwrap();
    assert_eq!(state().await, (ErrorState::Resolved, Some("tester".to_owned()), None));
    world.record(&[told(id, 2, vec![an_error(-1, 1, "late")])]).await;
    assert_eq!(state().await.0, ErrorState::Resolved);
    world.clock.set(NOW.plus_millis(5000));
    let again = told(id, 3, vec![an_error(4000, 1, "again")]);
    world.record(&[Record { received_at: NOW.plus_millis(5000), ..again }]).await;
    assert_eq!(state().await, (ErrorState::Open, None, Some(NOW.plus_millis(4000))));
    world.store.set_error_state(&by(), &fingerprint, ErrorState::Ignored).await.unwrap().unwrap();
    let more = told(id, 4, vec![an_error(6000, 1, "more")]);
    world.record(&[Record { received_at: NOW.plus_millis(7000), ..more }]).await;
    let group = world.store.error_group(&fingerprint).await.unwrap().unwrap().group;
    assert_eq!((group.state, group.count, group.message.as_str()), (ErrorState::Ignored, 4, "more"));
    assert!(world.store.set_error_state(&by(), "nothing", ErrorState::Open).await.unwrap().is_none());
    // Each decision stands in the log; what happened by itself does not.
    let filter = AuditFilter { action: Some("error_group.".to_owned()), ..AuditFilter::default() };
    let log = world.store.audit_log(&filter, None, 10).await.unwrap();
    let actions: Vec<String> = log.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["error_group.ignore", "error_group.resolve"]);
}

#[tokio::test]
async fn groups_come_in_any_order_page_by_page() {
    let world = World::new().await;
    let id = world.device("one").await;
    let records = (0..40u64).map(|n| {
        let at = -i64::try_from(n * 7919 % 40).unwrap() * 60_000;
        LogRecord { count: u32::try_from(n % 5 + 1).unwrap(), ..an_error(at, n, &format!("kind {n}")) }
    });
    world.record(&[told(id, 1, records.collect())]).await;
    for sort in GroupSort::ALL {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = world
                .store
                .error_groups(&ErrorGroupFilter::default(), sort, after.as_ref(), 7)
                .await
                .unwrap();
            let Some(last) = page.last() else { break };
            after = Some(sort.place(last));
            all.extend(page);
        }
        let places: Vec<(i64, String)> =
            all.iter().map(|g| sort.place(g)).map(|p| (p.value, p.fingerprint)).collect();
        assert!(places.is_sorted_by(|a, b| a > b), "{sort:?}");
        assert_eq!(places.len(), 40, "{sort:?}");
    }
    let some = async |filter: ErrorGroupFilter| {
        world.store.error_groups(&filter, GroupSort::Count, None, 100).await.unwrap().len()
    };
    let all = ErrorGroupFilter::default;
    assert_eq!(some(ErrorGroupFilter { device: Some(id), ..all() }).await, 40);
    assert_eq!(some(ErrorGroupFilter { device: Some(DeviceId::generate()), ..all() }).await, 0);
    assert_eq!(some(ErrorGroupFilter { states: vec![ErrorState::Resolved], ..all() }).await, 0);
    assert_eq!(some(ErrorGroupFilter { levels: vec![LogLevel::Error], ..all() }).await, 40);
    assert_eq!(some(ErrorGroupFilter { text: Search::parse("KIND 39").unwrap(), ..all() }).await, 1);
    assert_eq!(some(ErrorGroupFilter { from: Some(NOW), ..all() }).await, 1);
}
