//! What made OpenClaw run: told by the session a turn stands in, and by what was said to it before.
//!
//! OpenClaw writes this down nowhere as such. It is plain in the session's key for scheduled jobs and spawned agents. The
//! heartbeat and other wake-ups speak into an ordinary conversation, with a user message that says so: since 2026.8 in its
//! `provenance`, before that by its text alone. What is neither is `Unknown`, rather than blamed on a person.

use protocol::UsageTrigger;

/// What kind of session it is, as far as its key and its record tell. The numbers stand in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Class {
    /// Nothing is known of it: of an old archive only the id is left.
    #[default]
    Unknown = 0,
    /// People talk here, and the heartbeat does.
    Conversation = 1,
    /// Of a scheduled job.
    Cron = 2,
    /// Kept for the heartbeat alone.
    Heartbeat = 3,
    /// Another agent made it.
    SubAgent = 4,
    /// A hook, a plugin or OpenClaw itself made it.
    Machine = 5,
}

/// Who spoke last in a session before the model answered. The numbers stand in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Prompt {
    /// Nobody yet.
    #[default]
    None = 0,
    /// A person, or at least no machine that says so.
    Person = 1,
    /// The heartbeat.
    Heartbeat = 2,
    /// A scheduled job.
    Cron = 3,
    /// Another agent.
    Agent = 4,
    /// A command that ended, an event: OpenClaw itself.
    Machine = 5,
}

impl Class {
    /// Reads back what [`Class`] was stored as.
    pub(super) fn from_stored(n: i64) -> Self {
        match n {
            1 => Self::Conversation,
            2 => Self::Cron,
            3 => Self::Heartbeat,
            4 => Self::SubAgent,
            5 => Self::Machine,
            _ => Self::Unknown,
        }
    }
}

impl Prompt {
    /// Reads back what [`Prompt`] was stored as.
    pub(super) fn from_stored(n: i64) -> Self {
        match n {
            1 => Self::Person,
            2 => Self::Heartbeat,
            3 => Self::Cron,
            4 => Self::Agent,
            5 => Self::Machine,
            _ => Self::None,
        }
    }
}

/// What OpenClaw's records say of a session; empty where they say nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Session<'a> {
    /// Such as `agent:main:main`.
    pub(super) key: &'a str,
    /// `operator`, `spawn`, `channel`, `cron`, `talk`, `run`, `plugin` or `internal`.
    pub(super) created_via: &'a str,
    /// The key of the session that made it.
    pub(super) spawned_by: &'a str,
    /// `gmail` or `webhook`.
    pub(super) hook: &'a str,
}

/// The agent that a session key names, as in `agent:main:cron:4711`.
pub(super) fn agent_of(key: &str) -> Option<&str> {
    let (agent, rest) = split(key)?;
    (!agent.is_empty() && !rest.is_empty()).then_some(agent)
}

fn split(key: &str) -> Option<(&str, &str)> {
    let prefix = key.get(..6)?;
    prefix.eq_ignore_ascii_case("agent:").then(|| key.get(6..)?.split_once(':')).flatten()
}

/// What kind of session this is.
pub(super) fn class(session: Session<'_>) -> Class {
    if session.key.is_empty() {
        return Class::Unknown;
    }
    let rest = split(session.key).map_or(session.key, |(_, rest)| rest).to_ascii_lowercase();
    if rest.starts_with("cron:") {
        Class::Cron
    } else if rest.starts_with("subagent:") || rest.contains(":subagent:") {
        Class::SubAgent
    } else if rest == "heartbeat" || rest.ends_with(":heartbeat") {
        Class::Heartbeat
    } else if !session.spawned_by.is_empty() || session.created_via == "spawn" {
        Class::SubAgent
    } else if session.created_via == "cron" {
        Class::Cron
    } else if rest.starts_with("hook:")
        || !session.hook.is_empty()
        || matches!(session.created_via, "plugin" | "internal")
    {
        Class::Machine
    } else {
        Class::Conversation
    }
}

/// What made the model answer.
pub(super) fn trigger(class: Class, prompt: Prompt) -> UsageTrigger {
    match (class, prompt) {
        (Class::Cron, _) => UsageTrigger::Cron,
        (Class::SubAgent, _) => UsageTrigger::SubAgent,
        (Class::Heartbeat, _) | (_, Prompt::Heartbeat) => UsageTrigger::Heartbeat,
        (_, Prompt::Cron) => UsageTrigger::Cron,
        (_, Prompt::Agent) => UsageTrigger::SubAgent,
        // An archive whose session is forgotten: machines sign what they say, so what is not signed was a person.
        (Class::Conversation | Class::Unknown, Prompt::Person) => UsageTrigger::Human,
        (_, Prompt::None | Prompt::Machine | Prompt::Person) => UsageTrigger::Unknown,
    }
}

/// How OpenClaw begins or ends what it says to itself in the place of a user.
const HEARTBEATS: [&str; 3] = [
    "Read HEARTBEAT.md if it exists",
    "Follow the heartbeat monitor scratch context when provided.",
    "Run the following periodic tasks (only those due based on their intervals):",
];
const AGENTS: [&str; 3] = ["[Subagent Context]", "[Subagent Task]", "[Inter-session message]"];

/// Who spoke, by the origin that OpenClaw noted with the message, or else by its text: `head` and `tail` of it.
pub(super) fn prompt(kind: &str, source: &str, head: &str, tail: &str) -> Prompt {
    match kind {
        "external_user" => return Prompt::Person,
        "inter_session" => return Prompt::Agent,
        "internal_system" => {
            return match source {
                "heartbeat" => Prompt::Heartbeat,
                "cron" | "cron-event" => Prompt::Cron,
                _ => Prompt::Machine,
            };
        }
        _ => {}
    }
    let head = without_date(head.trim_start());
    let tail = tail.trim_end();
    if head.starts_with("[cron:") || tail.ends_with("[OpenClaw cron wake]") {
        return Prompt::Cron;
    }
    if tail.ends_with("[OpenClaw heartbeat poll]") {
        return Prompt::Heartbeat;
    }
    // Lines of what happened meanwhile ("System: …") may come before it.
    for line in head.lines() {
        let line = line.trim_start();
        if HEARTBEATS.iter().any(|start| line.starts_with(start)) {
            return Prompt::Heartbeat;
        }
        if AGENTS.iter().any(|start| line.starts_with(start)) {
            return Prompt::Agent;
        }
    }
    if head.starts_with("[OpenClaw exec completion]") || tail.ends_with("[OpenClaw session event]") {
        return Prompt::Machine;
    }
    Prompt::Person
}

/// Cuts the date that OpenClaw may put before a message: `[Fri 2026-11-20 04:56 UTC] `.
fn without_date(text: &str) -> &str {
    const DAYS: [&str; 7] = ["[Mon ", "[Tue ", "[Wed ", "[Thu ", "[Fri ", "[Sat ", "[Sun "];
    if !DAYS.iter().any(|day| text.starts_with(day)) {
        return text;
    }
    text.split_once(']').map_or(text, |(_, rest)| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_key_and_its_record() {
        let check = |key, created_via, spawned_by, hook, expected| {
            let session = Session { key, created_via, spawned_by, hook };
            assert_eq!(class(session), expected, "{session:?}");
        };
        check("", "", "", "", Class::Unknown);
        check("agent:main:main", "run", "", "", Class::Conversation);
        check("agent:main:telegram:direct:12345", "channel", "", "", Class::Conversation);
        check("agent:main:dashboard:a59c0d6d", "operator", "", "", Class::Conversation);
        check("agent:main:main", "", "", "", Class::Conversation);
        check("global", "", "", "", Class::Conversation);
        check("agent:main:cron:6b701b71", "cron", "", "", Class::Cron);
        check("agent:main:cron:6b701b71:run:cb41f7f0", "", "", "", Class::Cron);
        check("AGENT:Main:CRON:x", "", "", "", Class::Cron);
        check("cron:x", "", "", "", Class::Cron);
        check("agent:main:odd", "cron", "", "", Class::Cron);
        check("agent:main:subagent:5d", "spawn", "agent:main:main", "", Class::SubAgent);
        check("agent:main:main:subagent:5d", "", "", "", Class::SubAgent);
        check("agent:ops:work", "", "agent:main:main", "", Class::SubAgent);
        check("agent:ops:work", "spawn", "", "", Class::SubAgent);
        check("agent:main:main:heartbeat", "internal", "", "", Class::Heartbeat);
        check("agent:main:hook:gmail:1", "", "", "", Class::Machine);
        check("agent:main:mail", "", "", "webhook", Class::Machine);
        check("agent:main:tidy", "plugin", "", "", Class::Machine);
    }

    #[test]
    fn who_spoke_is_known_by_origin_or_text() {
        let check = |kind, source, text, expected| {
            assert_eq!(prompt(kind, source, text, text), expected, "{kind} {source} {text}");
        };
        check("", "", "hello", Prompt::Person);
        check("external_user", "", "[cron:x y] quoted", Prompt::Person);
        check("inter_session", "sessions_send", "do it", Prompt::Agent);
        check("internal_system", "cron", "x", Prompt::Cron);
        check("internal_system", "heartbeat", "x", Prompt::Heartbeat);
        check("internal_system", "exec", "x", Prompt::Machine);
        check("", "", "[cron:6b701b71 lab-every] cron job", Prompt::Cron);
        check("", "", "[Fri 2026-11-20 04:56 UTC] [cron:6b701b71 lab] go", Prompt::Cron);
        check("", "", "[OpenClaw cron wake]", Prompt::Cron);
        check("", "", "hint\n[OpenClaw heartbeat poll]\n", Prompt::Heartbeat);
        check("", "", "Read HEARTBEAT.md if it exists (workspace context).", Prompt::Heartbeat);
        check("", "", "System: x\n\nRead HEARTBEAT.md if it exists.", Prompt::Heartbeat);
        check("", "", "what does Read HEARTBEAT.md if it exists mean?", Prompt::Person);
        check("", "", "[Subagent Context] You are running as a subagent", Prompt::Agent);
        check("", "", "[OpenClaw exec completion]\nDisable", Prompt::Machine);
        check("", "", "[Friends] hi", Prompt::Person);
    }

    #[test]
    fn the_cause_is_the_session_and_who_spoke() {
        use UsageTrigger as T;
        let check =
            |class, prompt, expected| assert_eq!(trigger(class, prompt), expected, "{class:?} {prompt:?}");
        check(Class::Conversation, Prompt::Person, T::Human);
        check(Class::Conversation, Prompt::Heartbeat, T::Heartbeat);
        check(Class::Conversation, Prompt::Cron, T::Cron);
        check(Class::Conversation, Prompt::Agent, T::SubAgent);
        check(Class::Conversation, Prompt::Machine, T::Unknown);
        check(Class::Conversation, Prompt::None, T::Unknown);
        check(Class::Unknown, Prompt::Person, T::Human);
        check(Class::Unknown, Prompt::None, T::Unknown);
        check(Class::Machine, Prompt::Person, T::Unknown);
        check(Class::Machine, Prompt::Heartbeat, T::Heartbeat);
        for prompt in [Prompt::None, Prompt::Person, Prompt::Heartbeat, Prompt::Agent] {
            check(Class::Cron, prompt, T::Cron);
            check(Class::SubAgent, prompt, T::SubAgent);
            check(Class::Heartbeat, prompt, T::Heartbeat);
        }
    }

    #[test]
    fn an_agent_is_named_in_the_key() {
        assert_eq!(agent_of("agent:main:main"), Some("main"));
        assert_eq!(agent_of("Agent:ops:cron:x"), Some("ops"));
        for other in ["", "main", "agent:", "agent:x", "agent::y", "agentß:x:y"] {
            assert_eq!(agent_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        for n in 0..=6 {
            let (class, prompt) = (Class::from_stored(n), Prompt::from_stored(n));
            assert_eq!(class as i64, if n == 6 { 0 } else { n });
            assert_eq!(prompt as i64, if n == 6 { 0 } else { n });
        }
    }
}
