//! Telegram's bot API.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::form::Form;
use super::http::{Address, Answer, Client, ClientSetup};
use super::words::{Tone, Words, calls_nobody, cut, html, steps};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Message, Opens, Outcome, Problem,
    Sending, TELL_RESOLVED,
};
use crate::Occasion;

/// Characters of a message are 4,096 of UTF-16 without the markup; a character takes two at most.
const CHARS: usize = 2_000;

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "telegram",
    name: ("Telegram", "Telegram"),
    help: (
        "Talk to @BotFather, send /newbot, and copy the token. Then write to the bot once, or add it to the group.",
        "在 Telegram 中找 @BotFather，发送 /newbot 创建机器人并复制令牌；然后给机器人发一条消息，或把它拉进群组。",
    ),
    own: &[
        Field {
            word: "token",
            label: ("Bot token", "机器人令牌"),
            placeholder: "123456789:AA…",
            kind: FieldKind::Secret,
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "chat",
            label: ("Chat", "会话"),
            help: Some((
                "A number (of groups it is negative), or @name of a public channel. @userinfobot tells yours.",
                "数字 ID（群组为负数），或公开频道的 @名称。可向 @userinfobot 查询自己的 ID。",
            )),
            placeholder: "-1001234567890",
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "topic",
            label: ("Topic", "话题"),
            help: Some((
                "Of a group with topics: the number in the link to a message of the topic.",
                "仅用于开启了话题的群组：话题内任一消息链接中的数字。",
            )),
            placeholder: "42",
            kind: FieldKind::Number { min: 1, max: i32::MAX as i64 },
            ..Field::EMPTY
        },
        TELL_RESOLVED,
        Field {
            word: "api",
            label: ("Address of the API", "API 地址"),
            help: Some(("Only for a bot API server of your own.", "仅在自建 Bot API 服务器时更改。")),
            placeholder: "https://api.telegram.org",
            kind: FieldKind::Url,
            default: "https://api.telegram.org",
            ..Field::EMPTY
        },
    ],
    http: true,
    edits: true,
    must_end: false,
    read,
};

struct Telegram {
    client: Client,
    /// Of the bot, with its token.
    api: Address,
    chat: String,
    topic: Option<i64>,
    tell_resolved: bool,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (token, chat) = (form.owned("token"), form.owned("chat"));
    let mut problems = Vec::new();
    let in_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
    if !token.contains(':') || !token.chars().all(in_token) {
        problems.push(Problem::new(
            "token",
            "copy the whole token from @BotFather: a number, a colon, and letters",
        ));
    }
    if chat.parse::<i64>().is_err() && chat.strip_prefix('@').is_none_or(str::is_empty) {
        problems.push(Problem::new("chat", "give the chat's number, or @name of a public channel"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let api = form.address("api")?.below([format!("bot{token}").as_str()]);
    let (topic, tell_resolved) = (form.number("topic"), form.on("tell_resolved"));
    let setup = ClientSetup::read(form)?;
    Ok(Box::new(move |outside| {
        Box::new(Telegram { client: outside.web.client(setup), api, chat, topic, tell_resolved })
    }))
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
    result: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

/// What became of a request.
enum Told {
    /// It is there, under this handle.
    There(String),
    /// What was to be changed is gone.
    Gone,
    /// The group has a new number.
    Moved(i64),
}

impl Channel for Telegram {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(self.tell(message))
    }

    fn edits(&self) -> bool {
        true
    }
}

impl Telegram {
    async fn tell(&self, message: Message<'_>) -> Outcome {
        let words = Words::of(&message);
        let text = text(&words, &message);
        let before = message.handle.and_then(Handle::parse);
        let steps = steps(message.notification.occasion, before.is_some(), self.tell_resolved);
        let mut first = before;
        let mut answer = String::new();
        if let Some(handle) = first.filter(|_| steps.edit) {
            match self.ask("editMessageText", &handle.named(&text)).await {
                Ok((Told::Gone, _)) => first = None,
                Ok((_, said)) => answer = said,
                // It was sent elsewhere, before somebody changed the settings: whether they work shows below.
                Err(failed) if failed.fault == Fault::Settings => first = None,
                Err(failed) => return Err(failed),
            }
        }
        if !steps.post && first.is_some() {
            return Ok(Arrived { handle: message.handle.map(str::to_owned), answer });
        }
        // What is only good to know wakes nobody.
        let silent = words.tone == Tone::Info && message.notification.occasion != Occasion::Test;
        let mut body = message_body(&text, silent, first, self.topic);
        set(&mut body, "chat_id", json!(self.chat));
        let (mut told, mut answer) = self.ask("sendMessage", &body).await?;
        if let Told::Moved(chat) = told {
            set(&mut body, "chat_id", json!(chat));
            (told, answer) = self.ask("sendMessage", &body).await?;
        }
        match told {
            // What is changed later stays the first of the alert.
            Told::There(handle) => {
                let handle = if first.is_some() { message.handle.map(str::to_owned) } else { Some(handle) };
                Ok(Arrived { handle, answer })
            }
            Told::Gone | Told::Moved(_) => Err(Failed::new(Fault::Settings, answer)),
        }
    }

    async fn ask(&self, method: &str, body: &Value) -> Result<(Told, String), Failed> {
        let answer = self.client.post(self.api.below([method]), body).send().await?;
        judge(&answer).map(|told| (told, answer.said))
    }
}

fn set(body: &mut Value, key: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(key.to_owned(), value);
    }
}

fn text(words: &Words, message: &Message<'_>) -> String {
    let sign = match words.tone {
        Tone::Critical => "🔴",
        Tone::Error => "🟠",
        Tone::Warning => "🟡",
        Tone::Info => "🔵",
        Tone::Good => "🟢",
    };
    let plain = |text: &str| html(&calls_nobody(text));
    let body = words.body(message.voice.language);
    let body = plain(&cut(&body, CHARS - words.headline.chars().count().min(CHARS)));
    let link = words.link.as_ref().map(|(name, url)| format!("<a href=\"{}\">{name}</a>", html(url)));
    let head = format!("{sign} <b>{}</b>", plain(&words.headline));
    let lines = [head, body, link.unwrap_or_default()];
    lines.iter().filter(|line| !line.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn message_body(text: &str, silent: bool, answers: Option<Handle>, topic: Option<i64>) -> Value {
    let mut body = json!({
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": { "is_disabled": true },
        "disable_notification": silent,
    });
    if let Some(topic) = topic {
        set(&mut body, "message_thread_id", json!(topic));
    }
    if let Some(Handle { chat, message }) = answers {
        let reply = json!({ "message_id": message, "chat_id": chat, "allow_sending_without_reply": true });
        set(&mut body, "reply_parameters", reply);
    }
    body
}

/// A message that was sent: the numbers of its chat and of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Handle {
    chat: i64,
    message: i64,
}

impl Handle {
    fn parse(text: &str) -> Option<Self> {
        let (chat, message) = text.split_once('/')?;
        Some(Self { chat: chat.parse().ok()?, message: message.parse().ok()? })
    }

    /// What changes it into this text.
    fn named(self, text: &str) -> Value {
        json!({
            "chat_id": self.chat,
            "message_id": self.message,
            "text": text,
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        })
    }
}

fn judge(answer: &Answer) -> Result<Told, Failed> {
    let Some(reply) = answer.json::<Reply>() else {
        // Not Telegram: a proxy, or a wall around it.
        answer.judge(false)?;
        return Err(answer.failed(Fault::Channel));
    };
    if answer.is_ok() {
        let number = |at: &str| reply.result.as_ref().and_then(|result| result.pointer(at)?.as_i64());
        let (chat, message) = (number("/chat/id"), number("/message_id"));
        return match (chat, message) {
            (Some(chat), Some(message)) => Ok(Told::There(format!("{chat}/{message}"))),
            _ => Err(answer.failed(Fault::Channel)),
        };
    }
    let says = |words: &str| reply.description.to_ascii_lowercase().contains(words);
    match answer.status {
        400 if says("message is not modified") => Ok(Told::There(String::new())),
        400 if says("message to edit not found")
            || says("message can't be edited")
            || says("message_id_invalid") =>
        {
            Ok(Told::Gone)
        }
        400 if let Some(chat) = reply.parameters.migrate_to_chat_id => Ok(Told::Moved(chat)),
        400 if says("chat not found")
            || says("thread not found")
            || says("chat_id is empty")
            || says("rights") =>
        {
            Err(answer.failed(Fault::Settings))
        }
        400 => Err(answer.failed(Fault::Message)),
        401 | 403 | 404 => Err(answer.failed(Fault::Settings)),
        429 => {
            let wait = reply.parameters.retry_after.map(Duration::from_secs).or(answer.retry_after);
            Err(Failed::busy(&answer.said, wait))
        }
        _ => Err(answer.failed(Fault::Channel)),
    }
}
