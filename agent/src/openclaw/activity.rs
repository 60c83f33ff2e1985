//! What OpenClaw did, from its own list of it, which holds no content.
//!
//! Session keys may hold telephone numbers: a hash goes out instead, made with a salt that stays on the device.

use protocol::{Activity, Event, EventKind, Timestamp};
use rusqlite::{Connection, Row};

use super::boots::has_table;
use super::short_hash;

/// The most entries that are read at once.
const MAX_ENTRIES: u32 = 200;
/// Within how much time alike entries are told as one, in milliseconds.
const TOGETHER: i64 = 60_000;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    sequence: i64,
    at: Timestamp,
    duration_ms: Option<u64>,
    activity: Activity,
}

/// The entries after `since`, oldest first: at most 200, and the newest ones when nothing is known yet. The session in them
/// is hashed with `salt`.
pub(crate) fn read(db: &Connection, since: Option<i64>, salt: &str) -> rusqlite::Result<Vec<Entry>> {
    if !has_table(db, "audit_events")? {
        return Ok(Vec::new());
    }
    let newest: Option<i64> = db.query_row("SELECT max(sequence) FROM audit_events", [], |row| row.get(0))?;
    // A list that is shorter than it was is another one.
    let since = since.filter(|since| newest.is_some_and(|newest| newest >= *since));
    let columns = "sequence, occurred_at, duration_ms, action, status, error_code, agent_id, tool_name, channel, session_key";
    let entry = |row: &Row<'_>| -> rusqlite::Result<Entry> {
        let text = |index: usize| -> rusqlite::Result<Option<String>> {
            Ok(row.get::<_, Option<String>>(index)?.map(|text| clip(&text)).filter(|text| !text.is_empty()))
        };
        let session: Option<String> = row.get(9)?;
        Ok(Entry {
            sequence: row.get(0)?,
            at: Timestamp(row.get(1)?),
            duration_ms: row.get::<_, Option<i64>>(2)?.and_then(|duration| u64::try_from(duration).ok()),
            activity: Activity {
                action: text(3)?.unwrap_or_default(),
                status: text(4)?,
                error_code: text(5)?,
                agent: text(6)?,
                tool: text(7)?,
                channel: text(8)?,
                session: session.filter(|_| !salt.is_empty()).map(|session| short_hash(&[salt, &session])),
            },
        })
    };
    let order = if since.is_some() { "ASC" } else { "DESC" };
    let mut rows = db.prepare(&format!(
        "SELECT {columns} FROM audit_events WHERE sequence > ?1 ORDER BY sequence {order} LIMIT ?2"
    ))?;
    let entries = rows.query_map((since.unwrap_or(i64::MIN), MAX_ENTRIES), entry)?;
    let mut entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| entry.sequence);
    Ok(entries)
}

/// Up to where these entries go.
pub(crate) fn last(entries: &[Entry]) -> Option<i64> {
    entries.last().map(|entry| entry.sequence)
}

/// The entries as events; those that are alike and close to each other as one.
pub(crate) fn events(gateway: &str, entries: Vec<Entry>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for entry in entries {
        let alike = events.iter_mut().rev().find(|event| {
            event.activity.as_ref() == Some(&entry.activity)
                && (0..TOGETHER).contains(&entry.at.millis_since(event.at))
        });
        if let Some(event) = alike {
            event.count = Some(event.count.unwrap_or(1).saturating_add(1));
            event.duration_ms = match (event.duration_ms, entry.duration_ms) {
                (Some(one), Some(other)) => Some(one.saturating_add(other)),
                (one, other) => one.or(other),
            };
        } else {
            events.push(Event {
                at: entry.at,
                kind: EventKind::Activity,
                gateway: Some(gateway.to_owned()),
                from: None,
                to: None,
                reason: None,
                duration_ms: entry.duration_ms,
                count: None,
                activity: Some(entry.activity),
            });
        }
    }
    events
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{sqlite, tests::unpacked};
    use super::*;

    #[test]
    fn the_real_list_is_told_once_and_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = unpacked(dir.path(), "2026.9.6/state/openclaw.sqlite.gz");
        let read = |since, salt: &str| sqlite::read(&path, |db| read(db, since, salt)).unwrap();
        let all = read(None, "salt");
        assert_eq!((all.len(), last(&all)), (55, Some(55)));
        assert_eq!(read(Some(55), "salt"), []);
        assert_eq!(read(Some(50), "salt"), all[50..]);
        assert_eq!(read(Some(99), "salt").len(), 55, "another list than before");
        assert!(read(None, "").iter().all(|entry| entry.activity.session.is_none()));
        assert_ne!(read(None, "other")[0].activity.session, all[0].activity.session);
        let events = events("default", all);
        let told: u64 = events.iter().map(|event| event.count.unwrap_or(1)).sum();
        assert!(told == 55 && events.len() < 55, "{}", events.len());
        let sent = serde_json::to_string(&events).unwrap();
        assert!(!sent.contains("agent:main") && sent.contains("agent.run.finished"));
        let session = events[0].activity.as_ref().unwrap().session.as_ref().unwrap();
        assert_eq!(session.len(), 16);
    }

    #[test]
    fn alike_ones_within_a_minute_are_counted() {
        let entry = |sequence: i64, at: i64, action: &str| Entry {
            sequence,
            at: Timestamp(at),
            duration_ms: Some(5),
            activity: Activity { action: action.to_owned(), ..Activity::default() },
        };
        let entries = vec![
            entry(1, 0, "a"),
            entry(2, 1, "b"),
            entry(3, 59_999, "a"),
            entry(4, 60_000, "a"),
            entry(5, 9, "c"),
        ];
        let events: Vec<_> = events("x", entries)
            .into_iter()
            .map(|event| (event.at.0, event.count, event.duration_ms))
            .collect();
        assert_eq!(
            events,
            [(0, Some(2), Some(10)), (1, None, Some(5)), (60_000, None, Some(5)), (9, None, Some(5))]
        );
    }

    #[test]
    fn no_list_is_no_activity() {
        assert_eq!(read(&Connection::open_in_memory().unwrap(), None, "s").unwrap(), []);
    }
}
