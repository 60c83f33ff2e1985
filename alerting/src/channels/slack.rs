//! Slack: an incoming webhook, or a bot, which can also change what it wrote.

use serde::Deserialize;
use serde_json::{Value, json};

use super::form::Form;
use super::http::{Address, Answer, Client, ClientSetup};
use super::words::{Words, steps};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Message, Opens, Outcome, Problem,
    Sending, TELL_RESOLVED,
};

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "slack",
    name: ("Slack", "Slack"),
    help: (
        "Either the URL of an incoming webhook (api.slack.com/apps, Incoming Webhooks), or a bot token with chat:write and a channel that the bot is in: then messages are updated when an alert changes.",
        "二选一：传入 Webhook 的地址（api.slack.com/apps，Incoming Webhooks）；或具有 chat:write 权限的机器人令牌，加上机器人所在的频道，此时告警变化会更新原消息。",
    ),
    own: &[
        Field {
            word: "url",
            label: ("Webhook URL", "Webhook 地址"),
            placeholder: "https://hooks.slack.com/services/…",
            kind: FieldKind::Secret,
            ..Field::EMPTY
        },
        Field {
            word: "token",
            label: ("Bot token", "机器人令牌"),
            placeholder: "xoxb-…",
            kind: FieldKind::Secret,
            ..Field::EMPTY
        },
        Field {
            word: "channel",
            label: ("Channel", "频道"),
            help: Some(("Its ID, from the channel's details.", "频道 ID，见频道详情底部。")),
            placeholder: "C0123456789",
            ..Field::EMPTY
        },
        TELL_RESOLVED,
        Field {
            word: "api",
            label: ("Address of the API", "API 地址"),
            placeholder: "https://slack.com/api",
            kind: FieldKind::Url,
            default: "https://slack.com/api",
            ..Field::EMPTY
        },
    ],
    http: true,
    edits: true,
    must_end: false,
    read,
};

struct Webhook {
    client: Client,
    url: Address,
}

struct Bot {
    client: Client,
    api: Address,
    token: String,
    channel: String,
    tell_resolved: bool,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let setup = ClientSetup::read(form)?;
    let (token, channel) = (form.text("token"), form.text("channel"));
    match (form.text("url"), token, channel) {
        (Some(_), None, _) => {
            let url = form.address("url")?;
            Ok(Box::new(move |outside| Box::new(Webhook { client: outside.web.client(setup), url })))
        }
        (None, Some(token), Some(channel)) => {
            let (api, tell_resolved) = (form.address("api")?, form.on("tell_resolved"));
            let (token, channel) = (token.to_owned(), channel.to_owned());
            Ok(Box::new(move |outside| {
                Box::new(Bot { client: outside.web.client(setup), api, token, channel, tell_resolved })
            }))
        }
        (None, Some(_), None) => Err(vec![Problem::new("channel", "a bot also needs a channel")]),
        (Some(_), Some(_), _) => {
            Err(vec![Problem::new("token", "leave either the webhook URL or the bot token empty")])
        }
        (None, None, _) => Err(vec![Problem::new("url", "give a webhook URL, or a bot token and a channel")]),
    }
}

fn body(words: &Words) -> Value {
    let mut attachment = json!({
        "color": words.tone.hex(),
        "fallback": escape(&words.headline),
        "text": escape(&words.detail.join("\n")),
        "fields": words.facts.iter().map(|(name, value)| json!({
            "title": name, "value": escape(value), "short": true,
        })).collect::<Vec<_>>(),
        // Nothing of it is read as markup.
        "mrkdwn_in": [],
        "footer": "OpenClaw Watch",
    });
    if let (Some((name, url)), Some(attachment)) = (&words.link, attachment.as_object_mut()) {
        attachment.insert("title".to_owned(), json!(name));
        attachment.insert("title_link".to_owned(), json!(url));
    }
    json!({
        "text": escape(&words.headline),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "attachments": [attachment],
    })
}

/// Without these three a text calls nobody and links nowhere.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Channel for Webhook {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let answer = self.client.post(self.url.clone(), &body(&Words::of(&message))).send().await?;
            answer.judge(true)?;
            // A page in its place would also say 200.
            if answer.body.trim() != "ok" {
                return Err(answer.failed(Fault::Channel));
            }
            Ok(Arrived { handle: None, answer: answer.said })
        })
    }
}

impl Channel for Bot {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(self.tell(message))
    }

    fn edits(&self) -> bool {
        true
    }
}

#[derive(Deserialize)]
struct Reply {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
}

impl Bot {
    async fn tell(&self, message: Message<'_>) -> Outcome {
        let mut body = body(&Words::of(&message));
        let before = message.handle.and_then(|handle| handle.split_once('/'));
        let steps = steps(message.notification.occasion, before.is_some(), self.tell_resolved);
        let mut first = None;
        if let Some((channel, ts)) = before.filter(|_| steps.edit) {
            set(&mut body, &[("channel", json!(channel)), ("ts", json!(ts))]);
            match self.ask("chat.update", &body).await {
                Ok((Some(_), answer)) if !steps.post => {
                    return Ok(Arrived { handle: message.handle.map(str::to_owned), answer });
                }
                Ok((there, _)) => first = there.map(|_| (channel, ts)),
                // It was sent elsewhere, before somebody changed the settings: whether they work shows below.
                Err(failed) if failed.fault == Fault::Settings => {}
                Err(failed) => return Err(failed),
            }
        }
        if let Some(body) = body.as_object_mut() {
            body.remove("ts");
        }
        set(&mut body, &[("channel", json!(self.channel))]);
        if let Some((channel, ts)) = first {
            // In its thread, and seen in the channel.
            set(
                &mut body,
                &[("channel", json!(channel)), ("thread_ts", json!(ts)), ("reply_broadcast", json!(true))],
            );
        }
        match self.ask("chat.postMessage", &body).await? {
            (Some(handle), answer) => {
                let handle = if first.is_some() { message.handle.map(str::to_owned) } else { Some(handle) };
                Ok(Arrived { handle, answer })
            }
            (None, said) => Err(Failed::new(Fault::Settings, said)),
        }
    }

    /// Where the message is; `None` when what was to be changed is gone.
    async fn ask(&self, method: &str, body: &Value) -> Result<(Option<String>, String), Failed> {
        let answer = self.client.post(self.api.below([method]), body).bearer(&self.token).send().await?;
        judge(&answer).map(|there| (there, answer.said))
    }
}

fn set(body: &mut Value, pairs: &[(&str, Value)]) {
    if let Some(body) = body.as_object_mut() {
        body.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    }
}

fn judge(answer: &Answer) -> Result<Option<String>, Failed> {
    if answer.status == 429 {
        return Err(Failed::busy(&answer.said, answer.retry_after));
    }
    let Some(reply) = answer.json::<Reply>() else {
        answer.judge(true)?;
        return Err(answer.failed(Fault::Channel));
    };
    match reply.error.as_str() {
        _ if reply.ok => Ok(Some(format!("{}/{}", reply.channel, reply.ts))),
        "message_not_found" | "cant_update_message" | "edit_window_closed" => Ok(None),
        "ratelimited"
        | "rate_limited"
        | "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => Err(answer.failed(Fault::Channel)),
        "msg_too_long" | "no_text" | "invalid_blocks" | "too_many_attachments" | "invalid_arguments" => {
            Err(answer.failed(Fault::Message))
        }
        // invalid_auth, channel_not_found, not_in_channel, is_archived, missing_scope and their like.
        _ => Err(answer.failed(Fault::Settings)),
    }
}
