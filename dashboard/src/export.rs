//! Whole tables as CSV or as lines of JSON, of any size: read in pages and written out as they are read. The API and the
//! command line share it.

use bytes::Bytes;
use protocol::{DeviceId, Timestamp};
use serde_json::Value;
use store::{
    AuditEntry, AuditFilter, ErrorFilter, ErrorRecord, EventFilter, FleetEvent, Metric, Page, Place,
    SamplePlace, SampleRecord, Store, UsagePlace, UsageRecord,
};

use crate::views::rfc3339;

/// Rows of one query.
const ROWS: u32 = 5_000;
/// A record with its stack and context may have a hundred kilobytes.
const LONG_ROWS: u32 = 500;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a row of names first. What a spreadsheet would take for a formula begins with an apostrophe.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Jsonl];

    /// The word for it, and the end of its file's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Jsonl => "application/jsonl; charset=utf-8",
        }
    }
}

/// What is exported.
#[derive(Debug, Clone)]
pub enum What {
    /// Errors and crashes, whole.
    Errors(ErrorFilter),
    /// What happened on devices and to the server.
    Events(EventFilter),
    /// What people did on the server.
    AuditLog(AuditFilter),
    /// Tokens, by quarter of an hour, device, provider, model, OpenClaw agent and trigger.
    Usage {
        /// Of this device; `None`: of all.
        device: Option<DeviceId>,
        /// From this moment on.
        from: Option<Timestamp>,
        /// Before this moment.
        to: Option<Timestamp>,
    },
    /// What was measured of a device, each sample that is still there.
    Samples {
        /// Which.
        device: DeviceId,
        /// From this moment on.
        from: Option<Timestamp>,
        /// Before this moment.
        to: Option<Timestamp>,
    },
}

impl What {
    /// Its name, as it stands in the file's.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Errors(_) => "errors",
            Self::Events(_) => "events",
            Self::AuditLog(_) => "audit-log",
            Self::Usage { .. } => "usage",
            Self::Samples { .. } => "samples",
        }
    }

    fn columns(&self) -> Vec<&'static str> {
        let fixed: &[&str] = match self {
            Self::Errors(_) => &[
                "no",
                "at",
                "received_at",
                "device",
                "device_name",
                "level",
                "gateway",
                "subsystem",
                "message",
                "fingerprint",
                "count",
                "error_name",
                "reason",
                "provider",
                "model",
                "agent",
                "version",
                "stack",
                "context",
            ],
            Self::Events(_) => &[
                "no",
                "at",
                "received_at",
                "device",
                "device_name",
                "kind",
                "gateway",
                "from",
                "to",
                "reason",
                "duration_ms",
                "count",
                "activity",
            ],
            Self::AuditLog(_) => &[
                "no",
                "at",
                "actor_kind",
                "actor",
                "address",
                "action",
                "subject_kind",
                "subject_id",
                "subject_name",
                "before",
                "after",
                "count",
                "last_at",
            ],
            Self::Usage { .. } => &[
                "quarter",
                "device",
                "device_name",
                "provider",
                "model",
                "agent",
                "trigger",
                "turns",
                "error_turns",
                "unmetered_turns",
                "input",
                "output",
                "cache_read",
                "cache_write",
                "reasoning",
                "cost_usd",
                "unpriced_tokens",
                "estimated_usd",
                "flat_rate_usd",
            ],
            Self::Samples { .. } => &["at", "device", "back_filled", "openclaw_state", "openclaw_version"],
        };
        let mut columns = fixed.to_vec();
        if matches!(self, Self::Samples { .. }) {
            columns.extend(Metric::ALL.iter().map(|metric| metric.as_str()));
        }
        columns
    }
}

/// An export under way.
#[derive(Clone)]
pub struct Export {
    store: Store,
    what: What,
    format: Format,
    place: Option<At>,
    begun: bool,
    rows: u64,
}

/// Where the page before ended.
#[derive(Clone)]
enum At {
    Row(Place),
    Entry(i64),
    Usage(UsagePlace),
    Sample(SamplePlace),
}

/// A value of a row.
enum Cell {
    Text(Option<String>),
    Whole(Option<i64>),
    /// A number, or true or false, that is written as it is.
    Exact(String),
    Json(Option<Value>),
}

impl Export {
    /// Begins with the first row. Nothing is read yet.
    pub fn new(store: Store, what: What, format: Format) -> Self {
        Self { store, what, format, place: None, begun: false, rows: 0 }
    }

    /// Such as `openclaw-watch-errors-2026-11-20.csv`.
    pub fn file_name(&self) -> String {
        let today = rfc3339(self.store.clock().now());
        let day = today.get(..10).unwrap_or("export");
        format!("openclaw-watch-{}-{day}.{}", self.what.name(), self.format.as_str())
    }

    /// How it is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many rows were written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next part; `None` at the end. Each part is a query of its own: nothing is held between two.
    pub async fn next(&mut self) -> Result<Option<Bytes>, store::Error> {
        let rows = self.page().await?;
        let mut out = Vec::new();
        if self.format == Format::Csv && !self.begun {
            let names = self.what.columns().iter().map(|name| Cell::Text(Some((*name).to_owned()))).collect();
            write_csv(&mut out, std::slice::from_ref(&names));
        }
        let begun = std::mem::replace(&mut self.begun, true);
        if rows.is_empty() && (begun || out.is_empty()) {
            return Ok(None);
        }
        self.rows += u64::try_from(rows.len()).unwrap_or(0);
        match self.format {
            Format::Csv => write_csv(&mut out, &rows),
            Format::Jsonl => write_jsonl(&mut out, &self.what.columns(), &rows),
        }
        Ok(Some(out.into()))
    }

    async fn page(&mut self) -> Result<Vec<Vec<Cell>>, store::Error> {
        let after = match &self.place {
            Some(At::Row(place)) => Some(*place),
            _ => None,
        };
        let (place, rows): (Option<At>, Vec<Vec<Cell>>) = match &self.what {
            What::Errors(filter) => {
                let rows = self.store.errors_whole(filter, Page { after, limit: LONG_ROWS }).await?;
                (rows.last().map(|row| At::Row(row.place())), rows.into_iter().map(error).collect())
            }
            What::Events(filter) => {
                let rows = self.store.fleet_events(filter, Page { after, limit: ROWS }).await?;
                (rows.last().map(|row| At::Row(row.place())), rows.into_iter().map(event).collect())
            }
            What::AuditLog(filter) => {
                let after = match &self.place {
                    Some(At::Entry(no)) => Some(*no),
                    _ => None,
                };
                let rows = self.store.audit_log(filter, after, ROWS).await?;
                (rows.last().map(|row| At::Entry(row.no)), rows.into_iter().map(entry).collect())
            }
            What::Usage { device, from, to } => {
                let after = match &self.place {
                    Some(At::Usage(place)) => Some(*place),
                    _ => None,
                };
                let rows = self.store.usage_rows(*device, *from, *to, after, ROWS).await?;
                (rows.last().map(|row| At::Usage(row.place)), rows.into_iter().map(usage).collect())
            }
            What::Samples { device, from, to } => {
                let after = match &self.place {
                    Some(At::Sample(place)) => Some(*place),
                    _ => None,
                };
                let rows = self.store.samples_page(*device, *from, *to, after, ROWS).await?;
                let cells = |row| sample(*device, row);
                (rows.last().map(|row| At::Sample(row.place)), rows.into_iter().map(cells).collect())
            }
        };
        self.place = place.or(self.place.take());
        Ok(rows)
    }
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(Some(text.into()))
}

fn time(at: Timestamp) -> Cell {
    Cell::Text(Some(rfc3339(at)))
}

fn count(n: Option<u64>) -> Cell {
    Cell::Whole(n.map(|n| i64::try_from(n).unwrap_or(i64::MAX)))
}

fn error(row: ErrorRecord) -> Vec<Cell> {
    let record = row.record;
    vec![
        Cell::Whole(Some(row.no)),
        time(record.at),
        time(row.received_at),
        text(row.device.as_str()),
        text(row.device_name),
        text(record.level.as_str()),
        text(record.gateway),
        Cell::Text(record.subsystem),
        text(record.message),
        text(record.fingerprint),
        Cell::Whole(Some(record.count.into())),
        Cell::Text(record.error_name),
        Cell::Text(record.reason),
        Cell::Text(record.provider),
        Cell::Text(record.model),
        Cell::Text(record.agent),
        Cell::Text(record.version),
        Cell::Text(record.stack),
        Cell::Json((!record.context.is_empty()).then(|| record.context.into())),
    ]
}

fn event(row: FleetEvent) -> Vec<Cell> {
    let (device, name) = row.device.map(|(id, name)| (id.to_string(), name)).unzip();
    let event = row.event;
    vec![
        Cell::Whole(Some(row.no)),
        time(event.at),
        time(row.received_at),
        Cell::Text(device),
        Cell::Text(name),
        text(row.kind),
        Cell::Text(event.gateway),
        Cell::Text(event.from),
        Cell::Text(event.to),
        Cell::Text(event.reason),
        count(event.duration_ms),
        count(event.count),
        Cell::Json(event.activity.and_then(|activity| serde_json::to_value(activity).ok())),
    ]
}

fn entry(row: AuditEntry) -> Vec<Cell> {
    vec![
        Cell::Whole(Some(row.no)),
        time(row.at),
        text(row.actor.kind.as_str()),
        text(row.actor.name),
        Cell::Text(row.actor.address.map(|address| address.to_string())),
        text(row.action),
        Cell::Text(row.subject_kind),
        Cell::Text(row.subject_id),
        Cell::Text(row.subject_name),
        Cell::Json(row.before),
        Cell::Json(row.after),
        Cell::Whole(Some(row.count)),
        Cell::Text(row.last_at.map(rfc3339)),
    ]
}

fn sample(device: DeviceId, row: SampleRecord) -> Vec<Cell> {
    let mut cells = vec![
        time(row.at),
        text(device.as_str()),
        Cell::Exact(row.back_filled.to_string()),
        Cell::Text(row.openclaw.map(|state| state.as_str().to_owned())),
        Cell::Text(row.openclaw_version),
    ];
    cells.extend(row.values.into_iter().map(|value| match value {
        Some(value) => Cell::Exact(value.to_string()),
        None => Cell::Whole(None),
    }));
    cells
}

fn usage(row: UsageRecord) -> Vec<Cell> {
    let counts = row.counts;
    let whole = |n: i64| Cell::Whole(Some(n));
    let usd = |nano: i64| {
        let (sign, nanos) = (if nano < 0 { "-" } else { "" }, nano.unsigned_abs());
        Cell::Exact(format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000))
    };
    vec![
        time(row.quarter),
        text(row.device.as_str()),
        text(row.device_name),
        text(row.provider),
        text(row.model),
        text(row.agent),
        text(row.trigger),
        whole(counts.turns),
        whole(counts.error_turns),
        whole(counts.unmetered_turns),
        whole(counts.input),
        whole(counts.output),
        whole(counts.cache_read),
        whole(counts.cache_write),
        whole(counts.reasoning),
        counts.known_spent_nano_usd().map_or(Cell::Text(None), usd),
        whole(counts.without_price()),
        usd(counts.estimate_nano_usd),
        usd(counts.flat_nano_usd),
    ]
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> std::borrow::Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

fn write_csv(out: &mut Vec<u8>, rows: &[Vec<Cell>]) {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    for row in rows {
        let fields = row.iter().map(|cell| match cell {
            Cell::Text(text) => text.as_deref().map(harmless).unwrap_or_default().into_owned(),
            Cell::Whole(number) => number.map(|n| n.to_string()).unwrap_or_default(),
            Cell::Exact(number) => number.clone(),
            Cell::Json(value) => {
                value.as_ref().map(|v| harmless(&v.to_string()).into_owned()).unwrap_or_default()
            }
        });
        // Writing to memory does not fail.
        drop(writer.write_record(fields));
    }
    drop(writer.flush());
}

fn write_jsonl(out: &mut Vec<u8>, names: &[&str], rows: &[Vec<Cell>]) {
    for row in rows {
        for (i, (name, cell)) in names.iter().zip(row).enumerate() {
            out.extend_from_slice(if i == 0 { b"{\"" } else { b",\"" });
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            let value = match cell {
                Cell::Text(text) => serde_json::to_string(text),
                Cell::Whole(number) => serde_json::to_string(number),
                Cell::Exact(number) => Ok(number.clone()),
                Cell::Json(value) => serde_json::to_string(value),
            };
            // Texts and numbers always make JSON.
            out.extend_from_slice(value.as_deref().unwrap_or("null").as_bytes());
        }
        out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_sees_text_and_a_parser_the_same_text() {
        let texts = ["=1+1", "+1", "-1", "@x", "\tx", "a,b", "a \"b\"", "two\r\nlines", "模型", ""];
        let row: Vec<Cell> =
            texts.iter().map(|t| text(*t)).chain([Cell::Whole(Some(-1)), Cell::Text(None)]).collect();
        let mut out = Vec::new();
        write_csv(&mut out, &[row]);
        let out = String::from_utf8(out).unwrap();
        assert!(out.ends_with("\r\n"));
        let expected =
            ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "a,b", "a \"b\"", "two\r\nlines", "模型", "", "-1", ""];
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(out.as_bytes());
        let read = reader.records().next().unwrap().unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), expected);
    }
}
