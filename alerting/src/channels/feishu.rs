//! Group robots of Feishu, which is called Lark outside China.

use std::time::Duration;

use protocol::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::Form;
use super::http::{Address, Answer, Client, ClientSetup, base64, hmac_sha256};
use super::words::{Tone, Words};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Message, Opens, Problem, Sending,
};

/// A hundred messages a minute and five a second are let through.
const TOO_MANY: Duration = Duration::from_secs(30);

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "feishu",
    name: ("Feishu / Lark robot", "飞书群机器人"),
    help: (
        "In the group's settings: add a custom bot with a signature, and copy its webhook address and secret. With keywords instead, use OpenClaw: it stands in every message.",
        "在群设置中添加自定义机器人，安全设置选择「签名校验」，复制 Webhook 地址和密钥。若选择自定义关键词，请填 OpenClaw，每条消息都含有它。",
    ),
    own: &[
        Field {
            word: "url",
            label: ("Webhook address", "Webhook 地址"),
            placeholder: "https://open.feishu.cn/open-apis/bot/v2/hook/…",
            kind: FieldKind::Secret,
            required: true,
            ..Field::EMPTY
        },
        Field { word: "secret", label: ("Secret", "签名密钥"), kind: FieldKind::Secret, ..Field::EMPTY },
    ],
    http: true,
    edits: false,
    must_end: false,
    read,
};

struct Feishu {
    client: Client,
    url: Address,
    secret: Option<String>,
    clock: Clock,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (url, setup) = (form.address("url")?, ClientSetup::read(form)?);
    let secret = form.text("secret").map(str::to_owned);
    Ok(Box::new(move |outside| {
        Box::new(Feishu { client: outside.web.client(setup), url, secret, clock: outside.clock.clone() })
    }))
}

impl Channel for Feishu {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let words = Words::of(&message);
            let mut body = json!({ "msg_type": "interactive", "card": card(&words, &message) });
            if let (Some(secret), Some(body)) = (&self.secret, body.as_object_mut()) {
                let at = (self.clock.now().0 / 1_000).to_string();
                // Its own way: what would be signed is the key, and nothing is signed.
                let sign = base64(hmac_sha256(format!("{at}\n{secret}").as_bytes(), b""));
                body.insert("timestamp".to_owned(), json!(at));
                body.insert("sign".to_owned(), json!(sign));
            }
            let answer = self.client.post(self.url.clone(), &body).send().await?;
            judge(&answer)?;
            Ok(Arrived { handle: None, answer: answer.said })
        })
    }
}

fn card(words: &Words, message: &Message<'_>) -> Value {
    let template = match words.tone {
        Tone::Critical => "red",
        Tone::Error => "orange",
        Tone::Warning => "yellow",
        Tone::Info => "blue",
        Tone::Good => "green",
    };
    // As plain text nothing of it calls anybody or links anywhere.
    let plain = |text: &str| json!({ "tag": "plain_text", "content": text });
    let mut elements = Vec::new();
    let body = words.body(message.voice.language);
    if !body.is_empty() {
        elements.push(json!({ "tag": "div", "text": plain(&body) }));
    }
    if let Some((name, url)) = &words.link {
        let button = json!({ "tag": "button", "text": plain(name), "type": "default", "url": url });
        elements.push(json!({ "tag": "action", "actions": [button] }));
    }
    elements.push(json!({ "tag": "note", "elements": [plain("OpenClaw Watch")] }));
    json!({
        "config": { "wide_screen_mode": true },
        "header": { "title": plain(&words.headline), "template": template },
        "elements": elements,
    })
}

#[derive(Deserialize)]
struct Reply {
    code: Option<i64>,
    /// What older robots answer.
    #[serde(rename = "StatusCode")]
    status_code: Option<i64>,
}

/// It answers 200 to almost everything.
fn judge(answer: &Answer) -> Result<(), Failed> {
    let code = answer.json::<Reply>().and_then(|reply| reply.code.or(reply.status_code));
    match code {
        Some(0) if answer.is_ok() => Ok(()),
        Some(11_232 | 11_233 | 99_991_400) => {
            Err(Failed::busy(&answer.said, answer.retry_after.or(Some(TOO_MANY))))
        }
        // Signature, address or keyword do not match; no such robot; it is stopped.
        Some(19_001 | 19_002 | 19_005..=19_007 | 19_021 | 19_022 | 19_024 | 10_014) => {
            Err(answer.failed(Fault::Settings))
        }
        Some(9_499 | 11_246 | 230_099) => Err(answer.failed(Fault::Message)),
        _ => {
            answer.judge(true)?;
            Err(answer.failed(Fault::Channel))
        }
    }
}
