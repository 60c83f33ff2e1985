//! Transcripts in OpenClaw's databases: since 2026.8 one per agent, a row per event.
//!
//! What changed is asked cheaply: one step of an index per session gives its last row, and OpenClaw itself notes in
//! `transcript_rewrite_watermarks` when it rewrote rows that were there. Everything else of a session is appended.
//!
//! Each question here is short (see [`Page`]) and is asked within a read transaction of its own.

use std::path::{Path, PathBuf};

use protocol::UsageTrigger;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};

use super::event::{self, Event, Turn};
use super::trigger::{self, Class, Prompt};

/// The longest event that is read. OpenClaw itself compresses none beyond 4 MiB.
pub(super) const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;
/// What is read in one transaction.
const PAGE_EVENTS: usize = 500;
const PAGE_BYTES: usize = 1024 * 1024;
/// Sessions in one answer.
const LISTED: usize = 500;

/// A session, and what tells whether it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) session: String,
    pub(super) last_seq: i64,
    /// Another one when rows were rewritten.
    pub(super) generation: i64,
    /// When it was last written; 0 if OpenClaw does not say.
    pub(super) updated: i64,
}

/// A session to be read on from a row.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) listed: Listed,
    /// The last row that has been read, -1 for none.
    pub(super) after: i64,
    /// Who spoke last before it.
    pub(super) prompt: Prompt,
}

/// What was read of one session.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) turns: Vec<Counted>,
    pub(super) class: Class,
    /// The last row read.
    pub(super) seq: i64,
    pub(super) prompt: Prompt,
    /// That it was read to its end.
    pub(super) is_end: bool,
    /// Why something in it could not be read.
    pub(super) trouble: Option<&'static str>,
}

/// A turn, and to whom it belongs.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) turn: Box<Turn>,
    pub(super) cause: UsageTrigger,
    /// The agent, if not the one whose database it is.
    pub(super) agent: Option<String>,
}

/// What was read in one transaction: of the first sessions wanted, in their order.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) parts: Vec<Part>,
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// A deleted or reset session that OpenClaw keeps in the database, too.
#[derive(Debug)]
pub(super) struct Archived {
    /// What its file is called.
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) is_compressed: bool,
    pub(super) contents: Contents,
}

/// Where the contents of an archive are.
#[derive(Debug)]
pub(super) enum Contents {
    /// In the file of its name.
    InFile,
    /// Only in the database: here.
    Here(Vec<u8>),
    /// Only in the database, and too long to be held in memory.
    TooLong,
}

/// The agents and the paths of their databases, from OpenClaw's global database.
pub(super) fn agents(db: &Connection, state_dir: &Path) -> rusqlite::Result<Vec<(String, PathBuf)>> {
    if columns(db, "agent_databases")?.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows =
        db.prepare("SELECT agent_id, path FROM agent_databases ORDER BY agent_id, path LIMIT 1000")?;
    rows.query_map([], |row| Ok((row.get::<_, String>(0)?, state_dir.join(row.get::<_, String>(1)?))))?
        .collect()
}

/// The next sessions after the one called `after`, at most [`LISTED`].
pub(super) fn list(db: &Connection, after: &str) -> rusqlite::Result<Vec<Listed>> {
    // Damage to the sessions' records must not cost their events.
    list_with(db, after, true).or_else(|_| list_with(db, after, false))
}

fn list_with(db: &Connection, after: &str, has_records: bool) -> rusqlite::Result<Vec<Listed>> {
    if columns(db, "transcript_events")?.is_empty() {
        return Ok(Vec::new());
    }
    let mut generation = "NULL";
    for (table, sql) in [
        (
            "transcript_rewrite_watermarks",
            "(SELECT generation FROM transcript_rewrite_watermarks w WHERE w.session_id = s.id)",
        ),
        // What it was called before.
        (
            "session_transcript_generations",
            "(SELECT generation FROM session_transcript_generations w WHERE w.session_id = s.id)",
        ),
    ] {
        if has(&columns(db, table)?, &["session_id", "generation"]) {
            generation = sql;
            break;
        }
    }
    let mut updated = "NULL";
    if has_records && has(&columns(db, "session_windows")?, &["session_id", "transcript_updated_at"]) {
        updated = "(SELECT transcript_updated_at FROM session_windows w WHERE w.session_id = s.id)";
    }
    // From one session to the next through the primary key, without passing its rows.
    let mut rows = db.prepare(&format!(
        "WITH RECURSIVE s (id) AS (
           SELECT min(session_id) FROM transcript_events WHERE session_id > ?1
           UNION ALL
           SELECT (SELECT min(session_id) FROM transcript_events WHERE session_id > s.id) FROM s WHERE s.id IS NOT NULL
         )
         SELECT s.id, (SELECT max(seq) FROM transcript_events e WHERE e.session_id = s.id), {generation},
                {updated}
         FROM s WHERE s.id IS NOT NULL LIMIT {LISTED}"
    ))?;
    rows.query_map([after], |row| {
        let generation = match row.get_ref(2)? {
            ValueRef::Null => 0,
            ValueRef::Integer(n) => n,
            other => event::hash(&[other.as_bytes().unwrap_or_default()]),
        };
        let updated = row.get::<_, Option<i64>>(3)?.unwrap_or(0);
        Ok(Listed { session: row.get(0)?, last_seq: row.get(1)?, generation, updated })
    })?
    .collect()
}

/// What kind the sessions are that OpenClaw moved out into cold archives: their records stay here.
pub(super) fn cold(db: &Connection) -> rusqlite::Result<Vec<(String, Class)>> {
    if !has(&columns(db, "session_transcript_cold_archives")?, &["session_id"]) {
        return Ok(Vec::new());
    }
    let columns = Columns::of(db)?;
    let mut rows = db.prepare("SELECT session_id FROM session_transcript_cold_archives LIMIT 10000")?;
    let sessions: Vec<String> = rows.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let classes = sessions.into_iter().map(|session| Ok((columns.origin(db, &session)?.class, session)));
    classes.map(|found| found.map(|(class, session)| (session, class))).collect()
}

/// Reads the sessions that are wanted, in their order, until the page is full.
///
/// An error in the first of them is returned; one in another ends the page, and then is the first's of the next.
pub(super) fn read(
    db: &Connection,
    wanted: &[Wanted],
    most: usize,
    unpack: &mut Unpack,
) -> rusqlite::Result<Page> {
    let columns = Columns::of(db)?;
    let mut page = Page::default();
    for wanted in wanted {
        let left = PAGE_EVENTS.min(most).saturating_sub(page.events);
        if left == 0 || page.bytes >= PAGE_BYTES {
            break;
        }
        match read_session(db, &columns, wanted, left, &mut page, unpack) {
            Ok(part) => {
                let is_end = part.is_end;
                page.parts.push(part);
                if !is_end {
                    break;
                }
            }
            Err(error) if page.parts.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(page)
}

fn read_session(
    db: &Connection,
    columns: &Columns,
    wanted: &Wanted,
    most: usize,
    page: &mut Page,
    unpack: &mut Unpack,
) -> rusqlite::Result<Part> {
    let session = &wanted.listed.session;
    // Without it the turns still count, for a cause that is not known.
    let (origin, trouble) = match columns.origin(db, session) {
        Ok(origin) => (origin, None),
        Err(_) => (Origin::default(), Some("what a session was for cannot be read")),
    };
    let mut part = Part {
        turns: Vec::new(),
        class: origin.class,
        seq: wanted.after,
        prompt: wanted.prompt,
        is_end: false,
        trouble,
    };
    let mut rows = db.prepare_cached(&columns.events)?;
    let mut rows = rows.query((session, wanted.after))?;
    let mut events = 0;
    loop {
        if events >= most || page.bytes >= PAGE_BYTES {
            return Ok(part);
        }
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            // What came before it counts. The next page begins with it, and says so.
            Err(_) if events > 0 => return Ok(part),
            Err(error) => return Err(error),
        };
        events += 1;
        page.events += 1;
        part.seq = row.get(0)?;
        let written: Option<i64> = row.get(4)?;
        let (json, packed) = (row.get_ref(1)?, row.get_ref(2)?);
        let json = match (json, packed) {
            (ValueRef::Text(json) | ValueRef::Blob(json), _) => json,
            (_, ValueRef::Blob(packed)) => {
                if let ValueRef::Text(navigation) = row.get_ref(3)?
                    && event::is_no_matter(navigation)
                {
                    continue;
                }
                match unpack.event(packed) {
                    Ok(json) => json,
                    Err(Packed) => {
                        part.trouble = Some("a compressed event cannot be unpacked");
                        continue;
                    }
                }
            }
            _ => {
                part.trouble = Some("an event is too long");
                continue;
            }
        };
        page.bytes += json.len();
        match event::parse(json, session, written) {
            Ok(Event::Other) => {}
            Ok(Event::Said(prompt)) => part.prompt = prompt,
            Ok(Event::Turn(turn)) => part.turns.push(origin.counted(turn, part.prompt)),
            Err(event::Broken) => part.trouble = Some("an event is not JSON"),
        }
    }
    part.is_end = true;
    Ok(part)
}

/// What OpenClaw says of a session.
#[derive(Debug, Default)]
struct Origin {
    class: Class,
    /// When it began, and the class and agent of the session that what is older was copied from.
    began: i64,
    copied_from: Option<(Class, Option<String>)>,
}

impl Origin {
    /// A fork begins with copies of another session's events. They belong where they happened, whichever is read first.
    fn counted(&self, turn: Box<Turn>, prompt: Prompt) -> Counted {
        let (class, agent) = match &self.copied_from {
            Some((class, agent)) if turn.at < self.began => (*class, agent.clone()),
            _ => (self.class, None),
        };
        Counted { cause: trigger::trigger(class, prompt), turn, agent }
    }
}

/// The questions, as this version of OpenClaw's tables allows them.
struct Columns {
    events: String,
    origin: Option<String>,
}

impl Columns {
    fn of(db: &Connection) -> rusqlite::Result<Self> {
        let found = columns(db, "transcript_events")?;
        let optional = |name: &'static str| if has(&found, &[name]) { name } else { "NULL" };
        let events = format!(
            "SELECT seq, CASE WHEN octet_length(event_json) <= {MAX_EVENT_BYTES} THEN event_json END,
                    CASE WHEN octet_length({packed}) <= {MAX_EVENT_BYTES} THEN {packed} END, {}, {}
             FROM transcript_events WHERE session_id = ?1 AND seq > ?2 ORDER BY seq",
            optional("navigation_json"),
            optional("created_at"),
            packed = optional("event_zstd"),
        );
        Ok(Self { events, origin: Self::origin_sql(db)? })
    }

    fn origin_sql(db: &Connection) -> rusqlite::Result<Option<String>> {
        // The second is what the table was called before.
        for table in ["session_windows", "sessions"] {
            let window = columns(db, table)?;
            if !has(&window, &["session_id", "session_key"]) {
                continue;
            }
            let nodes = columns(db, "session_nodes")?;
            let joined = has(&nodes, &["session_key"]);
            let of = |found: &[String], alias: char, name: &str| {
                if found.iter().any(|column| column == name) {
                    format!("{alias}.{name}")
                } else {
                    "NULL".to_owned()
                }
            };
            let w = |name| of(&window, 'w', name);
            let n = |name| of(if joined { &nodes } else { &[] }, 'n', name);
            let join = if joined { "LEFT JOIN session_nodes n ON n.session_key = w.session_key" } else { "" };
            return Ok(Some(format!(
                "SELECT w.session_key, {}, coalesce({}, {}), {}, {}, coalesce({}, {}, {})
                 FROM {table} w {join} WHERE w.session_id = ?1",
                n("created_via"),
                w("spawned_by"),
                n("spawned_by"),
                w("hook_external_content_source"),
                w("created_at"),
                n("fork_source_session_key"),
                w("parent_session_key"),
                n("parent_session_key"),
            )));
        }
        Ok(None)
    }

    fn origin(&self, db: &Connection, session: &str) -> rusqlite::Result<Origin> {
        let Some(sql) = &self.origin else { return Ok(Origin::default()) };
        let found = db
            .prepare_cached(sql)?
            .query_row([session], |row| {
                let text = |at| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
                let (key, created_via, spawned_by, hook) = (text(0)?, text(1)?, text(2)?, text(3)?);
                let session = trigger::Session {
                    key: &key,
                    created_via: &created_via,
                    spawned_by: &spawned_by,
                    hook: &hook,
                };
                let parent = text(5)?;
                let parent = if parent.is_empty() { &spawned_by } else { &parent };
                let copied_from = (!parent.is_empty()).then(|| {
                    let class =
                        trigger::class(trigger::Session { key: parent, ..trigger::Session::default() });
                    (class, trigger::agent_of(parent).map(str::to_owned))
                });
                Ok(Origin {
                    class: trigger::class(session),
                    began: row.get::<_, Option<i64>>(4)?.unwrap_or(0),
                    copied_from,
                })
            })
            .optional()?;
        Ok(found.unwrap_or_default())
    }
}

/// The next archives that OpenClaw keeps in the database, by session and generation.
///
/// Nothing else is asked for here: the index has these, while the columns behind the contents are found only by passing those.
pub(super) fn archives(db: &Connection, after: &(String, String)) -> rusqlite::Result<Vec<(String, String)>> {
    let needed = ["session_id", "generation", "session_key", "encoding", "archive_blob", "archive_name"];
    if !has(&columns(db, "session_transcript_archives")?, &needed) {
        return Ok(Vec::new());
    }
    let mut rows = db.prepare(&format!(
        "SELECT session_id, generation FROM session_transcript_archives
         WHERE (session_id, generation) > (?1, ?2) ORDER BY session_id, generation LIMIT {LISTED}"
    ))?;
    rows.query_map([&after.0, &after.1], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// One of them; its contents only if they are not in `folder`.
pub(super) fn archive(
    db: &Connection,
    session: &str,
    generation: &str,
    longest: i64,
    folder: &Path,
) -> rusqlite::Result<Option<Archived>> {
    let which = "FROM session_transcript_archives WHERE session_id = ?1 AND generation = ?2";
    let found = db
        .query_row(
            &format!(
                "SELECT archive_name, session_key, encoding = 'zstd', octet_length(archive_blob) {which}"
            ),
            [session, generation],
            |row| {
                let key: String = row.get(1)?;
                let class = trigger::class(trigger::Session { key: &key, ..trigger::Session::default() });
                let bytes = row.get::<_, Option<i64>>(3)?.unwrap_or(0);
                let contents = if bytes > longest { Contents::TooLong } else { Contents::Here(Vec::new()) };
                Ok(Archived { name: row.get(0)?, class, is_compressed: row.get(2)?, contents })
            },
        )
        .optional()?;
    let Some(mut archived) = found else { return Ok(None) };
    if folder.join(&archived.name).is_file() {
        archived.contents = Contents::InFile;
    } else if let Contents::Here(bytes) = &mut archived.contents {
        let blob: Option<Vec<u8>> =
            db.query_row(&format!("SELECT archive_blob {which}"), [session, generation], |row| row.get(0))?;
        *bytes = blob.unwrap_or_default();
    }
    Ok(Some(archived))
}

/// Unpacks events, one after another into the same memory.
pub(super) struct Unpack {
    decoder: Option<zstd::bulk::Decompressor<'static>>,
    buffer: Vec<u8>,
}

/// A compressed event that cannot be unpacked, or is too long.
#[derive(Debug)]
struct Packed;

impl Unpack {
    pub(super) fn new() -> Self {
        Self { decoder: None, buffer: Vec::new() }
    }

    fn event(&mut self, packed: &[u8]) -> Result<&[u8], Packed> {
        // The length stands at the front of what zstd writes in one go; a frame without it is tried with all there may be.
        let length = zstd::zstd_safe::get_frame_content_size(packed).map_err(|_| Packed)?;
        let length = match length {
            Some(length) => usize::try_from(length).map_err(|_| Packed)?,
            None => MAX_EVENT_BYTES,
        };
        if length > MAX_EVENT_BYTES {
            return Err(Packed);
        }
        self.buffer.clear();
        self.buffer.reserve(length);
        if self.decoder.is_none() {
            self.decoder = zstd::bulk::Decompressor::new().ok();
        }
        let decoder = self.decoder.as_mut().ok_or(Packed)?;
        decoder.decompress_to_buffer(packed, &mut self.buffer).map_err(|_| Packed)?;
        Ok(&self.buffer)
    }

    /// Gives back what a long event took.
    pub(super) fn rest(&mut self) {
        if self.buffer.capacity() > PAGE_BYTES {
            self.buffer = Vec::new();
        }
    }
}

/// The columns of a table; none if there is no such table.
fn columns(db: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut names = db.prepare_cached("SELECT name FROM pragma_table_info(?1)")?;
    names.query_map([table], |row| row.get(0))?.collect()
}

fn has(columns: &[String], names: &[&str]) -> bool {
    names.iter().all(|name| columns.iter().any(|column| column == name))
}
