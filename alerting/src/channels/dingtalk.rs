//! Group robots of DingTalk.

use std::time::Duration;

use protocol::Clock;
use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::http::{Address, Answer, Client, ClientSetup, base64, hmac_sha256};
use super::words::{Words, cut_bytes, wide};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Message, Opens, Problem, Sending,
};

/// Bytes of a text, well below the 20,000 of the whole.
const TEXT: usize = 12_000;
/// Who sends more than twenty messages in a minute is shut out for ten.
const TOO_MANY: Duration = Duration::from_mins(10);

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "dingtalk",
    name: ("DingTalk robot", "钉钉群机器人"),
    help: (
        "In the group: add a custom robot with signing, and copy its webhook address and secret. With keywords instead, use OpenClaw: it stands in every message.",
        "在群设置中添加自定义机器人，安全设置选择「加签」，复制 Webhook 地址和密钥。若选择自定义关键词，请填 OpenClaw，每条消息都含有它。",
    ),
    own: &[
        Field {
            word: "url",
            label: ("Webhook address", "Webhook 地址"),
            placeholder: "https://oapi.dingtalk.com/robot/send?access_token=…",
            kind: FieldKind::Secret,
            required: true,
            ..Field::EMPTY
        },
        Field {
            word: "secret",
            label: ("Secret", "加签密钥"),
            placeholder: "SEC…",
            kind: FieldKind::Secret,
            ..Field::EMPTY
        },
    ],
    http: true,
    edits: false,
    must_end: false,
    read,
};

struct Dingtalk {
    client: Client,
    url: Address,
    secret: Option<String>,
    clock: Clock,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (url, setup) = (form.address("url")?, ClientSetup::read(form)?);
    let secret = form.text("secret").map(str::to_owned);
    Ok(Box::new(move |outside| {
        Box::new(Dingtalk { client: outside.web.client(setup), url, secret, clock: outside.clock.clone() })
    }))
}

impl Dingtalk {
    /// The address with when and by whom it is asked.
    fn signed(&self) -> Address {
        let Some(secret) = &self.secret else { return self.url.clone() };
        let at = self.clock.now().0.to_string();
        let sign = base64(hmac_sha256(secret.as_bytes(), format!("{at}\n{secret}").as_bytes()));
        self.url.with(&[("timestamp", &at), ("sign", &sign)])
    }
}

impl Channel for Dingtalk {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let words = Words::of(&message);
            let body = json!({
                "msgtype": "markdown",
                "markdown": { "title": wide(&words.headline), "text": text(&words, &message) },
                "at": { "isAtAll": false },
            });
            let answer = self.client.post(self.signed(), &body).send().await?;
            judge(&answer)?;
            Ok(Arrived { handle: None, answer: answer.said })
        })
    }
}

fn text(words: &Words, message: &Message<'_>) -> String {
    let color = words.tone.hex();
    let head = format!("#### <font color=\"{color}\">{}</font>", wide(&words.headline));
    let link = words.link.as_ref().map(|(name, url)| format!("\n\n[{name}]({})", url.replace(')', "%29")));
    let body = words.body(message.voice.language);
    let body = body.lines().map(|line| format!("\n\n{}", wide(line))).collect::<Vec<_>>().concat();
    format!("{head}{}{}\n\nOpenClaw Watch", cut_bytes(&body, TEXT), link.unwrap_or_default())
}

#[derive(Deserialize)]
struct Reply {
    errcode: i64,
}

/// It answers 200 to everything.
fn judge(answer: &Answer) -> Result<(), Failed> {
    answer.judge(true)?;
    match answer.json::<Reply>().map(|reply| reply.errcode) {
        Some(0) => Ok(()),
        Some(130_101 | 410_100) => Err(Failed::busy(&answer.said, answer.retry_after.or(Some(TOO_MANY)))),
        // Keyword, signature or address do not match; no such token; the robot is stopped; the group is gone.
        Some(310_000 | 300_001 | 300_005 | 400_013 | 400_101 | 400_102) => {
            Err(answer.failed(Fault::Settings))
        }
        // The text or a link in it is refused.
        Some(430_101..=430_104 | 400_106 | 400_105 | 460_101) => Err(answer.failed(Fault::Message)),
        Some(_) | None => Err(answer.failed(Fault::Channel)),
    }
}
