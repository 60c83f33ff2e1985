//! Where notifications go. One file for each kind of channel; the form in which people set it up is described there, too, so
//! that the page needs no code for a kind.

mod bark;
mod dingtalk;
mod discord;
mod email;
mod feishu;
mod file;
mod form;
mod gotify;
mod http;
mod mqtt;
mod ntfy;
mod pagerduty;
mod reach;
mod secrets;
mod slack;
mod telegram;
mod webhook;
mod wecom;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use protocol::Clock;
use serde_json::Value;
use store::Zone;

pub use http::Web;
pub use reach::Reach;

use crate::Notification;
use form::Form;

/// A text in both languages of the page.
pub type Text = (&'static str, &'static str);

/// What a field of a form takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A line.
    Text,
    /// Several lines.
    Lines,
    /// A line that is never shown again.
    Secret,
    /// An address of a web page or service.
    Url,
    /// A whole number.
    Number {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Yes or no.
    Toggle,
    /// One of these words, with what each is called.
    Choice(&'static [(&'static str, Text)]),
}

/// A field of the form that sets up a channel.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its word in the settings.
    pub word: &'static str,
    /// What it is called.
    pub label: Text,
    /// Where to find what goes in, or what it does.
    pub help: Option<Text>,
    /// An example.
    pub placeholder: &'static str,
    /// What it takes.
    pub kind: FieldKind,
    /// It must not be empty.
    pub required: bool,
    /// What it is without a word; empty: nothing. Of a toggle: `true`, or empty for no.
    pub default: &'static str,
}

impl Field {
    /// A field that may stay empty, to be changed with `..`.
    const EMPTY: Self = Self {
        word: "",
        label: ("", ""),
        help: None,
        placeholder: "",
        kind: FieldKind::Text,
        required: false,
        default: "",
    };
}

/// A kind of channel.
#[derive(Debug, Clone, Copy)]
pub struct ChannelKind {
    /// The word for it, such as `telegram`.
    pub word: &'static str,
    /// What it is called.
    pub name: Text,
    /// What one needs for it, and where to get that.
    pub help: Text,
    /// Fields that only this kind has: [`ChannelKind::form`] has all of them.
    own: &'static [Field],
    /// It speaks HTTP, and may do so through a proxy.
    http: bool,
    /// Channels of this kind can change what they have sent; each says by itself whether it does.
    pub(crate) edits: bool,
    /// The other side keeps something open until it is told that it is over.
    pub(crate) must_end: bool,
    /// Reads a form of this kind.
    read: fn(&Form<'_>) -> Result<Opens, Vec<Problem>>,
}

/// Makes the channel of a form that was read.
type Opens = Box<dyn FnOnce(&Outside) -> Box<dyn Channel> + Send>;

impl ChannelKind {
    /// All fields of its form, in the order in which people fill them in.
    pub fn form(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.own.iter().chain(if self.http { PROXY } else { &[] })
    }
}

/// For channels that can change their messages.
const TELL_RESOLVED: Field = Field {
    word: "tell_resolved",
    label: ("Send a message when it is over", "恢复时另发消息"),
    help: Some((
        "The first message is changed in any case; that makes no sound.",
        "无论是否开启，首条消息都会更新为已恢复，但更新没有提示音。",
    )),
    kind: FieldKind::Toggle,
    default: "true",
    ..Field::EMPTY
};

const PROXY: &[Field] = &[Field {
    word: "proxy",
    label: ("Proxy", "代理"),
    help: Some((
        "Only if the service cannot be reached directly: http://, https://, socks5:// or socks5h:// (names resolved by the proxy). A proxy on this machine or in a private network also needs allow_private_addresses in [alerting].",
        "仅在无法直连时填写：http://、https://、socks5:// 或 socks5h://（由代理解析域名）。代理位于本机或内网时，还需在 [alerting] 中开启 allow_private_addresses。",
    )),
    placeholder: "socks5h://proxy.example:1080",
    // It may hold a password.
    kind: FieldKind::Secret,
    ..Field::EMPTY
}];

/// Values of a form, by the words of its fields; secrets among them.
pub type Settings = BTreeMap<String, Value>;

/// What is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The word of the field.
    pub field: String,
    /// What to do, for people, in English.
    pub message: String,
}

impl Problem {
    /// `message` becomes a sentence: some of them are of others.
    fn new(field: &str, message: impl AsRef<str>) -> Self {
        let mut letters = message.as_ref().trim_end_matches('.').chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        Self { field: field.to_owned(), message: first.chain(letters).chain(['.']).collect() }
    }
}

/// In which language a channel speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}

impl Language {
    /// Reads `en` or `zh-CN`; what is neither is English.
    pub fn parse(text: &str) -> Self {
        if text == "zh-CN" { Self::Zh } else { Self::En }
    }
}

/// How a channel speaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// In which language.
    pub language: Language,
    /// In which times are written.
    pub zone: Zone,
}

/// What the other side said to a notification that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// What it calls the message, so that it can be changed when the alert does.
    pub handle: Option<String>,
    /// Its answer, shortened: what people see in the log, and when they try a channel. No secrets.
    pub answer: String,
}

/// What a failure is about, and so what waits for its repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This notification: others may get through meanwhile.
    Message,
    /// The channel: it cannot be reached, or wants no more for now. All of its notifications wait.
    Channel,
    /// Its settings, such as a wrong token: it will not work however often it is tried, somebody must change something.
    Settings,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What happened, for people, with the other side's answer. No secrets.
    pub why: String,
    /// The other side said when to come back.
    pub retry_after: Option<Duration>,
    /// What it is about.
    pub fault: Fault,
}

impl Failed {
    fn new(fault: Fault, why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after: None, fault }
    }

    /// The channel wants no more for so long.
    fn busy(why: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self { why: why.into(), retry_after, fault: Fault::Channel }
    }
}

/// One attempt's end.
pub type Outcome = Result<Arrived, Failed>;

/// What a channel sends, and what it has sent of the same alert before.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What to tell.
    pub notification: &'a Notification,
    /// How.
    pub voice: &'a Voice,
    /// The other side's name for what was sent first of this alert.
    pub handle: Option<&'a str>,
}

/// What [`Channel::send`] gives.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A channel, ready to send.
pub trait Channel: Send + Sync {
    /// Sends one notification. It ends within [`LIMIT`] (whoever calls it makes sure).
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a>;

    /// It changes what it sent before when an alert changes, and so wants to hear of changes that are not worse.
    fn edits(&self) -> bool {
        false
    }
}

/// How long one attempt may take.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Publishes a payload, not retained, on a topic below the root of all our topics; tells why it could not, for people.
pub type Publish =
    Arc<dyn Fn(String, Vec<u8>) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What channels need of the world.
#[derive(Clone)]
pub struct Outside {
    /// The network.
    pub web: Web,
    /// Where the server's files are.
    pub data_dir: PathBuf,
    /// Our own broker.
    pub publish: Publish,
    /// The time.
    pub clock: Clock,
}

/// Every kind of channel, in the order in which people choose from them.
pub fn kinds() -> &'static [&'static ChannelKind] {
    &[
        &telegram::KIND,
        &email::KIND,
        &webhook::KIND,
        &discord::KIND,
        &slack::KIND,
        &ntfy::KIND,
        &gotify::KIND,
        &bark::KIND,
        &wecom::KIND,
        &dingtalk::KIND,
        &feishu::KIND,
        &pagerduty::KIND,
        &mqtt::KIND,
        &file::KIND,
    ]
}

/// The kind with this word.
pub fn kind(word: &str) -> Option<&'static ChannelKind> {
    kinds().iter().copied().find(|kind| kind.word == word)
}

/// Whether a form could be opened, without asking anybody.
pub fn check(word: &str, settings: &Settings) -> Result<(), Vec<Problem>> {
    read(word, settings).map(drop)
}

/// Makes a channel of a form. Nobody is asked before it sends.
pub fn open(word: &str, settings: &Settings, outside: &Outside) -> Result<Box<dyn Channel>, Vec<Problem>> {
    read(word, settings).map(|opens| opens(outside))
}

fn read(word: &str, settings: &Settings) -> Result<Opens, Vec<Problem>> {
    let unknown = || vec![Problem::new("kind", "choose one of the kinds of channels")];
    let kind = kind(word).ok_or_else(unknown)?;
    (kind.read)(&Form::read(kind, settings)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_described_in_both_languages() {
        for kind in kinds() {
            let mut texts = vec![kind.name, kind.help];
            let mut words = std::collections::BTreeSet::new();
            for field in kind.form() {
                assert!(words.insert(field.word), "{}: {} is there twice", kind.word, field.word);
                texts.push(field.label);
                texts.extend(field.help);
                if let FieldKind::Choice(choices) = field.kind {
                    texts.extend(choices.iter().map(|(_, text)| *text));
                    assert!(choices.iter().any(|(word, _)| *word == field.default), "{}", field.word);
                }
            }
            for (en, zh) in texts {
                assert!(!en.is_empty() && !zh.is_empty(), "{}: {en} {zh}", kind.word);
                assert!(!format!("{en}{zh}").contains(['“', '”', '‘', '’']), "{}: {en} {zh}", kind.word);
            }
        }
    }

    #[test]
    fn nothing_filled_in_is_refused_by_name() {
        for kind in kinds() {
            let required: Vec<&str> = kind.form().filter(|f| f.required).map(|f| f.word).collect();
            let said = check(kind.word, &Settings::new()).err().unwrap_or_default();
            let said: Vec<&str> = said.iter().map(|problem| problem.field.as_str()).collect();
            for word in required {
                assert!(said.contains(&word), "{}: {word}", kind.word);
            }
        }
        assert!(check("pigeon", &Settings::new()).is_err());
    }
}
