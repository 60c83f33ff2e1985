//! Webhooks of Discord, and of what understands them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::form::Form;
use super::http::{Address, Answer, Client, ClientSetup, Method};
use super::words::{Words, cut, steps};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Message, Opens, Outcome, Problem,
    Sending, TELL_RESOLVED,
};

/// Characters that Discord takes, with room for what escaping adds.
const TITLE: usize = 256;
const DESCRIPTION: usize = 4_096;
const VALUE: usize = 1_024;

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "discord",
    name: ("Discord", "Discord"),
    help: (
        "In the settings of the text channel: Integrations, Webhooks, New webhook, Copy webhook URL.",
        "在文字频道的设置中依次选择：整合、Webhook、新建 Webhook、复制 Webhook URL。",
    ),
    own: &[
        Field {
            word: "url",
            label: ("Webhook URL", "Webhook 地址"),
            help: Some(("Whoever knows it can write to the channel.", "知道此地址的人都能向该频道发消息。")),
            placeholder: "https://discord.com/api/webhooks/…",
            kind: FieldKind::Secret,
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "thread",
            label: ("Thread", "子区"),
            help: Some((
                "The number of a thread or forum post, to write there.",
                "要发到某个子区或论坛帖子时，填写其数字 ID。",
            )),
            placeholder: "1100000000000000000",
            ..Field::EMPTY
        },
        TELL_RESOLVED,
    ],
    http: true,
    edits: true,
    must_end: false,
    read,
};

struct Discord {
    client: Client,
    url: Address,
    thread: Option<String>,
    tell_resolved: bool,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let url = form.address("url")?;
    let thread = form.text("thread").map(str::to_owned);
    if thread.as_ref().is_some_and(|thread| !thread.bytes().all(|b| b.is_ascii_digit())) {
        return Err(vec![Problem::new("thread", "give the thread's number")]);
    }
    let (setup, tell_resolved) = (ClientSetup::read(form)?, form.on("tell_resolved"));
    Ok(Box::new(move |outside| {
        Box::new(Discord { client: outside.web.client(setup), url, thread, tell_resolved })
    }))
}

#[derive(Deserialize)]
struct Reply {
    id: Option<String>,
    code: Option<u32>,
    retry_after: Option<f64>,
}

impl Channel for Discord {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(self.tell(message))
    }

    fn edits(&self) -> bool {
        true
    }
}

impl Discord {
    async fn tell(&self, message: Message<'_>) -> Outcome {
        let body = body(&Words::of(&message));
        let steps = steps(message.notification.occasion, message.handle.is_some(), self.tell_resolved);
        let mut first = None;
        if let Some(handle) = message.handle.filter(|_| steps.edit) {
            let url = self.threaded(self.url.below(["messages", handle]));
            let answer = self.client.ask(Method::PATCH, url).json(&body).send().await?;
            match judge(&answer) {
                Ok(there) => first = there.map(|_| handle.to_owned()),
                // It was sent elsewhere, before somebody changed the settings: whether they work shows below.
                Err(failed) if failed.fault == Fault::Settings => {}
                Err(failed) => return Err(failed),
            }
            if !steps.post && first.is_some() {
                return Ok(Arrived { handle: first, answer: answer.said });
            }
        }
        // Otherwise it answers nothing, and before the message is there.
        let url = self.threaded(self.url.with(&[("wait", "true")]));
        let answer = self.client.post(url, &body).send().await?;
        match judge(&answer)? {
            Some(id) => Ok(Arrived { handle: first.or(Some(id)), answer: answer.said }),
            None => Err(answer.failed(Fault::Settings)),
        }
    }

    fn threaded(&self, url: Address) -> Address {
        match &self.thread {
            Some(thread) => url.with(&[("thread_id", thread)]),
            None => url,
        }
    }
}

fn body(words: &Words) -> Value {
    let fields: Vec<Value> = words
        .facts
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": cut(&escape(value), VALUE), "inline": true }))
        .collect();
    let mut embed = json!({
        "title": cut(&escape(&words.headline), TITLE),
        "color": words.tone.rgb(),
        "fields": fields,
        "footer": { "text": "OpenClaw Watch" },
    });
    let mut set = |key: &str, value: Value| {
        if let Some(embed) = embed.as_object_mut() {
            embed.insert(key.to_owned(), value);
        }
    };
    if !words.detail.is_empty() {
        set("description", json!(cut(&escape(&words.detail.join("\n")), DESCRIPTION)));
    }
    if let Some((_, url)) = &words.link {
        set("url", json!(url));
    }
    // Nobody is called, whatever a device is named.
    json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } })
}

/// A text that Discord shows as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '[' | ']' | '#' | '@' | ':') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The message's id; `None` when what was to be changed is gone.
fn judge(answer: &Answer) -> Result<Option<String>, Failed> {
    let reply: Option<Reply> = answer.json();
    match (answer.status, reply) {
        (200..300, Some(Reply { id: Some(id), .. })) => Ok(Some(id)),
        // Unknown message; one of somebody else.
        (404, Some(Reply { code: Some(10_008), .. })) | (403, Some(Reply { code: Some(50_005), .. })) => {
            Ok(None)
        }
        (429, reply) => {
            let wait = reply.and_then(|reply| Duration::try_from_secs_f64(reply.retry_after?).ok());
            Err(Failed::busy(&answer.said, wait.or(answer.retry_after)))
        }
        // Something else answers at this address.
        (200..300, _) => Err(answer.failed(Fault::Channel)),
        _ => Err(answer.judge(true).err().unwrap_or_else(|| answer.failed(Fault::Channel))),
    }
}
