//! Forms as they were filled in, checked against their fields.

use std::collections::BTreeMap;

use serde_json::Value;

use super::http::Address;
use super::{ChannelKind, Field, FieldKind, Problem, Settings};

/// Characters of a line.
const LINE: usize = 2_000;
/// Characters of several lines.
const LINES: usize = 20_000;

/// A form whose fields hold what they take.
#[derive(Debug)]
pub(super) struct Form<'a> {
    given: BTreeMap<&'static str, Given<'a>>,
    secrets: Vec<String>,
}

#[derive(Debug)]
enum Given<'a> {
    Text(&'a str),
    Number(i64),
    Toggle(bool),
}

impl<'a> Form<'a> {
    /// Reads what was filled in. Empty is the default.
    pub(super) fn read(kind: &ChannelKind, settings: &'a Settings) -> Result<Self, Vec<Problem>> {
        let (mut given, mut problems, mut secrets) = (BTreeMap::new(), Vec::new(), Vec::new());
        for field in kind.form() {
            match value(field, settings.get(field.word)) {
                Ok(Some(value)) => {
                    if let (FieldKind::Secret, Given::Text(text)) = (field.kind, &value) {
                        secrets.push((*text).to_owned());
                    }
                    given.insert(field.word, value);
                }
                Ok(None) if field.required => problems.push(Problem::new(field.word, "fill this in")),
                Ok(None) => {}
                Err(message) => problems.push(Problem::new(field.word, message)),
            }
        }
        let unknown = settings.keys().filter(|word| kind.form().all(|field| field.word != word.as_str()));
        problems.extend(unknown.map(|word| Problem::new(word, "this kind of channel has no such field")));
        if problems.is_empty() { Ok(Self { given, secrets }) } else { Err(problems) }
    }

    /// What stands in a field, without blanks around it.
    pub(super) fn text(&self, word: &str) -> Option<&'a str> {
        match self.given.get(word)? {
            Given::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What stands in a field, as a text of its own; empty when nothing does.
    pub(super) fn owned(&self, word: &str) -> String {
        self.text(word).unwrap_or_default().to_owned()
    }

    /// The number in a field.
    pub(super) fn number(&self, word: &str) -> Option<i64> {
        match self.given.get(word)? {
            Given::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether a toggle is on.
    pub(super) fn on(&self, word: &str) -> bool {
        matches!(self.given.get(word), Some(Given::Toggle(true)))
    }

    /// The address in a field that is not empty.
    pub(super) fn address(&self, word: &str) -> Result<Address, Vec<Problem>> {
        Address::parse(self.text(word).unwrap_or_default()).map_err(|why| vec![Problem::new(word, why)])
    }

    /// The proxy, if any.
    pub(super) fn proxy(&self) -> Result<Option<Address>, Vec<Problem>> {
        let proxy = self.text("proxy").map(Address::parse_proxy).transpose();
        proxy.map_err(|why| vec![Problem::new("proxy", why)])
    }

    /// What must not be seen in any answer.
    pub(super) fn secrets(&self) -> &[String] {
        &self.secrets
    }
}

fn value<'a>(field: &Field, value: Option<&'a Value>) -> Result<Option<Given<'a>>, &'static str> {
    let given = match value {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) => text.trim(),
        Some(Value::Bool(on)) if field.kind == FieldKind::Toggle => return Ok(Some(Given::Toggle(*on))),
        Some(Value::Number(number)) => {
            let FieldKind::Number { min, max } = field.kind else { return Err("give a text") };
            let number = number.as_i64().filter(|number| (min..=max).contains(number));
            return number
                .map(|number| Some(Given::Number(number)))
                .ok_or("give a whole number within the range");
        }
        Some(_) => return Err("give a text"),
    };
    let text = if given.is_empty() { field.default } else { given };
    if text.is_empty() {
        return Ok(None);
    }
    match field.kind {
        FieldKind::Number { min, max } => {
            let number = text.parse().ok().filter(|number| (min..=max).contains(number));
            number.map(|number| Some(Given::Number(number))).ok_or("give a whole number within the range")
        }
        FieldKind::Toggle => match text {
            "true" => Ok(Some(Given::Toggle(true))),
            "false" => Ok(Some(Given::Toggle(false))),
            _ => Err("give true or false"),
        },
        FieldKind::Choice(choices) if choices.iter().all(|(word, _)| *word != text) => {
            Err("choose one of the words")
        }
        FieldKind::Lines if text.chars().count() > LINES => Err("this is too long"),
        FieldKind::Lines if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) => {
            Err("this has characters that cannot be seen")
        }
        FieldKind::Lines => Ok(Some(Given::Text(text))),
        _ if text.chars().count() > LINE => Err("this is too long"),
        _ if text.chars().any(char::is_control) => Err("this has characters that cannot be seen"),
        FieldKind::Url => Address::parse(text).map(|_| Some(Given::Text(text))),
        FieldKind::Text | FieldKind::Secret | FieldKind::Choice(_) => Ok(Some(Given::Text(text))),
    }
}
