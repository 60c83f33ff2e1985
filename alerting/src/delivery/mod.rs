//! Brings notifications to their channels. One task for each, so that a slow one delays nobody but itself; what it does next
//! is decided in `plan.rs`, and what it did is written down before anything else.

mod plan;
mod test;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use protocol::Timestamp;
use serde_json::Value;
use store::{AfterAttempt, Attempt, Change, Error, Store, ToSend};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::channels::{
    self, Arrived, Channel, Failed, Fault, LIMIT, Language, Message, Outcome, Outside, Sending, Settings,
    Voice,
};
use crate::judge::zone;
use crate::{Notification, Occasion, digest};
use plan::{Failing, Plan, after, plan};

pub use test::{Tried, try_channel};

/// Failures in a row after which a channel is in trouble.
const TROUBLE: u32 = 5;
/// Rows of a queue that are looked at; those that are due come first.
const QUEUE: u32 = 2_000;
/// News of deliveries in this time are one: each attempt is news, too.
const GATHER: Duration = Duration::from_millis(50);
/// How often a queue is looked at when nothing is said, since the clock may be set.
const LOOK: Duration = Duration::from_mins(1);
/// After the database said no.
const BROKEN: Duration = Duration::from_secs(5);
/// How long an attempt may still take when the server stops: what is cut off then is sent again at the next start.
const GRACE: Duration = Duration::from_secs(5);
/// How long what is done is kept, and how often and in what steps the rest goes.
const KEEP_MS: i64 = 90 * 86_400_000;
const FORGET: Duration = Duration::from_hours(1);
const FORGET_STEP: u32 = 500;

/// A channel that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelTrouble {
    /// The channel's id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Since when.
    pub failing_since: Timestamp,
    /// Of what, as the other side said it. No secrets.
    pub why: String,
}

/// Channels that fail, by their ids.
pub type Troubles = BTreeMap<String, ChannelTrouble>;

/// Delivers what is to be delivered.
pub struct Deliveries {
    store: Store,
    outside: Outside,
    troubles: Arc<watch::Sender<Troubles>>,
}

impl Deliveries {
    /// To the channels of a store.
    pub fn new(store: Store, outside: Outside) -> Self {
        Self { store, outside, troubles: Arc::new(watch::Sender::new(Troubles::new())) }
    }

    /// Which channels fail. The latest is kept; a receiver misses nothing that still matters.
    pub fn troubles(&self) -> watch::Receiver<Troubles> {
        self.troubles.subscribe()
    }

    /// Delivers until `stop`, and puts digests into the queues when they are due.
    pub async fn run(self, stop: CancellationToken) {
        let mut feed = self.store.feed();
        let tracker = TaskTracker::new();
        tracker.spawn(digest::run(self.store.clone(), stop.clone()));
        let mut tasks: BTreeMap<String, Task> = BTreeMap::new();
        let mut look = true;
        let (mut woken, mut wake_at) = (Instant::now(), None);
        let mut forget = tokio::time::interval(FORGET);
        loop {
            if look {
                look = self.start_and_stop(&mut tasks, &tracker, &stop).await.inspect_err(tell).is_err();
            }
            tokio::select! {
                () = stop.cancelled() => break,
                _ = forget.tick() => {
                    self.forget(&stop).await;
                    look = true;
                }
                () = sleep(BROKEN), if look => {}
                () = sleep_until(wake_at.unwrap_or(woken)), if wake_at.is_some() => {
                    (woken, wake_at) = (Instant::now(), None);
                    wake(&tasks);
                }
                change = feed.recv() => match change {
                    Ok(Change::Channels) => look = true,
                    Ok(Change::Deliveries) => wake_at = wake_at.or(Some(woken + GATHER)),
                    Ok(_) => {}
                    // What was missed may be anything.
                    Err(RecvError::Lagged(_)) => {
                        look = true;
                        wake_at = wake_at.or(Some(woken + GATHER));
                    }
                    Err(RecvError::Closed) => break,
                },
            }
        }
        for task in tasks.values() {
            task.stop.cancel();
        }
        tracker.close();
        tracker.wait().await;
    }

    /// Makes the tasks those that there should be: a channel that was changed gets a new one, which waits for the end of the
    /// old one's attempt.
    async fn start_and_stop(
        &self,
        tasks: &mut BTreeMap<String, Task>,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let wanted = self.store.channels().await?;
        let wanted: BTreeMap<String, store::Channel> =
            wanted.into_iter().filter(|channel| channel.enabled).map(|c| (c.id.clone(), c)).collect();
        let mut ending = BTreeMap::new();
        tasks.retain(|id, task| {
            let stays =
                wanted.get(id).is_some_and(|channel| channel.rev == task.rev) && !task.handle.is_finished();
            if !stays {
                task.stop.cancel();
                ending.insert(
                    id.clone(),
                    (task.rev, std::mem::replace(&mut task.handle, tracker.spawn(async {}))),
                );
            }
            stays
        });
        self.troubles.send_if_modified(|troubles| {
            let before = troubles.len();
            troubles.retain(|id, _| tasks.contains_key(id));
            troubles.len() != before
        });
        for (id, channel) in wanted {
            if tasks.contains_key(&id) {
                continue;
            }
            let (before, ended) = ending.remove(&id).unzip();
            // What people have changed has a new chance; after a start what was known still holds.
            let failing = match before {
                None => self.store.failing_streak(&id).await?,
                Some(_) => None,
            };
            let (wake, stop, rev) = (Arc::new(Notify::new()), stop.child_token(), channel.rev);
            let mut courier = Courier {
                store: self.store.clone(),
                language: Language::parse(&channel.body.language),
                channel: self.open(&channel).await,
                troubles: Arc::clone(&self.troubles),
                failing: failing.as_ref().map(|s| Failing { failures: s.failures, since: s.since }),
                paused_until: None,
                wake: Arc::clone(&wake),
                stop: stop.clone(),
                id: channel.id,
                name: channel.name,
            };
            if let Some(streak) = failing.filter(|streak| streak.settings || streak.failures >= TROUBLE) {
                courier.in_trouble(streak.since, &streak.why);
            }
            let handle = tracker.spawn(async move {
                if let Some(ended) = ended {
                    // That it panicked was said where it did.
                    drop::<Result<(), _>>(ended.await);
                }
                courier.run().await;
            });
            tasks.insert(id, Task { rev, wake, stop, handle });
        }
        Ok(())
    }

    async fn open(&self, channel: &store::Channel) -> Box<dyn Channel> {
        let secrets = match self.store.channel_secrets(&channel.id).await {
            Ok(secrets) => secrets,
            Err(error) => {
                error!(
                    channel = channel.name,
                    error = &error as &dyn std::error::Error,
                    "a channel's secrets cannot be read"
                );
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                return Box::new(Broken(format!("its secrets cannot be read: {why}. Or give them anew")));
            }
        };
        let mut settings: Settings = channel.body.settings.clone();
        settings.extend(secrets.into_iter().map(|(word, secret)| (word, Value::String(secret))));
        let opened = channels::open(&channel.kind, &settings, &self.outside);
        opened.unwrap_or_else(|problems| Box::new(Broken(test::told(&problems))))
    }

    /// Forgets what was done long ago, in short steps, so that nobody waits for it.
    async fn forget(&self, stop: &CancellationToken) {
        let before = self.store.clock().now().plus_millis(-KEEP_MS);
        while !stop.is_cancelled() {
            match self.store.forget_deliveries(before, FORGET_STEP).await {
                Ok(0) => break,
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => return tell(&error),
            }
        }
    }
}

/// The task of a channel, as the one who starts and stops it sees it.
struct Task {
    rev: i64,
    wake: Arc<Notify>,
    stop: CancellationToken,
    handle: JoinHandle<()>,
}

fn wake(tasks: &BTreeMap<String, Task>) {
    for task in tasks.values() {
        task.wake.notify_one();
    }
}

/// A channel that cannot be opened.
struct Broken(String);

impl Channel for Broken {
    fn send<'a>(&'a self, _: Message<'a>) -> Sending<'a> {
        Box::pin(async { Err(Failed { why: self.0.clone(), retry_after: None, fault: Fault::Settings }) })
    }
}

/// Brings what is told to one channel.
struct Courier {
    store: Store,
    id: String,
    name: String,
    channel: Box<dyn Channel>,
    language: Language,
    troubles: Arc<watch::Sender<Troubles>>,
    failing: Option<Failing>,
    paused_until: Option<Timestamp>,
    wake: Arc<Notify>,
    stop: CancellationToken,
}

impl Courier {
    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let wait = match self.round().await {
                Ok(wait) => wait,
                Err(error) => {
                    tell(&error);
                    BROKEN
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Sends what is due. Gives how long there is nothing to do.
    async fn round(&mut self) -> Result<Duration, Error> {
        loop {
            let now = self.store.clock().now();
            let queue = self.store.queue(&self.id, QUEUE).await?;
            let Plan { send, skip, wake_at } = plan(&queue, self.paused_until, now);
            self.store.skip_deliveries(&skip, "newer").await?;
            if send.is_empty() {
                let wait = wake_at.map_or(LOOK, |at| {
                    Duration::from_millis(u64::try_from(at.millis_since(now)).unwrap_or(0)).min(LOOK)
                });
                return Ok(wait);
            }
            for no in send {
                if self.stop.is_cancelled() {
                    return Ok(Duration::ZERO);
                }
                // It may have been done or removed meanwhile.
                let Some(to_send) = self.store.to_send(no).await? else { continue };
                if !self.deliver(&to_send).await? {
                    break;
                }
            }
        }
    }

    /// Sends one. Whether the next one may follow at once.
    async fn deliver(&mut self, to_send: &ToSend) -> Result<bool, Error> {
        let no = to_send.queued.no;
        let edits = self.channel.edits();
        if to_send.queued.occasion == Occasion::Changed.as_str() && !edits {
            self.store.skip_deliveries(&[no], "cannot_edit").await?;
            return Ok(true);
        }
        // It may be changed at any time.
        let (settings, _) = self.store.alerting_settings().await?;
        let voice = Voice { language: self.language, zone: zone(&settings) };
        let (at, started) = (self.store.clock().now(), Instant::now());
        let Some(outcome) = self.attempt(to_send, &voice).await else { return Ok(false) };
        let took_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = self.store.clock().now();
        let (ok, answer, follows) = match outcome {
            Ok(Arrived { handle, answer }) => {
                self.arrived();
                (true, answer, AfterAttempt::Sent { handle })
            }
            Err(failed) => {
                let failing = self.failed(&failed, now);
                let (follows, pause) = after(to_send, &failed, failing, now, thrown());
                self.paused_until = pause.or(self.paused_until);
                (false, failed.why, follows)
            }
        };
        self.store.note_attempt(no, &Attempt { at, took_ms, ok, answer }, &follows).await?;
        Ok(self.paused_until.is_none_or(|until| until <= now))
    }

    /// One attempt; `None` when the server stops and it takes too long.
    async fn attempt(&self, to_send: &ToSend, voice: &Voice) -> Option<Outcome> {
        let notification = match serde_json::from_str::<Notification>(&to_send.body) {
            // Whoever made it knew neither.
            Ok(said) => Notification { id: to_send.id.clone(), alert: to_send.queued.alert, ..said },
            Err(error) => {
                let why = format!("what is to be told cannot be read ({error})");
                return Some(Err(Failed { why, retry_after: None, fault: Fault::Message }));
            }
        };
        let message = Message { notification: &notification, voice, handle: to_send.handle.as_deref() };
        let sent = timeout(LIMIT, self.channel.send(message));
        let stopped = async {
            self.stop.cancelled().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            sent = sent => Some(sent.unwrap_or_else(|_| {
                let why = format!("no answer within {} seconds", LIMIT.as_secs());
                Err(Failed { why, retry_after: None, fault: Fault::Channel })
            })),
            () = stopped => None,
        }
    }

    fn arrived(&mut self) {
        self.paused_until = None;
        if self.failing.take().is_some() {
            let gone = self.troubles.send_if_modified(|troubles| troubles.remove(&self.id).is_some());
            if gone {
                info!(channel = self.name, "the channel works again");
            }
        }
    }

    fn failed(&mut self, failed: &Failed, now: Timestamp) -> Failing {
        let before = self.failing.map_or(0, |failing| failing.failures);
        let since = self.failing.map_or(now, |failing| failing.since);
        let failing = Failing { failures: before.saturating_add(1), since };
        self.failing = Some(failing);
        if failed.fault == Fault::Settings || failing.failures >= TROUBLE {
            self.in_trouble(since, &failed.why);
        }
        failing
    }

    fn in_trouble(&mut self, failing_since: Timestamp, why: &str) {
        let trouble = ChannelTrouble {
            id: self.id.clone(),
            name: self.name.clone(),
            failing_since,
            why: why.to_owned(),
        };
        self.troubles.send_if_modified(|troubles| {
            if troubles.get(&self.id) == Some(&trouble) {
                return false;
            }
            if !troubles.contains_key(&self.id) {
                warn!(channel = self.name, why, "a channel fails");
            }
            troubles.insert(self.id.clone(), trouble);
            true
        });
    }
}

/// A random number from 0 to 1. Without any, everybody comes back at the longest.
fn thrown() -> f64 {
    getrandom::u32().map_or(1.0, |thrown| f64::from(thrown) / f64::from(u32::MAX))
}

fn tell(error: &Error) {
    error!(error = error as &dyn std::error::Error, "deliveries cannot be read or written");
}
