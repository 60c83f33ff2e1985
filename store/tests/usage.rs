//! Tokens and money are exact: whatever the zone, the order, the repeats and the delays.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use common::*;
use proptest::prelude::*;
use protocol::{DeviceId, Payload as _, QUARTER_MILLIS, SpoolId, Timestamp, Usage, UsageRow, UsageTrigger};
use store::{Change, Counts, Fact, Prices, Record, Store, UsageBy, UsageFilter, UsageQuery, Zone};
use tokio_util::sync::CancellationToken;

const MODELS: [(&str, &str); 4] =
    [("anthropic", "claude-x"), ("mock", "small"), ("openai-codex", "gpt-x"), ("mock", "unknown")];
const TRIGGERS: [UsageTrigger; 2] = [UsageTrigger::Human, UsageTrigger::Cron];

const TABLE: &str = r#"
[[price]]
provider = "anthropic"
model = "claude-*"
from = "2000-01-01"
input = 3.0
output = 15.0
cache_read = 0.3
cache_write = 3.75
[[price]]
provider = "mock"
model = "small"
from = "2000-01-01"
input = 0.07
output = 0.111
[[price]]
provider = "openai-codex"
model = "*"
from = "2000-01-01"
input = 1.25
output = 10.0
[[flat_rate]]
provider = "openai-codex"
model = "*"
from = "2000-01-01"
"#;

/// Places with unusual clocks, and a moment near which theirs change.
const PLACES: [(&str, &str); 14] = [
    ("UTC", "2026-02-28T23:00:00Z"),
    ("Asia/Kathmandu", "2026-12-31T18:15:00Z"),
    ("Asia/Shanghai", "2026-11-30T16:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("America/St_Johns", "2026-11-01T04:30:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("America/Sao_Paulo", "2019-02-17T02:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Chatham", "2026-09-26T14:00:00Z"),
    ("Africa/Casablanca", "2026-03-22T02:00:00Z"),
    ("Africa/Cairo", "2026-04-23T22:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("Asia/Beirut", "2026-10-24T21:00:00Z"),
];

/// Something that a device really used.
#[derive(Debug, Clone)]
struct Turn {
    minute: i64,
    device: usize,
    model: usize,
    trigger: usize,
    tokens: [u64; 4],
    cost: u64,
    priced: bool,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let one = (
        -40 * 60..40 * 60_i64,
        0..2_usize,
        0..MODELS.len(),
        0..TRIGGERS.len(),
        [0..5000_u64, 0..900, 0..9000, 0..700],
        0..1_000_000_u64,
        any::<bool>(),
    );
    let turn = |(minute, device, model, trigger, tokens, cost, priced)| Turn {
        minute,
        device,
        model,
        trigger,
        tokens,
        cost,
        priced,
    };
    prop::collection::vec(one.prop_map(turn), 1..60)
}

fn ms(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn quarter_of(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(QUARTER_MILLIS) * QUARTER_MILLIS)
}

type Key = (Timestamp, usize, usize);

/// A device's ledger after some of its turns: whole totals by quarter, model and trigger.
fn totals<'t>(turns: impl Iterator<Item = &'t Turn>, middle: Timestamp) -> BTreeMap<Key, UsageRow> {
    let mut rows: BTreeMap<Key, UsageRow> = BTreeMap::new();
    for turn in turns {
        let quarter = quarter_of(middle.plus_millis(turn.minute * 60_000));
        let (provider, model) = MODELS[turn.model];
        let row = rows.entry((quarter, turn.model, turn.trigger)).or_insert_with(|| UsageRow {
            quarter,
            provider: provider.to_owned(),
            model: model.to_owned(),
            agent: "main".to_owned(),
            trigger: TRIGGERS[turn.trigger],
            turns: 0,
            error_turns: 0,
            unmetered_turns: 0,
            input: 0,
            output: 0,
            cache_read: 0,
            cache_write: 0,
            reasoning: 0,
            cost_nano_usd: 0,
            unpriced: 0,
        });
        let [input, output, cache_read, cache_write] = turn.tokens;
        row.turns += 1;
        row.input += input;
        row.output += output;
        row.cache_read += cache_read;
        row.cache_write += cache_write;
        if turn.priced {
            row.cost_nano_usd += turn.cost;
        } else {
            row.unpriced += turn.tokens.iter().sum::<u64>();
        }
    }
    rows
}

/// What the row comes to, written down once more and differently: prices per token in trillionths.
fn expected(row: &UsageRow) -> Counts {
    let whole = |n: u64| i64::try_from(n).unwrap();
    let tokens = row.input + row.output + row.cache_read + row.cache_write;
    let rates: Option<[u128; 4]> = match (row.provider.as_str(), row.model.as_str()) {
        ("anthropic", _) => Some([3_000_000, 15_000_000, 300_000, 3_750_000]),
        ("mock", "small") => Some([70_000, 111_000, 70_000, 70_000]),
        ("openai-codex", _) => Some([1_250_000, 10_000_000, 1_250_000, 1_250_000]),
        _ => None,
    };
    let mut counts = Counts {
        turns: whole(row.turns),
        input: whole(row.input),
        output: whole(row.output),
        cache_read: whole(row.cache_read),
        cache_write: whole(row.cache_write),
        cost_nano_usd: whole(row.cost_nano_usd),
        unpriced: whole(row.unpriced),
        ..Counts::default()
    };
    if let (Some(rates), true) = (rates, row.unpriced > 0) {
        let used = [row.input, row.output, row.cache_read, row.cache_write];
        let all: u128 = used.into_iter().zip(rates).map(|(count, rate)| u128::from(count) * rate).sum();
        let (share, of) = (all * u128::from(row.unpriced), u128::from(tokens) * 1000);
        counts.estimate_nano_usd = i64::try_from((share + of / 2) / of).unwrap();
        counts.estimated = counts.unpriced;
    }
    if row.provider == "openai-codex" {
        counts.flat_nano_usd = counts.cost_nano_usd + counts.estimate_nano_usd;
    }
    counts
}

fn message(device: DeviceId, spool: SpoolId, ledger: SpoolId, seq: u64, rows: Vec<UsageRow>) -> Record {
    let usage = Usage { v: 1, spool, seq, at: NOW, ledger, rows };
    usage.check().unwrap();
    Record { received_at: NOW, fact: Fact::Usage(device, Box::new(usage)), retain: None }
}

/// The local names of a quarter: hour, day, week, month, as a calendar says.
fn local(zone: &str, quarter: Timestamp) -> [String; 5] {
    let at = jiff::Timestamp::from_millisecond(quarter.0).unwrap().in_tz(zone).unwrap();
    let date = at.date();
    let monday = date.checked_sub(jiff::Span::new().days(date.weekday().to_monday_zero_offset())).unwrap();
    let clock = at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    [
        clock.clone(),
        at.strftime("%Y-%m-%dT%H:00:00%:z").to_string(),
        date.to_string(),
        monday.to_string(),
        at.strftime("%Y-%m").to_string(),
    ]
}

/// `+00:00` and `Z` are the same.
fn plain(text: &str) -> String {
    text.replace('Z', "+00:00")
}

struct Sent {
    devices: [DeviceId; 2],
    /// What was really used, by device.
    rows: Vec<(usize, UsageRow)>,
}

async fn compare(world: &World, zone_name: &str, span: (Timestamp, Timestamp), sent: &Sent) {
    let zone = Zone::parse(zone_name).unwrap();
    let question = |by, then_by, filter: &UsageFilter| UsageQuery {
        from: span.0,
        to: span.1,
        zone: zone.clone(),
        by,
        then_by,
        filter: filter.clone(),
        limit: 1000,
    };
    let name = |by: UsageBy, device: usize, row: &UsageRow| -> String {
        let [quarter, hour, day, week, month] = local(zone_name, row.quarter);
        match by {
            UsageBy::Quarter => plain(&quarter),
            UsageBy::Hour => plain(&hour),
            UsageBy::Day => day,
            UsageBy::Week => week,
            UsageBy::Month => month,
            UsageBy::Model => format!("{}/{}", row.provider, row.model),
            UsageBy::Provider => row.provider.clone(),
            UsageBy::Device => sent.devices[device].to_string(),
            UsageBy::Agent => row.agent.clone(),
            UsageBy::Trigger => row.trigger.as_str().to_owned(),
        }
    };
    let every = UsageFilter::default();
    let first = UsageFilter { devices: Some(vec![sent.devices[0]]), ..every.clone() };
    let mock =
        UsageFilter { provider: Some("mock".to_owned()), trigger: Some("cron".to_owned()), ..every.clone() };
    let both = UsageFilter { model: Some("gpt-x".to_owned()), ..first.clone() };
    for filter in [&every, &first, &mock, &both] {
        let fits = |device: usize, row: &UsageRow| {
            (quarter_of(span.0)..quarter_of(span.1)).contains(&row.quarter)
                && filter.devices.as_ref().is_none_or(|ids| ids.contains(&sent.devices[device]))
                && filter.provider.as_ref().is_none_or(|provider| *provider == row.provider)
                && filter.model.as_ref().is_none_or(|model| *model == row.model)
                && filter.trigger.as_ref().is_none_or(|trigger| trigger == row.trigger.as_str())
        };
        let pairs = [
            (UsageBy::Day, UsageBy::Model),
            (UsageBy::Model, UsageBy::Trigger),
            (UsageBy::Device, UsageBy::Month),
            (UsageBy::Device, UsageBy::Provider),
        ];
        let ways = UsageBy::ALL.map(|by| (by, None)).into_iter();
        for (by, then_by) in ways.chain(pairs.map(|(by, then)| (by, Some(then)))) {
            let mut wanted: BTreeMap<(String, Option<String>), Counts> = BTreeMap::new();
            for (device, row) in sent.rows.iter().filter(|(device, row)| fits(*device, row)) {
                let key = (name(by, *device, row), then_by.map(|by| name(by, *device, row)));
                *wanted.entry(key).or_default() += expected(row);
            }
            let groups = world.store.usage(&question(by, then_by, filter)).await.unwrap();
            let found: BTreeMap<(String, Option<String>), Counts> = groups
                .iter()
                .map(|g| ((plain(&g.key.clone().unwrap()), g.second.clone()), g.counts))
                .collect();
            assert_eq!(groups.len(), found.len(), "no name twice");
            assert_eq!(found, wanted, "{zone_name} {by:?} {then_by:?} {filter:?}");
        }
    }
}

fn check_totals(world: &World, zone_name: &str, now: Timestamp, sent: &Sent) {
    let days = Zone::parse(zone_name).unwrap().days(now);
    for (number, id) in sent.devices.iter().enumerate() {
        let rows = || sent.rows.iter().filter(|(device, _)| *device == number).map(|(_, row)| row);
        let used = world.store.device(*id).unwrap().usage;
        let total = rows().fold(Counts::default(), |sum, row| sum + expected(row));
        assert_eq!(used.as_ref().map_or(Counts::default(), |used| used.total), total);
        let today = local(zone_name, now)[2].clone();
        let of_today = rows().filter(|row| local(zone_name, row.quarter)[2] == today);
        let of_today = of_today.fold(Counts::default(), |sum, row| sum + expected(row));
        let found = used.as_ref().map_or(Counts::default(), |used| used.between(days.today, days.tomorrow));
        assert_eq!(found, of_today, "{zone_name}: today");
        let of_yesterday = rows().filter(|row| days.yesterday <= row.quarter && row.quarter < days.today);
        let of_yesterday = of_yesterday.fold(Counts::default(), |sum, row| sum + expected(row));
        let found = used.map_or(Counts::default(), |used| used.between(days.yesterday, days.today));
        assert_eq!(found, of_yesterday, "{zone_name}: yesterday");
    }
}

/// What the fleet had used at a moment of the past, by the devices' memory of it.
async fn check_past(world: &World, zone_name: &str, at: Timestamp, sent: &Sent) {
    let days = Zone::parse(zone_name).unwrap().days(at);
    let fleet = world.store.fleet_at(at, &days).await.unwrap();
    for (number, id) in sent.devices.iter().enumerate() {
        let sum = |from: Timestamp, to: Timestamp| {
            let of_span = |row: &UsageRow| from <= row.quarter && row.quarter < to && row.quarter <= at;
            let rows = sent.rows.iter().filter(|(device, row)| *device == number && of_span(row));
            rows.fold(Counts::default(), |sum, (_, row)| sum + expected(row))
        };
        let used = fleet.devices.iter().find(|device| device.id == *id).unwrap().usage.clone();
        let used = used.map_or_else(store::DeviceUsage::default, |used| (*used).clone());
        assert_eq!(
            used.between(days.today, days.tomorrow),
            sum(days.today, days.tomorrow),
            "today at {at:?}"
        );
        assert_eq!(used.between(days.yesterday, days.today), sum(days.yesterday, days.today), "yesterday");
        assert_eq!(used.total, sum(Timestamp(0), Timestamp(i64::MAX)), "in all at {at:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two devices use something around a moment at which clocks change; one of them loses its ledger on the way. What
    /// they tell arrives in any order, some of it twice, some of it in other batches. The price table comes before or after.
    #[test]
    fn what_is_shown_is_what_was_used(
        turns in turns(),
        place in 0..PLACES.len(),
        cuts in prop::collection::vec(0..61_usize, 0..4),
        order in prop::collection::vec(any::<u32>(), 40),
        priced_late in any::<bool>(),
        forgets in any::<bool>(),
        span in (-45 * 60..45 * 60_i64, -45 * 60..45 * 60_i64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (zone, middle) = (PLACES[place].0, ms(PLACES[place].1));
            let whole = (middle.plus_millis(-60 * DAY), middle.plus_millis(60 * DAY));
            let minute = |minute: i64| middle.plus_millis(minute * 60_000);
            let part = (minute(span.0.min(span.1)), minute(span.0.max(span.1)));
            let world = World::new().await;
            world.clock.set(middle);
            let devices = [world.device("one").await, world.device("two").await];
            if !priced_late {
                world.store.set_prices(Prices::parse(TABLE).unwrap()).await.unwrap();
            }
            let mut sent = Sent { devices, rows: Vec::new() };
            let mut records = Vec::new();
            for (number, id) in devices.iter().enumerate() {
                let of_device: Vec<Turn> = turns.iter().filter(|turn| turn.device == number).cloned().collect();
                let (spool, ledger) = (SpoolId::generate(), SpoolId::generate());
                let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (of_device.len() + 1)).collect();
                cuts.push(of_device.len());
                cuts.sort_unstable();
                let mut seq = 0;
                for cut in cuts {
                    seq += 1;
                    let rows = totals(of_device[..cut].iter(), middle).into_values().collect();
                    records.push(message(*id, spool, ledger, seq, rows));
                }
                let all = totals(of_device.iter(), middle);
                if forgets && number == 0 {
                    // A new ledger counts what is still on the disk: some of it, or all.
                    let left: Vec<UsageRow> =
                        all.values().filter(|row| row.quarter.0 / QUARTER_MILLIS % 2 == 0).cloned().collect();
                    records.push(message(*id, spool, SpoolId::generate(), seq + 1, left));
                }
                sent.rows.extend(all.into_values().map(|row| (number, row)));
            }
            let again: Vec<Record> = records.iter().step_by(2).cloned().collect();
            records.extend(again);
            let mut keyed: Vec<(u32, Record)> =
                records.into_iter().enumerate().map(|(i, record)| (order[i % order.len()], record)).collect();
            keyed.sort_by_key(|(key, _)| *key);
            for batch in keyed.chunks(3) {
                let batch: Vec<Record> = batch.iter().map(|(_, record)| record.clone()).collect();
                world.record(&batch).await;
            }
            if priced_late {
                world.store.set_prices(Prices::parse(TABLE).unwrap()).await.unwrap();
                world.store.reprice(&CancellationToken::new()).await.unwrap();
            }
            compare(&world, zone, whole, &sent).await;
            compare(&world, zone, part, &sent).await;
            check_totals(&world, zone, middle, &sent);
            check_past(&world, zone, minute(span.0.abs()), &sent).await;
            let world = world.reopen().await;
            check_totals(&world, zone, middle, &sent);
            // Without a device, the fleet's sums are without it.
            world.store.remove_device(&by(), devices[0]).await.unwrap().unwrap();
            sent.rows.retain(|(device, _)| *device == 1);
            compare(&world, zone, whole, &sent).await;
        });
    }
}

/// One row of ten tokens in, for each of these quarters from now and models.
async fn use_some(world: &World, device: DeviceId, rows: &[(i64, &str)]) {
    let row = |(quarter, model): &(i64, &str)| UsageRow {
        quarter: quarter_of(NOW).plus_millis(quarter * QUARTER_MILLIS),
        provider: "mock".to_owned(),
        model: (*model).to_owned(),
        agent: "main".to_owned(),
        trigger: UsageTrigger::Human,
        turns: 1,
        error_turns: 0,
        unmetered_turns: 0,
        input: 10,
        output: 0,
        cache_read: 0,
        cache_write: 0,
        reasoning: 0,
        cost_nano_usd: 0,
        unpriced: 10,
    };
    for (seq, rows) in (1..).zip(rows.chunks(400)) {
        let rows = rows.iter().map(row).collect();
        world.record(&[message(device, SpoolId::generate(), ledger_of(device), seq, rows)]).await;
    }
}

fn ledger_of(device: DeviceId) -> SpoolId {
    SpoolId::parse(&device.to_string()).unwrap()
}

fn table(usd: u32) -> Prices {
    let text = format!(
        "[[price]]\nprovider = \"mock\"\nmodel = \"*\"\nfrom = \"2000-01-01\"\ninput = {usd}\noutput = 0\n"
    );
    Prices::parse(&text).unwrap()
}

#[tokio::test]
async fn a_changed_table_changes_all_that_was_and_tells_the_news() {
    let world = World::new().await;
    let (one, two) = (world.device("one").await, world.device("two").await);
    let many: Vec<(i64, &str)> = (0..1200).map(|n| (-n, "small")).collect();
    use_some(&world, one, &many).await;
    use_some(&world, two, &[(-1, "small"), (0, "big")]).await;
    let total = |world: &World, id| world.store.device(id).unwrap().usage.unwrap().total;
    assert_eq!(total(&world, one).without_price(), 12_000);
    let stop = CancellationToken::new();
    world.store.set_prices(table(7)).await.unwrap();
    assert_eq!(total(&world, one).estimate_nano_usd, 0, "not yet");
    let mut feed = world.store.feed();
    // 1,202 rows in steps of 500: one device in the first two, both in the last.
    assert_eq!(world.store.reprice(&stop).await.unwrap(), 4);
    let mut told = Vec::new();
    while let Ok(Change::Devices(ids)) = feed.try_recv() {
        told.extend(ids.iter().copied());
    }
    assert!(told.contains(&one) && told.contains(&two));
    let after = total(&world, one);
    assert_eq!((after.estimate_nano_usd, after.estimated, after.without_price()), (1200 * 70_000, 12_000, 0));
    let recent = world.store.device(one).unwrap().usage.unwrap().recent.clone();
    assert!(recent.values().all(|counts| counts.estimate_nano_usd == 70_000));
    assert_eq!(world.store.reprice(&stop).await.unwrap(), 0, "once is enough");
    // A table that means the same is no change.
    world.store.set_prices(table(7).from_file("prices.toml")).await.unwrap();
    assert_eq!(world.store.reprice(&stop).await.unwrap(), 0);
    let world = world.reopen().await;
    assert_eq!(total(&world, one), after);
}

#[tokio::test]
async fn an_interrupted_change_of_prices_is_finished_after_the_restart() {
    let world = World::new().await;
    let one = world.device("one").await;
    let many: Vec<(i64, &str)> = (0..1200).map(|n| (-n, "small")).collect();
    use_some(&world, one, &many).await;
    let stop = CancellationToken::new();
    world.store.set_prices(table(7)).await.unwrap();
    world.store.reprice(&stop).await.unwrap();
    // The first step tells its news, and that is the end of it.
    world.store.set_prices(table(9)).await.unwrap();
    let mut feed = world.store.feed();
    let first = async {
        feed.recv().await.unwrap();
        stop.cancel();
    };
    let (done, ()) = tokio::join!(world.store.reprice(&stop), first);
    // What was under way when it was told to stop was finished.
    let (done, whole) = (i64::try_from(done.unwrap()).unwrap(), 1200);
    assert!((1..=2).contains(&done));
    let total = |world: &World| world.store.device(one).unwrap().usage.unwrap().total.estimate_nano_usd;
    let half = 500 * done * 90_000 + (whole - 500 * done) * 70_000;
    assert_eq!(total(&world), half);
    // The old table is back before it was finished: what the new one did must go.
    let world = world.reopen().await;
    assert_eq!(total(&world), half);
    world.store.set_prices(table(7)).await.unwrap();
    world.store.reprice(&CancellationToken::new()).await.unwrap();
    assert_eq!(total(&world), 1200 * 70_000);
    let world = world.reopen().await;
    assert_eq!(total(&world), 1200 * 70_000);
}

#[tokio::test]
async fn what_a_limit_leaves_over_is_one_group() {
    let world = World::new().await;
    let (one, two) = (world.device("one").await, world.device("two").await);
    use_some(&world, one, &[(0, "a"), (-1, "a"), (-2, "a"), (-1, "b"), (0, "b"), (0, "c"), (0, "d")]).await;
    use_some(&world, two, &[(0, "d"), (-96, "d")]).await;
    let question = |by, then_by, limit| UsageQuery {
        from: NOW.plus_millis(-2 * DAY),
        to: NOW.plus_millis(DAY),
        zone: Zone::utc(),
        by,
        then_by,
        filter: UsageFilter::default(),
        limit,
    };
    let ask = async |by, then_by, limit| {
        let groups = world.store.usage(&question(by, then_by, limit)).await.unwrap();
        let short = |name: Option<String>| name.unwrap_or_else(|| "other".to_owned());
        groups
            .into_iter()
            .map(|g| (short(g.key), short(g.second), g.others, g.counts.turns))
            .collect::<Vec<_>>()
    };
    let group = |a: &str, b: &str, others, turns| (a.to_owned(), b.to_owned(), others, turns);
    // Of equals the first by name; time is not cut.
    assert_eq!(
        ask(UsageBy::Model, None, 2).await,
        [group("mock/a", "other", 0, 3), group("mock/d", "other", 0, 3), group("other", "other", 2, 3)]
    );
    let today = Zone::utc().date(NOW).to_string();
    let yesterday = Zone::utc().date(NOW.plus_millis(-DAY)).to_string();
    assert_eq!(
        ask(UsageBy::Day, Some(UsageBy::Model), 1).await,
        [group(&yesterday, "other", 1, 1), group(&today, "mock/a", 0, 3), group(&today, "other", 3, 5),]
    );
    let by_device = ask(UsageBy::Device, Some(UsageBy::Model), 1).await;
    assert_eq!(
        by_device,
        [
            group(&one.to_string(), "mock/a", 0, 3),
            group(&one.to_string(), "other", 3, 4),
            group("other", "other", 1, 2),
        ]
    );
}

#[tokio::test]
async fn a_summary_knows_the_days_and_what_is_usual() {
    let world = World::new().await;
    let one = world.device("one").await;
    // By the clock of Berlin it is 09:00 on Friday, 15 January 2027.
    let zone = Zone::parse("Europe/Berlin").unwrap();
    let every = UsageFilter::default();
    assert_eq!(local("Europe/Berlin", NOW)[0], "2027-01-15T09:00:00+01:00");
    let early = world.store.usage_summary(&zone, &every).await.unwrap();
    assert!(early.forecast.is_none() && early.usual_today.is_none());
    // Every day since the 12th once at 08:00 and once at 22:00, and on the last evening of December.
    let quarter = |day: i64, hour: i64| day * 96 + (hour - 9) * 4;
    let mut rows = vec![(quarter(-15, 22), "a"), (quarter(0, 8), "b")];
    rows.extend((-3..0).flat_map(|day| [(quarter(day, 8), "a"), (quarter(day, 22), "a")]));
    use_some(&world, one, &rows).await;
    world.store.set_prices(table(1)).await.unwrap();
    world.store.reprice(&CancellationToken::new()).await.unwrap();
    let summary = world.store.usage_summary(&zone, &every).await.unwrap();
    let tokens = [summary.today, summary.yesterday, summary.this_month, summary.last_month, summary.total];
    assert_eq!(tokens.map(|counts| counts.tokens()), [10, 20, 70, 10, 80]);
    // Of the seven days before, three had 10 by nine o'clock, and four nothing.
    let usual = summary.usual_today.unwrap();
    assert_eq!((usual.tokens, usual.spent_nano_usd), (0, 0));
    // 60 tokens in seven days; 16 more days come.
    let forecast = summary.forecast.unwrap();
    assert_eq!(forecast.days, 7);
    assert!((forecast.tokens.mean - (70.0 + 16.0 * 60.0 / 7.0)).abs() < 1e-6, "{forecast:?}");
    assert!((forecast.spent_nano_usd.mean - 1000.0 * forecast.tokens.mean).abs() < 1e-3);
    assert!(forecast.tokens.low >= 70.0 && forecast.tokens.low < forecast.tokens.mean);
    // Without December there are only three full days.
    let b = UsageFilter { model: Some("b".to_owned()), ..every.clone() };
    let of_b = world.store.usage_summary(&zone, &b).await.unwrap();
    assert_eq!((of_b.total.tokens(), of_b.today.tokens(), of_b.forecast), (10, 10, None));
    let models = world.store.unpriced_models(Timestamp(0), 10).await.unwrap();
    assert_eq!(models, []);
    world.store.set_prices(Prices::default()).await.unwrap();
    world.store.reprice(&CancellationToken::new()).await.unwrap();
    let models = world.store.unpriced_models(Timestamp(0), 1).await.unwrap();
    assert_eq!((models.len(), models[0].model.as_str(), models[0].tokens), (1, "a", 70));
    assert_eq!(models[0].last_used_at, quarter_of(NOW).plus_millis(quarter(-1, 22) * QUARTER_MILLIS));
}

#[tokio::test]
async fn what_an_older_version_wrote_is_added_up_and_priced() {
    let world = World::new().await;
    let (one, two) = (world.device("one").await, world.device("two").await);
    use_some(&world, one, &[(0, "a"), (-1, "a"), (-96, "b")]).await;
    use_some(&world, two, &[(0, "a"), (-200, "c")]).await;
    world.store.close().await;
    // Back to how it was before there were prices.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.store.path());
    let mut old = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let sql = "DROP TRIGGER usage_row_added; DROP TRIGGER usage_row_changed; DROP TRIGGER usage_row_removed;
               DROP TABLE usage_fleet; DROP TABLE usage_day; DROP TABLE usage_word; DROP TABLE usage_prices;
               ALTER TABLE usage_kind DROP COLUMN word_no; ALTER TABLE usage DROP COLUMN word_no;
               ALTER TABLE usage DROP COLUMN estimate_nano_usd; ALTER TABLE usage DROP COLUMN estimated;
               ALTER TABLE usage DROP COLUMN flat_nano_usd; ALTER TABLE usage_total DROP COLUMN estimate_nano_usd;
               ALTER TABLE usage_total DROP COLUMN estimated; ALTER TABLE usage_total DROP COLUMN flat_nano_usd;
               DELETE FROM _sqlx_migrations WHERE version = 5";
    sqlx::raw_sql(sql).execute(&mut old).await.unwrap();
    sqlx::Connection::close(old).await.unwrap();
    let world = World { store: Store::open(config(&world.dir), world.clock.clone()).await.unwrap(), ..world };
    world.store.set_prices(table(2)).await.unwrap();
    world.store.reprice(&CancellationToken::new()).await.unwrap();
    use_some(&world, two, &[(0, "b")]).await;
    let ask = async |by| {
        let (from, to, zone) = (NOW.plus_millis(-9 * DAY), NOW.plus_millis(DAY), Zone::utc());
        let filter = UsageFilter::default();
        let question = UsageQuery { from, to, zone, by, then_by: None, filter, limit: 10 };
        let groups = world.store.usage(&question).await.unwrap();
        groups
            .into_iter()
            .map(|g| (g.key.unwrap(), g.counts.tokens(), g.counts.estimate_nano_usd))
            .collect::<Vec<_>>()
    };
    let model = |name: &str, tokens: i64| (format!("mock/{name}"), tokens, 2000 * tokens);
    assert_eq!(ask(UsageBy::Model).await, [model("a", 30), model("b", 20), model("c", 10)]);
    let mut devices = [(one.to_string(), 30, 60_000), (two.to_string(), 30, 60_000)];
    devices.sort();
    assert_eq!(ask(UsageBy::Device).await, devices);
    assert_eq!(world.store.device(two).unwrap().usage.unwrap().total.estimate_nano_usd, 60_000);
}

/// How long questions about a large fleet take: run with `--ignored --nocapture`. Makes 6 million rows.
#[tokio::test]
#[ignore = "takes minutes; prints times"]
async fn a_month_of_ten_thousand_devices() {
    use std::time::Instant;
    let (world, started) = (World::new().await, Instant::now());
    world.store.fill_usage(10_000, 30, 20, NOW.0 / QUARTER_MILLIS).await.unwrap();
    println!("6 million rows made in {:?}", started.elapsed());
    let started = Instant::now();
    let world = world.reopen().await;
    println!("opened in {:?}", started.elapsed());
    let zone = Zone::parse("Europe/Berlin").unwrap();
    let month = |by, then_by, filter: UsageFilter| UsageQuery {
        from: NOW.plus_millis(-31 * DAY),
        to: NOW.plus_millis(DAY),
        zone: zone.clone(),
        by,
        then_by,
        filter,
        limit: 10,
    };
    let every = UsageFilter::default;
    let devices = world.store.devices();
    let some =
        |n: usize| UsageFilter { devices: Some(devices.iter().take(n).map(|d| d.id).collect()), ..every() };
    for (what, question) in [
        ("fleet by day", month(UsageBy::Day, None, every())),
        ("fleet by hour", month(UsageBy::Hour, None, every())),
        ("fleet by model", month(UsageBy::Model, None, every())),
        ("fleet by day, model", month(UsageBy::Day, Some(UsageBy::Model), every())),
        ("one device by day", month(UsageBy::Day, None, some(1))),
        ("100 devices by day", month(UsageBy::Day, None, some(100))),
        ("1000 devices by day", month(UsageBy::Day, None, some(1000))),
        ("fleet by device", month(UsageBy::Device, None, every())),
        (
            "fleet by device, one model",
            month(UsageBy::Device, None, UsageFilter { model: Some("small".into()), ..every() }),
        ),
    ] {
        for _ in 0..2 {
            let started = Instant::now();
            let answer = world.store.usage(&question).await;
            println!("{what}: {:?} {:?}", started.elapsed(), answer.map(|groups| groups.len()));
        }
    }
    for days in [1, 29] {
        let (at, started) = (NOW.plus_millis(-days * DAY), Instant::now());
        let fleet = world.store.fleet_at(at, &zone.days(at)).await;
        println!(
            "the fleet {days} days ago: {:?} {:?}",
            started.elapsed(),
            fleet.map(|fleet| fleet.devices.len())
        );
    }
    let started = Instant::now();
    world.store.usage_summary(&zone, &every()).await.unwrap();
    println!("summary of the fleet: {:?}", started.elapsed());
}
