use std::fmt;

use crate::limits;

/// Why a text cannot be a topic name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a topic name has 1 to {max} bytes, no wildcard and no control character", max = limits::MAX_TOPIC_BYTES)]
pub struct InvalidTopicName;

/// Why a text cannot be a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a topic filter has 1 to {max} bytes; `+` fills a level, `#` stands alone at the end", max = limits::MAX_TOPIC_BYTES)]
pub struct InvalidFilter;

fn plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= limits::MAX_TOPIC_BYTES
        && text.split('/').count() <= limits::MAX_TOPIC_LEVELS
        && !text.chars().any(|c| c.is_control() || ('\u{fdd0}'..='\u{fdef}').contains(&c))
}

/// A topic name by the rules of MQTT (§4.7), within our limits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(String);

impl TopicName {
    /// Reads a topic name.
    pub fn parse(text: &str) -> Result<Self, InvalidTopicName> {
        if plain(text) && !text.contains(['+', '#']) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTopicName)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A topic filter by the rules of MQTT (§4.7), within our limits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(String);

impl TopicFilter {
    /// Reads a topic filter.
    pub fn parse(text: &str) -> Result<Self, InvalidFilter> {
        if !plain(text) {
            return Err(InvalidFilter);
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let fine = match level {
                "#" => levels.peek().is_none(),
                "+" => true,
                other => !other.contains(['+', '#']),
            };
            if !fine {
                return Err(InvalidFilter);
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a message on `topic` reaches a subscriber of this filter.
    pub fn matches(&self, topic: &str) -> bool {
        // A leading wildcard does not reach server topics ($SYS), §4.7.2.
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// Whether every topic that `other` can match is matched by this filter too.
    pub fn covers(&self, other: &Self) -> bool {
        if other.0.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut theirs = other.0.split('/');
        for wanted in self.0.split('/') {
            match (wanted, theirs.next()) {
                ("#", _) => return true,
                ("+", Some(level)) if level != "#" => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(filter: &str, topic: &str, expected: bool) {
        assert_eq!(TopicFilter::parse(filter).unwrap().matches(topic), expected, "{filter} on {topic}");
    }

    #[test]
    fn a_filter_matches_as_the_standard_says() {
        check("sport/tennis/player1/#", "sport/tennis/player1", true);
        check("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true);
        check("sport/#", "sport", true);
        check("#", "a/b", true);
        check("#", "$SYS/x", false);
        check("+/monitor", "$SYS/monitor", false);
        check("$SYS/#", "$SYS/monitor", true);
        check("sport/+", "sport", false);
        check("sport/+", "sport/", true);
        check("+/+", "/finance", true);
        check("/+", "/finance", true);
        check("+", "/finance", false);
        check("a/b", "a/b/c", false);
    }

    #[test]
    fn a_bad_filter_or_name_is_refused() {
        for bad in ["", "a/#/b", "a+", "a#", "+a/b", "a\0b", "a\nb"] {
            assert!(TopicFilter::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a/+/b", "#", "a\0", &"x".repeat(513), &"/".repeat(32)] {
            assert!(TopicName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(TopicName::parse("é/temp").is_ok());
    }

    fn filter() -> impl Strategy<Value = TopicFilter> {
        (prop::collection::vec("a|b|\\+", 1..4), any::<bool>()).prop_map(|(mut levels, hash)| {
            if hash {
                levels.push("#".to_owned());
            }
            TopicFilter::parse(&levels.join("/")).unwrap()
        })
    }

    proptest! {
        /// The right to a filter never gives more than the wider filter itself would.
        #[test]
        fn what_is_covered_is_matched(wide in filter(), narrow in filter(), levels in prop::collection::vec("a|b|c", 1..5)) {
            let topic = levels.join("/");
            if wide.covers(&narrow) && narrow.matches(&topic) {
                prop_assert!(wide.matches(&topic), "{wide} covers {narrow} but does not match {topic}");
            }
            prop_assert!(wide.covers(&wide));
        }
    }
}
