//! When people want to hear nothing: silence for a time, maintenance once or every week; and what holds for all rules.

use protocol::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::audit_log::{self, Actor, Deed, Subject};
use crate::{Change, Doing as _, EditRefusal, Error, Scope, Severity, Store};

/// Pauses at most that are not over.
const MAX_PAUSES: i64 = 500;
const MINUTE_MS: i64 = 60_000;

/// What a pause does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseKind {
    /// Alerts fire, and nobody is told.
    Silence,
    /// Alerts do not fire.
    Maintenance,
}

impl PauseKind {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Silence, Self::Maintenance];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Maintenance => "maintenance",
        }
    }
}

/// A time of day, in minutes after midnight; written `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Reads `HH:MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |part: &str, end: u16| {
            (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse::<u16>().ok())
                .flatten()
                .filter(|n| *n < end)
        };
        Some(Self(number(hours, 24)? * 60 + number(minutes, 60)?))
    }

    /// Minutes after midnight.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a time of day is HH:MM")
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        format!("{:02}:{:02}", time.0 / 60, time.0 % 60)
    }
}

/// When a pause is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Once.
    Once {
        /// From when on.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
    },
    /// Every week.
    Weekly {
        /// On these days, Monday is 1.
        days: Vec<u8>,
        /// From this time of day on.
        from: TimeOfDay,
        /// For so long; it may go on into the next day.
        minutes: u32,
        /// By the clocks of this time zone.
        zone: String,
    },
}

/// What people say of a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseBody {
    /// Of these devices.
    #[serde(default)]
    pub scope: Scope,
    /// Of these rules only, by number; none: all.
    #[serde(default)]
    pub rules: Vec<i64>,
    /// When.
    pub when: When,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Its number.
    pub no: i64,
    /// What it does.
    pub kind: PauseKind,
    /// Of what, and when.
    pub body: PauseBody,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// Grows with each change.
    pub rev: i64,
}

/// At night nobody is woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// From this time of day ...
    pub from: TimeOfDay,
    /// ... until this one.
    pub to: TimeOfDay,
    /// What is as grave as this is told all the same.
    pub passes: Severity,
}

/// How often a digest is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DigestEvery {
    /// Each day.
    Day,
    /// Each Monday.
    Week,
}

/// What happened, in one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How often.
    pub every: DigestEvery,
    /// At this time of day.
    pub at: TimeOfDay,
    /// To these channels.
    pub channels: Vec<String>,
}

/// What holds for all rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertingSettings {
    /// The time zone of days, quiet hours and digests; empty: UTC.
    pub zone: String,
    /// Where people open the page, such as `https://watch.example.org`: for links. Empty: none.
    pub url: String,
    /// Quiet hours; `None`: there are none.
    pub quiet: Option<QuietHours>,
    /// A digest; `None`: none is sent.
    pub digest: Option<Digest>,
}

fn ends_at(when: &When) -> Option<i64> {
    match when {
        When::Once { to, .. } => Some(to.0),
        When::Weekly { .. } => None,
    }
}

impl Store {
    /// Pauses that are not over; with `since`, also those that ended after that moment. In the order in which they were made.
    pub async fn pauses(&self, since: Option<Timestamp>) -> Result<Vec<Pause>, Error> {
        let now = self.inner.clock.now();
        let rows =
            sqlx::query("SELECT * FROM alert_pause WHERE ends_at IS NULL OR ends_at > ? ORDER BY no LIMIT ?")
                .bind(since.map_or(now.0, |since| since.0.min(now.0)))
                .bind(MAX_PAUSES * 4)
                .fetch_all(&self.inner.readers)
                .await
                .doing("reading pauses")?;
        Ok(rows.iter().filter_map(pause).collect())
    }

    /// Makes a pause.
    pub async fn add_pause(
        &self,
        by: &Actor,
        kind: PauseKind,
        body: &PauseBody,
    ) -> Result<Result<Pause, EditRefusal>, Error> {
        let doing = "making a pause";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM alert_pause WHERE ends_at IS NULL OR ends_at > ?")
                .bind(now.0)
                .fetch_one(&mut *tx)
                .await
                .doing(doing)?;
        if count >= MAX_PAUSES {
            return Ok(Err(EditRefusal::TooMany));
        }
        let no = sqlx::query(
            "INSERT INTO alert_pause (kind, body, made_by, made_at, ends_at) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(kind.as_str())
        .bind(json!(body).to_string())
        .bind(&by.name)
        .bind(now.0)
        .bind(ends_at(&body.when))
        .execute(&mut *tx)
        .await
        .doing(doing)?
        .last_insert_rowid();
        let deed = Deed {
            action: "pause.add",
            subject: Some(Subject { kind: "pause", id: &no.to_string(), name: kind.as_str() }),
            before: None,
            after: Some(json!(body)),
        };
        audit_log::write(&mut tx, now, by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Rules);
        Ok(Ok(Pause { no, kind, body: body.clone(), made_by: by.name.clone(), made_at: now, rev: 1 }))
    }

    /// Changes a pause; `rev` is the one that was looked at.
    pub async fn change_pause(
        &self,
        by: &Actor,
        no: i64,
        rev: i64,
        body: &PauseBody,
    ) -> Result<Result<Pause, EditRefusal>, Error> {
        let doing = "changing a pause";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let row = sqlx::query("SELECT * FROM alert_pause WHERE no = ?")
            .bind(no)
            .fetch_optional(&mut *tx)
            .await
            .doing(doing)?;
        let Some(before) = row.as_ref().and_then(pause) else { return Ok(Err(EditRefusal::Gone)) };
        if before.rev != rev {
            return Ok(Err(EditRefusal::Conflict));
        }
        sqlx::query("UPDATE alert_pause SET body = ?, ends_at = ?, rev = ? WHERE no = ?")
            .bind(json!(body).to_string())
            .bind(ends_at(&body.when))
            .bind(rev + 1)
            .bind(no)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        let deed = Deed {
            action: "pause.change",
            subject: Some(Subject { kind: "pause", id: &no.to_string(), name: before.kind.as_str() }),
            before: Some(json!(before.body)),
            after: Some(json!(body)),
        };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Rules);
        Ok(Ok(Pause { body: body.clone(), rev: rev + 1, ..before }))
    }

    /// Ends a pause. False when there is none.
    pub async fn remove_pause(&self, by: &Actor, no: i64) -> Result<bool, Error> {
        let doing = "ending a pause";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let row = sqlx::query("DELETE FROM alert_pause WHERE no = ? RETURNING *")
            .bind(no)
            .fetch_optional(&mut *tx)
            .await
            .doing(doing)?;
        let Some(before) = row.as_ref().and_then(pause) else { return Ok(false) };
        let deed = Deed {
            action: "pause.remove",
            subject: Some(Subject { kind: "pause", id: &no.to_string(), name: before.kind.as_str() }),
            before: Some(json!(before.body)),
            after: None,
        };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Rules);
        Ok(true)
    }

    /// What holds for all rules, and its `rev`.
    pub async fn alerting_settings(&self) -> Result<(AlertingSettings, i64), Error> {
        let (settings, rev): (String, i64) = sqlx::query_as("SELECT settings, rev FROM alerting")
            .fetch_one(&self.inner.readers)
            .await
            .doing("reading the settings of alerting")?;
        Ok((serde_json::from_str(&settings).unwrap_or_default(), rev))
    }

    /// Changes what holds for all rules; `rev` is the one that was looked at. The new one.
    pub async fn change_alerting_settings(
        &self,
        by: &Actor,
        rev: i64,
        settings: &AlertingSettings,
    ) -> Result<Result<i64, EditRefusal>, Error> {
        let doing = "changing the settings of alerting";
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let (before, known): (String, i64) =
            sqlx::query_as("SELECT settings, rev FROM alerting").fetch_one(&mut *tx).await.doing(doing)?;
        if known != rev {
            return Ok(Err(EditRefusal::Conflict));
        }
        sqlx::query("UPDATE alerting SET settings = ?, rev = ?")
            .bind(json!(settings).to_string())
            .bind(rev + 1)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        let before: AlertingSettings = serde_json::from_str(&before).unwrap_or_default();
        let deed = Deed {
            action: "alerting.change",
            subject: None,
            before: Some(json!(before)),
            after: Some(json!(settings)),
        };
        audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.announce(Change::Rules);
        Ok(Ok(rev + 1))
    }

    /// Forgets pauses that were over before a moment.
    pub async fn expire_pauses(&self, before: Timestamp) -> Result<(), Error> {
        sqlx::query("DELETE FROM alert_pause WHERE ends_at < ?")
            .bind(before.0)
            .execute(&self.inner.writer)
            .await
            .doing("forgetting old pauses")
            .map(drop)
    }
}

fn pause(row: &SqliteRow) -> Option<Pause> {
    let kind: &str = row.get("kind");
    Some(Pause {
        no: row.get("no"),
        kind: PauseKind::ALL.into_iter().find(|one| one.as_str() == kind)?,
        body: serde_json::from_str(row.get("body")).ok()?,
        made_by: row.get("made_by"),
        made_at: Timestamp(row.get("made_at")),
        rev: row.get("rev"),
    })
}

/// The Monday-based number of the day, and the minute of it, of a moment in a zone.
fn week_minute(zone: &crate::Zone, at: Timestamp) -> (i64, i64) {
    let (date, time) = (zone.date(at), zone.time(at));
    (i64::from(date.weekday().to_monday_one_offset()), i64::from(time.hour()) * 60 + i64::from(time.minute()))
}

impl When {
    /// Until when it lasts, if it lasts at this moment.
    pub fn lasts_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once { from, to } => (*from <= now && now < *to).then_some(*to),
            Self::Weekly { days, from, minutes, zone } => {
                let zone = crate::Zone::parse(zone).unwrap_or_else(crate::Zone::utc);
                let (day, minute) = week_minute(&zone, now);
                let length = i64::from(*minutes);
                // It may have begun on an earlier day.
                let since = |begun: u8| {
                    let days = (day - i64::from(begun)).rem_euclid(7);
                    days * 1440 + minute - i64::from(from.minutes())
                };
                let left = days.iter().map(|begun| since(*begun)).map(|since| since.rem_euclid(7 * 1440));
                let left = left.filter(|since| *since < length).map(|since| length - since).max()?;
                Some(Timestamp((now.0.div_euclid(MINUTE_MS) + left) * MINUTE_MS))
            }
        }
    }
}

impl QuietHours {
    /// Until when it is quiet, if it is at this moment.
    pub fn last_until(&self, zone: &crate::Zone, now: Timestamp) -> Option<Timestamp> {
        let (_, minute) = week_minute(zone, now);
        let (from, to) = (i64::from(self.from.minutes()), i64::from(self.to.minutes()));
        let length = (to - from).rem_euclid(1440);
        let since = (minute - from).rem_euclid(1440);
        (since < length).then(|| Timestamp((now.0.div_euclid(MINUTE_MS) + length - since) * MINUTE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;

    fn ms(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_time_of_day_is_two_numbers_and_nothing_else() {
        for (text, minutes) in [
            ("00:00", Some(0)),
            ("23:59", Some(1439)),
            ("24:00", None),
            ("7:30", None),
            ("07:60", None),
            ("0a:00", None),
            ("", None),
        ] {
            assert_eq!(TimeOfDay::parse(text).map(TimeOfDay::minutes), minutes, "{text}");
        }
        assert_eq!(String::from(TimeOfDay::parse("07:05").unwrap()), "07:05");
    }

    #[test]
    fn quiet_hours_go_over_midnight_by_the_clock_of_their_zone() {
        let time = |text| TimeOfDay::parse(text).unwrap();
        let night = QuietHours { from: time("23:00"), to: time("08:00"), passes: Severity::Critical };
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let check = |at: &str, until: Option<&str>| {
            assert_eq!(night.last_until(&zone, ms(at)), until.map(ms), "{at}");
        };
        check("2026-11-20T14:59:59Z", None);
        check("2026-11-20T15:00:00Z", Some("2026-11-21T00:00:00Z"));
        check("2026-11-20T23:59:30Z", Some("2026-11-21T00:00:00Z"));
        check("2026-11-21T00:00:00Z", None);
        let never = QuietHours { from: time("08:00"), to: time("08:00"), passes: Severity::Critical };
        assert_eq!(never.last_until(&zone, ms("2026-11-21T00:00:00Z")), None);
    }

    #[test]
    fn a_pause_every_week_may_go_on_into_the_next_day() {
        // A Saturday evening for three hours.
        let when = When::Weekly {
            days: vec![6],
            from: TimeOfDay::parse("23:00").unwrap(),
            minutes: 180,
            zone: "UTC".into(),
        };
        let check =
            |at: &str, until: Option<&str>| assert_eq!(when.lasts_until(ms(at)), until.map(ms), "{at}");
        check("2026-11-21T22:59:59Z", None);
        check("2026-11-21T23:00:00Z", Some("2026-11-22T02:00:00Z"));
        check("2026-11-22T01:59:59Z", Some("2026-11-22T02:00:00Z"));
        check("2026-11-22T02:00:00Z", None);
        check("2026-11-22T23:30:00Z", None);
        // From Sunday into Monday, where the week begins anew.
        let when = When::Weekly {
            days: vec![7],
            from: TimeOfDay::parse("23:00").unwrap(),
            minutes: 120,
            zone: "UTC".into(),
        };
        assert_eq!(when.lasts_until(ms("2026-11-23T00:30:00Z")), Some(ms("2026-11-23T01:00:00Z")));
    }
}
