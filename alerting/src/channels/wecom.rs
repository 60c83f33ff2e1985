//! Group robots of WeCom.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::http::{Address, Answer, Client, ClientSetup};
use super::words::{Tone, Words, cut_bytes, wide};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Message, Opens, Problem, Sending,
};

/// Bytes.
const CONTENT: usize = 4_096;
/// Twenty messages a minute are let through.
const TOO_MANY: Duration = Duration::from_mins(1);

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "wecom",
    name: ("WeCom robot", "企业微信群机器人"),
    help: (
        "In the group: add a group robot, and copy its webhook address.",
        "在群聊中添加群机器人，复制其 Webhook 地址。",
    ),
    own: &[Field {
        word: "url",
        label: ("Webhook address", "Webhook 地址"),
        help: Some(("Whoever knows it can write to the group.", "知道此地址的人都能向群里发消息。")),
        placeholder: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…",
        kind: FieldKind::Secret,
        required: true,
        ..Field::EMPTY
    }],
    http: true,
    edits: false,
    must_end: false,
    read,
};

struct Wecom {
    client: Client,
    url: Address,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let (url, setup) = (form.address("url")?, ClientSetup::read(form)?);
    Ok(Box::new(move |outside| Box::new(Wecom { client: outside.web.client(setup), url })))
}

impl Channel for Wecom {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let content = content(&Words::of(&message), &message);
            let body = json!({ "msgtype": "markdown", "markdown": { "content": content } });
            let answer = self.client.post(self.url.clone(), &body).send().await?;
            judge(&answer)?;
            Ok(Arrived { handle: None, answer: answer.said })
        })
    }
}

fn content(words: &Words, message: &Message<'_>) -> String {
    // The three colours there are.
    let color = match words.tone {
        Tone::Critical | Tone::Error | Tone::Warning => "warning",
        Tone::Info => "comment",
        Tone::Good => "info",
    };
    let head = format!("**<font color=\"{color}\">{}</font>**", wide(&words.headline));
    let link = words.link.as_ref().map(|(name, url)| format!("\n[{name}]({})", url.replace(')', "%29")));
    let link = link.unwrap_or_default();
    let body = words.body(message.voice.language);
    let body = body.lines().map(|line| format!("\n> {}", wide(line))).collect::<Vec<_>>().concat();
    let room = CONTENT.saturating_sub(head.len() + link.len());
    format!("{head}{}{link}", cut_bytes(&body, room))
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
        Some(45_009) => Err(Failed::busy(&answer.said, answer.retry_after.or(Some(TOO_MANY)))),
        // No such robot, or it was removed.
        Some(93_000 | 93_004 | 93_008 | 40_001 | 40_014) => Err(answer.failed(Fault::Settings)),
        Some(40_058 | 45_002 | 44_004) => Err(answer.failed(Fault::Message)),
        Some(_) | None => Err(answer.failed(Fault::Channel)),
    }
}
