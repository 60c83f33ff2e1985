//! Whether OpenClaw's channels are connected, asked of the gateway itself.
//!
//! Nothing on disk tells, and a gateway calls itself ready while a channel cannot connect. Only where the owner allows it: it
//! takes the gateway's token, which is sent to nobody but the process that is known to be the gateway, on this host, with
//! no more than the right to read.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{SinkExt as _, Stream as _};
use protocol::ClawChannel;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};

use super::config::Token;
use super::http::{self, Target};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// The longest message that is read.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// The most messages of other kinds that are passed over.
const MAX_MESSAGES: usize = 64;
const MAX_CHANNELS: usize = 64;

/// Asks for the channels; `None` when there is no answer.
pub(crate) async fn ask(target: &Target, token: &Token) -> Option<Vec<ClawChannel>> {
    timeout(PATIENCE, async {
        let stream = http::connect(target).await?;
        if target.tls { talk(http::encrypt(stream).await?, token).await } else { talk(stream, token).await }
    })
    .await
    .ok()
    .flatten()
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, token: &Token) -> Option<Vec<ClawChannel>> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(16 * 1024);
    let (socket, _) =
        tokio_tungstenite::client_async_with_config("ws://127.0.0.1/", stream, Some(config)).await.ok()?;
    let mut socket = Box::pin(socket);
    let mut answer = None;
    for _ in 0..MAX_MESSAGES {
        let message = poll_fn(|context| Pin::new(&mut socket).poll_next(context)).await?;
        let Message::Text(text) = message.ok()? else { continue };
        let reply = match step(&text, token) {
            Step::Send(reply) => reply,
            Step::Wait => continue,
            Step::Done(channels) => {
                answer = channels;
                break;
            }
        };
        socket.send(Message::text(reply)).await.ok()?;
    }
    // It is told that we leave, so that it does not wait for us.
    drop(socket.close().await);
    answer
}

enum Step {
    Send(String),
    Wait,
    Done(Option<Vec<ClawChannel>>),
}

/// What to do about a message.
fn step(text: &str, token: &Token) -> Step {
    #[derive(Deserialize)]
    struct Frame {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        event: Option<String>,
        #[serde(default)]
        id: Option<String>,
        #[serde(default)]
        ok: bool,
    }
    #[derive(Deserialize)]
    struct Answer {
        payload: Value,
    }
    let Ok(frame) = serde_json::from_str::<Frame>(text) else { return Step::Done(None) };
    match (frame.kind.as_str(), frame.event.as_deref(), frame.id.as_deref()) {
        ("event", Some("connect.challenge"), _) => Step::Send(
            json!({"type": "req", "id": "1", "method": "connect", "params": {
                "minProtocol": 1, "maxProtocol": 99,
                "client": {"id": "gateway-client", "version": env!("CARGO_PKG_VERSION"),
                           "platform": std::env::consts::OS, "mode": "backend"},
                "role": "operator", "scopes": ["operator.read"], "auth": {"token": token.reveal()},
            }})
            .to_string(),
        ),
        ("res", _, Some("1")) if frame.ok => Step::Send(
            json!({"type": "req", "id": "2", "method": "channels.status", "params": {}}).to_string(),
        ),
        ("res", _, Some("2")) if frame.ok => {
            Step::Done(serde_json::from_str::<Answer>(text).ok().and_then(|answer| parse(&answer.payload)))
        }
        ("res", ..) => Step::Done(None),
        _ => Step::Wait,
    }
}

/// Reads what `channels.status` says.
fn parse(payload: &Value) -> Option<Vec<ClawChannel>> {
    let kinds = payload.get("channelAccounts")?.as_object()?;
    let mut channels = Vec::new();
    for (kind, accounts) in kinds {
        let is_on = |account: &&Value| {
            let says = |name: &str| account.get(name).and_then(Value::as_bool);
            says("enabled").unwrap_or(true) && says("configured").unwrap_or(true)
        };
        let accounts: Vec<_> = accounts.as_array().into_iter().flatten().filter(is_on).collect();
        for account in &accounts {
            let id = account.get("accountId").and_then(Value::as_str).unwrap_or("default");
            let name = if accounts.len() > 1 { format!("{kind}:{id}") } else { kind.clone() };
            let connected = account.get("connected").and_then(Value::as_bool);
            let name = name.chars().filter(|c| !c.is_control()).take(128).collect();
            channels.push(ClawChannel { name, connected });
        }
    }
    channels.truncate(MAX_CHANNELS);
    Some(channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_answer_is_read() {
        let check = |text: &str, expected: &[(&str, Option<bool>)]| {
            let channels = parse(&serde_json::from_str(text).unwrap()).unwrap();
            let channels: Vec<_> =
                channels.iter().map(|channel| (channel.name.as_str(), channel.connected)).collect();
            assert_eq!(channels, expected);
        };
        check(
            include_str!("../../tests/fixtures/openclaw/cli/channels-status-degraded.json"),
            &[("telegram", Some(false))],
        );
        check(
            r#"{"channelAccounts": {"a": [{"accountId": "x", "connected": true}, {"accountId": "y"}],
                "b": [{"enabled": false}], "c": [{"connected": true}], "d": 1}}"#,
            &[("a:x", Some(true)), ("a:y", None), ("c", Some(true))],
        );
        assert_eq!(parse(&json!([])), None);
    }

    #[test]
    fn only_the_right_to_read_is_asked_for() {
        let token = super::super::config::token(r#"{"gateway": {"auth": {"token": "secret"}}}"#).unwrap();
        let says = |text: &str| match step(text, &token) {
            Step::Send(text) => text,
            Step::Wait => "wait".to_owned(),
            Step::Done(channels) => format!("{channels:?}"),
        };
        let connect = says(r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"x"}}"#);
        assert!(connect.contains(r#""scopes":["operator.read"]"#) && connect.contains("secret"));
        let ask = says(r#"{"type":"res","id":"1","ok":true,"payload":{}}"#);
        assert!(ask.contains("channels.status") && !ask.contains("secret"));
        assert_eq!(says(r#"{"type":"event","event":"tick"}"#), "wait");
        assert_eq!(says(r#"{"type":"res","id":"1","ok":false,"error":{"code":"NOT_PAIRED"}}"#), "None");
        assert_eq!(says(r#"{"type":"res","id":"2","ok":true,"payload":{"channelAccounts":{}}}"#), "Some([])");
        assert_eq!(says("{"), "None");
    }
}
