//! Bark, for iPhones.

use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::http::{Address, Client, ClientSetup};
use super::words::{Tone, Words, cut_bytes};
use super::{Arrived, Channel, ChannelKind, Fault, Field, FieldKind, Message, Opens, Problem, Sending};

/// Bytes: what Apple carries is 4,096 with everything around it.
const TITLE: usize = 400;
const BODY: usize = 2_500;

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "bark",
    name: ("Bark (iPhone)", "Bark（iPhone）"),
    help: (
        "Open the Bark app and copy the device key: the part of the address behind the server's name.",
        "打开 Bark 应用，复制设备密钥：即推送地址中服务器名之后的那一段。",
    ),
    own: &[
        Field {
            word: "key",
            label: ("Device key", "设备密钥"),
            kind: FieldKind::Secret,
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "server",
            label: ("Server", "服务器"),
            placeholder: "https://api.day.app",
            kind: FieldKind::Url,
            default: "https://api.day.app",
            ..Field::EMPTY
        },
        Field {
            word: "loud",
            label: ("Sound in silent mode", "静音时也响铃"),
            help: Some((
                "Critical alerts are heard even when the phone is silent or in a focus.",
                "紧急告警在手机静音或专注模式下也会响铃。",
            )),
            kind: FieldKind::Toggle,
            ..Field::EMPTY
        },
    ],
    http: true,
    edits: false,
    must_end: false,
    read,
};

struct Bark {
    client: Client,
    url: Address,
    key: String,
    loud: bool,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (url, key, loud) = (form.address("server")?.below(["push"]), form.owned("key"), form.on("loud"));
    if !key.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(vec![Problem::new("key", "give only the key: letters and digits")]);
    }
    let setup = ClientSetup::read(form)?;
    Ok(Box::new(move |outside| Box::new(Bark { client: outside.web.client(setup), url, key, loud })))
}

#[derive(Deserialize)]
struct Reply {
    code: u16,
    #[serde(default)]
    message: String,
}

impl Channel for Bark {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let words = Words::of(&message);
            let level = match words.tone {
                Tone::Critical if self.loud => "critical",
                Tone::Critical | Tone::Error => "timeSensitive",
                Tone::Warning | Tone::Good => "active",
                Tone::Info => "passive",
            };
            let text = words.body(message.voice.language);
            let mut body = json!({
                "device_key": self.key,
                "title": cut_bytes(&words.headline, TITLE),
                "body": cut_bytes(&text, BODY),
                "level": level,
                "group": "OpenClaw Watch",
                "isArchive": "1",
            });
            if let (Some((_, url)), Some(body)) = (&words.link, body.as_object_mut()) {
                body.insert("url".to_owned(), json!(url));
            }
            let answer = self.client.post(self.url.clone(), &body).send().await?;
            match answer.json::<Reply>() {
                Some(Reply { code: 200, .. }) if answer.is_ok() => {
                    Ok(Arrived { handle: None, answer: answer.said })
                }
                Some(Reply { code: 400, message })
                    if message.contains("device token") || message.contains("device key") =>
                {
                    Err(answer.failed(Fault::Settings))
                }
                _ => {
                    answer.judge(true)?;
                    Err(answer.failed(Fault::Channel))
                }
            }
        })
    }
}
