use std::borrow::Cow;

use protocol::{LogLevel, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::openclaw::redact::{redact, shorten};

/// The longest line that is read; one that is longer is passed over.
pub(crate) const MAX_LINE_BYTES: usize = 1024 * 1024;
/// The longest message of a record.
const MAX_MESSAGE_BYTES: usize = 2048;
/// The longest line of a crash's context.
const MAX_CONTEXT_BYTES: usize = 240;
/// With what words a gateway says that it does not start. It is not yet in its own book then, so nothing else tells of it.
const NO_START: [&str; 3] = ["Gateway failed to start", "Gateway start blocked", "Invalid --bind"];
/// What OpenClaw calls the parts that are not named: everything that any of its programs prints.
const CONSOLE: &str = "openclaw";

/// A line of OpenClaw's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    /// `ERROR`, `WARN`, `INFO`, ...
    pub(crate) level: String,
    /// The part of OpenClaw; `None` for what was printed.
    pub(crate) subsystem: Option<String>,
    /// What it says, as it was written.
    message: String,
    details: Details,
}

/// What a line says in fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    event: Text,
    failover_reason: Text,
    reason: Text,
    error_name: Text,
    provider: Text,
    model: Text,
    agent_id: Text,
}

/// A field that is a text; anything else counts as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("anything")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(shorten(text, MAX_LINE_BYTES).to_owned())))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The fields of a line that we look at. Its arguments are `"0"`, `"1"`, ...: the first one is the subsystem again, or
/// the message, the next one may be an object.
#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    time: Text,
    #[serde(default)]
    message: Text,
    #[serde(rename = "_meta")]
    meta: Meta,
    #[serde(default, rename = "1")]
    first: Argument,
    #[serde(default, rename = "agent_id")]
    agent: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    log_level_name: String,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    date: Text,
}

/// An argument: an object is read, a text or anything else is passed over.
#[derive(Default)]
struct Argument(Details);

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through a value, because it may be anything; an object here is small, and a text is dropped at once.
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(if value.is_object() {
            serde_json::from_value(value).unwrap_or_default()
        } else {
            Details::default()
        }))
    }
}

impl Line {
    /// Reads a line; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let raw: Raw = serde_json::from_str(text).ok()?;
        let at = raw.time.0.or(raw.meta.date.0)?;
        let at = Timestamp(at.parse::<jiff::Timestamp>().ok()?.as_millisecond());
        let name = raw.meta.name.0.filter(|name| name != CONSOLE);
        let mut details = raw.first.0;
        if details.agent_id.0.is_none() {
            details.agent_id = raw.agent;
        }
        Some(Self {
            at,
            level: raw.meta.log_level_name,
            subsystem: name.map(|name| subsystem(&name)),
            message: raw.message.0.unwrap_or_default(),
            details,
        })
    }

    /// What kind of news this is; `None` for what is not worth telling.
    ///
    /// What is printed is mostly noise of the command line, and answers of the assistant; of it only the texts count with which
    /// the gateway itself ends.
    pub(crate) fn news(&self) -> Option<LogLevel> {
        let message = self.message.as_str();
        match (self.level.as_str(), &self.subsystem) {
            (_, None)
                if message.contains("Unhandled promise rejection")
                    || message.contains("Uncaught exception") =>
            {
                Some(LogLevel::Exception)
            }
            ("WARN", None) if message.contains("Non-fatal unhandled rejection") => Some(LogLevel::Warning),
            ("ERROR" | "FATAL", None) if NO_START.iter().any(|words| message.starts_with(words)) => {
                Some(LogLevel::Error)
            }
            ("ERROR" | "FATAL", Some(_)) if !message.is_empty() => Some(LogLevel::Error),
            ("WARN", Some(subsystem)) => {
                let event = self.details.event.0.as_deref();
                let telling =
                    matches!(event, Some("embedded_run_agent_end" | "auth_profile_failure_state_updated"));
                (telling || subsystem == "cron" || subsystem.starts_with("channels/"))
                    .then_some(LogLevel::Warning)
            }
            _ => None,
        }
    }

    /// What it says, redacted: the text if `with_text`, else only OpenClaw's own words for it.
    pub(crate) fn message(&self, with_text: bool) -> String {
        let text = if with_text { redact(&self.first_line(), MAX_MESSAGE_BYTES) } else { String::new() };
        if !text.is_empty() {
            return text;
        }
        let own = [&self.details.event, &self.details.failover_reason, &self.details.error_name];
        own.into_iter().find_map(|word| word.0.clone()).unwrap_or_else(|| "[text]".to_owned())
    }

    /// Its first line; of a channel's without the account at its beginning, which may bear a person's name or number.
    fn first_line(&self) -> Cow<'_, str> {
        let line = first_line(&self.message);
        let is_of_channel = self.subsystem.as_deref().is_some_and(|name| name.contains("channels/"));
        let account = line.strip_prefix('[').filter(|_| is_of_channel).and_then(|rest| rest.split_once(']'));
        match account {
            Some((account, rest)) if account != "default" => Cow::Owned(format!("[private]{rest}")),
            _ => Cow::Borrowed(line),
        }
    }

    /// Where in the program it happened, redacted: the lines after the first one that look like it.
    pub(crate) fn stack(&self, with_text: bool) -> Option<String> {
        stack(self.message.lines().skip(1)).filter(|_| with_text)
    }

    /// The error's own name.
    pub(crate) fn error_name(&self) -> Option<String> {
        self.details.error_name.0.clone().or_else(|| error_name(&self.message)).as_deref().map(word)
    }

    /// OpenClaw's word for why a model failed.
    pub(crate) fn reason(&self) -> Option<String> {
        self.details.failover_reason.0.as_deref().or(self.details.reason.0.as_deref()).map(word)
    }

    pub(crate) fn provider(&self) -> Option<String> {
        self.details.provider.0.as_deref().map(word)
    }

    pub(crate) fn model(&self) -> Option<String> {
        self.details.model.0.as_deref().map(word)
    }

    pub(crate) fn agent(&self) -> Option<String> {
        self.details.agent_id.0.as_deref().map(word)
    }

    /// The line as it stands before a crash: what was printed may be what somebody said, and is left out.
    pub(crate) fn context(&self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.at.0).unwrap_or_default();
        let text = match &self.subsystem {
            Some(subsystem) => {
                format!("{subsystem}: {}", redact(&self.first_line(), MAX_CONTEXT_BYTES))
            }
            None if self.news().is_some() => redact(first_line(&self.message), MAX_CONTEXT_BYTES),
            None => "[text]".to_owned(),
        };
        format!("{at:.3} {} {text}", shorten(&self.level, 8))
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// A field's value as a short word.
fn word(text: &str) -> String {
    redact(text, 120)
}

/// The name that an error begins with, such as `TypeError`.
pub(crate) fn error_name(message: &str) -> Option<String> {
    let words = first_line(message).split([':', ' ']).filter(|word| !word.is_empty());
    let name = |word: &&str| word.ends_with("Error") && word.bytes().all(|b| b.is_ascii_alphanumeric());
    words.take(12).find(name).map(str::to_owned)
}

/// Lines that say where in a program something happened, redacted.
pub(crate) fn stack<'t>(lines: impl Iterator<Item = &'t str>) -> Option<String> {
    let lines: Vec<String> = lines
        .filter(|line| line.trim_start().starts_with("at "))
        .take(20)
        .map(|line| redact(line.trim(), 200))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The name of a part, from what stands in a line: a small JSON text, or the name itself.
fn subsystem(name: &str) -> String {
    #[derive(Deserialize)]
    struct Name {
        #[serde(default)]
        subsystem: Text,
        #[serde(default)]
        module: Text,
    }
    let parsed: Option<Name> = serde_json::from_str(name).ok();
    let found = parsed.and_then(|name| name.subsystem.0.or(name.module.0));
    redact(&found.unwrap_or_else(|| name.to_owned()), 120)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str) -> Vec<Line> {
        let text = match file {
            "error" => include_str!("../../../tests/fixtures/openclaw/logs/openclaw-error.jsonl"),
            "warn" => include_str!("../../../tests/fixtures/openclaw/logs/openclaw-warn.jsonl"),
            "info" => include_str!("../../../tests/fixtures/openclaw/logs/openclaw-info.jsonl"),
            "debug" => include_str!("../../../tests/fixtures/openclaw/logs/openclaw-debug.jsonl"),
            _ => include_str!("../../../tests/fixtures/openclaw/logs/openclaw-trace.jsonl"),
        };
        text.lines().map(|line| Line::parse(line).unwrap_or_else(|| panic!("{line}"))).collect()
    }

    #[test]
    fn every_line_that_openclaw_wrote_is_read() {
        for (file, level) in [("error", "ERROR"), ("warn", "WARN"), ("info", "INFO"), ("debug", "DEBUG")] {
            let lines = lines(file);
            assert!(lines.len() > 10 && lines.iter().all(|line| line.level == level), "{file}");
        }
        for bad in ["", "{", "[]", "null", "{\"_meta\":{}}", "{\"_meta\":{\"logLevelName\":\"ERROR\"}}"] {
            assert_eq!(Line::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn errors_of_the_gateway_are_news_and_the_noise_of_its_command_line_is_not() {
        let told: Vec<String> =
            lines("error").iter().filter(|l| l.news().is_some()).map(|l| l.message(true)).collect();
        let all = told.join("\n");
        for part in
            ["lane task error", "Unhandled promise rejection", "deleteWebhook failed", "failed to start"]
        {
            assert!(all.contains(part), "{part}: {all}");
        }
        for noise in ["CLI command failed", "Try: openclaw doctor", "Package not found", "stopReason=stop"] {
            assert!(!all.contains(noise), "{noise}: {all}");
        }
        assert!(lines("info").iter().all(|line| line.news().is_none()));
        assert!(lines("debug").iter().all(|line| line.news().is_none()));
    }

    #[test]
    fn a_start_that_is_refused_is_news() {
        let line = |message: &str| {
            let meta = r#"{"logLevelName":"ERROR","name":"openclaw"}"#;
            let text =
                format!(r#"{{"time":"2026-11-20T11:37:24.007Z","message":"{message}","_meta":{meta}}}"#);
            Line::parse(&text).unwrap().news()
        };
        assert_eq!(
            line("Gateway start blocked: existing config is missing gateway.mode."),
            Some(LogLevel::Error)
        );
        assert_eq!(line("Invalid --bind. Use loopback, lan or auto."), Some(LogLevel::Error));
        assert_eq!(line("Package not found"), None);
    }

    #[test]
    fn the_account_of_a_channel_is_not_told() {
        let line = |message: &str| {
            let meta = r#"{"logLevelName":"ERROR","name":"{\"subsystem\":\"gateway/channels/telegram\"}"}"#;
            let text =
                format!(r#"{{"time":"2026-11-20T11:33:33.648Z","message":"{message}","_meta":{meta}}}"#);
            Line::parse(&text).unwrap()
        };
        let named = line("[anna] starting provider");
        assert_eq!(named.message(true), "[private] starting provider");
        assert!(named.context().ends_with("telegram: [private] starting provider"), "{}", named.context());
        assert_eq!(line("[default] starting provider").message(true), "[default] starting provider");
    }

    #[test]
    fn a_failed_turn_says_which_model_and_why() {
        let warnings = lines("warn");
        let failed = warnings.iter().find(|l| l.message == "embedded run agent end").unwrap();
        assert_eq!(failed.news(), Some(LogLevel::Warning));
        assert_eq!(failed.subsystem.as_deref(), Some("agent/embedded"));
        assert!(
            failed.provider().is_some() && failed.model().is_some() && failed.reason().is_some(),
            "{failed:?}"
        );
        assert_eq!(failed.message(false), "embedded_run_agent_end");
        let rejection = lines("error").into_iter().find(|l| l.news() == Some(LogLevel::Exception)).unwrap();
        assert_eq!(rejection.error_name().as_deref(), Some("Error"));
        assert!(rejection.stack(true).unwrap().starts_with("at Timeout._onTimeout"), "{rejection:?}");
        assert_eq!((rejection.stack(false), rejection.message(false).as_str()), (None, "[text]"));
    }

    #[test]
    fn the_context_of_a_crash_holds_no_printed_text() {
        let all: Vec<String> =
            ["error", "info", "warn"].iter().flat_map(|f| lines(f)).map(|l| l.context()).collect();
        let all = all.join("\n");
        // What the assistant said, which the command line prints.
        assert!(!all.contains("Mock reply"), "{all}");
        assert!(!all.contains("/home/claw1"), "{all}");
        assert!(all.contains("gateway: "));
    }
}
