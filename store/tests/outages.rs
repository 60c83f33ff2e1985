//! Outages: each once, with what it was, and what they leave of the time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod common;

use common::*;
use protocol::{
    BootId, DeviceId, Event, EventKind, Events, GatewayState, Host, OpenClaw, Presence, SpoolId, Timestamp,
};
use store::{EventFilter, Fact, Outage, OutageFilter, OutageLabel, Page, Place, Record};

const MINUTE: i64 = 60_000;

fn at(minutes: i64) -> Timestamp {
    NOW.plus_millis(minutes * MINUTE)
}

fn born(id: DeviceId, epoch: u64, boot: &str, minutes: i64) -> Record {
    let boot = Some(BootId(boot.to_owned()));
    presence(id, Presence::birth(epoch, at(minutes), "1.2.3", boot, Host::default()), at(minutes))
}

fn told(id: DeviceId, spool: SpoolId, seq: u64, minutes: i64, kind: EventKind) -> Record {
    let event = serde_json::json!({ "at": at(minutes), "kind": kind });
    let event: Event = serde_json::from_value(event).unwrap();
    let events = Events { v: 1, spool, seq, at: at(minutes), events: vec![event] };
    Record { received_at: at(minutes), fact: Fact::Events(id, Box::new(events)), retain: None }
}

async fn all(world: &World, id: DeviceId) -> Vec<Outage> {
    let filter = OutageFilter { device: Some(id), ..OutageFilter::default() };
    world.store.outages(&filter, 100).await.unwrap()
}

#[tokio::test]
async fn an_outage_is_labelled_when_the_device_returns_and_again_when_its_backlog_says_more() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    world.record(&[born(id, 1, "a", 0), will(id, 1, at(10))]).await;
    world.clock.set(at(11));
    let lasting = all(&world, id).await;
    assert_eq!((lasting.len(), lasting[0].from, lasting[0].to, lasting[0].label), (1, at(10), None, None));
    assert_eq!(world.store.label_outages().await.unwrap(), []);
    // Back, on the same boot, with nothing else known: its agent may have hung for all that.
    world.record(&[born(id, 2, "a", 30)]).await;
    world.clock.set(at(30));
    assert_eq!(world.store.label_outages().await.unwrap(), [id]);
    let over = all(&world, id).await.remove(0);
    assert_eq!((over.to, over.label, over.openclaw_kept_running), (Some(at(30)), None, None));
    assert_eq!(world.store.label_outages().await.unwrap(), [], "nothing new");
    // An agent that goes on measures before it is connected.
    let mut waking = a_report(spool, 9, at(30).plus_millis(-100));
    waking.historical = true;
    world.record(&[report(id, &waking, at(30))]).await;
    world.store.label_outages().await.unwrap();
    assert_eq!(all(&world, id).await[0].label, None);
    // What it measured meanwhile says that it was the network, and that OpenClaw ran on ...
    let measured = |seq: u64, minutes: i64, state: GatewayState| {
        let mut one = a_report(spool, seq, at(minutes));
        one.historical = true;
        one.openclaw = Some(OpenClaw { state, ..OpenClaw::default() });
        report(id, &one, at(31))
    };
    world.record(&[measured(1, 15, GatewayState::Running), measured(2, 29, GatewayState::Running)]).await;
    assert_eq!(world.store.label_outages().await.unwrap(), [id]);
    let over = all(&world, id).await.remove(0);
    assert_eq!((over.label, over.openclaw_kept_running), (Some(OutageLabel::NetworkOnly), Some(true)));
    // ... and then that it did not, and that the machine slept. Settled or not.
    world
        .record(&[measured(3, 20, GatewayState::Stopped), told(id, spool, 4, 12, EventKind::HostSlept)])
        .await;
    world.store.settle_all().await.unwrap();
    world.store.label_outages().await.unwrap();
    let over = all(&world, id).await.remove(0);
    assert_eq!((over.label, over.openclaw_kept_running), (Some(OutageLabel::MachineSlept), Some(false)));
    // What comes much later changes nothing any more.
    world.clock.set(at(30 + 61));
    world.record(&[told(id, spool, 5, 14, EventKind::HostRebooted)]).await;
    assert_eq!(world.store.label_outages().await.unwrap(), []);
}

#[tokio::test]
async fn a_short_outage_of_a_device_without_openclaw_says_nothing_of_openclaw() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let back = Presence::birth(2, at(10), "1.2.3", None, Host::default());
    world
        .record(&[born(id, 1, "a", 0), will(id, 1, at(9)), presence(id, back, at(9).plus_millis(500))])
        .await;
    let mut one = a_report(spool, 1, at(9).plus_millis(100));
    one.historical = true;
    let state = GatewayState::NotInstalled;
    one.openclaw = Some(OpenClaw { state, ..OpenClaw::default() });
    world.record(&[report(id, &one, at(10))]).await;
    world.clock.set(at(10));
    world.store.label_outages().await.unwrap();
    let over = all(&world, id).await.remove(0);
    assert_eq!((over.label, over.openclaw_kept_running), (Some(OutageLabel::NetworkOnly), None));
}

#[tokio::test]
async fn a_server_that_was_killed_was_there_as_long_as_it_recorded() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    world.store.begin_run("1.0.0").await.unwrap();
    world.record(&[born(id, 1, "a", 0)]).await;
    world.clock.set(at(10));
    world.store.note_alive().await.unwrap();
    world.record(&[report(id, &a_report(spool, 1, at(12)), at(12))]).await;
    let world = World { store: world.second().await, ..world };
    world.clock.set(at(20));
    let last = world.store.begin_run("1.0.0").await.unwrap().unwrap();
    assert_eq!((last.ended_at, last.clean), (at(12), false));
    assert_eq!(world.store.down_spans(at(0), at(60)).await.unwrap(), [(at(12), at(20))]);
    // Not longer than until now, and not shorter than it noted.
    world.record(&[report(id, &a_report(spool, 2, at(11)), at(11))]).await;
    world.clock.set(at(30));
    assert_eq!(world.store.begin_run("1.0.0").await.unwrap().unwrap().ended_at, at(20));
}

#[tokio::test]
async fn another_boot_is_a_reboot_and_a_goodbye_is_the_agent() {
    let world = World::new().await;
    let id = world.device("one").await;
    world.record(&[born(id, 1, "a", 0), will(id, 1, at(1)), born(id, 2, "b", 2)]).await;
    world.record(&[farewell(id, 2, at(5)), born(id, 3, "b", 6)]).await;
    world.clock.set(at(7));
    world.store.label_outages().await.unwrap();
    let labels: Vec<_> = all(&world, id).await.into_iter().map(|o| (o.from, o.label.unwrap())).collect();
    assert_eq!(labels, [(at(5), OutageLabel::AgentRestarted), (at(1), OutageLabel::HostRebooted)]);
    let world = world.reopen().await;
    // A second birth is no outage, and an old will neither.
    world.record(&[born(id, 4, "b", 8), will(id, 2, at(9))]).await;
    assert_eq!(all(&world, id).await.len(), 2);
    // Newest first, in pages, of a time, of a kind.
    let pick = async |filter: OutageFilter, limit| {
        let found = world.store.outages(&filter, limit).await.unwrap();
        found.into_iter().map(|o| o.from).collect::<Vec<_>>()
    };
    let any = OutageFilter::default;
    assert_eq!(pick(any(), 1).await, [at(5)]);
    let first = world.store.outages(&any(), 1).await.unwrap().remove(0);
    assert_eq!(
        pick(OutageFilter { after: Some(Place { at: first.from, no: first.no }), ..any() }, 9).await,
        [at(1)]
    );
    assert_eq!(pick(OutageFilter { from: Some(at(3)), ..any() }, 9).await, [at(5)]);
    assert_eq!(pick(OutageFilter { to: Some(at(3)), ..any() }, 9).await, [at(1)]);
    assert_eq!(pick(OutageFilter { labels: vec![OutageLabel::HostRebooted], ..any() }, 9).await, [at(1)]);
}

#[tokio::test]
async fn uptime_leaves_out_the_time_before_the_first_birth_and_the_servers_own() {
    let world = World::new().await;
    let id = world.device("one").await;
    assert_eq!(world.store.begin_run("1.0.0").await.unwrap(), None);
    world.record(&[born(id, 1, "a", 10), will(id, 1, at(20)), born(id, 2, "a", 30)]).await;
    // Killed at some time after its last note.
    world.clock.set(at(40));
    world.store.note_alive().await.unwrap();
    world.clock.set(at(50));
    let last = world.store.begin_run("1.0.1").await.unwrap().unwrap();
    assert_eq!((last.ended_at, last.clean, last.version.as_str()), (at(40), false, "1.0.0"));
    world.clock.set(at(60));
    world.store.end_run().await.unwrap();
    world.clock.set(at(61));
    let last = world.store.begin_run("1.0.1").await.unwrap().unwrap();
    assert_eq!((last.ended_at, last.clean), (at(60), true));
    let told =
        world.store.fleet_events(&EventFilter::default(), Page { after: None, limit: 20 }).await.unwrap();
    let told: Vec<_> =
        told.iter().rev().map(|e| (e.kind.as_str(), e.event.at, e.event.duration_ms)).collect();
    assert_eq!(
        told,
        [
            ("server_started", at(0), None),
            ("server_crashed", at(40), Some(10 * 60_000)),
            ("server_upgraded", at(50), None),
            ("server_started", at(50), None),
            ("server_stopped", at(60), None),
            ("server_started", at(61), None),
        ]
    );
    world.clock.set(at(70));
    let spans = world.store.down_spans(at(0), at(100)).await.unwrap();
    assert_eq!(spans, [(at(40), at(50)), (at(60), at(61))]);
    let windows = [(at(0), at(100)), (at(0), at(10)), (at(15), at(25)), (at(40), at(50))];
    let found = world.store.uptimes(id, &windows).await.unwrap().unwrap();
    let minutes: Vec<_> = found.iter().map(|u| (u.online_ms / MINUTE, u.offline_ms / MINUTE)).collect();
    assert_eq!(minutes, [(39, 10), (0, 0), (5, 5), (0, 0)]);
    assert_eq!(world.store.uptimes(DeviceId::generate(), &windows).await.unwrap(), None);
}

/// Online, since how many minutes, and what its last sample says.
type Seen<'a> = (bool, i64, Option<(u64, GatewayState, &'a str)>);

#[tokio::test]
async fn the_fleet_is_shown_as_it_was() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let said = |seq: u64, minutes: i64, state: GatewayState, version: &str, late: bool| {
        let mut one = a_report(spool, seq, at(minutes));
        one.historical = late;
        one.memory.used_bytes = Some(seq << 20);
        one.openclaw = Some(OpenClaw { state, version: Some(version.to_owned()), ..OpenClaw::default() });
        report(id, &one, at(if late { 100 } else { minutes }))
    };
    world.record(&[born(id, 1, "a", 10), said(1, 10, GatewayState::Running, "2026.9.5", false)]).await;
    world.record(&[said(2, 20, GatewayState::Hung, "2026.9.6", false), will(id, 1, at(22))]).await;
    world.clock.set(at(40));
    let two = world.device("two").await;
    world.record(&[born(id, 2, "a", 60), said(4, 60, GatewayState::Running, "2026.9.6", false)]).await;
    world.record(&[said(3, 30, GatewayState::Stopped, "2026.9.6", true)]).await;
    let days = store::Zone::utc().days(NOW);
    for settled in [false, true] {
        if settled {
            world.store.settle_all().await.unwrap();
        }
        let check = async |minutes: i64, expected: Option<Seen<'_>>| {
            let fleet = world.store.fleet_at(at(minutes), &days).await.unwrap();
            let device = fleet.devices.iter().find(|d| d.id == id);
            let found = device.and_then(|device| {
                let presence = device.presence.as_ref()?;
                let latest = device.latest.as_ref().map(|latest| {
                    let claw = latest.openclaw.as_deref().unwrap();
                    (latest.memory_used.unwrap() >> 20, claw.state, claw.version.clone().unwrap())
                });
                Some((presence.online, presence.since.millis_since(NOW) / MINUTE, latest))
            });
            let expected = expected
                .map(|(a, b, c)| (a, b, c.map(|(seq, state, version)| (seq, state, version.to_owned()))));
            assert_eq!(found, expected, "at {minutes}, settled: {settled}");
            fleet.devices.len()
        };
        assert_eq!(check(-1, None).await, 0, "it was not there");
        assert_eq!(check(5, None).await, 1, "never seen");
        check(10, Some((true, 10, Some((1, GatewayState::Running, "2026.9.5"))))).await;
        check(21, Some((true, 10, Some((2, GatewayState::Hung, "2026.9.6"))))).await;
        check(22, Some((false, 22, Some((2, GatewayState::Hung, "2026.9.6"))))).await;
        // What it could only tell later.
        assert_eq!(check(35, Some((false, 22, Some((3, GatewayState::Stopped, "2026.9.6"))))).await, 1);
        assert_eq!(check(60, Some((true, 60, Some((4, GatewayState::Running, "2026.9.6"))))).await, 2);
        assert_eq!(world.store.fleet_at(at(60), &days).await.unwrap().devices[1].id, two);
    }
    // When the samples are gone, the ladder remembers.
    let horizon = store::Horizon { raw: at(120).0, ..store::Horizon::default() };
    world.store.set_horizon(horizon).await.unwrap();
    let fleet = world.store.fleet_at(at(12), &days).await.unwrap();
    assert_eq!((fleet.rung, fleet.server_down), (store::Rung::FiveMinutes, false));
    let latest = fleet.devices[0].latest.clone().unwrap();
    assert_eq!((latest.at, latest.memory_used), (at(10), Some(1 << 20)));
}
