//! What somebody looks for, as words. Never as a query language: what is typed is always text.

/// The longest text that is searched for, in characters.
const MAX_CHARS: usize = 200;
/// The most words.
const MAX_WORDS: usize = 10;
/// The index knows parts of this many characters; shorter words are looked for without it.
const INDEXED_CHARS: usize = 3;

/// Words that all must be there, each somewhere, in any part of a word, large or small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    words: Vec<String>,
}

/// More than can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at most {MAX_CHARS} characters and {MAX_WORDS} words")]
pub struct TooMuch;

impl Search {
    /// Reads what was typed; `None` when there is no word in it.
    pub fn parse(text: &str) -> Result<Option<Self>, TooMuch> {
        let words: Vec<String> = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        if text.chars().count() > MAX_CHARS || words.len() > MAX_WORDS {
            return Err(TooMuch);
        }
        Ok((!words.is_empty()).then_some(Self { words }))
    }

    /// The words that the index finds, as FTS5 reads them: each quoted, all of them.
    pub(crate) fn indexed(&self) -> Option<String> {
        let quoted: Vec<String> = self
            .words
            .iter()
            .filter(|word| word.chars().count() >= INDEXED_CHARS)
            .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
            .collect();
        (!quoted.is_empty()).then(|| quoted.join(" AND "))
    }

    /// The words that are too short for it.
    pub(crate) fn short(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str).filter(|word| word.chars().count() < INDEXED_CHARS)
    }

    /// All words.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }
}
