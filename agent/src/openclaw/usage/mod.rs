//! What OpenClaw's models cost: every token that its transcripts tell of, counted once.
//!
//! # How it is counted
//!
//! OpenClaw writes down the usage of each answer with the answer: until 2026.7 on a line of a file, since then in a row of a
//! database, compressed if it is long, and in files again when a session is deleted, reset or put away. Forks, rewinds and
//! migrations copy answers. So each answer has a key that its copies share ([`event`]), and the ledger's file ([`book`]) keeps
//! all keys it has added. Whatever is read twice counts once, which makes everything else here simple: when in doubt, read again.
//!
//! That also answers OpenClaw's own rule, to skip a file whose session is in the database. It is not followed: a file can hold
//! what an import left out or what an older version wrote after a downgrade, and reading it costs time, never a wrong count.
//!
//! What is in the ledger stays, though OpenClaw prunes its archives after some days.
//!
//! # How it is read
//!
//! [`Ledger::scan`] looks at size and time of each file, and reads only where they changed, from where it stopped, so much as
//! its [`Budget`] allows. Nothing of OpenClaw is locked for longer than a page of a few hundred rows takes.
//!
//! What cannot be read is said once and costs only itself.

mod book;
mod databases;
mod event;
mod transcripts;
mod trigger;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use protocol::{SpoolId, Timestamp, UsageRow, limits};
use tracing::warn;

#[cfg(test)]
pub(crate) use self::event::Counts;

use self::book::{Book, Cursor, Source, Stat, State};
use self::databases::{Contents, Listed, Unpack, Wanted};
use self::event::{Broken, Cold, Event};
use self::transcripts::{Form, Line, Lines};
use self::trigger::{Class, Prompt};
use super::{Home, sqlite};

/// How many events are read between two commits: enough that the random keys of many share the pages they stand on.
const COMMIT_EVENTS: usize = 10_000;
/// Bytes that cost as much of a budget as an event.
const EVENT_BYTES: usize = 16 * 1024;
/// One scan in so many asks each database for changes even if its file seems to be as it was.
const THOROUGH: u32 = 64;
/// Largest archive within a database that is read; it is in memory as a whole.
const MAX_BLOB_BYTES: i64 = 8 * 1024 * 1024;

/// What the agent has counted: its own memory of every token, kept in the state folder.
pub(crate) struct Ledger {
    book: Book,
    scans: u32,
    /// What has been said, by file, so that it is said once.
    said: Said,
    /// The databases that each home's global database names, and what that looked like then.
    agents: HashMap<PathBuf, (Stat, Agents)>,
}

/// What has been said of each file, by a hash of its path.
type Said = HashMap<i64, BTreeSet<String>>;

/// Agents and the paths of their databases.
type Agents = Vec<(String, PathBuf)>;

/// How much a scan may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Stop after about so many events.
    pub(crate) events: usize,
}

/// What a scan did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// That all there is has been read.
    pub(crate) done: bool,
    /// Events looked at in this scan.
    pub(crate) events: u64,
    /// How much of all there is has been read, roughly: 100 only when done.
    pub(crate) pct: u8,
    /// What could not be read, and has not been said before.
    pub(crate) trouble: Vec<Trouble>,
}

/// Something that could not be read, and is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The name of the home it belongs to; empty if it is the ledger itself.
    pub(crate) home: String,
    /// The file.
    pub(crate) file: PathBuf,
    /// Why, in words for a person.
    pub(crate) why: String,
}

impl Ledger {
    /// Opens the ledger's file. One that is damaged or not ours is moved aside and a new ledger begins, which is said in the
    /// log. Where no file can be written, the ledger is in memory.
    pub(crate) fn open(path: Option<&Path>, now: Timestamp) -> Self {
        Self { book: Book::open(path, now), scans: 0, said: HashMap::new(), agents: HashMap::new() }
    }

    /// The name of this ledger, made once when it began.
    pub(crate) fn id(&self) -> SpoolId {
        self.book.id()
    }

    /// Reads what is new in these homes, so much as `budget` allows. Where nothing changed it looks at names and times only.
    pub(crate) fn scan(&mut self, homes: &[Home], budget: Budget) -> Progress {
        let mut scan = Scan {
            book: &mut self.book,
            said: &mut self.said,
            agents: &mut self.agents,
            left: budget.events,
            is_thorough: self.scans.is_multiple_of(THOROUGH),
            events: 0,
            total: 0,
            read: 0,
            done: true,
            trouble: Vec::new(),
            unpack: Unpack::new(),
        };
        self.scans = self.scans.wrapping_add(1);
        let kept = scan.all(homes);
        let Scan { events, total, read, mut done, mut trouble, .. } = scan;
        let key = event::hash(&[b"the ledger"]);
        match kept {
            Ok(()) => drop(self.said.remove(&key)),
            Err(error) => {
                self.book.roll_back();
                done = false;
                let why = format!("the token ledger cannot be written: {error}");
                if self.said.entry(key).or_default().insert(why.clone()) {
                    trouble.push(Trouble { home: String::new(), file: PathBuf::new(), why });
                }
            }
        }
        let pct = if done { 100 } else { (read.saturating_mul(100) / total.max(1)).min(99) };
        Progress { done, events, pct: u8::try_from(pct).unwrap_or(99), trouble }
    }

    /// Rows whose totals changed since they were last marked, at most `limit`. The newest come first: after a first scan of a
    /// year, today is what somebody waits for.
    pub(crate) fn changed(&self, limit: usize) -> Vec<UsageRow> {
        self.or_said(self.book.changed(limit))
    }

    /// They are in the spool, on the disk. A row that changed meanwhile stays marked as changed.
    pub(crate) fn mark_spooled(&mut self, rows: &[UsageRow]) {
        let marked = self.book.mark_spooled(rows);
        self.or_said(marked);
    }

    /// The spool lost something: everything is to be sent again.
    pub(crate) fn mark_all_changed(&mut self) {
        let marked = self.book.mark_all_changed();
        self.or_said(marked);
    }

    /// All rows, oldest first.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> Vec<UsageRow> {
        self.or_said(self.book.all())
    }

    /// Exact totals of all time, by provider and model.
    #[cfg(test)]
    pub(crate) fn totals(&self) -> BTreeMap<(String, String), Counts> {
        self.or_said(self.book.totals())
    }

    /// A ledger that fails here is asked again in a moment; what was not marked is sent twice, which does no harm.
    fn or_said<T: Default>(&self, result: rusqlite::Result<T>) -> T {
        result.unwrap_or_else(|error| {
            warn!(ledger = %self.id(), %error, "the token ledger cannot be used");
            T::default()
        })
    }
}

/// A scan while it runs.
struct Scan<'a> {
    book: &'a mut Book,
    said: &'a mut Said,
    agents: &'a mut HashMap<PathBuf, (Stat, Agents)>,
    /// What is left of the budget.
    left: usize,
    is_thorough: bool,
    events: u64,
    /// Of all sources and of what is read of them, in bytes, roughly.
    total: u64,
    read: u64,
    done: bool,
    trouble: Vec<Trouble>,
    unpack: Unpack,
}

/// Whose events they are: the home, and the name of the agent in the rows.
#[derive(Debug, Clone, Copy)]
struct Of<'a> {
    home: &'a Home,
    agent: &'a str,
}

impl Of<'_> {
    fn named(&self, agent: &str) -> String {
        let agent = if agent.is_empty() { "unknown" } else { agent };
        let name = if self.home.name == "default" {
            agent.to_owned()
        } else {
            format!("{}:{agent}", self.home.name)
        };
        name.chars().take(limits::MAX_TEXT_CHARS).collect()
    }

    fn name(&self) -> String {
        self.named(self.agent)
    }
}

impl Scan<'_> {
    /// An error is one of the ledger's own file; those of OpenClaw's are trouble.
    fn all(&mut self, homes: &[Home]) -> rusqlite::Result<()> {
        self.book.begin()?;
        for home in homes {
            self.home(home)?;
        }
        self.book.commit()
    }

    fn home(&mut self, home: &Home) -> rusqlite::Result<()> {
        let mut databases = BTreeMap::new();
        let mut folders = BTreeMap::new();
        let agents = home.state_dir.join("agents");
        self.each_entry(home, &agents, |_, name| {
            // A name that is no text is shown with what can be shown of it; the folder is found by the name as it is.
            let agent = name.to_string_lossy().into_owned();
            let folder = agents.join(name);
            databases.insert(real(&folder.join("agent").join("openclaw-agent.sqlite")), agent.clone());
            folders.insert(real(&folder.join("sessions")), agent);
            Ok(())
        })?;
        // The list comes second, so that it is right where the two differ.
        for (agent, path) in self.listed_agents(home) {
            if let Some(folder) = archives_beside(&path) {
                folders.insert(real(&folder), agent.clone());
            }
            databases.insert(real(&path), agent);
        }
        for (path, agent) in &databases {
            self.database(Of { home, agent }, path)?;
        }
        for (path, agent) in &folders {
            self.folder(Of { home, agent }, path)?;
        }
        Ok(())
    }

    /// What OpenClaw says its agents' databases are.
    fn listed_agents(&mut self, home: &Home) -> Agents {
        let path = home.state_dir.join("state").join("openclaw.sqlite");
        let Some(stat) = stat_database(&path) else { return Vec::new() };
        if let Some((known, agents)) = self.agents.get(&home.state_dir)
            && *known == stat
        {
            return agents.clone();
        }
        match sqlite::read(&path, |db| databases::agents(db, &home.state_dir)) {
            Ok(agents) => {
                self.well(&path);
                self.agents.insert(home.state_dir.clone(), (stat, agents.clone()));
                agents
            }
            Err(error) => {
                self.say(home, &path, explain(&error));
                // What it said before is better than nothing.
                self.agents.get(&home.state_dir).map(|(_, agents)| agents.clone()).unwrap_or_default()
            }
        }
    }

    fn database(&mut self, of: Of<'_>, path: &Path) -> rusqlite::Result<()> {
        let Some(stat) = stat_database(path) else { return Ok(()) };
        let id = event::hash(&[b"database", path.as_os_str().as_encoded_bytes()]);
        let known = self.book.source(id)?;
        let size = u64::try_from(stat.size + stat.log_size).unwrap_or(0);
        self.total += size;
        if known.stat == stat && known.state == State::Settled && !self.is_thorough {
            self.read += size;
            return Ok(());
        }
        if self.left == 0 {
            self.done = false;
            // One that has been read before is nearly all read.
            self.read += if known.state == State::Part { 0 } else { size };
            return Ok(());
        }
        let mut seen = Seen { complete: true, ..Seen::default() };
        let mut after = String::new();
        loop {
            let listed = match sqlite::read(path, |db| databases::list(db, &after)) {
                Ok(listed) => listed,
                Err(error) => {
                    self.say(of.home, path, explain(&error));
                    // Not done, but nothing to wait for either.
                    return Ok(());
                }
            };
            let Some(last) = listed.last() else { break };
            after.clone_from(&last.session);
            self.sessions(of, path, id, listed, &mut seen)?;
        }
        match sqlite::read(path, databases::cold) {
            Ok(cold) => {
                for (session, class) in cold {
                    self.book.set_class(session_id(&session), class)?;
                }
            }
            Err(error) => self.say(of.home, path, explain(&error)),
        }
        if seen.complete {
            seen.complete = self.kept_archives(of, path, id)?;
        }
        if seen.complete {
            self.read += size;
            // A session that could not be read is tried again and again: it may have been a lock.
            if !seen.is_missing {
                let state = if known.stat == stat { State::Settled } else { State::Fresh };
                self.book.set_source(id, &Source { stat, state, ..Source::default() })?;
                if !seen.is_damaged {
                    self.well(path);
                }
            }
        } else {
            self.done = false;
            self.read += seen.part(size);
        }
        Ok(())
    }

    /// Reads those of the sessions that changed.
    fn sessions(
        &mut self,
        of: Of<'_>,
        path: &Path,
        source: i64,
        listed: Vec<Listed>,
        seen: &mut Seen,
    ) -> rusqlite::Result<()> {
        let mut wanted = Vec::new();
        for listed in listed {
            let cursor = self.book.cursor(source, session_id(&listed.session))?;
            let rows = u64::try_from(listed.last_seq.saturating_add(1)).unwrap_or(0);
            seen.rows += rows;
            let is_grown = |cursor: &Cursor| {
                cursor.generation == listed.generation
                    && (cursor.seq < listed.last_seq
                        || (cursor.seq == listed.last_seq && cursor.updated == listed.updated))
            };
            match cursor.filter(is_grown) {
                Some(cursor) => {
                    seen.read += u64::try_from(cursor.seq.saturating_add(1)).unwrap_or(0);
                    if cursor.seq < listed.last_seq {
                        wanted.push(Wanted { after: cursor.seq, prompt: cursor.prompt, listed });
                    }
                }
                // Rows that were there have been written anew: all of it again.
                None => wanted.push(Wanted { after: -1, prompt: Prompt::None, listed }),
            }
        }
        let mut at = 0;
        while let Some(next) = wanted.get_mut(at..).filter(|next| !next.is_empty()) {
            if self.left == 0 {
                seen.complete = false;
                return Ok(());
            }
            let (most, unpack) = (self.left, &mut self.unpack);
            let page = match sqlite::read(path, |db| databases::read(db, next, most, unpack)) {
                Ok(page) => page,
                Err(error) => {
                    // The rest of the database may be sound.
                    self.say(of.home, path, explain(&error));
                    seen.is_missing = true;
                    at += 1;
                    continue;
                }
            };
            self.spend(page.events, page.bytes);
            let mut ended = 0;
            let name = of.name();
            for (part, wanted) in page.parts.into_iter().zip(next.iter_mut()) {
                let session = session_id(&wanted.listed.session);
                for counted in &part.turns {
                    let copied = counted.agent.as_deref().map(|agent| of.named(agent));
                    self.book.add(&counted.turn, copied.as_deref().unwrap_or(&name), counted.cause)?;
                }
                if let Some(why) = part.trouble {
                    say(&mut self.trouble, self.said, of.home, path, why.to_owned());
                    seen.is_damaged = true;
                }
                seen.read += u64::try_from(part.seq - wanted.after).unwrap_or(0);
                // At the end by what was listed: what came since is another change.
                let seq = if part.is_end { part.seq.max(wanted.listed.last_seq) } else { part.seq };
                let Listed { generation, updated, .. } = wanted.listed;
                let cursor = Cursor { seq, generation, updated, prompt: part.prompt };
                self.book.set_cursor(source, session, cursor)?;
                self.book.set_class(session, part.class)?;
                wanted.after = seq;
                wanted.prompt = part.prompt;
                if part.is_end {
                    ended += 1;
                }
            }
            at += ended;
            self.book.keep(COMMIT_EVENTS)?;
        }
        Ok(())
    }

    /// Archives that are in the database and not, or no more, in a file. Says whether all have been read.
    fn kept_archives(&mut self, of: Of<'_>, path: &Path, source: i64) -> rusqlite::Result<bool> {
        let folder = archives_beside(path).unwrap_or_default();
        let mut after = (String::new(), String::new());
        loop {
            let listed = match sqlite::read(path, |db| databases::archives(db, &after)) {
                Ok(listed) => listed,
                Err(error) => {
                    self.say(of.home, path, explain(&error));
                    return Ok(true);
                }
            };
            let Some(last) = listed.last() else { return Ok(true) };
            after.clone_from(last);
            for (session, generation) in listed {
                let id =
                    event::hash(&[b"kept", &source.to_le_bytes(), session.as_bytes(), generation.as_bytes()]);
                let mut known = self.book.source(id)?;
                if known.state == State::Part
                    && !self.kept_archive(of, path, &folder, &session, &generation, id, &mut known)?
                {
                    return Ok(false);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a part of the function above")]
    fn kept_archive(
        &mut self,
        of: Of<'_>,
        path: &Path,
        folder: &Path,
        session: &str,
        generation: &str,
        id: i64,
        known: &mut Source,
    ) -> rusqlite::Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        let read =
            |db: &rusqlite::Connection| databases::archive(db, session, generation, MAX_BLOB_BYTES, folder);
        let archived = match sqlite::read(path, read) {
            Ok(Some(archived)) => archived,
            Ok(None) => return Ok(true),
            Err(error) => {
                self.say(of.home, path, explain(&error));
                return Ok(true);
            }
        };
        self.book.set_class(session_id(session), archived.class)?;
        let name = folder.join(&archived.name);
        match archived.contents {
            Contents::InFile => {
                // Once that has been read, there is nothing more to do here.
                if self.book.source(file_id(&real(&name)))?.state != State::Part {
                    known.state = State::Settled;
                    self.book.set_source(id, known)?;
                }
                return Ok(true);
            }
            Contents::TooLong => {
                self.say(of.home, &name, "an archive in the database is too long".to_owned());
            }
            Contents::Here(bytes) => {
                let lines = Lines::of(&bytes, archived.is_compressed, offset_of(known));
                let told = Told { of, path: &name, id, form: Form::Closed, session };
                if !self.lines(&told, lines, known)? {
                    return Ok(false);
                }
            }
        }
        known.state = State::Settled;
        self.book.set_source(id, known)?;
        Ok(true)
    }

    /// A folder of transcripts.
    fn folder(&mut self, of: Of<'_>, folder: &Path) -> rusqlite::Result<()> {
        let mut classes = Classes { path: folder.join("sessions.json"), is_read: false };
        self.each_entry(of.home, folder, |scan, name| match name.to_str().and_then(transcripts::form) {
            Some((form, session)) => scan.file(of, &folder.join(name), form, session, &mut classes),
            None => Ok(()),
        })?;
        let cold = folder.join("cold");
        self.each_entry(of.home, &cold, |scan, name| match name.to_str() {
            Some(text) if transcripts::is_cold(text) => {
                let mut classes = Classes { path: PathBuf::new(), is_read: true };
                scan.file(of, &cold.join(name), Form::Cold, "", &mut classes)
            }
            _ => Ok(()),
        })
    }

    fn file(
        &mut self,
        of: Of<'_>,
        path: &Path,
        form: Form,
        session: &str,
        classes: &mut Classes,
    ) -> rusqlite::Result<()> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.say(of.home, path, error.to_string());
                return Ok(());
            }
            _ => return Ok(()),
        };
        let (size, modified) = stat_of(&metadata);
        let stat = Stat { size, modified, ..Stat::default() };
        let id = file_id(path);
        let mut known = self.book.source(id)?;
        let size = metadata.len();
        self.total += size;
        if known.stat == stat && known.state != State::Part {
            self.read += size;
            return Ok(());
        }
        if self.left == 0 {
            self.done = false;
            self.read += part(known.offset, size);
            return Ok(());
        }
        if known.stat != stat && !is_same(path, form, &known, size) {
            known = Source::default();
        }
        known.stat = stat;
        if form != Form::Cold && self.book.class(session_id(session))? == Class::Unknown {
            self.classes(of, classes)?;
        }
        let lines = Lines::open(path, form, u64::try_from(known.offset).unwrap_or(0));
        let told = Told { of, path, id, form, session };
        if self.lines(&told, lines, &mut known)? {
            self.read += size;
        } else {
            self.done = false;
            self.read += part(known.offset, size);
        }
        Ok(())
    }

    /// Reads lines until their end or that of the budget, and notes how far. Says whether it was their end.
    fn lines(
        &mut self,
        told: &Told<'_>,
        lines: io::Result<Lines<'_>>,
        known: &mut Source,
    ) -> rusqlite::Result<bool> {
        let mut trouble = None;
        let ended = match lines {
            Ok(mut lines) => self.each_line(told, &mut lines, known, &mut trouble)?,
            Err(error) => {
                trouble = Some(error.to_string());
                // A file that cannot be opened may be open to us tomorrow, and looks the same then.
                known.state = State::Part;
                self.say_or_well(told, trouble);
                return Ok(true);
            }
        };
        if ended {
            known.state = State::Settled;
        } else {
            known.state = State::Part;
        }
        if told.form == Form::Live {
            known.anchor =
                transcripts::anchor(told.path, u64::try_from(known.offset).unwrap_or(0)).unwrap_or(0);
        }
        self.book.set_source(told.id, known)?;
        if ended || trouble.is_some() {
            self.say_or_well(told, trouble);
        }
        self.book.keep(COMMIT_EVENTS)?;
        Ok(ended)
    }

    fn each_line(
        &mut self,
        told: &Told<'_>,
        lines: &mut Lines<'_>,
        known: &mut Source,
        trouble: &mut Option<String>,
    ) -> rusqlite::Result<bool> {
        let name = told.of.name();
        let mut session = told.session.to_owned();
        let mut class = self.book.class(session_id(&session))?;
        // The header of a cold archive tells whose it is, and was passed when reading goes on.
        let passed = known.offset > 0 && told.form == Form::Cold;
        if passed && let Some(header) = cold_session(told.path) {
            class = self.book.class(session_id(&header))?;
            session = header;
        }
        let mut blank = 0;
        loop {
            if self.left == 0 {
                return Ok(false);
            }
            let (line, is_last) = match lines.next() {
                Ok(Line::Whole(line)) => (line, false),
                Ok(Line::Last(line)) => (line, true),
                Ok(Line::TooLong) => {
                    *trouble = Some("a line is too long".to_owned());
                    self.spend(1, transcripts_chunk(lines.offset, known.offset));
                    if lines.offset == offset_of(known) {
                        return Ok(true);
                    }
                    known.offset = i64::try_from(lines.offset).unwrap_or(i64::MAX);
                    continue;
                }
                Ok(Line::End) => return Ok(true),
                Err(error) => {
                    // What is behind the damage is lost; trying again would not help before the file changes.
                    *trouble = Some(format!("it cannot be read to its end: {error}"));
                    return Ok(true);
                }
            };
            let length = line.len();
            if line.iter().all(u8::is_ascii_whitespace) {
                // Endless nothing, which compresses so well, is work as well.
                blank += length + 1;
                if blank >= EVENT_BYTES {
                    self.spend(0, blank);
                    blank = 0;
                }
            } else {
                let event = if told.form == Form::Cold {
                    match event::parse_cold(line) {
                        Ok(Cold::Header(header)) => {
                            class = self.book.class(session_id(&header))?;
                            session = header.into_owned();
                            Ok(Event::Other)
                        }
                        Ok(Cold::Event(json, written)) => event::parse(json.as_bytes(), &session, written),
                        Ok(Cold::Other) => Ok(Event::Other),
                        Err(Broken) => Err(Broken),
                    }
                } else {
                    event::parse(line, &session, None)
                };
                match event {
                    Ok(Event::Turn(turn)) => {
                        let cause = trigger::trigger(class, known.prompt);
                        self.book.add(&turn, &name, cause)?;
                    }
                    // One without an end is read again, and then it is said.
                    Ok(Event::Said(prompt)) if !(is_last && told.form == Form::Live) => known.prompt = prompt,
                    Ok(_) => {}
                    // It is being written.
                    Err(Broken) if is_last && told.form == Form::Live => {}
                    Err(Broken) => *trouble = Some("a line is not JSON".to_owned()),
                }
                self.spend(1, length);
            }
            if is_last {
                return Ok(true);
            }
            known.offset = i64::try_from(lines.offset).unwrap_or(i64::MAX);
        }
    }

    /// Learns from `sessions.json` what kind of sessions there are, if it changed.
    fn classes(&mut self, of: Of<'_>, classes: &mut Classes) -> rusqlite::Result<()> {
        if classes.is_read {
            return Ok(());
        }
        classes.is_read = true;
        let Ok(metadata) = fs::metadata(&classes.path) else { return Ok(()) };
        let (size, modified) = stat_of(&metadata);
        let stat = Stat { size, modified, ..Stat::default() };
        let id = event::hash(&[b"classes", classes.path.as_os_str().as_encoded_bytes()]);
        if self.book.source(id)?.stat == stat || !metadata.is_file() {
            return Ok(());
        }
        let mut kept = Ok(());
        let read = transcripts::classes(&classes.path, |session, class| {
            if kept.is_ok() {
                kept = self.book.set_class(session_id(session), class);
            }
        });
        kept?;
        match read {
            Ok(()) => {
                self.well(&classes.path);
                self.book.set_source(id, &Source { stat, state: State::Settled, ..Source::default() })?;
            }
            // In the words of the parser, what it found would be quoted.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.say(
                    of.home,
                    &classes.path,
                    "it is not the list of sessions that is expected".to_owned(),
                );
            }
            Err(error) => self.say(of.home, &classes.path, error.to_string()),
        }
        Ok(())
    }

    fn spend(&mut self, events: usize, bytes: usize) {
        self.events += events as u64;
        self.left = self.left.saturating_sub(events + bytes / EVENT_BYTES);
        self.unpack.rest();
    }

    /// Passes the names in a folder, one after another: there can be a great many. One that is not there has none.
    fn each_entry(
        &mut self,
        home: &Home,
        folder: &Path,
        mut each: impl FnMut(&mut Self, &OsStr) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.say(home, folder, error.to_string());
                }
                return Ok(());
            }
        };
        for entry in entries {
            match entry {
                Ok(entry) => each(self, &entry.file_name())?,
                Err(error) => {
                    self.say(home, folder, error.to_string());
                    return Ok(());
                }
            }
        }
        self.well(folder);
        Ok(())
    }

    fn say(&mut self, home: &Home, file: &Path, why: String) {
        say(&mut self.trouble, self.said, home, file, why);
    }

    /// It can be read (again): should it fail another time, that is said.
    fn well(&mut self, file: &Path) {
        if !self.said.is_empty() {
            self.said.remove(&said_key(file));
        }
    }

    fn say_or_well(&mut self, told: &Told<'_>, trouble: Option<String>) {
        match trouble {
            Some(why) => self.say(told.of.home, told.path, why),
            None => self.well(told.path),
        }
    }
}

/// A transcript that is being read.
struct Told<'a> {
    of: Of<'a>,
    path: &'a Path,
    id: i64,
    form: Form,
    session: &'a str,
}

/// The list of a folder's sessions, which is read when it is needed.
struct Classes {
    path: PathBuf,
    is_read: bool,
}

/// How much of a database was seen.
#[derive(Debug, Default)]
struct Seen {
    complete: bool,
    /// That there were events which nobody can read.
    is_damaged: bool,
    /// That there were sessions which could not be read this time.
    is_missing: bool,
    rows: u64,
    read: u64,
}

impl Seen {
    /// As a part of its size.
    fn part(&self, size: u64) -> u64 {
        let part = u128::from(size) * u128::from(self.read.min(self.rows)) / u128::from(self.rows.max(1));
        u64::try_from(part).unwrap_or(size)
    }
}

fn say(trouble: &mut Vec<Trouble>, said: &mut Said, home: &Home, file: &Path, why: String) {
    if said.entry(said_key(file)).or_default().insert(why.clone()) {
        trouble.push(Trouble { home: home.name.clone(), file: file.to_owned(), why });
    }
}

fn said_key(file: &Path) -> i64 {
    event::hash(&[file.as_os_str().as_encoded_bytes()])
}

fn explain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

fn session_id(session: &str) -> i64 {
    event::hash(&[b"session", session.as_bytes()])
}

fn file_id(path: &Path) -> i64 {
    event::hash(&[b"file", path.as_os_str().as_encoded_bytes()])
}

fn offset_of(known: &Source) -> u64 {
    u64::try_from(known.offset).unwrap_or(0)
}

fn transcripts_chunk(offset: u64, before: i64) -> usize {
    usize::try_from(offset.saturating_sub(u64::try_from(before).unwrap_or(0))).unwrap_or(usize::MAX)
}

/// How much of a file an offset in its contents is; for a compressed one a guess.
fn part(offset: i64, size: u64) -> u64 {
    u64::try_from(offset).unwrap_or(0).min(size)
}

/// Whether a file that changed is the one that was read, grown.
fn is_same(path: &Path, form: Form, known: &Source, size: u64) -> bool {
    let offset = offset_of(known);
    form == Form::Live
        && offset <= size
        && transcripts::anchor(path, offset).is_ok_and(|anchor| anchor == known.anchor)
}

/// The session of a cold archive, from its first line.
fn cold_session(path: &Path) -> Option<String> {
    let mut lines = Lines::open(path, Form::Cold, 0).ok()?;
    match lines.next().ok()? {
        Line::Whole(line) => match event::parse_cold(line).ok()? {
            Cold::Header(session) => Some(session.into_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// Where OpenClaw puts the archives of the sessions in a database.
fn archives_beside(database: &Path) -> Option<PathBuf> {
    let folder = database.parent()?;
    if folder.file_name()? == "agent" {
        Some(folder.parent()?.join("sessions"))
    } else {
        Some(folder.to_owned())
    }
}

/// The path without links and detours, so that nothing is read by two names.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn stat_of(metadata: &Metadata) -> (i64, i64) {
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0));
    (i64::try_from(metadata.len()).unwrap_or(i64::MAX), modified)
}

/// Size and time of a database and of its log; none if it is not there.
fn stat_database(path: &Path) -> Option<Stat> {
    let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
    let (size, modified) = stat_of(&metadata);
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let (log_size, log_modified) = fs::metadata(log).map_or((0, 0), |log| stat_of(&log));
    Some(Stat { size, modified, log_size, log_modified })
}

#[cfg(test)]
mod measure;
#[cfg(test)]
mod tests;
