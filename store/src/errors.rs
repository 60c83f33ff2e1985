//! Errors and crashes of OpenClaw, as devices told them.

use std::collections::HashMap;

use protocol::{DeviceId, LogLevel, LogRecord, Timestamp};
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction};

use crate::page::{Filtered as _, Page, Place};
use crate::reader::Reader;
use crate::record::insert;
use crate::search::Search;
use crate::{Doing as _, Error, Store, error_groups};

/// An error or a crash, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRecord {
    /// Its number, growing with every record.
    pub no: i64,
    /// The device.
    pub device: DeviceId,
    /// What it is called.
    pub device_name: String,
    /// When we were told.
    pub received_at: Timestamp,
    /// What the device told. In lists its stack and context are left out.
    pub record: LogRecord,
}

/// Which errors are asked for. Empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorFilter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Of devices with this tag.
    pub tag: Option<String>,
    /// One of these levels.
    pub levels: Vec<LogLevel>,
    /// Of this part of OpenClaw.
    pub subsystem: Option<String>,
    /// Of this group.
    pub fingerprint: Option<String>,
    /// That happened at this moment or later.
    pub from: Option<Timestamp>,
    /// That happened before this moment.
    pub to: Option<Timestamp>,
    /// With these words in message, subsystem, name or stack.
    pub text: Option<Search>,
}

/// Columns of a list: what can be long stays where it is.
const SHORT: &str =
    "SELECT e.no, e.at, e.received_at, e.level, e.gateway, e.subsystem, e.message, e.fingerprint, e.count,
    e.error_name, e.reason, e.provider, e.model, e.agent, e.version, NULL AS stack, NULL AS context,
    d.id AS device, d.name AS device_name ";
const WHOLE: &str = "SELECT e.*, d.id AS device, d.name AS device_name ";
/// Columns that are searched.
const TEXTS: [&str; 4] = ["e.message", "e.subsystem", "e.error_name", "e.stack"];

pub(crate) struct Row<'r> {
    pub(crate) device_no: i64,
    pub(crate) at: Timestamp,
    pub(crate) received_at: Timestamp,
    pub(crate) record: &'r LogRecord,
}

/// Whether a record counts as an error of its device.
pub(crate) fn is_error(level: LogLevel) -> bool {
    matches!(level, LogLevel::Error | LogLevel::Exception | LogLevel::Crash)
}

/// The newest record's number, and when each device's newest error happened, by the device's number.
pub(crate) async fn load(pool: &sqlx::SqlitePool) -> Result<(i64, HashMap<i64, Timestamp>), Error> {
    let doing = "reading the last errors";
    // A search for each device, from the end of its records.
    let rows = sqlx::query(
        "SELECT d.no, (SELECT at FROM error_record e WHERE e.device_no = d.no
            AND e.level IN ('error', 'exception', 'crash') ORDER BY at DESC LIMIT 1) AS at FROM device d",
    )
    .fetch_all(pool)
    .await
    .doing(doing)?;
    let last =
        rows.iter().filter_map(|row| Some((row.get("no"), Timestamp(row.get::<Option<i64>, _>("at")?))));
    let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(no), 0) FROM error_record")
        .fetch_one(pool)
        .await
        .doing(doing)?;
    Ok((newest, last.collect()))
}

/// Writes records, and counts them in their groups. Returns the newest one's number, if there is any.
pub(crate) async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    rows: &[Row<'_>],
) -> Result<Option<i64>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(None);
    }
    insert(
        tx,
        rows,
        "INSERT INTO error_record (device_no, at, received_at, level, gateway, subsystem, message, fingerprint, count,
            error_name, reason, provider, model, agent, version, stack, context) ",
        "",
        |mut row, r| {
            let Row { device_no, at, received_at, record } = r;
            let context = (!record.context.is_empty()).then(|| serde_json::to_string(&record.context).ok());
            row.push_bind(*device_no)
                .push_bind(at.0)
                .push_bind(received_at.0)
                .push_bind(record.level.as_str())
                .push_bind(record.gateway.clone())
                .push_bind(record.subsystem.clone())
                .push_bind(record.message.clone())
                .push_bind(record.fingerprint.clone())
                .push_bind(i64::from(record.count))
                .push_bind(record.error_name.clone())
                .push_bind(record.reason.clone())
                .push_bind(record.provider.clone())
                .push_bind(record.model.clone())
                .push_bind(record.agent.clone())
                .push_bind(record.version.clone())
                .push_bind(record.stack.clone())
                .push_bind(context.flatten());
        },
    )
    .await?;
    error_groups::count(tx, rows).await?;
    sqlx::query_scalar("SELECT max(no) FROM error_record").fetch_one(&mut **tx).await.map(Some)
}

impl Store {
    /// Errors and crashes, newest first, without their stacks and contexts.
    pub async fn errors(&self, filter: &ErrorFilter, page: Page) -> Result<Vec<ErrorRecord>, Error> {
        let mut query = QueryBuilder::new(SHORT);
        query.push("FROM error_record e JOIN device d ON d.no = e.device_no WHERE 1");
        push(&mut query, filter);
        push_text(&mut query, filter);
        query.newest_first("e", page);
        read_errors(self.reader().await?, query).await
    }

    /// The same with stacks and contexts, to be read page by page to the end, whatever its size. What is searched for by
    /// words comes in the order in which we were told of it: that is how the index has it.
    pub async fn errors_whole(&self, filter: &ErrorFilter, page: Page) -> Result<Vec<ErrorRecord>, Error> {
        let mut query = QueryBuilder::new(WHOLE);
        let Some(words) = filter.text.as_ref().and_then(Search::indexed) else {
            query.push("FROM error_record e JOIN device d ON d.no = e.device_no WHERE 1");
            push(&mut query, filter);
            push_text(&mut query, filter);
            query.newest_first("e", page);
            return read_errors(self.export_reader().await?, query).await;
        };
        query.push(
            "FROM error_text t CROSS JOIN error_record e ON e.no = t.rowid CROSS JOIN device d ON d.no = e.device_no
             WHERE t.error_text MATCH ",
        );
        query.push_bind(words);
        if let Some(after) = page.after {
            query.push(" AND t.rowid < ").push_bind(after.no);
        }
        push(&mut query, filter);
        push_short(&mut query, filter);
        query.push(" ORDER BY t.rowid DESC LIMIT ").push_bind(page.limit);
        read_errors(self.export_reader().await?, query).await
    }

    /// One of them, whole.
    pub async fn error(&self, no: i64) -> Result<Option<ErrorRecord>, Error> {
        let mut query = QueryBuilder::new(WHOLE);
        query.push("FROM error_record e JOIN device d ON d.no = e.device_no WHERE e.no = ").push_bind(no);
        Ok(read_errors(self.reader().await?, query).await?.pop())
    }

    /// Forgets records from before a moment, at most so many; when none of those is left, what was counted by the hour;
    /// then the groups that were last seen before it, but those that somebody ignores. Groups that are still seen keep their
    /// totals. One short transaction: call it until it returns 0, the number of rows that went.
    pub async fn expire_errors(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let doing = "forgetting old errors";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let mut gone = sqlx::query(
            "DELETE FROM error_record WHERE no IN (SELECT no FROM error_record WHERE at < ? ORDER BY at LIMIT ?)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&mut *tx)
        .await
        .doing(doing)?
        .rows_affected();
        if gone == 0 {
            gone = error_groups::expire(&mut tx, before, limit).await.doing(doing)?;
        }
        tx.commit().await.doing(doing)?;
        Ok(gone)
    }
}

async fn read_errors(mut reader: Reader, mut query: QueryBuilder<Sqlite>) -> Result<Vec<ErrorRecord>, Error> {
    let rows = reader.fetch_all("reading errors", query.build()).await?;
    Ok(rows.iter().filter_map(record).collect())
}

/// All but the words.
fn push(query: &mut QueryBuilder<Sqlite>, filter: &ErrorFilter) {
    if let Some(device) = filter.device {
        query
            .push(" AND e.device_no = (SELECT no FROM device WHERE id = ")
            .push_bind(device.to_string())
            .push(")");
    }
    if let Some(tag) = &filter.tag {
        query
            .push(" AND EXISTS (SELECT 1 FROM json_each(d.tags) WHERE value = ")
            .push_bind(tag.clone())
            .push(")");
    }
    query.one_of("e.level", filter.levels.iter().map(|level| level.as_str()));
    if let Some(subsystem) = &filter.subsystem {
        query.push(" AND e.subsystem = ").push_bind(subsystem.clone());
    }
    if let Some(fingerprint) = &filter.fingerprint {
        query.push(" AND e.fingerprint = ").push_bind(fingerprint.clone());
    }
    query.between("e.at", filter.from, filter.to);
}

fn push_text(query: &mut QueryBuilder<Sqlite>, filter: &ErrorFilter) {
    if let Some(words) = filter.text.as_ref().and_then(Search::indexed) {
        query
            .push(" AND e.no IN (SELECT rowid FROM error_text WHERE error_text MATCH ")
            .push_bind(words)
            .push(")");
    }
    push_short(query, filter);
}

/// Words that are too short for the index.
fn push_short(query: &mut QueryBuilder<Sqlite>, filter: &ErrorFilter) {
    for word in filter.text.iter().flat_map(Search::short) {
        query.any_like(&TEXTS, word);
    }
}

impl ErrorRecord {
    /// Where it stands in the list.
    pub fn place(&self) -> Place {
        Place { at: self.record.at, no: self.no }
    }
}

fn record(row: &sqlx::sqlite::SqliteRow) -> Option<ErrorRecord> {
    let level = row.get::<&str, _>("level");
    Some(ErrorRecord {
        no: row.get("no"),
        device: DeviceId::parse(row.get("device")).ok()?,
        device_name: row.get("device_name"),
        received_at: Timestamp(row.get("received_at")),
        record: LogRecord {
            at: Timestamp(row.get("at")),
            level: serde_json::from_value(level.into()).ok()?,
            gateway: row.get("gateway"),
            subsystem: row.get("subsystem"),
            message: row.get("message"),
            fingerprint: row.get("fingerprint"),
            count: row.get("count"),
            error_name: row.get("error_name"),
            reason: row.get("reason"),
            provider: row.get("provider"),
            model: row.get("model"),
            agent: row.get("agent"),
            version: row.get("version"),
            stack: row.get("stack"),
            context: row
                .get::<Option<&str>, _>("context")
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
        },
    })
}
