//! When devices were offline, and why; when the server itself was down; how much of the time that leaves.
//!
//! An outage begins with the word that a device is gone and ends with its next birth. What it was is found out when the
//! device is back: from the boots of its host before and after, from what it says happened meanwhile, and from what it
//! measured meanwhile, which arrives with the backlog. While that comes in the label is worked out again.

use protocol::{DeviceId, EventKind, GatewayState, OfflineReason, Timestamp};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::page::Filtered as _;
use crate::{Doing as _, Error, Place, Range, Rung, ServerEvent, ServerEventKind, Store, events, lock};

/// How long after a device's return its outage is looked at again, in milliseconds: its backlog is there by then.
const BACKLOG_MS: i64 = 3_600_000;
/// Before and after an outage, by as much a device's own events may lie outside of it, in milliseconds: an outage is
/// noticed late, and an agent that has started says so when it is connected.
const MARGIN_MS: i64 = 60_000;
/// An outage that is as long was measured, in milliseconds: by default a device looks twice in that time.
const MEASURED_MS: i64 = 60_000;
/// At the end of it a device that wakes up measures once before it is connected, in milliseconds.
const WAKING_MS: i64 = 20_000;
/// What stands in the database when nothing tells what an outage was.
const UNKNOWN: &str = "unknown";
/// Outages looked at in one go.
const AT_ONCE: i64 = 500;

/// What an outage was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutageLabel {
    /// The host was started anew.
    HostRebooted,
    /// The machine slept.
    MachineSlept,
    /// OpenClaw's gateway crashed meanwhile.
    GatewayCrashed,
    /// The agent was stopped or ended, and was started again.
    AgentRestarted,
    /// The server itself was down.
    ServerDown,
    /// Only the connection was gone.
    NetworkOnly,
}

impl OutageLabel {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::HostRebooted,
        Self::MachineSlept,
        Self::GatewayCrashed,
        Self::AgentRestarted,
        Self::ServerDown,
        Self::NetworkOnly,
    ];

    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostRebooted => "host_rebooted",
            Self::MachineSlept => "machine_slept",
            Self::GatewayCrashed => "gateway_crashed",
            Self::AgentRestarted => "agent_restarted",
            Self::ServerDown => "server_down",
            Self::NetworkOnly => "network_only",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.as_str() == text)
    }
}

/// What is known of an outage that is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Evidence {
    reason: Option<OfflineReason>,
    boot_before: Option<String>,
    boot_after: Option<String>,
    /// What the device says happened meanwhile.
    events: Vec<EventKind>,
    /// It measured nothing meanwhile, and was away for so long that it should have.
    silent: bool,
}

/// What an outage was. The stronger reason wins: a host that rebooted also restarted its agent. Of a device that measured
/// nothing nobody can say that only its connection was gone: its agent may have hung, or keeps no backlog.
fn judge(evidence: &Evidence) -> Option<OutageLabel> {
    let happened = |kind: EventKind| evidence.events.contains(&kind);
    let other_boot = evidence.boot_before.is_some()
        && evidence.boot_after.is_some()
        && evidence.boot_before != evidence.boot_after;
    let label = if other_boot || happened(EventKind::HostRebooted) {
        OutageLabel::HostRebooted
    } else if happened(EventKind::HostSlept) {
        OutageLabel::MachineSlept
    } else if happened(EventKind::GatewayCrashed) {
        OutageLabel::GatewayCrashed
    } else if happened(EventKind::AgentStarted) || evidence.reason == Some(OfflineReason::Shutdown) {
        OutageLabel::AgentRestarted
    } else if evidence.reason == Some(OfflineReason::ServerRestart) {
        OutageLabel::ServerDown
    } else if evidence.silent {
        return None;
    } else {
        OutageLabel::NetworkOnly
    };
    Some(label)
}

/// An outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Its number, growing with every outage.
    pub no: i64,
    /// Whose.
    pub device: DeviceId,
    /// When the device was gone.
    pub from: Timestamp,
    /// When it was back; `None` while it is not.
    pub to: Option<Timestamp>,
    /// What was known when it began.
    pub reason: Option<OfflineReason>,
    /// What it was; `None` while it lasts, and when nothing tells.
    pub label: Option<OutageLabel>,
    /// Whether OpenClaw ran on meanwhile; `None` when nothing was measured, or it is not installed.
    pub openclaw_kept_running: Option<bool>,
}

/// Which outages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutageFilter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// That lasted at or after this moment.
    pub from: Option<Timestamp>,
    /// That began before this moment.
    pub to: Option<Timestamp>,
    /// That were one of these; empty: any.
    pub labels: Vec<OutageLabel>,
    /// Behind this place.
    pub after: Option<Place>,
}

/// A span of time: its beginning, and its end.
pub type Span = (Timestamp, Timestamp);

/// How much of a time a device was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime {
    /// Milliseconds it was online.
    pub online_ms: i64,
    /// Milliseconds it was offline.
    pub offline_ms: i64,
}

impl Uptime {
    /// Percent of the time that is known; `None` when nothing is.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of years are far below 2^53")]
    pub fn pct(&self) -> Option<f64> {
        let known = self.online_ms + self.offline_ms;
        (known > 0).then(|| self.online_ms as f64 * 100.0 / known as f64)
    }
}

/// What of `window` a device was online and offline. Left out: what lies before its first birth or after `now`, and the
/// spans in which the server was down. Spans of one kind do not overlap and are in order.
fn uptime(
    window: Span,
    born: Option<Timestamp>,
    outages: &[(Timestamp, Option<Timestamp>)],
    down: &[Span],
    now: Timestamp,
) -> Uptime {
    let (from, to) = (born.map_or(window.1, |born| born.max(window.0)), window.1.min(now));
    let within = |(a, b): Span| (a.max(from), b.min(to));
    let length = |(a, b): Span| b.millis_since(a).max(0);
    let down: Vec<Span> = down.iter().copied().map(within).filter(|span| length(*span) > 0).collect();
    let unknown: i64 = down.iter().copied().map(length).sum();
    let offline: i64 = outages
        .iter()
        .map(|(a, b)| within((*a, b.unwrap_or(to))))
        .filter(|span| length(*span) > 0)
        .map(|span| {
            let hidden: i64 = down.iter().map(|d| length((d.0.max(span.0), d.1.min(span.1)))).sum();
            length(span) - hidden
        })
        .sum();
    let known = length((from, to)) - unknown;
    Uptime { online_ms: (known - offline).max(0), offline_ms: offline }
}

/// How the run of the server before this one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// When it was asked to stop; or, when it was not, when it was last known to be alive.
    pub ended_at: Timestamp,
    /// It was asked to.
    pub clean: bool,
    /// What ran.
    pub version: String,
}

/// A change of a device's outages, in the order in which they come.
pub(crate) enum Turn {
    Gone { device_no: i64, at: Timestamp, reason: Option<OfflineReason>, boot: Option<String> },
    Back { device_no: i64, at: Timestamp, boot: Option<String> },
}

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, turns: &[Turn]) -> Result<(), sqlx::Error> {
    for turn in turns {
        match turn {
            Turn::Gone { device_no, at, reason, boot } => {
                sqlx::query(
                    "INSERT INTO outage (device_no, from_at, reason, boot_before) VALUES (?, ?, ?, ?)",
                )
                .bind(device_no)
                .bind(at.0)
                .bind(reason.map(OfflineReason::as_str))
                .bind(boot)
                .execute(&mut **tx)
                .await?;
            }
            Turn::Back { device_no, at, boot } => {
                sqlx::query("UPDATE outage SET to_at = max(?, from_at), boot_after = ? WHERE device_no = ? AND to_at IS NULL")
                    .bind(at.0)
                    .bind(boot)
                    .bind(device_no)
                    .execute(&mut **tx)
                    .await?;
            }
        }
    }
    Ok(())
}

fn reason(row: &sqlx::sqlite::SqliteRow) -> Option<OfflineReason> {
    row.get::<Option<&str>, _>("reason").and_then(|r| serde_json::from_value(r.into()).ok())
}

impl Store {
    /// Outages, the newest first.
    pub async fn outages(&self, filter: &OutageFilter, limit: u32) -> Result<Vec<Outage>, Error> {
        let mut query = sqlx::QueryBuilder::<Sqlite>::new(
            "SELECT o.*, d.id AS device FROM outage o JOIN device d ON d.no = o.device_no WHERE 1",
        );
        if let Some(device) = filter.device {
            query.push(" AND d.id = ").push_bind(device.to_string());
        }
        if let Some(from) = filter.from {
            query.push(" AND coalesce(o.to_at, 9223372036854775807) >= ").push_bind(from.0);
        }
        if let Some(to) = filter.to {
            query.push(" AND o.from_at < ").push_bind(to.0);
        }
        query.one_of("o.label", filter.labels.iter().map(|label| label.as_str()));
        if let Some(Place { at, no }) = filter.after {
            query.push(" AND (o.from_at, o.no) < (").push_bind(at.0).push(", ").push_bind(no).push(")");
        }
        query.push(" ORDER BY o.from_at DESC, o.no DESC LIMIT ").push_bind(limit);
        let rows = self.reader().await?.fetch_all("reading outages", query.build()).await?;
        let outage = |row: &sqlx::sqlite::SqliteRow| {
            Some(Outage {
                no: row.get("no"),
                device: DeviceId::parse(row.get("device")).ok()?,
                from: Timestamp(row.get("from_at")),
                to: row.get::<Option<i64>, _>("to_at").map(Timestamp),
                reason: reason(row),
                label: row.get::<Option<&str>, _>("label").and_then(OutageLabel::parse),
                openclaw_kept_running: row.get("claw_kept_running"),
            })
        };
        Ok(rows.iter().filter_map(outage).collect())
    }

    /// Finds out what the outages were that are over since an hour at most, and returns whose label has changed. Only one
    /// caller at a time (the recorder's upkeep).
    pub async fn label_outages(&self) -> Result<Vec<DeviceId>, Error> {
        let doing = "finding out what outages were";
        let now = self.inner.clock.now();
        let rows = sqlx::query(
            "SELECT o.*, d.id AS device FROM outage o JOIN device d ON d.no = o.device_no
             WHERE o.to_at >= ? ORDER BY o.label IS NOT NULL, random() LIMIT ?",
        )
        .bind(now.0.saturating_sub(BACKLOG_MS))
        .bind(AT_ONCE)
        .fetch_all(&self.inner.readers)
        .await
        .doing(doing)?;
        let mut changed = Vec::new();
        // Of very many at once each is looked at again before long: none waits behind others.
        for row in &rows {
            let Ok(device) = DeviceId::parse(row.get("device")) else { continue };
            let (from, to): (i64, i64) = (row.get("from_at"), row.get("to_at"));
            let (_, kept_running) = self.meanwhile(device, Timestamp(from), Timestamp(to)).await?;
            let silent = to - from >= MEASURED_MS
                && !self.meanwhile(device, Timestamp(from), Timestamp(to - WAKING_MS)).await?.0;
            let evidence = Evidence {
                reason: reason(row),
                boot_before: row.get("boot_before"),
                boot_after: row.get("boot_after"),
                events: self.events_of(row.get("device_no"), from - MARGIN_MS, to + MARGIN_MS).await?,
                silent,
            };
            let label = judge(&evidence).map_or(UNKNOWN, OutageLabel::as_str);
            if row.get::<Option<&str>, _>("label") == Some(label)
                && row.get::<Option<bool>, _>("claw_kept_running") == kept_running
            {
                continue;
            }
            sqlx::query("UPDATE outage SET label = ?, claw_kept_running = ? WHERE no = ?")
                .bind(label)
                .bind(kept_running)
                .bind(row.get::<i64, _>("no"))
                .execute(&self.inner.writer)
                .await
                .doing(doing)?;
            changed.push(device);
        }
        Ok(changed)
    }

    /// Whether anything was measured in a time, and whether OpenClaw ran in all of that.
    async fn meanwhile(
        &self,
        device: DeviceId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<(bool, Option<bool>), Error> {
        let span = to.millis_since(from).max(1);
        let range = Range { from, step_ms: span, steps: 1 };
        let (no, fresh) = {
            let fleet = lock(&self.inner.fleet);
            let Some(no) = fleet.devices.get(&device).map(|d| d.no) else {
                return Ok((false, None));
            };
            (no, fleet.hot.numbers(no))
        };
        // A bucket of the ladder would reach beyond the outage.
        let samples = self.read_samples(Rung::Raw, no, fresh, range, &[]).await?;
        let worst = samples.openclaw.first().copied().flatten();
        // The worst is that it is not installed when it never was.
        let worst = worst.filter(|state| *state != GatewayState::NotInstalled);
        let kept_running = worst.map(|state| matches!(state, GatewayState::Running | GatewayState::Starting));
        Ok((samples.n.first().is_some_and(|n| *n > 0), kept_running))
    }

    async fn events_of(&self, device_no: i64, from: i64, to: i64) -> Result<Vec<EventKind>, Error> {
        let kinds: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT kind FROM event WHERE device_no = ? AND at BETWEEN ? AND ? AND kind <> 'activity'",
        )
        .bind(device_no)
        .bind(from)
        .bind(to)
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading events")?;
        Ok(kinds.into_iter().filter_map(|kind| serde_json::from_value(kind.into()).ok()).collect())
    }

    /// What of each window a device was online and offline; `None` when there is no such device.
    pub async fn uptimes(&self, device: DeviceId, windows: &[Span]) -> Result<Option<Vec<Uptime>>, Error> {
        let doing = "working out uptime";
        let Some(no) = lock(&self.inner.fleet).devices.get(&device).map(|d| d.no) else {
            return Ok(None);
        };
        let from = windows.iter().map(|w| w.0.0).min().unwrap_or(0);
        let to = windows.iter().map(|w| w.1.0).max().unwrap_or(0);
        let mut reader = self.reader().await?;
        let query =
            sqlx::query("SELECT min(received_at) AS born FROM presence WHERE device_no = ? AND online");
        let rows = reader.fetch_all(doing, query.bind(no)).await?;
        let born = rows.first().and_then(|row| row.get::<Option<i64>, _>("born"));
        let query = sqlx::query(
            "SELECT from_at, to_at FROM outage WHERE device_no = ? AND from_at < ?
                AND coalesce(to_at, 9223372036854775807) > ? ORDER BY from_at",
        )
        .bind(no)
        .bind(to)
        .bind(from);
        let rows = reader.fetch_all(doing, query).await?;
        drop(reader);
        let outages: Vec<_> = rows
            .iter()
            .map(|row| (Timestamp(row.get("from_at")), row.get::<Option<i64>, _>("to_at").map(Timestamp)))
            .collect();
        let down = self.down_spans(Timestamp(from), Timestamp(to)).await?;
        let now = self.inner.clock.now();
        let born = born.map(Timestamp);
        Ok(Some(windows.iter().map(|window| uptime(*window, born, &outages, &down, now)).collect()))
    }

    /// When the server was down, of a time: between the end of one run and the beginning of the next.
    pub async fn down_spans(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Span>, Error> {
        let rows = sqlx::query(
            "SELECT ended_at, started_at FROM (
                SELECT started_at, lag(coalesce(stopped_at, alive_at)) OVER (ORDER BY no) AS ended_at FROM server_run
             ) WHERE ended_at < ?2 AND started_at > ?1 AND ended_at < started_at ORDER BY started_at",
        )
        .bind(from.0)
        .bind(to.0)
        .fetch_all(&self.inner.readers)
        .await
        .doing("reading when the server ran")?;
        Ok(rows
            .iter()
            .map(|row| (Timestamp(row.get("ended_at")), Timestamp(row.get("started_at"))))
            .collect())
    }

    /// Notes that the server begins to run, and says how the run before ended; `None` for the first one.
    pub async fn begin_run(&self, version: &str) -> Result<Option<LastRun>, Error> {
        let doing = "noting that the server runs";
        let now = self.inner.clock.now().0;
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        // One that was killed lived at least as long as it recorded: its last note may be half a minute older.
        sqlx::query(
            "UPDATE server_run SET alive_at = max(alive_at, min(?, coalesce(
                (SELECT received_at FROM sample_hot ORDER BY no DESC LIMIT 1), 0)))
             WHERE no = (SELECT max(no) FROM server_run) AND stopped_at IS NULL",
        )
        .bind(now)
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        let last =
            sqlx::query("SELECT alive_at, stopped_at, version FROM server_run ORDER BY no DESC LIMIT 1")
                .fetch_optional(&mut *tx)
                .await
                .doing(doing)?;
        sqlx::query("INSERT INTO server_run (started_at, alive_at, version) VALUES (?, ?, ?)")
            .bind(now)
            .bind(now)
            .bind(version)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        let last = last.map(|row| {
            let stopped_at = row.get::<Option<i64>, _>("stopped_at");
            LastRun {
                ended_at: Timestamp(stopped_at.unwrap_or_else(|| row.get("alive_at"))),
                clean: stopped_at.is_some(),
                version: row.get("version"),
            }
        });
        for event in starting(last.as_ref(), version, Timestamp(now)) {
            events::write_server(&mut tx, Timestamp(now), &event).await.doing(doing)?;
        }
        tx.commit().await.doing(doing)?;
        Ok(last)
    }

    /// Notes that the server is alive.
    pub async fn note_alive(&self) -> Result<(), Error> {
        self.note_run("UPDATE server_run SET alive_at = ? WHERE no = (SELECT max(no) FROM server_run)").await
    }

    /// Notes that the server stops, as it was asked to.
    pub async fn end_run(&self) -> Result<(), Error> {
        let at = self.inner.clock.now();
        let stopped = ServerEvent {
            at,
            kind: ServerEventKind::Stopped,
            from: None,
            to: None,
            reason: None,
            duration_ms: None,
        };
        self.record_server_event(&stopped).await?;
        self.note_run("UPDATE server_run SET stopped_at = ? WHERE no = (SELECT max(no) FROM server_run)")
            .await
    }

    async fn note_run(&self, sql: &'static str) -> Result<(), Error> {
        sqlx::query(sql)
            .bind(self.inner.clock.now().0)
            .execute(&self.inner.writer)
            .await
            .map(drop)
            .doing("noting that the server runs")
    }
}

/// What there is to tell when the server starts.
fn starting(last: Option<&LastRun>, version: &str, now: Timestamp) -> Vec<ServerEvent> {
    let event = |at, kind| ServerEvent { at, kind, from: None, to: None, reason: None, duration_ms: None };
    let crashed = last.filter(|last| !last.clean).map(|last| ServerEvent {
        duration_ms: Some(now.millis_since(last.ended_at)),
        ..event(last.ended_at, ServerEventKind::Crashed)
    });
    let upgraded = last.filter(|last| last.version != version).map(|last| ServerEvent {
        from: Some(last.version.clone()),
        to: Some(version.to_owned()),
        ..event(now, ServerEventKind::Upgraded)
    });
    let started = ServerEvent { to: Some(version.to_owned()), ..event(now, ServerEventKind::Started) };
    crashed.into_iter().chain(upgraded).chain([started]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stronger_reason_wins() {
        use EventKind::{AgentStarted, GatewayCrashed, HostRebooted, HostSlept};
        let check = |reason, boots: [&str; 2], events: &[EventKind], expected| {
            let boot = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let evidence = Evidence {
                reason: Some(reason),
                boot_before: boot(boots[0]),
                boot_after: boot(boots[1]),
                events: events.to_vec(),
                silent: false,
            };
            assert_eq!(judge(&evidence), Some(expected), "{evidence:?}");
            let silent = Evidence { silent: true, ..evidence };
            let known = Some(expected).filter(|label| *label != OutageLabel::NetworkOnly);
            assert_eq!(judge(&silent), known, "{silent:?}");
        };
        let lost = OfflineReason::ConnectionLost;
        check(lost, ["a", "a"], &[], OutageLabel::NetworkOnly);
        check(lost, ["", ""], &[], OutageLabel::NetworkOnly);
        check(OfflineReason::KeepAliveTimeout, ["a", "b"], &[AgentStarted], OutageLabel::HostRebooted);
        check(lost, ["", "b"], &[AgentStarted, HostRebooted], OutageLabel::HostRebooted);
        check(lost, ["a", "a"], &[HostSlept, GatewayCrashed], OutageLabel::MachineSlept);
        check(lost, ["a", "a"], &[GatewayCrashed, AgentStarted], OutageLabel::GatewayCrashed);
        check(lost, ["a", "a"], &[AgentStarted], OutageLabel::AgentRestarted);
        check(OfflineReason::Shutdown, ["a", "a"], &[], OutageLabel::AgentRestarted);
        check(OfflineReason::ServerRestart, ["a", "a"], &[], OutageLabel::ServerDown);
        for label in OutageLabel::ALL {
            assert_eq!(OutageLabel::parse(label.as_str()), Some(label));
        }
    }

    #[test]
    fn what_is_not_known_counts_neither_way() {
        let t = Timestamp;
        let check = |window: (i64, i64),
                     born: Option<i64>,
                     outages: &[(i64, Option<i64>)],
                     down: &[(i64, i64)],
                     expected| {
            let outages: Vec<_> = outages.iter().map(|(a, b)| (t(*a), b.map(t))).collect();
            let down: Vec<_> = down.iter().map(|(a, b)| (t(*a), t(*b))).collect();
            let found = uptime((t(window.0), t(window.1)), born.map(t), &outages, &down, t(1_000));
            assert_eq!((found.online_ms, found.offline_ms), expected, "{window:?} {outages:?} {down:?}");
        };
        check((0, 100), Some(0), &[], &[], (100, 0));
        check((0, 100), None, &[], &[], (0, 0));
        check((0, 100), Some(40), &[], &[], (60, 0));
        check((0, 100), Some(0), &[(10, Some(30)), (90, None)], &[], (70, 30));
        // It lasts, and the day is not over.
        check((900, 2_000), Some(0), &[(950, None)], &[], (50, 50));
        check((2_000, 3_000), Some(0), &[(950, None)], &[], (0, 0));
        // The server was down: before, within, over the end of an outage, and all the time.
        check((0, 100), Some(0), &[(10, Some(30))], &[(0, 5)], (75, 20));
        check((0, 100), Some(0), &[(10, Some(30))], &[(15, 20)], (80, 15));
        check((0, 100), Some(0), &[(10, Some(30))], &[(20, 60)], (50, 10));
        check((0, 100), Some(0), &[(10, Some(30))], &[(0, 200)], (0, 0));
        assert_eq!(Uptime { online_ms: 0, offline_ms: 0 }.pct(), None);
        assert_eq!(Uptime { online_ms: 3, offline_ms: 1 }.pct(), Some(75.0));
    }
}
