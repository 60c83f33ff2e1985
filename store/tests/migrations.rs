//! Every database that a version before has made is understood: it is filled as that version filled it, brought to the
//! present form, and asked for all of it.
//!
//! `migrations/NNNN.sql` is what a server of version NNNN has recorded of one device, with everything that it knew of. A new
//! migration needs one: copy the last one, give it the new number (the device's, too), add what is new, and say below what
//! it must be answered with.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod common;

use std::path::{Path, PathBuf};

use common::*;
use protocol::{ApiKey, Clock, DeviceId, Log, LogLevel, LogRecord, SpoolId, Timestamp};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use store::{
    AlertFilter, AuditFilter, ErrorFilter, ErrorState, EventFilter, Fact, Metric, OutageFilter, Page, Range,
    Record, Role, Search, Store, UsageBy, UsageFilter, UsageQuery, Zone,
};
use tempfile::TempDir;

/// When the fixtures' first samples were taken.
const THEN: Timestamp = Timestamp(1_790_000_000_000);

/// When they are asked.
const SOON: Timestamp = Timestamp(THEN.0 + 7_200_000);

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

async fn migrations() -> Vec<sqlx::migrate::Migration> {
    // Read now, not when this was compiled: a new file counts at once.
    Migrator::new(here("migrations")).await.unwrap().migrations.into_owned()
}

/// A database that every version up to `version` has used, in the order of time. Returns the keys by version.
async fn made_by(version: i64, dir: &TempDir) -> Vec<(i64, ApiKey)> {
    let path = dir.path().join("data/openclaw-watch.sqlite");
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut database = options.connect().await.unwrap();
    let (mut applied, mut keys) = (Vec::new(), Vec::new());
    for migration in migrations().await.into_iter().filter(|migration| migration.version <= version) {
        let number = migration.version;
        applied.push(migration);
        Migrator::with_migrations(applied.clone()).run(&mut database).await.unwrap();
        let file = here(&format!("tests/migrations/{number:04}.sql"));
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|_| panic!("{} is missing: see the head of this file", file.display()));
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut database).await.unwrap();
        let key = ApiKey::generate(device(number));
        sqlx::query("UPDATE access_key SET hash = ? WHERE device_id = ?")
            .bind(key.hash().as_bytes().to_vec())
            .bind(device(number).as_str())
            .execute(&mut database)
            .await
            .unwrap();
        keys.push((number, key));
    }
    database.close().await.unwrap();
    keys
}

fn device(version: i64) -> DeviceId {
    DeviceId::parse(&format!("device{version:06}")).unwrap()
}

async fn answers(store: &Store, version: i64, key: &ApiKey) {
    let id = device(version);
    let known = store.device(id).unwrap();
    assert_eq!(
        (known.name.as_str(), known.tags.as_slice()),
        (&*format!("device {version}"), &["lab".to_owned()][..])
    );
    let presence = known.presence.unwrap();
    assert_eq!((presence.online, presence.epoch), (false, 3));
    assert_eq!(presence.host.unwrap().hostname, Some(format!("box{version}")));
    assert_eq!(known.latest.unwrap().cpu_pct, Some(37.5));
    assert_eq!(store.identify(key).unwrap().device, Some(id));
    let role = store.person(&format!("person {version}")).await.unwrap().unwrap().1;
    assert_eq!(role, Role::Admin);
    let range = Range { from: THEN, step_ms: 60_000, steps: 1 };
    let samples = store.samples(id, range, &[Metric::CpuPct, Metric::MemoryUsed]).await.unwrap().unwrap();
    assert_eq!((samples.series[0].avg[0], samples.series[1].max[0]), (Some(25.0), Some(3_072_000.0)));
    assert_eq!(store.recorded_ranges(id), ["1-2"]);
    let raw = store.samples_page(id, None, None, None, 9).await.unwrap();
    assert_eq!(raw.iter().map(|row| row.values[0]).collect::<Vec<_>>(), [Some(12.5), Some(37.5)]);
    if version < 3 {
        return;
    }
    assert_eq!(known.usage.unwrap().total.turns, 7);
    let question = UsageQuery {
        from: THEN.plus_millis(-DAY),
        to: THEN.plus_millis(DAY),
        zone: Zone::utc(),
        by: UsageBy::Model,
        then_by: None,
        filter: UsageFilter { devices: Some(vec![id]), ..UsageFilter::default() },
        limit: 9,
    };
    let used = store.usage(&question).await.unwrap();
    let counts = used[0].counts;
    assert_eq!((used[0].key.as_deref(), counts.turns, counts.input), (Some("mock/small"), 7, 70));
    let text = Search::parse(&format!("boom {version} 超时")).unwrap();
    let filter = ErrorFilter { device: Some(id), text, ..ErrorFilter::default() };
    let errors = store.errors_whole(&filter, Page::first(9)).await.unwrap();
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0].record.context, ["before"]);
    let group = store.error_group(&format!("{version:016x}")).await.unwrap().unwrap().group;
    assert_eq!((group.count, group.devices, group.level.as_str()), (3, 1, "crash"));
    assert_eq!((group.first_seen_at, group.last_seen_at), (THEN, THEN.plus_millis(10_000)));
    assert_eq!(group.versions, [format!("2026.1.{version}")]);
    let hours = store.error_group(&group.fingerprint).await.unwrap().unwrap().hours;
    assert_eq!(hours.iter().map(|(_, count)| count).sum::<i64>(), 3);
    let state = if version < 6 { ErrorState::Open } else { ErrorState::Resolved };
    assert_eq!(group.state, state);
    let events = store.events(id, 9).await.unwrap();
    assert_eq!((events.len(), events[1].duration_ms), (2, Some(5000)));
    let told = EventFilter { device: Some(id), ..EventFilter::default() };
    let told = store.fleet_events(&told, Page::first(9)).await.unwrap();
    assert_eq!((told.len(), told[0].event.reason.as_deref()), (1, Some("signal 9")));
    assert_eq!(store.audit(id).await.unwrap().unwrap().seq, 2);
    if version < 7 {
        return;
    }
    let filter = AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() };
    let log = store.audit_log(&filter, None, 9).await.unwrap();
    assert_eq!((log.len(), log[0].action.as_str(), log[0].actor.name.as_str()), (1, "device.rename", "ann"));
    if version < 8 {
        return;
    }
    let filter = OutageFilter { device: Some(id), ..OutageFilter::default() };
    let outages = store.outages(&filter, 9).await.unwrap();
    assert_eq!((outages.len(), outages[0].from, outages[0].to), (1, THEN.plus_millis(100_000), None));
    if version < 9 {
        return;
    }
    let tokens = store.tokens().await.unwrap();
    let token = tokens.iter().find(|token| token.name == format!("token {version}")).unwrap();
    assert_eq!((token.last_used_at, token.expires_at), (Some(THEN), Some(Timestamp(1_890_000_000_000))));
    assert!(store.has_two_factor(&format!("person {version}")).await.unwrap());
    let page = store.status_page().await.unwrap();
    assert_eq!((page.enabled, page.devices), (true, vec![device(9)]));
    if version < 10 {
        return;
    }
    let filter = AlertFilter { device: Some(id), ..AlertFilter::default() };
    let alerts = store.alerts(&filter, Page::first(9)).await.unwrap();
    assert_eq!((alerts.len(), &*alerts[0].telling.title.zh), (1, &*format!("停止 {version}")));
    assert_eq!(alerts[0].acknowledged, Some((THEN.plus_millis(20_000), "ann".to_owned())));
    assert!(store.firing().error > 0);
    if version < 11 {
        return;
    }
    let rules = store.rules().await.unwrap();
    assert_eq!((rules[0].no, &*rules[0].kind, rules[0].body.for_s), (11, "cpu", 600));
    assert_eq!(store.channels().await.unwrap()[0].name, "channel 11");
    assert_eq!(store.pauses(None).await.unwrap()[0].made_by, "ann");
    assert_eq!(store.alerting_settings().await.unwrap().0.zone, "Asia/Shanghai");
    let (states, judged) = store.judged().await.unwrap();
    assert_eq!((states.len(), judged.event_no, judged.at), (1, 1, THEN));
    let folded = store.alerts(&AlertFilter::default(), Page::first(99)).await.unwrap();
    let folded = folded.iter().find(|alert| alert.rule == "offline").unwrap();
    assert_eq!(
        (folded.members.as_slice(), folded.rule_no, folded.flapping),
        (&[device(11)][..], Some(11), true)
    );
}

#[tokio::test]
async fn what_a_version_before_has_recorded_is_answered() {
    let versions: Vec<i64> = migrations().await.iter().map(|migration| migration.version).collect();
    assert!(versions.len() >= 5, "{versions:?}");
    for version in versions {
        let dir = TempDir::new().unwrap();
        let keys = made_by(version, &dir).await;
        let store = Store::open(config(&dir), Clock::manual(SOON)).await.unwrap();
        assert_eq!(store.devices().len(), keys.len(), "of version {version}");
        for (number, key) in &keys {
            answers(&store, *number, key).await;
        }
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
        // And it goes on: what comes now is recorded, and found again after a restart.
        let one = keys[0].0;
        let spool = SpoolId::generate();
        assert_eq!(store.record(&[live(device(one), spool, 1)]).await.unwrap(), [store::Verdict::New]);
        store.close().await;
        let store = Store::open(config(&dir), Clock::manual(SOON)).await.unwrap();
        for (number, key) in keys.iter().skip(1) {
            answers(&store, *number, key).await;
        }
        store.close().await;
    }
}

/// Counting afterwards gives what counting at once gave.
#[tokio::test]
async fn errors_of_before_are_counted_as_those_of_now() {
    let world = World::new().await;
    let mut batch = Vec::new();
    for who in 0..3 {
        let id = world.device(&format!("{who}")).await;
        let records = (0..80).map(|n: i64| LogRecord {
            at: NOW.plus_millis(-(n * 7919 % 80) * 1_800_000),
            level: if n % 2 == 0 { LogLevel::Error } else { LogLevel::Crash },
            gateway: "default".to_owned(),
            subsystem: None,
            message: format!("{n} of {who}"),
            fingerprint: format!("{:016x}", n % 7),
            count: 1 + u32::try_from(n % 3).unwrap(),
            error_name: None,
            reason: None,
            provider: None,
            model: None,
            agent: None,
            version: (n % 4 > 0).then(|| format!("2026.{}", n % 4)),
            stack: None,
            context: vec![],
        });
        let log = Log { v: 1, spool: SpoolId::generate(), seq: 1, at: NOW, records: records.collect() };
        batch.push(Record { received_at: NOW, fact: Fact::Log(id, Box::new(log)), retain: None });
    }
    world.record(&batch).await;
    let dir = TempDir::new().unwrap();
    made_by(3, &dir).await;
    let options = SqliteConnectOptions::new().filename(dir.path().join("data/openclaw-watch.sqlite"));
    let mut old = options.connect().await.unwrap();
    sqlx::query("ATTACH ? AS new")
        .bind(world.store.path().to_str().unwrap())
        .execute(&mut old)
        .await
        .unwrap();
    sqlx::raw_sql(
        "DELETE FROM device; DELETE FROM error_record;
         INSERT INTO device SELECT no, id, name, kind, tags, created_at FROM new.device;
         INSERT INTO error_record SELECT * FROM new.error_record;",
    )
    .execute(&mut old)
    .await
    .unwrap();
    old.close().await.unwrap();
    let store = Store::open(config(&dir), Clock::manual(NOW)).await.unwrap();
    for n in 0..7 {
        let fingerprint = format!("{n:016x}");
        let (here, there) =
            (store.error_group(&fingerprint).await, world.store.error_group(&fingerprint).await);
        let (mut here, there) = (here.unwrap().unwrap(), there.unwrap().unwrap());
        // Of two of the same moment either may be the sample.
        here.group.message.clone_from(&there.group.message);
        assert_eq!(here, there);
    }
    let text = Search::parse("79 of").unwrap();
    let found = store.errors(&ErrorFilter { text, ..ErrorFilter::default() }, Page::first(9)).await.unwrap();
    assert_eq!(found.len(), 3);
}
