//! What a notification says, before a channel puts it into its own form. Names, titles and details come from devices and from
//! what they run: nothing in them is trusted, and each channel escapes what leaves here.

use protocol::Timestamp;
use store::{Said, Severity};

use super::{Language, Message, Voice};
use crate::say::span;
use crate::{Notification, Occasion};

/// Characters of a name, a title, and all of the details.
const NAME: usize = 80;
const TITLE: usize = 200;
const DETAIL: usize = 2_500;
/// Lines of the details.
const DETAIL_LINES: usize = 60;
const TAGS: usize = 10;

/// What decides colours and urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Somebody must act now.
    Critical,
    /// Something does not work.
    Error,
    /// Something works badly.
    Warning,
    /// Good to know.
    Info,
    /// It is over.
    Good,
}

impl Tone {
    /// Red, green and blue.
    pub(super) fn rgb(self) -> u32 {
        match self {
            Self::Critical => 0x00B4_1E3C,
            Self::Error => 0x00E0_552B,
            Self::Warning => 0x00E0_A100,
            Self::Info => 0x0033_74C4,
            Self::Good => 0x002B_A24C,
        }
    }

    /// The same as `#rrggbb`.
    pub(super) fn hex(self) -> String {
        format!("#{:06X}", self.rgb())
    }
}

/// A notification in the words of one language, as plain text without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// How urgent it looks.
    pub(super) tone: Tone,
    /// Severity or state, device and title, in one line.
    pub(super) headline: String,
    /// The title alone, in one line.
    pub(super) title: String,
    /// More about it, line by line.
    pub(super) detail: Vec<String>,
    /// What is known besides, each with its name.
    pub(super) facts: Vec<(&'static str, String)>,
    /// What a link to the page is called, and where it leads.
    pub(super) link: Option<(&'static str, String)>,
}

impl Words {
    /// Of a message.
    pub(super) fn of(message: &Message<'_>) -> Self {
        let (said, voice) = (message.notification, message.voice);
        Self {
            tone: tone(said),
            headline: headline(said, voice.language),
            title: title(said, voice.language),
            detail: said
                .detail
                .as_ref()
                .map(|detail| detail_lines(said_in(detail, voice.language)))
                .unwrap_or_default(),
            facts: facts(said, voice),
            link: said.url.as_ref().map(|url| (pick(voice.language, "Open", "查看"), clean_line(url))),
        }
    }

    /// The facts, a line each.
    pub(super) fn fact_lines(&self, language: Language) -> Vec<String> {
        let colon = pick(language, ": ", "：");
        self.facts.iter().map(|(name, value)| format!("{name}{colon}{value}")).collect()
    }

    /// All but the headline, without the link.
    pub(super) fn body(&self, language: Language) -> String {
        [self.detail.clone(), self.fact_lines(language)].concat().join("\n")
    }
}

fn tone(said: &Notification) -> Tone {
    match (said.occasion, said.severity) {
        (Occasion::Resolved, _) => Tone::Good,
        (_, Severity::Critical) => Tone::Critical,
        (_, Severity::Error) => Tone::Error,
        (_, Severity::Warning) => Tone::Warning,
        (_, Severity::Info) => Tone::Info,
    }
}

pub(super) fn pick<T>(language: Language, en: T, zh: T) -> T {
    match language {
        Language::En => en,
        Language::Zh => zh,
    }
}

fn said_in(said: &Said, language: Language) -> &str {
    pick(language, &said.en, &said.zh)
}

/// The word in front: the state where there is one to tell, or how much it matters.
fn label(said: &Notification, language: Language) -> &'static str {
    match said.occasion {
        Occasion::Resolved => pick(language, "RESOLVED", "已恢复"),
        Occasion::Digest => pick(language, "DIGEST", "摘要"),
        Occasion::Test => pick(language, "TEST", "测试"),
        Occasion::Fired | Occasion::Worse | Occasion::Changed | Occasion::Reminder => {
            severity_word(said.severity, language)
        }
    }
}

/// How much it matters, as it stands in brackets.
pub(super) fn severity_word(severity: Severity, language: Language) -> &'static str {
    match severity {
        Severity::Critical => pick(language, "CRITICAL", "紧急"),
        Severity::Error => pick(language, "ERROR", "错误"),
        Severity::Warning => pick(language, "WARNING", "警告"),
        Severity::Info => pick(language, "INFO", "提示"),
    }
}

/// What it is about: a device, or so many of them.
pub(super) fn subject(said: &Notification, language: Language) -> Option<String> {
    match (&said.device, said.devices) {
        (Some(device), _) => Some(cut(&clean_line(&device.name), NAME)),
        (None, Some(1)) => Some(pick(language, "1 device", "1 台设备").to_owned()),
        (None, Some(n)) => Some(pick(language, format!("{n} devices"), format!("{n} 台设备"))),
        (None, None) => None,
    }
}

fn title(said: &Notification, language: Language) -> String {
    cut(&clean_line(said_in(&said.title, language)), TITLE)
}

fn headline(said: &Notification, language: Language) -> String {
    let label = label(said, language);
    let title = title(said, language);
    match subject(said, language) {
        Some(subject) => format!("[{label}] {subject}{}{title}", pick(language, ": ", "：")),
        None => format!("[{label}] {title}"),
    }
}

/// The device's tags.
pub(super) fn tags(said: &Notification) -> Vec<String> {
    let all = said.device.iter().flat_map(|device| &device.tags);
    all.take(TAGS).map(|tag| cut(&clean_line(tag), NAME)).collect()
}

fn facts(said: &Notification, voice: &Voice) -> Vec<(&'static str, String)> {
    let language = voice.language;
    let mut facts = Vec::new();
    if let Some(from) = said.fired_at {
        let to = said.resolved_at.filter(|_| said.occasion == Occasion::Resolved);
        facts.push((pick(language, "Since", "开始于"), moment(from, voice)));
        match (to, said.occasion) {
            (Some(to), _) => {
                facts.push((pick(language, "Lasted", "持续"), length(from, to, language)));
            }
            (None, Occasion::Worse | Occasion::Changed | Occasion::Reminder) => {
                facts.push((pick(language, "For", "已持续"), length(from, said.at, language)));
            }
            _ => {}
        }
    } else if said.occasion == Occasion::Test {
        facts.push((pick(language, "Sent", "发送于"), moment(said.at, voice)));
    }
    let tags = tags(said);
    if !tags.is_empty() {
        facts.push((pick(language, "Tags", "标签"), tags.join(pick(language, ", ", "、"))));
    }
    facts
}

/// A moment, such as `2026-11-20 14:03 (Asia/Shanghai)`.
pub(super) fn moment(at: Timestamp, voice: &Voice) -> String {
    let (date, time) = (voice.zone.date(at), voice.zone.time(at));
    let zone = voice.zone.name();
    match zone {
        "UTC" => format!("{date} {:02}:{:02} UTC", time.hour(), time.minute()),
        _ => format!("{date} {:02}:{:02} ({zone})", time.hour(), time.minute()),
    }
}

fn length(from: Timestamp, to: Timestamp, language: Language) -> String {
    said_in(&span(to.millis_since(from)), language).to_owned()
}

fn detail_lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(clean_line).filter(|line| !line.is_empty()).take(DETAIL_LINES);
    let mut room = DETAIL;
    let mut kept = Vec::new();
    for line in lines {
        if room == 0 {
            break;
        }
        let line = cut(&line, room);
        room -= line.chars().count().min(room);
        kept.push(line);
    }
    kept
}

/// A text as one line, without what cannot be seen or turns the direction of what follows.
pub(super) fn clean_line(text: &str) -> String {
    let shown: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .filter(|c| !store::unseen(*c))
        .collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// So many characters of a text at most.
pub(super) fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// So many bytes of a text at most.
pub(super) fn cut_bytes(text: &str, bytes: usize) -> String {
    const DOTS: &str = "…";
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes.saturating_sub(DOTS.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{DOTS}", text.get(..end).unwrap_or_default().trim_end())
}

/// A text in HTML, as content or as an attribute's value.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text in which no `@name` calls anybody: something that cannot be seen stands behind each `@`.
pub(super) fn calls_nobody(text: &str) -> String {
    text.replace('@', "@\u{2060}")
}

/// A text in a dialect of Markdown that knows no escapes: what would be read as Markdown is written with its wide twin.
pub(super) fn wide(text: &str) -> String {
    let twin = |c| match c {
        '*' => '＊',
        '`' => '｀',
        '[' => '［',
        ']' => '］',
        '<' => '＜',
        '>' => '＞',
        '#' => '＃',
        c => c,
    };
    text.chars().map(twin).collect()
}

/// What a channel that can change its messages does with what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    /// Change what was sent first.
    pub(super) edit: bool,
    /// Send something new, which makes a sound.
    pub(super) post: bool,
}

/// Changes make no sound, so what people must hear is also sent anew.
pub(super) fn steps(occasion: Occasion, sent_before: bool, tell_resolved: bool) -> Steps {
    let post = match occasion {
        _ if !sent_before => true,
        Occasion::Fired | Occasion::Changed => false,
        Occasion::Resolved => tell_resolved,
        Occasion::Worse | Occasion::Reminder | Occasion::Digest | Occasion::Test => true,
    };
    Steps { edit: sent_before, post }
}
