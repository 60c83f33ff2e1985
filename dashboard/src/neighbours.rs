//! What the dashboard is told of the other parts, which it does not know.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use protocol::{DeviceId, Timestamp};
use serde_json::Value;
use store::{RuleBody, Said, Severity};

use crate::Health;

/// Where the other parts are asked.
#[derive(Clone)]
pub struct Neighbours {
    /// How broker and recorder are doing.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// Their counters by name; those ending in `_now` are gauges.
    pub counters: Arc<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
    /// Who tried to connect to the device port lately, newest first.
    pub attempts: Arc<dyn Fn() -> Vec<Attempt> + Send + Sync>,
    /// Copies of the database.
    pub backups: Arc<dyn Backups>,
    /// Who judges and tells.
    pub alerting: Arc<dyn Alerting>,
    /// How long the past is kept, as it is configured.
    pub keep: store::Keep,
    /// Bytes of its disk that the server leaves free.
    pub min_free_bytes: u64,
}

/// Somebody tried to connect to the device port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When, the last time.
    pub at: Timestamp,
    /// From where.
    pub address: IpAddr,
    /// What became of it, in a word.
    pub outcome: &'static str,
    /// The device that the key named, whether or not its secret was right.
    pub device: Option<DeviceId>,
    /// More of why, in a word.
    pub detail: Option<Cow<'static, str>>,
    /// How they came: `tcp`, `websocket` or `http`.
    pub client: &'static str,
    /// How many alike this stands for.
    pub count: u32,
}

/// Makes copies of the database, and knows which there are.
pub trait Backups: Send + Sync {
    /// Which there are, and how the last one went. Looks on the disk.
    fn show(&self) -> BackupState;

    /// Makes one now, beside all else. `Err` while one is being made.
    fn make(&self) -> Result<(), BackupRunning>;
}

/// One is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupRunning;

/// The copies that there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackupState {
    /// Where they are.
    pub folder: String,
    /// Hours between two; 0: only when somebody asks.
    pub every_h: u32,
    /// So many are kept.
    pub keep: u32,
    /// Newest first.
    pub copies: Vec<BackupCopy>,
    /// How the last one went: when it began, and what was wrong.
    pub last: Option<(Timestamp, Option<String>)>,
    /// One is being made.
    pub running: bool,
}

/// A copy of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupCopy {
    /// The name of its file.
    pub file: String,
    /// When it was made.
    pub at: Timestamp,
    /// How large.
    pub bytes: u64,
}

/// What takes its time.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Judges rules and tells people.
pub trait Alerting: Send + Sync {
    /// What can be judged, in the order in which it is shown.
    fn rule_kinds(&self) -> Vec<RuleKind>;

    /// What is wrong with a rule of a kind; nothing: it can be judged.
    fn check_rule(&self, kind: &str, body: &RuleBody) -> Vec<FieldProblem>;

    /// What a rule would have done in the last days. Nothing is sent.
    fn dry_run<'a>(
        &'a self,
        kind: &'a str,
        body: &'a RuleBody,
        days: u32,
    ) -> Later<'a, Result<DryRun, NoDryRun>>;

    /// Where people can be told, in the order in which it is shown.
    fn channel_kinds(&self) -> Vec<ChannelKind>;

    /// What is wrong with the settings of a channel, secrets among them; nothing: it can be used.
    fn check_channel(&self, kind: &str, settings: &BTreeMap<String, Value>) -> Vec<FieldProblem>;

    /// Sends a test with these settings, secrets among them, and waits for what the other side says.
    fn try_channel<'a>(
        &'a self,
        kind: &'a str,
        settings: &'a BTreeMap<String, Value>,
        language: &'a str,
    ) -> Later<'a, Tried>;

    /// What the channels that fail fail of, by their ids.
    fn channel_troubles(&self) -> BTreeMap<String, ChannelTrouble>;
}

/// What is wrong with a field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Its word.
    pub field: String,
    /// What to do about it, in English.
    pub message: String,
}

/// Something that can be judged.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of a kind, and all combinations occur"
)]
#[derive(Debug, Clone, PartialEq)]
pub struct RuleKind {
    /// The word for it.
    pub word: &'static str,
    /// What it is called.
    pub name: Said,
    /// Its condition as a sentence, beginning with "When"; `{scope}`, `{for}` and the words of the fields in braces stand
    /// for what can be changed.
    pub sentence: Said,
    /// Of what it is judged: `device` (each by itself), `fleet` (the devices of the scope together) or `server`.
    pub of: &'static str,
    /// It must be so for a time before it fires.
    pub lasts: bool,
    /// It has a level at which it fires and one at which it is over: fields `level` and `clear`. Steps may name levels.
    pub levels: bool,
    /// The stored past tells enough for a dry run.
    pub dry_run: bool,
    /// Its own values.
    pub fields: Vec<RuleField>,
    /// What a new rule of this kind is.
    pub default: RuleBody,
    /// A new server judges it.
    pub default_on: bool,
}

/// A value of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleField {
    /// Its word.
    pub word: &'static str,
    /// What it is called.
    pub label: Said,
    /// What its number counts: `percent`, `seconds`, `hours`, `days`, `usd`, `tokens`, `count`, `times`, `mib`; or `word`: one
    /// of `choices`.
    pub unit: &'static str,
    /// Values that are offered; of a word all that there are, with what each is called.
    pub choices: Vec<(Value, Option<Said>)>,
    /// The smallest number.
    pub min: f64,
    /// The largest number.
    pub max: f64,
    /// It may be left out.
    pub optional: bool,
}

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRun {
    /// From when ...
    pub from: Timestamp,
    /// ... until when was judged.
    pub to: Timestamp,
    /// Each time that it would have fired, oldest first, at most 1,000.
    pub moments: Vec<DryMoment>,
    /// How often in all.
    pub count: u32,
    /// On how many devices.
    pub devices: u32,
    /// How long the longest took, in milliseconds.
    pub longest_ms: Option<i64>,
    /// What was measured on the device that it was about most, where there is a level.
    pub series: Option<DrySeries>,
    /// How many devices were judged.
    pub judged_devices: u32,
}

/// A rule would have fired.
#[derive(Debug, Clone, PartialEq)]
pub struct DryMoment {
    /// The device; `None`: several, or the fleet.
    pub device: Option<(DeviceId, String)>,
    /// When it would have fired.
    pub from: Timestamp,
    /// When it would have been over; `None`: not yet.
    pub to: Option<Timestamp>,
    /// The gravest it would have been.
    pub severity: Severity,
    /// What it would have said.
    pub title: Said,
}

/// What was measured, for a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct DrySeries {
    /// Of which device.
    pub device: (DeviceId, String),
    /// When.
    pub at: Vec<Timestamp>,
    /// What; `None` where nothing was.
    pub values: Vec<Option<f64>>,
}

/// Why there is no dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDryRun {
    /// The stored past does not tell.
    NotStored,
    /// It took too long; fewer days or devices may be quick enough.
    TooSlow,
    /// The database does not answer.
    Failed,
}

/// Where people can be told.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelKind {
    /// The word for it.
    pub word: &'static str,
    /// What it is called.
    pub name: Said,
    /// What one needs for it, and where to get that.
    pub help: Said,
    /// Its form.
    pub fields: Vec<ChannelField>,
}

/// A field of a channel's form.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelField {
    /// Its word.
    pub word: &'static str,
    /// What it is called.
    pub label: Said,
    /// Where to find what goes in.
    pub help: Option<Said>,
    /// An example.
    pub placeholder: &'static str,
    /// `text`, `lines`, `secret`, `url`, `number`, `toggle` or `choice`.
    pub kind: &'static str,
    /// Of a choice: the words, and what each is called.
    pub choices: Vec<(&'static str, Said)>,
    /// Of a number: the smallest and the largest.
    pub range: Option<(i64, i64)>,
    /// It must not be empty.
    pub required: bool,
    /// What it is without a word.
    pub default: &'static str,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// It arrived.
    pub ok: bool,
    /// What the other side said, or why it was not reached.
    pub answer: String,
    /// How long it took.
    pub took_ms: i64,
}

/// A channel that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelTrouble {
    /// Since when.
    pub since: Timestamp,
    /// Of what, as the other side said it.
    pub why: String,
}
