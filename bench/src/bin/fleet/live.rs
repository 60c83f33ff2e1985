//! A page that looks on: how old is a report when the live socket shows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use protocol::Clock;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::stats::Histogram;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default, borrow)]
    devices: Vec<Shown<'a>>,
}

#[derive(Deserialize)]
struct Shown<'a> {
    id: &'a str,
    #[serde(borrow)]
    latest: Option<Latest<'a>>,
}

#[derive(Deserialize)]
struct Latest<'a> {
    at: &'a str,
}

pub(crate) struct Live {
    socket: WebSocketStream<TcpStream>,
    shown: HashMap<String, String>,
}

impl Live {
    pub(crate) async fn open(dashboard: &str, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(dashboard).await.context("the dashboard does not answer")?;
        let mut request = format!("ws://{dashboard}/live").into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.context("no live socket")?;
        Ok(Self { socket, shown: HashMap::new() })
    }

    /// Looks on until the server closes the socket.
    pub(crate) async fn watch(mut self, clock: Clock, ages: Arc<Histogram>) {
        while let Some(Ok(message)) = self.socket.next().await {
            // First of all: reading the frame takes its time.
            let now = clock.now();
            let Ok(text) = message.into_text() else { continue };
            let Ok(frame) = serde_json::from_str::<Frame<'_>>(&text) else { continue };
            for device in frame.devices {
                let Some(latest) = device.latest else { continue };
                match self.shown.get_mut(device.id) {
                    Some(known) if known == latest.at => continue,
                    Some(known) => latest.at.clone_into(known),
                    None => drop(self.shown.insert(device.id.to_owned(), latest.at.to_owned())),
                }
                if frame.kind == "devices"
                    && let Some(at) = millis(latest.at)
                {
                    let age = u64::try_from(now.as_millis() - at).unwrap_or(0);
                    ages.add(Duration::from_millis(age));
                }
            }
        }
    }
}

/// Milliseconds since 1970 of `2026-01-02T03:04:05.678Z`, the one form that the server writes.
fn millis(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Days since 1970 by the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let days =
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let fraction =
        text.get(19..).and_then(|rest| rest.strip_prefix('.')).map_or("", |r| r.trim_end_matches('Z'));
    let padded = format!("{fraction:0<3}");
    Some(seconds * 1000 + padded.get(..3)?.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(millis("2026-02-28T23:59:59.5Z"), Some(1_772_323_199_500));
        assert_eq!(millis("2024-02-29T12:00:00.123Z"), Some(1_709_208_000_123));
        assert_eq!(millis("soon"), None);
    }
}
