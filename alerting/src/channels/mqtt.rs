//! Our own broker, for whoever subscribes to it.

use serde_json::json;

use super::form::Form;
use super::words::Words;
use super::{Arrived, Channel, ChannelKind, Failed, Fault, Message, Opens, Problem, Publish, Sending};
use crate::Occasion;

/// Stands in the topic in place of a device, where it is about none or several. No device has such an id.
const FLEET: &str = "fleet";

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "mqtt",
    name: ("MQTT", "MQTT"),
    help: (
        "Publishes on openclaw/DEVICE/alert of this server's own broker, for Home Assistant, Node-RED and scripts.",
        "发布到本服务器 MQTT 的 openclaw/设备/alert 主题，供 Home Assistant、Node-RED 或脚本订阅。",
    ),
    own: &[],
    http: false,
    edits: false,
    must_end: false,
    read,
};

struct Mqtt {
    publish: Publish,
}

#[expect(clippy::unnecessary_wraps, reason = "as every kind reads its form")]
fn read(_form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    Ok(Box::new(|outside| Box::new(Mqtt { publish: outside.publish.clone() })))
}

impl Channel for Mqtt {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let said = message.notification;
            let device =
                said.device.as_ref().map_or_else(|| FLEET.to_owned(), |device| device.id.to_string());
            let topic = format!("{device}/alert");
            let words = Words::of(&message);
            let payload = json!({
                "v": 1,
                "id": said.id,
                "at": said.at,
                "occasion": said.occasion.as_str(),
                "state": match said.occasion {
                    Occasion::Resolved => Some("resolved"),
                    Occasion::Digest | Occasion::Test => None,
                    _ => Some("firing"),
                },
                "alert": said.alert,
                "rule": said.rule,
                "severity": said.severity.as_str(),
                "headline": words.headline,
                "text": words.body(message.voice.language),
                "device": said.device.as_ref().map(|device| &device.name),
                "devices": said.devices,
                "fired_at": said.fired_at,
                "resolved_at": said.resolved_at,
                "url": said.url,
            });
            let answer = format!("published on {topic}");
            let published = (self.publish)(topic, payload.to_string().into_bytes()).await;
            published.map_err(|why| Failed::new(Fault::Channel, why))?;
            Ok(Arrived { handle: None, answer })
        })
    }
}
