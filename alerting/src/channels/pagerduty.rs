//! PagerDuty's Events API v2, and what understands it.

use serde_json::{Value, json};

use super::form::Form;
use super::http::{Address, Answer, Client, ClientSetup};
use super::webhook::rfc3339;
use super::words::{Words, subject};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Message, Opens, Outcome, Problem, Sending,
};
use crate::Occasion;

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "pagerduty",
    name: ("PagerDuty (Events API v2)", "PagerDuty（Events API v2）"),
    help: (
        "On a service: Integrations, add Events API V2, and copy the integration key. One incident for each alert; it is resolved by itself.",
        "在服务（Service）的集成（Integrations）中添加 Events API V2，复制集成密钥。每条告警对应一个事件，恢复时自动关闭。",
    ),
    own: &[
        Field {
            word: "key",
            label: ("Integration key", "集成密钥"),
            kind: FieldKind::Secret,
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "url",
            label: ("Address", "地址"),
            help: Some((
                "Another one for Europe (https://events.eu.pagerduty.com/v2/enqueue), or for a compatible service.",
                "欧洲区（https://events.eu.pagerduty.com/v2/enqueue）或兼容服务时更改。",
            )),
            placeholder: "https://events.pagerduty.com/v2/enqueue",
            kind: FieldKind::Url,
            default: "https://events.pagerduty.com/v2/enqueue",
            ..Field::EMPTY
        },
    ],
    http: true,
    edits: false,
    must_end: true,
    read,
};

struct Pagerduty {
    client: Client,
    url: Address,
    key: String,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (url, key, setup) = (form.address("url")?, form.owned("key"), ClientSetup::read(form)?);
    Ok(Box::new(move |outside| Box::new(Pagerduty { client: outside.web.client(setup), url, key })))
}

impl Channel for Pagerduty {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(self.tell(message))
    }
}

impl Pagerduty {
    async fn tell(&self, message: Message<'_>) -> Outcome {
        let said = message.notification;
        match said.occasion {
            // It would wake somebody to read.
            Occasion::Digest => {
                Ok(Arrived { handle: None, answer: "not sent: only alerts become incidents".to_owned() })
            }
            // What was tried is no incident.
            Occasion::Test => {
                self.ask(&self.trigger(&message)).await?;
                self.ask(&self.resolve(&message)).await
            }
            Occasion::Resolved => self.ask(&self.resolve(&message)).await,
            Occasion::Fired | Occasion::Worse | Occasion::Changed | Occasion::Reminder => {
                self.ask(&self.trigger(&message)).await
            }
        }
    }

    async fn ask(&self, body: &Value) -> Outcome {
        let answer = self.client.post(self.url.clone(), body).send().await?;
        judge(&answer)?;
        Ok(Arrived { handle: None, answer: answer.said })
    }

    fn trigger(&self, message: &Message<'_>) -> Value {
        let (said, words) = (message.notification, Words::of(message));
        let details: serde_json::Map<String, Value> =
            words.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let mut event = json!({
            "routing_key": self.key,
            "event_action": "trigger",
            "dedup_key": dedup_key(message),
            "client": "OpenClaw Watch",
            "payload": {
                // Of 1,024 characters at most; a headline is shorter.
                "summary": words.headline,
                "source": subject(said, message.voice.language).unwrap_or_else(|| "OpenClaw Watch".to_owned()),
                "severity": said.severity.as_str(),
                "timestamp": rfc3339(said.fired_at.unwrap_or(said.at)),
                "component": "openclaw",
                "class": said.rule.as_deref().unwrap_or("test"),
                "custom_details": { "detail": words.detail.join("\n"), "facts": details },
            },
        });
        if let (Some((name, url)), Some(event)) = (&words.link, event.as_object_mut()) {
            event.insert("client_url".to_owned(), json!(url));
            event.insert("links".to_owned(), json!([{ "href": url, "text": name }]));
        }
        event
    }

    fn resolve(&self, message: &Message<'_>) -> Value {
        json!({ "routing_key": self.key, "event_action": "resolve", "dedup_key": dedup_key(message) })
    }
}

/// One for each alert, also beside another server's alerts.
fn dedup_key(message: &Message<'_>) -> String {
    let said = message.notification;
    match (said.alert, said.fired_at) {
        (Some(alert), Some(at)) => format!("openclaw-watch/{alert}/{}", at.0),
        (Some(alert), None) => format!("openclaw-watch/{alert}"),
        (None, _) => format!("openclaw-watch/{}", said.id),
    }
}

fn judge(answer: &Answer) -> Result<(), Failed> {
    match answer.status {
        400 if answer.body.to_ascii_lowercase().contains("routing") => Err(answer.failed(Fault::Settings)),
        _ => answer.judge(true),
    }?;
    match answer.json::<Value>() {
        Some(said) if said.get("status").is_some_and(|status| status == "success") => Ok(()),
        _ => Err(answer.failed(Fault::Channel)),
    }
}
