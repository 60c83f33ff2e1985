//! Filling an empty folder, through the store as the recorder uses it, with a clock that is moved by hand.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, ensure};
use protocol::{ApiKey, Clock, Timestamp, TopicRoot};
use serde_json::json;
use store::{Actor, Deed, DeviceKind, ErrorState, NewKey, Record, Role, Settled, Store, Subject};

use crate::alerts;
use crate::cast::machines;
use crate::cli::Fill;
use crate::dice::hash;
use crate::errors;
use crate::keys::{Kept, Known};
use crate::life::{DAY, Down, HOUR, MINUTE, downs};
use crate::say;
use crate::teller::Teller;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// From a block of addresses that is nobody's.
fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

fn lin() -> Actor {
    Actor::user("lin", address(24))
}

fn chen() -> Actor {
    Actor::user("chen", address(31))
}

/// Something that people, or those who judge, do at a moment.
enum Doing {
    Login(Actor),
    Refused(&'static str),
    Backup,
    Reader,
    Token,
    Rotate(usize),
    Rename(usize),
    Tag(usize),
    State(&'static str, ErrorState),
    /// An alert of a machine's trouble fires,
    Fire(usize, usize),
    /// somebody takes note of it,
    Acknowledge(usize, usize),
    /// and it is over.
    Resolve(usize, usize),
}

fn doings(end: i64, days: i64) -> Vec<(i64, Doing)> {
    let ago = |days: i64, hours: i64| end - days * DAY - hours * HOUR;
    let mut list: Vec<(i64, Doing)> = (1..days).map(|day| (ago(day, 5), Doing::Backup)).collect();
    list.extend((0..days).filter(|day| day % 3 == 1).map(|day| (ago(day, 2), Doing::Login(lin()))));
    list.extend([
        (ago(1, 6), Doing::Login(chen())),
        (ago(9, 1), Doing::Refused("lin")),
        (ago(2, 20), Doing::Refused("root")),
        (ago(20, 0), Doing::Reader),
        (ago(12, 3), Doing::Token),
        (ago(5, 4), Doing::Rotate(3)),
        (ago(8, 9), Doing::Rename(5)),
        (ago(1, 7), Doing::Tag(9)),
        (ago(4, 2), Doing::State(errors::NOISE, ErrorState::Ignored)),
        (ago(3, 1), Doing::State(errors::MENDED, ErrorState::Resolved)),
        (ago(0, 2), Doing::State(errors::MENDED_TODAY, ErrorState::Resolved)),
    ]);
    list.sort_by_key(|(at, _)| *at);
    list
}

/// What somebody would have been told of.
fn told(tellers: &[Teller], end: i64) -> Vec<(i64, Doing)> {
    let mut list = Vec::new();
    for (n, teller) in tellers.iter().enumerate() {
        for (i, incident) in teller.life.incidents.iter().enumerate() {
            let Some((at, ..)) = alerts::of(&teller.machine, incident, end) else { continue };
            list.push((at, Doing::Fire(n, i)));
            // Somebody is there at times.
            if hash(teller.machine.seed, incident.from.cast_unsigned()).is_multiple_of(3) {
                list.push((at + 3 * MINUTE, Doing::Acknowledge(n, i)));
            }
            list.push((incident.to, Doing::Resolve(n, i)));
        }
    }
    list.retain(|(at, _)| *at < end);
    list
}

struct World {
    store: Store,
    clock: Clock,
    tellers: Vec<Teller>,
    doings: Vec<(i64, Doing)>,
    /// Numbers of alerts, by whose and which trouble.
    alerts: HashMap<(usize, usize), i64>,
    end: i64,
    recorded: usize,
}

/// Fills the folder; the present is `now`.
pub(crate) async fn fill(cli: &Fill, now: Timestamp) -> anyhow::Result<()> {
    let folder = &cli.data_dir;
    let there = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!there, "{} is not empty: give a new folder, nothing is overwritten", folder.display());
    let (end, days) = (now.0 / 1_000 * 1_000, i64::from(cli.days));
    let start = end - days * DAY;
    let clock = Clock::manual(Timestamp(start));
    let config = store::Config {
        data_dir: folder.clone(),
        create: true,
        topic_root: TopicRoot::default(),
        readers: 2,
    };
    let store = Store::open(config, clock.clone()).await?;
    let machines = machines(usize::from(cli.devices), cli.seed, cli.hostile);
    let tellers: Vec<Teller> =
        machines.into_iter().enumerate().map(|(n, machine)| Teller::new(machine, n, end, days)).collect();
    let mut doings = doings(end, days);
    doings.extend(told(&tellers, end));
    doings.retain(|(at, _)| *at > start + HOUR);
    doings.sort_by_key(|(at, _)| *at);
    let mut world =
        World { store: store.clone(), clock, tellers, doings, alerts: HashMap::new(), end, recorded: 0 };
    store.begin_run(VERSION).await?;
    world.run(start, end, &downs(end, days)).await?;
    settle(&store).await?;
    store.note_alive().await?;
    store.end_run().await?;
    let keys = world.tellers.iter().filter_map(|teller| {
        let key = teller.key.as_ref()?.reveal().to_owned();
        Some(Known { name: teller.machine.name.clone(), key, ledger: teller.ledger })
    });
    let kept = Kept {
        seed: cli.seed,
        devices: cli.devices,
        days: cli.days,
        hostile: cli.hostile,
        end,
        keys: keys.collect(),
    };
    kept.write(folder)?;
    store.close().await;
    say(&format!("{} messages of {} devices in {}", world.recorded, world.tellers.len(), folder.display()));
    Ok(())
}

async fn settle(store: &Store) -> Result<(), store::Error> {
    // What was under way, and then the rest.
    for _ in 0..2 {
        while store.settle(20_000).await? == Settled::Partly {}
    }
    Ok(())
}

impl World {
    async fn run(&mut self, start: i64, end: i64, downs: &[Down]) -> anyhow::Result<()> {
        let (mut from, mut after, mut told) = (start, None::<Down>, start);
        while from < end {
            let hour = (from.div_euclid(HOUR) + 1) * HOUR;
            let down = downs.iter().find(|down| (from..hour).contains(&down.from));
            let to = down.map_or(hour, |down| down.from).min(end);
            self.hour(from, to, after.take()).await?;
            from = to;
            if let Some(down) = down {
                if !down.crashed {
                    self.store.end_run().await?;
                }
                self.clock.set(Timestamp(down.to));
                self.store.begin_run(VERSION).await?;
                (from, after) = (down.to, Some(*down));
            }
            if from - told >= DAY {
                told = from;
                settle(&self.store).await?;
                say(&format!("day {} of {}", (from - start) / DAY, (end - start) / DAY));
            }
        }
        Ok(())
    }

    async fn hour(&mut self, from: i64, to: i64, after: Option<Down>) -> anyhow::Result<()> {
        self.add_devices(to).await?;
        let prices = self.store.prices();
        let told = self.tellers.iter_mut().flat_map(|teller| teller.tell(from, to, after, &prices));
        let mut records: Vec<Record> = told.collect();
        records.sort_by_key(|record| record.received_at);
        self.recorded += records.len();
        self.clock.set(Timestamp(to));
        self.store.record(&records).await.context("recording")?;
        self.store.label_outages().await?;
        self.store.note_alive().await?;
        let later = self.doings.iter().position(|(at, _)| *at >= to).unwrap_or(self.doings.len());
        for (at, doing) in self.doings.drain(..later).collect::<Vec<_>>() {
            self.clock.set(Timestamp(at.max(from)));
            self.act(doing).await?;
        }
        self.clock.set(Timestamp(to));
        Ok(())
    }

    async fn add_devices(&mut self, before: i64) -> anyhow::Result<()> {
        for (n, teller) in self.tellers.iter_mut().enumerate() {
            if teller.key.is_some() || teller.life.born >= before {
                continue;
            }
            self.clock.set(Timestamp(teller.life.born));
            let by = match n % 5 {
                0 => Actor::cli("ops"),
                1 => chen(),
                _ => lin(),
            };
            let (name, tags) = (&teller.machine.name, &teller.machine.tags);
            let (_, key) = self.store.add_device(&by, name, tags, DeviceKind::Agent).await??;
            teller.key = Some(key);
        }
        Ok(())
    }

    async fn act(&mut self, doing: Doing) -> anyhow::Result<()> {
        let store = &self.store;
        let id = |n: usize| self.tellers.get(n).and_then(|t| t.key.as_ref()).map(ApiKey::subject);
        match doing {
            Doing::Login(by) => {
                let deed = Deed { action: "login.ok", subject: None, before: None, after: None };
                store.note(&by, &deed).await?;
            }
            Doing::Refused(name) => {
                for _ in 0..7 {
                    store.note_refused_login(name, address(200)).await?;
                }
            }
            Doing::Backup => {
                let name = "daily.sqlite";
                let deed = Deed {
                    action: "backup",
                    subject: Some(Subject { kind: "file", id: name, name }),
                    before: None,
                    after: Some(json!({ "bytes": 41_000_000 + self.recorded * 90 })),
                };
                store.note(&Actor::server(), &deed).await?;
            }
            Doing::Reader => {
                store.add_key(&lin(), "home-assistant", NewKey::Reader(Vec::new())).await??;
            }
            Doing::Token => {
                let token = protocol::KeyHash::of(protocol::new_secret().as_bytes());
                store.add_token(&Actor::cli("ops"), &token, Role::Viewer, "grafana", None).await?;
            }
            Doing::Rotate(n) => {
                if let Some(id) = id(n)
                    && let Ok(key) = store.rotate_key(&chen(), id, 0).await?
                    && let Some(teller) = self.tellers.get_mut(n)
                {
                    teller.key = Some(key);
                }
            }
            Doing::Rename(n) => {
                if let (Some(id), Some(teller)) = (id(n), self.tellers.get(n)) {
                    let name = teller.machine.name.clone();
                    store.change_device(&lin(), id, Some("mac mini (desk 4)"), None, None).await??;
                    store.change_device(&lin(), id, Some(&name), None, None).await??;
                }
            }
            Doing::Tag(n) => {
                if let (Some(id), Some(teller)) = (id(n), self.tellers.get(n)) {
                    let tags: Vec<String> =
                        teller.machine.tags.iter().cloned().chain(["keep".to_owned()]).collect();
                    store.change_device(&chen(), id, None, Some(&tags), None).await??;
                }
            }
            Doing::Fire(n, i) => {
                if let (Some(id), Some(teller)) = (id(n), self.tellers.get(n))
                    && let Some(incident) = teller.life.incidents.get(i)
                    && let Some((_, rule, telling)) = alerts::of(&teller.machine, incident, self.end)
                    && let Some(no) = store.fire_alert(Some(id), rule, &telling).await?
                {
                    self.alerts.insert((n, i), no);
                }
            }
            Doing::Acknowledge(n, i) => {
                if let Some(no) = self.alerts.get(&(n, i)) {
                    store.acknowledge_alert(&chen(), *no, true).await?;
                }
            }
            Doing::Resolve(n, i) => {
                if let Some(no) = self.alerts.remove(&(n, i)) {
                    store.resolve_alert(no).await?;
                }
            }
            Doing::State(message, state) => {
                drop(store.set_error_state(&lin(), &errors::fingerprint(message), state).await?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use store::{AlertFilter, ErrorFilter, OutageFilter, Page};

    use super::*;

    /// Every view has something to show, and a folder in use is left alone.
    #[tokio::test]
    async fn a_filled_folder_has_something_of_everything() {
        let dir = tempfile::TempDir::new().unwrap();
        let cli = Fill { data_dir: dir.path().join("data"), devices: 12, days: 8, seed: 3, hostile: true };
        let now = Timestamp(1_800_000_000_000);
        fill(&cli, now).await.unwrap();
        assert!(fill(&cli, now).await.unwrap_err().to_string().contains("not empty"));

        let config = store::Config {
            data_dir: cli.data_dir,
            create: false,
            topic_root: TopicRoot::default(),
            readers: 2,
        };
        let store = Store::open(config, Clock::manual(now.plus_millis(MINUTE))).await.unwrap();
        assert_eq!(store.devices().len(), 20);
        let labels: std::collections::BTreeSet<_> = store
            .outages(&OutageFilter::default(), 1_000)
            .await
            .unwrap()
            .into_iter()
            .map(|o| o.label)
            .collect();
        assert!(labels.len() >= 5, "{labels:?}");
        let filter = ErrorFilter { levels: vec![protocol::LogLevel::Crash], ..ErrorFilter::default() };
        let crashes = store.errors(&filter, Page { after: None, limit: 10 }).await.unwrap();
        let crash = store.error(crashes[0].no).await.unwrap().unwrap();
        assert!(crash.record.context.len() >= 200 && crash.record.stack.is_some());
        assert!(store.devices().iter().any(|device| device.usage.is_some()));
        assert!(store.firing().critical > 0);
        let over = AlertFilter { firing: Some(false), ..AlertFilter::default() };
        assert!(!store.alerts(&over, Page::first(9)).await.unwrap().is_empty());
        assert!(!store.down_spans(Timestamp(0), now).await.unwrap().is_empty());
    }
}
