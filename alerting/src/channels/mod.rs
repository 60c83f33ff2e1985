//! Where notifications go. One file for each kind of channel; the form in which people set it up is described there, too, so
//! that the page needs no code for a kind.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;

use crate::Notification;

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
    /// What it is without a word; empty: nothing.
    pub default: &'static str,
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
    /// Its form.
    pub fields: &'static [Field],
}

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

/// In which language a channel speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}

/// What the other side said to a notification that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// What it calls the message, so that it can be changed when the alert does.
    pub handle: Option<String>,
    /// Its answer, shortened: what people see in the log, and when they try a channel. No secrets.
    pub answer: String,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What happened, for people, with the other side's answer. No secrets.
    pub why: String,
    /// The other side said when to come back.
    pub retry_after: Option<Duration>,
    /// It will not work however often it is tried, such as a wrong token: somebody must change something.
    pub for_good: bool,
}

/// One attempt's end.
pub type Outcome = Result<Arrived, Failed>;

/// What a channel sends, and what it has sent of the same alert before.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What to tell.
    pub notification: &'a Notification,
    /// In which language.
    pub language: Language,
    /// The other side's name for what was sent first of this alert.
    pub handle: Option<&'a str>,
}

/// A channel, ready to send.
pub trait Channel: Send + Sync {
    /// Sends one notification. It ends within [`LIMIT`] (whoever calls it makes sure).
    fn send<'a>(&'a self, message: Message<'a>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

    /// It changes what it sent before when an alert changes, and so wants to hear of changes that are not worse.
    fn edits(&self) -> bool {
        false
    }
}

/// How long one attempt may take.
pub const LIMIT: Duration = Duration::from_secs(20);

/// What a channel may reach on the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Also addresses of private networks and of this machine.
    pub private: bool,
}

impl Reach {
    /// Whether this address may be asked.
    pub fn allows(&self, _address: IpAddr) -> bool {
        self.private
    }
}
