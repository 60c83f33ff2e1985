//! Trying a channel: a real message, and the real answer.

use std::time::Duration;

use protocol::Timestamp;
use store::{Said, Severity};
use tokio::time::{Instant, timeout};

use crate::channels::{self, Failed, Fault, LIMIT, Message, Outcome, Outside, Problem, Settings, Voice};
use crate::{Notification, Occasion};

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// How it ended, with what the other side said.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Sends a test with these settings, secrets among them, whether or not they are kept.
pub async fn try_channel(kind: &str, settings: &Settings, voice: &Voice, outside: &Outside) -> Tried {
    let started = Instant::now();
    let outcome = match channels::open(kind, settings, outside) {
        Ok(channel) => {
            let notification = notification(outside.clock.now());
            let message = Message { notification: &notification, voice, handle: None };
            timeout(LIMIT, channel.send(message)).await.unwrap_or_else(|_| {
                let why = format!("no answer within {} seconds", LIMIT.as_secs());
                Err(Failed { why, retry_after: None, fault: Fault::Channel })
            })
        }
        Err(problems) => Err(Failed { why: told(&problems), retry_after: None, fault: Fault::Settings }),
    };
    Tried { outcome, took: started.elapsed() }
}

fn notification(at: Timestamp) -> Notification {
    let said = |en: &str, zh: &str| Said { en: en.to_owned(), zh: zh.to_owned() };
    Notification {
        id: format!("test-{}", at.0),
        occasion: Occasion::Test,
        at,
        alert: None,
        rule: None,
        severity: Severity::Info,
        title: said("OpenClaw Watch can reach you here", "OpenClaw Watch 可以在这里通知你"),
        detail: Some(said(
            "Somebody tried this channel. Nothing is wrong.",
            "有人测试了此通知渠道，一切正常。",
        )),
        device: None,
        devices: None,
        fired_at: None,
        resolved_at: None,
        url: None,
    }
}

/// What is wrong with a form, in one line.
pub(super) fn told(problems: &[Problem]) -> String {
    let each: Vec<String> =
        problems.iter().map(|Problem { field, message }| format!("{field}: {message}")).collect();
    format!("the settings cannot be used: {}", each.join(" "))
}
