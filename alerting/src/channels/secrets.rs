//! What must not be seen in any answer, error or log: the other side, and the layers between, like to repeat it.

use std::collections::BTreeSet;

use super::form::Form;
use super::words::{clean_line, cut};

/// Characters of a text that people see.
const SHOWN: usize = 300;
/// Shorter parts of a secret are words of their own.
const PART: usize = 6;
/// So are shorter levels of an address.
const LEVEL: usize = 12;

/// The secrets of a form, in every way in which they may show up, the longest first.
#[derive(Debug, Clone)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Of a form.
    pub(super) fn of(form: &Form<'_>) -> Self {
        let mut parts = BTreeSet::new();
        for secret in form.secrets() {
            // The value of a header, and what follows its scheme; the name and the password of a proxy.
            let words = secret.split([' ', ':', '/', '@']).filter(|part| part.len() >= PART);
            // The levels of an address, and its values.
            let levels = secret.split(['/', '?', '&', '=', '#']).filter(|part| part.len() >= LEVEL);
            let host = secret.split("://").nth(1).and_then(|rest| rest.split('/').next());
            let host = host.map(|host| host.rsplit('@').next().unwrap_or(host));
            let name = host.and_then(|host| host.split(':').next());
            parts.extend(words.chain(levels).filter(|part| Some(*part) != host && Some(*part) != name));
            parts.insert(secret.as_str());
        }
        let mut parts: Vec<String> =
            parts.into_iter().filter(|part| part.len() >= 4).map(str::to_owned).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Self(parts)
    }

    /// A text without them, in one line, shortened.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "…");
            }
        }
        cut(&clean_line(&text), SHOWN)
    }
}
