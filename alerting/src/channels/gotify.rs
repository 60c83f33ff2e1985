//! Gotify.

use serde_json::json;

use super::form::Form;
use super::http::{Address, Client, ClientSetup};
use super::words::{Tone, Words};
use super::{Arrived, Channel, ChannelKind, Fault, Field, FieldKind, Message, Opens, Problem, Sending};

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "gotify",
    name: ("Gotify", "Gotify"),
    help: (
        "Create an application on the Gotify server, and copy its token.",
        "在 Gotify 服务器上创建应用（Application），复制其令牌。",
    ),
    own: &[
        Field {
            word: "server",
            label: ("Server", "服务器"),
            placeholder: "https://gotify.example",
            kind: FieldKind::Url,
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "token",
            label: ("Application token", "应用令牌"),
            placeholder: "A…",
            kind: FieldKind::Secret,
            required: true,
            ..Field::EMPTY
        },
    ],
    http: true,
    edits: false,
    must_end: false,
    read,
};

struct Gotify {
    client: Client,
    url: Address,
    token: String,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (url, token) = (form.address("server")?.below(["message"]), form.owned("token"));
    let setup = ClientSetup::read(form)?;
    Ok(Box::new(move |outside| Box::new(Gotify { client: outside.web.client(setup), url, token })))
}

impl Channel for Gotify {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let words = Words::of(&message);
            // From 8 on Android makes itself heard, from 4 it makes a sound.
            let priority = match words.tone {
                Tone::Critical => 10,
                Tone::Error => 8,
                Tone::Warning | Tone::Good => 5,
                Tone::Info => 2,
            };
            let body = words.body(message.voice.language);
            let text = if body.is_empty() { words.headline.clone() } else { body };
            let mut extras = json!({ "client::display": { "contentType": "text/plain" } });
            if let (Some((_, url)), Some(extras)) = (&words.link, extras.as_object_mut()) {
                extras.insert("client::notification".to_owned(), json!({ "click": { "url": url } }));
            }
            let body =
                json!({ "title": words.headline, "message": text, "priority": priority, "extras": extras });
            let answer =
                self.client.post(self.url.clone(), &body).with("x-gotify-key", &self.token).send().await?;
            answer.judge(true)?;
            match answer.json::<serde_json::Value>() {
                Some(said) if said.get("id").is_some() => Ok(Arrived { handle: None, answer: answer.said }),
                _ => Err(answer.failed(Fault::Channel)),
            }
        })
    }
}
