//! The last retained message of each topic. Filled from the store at start, changed after each commit.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use protocol::{Qos, Timestamp, TopicFilter};

use crate::mqtt::forwarded_expiry;

/// A retained message as it is kept in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// Its payload.
    pub payload: Bytes,
    /// How surely it was published.
    pub qos: Qos,
    /// Its MQTT 5 properties in their encoded form.
    pub properties: Bytes,
    /// When it was published.
    pub at: Timestamp,
}

impl Retained {
    fn expired(&self, now: Timestamp) -> bool {
        forwarded_expiry(&self.properties)
            .is_some_and(|secs| now.millis_since(self.at) >= i64::from(secs) * 1000)
    }
}

#[derive(Debug, Default)]
pub(crate) struct RetainedMessages(RwLock<BTreeMap<Arc<str>, Retained>>);

impl RetainedMessages {
    pub(crate) fn new(messages: impl IntoIterator<Item = (String, Retained)>) -> Self {
        Self(RwLock::new(messages.into_iter().map(|(topic, message)| (topic.into(), message)).collect()))
    }

    /// An empty payload ends it.
    pub(crate) fn set(&self, topic: &str, message: Retained) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if message.payload.is_empty() {
            all.remove(topic);
        } else if let Some(place) = all.get_mut(topic) {
            *place = message;
        } else {
            all.insert(topic.into(), message);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The first match behind `after` in the order of topics. Looks at no more than `steps` topics at a time;
    /// `Err` says how far it came, so that one subscriber of a large fleet does not hold everybody up.
    pub(crate) fn next(
        &self,
        filter: &TopicFilter,
        after: Option<&Arc<str>>,
        now: Timestamp,
        steps: usize,
    ) -> Result<Option<(Arc<str>, Retained)>, Arc<str>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let literal = literal_prefix(filter.as_str());
        let from: Bound<&str> = match after {
            Some(topic) => Bound::Excluded(topic.as_ref()),
            None => Bound::Included(literal),
        };
        for (seen, (topic, message)) in all.range::<str, _>((from, Bound::Unbounded)).enumerate() {
            if !topic.starts_with(literal) {
                return Ok(None);
            }
            if filter.matches(topic) && !message.expired(now) {
                return Ok(Some((topic.clone(), message.clone())));
            }
            if seen >= steps {
                return Err(topic.clone());
            }
        }
        Ok(None)
    }
}

/// What every topic that the filter matches begins with. `a/#` matches `a` too, so the slash is not part of it.
fn literal_prefix(filter: &str) -> &str {
    let end = filter.find(['+', '#']).unwrap_or(filter.len());
    let literal = filter.get(..end).unwrap_or("");
    literal.strip_suffix('/').filter(|_| end < filter.len()).unwrap_or(literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_walks_through_what_matches() {
        let message = |text: &'static str| Retained {
            payload: Bytes::from_static(text.as_bytes()),
            qos: Qos::AtMostOnce,
            properties: Bytes::new(),
            at: Timestamp(0),
        };
        let all = RetainedMessages::new(
            ["a", "a/b", "a/c/d", "b/x", "ab", "$SYS/v"].map(|t| (t.to_owned(), message("x"))),
        );
        let walk = |filter: &str| {
            let filter = TopicFilter::parse(filter).unwrap();
            let (mut after, mut found) = (None, Vec::new());
            loop {
                match all.next(&filter, after.as_ref(), Timestamp(0), 1) {
                    Ok(Some((topic, _))) => {
                        found.push(topic.to_string());
                        after = Some(topic);
                    }
                    Ok(None) => return found.join(" "),
                    Err(topic) => after = Some(topic),
                }
            }
        };
        assert_eq!(walk("#"), "a a/b a/c/d ab b/x");
        assert_eq!(walk("a/#"), "a a/b a/c/d");
        assert_eq!(walk("+/x"), "b/x");
        assert_eq!(walk("a/b"), "a/b");
        assert_eq!(walk("$SYS/#"), "$SYS/v");
        all.set("a/b", message(""));
        assert_eq!(walk("a/+"), "");
        assert_eq!(all.len(), 5);
    }
}
