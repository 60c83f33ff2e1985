//! Deliveries from the database to a server that counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::elsewhere::*;
use alerting::channels::{Outside, Reach, Web};
use alerting::{Deliveries, Notification, Occasion, Troubles};
use protocol::{Clock, TopicRoot};
use store::{
    Actor, AlertingSettings, ChannelBody, ChannelDraft, Config, Delivery, DeliveryFilter, DeliveryState,
    Digest, DigestEvery, NewDelivery, Page, Said, Severity, Store, Telling, TimeOfDay,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn config(dir: &Path) -> Config {
    Config { data_dir: dir.to_owned(), create: true, topic_root: TopicRoot::default(), readers: 2 }
}

fn draft(name: &str, url: &str) -> ChannelDraft {
    ChannelDraft {
        name: name.to_owned(),
        enabled: true,
        body: ChannelBody {
            settings: BTreeMap::new(),
            language: "en".to_owned(),
            least: Severity::Info,
            takes_all: true,
            always: false,
        },
        secrets: BTreeMap::from([("url".to_owned(), url.to_owned())]),
    }
}

fn by() -> Actor {
    Actor::cli("tester")
}

async fn add_channel(store: &Store, name: &str, kind: &str, url: &str) -> String {
    store.add_channel(&by(), kind, &draft(name, url)).await.unwrap().unwrap().id
}

fn to(channel: &str, id: &str, occasion: Occasion) -> NewDelivery {
    let body = serde_json::to_string(&Notification { alert: None, ..down(occasion) }).unwrap();
    let (id, channel) = (id.to_owned(), channel.to_owned());
    NewDelivery { id, channel, occasion: occasion.as_str(), body, due_at: NOW, held: None }
}

struct World {
    dir: TempDir,
    clock: Clock,
    store: Store,
    troubles: watch::Receiver<Troubles>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl World {
    async fn new() -> Self {
        Self::on(TempDir::new().unwrap(), Clock::manual(NOW)).await
    }

    async fn on(dir: TempDir, clock: Clock) -> Self {
        let store = Store::open(config(dir.path()), clock.clone()).await.unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let outside = Outside { data_dir: dir.path().to_owned(), clock: clock.clone(), ..outside() };
        let deliveries = Deliveries::new(store.clone(), outside);
        let troubles = deliveries.troubles();
        tasks.spawn(deliveries.run(stop.clone()));
        Self { dir, clock, store, troubles, stop, tasks }
    }

    async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }

    /// What a restart of the server sees.
    async fn restart(self) -> Self {
        self.stop().await;
        Self::on(self.dir, self.clock).await
    }

    /// The time goes on, and somebody says so.
    async fn later(&self, seconds: i64) {
        self.clock.set(self.clock.now().plus_millis(seconds * 1_000));
        self.store.add_deliveries(&[]).await.unwrap();
    }

    async fn log(&self, filter: DeliveryFilter) -> Vec<Delivery> {
        self.store.deliveries(&filter, Page::first(100)).await.unwrap()
    }

    async fn of(&self, id: &str) -> Delivery {
        let all = self.log(DeliveryFilter::default()).await;
        all.into_iter().find(|delivery| delivery.id == id).unwrap()
    }

    /// Waits until a delivery is so.
    async fn until(&self, id: &str, is: impl Fn(&Delivery) -> bool) -> Delivery {
        let mut feed = self.store.feed();
        loop {
            let delivery = self.of(id).await;
            if is(&delivery) {
                return delivery;
            }
            // Whether it lagged or not, something happened.
            drop(feed.recv().await);
        }
    }

    async fn done(&self, id: &str) -> Delivery {
        self.until(id, |delivery| delivery.done_at.is_some()).await
    }

    async fn tried(&self, id: &str, times: usize) -> Delivery {
        self.until(id, |delivery| delivery.attempts.len() >= times).await
    }
}

/// A server that gives the status that it is told to.
async fn server(status: u16) -> (Server, Arc<AtomicU16>) {
    let says = Arc::new(AtomicU16::new(status));
    let says_now = Arc::clone(&says);
    (Server::new(move |_| say(says_now.load(Ordering::SeqCst), "said")).await, says)
}

fn ids(server: &Server) -> Vec<String> {
    server.asked().iter().map(|asked| asked.headers["idempotency-key"].clone()).collect()
}

#[tokio::test]
async fn what_is_to_be_told_arrives_in_order() {
    let world = World::new().await;
    let (server, _) = server(200).await;
    let channel = add_channel(&world.store, "hook", "webhook", &server.url("/")).await;
    let all: Vec<NewDelivery> = (0..5).map(|n| to(&channel, &format!("n{n}"), Occasion::Fired)).collect();
    world.store.add_deliveries(&all).await.unwrap();
    let last = world.done("n4").await;
    assert_eq!(ids(&server), ["n0", "n1", "n2", "n3", "n4"]);
    assert_eq!((last.state, last.attempts.len()), (DeliveryState::Sent, 1));
    assert!(last.attempts[0].ok);
    assert_eq!(last.attempts[0].answer, "HTTP 200: said");
    // The same again is the same.
    world.store.add_deliveries(&all).await.unwrap();
    world.store.add_deliveries(&[to(&channel, "n5", Occasion::Fired)]).await.unwrap();
    world.done("n5").await;
    assert_eq!(ids(&server), ["n5"]);
    let sent = DeliveryFilter {
        channel: Some(channel),
        states: vec![DeliveryState::Sent],
        ..DeliveryFilter::default()
    };
    assert_eq!(world.log(sent).await.len(), 6);
    assert_eq!(world.log(DeliveryFilter { alert: Some(1), ..DeliveryFilter::default() }).await.len(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_broken_channel_delays_nobody_and_is_told_of() {
    let mut world = World::new().await;
    let ((bad, says), (good, _)) = (server(500).await, server(200).await);
    let broken = add_channel(&world.store, "broken", "webhook", &bad.url("/")).await;
    let working = add_channel(&world.store, "working", "webhook", &good.url("/")).await;
    let both = [
        to(&broken, "a", Occasion::Fired),
        to(&broken, "b", Occasion::Fired),
        to(&working, "c", Occasion::Fired),
    ];
    world.store.add_deliveries(&both).await.unwrap();
    assert_eq!(world.done("c").await.state, DeliveryState::Sent);
    let failed = world.tried("a", 1).await;
    assert_eq!(
        (failed.state, failed.attempts[0].answer.as_str()),
        (DeliveryState::Waiting, "HTTP 500: said")
    );
    assert!((1_000..=5_000).contains(&failed.due_at.millis_since(NOW)), "{failed:?}");
    // It tells once more with each pause; what stands behind waits.
    for times in 2..=4 {
        world.later(3_600).await;
        world.tried("a", times).await;
    }
    assert_eq!(world.of("b").await.attempts.len(), 0);
    assert!(world.troubles.borrow().is_empty());
    world.later(3_600).await;
    world.troubles.changed().await.unwrap();
    let trouble = world.troubles.borrow_and_update()[&broken].clone();
    assert_eq!(
        (trouble.name.as_str(), trouble.failing_since, trouble.why.as_str()),
        ("broken", NOW, "HTTP 500: said")
    );
    assert_eq!(ids(&bad), ["a"; 5]);

    // A restart forgets nothing of it.
    let mut world = world.restart().await;
    let troubles = world.troubles.wait_for(|troubles| !troubles.is_empty()).await.unwrap().clone();
    assert_eq!(troubles[&broken], trouble);
    world.troubles.mark_unchanged();
    says.store(200, Ordering::SeqCst);
    world.later(3_600).await;
    assert_eq!(
        (world.done("a").await.state, world.done("b").await.state),
        (DeliveryState::Sent, DeliveryState::Sent)
    );
    assert!(world.troubles.wait_for(Troubles::is_empty).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn one_message_that_is_refused_holds_up_no_other() {
    let world = World::new().await;
    let server =
        Server::new(|asked| say(if asked.headers["idempotency-key"] == "bad" { 400 } else { 200 }, "")).await;
    let channel = add_channel(&world.store, "hook", "webhook", &server.url("/")).await;
    let both = [to(&channel, "bad", Occasion::Fired), to(&channel, "good", Occasion::Fired)];
    world.store.add_deliveries(&both).await.unwrap();
    assert_eq!(world.done("good").await.state, DeliveryState::Sent);
    assert_eq!(world.of("bad").await.state, DeliveryState::Waiting);
    // A day is enough.
    world.later(86_400).await;
    let given_up = world.done("bad").await;
    assert_eq!((given_up.state, given_up.why.as_deref()), (DeliveryState::Failed, Some("too_late")));
    assert_eq!(given_up.attempts.len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn wrong_settings_are_told_at_once_and_mended_at_once() {
    let mut world = World::new().await;
    let (server, says) = server(401).await;
    let channel =
        add_channel(&world.store, "slack", "slack", &server.url("/services/T/B/XXXXXXXXXXXX")).await;
    world
        .store
        .add_deliveries(&[to(&channel, "a", Occasion::Fired), to(&channel, "b", Occasion::Fired)])
        .await
        .unwrap();
    let failed = world.done("a").await;
    assert_eq!((failed.state, failed.why.as_deref()), (DeliveryState::Failed, Some("settings")));
    world.troubles.wait_for(|troubles| troubles.contains_key(&channel)).await.unwrap();
    // It has one chance for each pause, until somebody changes something.
    assert_eq!(world.of("b").await.attempts.len(), 0);
    says.store(200, Ordering::SeqCst);
    let good = Server::new(|_| say(200, "ok")).await;
    let url = good.url("/services/T/B/YYYYYYYYYYYY");
    world.store.change_channel(&by(), &channel, 1, &draft("slack", &url)).await.unwrap().unwrap();
    assert_eq!(world.done("b").await.state, DeliveryState::Sent);
    assert!(world.troubles.wait_for(Troubles::is_empty).await.is_ok());
    assert_eq!(good.asked().len(), 1);

    // Settings that cannot even be opened.
    let odd = add_channel(&world.store, "odd", "pigeon", "https://example.org").await;
    world.store.add_deliveries(&[to(&odd, "c", Occasion::Fired)]).await.unwrap();
    let failed = world.done("c").await;
    assert!(failed.attempts[0].answer.contains("Choose one of the kinds"), "{failed:?}");
    world.store.remove_channel(&by(), &odd).await.unwrap();
    assert!(world.troubles.wait_for(Troubles::is_empty).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn a_channel_that_is_switched_off_keeps_its_queue() {
    let world = World::new().await;
    let (server, _) = server(200).await;
    let off = ChannelDraft { enabled: false, ..draft("hook", &server.url("/")) };
    let channel = world.store.add_channel(&by(), "webhook", &off).await.unwrap().unwrap().id;
    world.store.add_deliveries(&[to(&channel, "a", Occasion::Fired)]).await.unwrap();
    let other = add_channel(&world.store, "other", "webhook", &server.url("/")).await;
    world.store.add_deliveries(&[to(&other, "b", Occasion::Fired)]).await.unwrap();
    world.done("b").await;
    assert_eq!((ids(&server), world.of("a").await.state), (vec!["b".to_owned()], DeliveryState::Waiting));
    world.store.change_channel(&by(), &channel, 1, &draft("hook", &server.url("/"))).await.unwrap().unwrap();
    assert_eq!(world.done("a").await.state, DeliveryState::Sent);
    world.stop().await;
}

#[tokio::test]
async fn what_is_held_waits_and_what_is_old_goes() {
    let world = World::new().await;
    let (server, _) = server(200).await;
    let channel = add_channel(&world.store, "hook", "webhook", &server.url("/")).await;
    let quiet = NewDelivery {
        due_at: NOW.plus_millis(3_600_000),
        held: Some("quiet"),
        ..to(&channel, "night", Occasion::Fired)
    };
    world
        .store
        .add_deliveries(&[
            quiet,
            to(&channel, "now", Occasion::Fired),
            to(&channel, "change", Occasion::Changed),
        ])
        .await
        .unwrap();
    world.done("now").await;
    let skipped = world.done("change").await;
    assert_eq!((skipped.state, skipped.why.as_deref()), (DeliveryState::Skipped, Some("cannot_edit")));
    let held = world.of("night").await;
    assert_eq!((held.state, held.why.as_deref()), (DeliveryState::Held, Some("quiet")));
    world.later(3_600).await;
    assert_eq!(world.done("night").await.state, DeliveryState::Sent);
    assert_eq!(ids(&server), ["now", "night"]);
    let forgotten = world.store.forget_deliveries(NOW, 100).await.unwrap();
    assert_eq!(forgotten, 0);
    assert_eq!(world.store.forget_deliveries(NOW.plus_millis(1), 2).await.unwrap(), 2);
    assert_eq!(world.store.forget_deliveries(NOW.plus_millis(1), 2).await.unwrap(), 1);
    assert_eq!(world.log(DeliveryFilter::default()).await.len(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_digest_is_sent_once() {
    let world = World::new().await;
    let (server, _) = server(200).await;
    let channel = add_channel(&world.store, "hook", "webhook", &server.url("/")).await;
    world.clock.set(NOW.plus_millis(-86_400_000));
    let said = |text: &str| Said { en: text.to_owned(), zh: text.to_owned() };
    let telling = Telling { severity: Severity::Critical, title: said("gone"), detail: None };
    let alert = world.store.fire_alert(None, "offline", &telling).await.unwrap().unwrap();
    world.store.resolve_alert(alert).await.unwrap();
    world.clock.set(NOW);
    let at = TimeOfDay::parse("08:00").unwrap();
    let digest =
        Some(Digest { every: DigestEvery::Day, at, channels: vec![channel.clone(), "gone".to_owned()] });
    let settings =
        AlertingSettings { digest, url: "https://watch.example".to_owned(), ..AlertingSettings::default() };
    let (_, rev) = world.store.alerting_settings().await.unwrap();
    world.store.change_alerting_settings(&by(), rev, &settings).await.unwrap().unwrap();
    let id = format!("digest-2027-01-14-{channel}");
    let mut feed = world.store.feed();
    while world.log(DeliveryFilter::default()).await.is_empty() {
        drop(feed.recv().await);
    }
    assert_eq!(world.done(&id).await.state, DeliveryState::Sent);
    let body = server.one().json();
    assert_eq!(body["headline"], "[DIGEST] 2027-01-14: $0.00, 1 alert, 0 devices were away");
    assert_eq!(body["url"], "https://watch.example/");
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("Alerts: 1 (1 critical): ") && text.contains("Outages: none"), "{text}");
    // Neither when the settings change nor after a restart.
    let world = world.restart().await;
    let (_, rev) = world.store.alerting_settings().await.unwrap();
    world.store.change_alerting_settings(&by(), rev, &settings).await.unwrap().unwrap();
    world.store.add_deliveries(&[to(&channel, "later", Occasion::Fired)]).await.unwrap();
    world.done("later").await;
    assert_eq!(ids(&server), ["later"]);
    world.stop().await;
}

/// What another process does in the next test: it delivers until it is killed.
#[tokio::test]
#[ignore = "the process that is killed, see below"]
async fn delivers_until_it_is_killed() {
    let dir = std::env::var("DELIVER_FROM").unwrap();
    let clock = Clock::system();
    let store = Store::open(config(Path::new(&dir)), clock.clone()).await.unwrap();
    let outside = Outside { clock, ..outside_with(Web::new(Reach { private: true }, vec![])) };
    Deliveries::new(store, outside).run(CancellationToken::new()).await;
}

/// Killed before the answer, after it, and at once after the start: each notification arrives, and by its id once.
#[tokio::test]
async fn a_kill_at_any_moment_loses_nothing() {
    const ALL: usize = 30;
    let dir = TempDir::new().unwrap();
    let store = Store::open(config(dir.path()), Clock::system()).await.unwrap();
    // The process, which ends with every third message that it sends; the answer has left then, or it has not.
    let process: Arc<Mutex<Option<std::process::Child>>> = Arc::default();
    let (victim, count) = (Arc::clone(&process), AtomicUsize::new(0));
    let killed = Arc::new(AtomicI64::new(0));
    let kills = Arc::clone(&killed);
    let server = Server::new(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) % 3 == 2
            && let Some(child) = victim.lock().unwrap().as_mut()
        {
            child.kill().unwrap();
            kills.fetch_add(1, Ordering::SeqCst);
        }
        say(200, "")
    })
    .await;
    let channel = add_channel(&store, "hook", "webhook", &server.url("/")).await;
    let wanted: BTreeSet<String> = (0..ALL).map(|n| format!("n{n:02}")).collect();
    let all: Vec<NewDelivery> = wanted.iter().map(|id| to(&channel, id, Occasion::Fired)).collect();
    store.add_deliveries(&all).await.unwrap();
    let waiting = async || store.queue(&channel, 100).await.unwrap().len();
    while waiting().await > 0 {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "deliveries::delivers_until_it_is_killed"])
            .env("DELIVER_FROM", dir.path());
        *process.lock().unwrap() = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        loop {
            let ended = process.lock().unwrap().as_mut().unwrap().try_wait().unwrap().is_some();
            if ended || waiting().await == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let mut child = process.lock().unwrap().take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let arrived = ids(&server);
    assert_eq!(arrived.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert!(killed.load(Ordering::SeqCst) >= 5);
    let log = store.deliveries(&DeliveryFilter::default(), Page::first(100)).await.unwrap();
    assert!(log.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{log:#?}");
    store.close().await;
}
