//! What can be judged: each kind of rule with its sentence, its values and what they are without a word, and how it is read
//! off what is known. A kind is one entry in a file of this folder.

mod errors;
mod fleet;
mod gateway;
mod presence;
mod resources;
mod server;
mod tokens;

use protocol::{DeviceId, Timestamp};
use serde_json::{Value, json};
use store::{RuleBody, Said, Scope, Severity, Step, Zone};

use crate::facts::{Known, World};

/// A text in both languages.
pub type Text = (&'static str, &'static str);

/// Of what a kind is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Of each device by itself.
    Device,
    /// Of the devices of the scope together.
    Fleet,
    /// Of the server.
    Server,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Percent.
    Percent,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days.
    Days,
    /// US dollars.
    Usd,
    /// LLM tokens.
    Tokens,
    /// Things.
    Count,
    /// A multiple.
    Times,
    /// Mebibytes.
    Mib,
    /// One of some words, with what each is called.
    Word(&'static [(&'static str, Text)]),
}

/// A value of a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Its word.
    pub word: &'static str,
    /// What it is called.
    pub label: Text,
    /// What it counts.
    pub unit: Unit,
    /// Values that are offered.
    pub offered: &'static [f64],
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Without a word. Of words the place of one.
    pub default: f64,
}

/// A number among the values of a rule: its word and name, what it counts, what is offered, the smallest and the largest, and
/// what it is without a word.
const fn number(
    word: &'static str,
    label: Text,
    unit: Unit,
    offered: &'static [f64],
    (min, max): (f64, f64),
    default: f64,
) -> Field {
    Field { word, label, unit, offered, min, max, default }
}

/// A value that is one of some words: `default` is the place of one.
const fn word(
    word: &'static str,
    label: Text,
    words: &'static [(&'static str, Text)],
    default: f64,
) -> Field {
    number(word, label, Unit::Word(words), &[], (0.0, 0.0), default)
}

/// After how many minutes without another time something that happens is over.
const fn calm(default: f64) -> Field {
    number(
        "calm",
        ("Over after", "恢复所需时间"),
        Unit::Minutes,
        &[5.0, 10.0, 15.0, 30.0, 60.0, 240.0],
        (1.0, 1_440.0),
        default,
    )
}

/// A kind of rule.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something of its own, and they do not exclude each other"
)]
pub struct Kind {
    /// The word for it.
    pub word: &'static str,
    /// What it is called.
    pub name: Text,
    /// Its condition. In braces: `scope`, `for`, and the words of fields.
    pub sentence: Text,
    /// Of what it is judged.
    pub of: Of,
    /// It must be so for a time.
    pub lasts: bool,
    /// It has a `level`, and what is below `clear` is over.
    pub levels: bool,
    /// The lower the graver: hours that are left.
    pub falling: bool,
    /// Many at once are one alert.
    pub folds: bool,
    /// The stored past tells enough of it.
    pub from_past: bool,
    /// Its values.
    pub fields: &'static [Field],
    /// What a new rule is.
    pub default: Default,
    /// Kinds whose alerts of the same device explain one of this.
    pub explained_by: &'static [&'static str],
    /// How it is read off what is known.
    pub(crate) read: fn(&View<'_>) -> Readings,
}

/// What a new rule of a kind is.
#[derive(Debug, Clone, Copy)]
pub struct Default {
    /// It is judged.
    pub on: bool,
    /// Seconds that it must be so.
    pub for_s: u32,
    /// How grave it is.
    pub severity: Severity,
    /// When it becomes graver.
    pub steps: &'static [(Severity, Option<f64>, Option<u32>)],
    /// It is told that it is over.
    pub resolved: bool,
}

/// Something that is judged once in a while, with nothing special.
const PLAIN: Default =
    Default { on: true, for_s: 0, severity: Severity::Warning, steps: &[], resolved: true };

/// What most kinds have in common.
const DEVICE: Kind = Kind {
    word: "",
    name: ("", ""),
    sentence: ("", ""),
    of: Of::Device,
    lasts: true,
    levels: false,
    falling: false,
    folds: false,
    from_past: false,
    fields: &[],
    default: PLAIN,
    explained_by: &["offline"],
    read: |_| Readings::unknown(),
};

/// All kinds, in the order in which they are shown.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    [
        presence::KINDS,
        gateway::KINDS,
        errors::KINDS,
        resources::KINDS,
        tokens::KINDS,
        fleet::KINDS,
        server::KINDS,
    ]
    .into_iter()
    .flatten()
}

/// The kind with this word.
pub fn kind(word: &str) -> Option<&'static Kind> {
    kinds().find(|kind| kind.word == word)
}

impl Kind {
    /// What a new rule of this kind says.
    pub fn body(&self) -> RuleBody {
        let step = |(severity, level, after_s): &(Severity, Option<f64>, Option<u32>)| Step {
            severity: *severity,
            level: *level,
            after_s: *after_s,
        };
        RuleBody {
            scope: Scope::default(),
            values: self.fields.iter().map(|field| (field.word.to_owned(), field.value())).collect(),
            for_s: self.default.for_s,
            severity: self.default.severity,
            steps: self.default.steps.iter().map(step).collect(),
            channels: None,
            remind_s: None,
            tell_resolved: self.default.resolved,
            quiet: true,
            late: false,
        }
    }

    /// What is wrong with a rule of this kind: the word of a field, and what to do.
    pub fn check(&self, body: &RuleBody) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (word, value) in &body.values {
            match self.fields.iter().find(|field| field.word == word) {
                Some(field) => problems.extend(field.check(value).map(|problem| (word.clone(), problem))),
                None => {
                    problems.push((word.clone(), format!("A rule of kind {} has no such value.", self.word)));
                }
            }
        }
        if self.levels {
            let (level, clear) = (value_of(self, body, "level"), value_of(self, body, "clear"));
            let wrong = if self.falling { clear < level } else { clear > level };
            if wrong {
                let side = if self.falling { "below" } else { "above" };
                problems.push((
                    "clear".to_owned(),
                    format!("It must not be {side} the level at which it fires."),
                ));
            }
        }
        let mut last = body.severity;
        for step in &body.steps {
            // The gravest comes first in the order.
            if step.severity >= last {
                problems
                    .push(("steps".to_owned(), "Each step must be graver than the one before.".to_owned()));
            }
            last = step.severity;
            match (step.level, step.after_s) {
                (Some(_), _) if !self.levels => {
                    problems.push(("steps".to_owned(), "This kind has no level; give a time.".to_owned()));
                }
                (None, None) => problems.push(("steps".to_owned(), "Give a level or a time.".to_owned())),
                (Some(level), _) if !level.is_finite() => {
                    problems.push(("steps".to_owned(), "The level is no number.".to_owned()));
                }
                _ => {}
            }
        }
        if body.for_s > 7 * 86_400 {
            problems.push(("for_s".to_owned(), "At most seven days.".to_owned()));
        }
        if body.remind_s.is_some_and(|s| s < 300) {
            problems.push(("remind_s".to_owned(), "At least five minutes.".to_owned()));
        }
        problems
    }
}

impl Field {
    fn value(&self) -> Value {
        match self.unit {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
            Unit::Word(words) => {
                words.get(self.default as usize).map_or(Value::Null, |(word, _)| json!(word))
            }
            _ => json!(self.default),
        }
    }

    fn check(&self, value: &Value) -> Option<String> {
        match self.unit {
            Unit::Word(words) => {
                let known = value.as_str().is_some_and(|text| words.iter().any(|(word, _)| *word == text));
                let all = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
                (!known).then(|| format!("There are: {}.", all()))
            }
            _ => {
                let fits = value.as_f64().is_some_and(|n| (self.min..=self.max).contains(&n));
                (!fits).then(|| format!("A number from {} to {}.", self.min, self.max))
            }
        }
    }
}

/// A value of a rule, or what it is without a word.
fn value_of(kind: &Kind, body: &RuleBody, word: &str) -> f64 {
    let told = body.values.get(word).and_then(Value::as_f64);
    told.unwrap_or_else(|| {
        kind.fields.iter().find(|field| field.word == word).map_or(0.0, |field| field.default)
    })
}

/// What a kind is judged by.
pub(crate) struct View<'a> {
    pub(crate) kind: &'static Kind,
    pub(crate) body: &'a RuleBody,
    pub(crate) world: &'a World,
    /// The device, of a kind that is judged of each.
    pub(crate) device: Option<&'a Known>,
    pub(crate) zone: &'a Zone,
    pub(crate) now: Timestamp,
}

impl<'a> View<'a> {
    pub(crate) fn number(&self, word: &str) -> f64 {
        value_of(self.kind, self.body, word)
    }

    /// A time in milliseconds, of a field in seconds, minutes, hours or days.
    #[expect(clippy::cast_possible_truncation, reason = "at most years")]
    pub(crate) fn ms(&self, word: &str) -> i64 {
        let unit = self.kind.fields.iter().find(|field| field.word == word).map(|field| field.unit);
        let factor = match unit {
            Some(Unit::Minutes) => 60_000.0,
            Some(Unit::Hours) => 3_600_000.0,
            Some(Unit::Days) => 86_400_000.0,
            _ => 1_000.0,
        };
        (self.number(word) * factor) as i64
    }

    pub(crate) fn word(&self, word: &str) -> &'a str {
        let told = self.body.values.get(word).and_then(Value::as_str);
        told.unwrap_or_else(|| {
            let field = self.kind.fields.iter().find(|field| field.word == word);
            match field.map(|field| (field.unit, field.default)) {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a place in a list"
                )]
                Some((Unit::Word(words), default)) => {
                    words.get(default as usize).map_or("", |(word, _)| word)
                }
                _ => "",
            }
        })
    }

    /// What is measured on the device, while it is there.
    pub(crate) fn measured(&self) -> Option<&'a crate::facts::Measured> {
        let device = self.device?;
        (device.now.online == Some(true)).then_some(device.now.measured.as_ref()).flatten()
    }

    /// A level as a reading.
    pub(crate) fn level(&self, value: f64, so: impl FnOnce() -> So) -> Reading {
        let (level, clear) = (self.number("level"), self.number("clear"));
        let (holds, over) =
            if self.kind.falling { (value <= level, value > clear) } else { (value >= level, value < clear) };
        if holds {
            Reading::Holds(So { value: Some(value), ..so() })
        } else if over {
            Reading::Clear
        } else {
            Reading::Between
        }
    }
}

/// That something is so.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct So {
    /// In one line.
    pub(crate) title: Said,
    /// More about it.
    pub(crate) detail: Option<Said>,
    /// In the unit of the kind's level.
    pub(crate) value: Option<f64>,
    /// Since when, where that is known.
    pub(crate) since: Option<Timestamp>,
    /// It must be so for this long instead of the rule's time.
    pub(crate) for_ms: Option<i64>,
    /// Of these devices.
    pub(crate) members: Vec<DeviceId>,
    /// What it consists of, in words: one that was not there before is news.
    pub(crate) parts: Vec<String>,
}

impl So {
    pub(crate) fn new(title: Said) -> Self {
        Self {
            title,
            detail: None,
            value: None,
            since: None,
            for_ms: None,
            members: Vec::new(),
            parts: Vec::new(),
        }
    }

    pub(crate) fn detail(self, detail: Said) -> Self {
        Self { detail: Some(detail), ..self }
    }

    pub(crate) fn since(self, since: Timestamp) -> Self {
        Self { since: Some(since), ..self }
    }
}

/// What a rule reads of one subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reading {
    /// It is not so.
    Clear,
    /// Below what makes it fire, and not yet below what makes it over.
    Between,
    /// It is so.
    Holds(So),
}

/// Something that must be looked up before it can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Want {
    /// What is usual in this hour ([`crate::facts::Fact::Usual`]).
    Usual(DeviceId, Timestamp),
    /// When somebody last spoke ([`crate::facts::Fact::Human`]).
    Human(DeviceId),
    /// What was used this month before this day ([`crate::facts::Fact::Before`]).
    Before(Timestamp),
}

/// What a rule reads of a device, the fleet or the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Readings {
    /// By subject. What is not named is clear.
    pub(crate) list: Vec<(String, Reading)>,
    /// Nothing can be said now: what fires goes on, what is not yet does not begin.
    pub(crate) unknown: bool,
    /// When it must be read again although nothing is learned.
    pub(crate) again: Option<Timestamp>,
    /// What must be looked up.
    pub(crate) want: Option<Want>,
}

impl Readings {
    pub(crate) fn unknown() -> Self {
        Self { list: Vec::new(), unknown: true, again: None, want: None }
    }

    pub(crate) fn clear() -> Self {
        Self { list: Vec::new(), unknown: false, again: None, want: None }
    }

    /// Of the device itself.
    pub(crate) fn one(reading: Reading) -> Self {
        Self::of(String::new(), reading)
    }

    pub(crate) fn of(subject: String, reading: Reading) -> Self {
        Self { list: vec![(subject, reading)], ..Self::clear() }
    }

    pub(crate) fn so(so: So) -> Self {
        Self::one(Reading::Holds(so))
    }

    pub(crate) fn again(self, at: Timestamp) -> Self {
        let again = Some(self.again.map_or(at, |known| known.min(at)));
        Self { again, ..self }
    }

    pub(crate) fn want(self, want: Want) -> Self {
        Self { want: Some(want), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_whole_in_both_languages() {
        let mut words = std::collections::HashSet::new();
        for kind in kinds() {
            assert!(words.insert(kind.word), "{} is there twice", kind.word);
            assert!(!kind.name.0.is_empty() && !kind.name.1.is_empty(), "{}", kind.word);
            for sentence in [kind.sentence.0, kind.sentence.1] {
                for field in kind.fields.iter().filter(|field| field.word != "clear") {
                    assert!(
                        sentence.contains(&format!("{{{}}}", field.word)),
                        "{}: {} in {sentence}",
                        kind.word,
                        field.word
                    );
                }
                assert_eq!(sentence.contains("{for}"), kind.lasts, "{}: {sentence}", kind.word);
                assert_eq!(sentence.contains("{scope}"), kind.of != Of::Server, "{}: {sentence}", kind.word);
            }
            assert!(kind.sentence.0.starts_with("When "), "{}", kind.word);
            if kind.levels {
                assert!(
                    ["level", "clear"].iter().all(|word| kind.fields.iter().any(|f| f.word == *word)),
                    "{}",
                    kind.word
                );
            }
            assert_eq!(kind.check(&kind.body()), [], "{}", kind.word);
            for parent in kind.explained_by {
                assert!(super::kind(parent).is_some(), "{}: {parent}", kind.word);
            }
        }
        assert!(words.len() >= 35, "{}", words.len());
    }

    #[test]
    fn a_rule_that_cannot_be_judged_is_refused_by_its_field() {
        let cpu = kind("cpu").unwrap();
        let check = |change: fn(&mut RuleBody), field: &str| {
            let mut body = cpu.body();
            change(&mut body);
            let problems = cpu.check(&body);
            assert!(problems.iter().any(|(word, _)| word == field), "{field}: {problems:?}");
        };
        check(|b| drop(b.values.insert("level".into(), json!(101))), "level");
        check(|b| drop(b.values.insert("level".into(), json!("much"))), "level");
        check(|b| drop(b.values.insert("clear".into(), json!(95))), "clear");
        check(|b| drop(b.values.insert("colour".into(), json!(1))), "colour");
        check(|b| b.for_s = 700_000, "for_s");
        check(|b| b.remind_s = Some(1), "remind_s");
        check(|b| b.steps = vec![Step { severity: Severity::Info, level: None, after_s: Some(1) }], "steps");
        check(|b| b.steps = vec![Step { severity: Severity::Critical, level: None, after_s: None }], "steps");
    }
}
