//! The live WebSocket: the whole fleet once, then what changes. Fed by the store's feed, so nothing is shown that is
//! not stored.

use std::collections::HashSet;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use protocol::DeviceId;
use serde::Serialize;
use store::{Change, Days, Zone};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::App;
use crate::api::usage::{ZoneParams, zone};
use crate::auth::{Viewer, authenticate, still_good};
use crate::error::ApiError;
use crate::views::{DeviceView, rfc3339};

/// The shortest time between two frames: a busy fleet is merged, a lone change goes out at once.
const MERGE: Duration = Duration::from_millis(25);
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// A browser that does not read for this long is let go; it comes back for a snapshot.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Pings of a browser between two of our `alive`. Each is answered, and the answers of one that does not read pile up.
const MAX_PINGS: u32 = 20;
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
        devices: Vec<DeviceView>,
    },
    /// Devices that are new or not as they were.
    Devices {
        #[cfg_attr(test, ts(type = "number"))]
        rev: u64,
        devices: Vec<DeviceView>,
    },
    /// Devices that are gone.
    Removed {
        #[cfg_attr(test, ts(type = "number"))]
        rev: u64,
        ids: Vec<String>,
    },
    /// Nothing new, and the connection is well.
    Alive {
        #[cfg_attr(test, ts(type = "number"))]
        rev: u64,
        server_time: String,
        /// Why nothing can be recorded now.
        #[cfg_attr(test, ts(type = "\"disk_low\" | \"store_fails\" | null"))]
        trouble: Option<&'static str>,
    },
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
            None => Sender { socket, rev: 0, zone }.close(LOGIN_ENDED, "log in first").await,
        }
    }))
}

struct Sender {
    socket: WebSocket,
    rev: u64,
    /// The viewer's.
    zone: Zone,
}

/// The browser is gone, or might as well be.
struct Gone;

impl Sender {
    async fn send(&mut self, frame: &Frame) -> Result<(), Gone> {
        let text = serde_json::to_string(frame).map_err(|_| Gone)?;
        let sent = timeout(WRITE_TIMEOUT, self.socket.send(Message::Text(Utf8Bytes::from(text)))).await;
        sent.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    fn next_rev(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    fn days(&self, app: &App) -> Days {
        self.zone.days(app.store.clock().now())
    }

    async fn snapshot(&mut self, app: &App) -> Result<(), Gone> {
        let rev = self.next_rev();
        let devices = {
            let days = self.days(app);
            app.store.devices().into_iter().map(|device| DeviceView::of(&device, &days)).collect()
        };
        let (server_time, trouble) = (rfc3339(app.store.clock().now()), (app.health)().trouble);
        let zone = self.zone.name().to_owned();
        self.send(&Frame::Snapshot { rev, server_time, trouble, zone, devices }).await
    }

    async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        // The other side may be gone.
        drop(timeout(Duration::from_secs(1), self.socket.send(Message::Close(Some(frame)))).await);
    }
}

async fn serve(app: App, viewer: Viewer, zone: Zone, socket: WebSocket) {
    let mut sender = Sender { socket, rev: 0, zone };
    // Subscribed before the snapshot is taken: nothing falls between.
    let mut feed = app.store.feed();
    let mut logouts = app.logouts.subscribe();
    let mut alive = interval(ALIVE_EVERY);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    alive.reset();
    let mut pings = 0;
    let mut days = sender.days(&app);
    if sender.snapshot(&app).await.is_err() {
        return;
    }
    loop {
        let first = tokio::select! {
            () = app.shutdown.cancelled() => return sender.close(GOING_AWAY, "the server is stopping").await,
            change = feed.recv() => change,
            message = sender.socket.recv() => match message {
                // Pings are answered by the library; a page has nothing else to say.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    pings += 1;
                    if pings > MAX_PINGS {
                        return sender.close(AGAINST_POLICY, "too many pings").await;
                    }
                    continue;
                }
                _ => return,
            },
            _ = logouts.changed() => {
                if !still_good(&viewer.proof, &app).await {
                    return sender.close(LOGIN_ENDED, "the login has ended").await;
                }
                continue;
            }
            _ = alive.tick() => {
                pings = 0;
                // A login also ends by time, and by the command line.
                if !still_good(&viewer.proof, &app).await {
                    return sender.close(LOGIN_ENDED, "the login has ended").await;
                }
                // At the viewer's midnight every device's today becomes its yesterday, and no device has told anything.
                let now = sender.days(&app);
                if now != days {
                    days = now;
                    if sender.snapshot(&app).await.is_err() {
                        return;
                    }
                }
                let (rev, server_time) = (sender.rev, rfc3339(app.store.clock().now()));
                let trouble = (app.health)().trouble;
                if sender.send(&Frame::Alive { rev, server_time, trouble }).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let mut merged = Merged::default();
        let mut next = first;
        let fine = loop {
            match next {
                Ok(change) => merged.add(&change),
                Err(RecvError::Lagged(_)) => merged.start_over = true,
                Err(RecvError::Closed) => break false,
            }
            next = match feed.try_recv() {
                Ok(change) => Ok(change),
                Err(TryRecvError::Empty) => break true,
                Err(TryRecvError::Lagged(n)) => Err(RecvError::Lagged(n)),
                Err(TryRecvError::Closed) => break false,
            };
        };
        if !fine || merged.send(&app, &mut sender).await.is_err() {
            return;
        }
        sleep(MERGE).await;
    }
}

/// Several changes as one.
#[derive(Default)]
struct Merged {
    changed: HashSet<DeviceId>,
    removed: HashSet<DeviceId>,
    start_over: bool,
}

impl Merged {
    fn add(&mut self, change: &Change) {
        match change {
            Change::Devices(ids) => self.changed.extend(ids.iter()),
            Change::Removed(ids) => {
                for id in ids.iter() {
                    self.changed.remove(id);
                    self.removed.insert(*id);
                }
            }
        }
    }

    async fn send(self, app: &App, sender: &mut Sender) -> Result<(), Gone> {
        if self.start_over {
            return sender.snapshot(app).await;
        }
        if !self.removed.is_empty() {
            let (rev, ids) = (sender.next_rev(), self.removed.iter().map(ToString::to_string).collect());
            sender.send(&Frame::Removed { rev, ids }).await?;
        }
        let devices: Vec<DeviceView> = {
            let days = sender.days(app);
            app.store.some_devices(&self.changed).into_iter().map(|d| DeviceView::of(&d, &days)).collect()
        };
        if devices.is_empty() {
            return Ok(());
        }
        let rev = sender.next_rev();
        sender.send(&Frame::Devices { rev, devices }).await
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
}
