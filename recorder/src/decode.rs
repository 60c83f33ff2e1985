//! From a message to what it says. The only place that reads payloads of devices.

use protocol::{
    Audit, DeviceId, DeviceTopic, Events, Log, Message, Payload as _, PayloadError, Presence, Report, Topic,
    TopicName, TopicRoot, Usage,
};
use store::{Fact, Record, RetainedRow};

/// A message that will never be recorded.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) device: Option<DeviceId>,
    pub(crate) topic: TopicName,
    pub(crate) why: PayloadError,
}

pub(crate) fn record(root: &TopicRoot, message: Message) -> Result<Record, Refused> {
    let fact = match message.device {
        Some(device) => match fact(root, device, &message) {
            Ok(fact) => fact,
            Err(why) => {
                return Err(Refused { device: Some(device), topic: message.topic, why });
            }
        },
        // A service's message is not ours to understand.
        None => Fact::Nothing,
    };
    let retain = message.retain.then(|| RetainedRow {
        topic: message.topic.as_str().to_owned(),
        payload: message.payload,
        qos: message.qos,
        properties: message.properties,
        at: message.received_at,
    });
    Ok(Record { received_at: message.received_at, fact, retain })
}

fn fact(root: &TopicRoot, device: DeviceId, message: &Message) -> Result<Fact, PayloadError> {
    // The gate lets a device publish below its own topic only.
    let what = Topic::parse(root, message.topic.as_str()).map(|topic| topic.what);
    match what {
        Some(DeviceTopic::Presence) => {
            Ok(Fact::Presence(device, Box::new(Presence::decode(&message.payload)?)))
        }
        Some(DeviceTopic::Report) => Ok(Fact::Report(device, Box::new(Report::decode(&message.payload)?))),
        Some(DeviceTopic::Usage) => Ok(Fact::Usage(device, Box::new(Usage::decode(&message.payload)?))),
        Some(DeviceTopic::Log) => Ok(Fact::Log(device, Box::new(Log::decode(&message.payload)?))),
        Some(DeviceTopic::Event) => Ok(Fact::Events(device, Box::new(Events::decode(&message.payload)?))),
        Some(DeviceTopic::Audit) => Ok(Fact::Audit(device, Box::new(Audit::decode(&message.payload)?))),
        Some(DeviceTopic::Status | DeviceTopic::Alert) | None => Err(PayloadError::Range("topic")),
    }
}
