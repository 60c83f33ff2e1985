//! The live WebSocket: the whole fleet once, then what changes. Fed by the store's feed, so nothing is shown that is
//! not stored.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::mem;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use protocol::DeviceId;
use serde::{Deserialize, Serialize};
use store::{Change, Days, Device, Firing, Zone};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::App;
use crate::api::usage::{ZoneParams, zone};
use crate::auth::{Viewer, authenticate, still_good};
use crate::error::ApiError;
use crate::views::{DeviceView, rfc3339};

const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// A browser that does not read for this long is let go; it comes back for a snapshot.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Pings of a browser between two of our `alive`. Each is answered, and the answers of one that does not read pile up.
const MAX_PINGS: u32 = 20;
/// How often a page says what it looks at between two of our `alive`: while somebody scrolls, several times a second.
const MAX_WISHES: u32 = 200;
const LOGIN_ENDED: u16 = 4401;
const GOING_AWAY: u16 = 1001;
const AGAINST_POLICY: u16 = 1008;

/// One frame. `rev` grows by one with each frame but `alive`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) enum Frame {
    /// The whole fleet.
    Snapshot {
        #[cfg_attr(test, ts(type = "number"))]
        rev: u64,
        server_time: String,
        /// Why nothing can be recorded now.
        #[cfg_attr(test, ts(type = "\"disk_low\" | \"store_fails\" | null"))]
        trouble: Option<&'static str>,
        /// Whose days the usage is told by: the zone that was asked for, or UTC.
        zone: String,
        /// The number of the newest error on record: whoever shows errors asks again when it grows.
        #[cfg_attr(test, ts(type = "number"))]
        newest_error: i64,
        firing: FiringView,
        news: NewsView,
        devices: Vec<DeviceView>,
    },
    /// Devices that are new or not as they were.
    Devices {
        #[cfg_attr(test, ts(type = "number"))]
        rev: u64,
        #[cfg_attr(test, ts(type = "number"))]
        newest_error: i64,
        devices: Vec<DeviceView>,
    },
    /// Devices that are gone.
    Removed {
        #[cfg_attr(test, ts(type = "number"))]
        rev: u64,
        ids: Vec<String>,
    },
    /// The connection is well, and what is known besides the devices.
    Alive {
        #[cfg_attr(test, ts(type = "number"))]
        rev: u64,
        server_time: String,
        /// Why nothing can be recorded now.
        #[cfg_attr(test, ts(type = "\"disk_low\" | \"store_fails\" | null"))]
        trouble: Option<&'static str>,
        #[cfg_attr(test, ts(type = "number"))]
        newest_error: i64,
        firing: FiringView,
        news: NewsView,
    },
}

/// How often something has changed since the socket was opened: whoever shows it asks again when its number grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewsView {
    /// Alerts: also what does not change how many fire.
    #[cfg_attr(test, ts(type = "number"))]
    alerts: u64,
    /// Rules, channels, silences and maintenance, and the settings of alerting.
    #[cfg_attr(test, ts(type = "number"))]
    alerting: u64,
    /// What was told to whom.
    #[cfg_attr(test, ts(type = "number"))]
    deliveries: u64,
}

/// How many alerts fire, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct FiringView {
    critical: u32,
    error: u32,
    warning: u32,
    info: u32,
}

impl From<Firing> for FiringView {
    fn from(Firing { critical, error, warning, info }: Firing) -> Self {
        Self { critical, error, warning, info }
    }
}

/// A page of another site must not open a socket with our visitor's cookie.
fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let origin = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, host)| host);
    origin.is_some() && origin == host
}

/// Opens the socket. Browsers hide the status of a refused upgrade, so a page without a login is told by the close
/// code, on a socket that says nothing else.
pub(crate) async fn open(
    State(app): State<App>,
    headers: HeaderMap,
    params: Result<Query<ZoneParams>, QueryRejection>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    if !same_origin(&headers) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "origin", "Open the page from this server."));
    }
    // A browser cannot read why a socket was refused, and may know a zone that we do not: the snapshot says which it is.
    let zone = zone(params?.tz.as_deref()).unwrap_or_else(|_| Zone::utc());
    let upgrade = upgrade.max_message_size(4096).max_frame_size(4096);
    let viewer = authenticate(&headers, &app).await?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        match viewer {
            Some(viewer) => Box::pin(serve(app, viewer, zone, socket)).await,
            None => Sender::new(socket, zone).close(LOGIN_ENDED, "log in first").await,
        }
    }))
}

struct Sender {
    socket: WebSocket,
    rev: u64,
    /// The viewer's.
    zone: Zone,
    pace: Pace,
    /// How each device stood when it was last told, as a hash.
    standing: HashMap<DeviceId, u64>,
}

/// The browser is gone, or might as well be.
struct Gone;

/// What can move a device in a list, or change a count: worth a frame at once.
fn standing(device: &Device) -> u64 {
    let mut hasher = DefaultHasher::new();
    let presence = device.presence.as_ref();
    let openclaw = device.latest.as_ref().and_then(|latest| latest.openclaw.as_ref());
    (presence.map(|p| (p.online, p.since, p.reason)), openclaw.map(|o| o.state)).hash(&mut hasher);
    (&device.name, &device.tags, device.last_error_at).hash(&mut hasher);
    hasher.finish()
}

impl Sender {
    fn new(socket: WebSocket, zone: Zone) -> Self {
        Self { socket, rev: 0, zone, pace: Pace::default(), standing: HashMap::new() }
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), Gone> {
        let text = serde_json::to_string(frame).map_err(|_| Gone)?;
        let sent = timeout(WRITE_TIMEOUT, self.socket.send(Message::Text(Utf8Bytes::from(text)))).await;
        sent.map_err(|_| Gone)?.map_err(|_| Gone)?;
        self.pace.sent(Instant::now());
        Ok(())
    }

    fn next_rev(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    fn days(&self, app: &App) -> Days {
        self.zone.days(app.store.clock().now())
    }

    async fn snapshot(&mut self, app: &App, news: NewsView) -> Result<(), Gone> {
        let rev = self.next_rev();
        let days = self.days(app);
        let devices = app.store.devices();
        self.standing = devices.iter().map(|device| (device.id, standing(device))).collect();
        let devices = devices.into_iter().map(|device| DeviceView::of(&device, &days)).collect();
        let (server_time, trouble) = (rfc3339(app.store.clock().now()), (app.health)().trouble);
        let (zone, newest_error) = (self.zone.name().to_owned(), app.store.newest_error());
        let firing = app.store.firing().into();
        self.send(&Frame::Snapshot { rev, server_time, trouble, zone, newest_error, firing, news, devices })
            .await
    }

    async fn alive(&mut self, app: &App, news: NewsView) -> Result<(), Gone> {
        let (rev, server_time) = (self.rev, rfc3339(app.store.clock().now()));
        let (trouble, newest_error) = ((app.health)().trouble, app.store.newest_error());
        let firing = app.store.firing().into();
        self.send(&Frame::Alive { rev, server_time, trouble, newest_error, firing, news }).await
    }

    /// Tells what has gathered.
    async fn flush(&mut self, app: &App, gathered: &mut Gathered) -> Result<(), Gone> {
        gathered.since = None;
        let (news, untold) = (gathered.news, mem::take(&mut gathered.untold));
        if mem::take(&mut gathered.start_over) {
            gathered.clear();
            return self.snapshot(app, news).await;
        }
        let (removed, changed) = (mem::take(&mut gathered.removed), mem::take(&mut gathered.changed));
        if !removed.is_empty() {
            for id in &removed {
                self.standing.remove(id);
            }
            let (rev, ids) = (self.next_rev(), removed.iter().map(ToString::to_string).collect());
            self.send(&Frame::Removed { rev, ids }).await?;
        }
        let devices: Vec<DeviceView> = {
            let days = self.days(app);
            let devices = app.store.some_devices(&changed);
            self.standing.extend(devices.iter().map(|device| (device.id, standing(device))));
            devices.into_iter().map(|d| DeviceView::of(&d, &days)).collect()
        };
        if untold {
            self.alive(app, news).await?;
        }
        if devices.is_empty() {
            return Ok(());
        }
        let (rev, newest_error) = (self.next_rev(), app.store.newest_error());
        self.send(&Frame::Devices { rev, newest_error, devices }).await
    }

    async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        // The other side may be gone.
        drop(timeout(Duration::from_secs(1), self.socket.send(Message::Close(Some(frame)))).await);
    }
}

async fn serve(app: App, viewer: Viewer, zone: Zone, socket: WebSocket) {
    let mut sender = Sender::new(socket, zone);
    // Subscribed before the snapshot is taken: nothing falls between.
    let mut feed = app.store.feed();
    let mut logouts = app.logouts.subscribe();
    let mut alive = interval(ALIVE_EVERY);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    alive.reset();
    let (mut pings, mut wishes) = (0, 0);
    let mut gathered = Gathered::default();
    let mut days = sender.days(&app);
    if sender.snapshot(&app, gathered.news).await.is_err() {
        return;
    }
    loop {
        let due = gathered.due(&sender.pace);
        let fine = tokio::select! {
            () = app.shutdown.cancelled() => return sender.close(GOING_AWAY, "the server is stopping").await,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                sender.flush(&app, &mut gathered).await
            }
            change = feed.recv() => {
                let mut next = change;
                loop {
                    match next {
                        Ok(change) => gathered.add(&change, &app, &sender.standing),
                        Err(RecvError::Lagged(_)) => gathered.start_over(),
                        Err(RecvError::Closed) => return,
                    }
                    next = match feed.try_recv() {
                        Ok(change) => Ok(change),
                        Err(TryRecvError::Empty) => break Ok(()),
                        Err(TryRecvError::Lagged(n)) => Err(RecvError::Lagged(n)),
                        Err(TryRecvError::Closed) => return,
                    };
                }
            }
            message = sender.socket.recv() => {
                match message {
                    // Pings are answered by the library.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                        pings += 1;
                        if pings > MAX_PINGS {
                            return sender.close(AGAINST_POLICY, "too many pings").await;
                        }
                    }
                    Some(Ok(Message::Text(_))) if wishes == MAX_WISHES => {
                        return sender.close(AGAINST_POLICY, "too many messages").await;
                    }
                    Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                        Ok(Said::Watch { devices, others }) => {
                            wishes += 1;
                            gathered.watch(devices, others);
                        }
                        Err(_) => return sender.close(AGAINST_POLICY, "not a message of this version").await,
                    },
                    _ => return,
                }
                Ok(())
            },
            _ = logouts.changed() => {
                if !still_good(&viewer.proof, &app).await {
                    return sender.close(LOGIN_ENDED, "the login has ended").await;
                }
                Ok(())
            }
            _ = alive.tick() => {
                (pings, wishes) = (0, 0);
                // A login also ends by time, and by the command line.
                if !still_good(&viewer.proof, &app).await {
                    return sender.close(LOGIN_ENDED, "the login has ended").await;
                }
                // At the viewer's midnight every device's today becomes its yesterday, and no device has told anything.
                let now = sender.days(&app);
                if now != days && sender.snapshot(&app, gathered.news).await.is_err() {
                    return;
                }
                days = now;
                sender.alive(&app, gathered.news).await
            }
        };
        if fine.is_err() {
            return;
        }
    }
}

/// What a page says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Said {
    /// What it looks at.
    Watch {
        /// Devices whose every change is wanted at once.
        devices: HashSet<DeviceId>,
        others: Others,
    },
}

/// What is wanted of devices that nobody looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Others {
    /// Their numbers too, gathered for a second.
    Values,
    /// Only what changes their state.
    State,
}

/// When frames may go to a page: four a second. A page that heard little for a second may get four at once, so that news
/// seldom waits; in a storm each waits for a quarter of a second, not longer.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    /// When what was sent would have been sent at an even pace.
    even: Option<Instant>,
}

const FRAME: Duration = Duration::from_millis(250);
/// So many more may go at once.
const AT_ONCE: u32 = 3;
const SECOND: Duration = Duration::from_secs(1);
/// Whoever does not say what they look at is a program: it gets everything at once, merged for this long.
const MERGE: Duration = Duration::from_millis(25);

impl Pace {
    fn sent(&mut self, now: Instant) {
        self.last = Some(now);
        self.even = Some(self.even.map_or(now, |even| even.max(now)) + FRAME);
    }

    fn next(&self) -> Option<Instant> {
        self.even.and_then(|even| even.checked_sub(FRAME * AT_ONCE))
    }
}

/// Several changes as one, until they are told.
#[derive(Default)]
struct Gathered {
    /// What the page looks at; `None` until it says so.
    looks_at: Option<(HashSet<DeviceId>, Others)>,
    changed: HashSet<DeviceId>,
    removed: HashSet<DeviceId>,
    /// Changes that are told when the page wants to know.
    held: HashSet<DeviceId>,
    start_over: bool,
    /// What is new besides devices ...
    news: NewsView,
    /// ... and whether some of it was not told yet.
    untold: bool,
    /// When the first of it came, and whether some of it should not wait.
    since: Option<(Instant, bool)>,
}

impl Gathered {
    fn clear(&mut self) {
        self.changed.clear();
        self.removed.clear();
        self.held.clear();
        self.since = None;
    }

    fn mark(&mut self, urgent: bool) {
        let (since, before) = self.since.unwrap_or_else(|| (Instant::now(), false));
        self.since = Some((since, before || urgent));
    }

    fn start_over(&mut self) {
        self.start_over = true;
        // Whatever was missed.
        self.news.alerts += 1;
        self.news.alerting += 1;
        self.news.deliveries += 1;
        self.mark(true);
    }

    fn watch(&mut self, devices: HashSet<DeviceId>, others: Others) {
        let wanted: Vec<DeviceId> =
            self.held.iter().filter(|id| others == Others::Values || devices.contains(id)).copied().collect();
        for id in &wanted {
            self.held.remove(id);
        }
        if !wanted.is_empty() {
            self.changed.extend(wanted);
            self.mark(true);
        }
        self.looks_at = Some((devices, others));
    }

    fn add(&mut self, change: &Change, app: &App, known: &HashMap<DeviceId, u64>) {
        match change {
            Change::Devices(ids) => {
                let Some((looked_at, others)) = &self.looks_at else {
                    self.changed.extend(ids.iter());
                    return self.mark(true);
                };
                let (others, mut urgent, mut some) = (*others, false, false);
                for device in app.store.some_devices(ids.iter()) {
                    let now =
                        looked_at.contains(&device.id) || known.get(&device.id) != Some(&standing(&device));
                    urgent |= now;
                    if now || others == Others::Values {
                        self.held.remove(&device.id);
                        self.changed.insert(device.id);
                        some = true;
                    } else if !self.changed.contains(&device.id) {
                        self.held.insert(device.id);
                    }
                }
                if some {
                    self.mark(urgent);
                }
            }
            Change::Removed(ids) => {
                for id in ids.iter() {
                    self.changed.remove(id);
                    self.held.remove(id);
                    self.removed.insert(*id);
                }
                self.mark(true);
            }
            Change::Alerts => {
                self.news.alerts += 1;
                self.untold = true;
                self.mark(true);
            }
            Change::Rules | Change::Channels => {
                self.news.alerting += 1;
                self.untold = true;
                self.mark(true);
            }
            // Each notification changes several times.
            Change::Deliveries => {
                self.news.deliveries += 1;
                self.untold = true;
                self.mark(false);
            }
        }
    }

    /// When it should be told.
    fn due(&self, pace: &Pace) -> Option<Instant> {
        let (since, urgent) = self.since?;
        if self.looks_at.is_none() {
            return Some(pace.last.map_or(since, |last| since.max(last + MERGE)));
        }
        let wanted = if urgent { since } else { since + SECOND };
        Some(pace.next().map_or(wanted, |next| wanted.max(next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_sites_page_is_refused() {
        let check = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "watch.example.net:38888".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            same_origin(&headers)
        };
        assert!(check(None));
        assert!(check(Some("https://watch.example.net:38888")));
        assert!(!check(Some("https://evil.example")));
        assert!(!check(Some("https://watch.example.net")));
        assert!(!check(Some("null")));
    }

    fn id(n: u8) -> DeviceId {
        DeviceId::parse(&format!("aaaaaaaaaaa{}", char::from(b'a' + n))).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_gets_four_frames_a_second_and_what_it_looks_at_first() {
        let mut gathered = Gathered::default();
        let mut pace = Pace::default();
        gathered.watch(HashSet::from([id(0)]), Others::Values);
        assert_eq!(gathered.due(&pace), None, "nothing has gathered");
        let start = Instant::now();
        gathered.mark(false);
        assert_eq!(gathered.due(&pace), Some(start + SECOND), "others wait for a second");
        gathered.mark(true);
        assert_eq!(
            gathered.due(&pace),
            Some(start),
            "what is looked at does not, and takes the others along"
        );
        for n in 0..20 {
            let due = gathered.due(&pace).unwrap();
            let waits = due.saturating_duration_since(Instant::now());
            assert_eq!(
                waits,
                if n < 4 { Duration::ZERO } else { FRAME },
                "four at once, then one each quarter second"
            );
            tokio::time::advance(waits).await;
            pace.sent(Instant::now());
        }
        tokio::time::advance(SECOND).await;
        assert!(gathered.due(&pace).is_some_and(|due| due <= Instant::now()), "after a quiet second again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_says_nothing_gets_everything_merged() {
        let mut gathered = Gathered::default();
        let mut pace = Pace::default();
        gathered.mark(true);
        assert_eq!(gathered.due(&pace), Some(Instant::now()));
        pace.sent(Instant::now());
        assert_eq!(gathered.due(&pace), Some(Instant::now() + MERGE));
    }

    #[test]
    fn what_was_held_back_is_told_when_it_is_looked_at() {
        let mut gathered = Gathered::default();
        gathered.watch(HashSet::new(), Others::State);
        gathered.held.extend([id(1), id(2)]);
        gathered.watch(HashSet::from([id(1)]), Others::State);
        assert_eq!(
            (gathered.changed.clone(), gathered.held.clone()),
            (HashSet::from([id(1)]), HashSet::from([id(2)]))
        );
        gathered.watch(HashSet::new(), Others::Values);
        assert_eq!(gathered.changed, HashSet::from([id(1), id(2)]));
        assert!(gathered.held.is_empty());
    }
}
