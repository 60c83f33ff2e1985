use crate::{DeviceId, DeviceTopic, KeyId, Topic, TopicFilter, TopicRoot};

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Writes its own device's subtree.
    Device,
    /// Subscribes, never publishes.
    Reader,
    /// Its own lists of what it may publish and subscribe to.
    Service,
}

impl KeyKind {
    /// The word for it on the command line and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Reader => "reader",
            Self::Service => "service",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Device, Self::Reader, Self::Service].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Who a connection is, and what it may do. The result of a key that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The key that was shown.
    pub key: KeyId,
    /// What the key is for.
    pub kind: KeyKind,
    /// The device it speaks for; only for [`KeyKind::Device`].
    pub device: Option<DeviceId>,
    /// What it may publish; only for [`KeyKind::Service`].
    pub publish: Vec<TopicFilter>,
    /// What it may subscribe to, for readers and services.
    pub subscribe: Vec<TopicFilter>,
}

impl Identity {
    /// Whether it may publish on `topic`.
    pub fn may_publish(&self, root: &TopicRoot, topic: &str) -> bool {
        match (self.kind, self.device) {
            (KeyKind::Device, Some(own)) => Topic::parse(root, topic)
                .is_some_and(|Topic { device, what }| device == own && DeviceTopic::from_device(what)),
            (KeyKind::Service, _) => {
                !topic.starts_with('$') && self.publish.iter().any(|filter| filter.matches(topic))
            }
            _ => false,
        }
    }

    /// Whether it may subscribe to `filter`: all that the filter can match must be allowed.
    pub fn may_subscribe(&self, filter: &TopicFilter) -> bool {
        self.kind != KeyKind::Device && self.subscribe.iter().any(|allowed| allowed.covers(filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_writes_its_own_subtree_and_reads_nothing() {
        let root = TopicRoot::default();
        let (own, other) = (DeviceId::generate(), DeviceId::generate());
        let identity = Identity {
            key: KeyId::generate(),
            kind: KeyKind::Device,
            device: Some(own),
            publish: vec![],
            subscribe: vec![root.everything()],
        };
        assert!(identity.may_publish(&root, &format!("openclaw/{own}/report")));
        for topic in [
            format!("openclaw/{own}/status"),
            format!("openclaw/{own}/alert"),
            format!("openclaw/{own}/anything"),
            format!("openclaw/{other}/report"),
            "report".to_owned(),
        ] {
            assert!(!identity.may_publish(&root, &topic), "{topic}");
        }
        assert!(!identity.may_subscribe(&root.device(own)));
    }

    #[test]
    fn a_reader_of_some_devices_reads_only_those() {
        let root = TopicRoot::default();
        let (mine, other) = (DeviceId::generate(), DeviceId::generate());
        let identity = Identity {
            key: KeyId::generate(),
            kind: KeyKind::Reader,
            device: None,
            publish: vec![],
            subscribe: vec![root.device(mine)],
        };
        let may = |text: &str| identity.may_subscribe(&TopicFilter::parse(text).unwrap());
        assert!(may(&format!("openclaw/{mine}/report")));
        assert!(may(&format!("openclaw/{mine}/+")));
        assert!(!may("openclaw/#"));
        assert!(!may("openclaw/+/report"));
        assert!(!may(&format!("openclaw/{other}/report")));
        assert!(!may("#"));
        assert!(!identity.may_publish(&root, &format!("openclaw/{mine}/report")));
    }
}
