//! One event of a transcript, as it stands in a database or on a line of a file.
//!
//! Parsing takes only what is counted. What people and models wrote is skipped unread, with one exception: the beginning and the
//! end of a user message, which tell whether a person spoke; they are dropped at once.
//!
//! Reading is lenient where OpenClaw is: a field of an unexpected type is a missing field, never a lost turn.

use std::borrow::Cow;
use std::fmt;

use protocol::{QUARTER_MILLIS, limits};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use super::trigger::{self, Prompt};

/// The greatest count that a row may hold: see [`protocol::UsageRow`].
pub(super) const MAX_COUNT: u64 = 1 << 44;
/// The latest moment that is believed: the end of the year 9999.
const MAX_MILLIS: i64 = 253_402_300_799_999;
/// How much of a user message is looked at.
const HEAD_BYTES: usize = 4096;
const TAIL_BYTES: usize = 128;

/// What an event is to the ledger.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// Nothing.
    Other,
    /// Somebody spoke.
    Said(Prompt),
    /// The model answered.
    Turn(Box<Turn>),
}

/// An answer of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turn {
    /// The same for each copy of it, wherever it stands.
    pub(super) key: i64,
    /// When, in milliseconds since 1970; 0 if unknown.
    pub(super) at: i64,
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) counts: Counts,
}

impl Turn {
    /// When its quarter of an hour began.
    pub(super) fn quarter(&self) -> i64 {
        self.at - self.at.rem_euclid(QUARTER_MILLIS)
    }
}

/// What is added up: see [`protocol::UsageRow`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) turns: u64,
    pub(crate) error_turns: u64,
    pub(crate) unmetered_turns: u64,
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    pub(crate) reasoning: u64,
    pub(crate) cost_nano_usd: u64,
    pub(crate) unpriced: u64,
}

impl Counts {
    /// All of them, in the order of the ledger's columns.
    pub(super) fn columns(&self) -> [i64; 10] {
        [
            self.turns,
            self.error_turns,
            self.unmetered_turns,
            self.input,
            self.output,
            self.cache_read,
            self.cache_write,
            self.reasoning,
            self.cost_nano_usd,
            self.unpriced,
        ]
        .map(|n| i64::try_from(n.min(MAX_COUNT)).unwrap_or(i64::MAX))
    }

    /// The reverse of [`Counts::columns`].
    pub(super) fn from_columns(columns: [i64; 10]) -> Self {
        let [
            turns,
            error_turns,
            unmetered_turns,
            input,
            output,
            cache_read,
            cache_write,
            reasoning,
            cost_nano_usd,
            unpriced,
        ] = columns.map(|n| u64::try_from(n).unwrap_or(0));
        Self {
            turns,
            error_turns,
            unmetered_turns,
            input,
            output,
            cache_read,
            cache_write,
            reasoning,
            cost_nano_usd,
            unpriced,
        }
    }
}

/// Bytes that are no JSON.
#[derive(Debug, thiserror::Error)]
#[error("not JSON")]
pub(super) struct Broken;

/// Reads an event. `session` is the id of the session it stands in, `written` when its row was, if known.
pub(super) fn parse(json: &[u8], session: &str, written: Option<i64>) -> Result<Event, Broken> {
    let event: RawEvent<'_> = match serde_json::from_slice(json) {
        Ok(event) => event,
        // JSON of another shape is nothing to count.
        Err(error) if error.is_data() => return Ok(Event::Other),
        Err(_) => return Err(Broken),
    };
    let Some(message) = event.message else { return Ok(Event::Other) };
    if event.kind.0 != "message" {
        return Ok(Event::Other);
    }
    match &*message.role.0 {
        "user" => Ok(said(json, &message)),
        "assistant" => {
            let at = message.timestamp.0.or(event.timestamp.0);
            Ok(turn(&event.id.0, at, session, written, &message))
        }
        _ => Ok(Event::Other),
    }
}

/// The role that the summary beside a compressed event tells, if it is none of those that matter here.
pub(super) fn is_no_matter(navigation: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Navigation<'a> {
        #[serde(borrow, default)]
        model: Option<Model<'a>>,
    }
    #[derive(Deserialize)]
    struct Model<'a> {
        #[serde(borrow, default)]
        message: Option<Role<'a>>,
    }
    #[derive(Deserialize)]
    struct Role<'a> {
        #[serde(borrow, default)]
        role: Word<'a>,
    }
    let role = serde_json::from_slice::<Navigation<'_>>(navigation).ok();
    let role = role.and_then(|n| n.model).and_then(|m| m.message).map(|m| m.role.0);
    matches!(role.as_deref(), Some("toolResult" | "bashExecution" | "custom"))
}

/// The events in a line of a cold archive: it holds the rows of a session, the event as a text within the JSON.
#[derive(Debug, PartialEq)]
pub(super) enum Cold<'a> {
    /// It begins: the session's id.
    Header(Cow<'a, str>),
    /// The JSON of an event, and when its row was written.
    Event(Cow<'a, str>, Option<i64>),
    /// Something else.
    Other,
}

/// Reads a line of a cold archive.
pub(super) fn parse_cold(json: &[u8]) -> Result<Cold<'_>, Broken> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, default)]
        kind: Word<'a>,
        #[serde(borrow, default, rename = "sessionId")]
        session: Word<'a>,
        #[serde(borrow, default)]
        row: Option<Row<'a>>,
    }
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow, default)]
        event_json: Word<'a>,
        #[serde(default)]
        created_at: Stamp,
    }
    let line: Line<'_> = match serde_json::from_slice(json) {
        Ok(line) => line,
        Err(error) if error.is_data() => return Ok(Cold::Other),
        Err(_) => return Err(Broken),
    };
    Ok(match (&*line.kind.0, line.row) {
        ("header", _) => Cold::Header(line.session.0),
        ("event", Some(row)) => Cold::Event(row.event_json.0, row.created_at.0),
        _ => Cold::Other,
    })
}

/// The first 64 bits of the SHA-256 of some parts. Parts cannot run into each other.
pub(super) fn hash(parts: &[&[u8]]) -> i64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    i64::from_le_bytes(digest.first_chunk().copied().unwrap_or_default())
}

fn turn(id: &str, at: Option<i64>, session: &str, written: Option<i64>, message: &RawMessage<'_>) -> Event {
    let Some(usage) = &message.usage else { return Event::Other };
    let usage = usage.normalized();
    let tokens = usage.input + usage.output + usage.cache_read + usage.cache_write;
    // What OpenClaw itself writes into a transcript in the model's place was never asked of a model.
    if tokens == 0
        && message.provider.0 == "openclaw"
        && matches!(&*message.model.0, "delivery-mirror" | "gateway-injected")
    {
        return Event::Other;
    }
    let stop = &*message.stop_reason.0;
    let failed = matches!(stop, "error" | "timeout");
    let counts = Counts {
        turns: 1,
        error_turns: u64::from(failed),
        unmetered_turns: u64::from(!failed && stop != "aborted" && tokens == 0),
        input: usage.input,
        output: usage.output,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        reasoning: usage.reasoning,
        cost_nano_usd: usage.cost_nano_usd,
        unpriced: if usage.priced { 0 } else { tokens.min(MAX_COUNT) },
    };
    let named = |name: &Word<'_>| match name.0.trim() {
        "" => "unknown".to_owned(),
        name => name.chars().take(limits::MAX_TEXT_CHARS).collect(),
    };
    let key = key(id, at, session, &message.response_id.0, &counts);
    let at = at.or(written.filter(|at| is_moment(*at))).unwrap_or(0);
    Event::Turn(Box::new(Turn {
        key,
        at,
        provider: named(&message.provider),
        model: named(&message.model),
        counts,
    }))
}

/// What tells this event from all others, and not from its copies.
///
/// A UUID does. The 8 hex digits of 2026.7 and before repeat between sessions, so the millisecond and the provider's number of
/// the answer go with them, but not the session: forks and checkpoints copied such events into other sessions, and the
/// migration kept them. Only what has no time at all is told by its session.
fn key(id: &str, at: Option<i64>, session: &str, response: &str, counts: &Counts) -> i64 {
    if is_uuid(id) {
        return hash(&[b"uuid", id.to_ascii_lowercase().as_bytes()]);
    }
    let at_bytes = at.unwrap_or(0).to_le_bytes();
    if id.is_empty() {
        let counts = format!("{counts:?}");
        return hash(&[b"none", session.as_bytes(), &at_bytes, response.as_bytes(), counts.as_bytes()]);
    }
    let session = if at.is_none() { session } else { "" };
    hash(&[b"short", id.as_bytes(), &at_bytes, response.as_bytes(), session.as_bytes()])
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn said(json: &[u8], message: &RawMessage<'_>) -> Event {
    #[derive(Deserialize)]
    struct Said {
        message: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        #[serde(default)]
        content: Text,
    }
    let (kind, source) = message.provenance.as_ref().map_or(("", ""), |p| (&*p.kind.0, &*p.source_tool.0));
    // A text that cannot be read (half a surrogate pair) is still somebody's.
    let text = serde_json::from_slice::<Said>(json).map(|said| said.message.content).unwrap_or_default();
    if text.is_tool_result {
        return Event::Other;
    }
    Event::Said(trigger::prompt(kind, source, &text.head, &text.tail))
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Word<'a>,
    #[serde(borrow, default)]
    id: Word<'a>,
    #[serde(default)]
    timestamp: Stamp,
    #[serde(borrow, default)]
    message: Option<RawMessage<'a>>,
}

#[derive(Deserialize)]
struct RawMessage<'a> {
    #[serde(borrow, default)]
    role: Word<'a>,
    #[serde(borrow, default)]
    provider: Word<'a>,
    #[serde(borrow, default)]
    model: Word<'a>,
    #[serde(default)]
    timestamp: Stamp,
    #[serde(borrow, default, rename = "responseId")]
    response_id: Word<'a>,
    #[serde(borrow, default, rename = "stopReason")]
    stop_reason: Word<'a>,
    #[serde(default)]
    usage: Option<RawUsage>,
    #[serde(borrow, default)]
    provenance: Option<Provenance<'a>>,
}

#[derive(Deserialize)]
struct Provenance<'a> {
    #[serde(borrow, default)]
    kind: Word<'a>,
    #[serde(borrow, default, rename = "sourceTool")]
    source_tool: Word<'a>,
}

/// Implements the rest of a visitor: what is not of the expected kind is taken as missing.
macro_rules! lenient {
    (@ $($kind:ident($type:ty)),*) => {
        $(fn $kind<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*
    };
    (unit) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (seq) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (map) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// A text; anything else is the empty one.
#[derive(Debug, Default)]
struct Word<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Word(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Word(Cow::Owned(text.to_owned())))
            }

            lenient!(@ visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));
            lenient!(unit);
            lenient!(seq);
            lenient!(map);
        }
        deserializer.deserialize_any(Words)
    }
}

/// A moment in milliseconds since 1970: a number, or a date in text.
#[derive(Debug, Default, Clone, Copy)]
struct Stamp(Option<i64>);

fn is_moment(millis: i64) -> bool {
    (1..=MAX_MILLIS).contains(&millis)
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Stamps;
        impl<'de> Visitor<'de> for Stamps {
            type Value = Stamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_i64<E>(self, millis: i64) -> Result<Stamp, E> {
                Ok(Stamp(Some(millis).filter(|at| is_moment(*at))))
            }

            fn visit_u64<E>(self, millis: u64) -> Result<Stamp, E> {
                Ok(Stamp(i64::try_from(millis).ok().filter(|at| is_moment(*at))))
            }

            #[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and is checked")]
            fn visit_f64<E>(self, millis: f64) -> Result<Stamp, E> {
                Ok(Stamp(Some(millis as i64).filter(|at| is_moment(*at))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Stamp, E> {
                let at = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
                Ok(Stamp(at.filter(|at| is_moment(*at))))
            }

            lenient!(@ visit_bool(bool));
            lenient!(unit);
            lenient!(seq);
            lenient!(map);
        }
        deserializer.deserialize_any(Stamps)
    }
}

/// A number; anything else is none.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Number(Option<f64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            #[expect(
                clippy::cast_precision_loss,
                reason = "beyond 2^53 OpenClaw itself does not count exactly"
            )]
            fn visit_i64<E>(self, n: i64) -> Result<Number, E> {
                Ok(Number(Some(n as f64)))
            }

            #[expect(
                clippy::cast_precision_loss,
                reason = "beyond 2^53 OpenClaw itself does not count exactly"
            )]
            fn visit_u64<E>(self, n: u64) -> Result<Number, E> {
                Ok(Number(Some(n as f64)))
            }

            fn visit_f64<E>(self, n: f64) -> Result<Number, E> {
                Ok(Number(Some(n).filter(|n| n.is_finite())))
            }

            lenient!(@ visit_bool(bool), visit_str(&str));
            lenient!(unit);
            lenient!(seq);
            lenient!(map);
        }
        deserializer.deserialize_any(Numbers)
    }
}

impl Number {
    /// Whole, not negative, not beyond what a row may hold.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates; NaN is 0")]
    fn count(self) -> u64 {
        (self.0.unwrap_or(0.0) as u64).min(MAX_COUNT)
    }
}

/// The usage as it stands there: OpenClaw's own names nearly always, those of the providers where a back-end passed them on.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct RawUsage {
    input: Best,
    output: Best,
    cache_read: Best,
    cache_write: Best,
    reasoning: Best,
    cost: Cost,
    /// That `input` has the tokens of the cache in it, as providers count.
    input_has_read: bool,
    input_has_write: bool,
}

/// The value of the name that counts most.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Best(Option<(u8, f64)>);

impl Best {
    fn offer(&mut self, rank: u8, number: Number) {
        if let Some(n) = number.0
            && self.0.is_none_or(|(best, _)| rank < best)
        {
            self.0 = Some((rank, n));
        }
    }

    fn number(self) -> Number {
        Number(self.0.map(|(_, n)| n))
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
struct RawCost {
    #[serde(default)]
    total: Number,
    #[serde(default)]
    input: Number,
    #[serde(default)]
    output: Number,
    #[serde(default, rename = "cacheRead")]
    cache_read: Number,
    #[serde(default, rename = "cacheWrite")]
    cache_write: Number,
    #[serde(default, rename = "totalOrigin")]
    origin: Billed,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Cost(RawCost);

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Billed(bool);

impl<'de> Deserialize<'de> for Billed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Word::deserialize(deserializer).map(|word| Self(word.0 == "provider-billed"))
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Costs;
        impl<'de> Visitor<'de> for Costs {
            type Value = Cost;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cost, A::Error> {
                RawCost::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Cost)
            }

            lenient!(@ visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
            lenient!(unit);
            lenient!(seq);
        }
        deserializer.deserialize_any(Costs)
    }
}

/// The parts of a count, as the interfaces of `OpenAI` give them.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "they are the names on the wire")]
struct Details {
    #[serde(default)]
    cached_tokens: Number,
    #[serde(default)]
    cache_write_tokens: Number,
    #[serde(default)]
    cache_creation_input_tokens: Number,
    #[serde(default)]
    reasoning_tokens: Number,
    #[serde(default)]
    thinking_tokens: Number,
}

impl<'de> Deserialize<'de> for RawUsage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Usages;
        impl<'de> Visitor<'de> for Usages {
            type Value = RawUsage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawUsage, A::Error> {
                let mut usage = RawUsage::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    usage.take(&name, &mut map)?;
                }
                Ok(usage)
            }

            lenient!(@ visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
            lenient!(unit);
            lenient!(seq);
        }
        deserializer.deserialize_any(Usages)
    }
}

impl RawUsage {
    /// Takes the value of one name. The names and their order are those of OpenClaw's own reader.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let (slot, rank) = match name {
            "input" => (&mut self.input, 0),
            "inputTokens" => (&mut self.input, 1),
            "input_tokens" => (&mut self.input, 2),
            "promptTokens" => (&mut self.input, 3),
            "prompt_tokens" => (&mut self.input, 4),
            "output" => (&mut self.output, 0),
            "outputTokens" => (&mut self.output, 1),
            "output_tokens" => (&mut self.output, 2),
            "completionTokens" => (&mut self.output, 3),
            "completion_tokens" => (&mut self.output, 4),
            "cacheRead" => (&mut self.cache_read, 0),
            "cache_read" => (&mut self.cache_read, 1),
            "cache_read_input_tokens" => (&mut self.cache_read, 2),
            "cached_input_tokens" | "cached" | "cached_tokens" => {
                self.input_has_read = true;
                (&mut self.cache_read, 3)
            }
            "cacheWrite" => (&mut self.cache_write, 0),
            "cache_write" => (&mut self.cache_write, 1),
            "cache_creation_input_tokens" => (&mut self.cache_write, 2),
            "cache_write_input_tokens" => {
                self.input_has_write = true;
                (&mut self.cache_write, 3)
            }
            "reasoningTokens" => (&mut self.reasoning, 0),
            "reasoning_tokens" => (&mut self.reasoning, 1),
            "cost" => {
                self.cost = map.next_value()?;
                return Ok(());
            }
            "input_tokens_details" | "prompt_tokens_details" => {
                let details: Option<Details> = map.next_value()?;
                let details = details.unwrap_or_default();
                self.input_has_read |= details.cached_tokens.0.is_some();
                self.cache_read.offer(4, details.cached_tokens);
                for written in [details.cache_write_tokens, details.cache_creation_input_tokens] {
                    self.input_has_write |= written.0.is_some();
                    self.cache_write.offer(4, written);
                }
                return Ok(());
            }
            "completion_tokens_details" | "output_tokens_details" => {
                let details: Option<Details> = map.next_value()?;
                let details = details.unwrap_or_default();
                self.reasoning.offer(2, details.reasoning_tokens);
                self.reasoning.offer(3, details.thinking_tokens);
                return Ok(());
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
                return Ok(());
            }
        };
        slot.offer(rank, map.next_value()?);
        Ok(())
    }

    fn normalized(&self) -> Normalized {
        let cache_read = self.cache_read.number().count();
        let cache_write = self.cache_write.number().count();
        let mut input = self.input.number().count();
        // OpenClaw's own `input` never has the cache in it.
        if self.input.0.is_some_and(|(rank, _)| rank > 0) {
            input = input.saturating_sub(if self.input_has_read { cache_read } else { 0 });
            input = input.saturating_sub(if self.input_has_write { cache_write } else { 0 });
        }
        let RawCost { total, input: i, output: o, cache_read: r, cache_write: w, origin } = self.cost.0;
        let parts = [i, o, r, w].into_iter().filter_map(|part| part.0).sum::<f64>();
        let dollars = total.0.unwrap_or(parts);
        let cost_nano_usd = Number(Some((dollars * 1e9).round())).count();
        Normalized {
            input,
            output: self.output.number().count(),
            cache_read,
            cache_write,
            reasoning: self.reasoning.number().count(),
            cost_nano_usd,
            priced: cost_nano_usd > 0 || (origin.0 && dollars >= 0.0),
        }
    }
}

struct Normalized {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    reasoning: u64,
    cost_nano_usd: u64,
    /// That OpenClaw knew what it costs.
    priced: bool,
}

/// The beginning and the end of what somebody wrote: a text, or blocks of which some are texts.
#[derive(Debug, Default)]
struct Text {
    head: String,
    tail: String,
    /// That it is made of results of tools alone, which some interfaces send as if the user had said them.
    is_tool_result: bool,
}

impl Text {
    fn take(&mut self, text: &str) {
        if self.head.is_empty() {
            text.get(..text.floor_char_boundary(HEAD_BYTES)).unwrap_or(text).clone_into(&mut self.head);
        }
        let from = text.ceil_char_boundary(text.len().saturating_sub(TAIL_BYTES));
        text.get(from..).unwrap_or(text).clone_into(&mut self.tail);
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        struct Block<'a> {
            #[serde(borrow, default, rename = "type")]
            kind: Word<'a>,
            #[serde(borrow, default)]
            text: Word<'a>,
        }
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                let mut said = Text::default();
                said.take(text);
                Ok(said)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                let mut said = Text::default();
                let mut blocks = 0;
                let mut results = 0;
                while let Some(block) = seq.next_element::<Block<'de>>()? {
                    blocks += 1;
                    match &*block.kind.0 {
                        "text" | "input_text" => said.take(&block.text.0),
                        "toolResult" | "tool_result" | "tool_result_error" => results += 1,
                        _ => {}
                    }
                }
                said.is_tool_result = blocks > 0 && blocks == results;
                Ok(said)
            }

            lenient!(@ visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));
            lenient!(unit);
            lenient!(map);
        }
        deserializer.deserialize_any(Texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "4b56fa8f-8def-4305-83aa-f429a5673002";

    fn read(json: &str) -> Event {
        parse(json.as_bytes(), SESSION, None).unwrap()
    }

    fn turn(json: &str) -> Turn {
        match read(json) {
            Event::Turn(turn) => *turn,
            other => panic!("{other:?}: {json}"),
        }
    }

    fn assistant(usage: &str, more: &str) -> String {
        format!(
            r#"{{"type":"message","id":"fe50a2fc","timestamp":"2026-11-20T05:06:12.086Z","message":{{"role":"assistant",
            "content":[{{"type":"text","text":"x"}}],"provider":"mock","model":"small","usage":{usage},
            "stopReason":"stop","timestamp":1795151171935{more}}}}}"#
        )
    }

    fn counts(usage: &str) -> Counts {
        turn(&assistant(usage, "")).counts
    }

    #[test]
    fn a_turn_is_counted() {
        let turn = turn(&assistant(
            r#"{"input":8275,"output":36,"cacheRead":8256,"cacheWrite":2,"reasoningTokens":3,"totalTokens":16567,
            "cost":{"input":0.008275,"output":0.000144,"cacheRead":0.0008256,"cacheWrite":0,"total":0.009244599999999999}}"#,
            r#","responseId":"chatcmpl-29","extra":{"usage":{"input":7}}"#,
        ));
        assert_eq!((turn.provider.as_str(), turn.model.as_str()), ("mock", "small"));
        assert_eq!((turn.at, turn.quarter()), (1_795_151_171_935, 1_795_150_800_000));
        assert_eq!(
            turn.counts,
            Counts {
                turns: 1,
                input: 8275,
                output: 36,
                cache_read: 8256,
                cache_write: 2,
                reasoning: 3,
                cost_nano_usd: 9_244_600,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn odd_numbers_are_no_counts() {
        let zero = Counts { turns: 1, unmetered_turns: 1, ..Counts::default() };
        for usage in [
            "{}",
            "[]",
            "7",
            r#"{"input":-5,"output":"many","cacheRead":null,"cacheWrite":{"a":[1]},"cost":7}"#,
            r#"{"input":0,"cost":{"total":-1.5}}"#,
        ] {
            assert_eq!(counts(usage), zero, "{usage}");
        }
        assert_eq!(counts(r#"{"input":12.9,"cost":{"total":1}}"#).input, 12);
        let huge = counts(r#"{"input":1e300,"output":99999999999999999999,"cost":{"total":1e300}}"#);
        assert_eq!((huge.input, huge.output, huge.cost_nano_usd), (MAX_COUNT, MAX_COUNT, MAX_COUNT));
    }

    #[test]
    fn without_a_price_tokens_are_unpriced() {
        let check = |cost, expected| {
            assert_eq!(
                counts(&format!(r#"{{"input":10,"output":5,"cacheRead":2{cost}}}"#)).unpriced,
                expected,
                "{cost}"
            );
        };
        check("", 17);
        check(r#","cost":{"total":0}"#, 17);
        check(r#","cost":null"#, 17);
        check(r#","cost":{"total":0.1}"#, 0);
        check(r#","cost":{"total":0,"totalOrigin":"provider-billed"}"#, 0);
        check(r#","cost":{"input":0.5}"#, 0);
    }

    #[test]
    fn names_of_providers_are_understood() {
        let openai = counts(
            r#"{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":60}}"#,
        );
        assert_eq!((openai.input, openai.output, openai.cache_read), (40, 7, 60));
        let anthropic = counts(
            r#"{"input_tokens":5,"output_tokens":6,"cache_read_input_tokens":7,"cache_creation_input_tokens":8}"#,
        );
        assert_eq!((anthropic.input, anthropic.cache_read, anthropic.cache_write), (5, 7, 8));
        let both = counts(r#"{"input_tokens":100,"input":40,"cached_tokens":60}"#);
        assert_eq!((both.input, both.cache_read), (40, 60), "OpenClaw's own name comes first");
    }

    #[test]
    fn failures_and_what_was_not_measured() {
        let check = |stop: &str, errors, unmetered| {
            let json = assistant("{\"input\":0}", "").replace("\"stop\"", &format!("\"{stop}\""));
            let counts = turn(&json).counts;
            assert_eq!(
                (counts.turns, counts.error_turns, counts.unmetered_turns),
                (1, errors, unmetered),
                "{stop}"
            );
        };
        check("stop", 0, 1);
        check("toolUse", 0, 1);
        check("error", 1, 0);
        check("timeout", 1, 0);
        check("aborted", 0, 0);
    }

    #[test]
    fn what_is_no_turn_is_nothing() {
        for json in [
            "{}",
            "[]",
            "null",
            "7",
            r#"{"type":"session","id":"x"}"#,
            r#"{"type":"message","message":"text"}"#,
            r#"{"type":"message","message":null}"#,
            r#"{"type":"message","message":{"role":"toolResult","usage":{"input":1}}}"#,
            r#"{"type":"custom","message":{"role":"assistant","usage":{"input":1}}}"#,
            r#"{"type":"message","message":{"role":"assistant"}}"#,
            r#"{"type":"message","message":{"role":"assistant","usage":null}}"#,
            r#"{"type":"message","message":{"role":"assistant","provider":"openclaw","model":"delivery-mirror","usage":{"input":0}}}"#,
            r#"{"type":"message","message":{"role":"user","content":[{"type":"tool_result","text":"x"}]}}"#,
        ] {
            assert_eq!(read(json), Event::Other, "{json}");
        }
        for broken in ["", "{", "{\"type\":\"mess", "no", "{}{}", "\u{0}"] {
            assert!(parse(broken.as_bytes(), SESSION, None).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_was_written_cannot_hide_a_turn() {
        // Half a surrogate pair, bytes that are no UTF-8, depth: none of it is read.
        let text = format!(r"\ud83d \u0000 {}", "x".repeat(9000));
        let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
        let json = assistant(r#"{"input":1}"#, &format!(r#","more":{deep}"#))
            .replace("\"x\"", &format!("\"{text}\""));
        assert_eq!(turn(&json).counts.input, 1);
        let mut bytes = assistant(r#"{"input":1}"#, "").into_bytes();
        let at = bytes.windows(3).position(|w| w == b"\"x\"").unwrap();
        bytes[at + 1] = 0xff;
        assert!(matches!(parse(&bytes, SESSION, None), Ok(Event::Turn(_))));
        let user = r#"{"type":"message","message":{"role":"user","content":"\ud83d"}}"#;
        assert_eq!(read(user), Event::Said(Prompt::Person));
    }

    #[test]
    fn a_copy_has_the_key_of_its_original_and_nothing_else_has() {
        let json = |id: &str, at: &str, response: &str| {
            assistant(r#"{"input":1}"#, &format!(r#","responseId":"{response}""#))
                .replace("fe50a2fc", id)
                .replace("1795151171935", at)
        };
        let key = |json: &str, session: &str| match parse(json.as_bytes(), session, None).unwrap() {
            Event::Turn(turn) => turn.key,
            other => panic!("{other:?}"),
        };
        let uuid = "4ab15374-04ec-4821-a57a-e51669a6ed8c";
        assert_eq!(key(&json(uuid, "5", "a"), "s"), key(&json(uuid, "6", "b"), "t"), "a UUID says all");
        let short = key(&json("fe50a2fc", "5", "a"), "s");
        assert_eq!(short, key(&json("fe50a2fc", "5", "a"), "t"), "copied into another session");
        assert_ne!(short, key(&json("fe50a2fc", "6", "a"), "s"));
        assert_ne!(short, key(&json("fe50a2fc", "5", "b"), "s"));
        assert_ne!(short, key(&json("fe50a2fd", "5", "a"), "s"));
        assert_ne!(key(&json("", "5", "a"), "s"), key(&json("", "5", "a"), "t"), "without an id");
        assert_eq!(key(&json("", "5", "a"), "s"), key(&json("", "5", "a"), "s"));
    }

    #[test]
    fn time_is_the_messages_else_the_events_else_the_rows() {
        let at = |message: &str, event: &str| {
            let json = assistant(r#"{"input":1}"#, "")
                .replace("1795151171935", message)
                .replace("\"2026-11-20T05:06:12.086Z\"", event);
            match parse(json.as_bytes(), SESSION, Some(42)).unwrap() {
                Event::Turn(turn) => turn.at,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(at("5", "\"2026-11-20T05:06:12.086Z\""), 5);
        assert_eq!(at("\"2026-11-20T05:06:13Z\"", "7"), 1_795_151_173_000);
        for none in ["null", "-1", "0", "1e300", "\"soon\"", "{}"] {
            assert_eq!(at(none, "\"2026-11-20T05:06:12.086Z\""), 1_795_151_172_086, "{none}");
            assert_eq!(at(none, none), 42, "{none}");
        }
    }

    #[test]
    fn who_spoke_is_read() {
        let check = |message: &str, expected| {
            let json = format!(r#"{{"type":"message","message":{{"role":"user",{message}}}}}"#);
            assert_eq!(read(&json), Event::Said(expected), "{message}");
        };
        check(r#""content":"hello""#, Prompt::Person);
        check(r#""content":[{"type":"image"},{"type":"text","text":"[cron:1 x] go"}]"#, Prompt::Cron);
        check(r#""content":[]"#, Prompt::Person);
        check(
            r#""content":"x","provenance":{"kind":"internal_system","sourceTool":"heartbeat"}"#,
            Prompt::Heartbeat,
        );
        let long = format!("{}[OpenClaw heartbeat poll]", "ä".repeat(5000));
        check(&format!(r#""content":"{long}""#), Prompt::Heartbeat);
    }

    #[test]
    fn the_summary_spares_the_unpacking() {
        let nav =
            |role: &str| format!(r#"{{"version":1,"model":{{"message":{{"role":"{role}","content":[]}}}}}}"#);
        assert!(is_no_matter(nav("toolResult").as_bytes()));
        assert!(!is_no_matter(nav("assistant").as_bytes()));
        assert!(!is_no_matter(nav("user").as_bytes()));
        assert!(!is_no_matter(nav("").as_bytes()));
        assert!(!is_no_matter(b"{}"));
        assert!(!is_no_matter(b"{"));
    }

    #[test]
    fn a_cold_archive_has_events_within_lines() {
        assert_eq!(
            parse_cold(br#"{"kind":"header","version":1,"sessionId":"s","generation":"g"}"#).unwrap(),
            Cold::Header("s".into())
        );
        assert_eq!(
            parse_cold(br#"{"kind":"event","row":{"seq":1,"event_json":"{\"a\":1}","created_at":5}}"#)
                .unwrap(),
            Cold::Event("{\"a\":1}".into(), Some(5))
        );
        assert_eq!(parse_cold(br#"{"kind":"active","row":{"event_seq":1}}"#).unwrap(), Cold::Other);
        assert!(parse_cold(b"{").is_err());
    }
}
