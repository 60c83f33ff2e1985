//! Errors that are alike, over the whole fleet: how many, where, since when, and what people decided about them.

use std::collections::{BTreeMap, HashMap};

use protocol::{DeviceId, LogLevel, Timestamp};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction};

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::errors::Row;
use crate::page::Filtered as _;
use crate::record::insert;
use crate::search::Search;
use crate::{Doing as _, Error, Store};

const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;
/// Hours that a list shows of each group.
const RECENT_HOURS: usize = 24;
/// Versions that are named of a group, those seen last.
const VERSIONS: usize = 20;
/// Devices that are named of a group, those seen last.
const DEVICES: u32 = 200;
/// Groups that are forgotten in one transaction.
const GROUPS_AT_ONCE: u32 = 20;
/// Characters of a message that stand for its group in the audit log.
const NAME_CHARS: usize = 200;

/// What people decided about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorState {
    /// Nothing yet, or it happened again after it was resolved.
    Open,
    /// It is mended. Opens by itself when it happens again.
    Resolved,
    /// It does not matter, and stays so.
    Ignored,
}

impl ErrorState {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Open, Self::Resolved, Self::Ignored];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Ignored => "ignored",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    fn action(self) -> &'static str {
        match self {
            Self::Open => "error_group.open",
            Self::Resolved => "error_group.resolve",
            Self::Ignored => "error_group.ignore",
        }
    }
}

/// Errors that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorGroup {
    /// What they have in common.
    pub fingerprint: String,
    /// Of the newest one.
    pub level: LogLevel,
    /// Of the newest one.
    pub message: String,
    /// Of the newest one.
    pub subsystem: Option<String>,
    /// Of the newest one.
    pub error_name: Option<String>,
    /// When the first happened.
    pub first_seen_at: Timestamp,
    /// When the last happened.
    pub last_seen_at: Timestamp,
    /// How many, also of records that are forgotten.
    pub count: i64,
    /// On how many devices.
    pub devices: i64,
    /// Under which versions of OpenClaw, the last seen first.
    pub versions: Vec<String>,
    /// How many in each of the last 24 hours, the present one last.
    pub recent: Vec<i64>,
    /// What people decided.
    pub state: ErrorState,
    /// Since when.
    pub state_at: Option<Timestamp>,
    /// Who.
    pub state_by: Option<String>,
    /// When it happened again after it was resolved.
    pub reopened_at: Option<Timestamp>,
}

/// A group with where and when it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorGroupDetail {
    /// The group.
    pub group: ErrorGroup,
    /// Devices, the last seen first; at most 200.
    pub devices: Vec<GroupDevice>,
    /// Versions of OpenClaw, the last seen first; at most 20.
    pub versions: Vec<GroupVersion>,
    /// How many in each of the last hours, oldest first.
    pub hours: Vec<(Timestamp, i64)>,
    /// How many on each of the last days of UTC, oldest first.
    pub days: Vec<(Timestamp, i64)>,
}

/// A device's share of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDevice {
    /// Which.
    pub device: DeviceId,
    /// What it is called.
    pub name: String,
    /// How many.
    pub count: i64,
    /// When the first happened.
    pub first_seen_at: Timestamp,
    /// When the last happened.
    pub last_seen_at: Timestamp,
}

/// A version's share of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupVersion {
    /// Which.
    pub version: String,
    /// How many.
    pub count: i64,
    /// On how many devices.
    pub devices: i64,
    /// When the first happened.
    pub first_seen_at: Timestamp,
    /// When the last happened.
    pub last_seen_at: Timestamp,
}

/// Which groups are asked for. Empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorGroupFilter {
    /// In one of these states.
    pub states: Vec<ErrorState>,
    /// Seen on this device.
    pub device: Option<DeviceId>,
    /// Of one of these levels.
    pub levels: Vec<LogLevel>,
    /// Last seen at this moment or later.
    pub from: Option<Timestamp>,
    /// With these words in its newest message, subsystem or name.
    pub text: Option<Search>,
}

/// In which order groups come, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSort {
    /// Last seen.
    LastSeen,
    /// First seen.
    FirstSeen,
    /// How many.
    Count,
}

impl GroupSort {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::LastSeen, Self::FirstSeen, Self::Count];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LastSeen => "last_seen",
            Self::FirstSeen => "first_seen",
            Self::Count => "count",
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::LastSeen => "g.last_seen_at",
            Self::FirstSeen => "g.first_seen_at",
            Self::Count => "g.count",
        }
    }

    /// Where a group stands in a list of this order.
    pub fn place(self, group: &ErrorGroup) -> GroupPlace {
        let value = match self {
            Self::LastSeen => group.last_seen_at.0,
            Self::FirstSeen => group.first_seen_at.0,
            Self::Count => group.count,
        };
        GroupPlace { value, fingerprint: group.fingerprint.clone() }
    }
}

/// Where a group stands in an ordered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlace {
    /// What is ordered by.
    pub value: i64,
    /// Which.
    pub fingerprint: String,
}

fn hour(at: Timestamp) -> i64 {
    at.0.div_euclid(HOUR_MS)
}

/// What a batch adds to a group.
struct News<'r> {
    newest: &'r Row<'r>,
    first: i64,
    count: i64,
}

/// Counts new records in their groups. As many statements as a batch has groups, devices and hours, sixty-four in one.
pub(crate) async fn count(tx: &mut Transaction<'_, Sqlite>, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
    let mut groups: BTreeMap<&str, News<'_>> = BTreeMap::new();
    let mut devices: BTreeMap<(&str, i64, &str), (i64, i64, i64)> = BTreeMap::new();
    let mut hours: BTreeMap<(&str, i64, i64), i64> = BTreeMap::new();
    for row in rows {
        let (key, at, n) = (row.record.fingerprint.as_str(), row.at.0, i64::from(row.record.count));
        let group = groups.entry(key).or_insert(News { newest: row, first: at, count: 0 });
        if row.at >= group.newest.at {
            group.newest = row;
        }
        group.first = group.first.min(at);
        group.count += n;
        let version = row.record.version.as_deref().unwrap_or_default();
        let share = devices.entry((key, row.device_no, version)).or_insert((0, at, at));
        *share = (share.0 + n, share.1.min(at), share.2.max(at));
        *hours.entry((key, hour(row.at), row.device_no)).or_default() += n;
    }
    let groups: Vec<_> = groups.into_iter().collect();
    insert(
        tx,
        &groups,
        "INSERT INTO error_group (fingerprint, level, message, subsystem, error_name, sample_device_no, first_seen_at,
            last_seen_at, count) ",
        // What happened before it was resolved may be told later, and does not open it again.
        " ON CONFLICT (fingerprint) DO UPDATE SET
            level = iif(excluded.last_seen_at >= last_seen_at, excluded.level, level),
            message = iif(excluded.last_seen_at >= last_seen_at, excluded.message, message),
            subsystem = iif(excluded.last_seen_at >= last_seen_at, excluded.subsystem, subsystem),
            error_name = iif(excluded.last_seen_at >= last_seen_at, excluded.error_name, error_name),
            sample_device_no = iif(excluded.last_seen_at >= last_seen_at, excluded.sample_device_no, sample_device_no),
            first_seen_at = min(first_seen_at, excluded.first_seen_at),
            last_seen_at = max(last_seen_at, excluded.last_seen_at),
            count = count + excluded.count,
            state = iif(state = 'resolved' AND excluded.last_seen_at > state_at, 'open', state),
            state_by = iif(state = 'resolved' AND excluded.last_seen_at > state_at, NULL, state_by),
            reopened_at = iif(state = 'resolved' AND excluded.last_seen_at > state_at, excluded.last_seen_at, reopened_at),
            state_at = iif(state = 'resolved' AND excluded.last_seen_at > state_at, excluded.last_seen_at, state_at)",
        |mut row, (fingerprint, news)| {
            let newest = news.newest;
            row.push_bind((*fingerprint).to_owned())
                .push_bind(newest.record.level.as_str())
                .push_bind(newest.record.message.clone())
                .push_bind(newest.record.subsystem.clone())
                .push_bind(newest.record.error_name.clone())
                .push_bind(newest.device_no)
                .push_bind(news.first)
                .push_bind(newest.at.0)
                .push_bind(news.count);
        },
    )
    .await?;
    let devices: Vec<_> = devices.into_iter().collect();
    insert(
        tx,
        &devices,
        "INSERT INTO error_group_device (fingerprint, device_no, version, count, first_seen_at, last_seen_at) ",
        " ON CONFLICT DO UPDATE SET count = count + excluded.count,
            first_seen_at = min(first_seen_at, excluded.first_seen_at),
            last_seen_at = max(last_seen_at, excluded.last_seen_at)",
        |mut row, ((fingerprint, device_no, version), (count, first, last))| {
            row.push_bind((*fingerprint).to_owned())
                .push_bind(*device_no)
                .push_bind((*version).to_owned())
                .push_bind(*count)
                .push_bind(*first)
                .push_bind(*last);
        },
    )
    .await?;
    let hours: Vec<_> = hours.into_iter().collect();
    insert(
        tx,
        &hours,
        "INSERT INTO error_group_hour (fingerprint, hour, device_no, count) ",
        " ON CONFLICT DO UPDATE SET count = count + excluded.count",
        |mut row, ((fingerprint, hour, device_no), count)| {
            row.push_bind((*fingerprint).to_owned()).push_bind(*hour).push_bind(*device_no).push_bind(*count);
        },
    )
    .await
}

/// Forgets what was last seen before a moment. Returns how many rows went.
pub(crate) async fn expire(
    tx: &mut Transaction<'_, Sqlite>,
    before: Timestamp,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let hours = sqlx::query(
        "DELETE FROM error_group_hour WHERE (fingerprint, hour, device_no) IN
            (SELECT fingerprint, hour, device_no FROM error_group_hour WHERE hour < ? LIMIT ?)",
    )
    .bind(hour(before))
    .bind(limit)
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if hours > 0 {
        return Ok(hours);
    }
    // Each takes the shares of all its devices along, so only few at a time.
    sqlx::query(
        "DELETE FROM error_group WHERE fingerprint IN
            (SELECT fingerprint FROM error_group WHERE last_seen_at < ? AND state <> 'ignored' LIMIT ?)",
    )
    .bind(before.0)
    .bind(limit.min(GROUPS_AT_ONCE))
    .execute(&mut **tx)
    .await
    .map(|done| done.rows_affected())
}

/// After a device went: what was shown of its text is shown of another's.
pub(crate) async fn forget_samples(
    tx: &mut Transaction<'_, Sqlite>,
    device_no: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE error_group SET (message, subsystem, error_name, sample_device_no) =
            (SELECT coalesce(max(message), ''), max(subsystem), max(error_name), coalesce(max(device_no), 0) FROM
                (SELECT message, subsystem, error_name, device_no FROM error_record r
                 WHERE r.fingerprint = error_group.fingerprint ORDER BY r.at DESC, r.no DESC LIMIT 1))
         WHERE sample_device_no = ?",
    )
    .bind(device_no)
    .execute(&mut **tx)
    .await
    .map(drop)
}

impl Store {
    /// Groups in an order, from a place on.
    pub async fn error_groups(
        &self,
        filter: &ErrorGroupFilter,
        sort: GroupSort,
        after: Option<&GroupPlace>,
        limit: u32,
    ) -> Result<Vec<ErrorGroup>, Error> {
        let mut query = QueryBuilder::new("SELECT g.* FROM error_group g WHERE 1");
        query.one_of("g.state", filter.states.iter().map(|state| state.as_str()));
        query.one_of("g.level", filter.levels.iter().map(|level| level.as_str()));
        query.between("g.last_seen_at", filter.from, None);
        if let Some(device) = filter.device {
            query
                .push(" AND EXISTS (SELECT 1 FROM error_group_device d WHERE d.fingerprint = g.fingerprint AND d.device_no = ")
                .push("(SELECT no FROM device WHERE id = ")
                .push_bind(device.to_string())
                .push("))");
        }
        for word in filter.text.iter().flat_map(Search::words) {
            query.any_like(&["g.message", "g.subsystem", "g.error_name", "g.fingerprint"], word);
        }
        let column = sort.column();
        if let Some(GroupPlace { value, fingerprint }) = after {
            query
                .push(format!(" AND ({column}, g.fingerprint) < ("))
                .push_bind(*value)
                .push(", ")
                .push_bind(fingerprint.clone())
                .push(")");
        }
        query.push(format!(" ORDER BY {column} DESC, g.fingerprint DESC LIMIT ")).push_bind(limit);
        self.read_groups(query).await
    }

    async fn read_groups(&self, mut query: QueryBuilder<Sqlite>) -> Result<Vec<ErrorGroup>, Error> {
        let doing = "reading groups of errors";
        let rows = self.reader().await?.fetch_all(doing, query.build()).await?;
        let mut groups: Vec<ErrorGroup> = rows.iter().filter_map(group).collect();
        if groups.is_empty() {
            return Ok(groups);
        }
        let newest = hour(self.inner.clock.now());
        let oldest = newest - i64::try_from(RECENT_HOURS).unwrap_or(0) + 1;
        let names = || groups.iter().map(|group| group.fingerprint.as_str());
        let mut query = QueryBuilder::new(
            "SELECT fingerprint, count(DISTINCT device_no) AS devices FROM error_group_device WHERE 1",
        );
        query.one_of("fingerprint", names());
        query.push(" GROUP BY fingerprint");
        let devices = self.reader().await?.fetch_all(doing, query.build()).await?;
        let mut query = QueryBuilder::new(
            "SELECT fingerprint, version FROM (
                SELECT fingerprint, version, last, row_number() OVER (PARTITION BY fingerprint ORDER BY last DESC) AS place
                FROM (SELECT fingerprint, version, max(last_seen_at) AS last FROM error_group_device WHERE version <> ''",
        );
        query.one_of("fingerprint", names());
        query.push(" GROUP BY fingerprint, version)) WHERE place <= ");
        query.push_bind(i64::try_from(VERSIONS).unwrap_or(0)).push(" ORDER BY fingerprint, place");
        let versions = self.reader().await?.fetch_all(doing, query.build()).await?;
        let mut query = QueryBuilder::new(
            "SELECT fingerprint, hour, sum(count) AS count FROM error_group_hour WHERE hour >= ",
        );
        query.push_bind(oldest);
        query.one_of("fingerprint", names());
        query.push(" GROUP BY fingerprint, hour");
        let hours = self.reader().await?.fetch_all(doing, query.build()).await?;
        let mut places: HashMap<String, &mut ErrorGroup> =
            groups.iter_mut().map(|group| (group.fingerprint.clone(), group)).collect();
        for row in &devices {
            if let Some(group) = places.get_mut(row.get::<&str, _>("fingerprint")) {
                group.devices = row.get("devices");
            }
        }
        for row in &versions {
            if let Some(group) = places.get_mut(row.get::<&str, _>("fingerprint")) {
                group.versions.push(row.get("version"));
            }
        }
        for row in &hours {
            // A device's clock may be a little ahead: the next hour counts as this one.
            let place = usize::try_from(row.get::<i64, _>("hour").min(newest) - oldest).unwrap_or(0);
            let group = places.get_mut(row.get::<&str, _>("fingerprint"));
            if let Some(count) = group.and_then(|group| group.recent.get_mut(place)) {
                *count += row.get::<i64, _>("count");
            }
        }
        Ok(groups)
    }

    /// One group, with where and when it is seen.
    pub async fn error_group(&self, fingerprint: &str) -> Result<Option<ErrorGroupDetail>, Error> {
        let doing = "reading a group of errors";
        let mut query = QueryBuilder::new("SELECT g.* FROM error_group g WHERE g.fingerprint = ");
        query.push_bind(fingerprint.to_owned());
        let Some(group) = self.read_groups(query).await?.pop() else { return Ok(None) };
        let devices = sqlx::query(
            "SELECT d.id, d.name, sum(s.count) AS count, min(s.first_seen_at) AS first, max(s.last_seen_at) AS last
             FROM error_group_device s JOIN device d ON d.no = s.device_no WHERE s.fingerprint = ?
             GROUP BY d.no ORDER BY last DESC, d.no LIMIT ?",
        )
        .bind(fingerprint)
        .bind(DEVICES)
        .fetch_all(&self.inner.readers)
        .await
        .doing(doing)?;
        let versions = sqlx::query(
            "SELECT version, sum(count) AS count, count(DISTINCT device_no) AS devices, min(first_seen_at) AS first,
                max(last_seen_at) AS last
             FROM error_group_device WHERE fingerprint = ? AND version <> ''
             GROUP BY version ORDER BY last DESC, version DESC LIMIT ?",
        )
        .bind(fingerprint)
        .bind(i64::try_from(VERSIONS).unwrap_or(0))
        .fetch_all(&self.inner.readers)
        .await
        .doing(doing)?;
        let hour = hour(self.inner.clock.now());
        Ok(Some(ErrorGroupDetail {
            group,
            devices: devices.iter().filter_map(device).collect(),
            versions: versions.iter().map(version).collect(),
            hours: self.trend(fingerprint, 1, hour, 48).await?,
            days: self.trend(fingerprint, DAY_HOURS, hour.div_euclid(DAY_HOURS), 30).await?,
        }))
    }

    /// How many in each of the last `steps` spans of so many hours, oldest first; `newest` is the number of the present one.
    async fn trend(
        &self,
        fingerprint: &str,
        span: i64,
        newest: i64,
        steps: i64,
    ) -> Result<Vec<(Timestamp, i64)>, Error> {
        let oldest = newest - steps + 1;
        let rows = sqlx::query(
            "SELECT min(hour / ?1, ?2) AS step, sum(count) AS count FROM error_group_hour
             WHERE fingerprint = ?3 AND hour >= ?1 * ?4 GROUP BY step",
        )
        .bind(span)
        .bind(newest)
        .bind(fingerprint)
        .bind(oldest)
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading how often an error happens")?;
        let counts: HashMap<i64, i64> = rows.iter().map(|row| (row.get("step"), row.get("count"))).collect();
        let point = |step: i64| {
            let at = Timestamp(step.saturating_mul(span).saturating_mul(HOUR_MS));
            (at, counts.get(&step).copied().unwrap_or(0))
        };
        Ok((oldest..=newest).map(point).collect())
    }

    /// Takes down what somebody decided about a group. `None` when there is no such group.
    pub async fn set_error_state(
        &self,
        by: &Actor,
        fingerprint: &str,
        state: ErrorState,
    ) -> Result<Option<ErrorGroupDetail>, Error> {
        let doing = "changing a group of errors";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let known: Option<(String, String)> =
            sqlx::query_as("SELECT state, message FROM error_group WHERE fingerprint = ?")
                .bind(fingerprint)
                .fetch_optional(&mut *tx)
                .await
                .doing(doing)?;
        let Some((before, message)) = known else { return Ok(None) };
        if before != state.as_str() {
            sqlx::query("UPDATE error_group SET state = ?, state_at = ?, state_by = ? WHERE fingerprint = ?")
                .bind(state.as_str())
                .bind(now.0)
                .bind(&by.name)
                .bind(fingerprint)
                .execute(&mut *tx)
                .await
                .doing(doing)?;
            let short: String = message.chars().take(NAME_CHARS).collect();
            let deed = Deed {
                action: state.action(),
                subject: Some(Subject { kind: "error_group", id: fingerprint, name: &short }),
                before: Some(json!({ "state": before })),
                after: Some(json!({ "state": state.as_str() })),
            };
            audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
        }
        tx.commit().await.doing(doing)?;
        self.error_group(fingerprint).await
    }
}

fn group(row: &SqliteRow) -> Option<ErrorGroup> {
    let moment = |name: &str| row.get::<Option<i64>, _>(name).map(Timestamp);
    Some(ErrorGroup {
        fingerprint: row.get("fingerprint"),
        level: serde_json::from_value(row.get::<&str, _>("level").into()).ok()?,
        message: row.get("message"),
        subsystem: row.get("subsystem"),
        error_name: row.get("error_name"),
        first_seen_at: Timestamp(row.get("first_seen_at")),
        last_seen_at: Timestamp(row.get("last_seen_at")),
        count: row.get("count"),
        devices: 0,
        versions: vec![],
        recent: vec![0; RECENT_HOURS],
        state: ErrorState::parse(row.get("state"))?,
        state_at: moment("state_at"),
        state_by: row.get("state_by"),
        reopened_at: moment("reopened_at"),
    })
}

fn device(row: &SqliteRow) -> Option<GroupDevice> {
    Some(GroupDevice {
        device: DeviceId::parse(row.get("id")).ok()?,
        name: row.get("name"),
        count: row.get("count"),
        first_seen_at: Timestamp(row.get("first")),
        last_seen_at: Timestamp(row.get("last")),
    })
}

fn version(row: &SqliteRow) -> GroupVersion {
    GroupVersion {
        version: row.get("version"),
        count: row.get("count"),
        devices: row.get("devices"),
        first_seen_at: Timestamp(row.get("first")),
        last_seen_at: Timestamp(row.get("last")),
    }
}
