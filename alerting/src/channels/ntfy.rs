//! ntfy.

use serde_json::json;

use super::form::Form;
use super::http::{Address, Client, ClientSetup, base64};
use super::words::{Tone, Words, cut_bytes};
use super::{Arrived, Channel, ChannelKind, Fault, Field, FieldKind, Message, Opens, Problem, Sending};

/// Bytes; what is longer becomes an attachment.
const TITLE: usize = 250;
const MESSAGE: usize = 4_000;

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "ntfy",
    name: ("ntfy", "ntfy"),
    help: (
        "Subscribe to a topic in the ntfy app, and give the same topic here. On ntfy.sh whoever knows the topic can read it: choose one that nobody guesses.",
        "在 ntfy 应用中订阅一个主题，并在此填写同一主题。在 ntfy.sh 上，知道主题名的人都能读到消息，请取一个猜不到的名称。",
    ),
    own: &[
        Field {
            word: "topic",
            label: ("Topic", "主题"),
            kind: FieldKind::Secret,
            required: true,
            placeholder: "watch-Hk3v9ZpQ",
            ..Field::EMPTY
        },
        Field {
            word: "server",
            label: ("Server", "服务器"),
            placeholder: "https://ntfy.sh",
            kind: FieldKind::Url,
            default: "https://ntfy.sh",
            ..Field::EMPTY
        },
        Field {
            word: "token",
            label: ("Access token", "访问令牌"),
            help: Some(("Only if the topic is protected.", "仅当主题受保护时需要。")),
            placeholder: "tk_…",
            kind: FieldKind::Secret,
            ..Field::EMPTY
        },
        Field {
            word: "user",
            label: ("User name", "用户名"),
            help: Some(("In place of a token.", "不用令牌时填写。")),
            ..Field::EMPTY
        },
        Field { word: "password", label: ("Password", "密码"), kind: FieldKind::Secret, ..Field::EMPTY },
    ],
    http: true,
    edits: false,
    must_end: false,
    read,
};

struct Ntfy {
    client: Client,
    server: Address,
    topic: String,
    authorization: Option<String>,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (server, topic, setup) = (form.address("server")?, form.owned("topic"), ClientSetup::read(form)?);
    let in_topic = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if topic.len() > 64 || !topic.chars().all(in_topic) {
        return Err(vec![Problem::new("topic", "use up to 64 letters, digits, - and _")]);
    }
    let authorization = match (form.text("token"), form.text("user"), form.text("password")) {
        (Some(token), None, None) => Some(format!("Bearer {token}")),
        (None, Some(user), Some(password)) => Some(format!("Basic {}", base64(format!("{user}:{password}")))),
        (None, None, None) => None,
        (Some(_), ..) => {
            return Err(vec![Problem::new("token", "leave either the token or the user name empty")]);
        }
        _ => return Err(vec![Problem::new("password", "give both a user name and a password, or neither")]),
    };
    Ok(Box::new(move |outside| {
        Box::new(Ntfy { client: outside.web.client(setup), server, topic, authorization })
    }))
}

impl Channel for Ntfy {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let words = Words::of(&message);
            let (priority, tag) = match words.tone {
                Tone::Critical => (5, "rotating_light"),
                Tone::Error => (4, "red_circle"),
                Tone::Warning => (3, "warning"),
                Tone::Info => (2, "information_source"),
                Tone::Good => (3, "white_check_mark"),
            };
            let body = words.body(message.voice.language);
            // It must not be empty, or it says "triggered".
            let text = if body.is_empty() { &words.headline } else { &body };
            let mut body = json!({
                "topic": self.topic,
                "title": cut_bytes(&words.headline, TITLE),
                "message": cut_bytes(text, MESSAGE),
                "priority": priority,
                "tags": [tag],
            });
            if let (Some((_, url)), Some(body)) = (&words.link, body.as_object_mut()) {
                body.insert("click".to_owned(), json!(url));
            }
            let mut ask = self.client.post(self.server.clone(), &body);
            if let Some(authorization) = &self.authorization {
                ask = ask.with("authorization", authorization);
            }
            let answer = ask.send().await?;
            answer.judge(true)?;
            match answer.json::<serde_json::Value>() {
                Some(said) if said.get("id").is_some() => Ok(Arrived { handle: None, answer: answer.said }),
                _ => Err(answer.failed(Fault::Channel)),
            }
        })
    }
}
