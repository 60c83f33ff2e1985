use std::fmt;

use crate::{DeviceId, TopicFilter, TopicName};

/// Why a text cannot be the root of our topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the topic root is one or more levels of letters, digits, `-` and `_`, such as `openclaw`")]
pub struct InvalidTopicRoot;

/// The first level(s) of all our topics, `openclaw` unless configured otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRoot(String);

impl TopicRoot {
    /// Reads a root.
    pub fn parse(text: &str) -> Result<Self, InvalidTopicRoot> {
        let level_ok = |level: &str| {
            !level.is_empty() && level.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if text.len() <= 64 && text.split('/').all(level_ok) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTopicRoot)
        }
    }

    /// The root as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Everything below the root.
    pub fn everything(&self) -> TopicFilter {
        TopicFilter::parse(&format!("{}/#", self.0)).expect("a root makes a valid filter")
    }

    /// Everything of one device.
    pub fn device(&self, device: DeviceId) -> TopicFilter {
        TopicFilter::parse(&format!("{}/{device}/#", self.0)).expect("a root makes a valid filter")
    }
}

impl Default for TopicRoot {
    fn default() -> Self {
        Self("openclaw".to_owned())
    }
}

impl fmt::Display for TopicRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a topic below a device is for. `docs/PROTOCOL.md` describes each one's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceTopic {
    /// Birth, farewell and will. Retained.
    Presence,
    /// The plain word `online` or `offline`, by the server. Retained.
    Status,
    /// One sample of everything measured. Retained when live.
    Report,
    /// Token counts.
    Usage,
    /// A batch of error and crash records.
    Log,
    /// Something that happened.
    Event,
    /// Security findings. Retained.
    Audit,
    /// Firing and resolved alerts, by the server.
    Alert,
}

impl DeviceTopic {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Presence,
        Self::Status,
        Self::Report,
        Self::Usage,
        Self::Log,
        Self::Event,
        Self::Audit,
        Self::Alert,
    ];

    /// The last level of the topic.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Status => "status",
            Self::Report => "report",
            Self::Usage => "usage",
            Self::Log => "log",
            Self::Event => "event",
            Self::Audit => "audit",
            Self::Alert => "alert",
        }
    }

    /// Whether a device publishes it (the others are the server's own words).
    pub fn from_device(self) -> bool {
        !matches!(self, Self::Status | Self::Alert)
    }
}

/// One of our topics: `<root>/<device>/<what>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Whose topic it is.
    pub device: DeviceId,
    /// What it is for.
    pub what: DeviceTopic,
}

impl Topic {
    /// Reads a topic below `root`; `None` for any other.
    pub fn parse(root: &TopicRoot, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(root.as_str())?.strip_prefix('/')?;
        let (device, what) = rest.split_once('/')?;
        let device = DeviceId::parse(device).ok()?;
        let what = DeviceTopic::ALL.into_iter().find(|t| t.as_str() == what)?;
        Some(Self { device, what })
    }

    /// The topic as text.
    pub fn name(&self, root: &TopicRoot) -> TopicName {
        TopicName::parse(&format!("{root}/{}/{}", self.device, self.what.as_str()))
            .expect("a root, an id and a word make a valid topic name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_reads_back() {
        for root in ["openclaw", "site-1/oc_w"] {
            let root = TopicRoot::parse(root).unwrap();
            for what in DeviceTopic::ALL {
                let topic = Topic { device: DeviceId::generate(), what };
                assert_eq!(Topic::parse(&root, topic.name(&root).as_str()), Some(topic));
            }
        }
    }

    #[test]
    fn other_topics_are_not_ours() {
        let root = TopicRoot::default();
        for text in [
            "",
            "openclaw",
            "openclaw/",
            "openclaw/abcdefghijkl",
            "openclaw/abcdefghijkl/",
            "openclaw/abcdefghijkl/reports",
            "openclaw/abcdefghijkl/report/",
            "openclaw/ABCDEFGHIJKL/report",
            "openclawx/abcdefghijkl/report",
        ] {
            assert_eq!(Topic::parse(&root, text), None, "{text}");
        }
        for bad in ["", "/", "a/", "#", "a/+", "$SYS", "a b"] {
            assert!(TopicRoot::parse(bad).is_err(), "{bad}");
        }
    }
}
