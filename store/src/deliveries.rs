//! Deliveries: one notification to one channel, in as many attempts as it takes. All that is known of them is here, so that
//! after a kill at any moment each notification still arrives, under the same id.

use protocol::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::page::{Filtered as _, Page, Place};
use crate::{Change, Doing as _, Error, Store};

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    /// It is to be sent, now or when it is due again.
    Waiting,
    /// It is kept back until it is due, as in quiet hours.
    Held,
    /// It arrived.
    Sent,
    /// It was given up.
    Failed,
    /// It was not sent, and need not be.
    Skipped,
}

impl DeliveryState {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Held, Self::Sent, Self::Failed, Self::Skipped];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A delivery that is not done, without what it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its number: they are sent in this order.
    pub no: i64,
    /// The alert's number.
    pub alert: Option<i64>,
    /// Why it is told, in a word.
    pub occasion: String,
    /// It is kept back on purpose until it is due.
    pub held: bool,
    /// When it was made.
    pub made_at: Timestamp,
    /// Not before this moment.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
}

/// All that is needed to send a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSend {
    /// Its place in the queue.
    pub queued: Queued,
    /// Its id, the same in each attempt.
    pub id: String,
    /// What is told, as JSON.
    pub body: String,
    /// When it was tried first.
    pub first_tried_at: Option<Timestamp>,
    /// What the channel calls its message about the alert.
    pub handle: Option<String>,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// It arrived.
    pub ok: bool,
    /// What the other side said, shortened, without secrets.
    pub answer: String,
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterAttempt {
    /// It arrived; the other side calls it this.
    Sent {
        /// Its name for the message about the alert; `None`: what is known stays.
        handle: Option<String>,
    },
    /// It is tried again at this moment.
    Again(Timestamp),
    /// It is given up: why, in a word.
    GivenUp(&'static str),
}

/// A delivery as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number, growing with every delivery.
    pub no: i64,
    /// Its id, the same in each attempt.
    pub id: String,
    /// The channel's id.
    pub channel: String,
    /// The alert's number.
    pub alert: Option<i64>,
    /// Why it is told, in a word.
    pub occasion: String,
    /// What is told, as JSON.
    pub body: String,
    /// What became of it.
    pub state: DeliveryState,
    /// Why it is held, was skipped or was given up, in a word.
    pub why: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it is tried (again).
    pub due_at: Timestamp,
    /// When it was done.
    pub done_at: Option<Timestamp>,
    /// Its attempts, oldest first; of many the last 50.
    pub attempts: Vec<Attempt>,
}

impl Delivery {
    /// Where it stands in the list.
    pub fn place(&self) -> Place {
        Place { at: self.made_at, no: self.no }
    }
}

/// Which deliveries. Empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this channel.
    pub channel: Option<String>,
    /// In one of these states.
    pub states: Vec<DeliveryState>,
    /// About this alert.
    pub alert: Option<i64>,
    /// Of one of these occasions, by their words.
    pub occasions: Vec<&'static str>,
}

/// How a channel fails: attempts since the last that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streak {
    /// How many.
    pub failures: u32,
    /// When the first of them was.
    pub since: Timestamp,
    /// What the other side said last.
    pub why: String,
    /// Something was given up because of the channel's settings.
    pub settings: bool,
}

/// Why a delivery was given up: the channel's settings do not work.
pub const GIVEN_UP_SETTINGS: &str = "settings";
/// Attempts of a delivery that are shown.
const ATTEMPTS: u32 = 50;

const SELECT_QUEUED: &str = "SELECT no, alert_no, occasion, state, made_at, due_at, tries FROM delivery d";

impl Store {
    /// What is not done of a channel, in the order in which it is sent: what is due before what is not.
    pub async fn queue(&self, channel: &str, limit: u32) -> Result<Vec<Queued>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT_QUEUED);
        query
            .push(" WHERE channel_id = ")
            .push_bind(channel)
            .push(" AND state IN ('waiting', 'held') ORDER BY due_at > ")
            .push_bind(self.inner.clock.now().0)
            .push(", no LIMIT ")
            .push_bind(limit);
        let rows = query.build().fetch_all(&self.inner.readers).await.doing("reading what is to be sent")?;
        let mut rows: Vec<Queued> = rows.iter().map(queued).collect();
        rows.sort_unstable_by_key(|row| row.no);
        Ok(rows)
    }

    /// What is needed to send a delivery; `None` when it is done, or gone.
    pub async fn to_send(&self, no: i64) -> Result<Option<ToSend>, Error> {
        let row = sqlx::query(
            "SELECT d.*, h.handle, (SELECT min(at) FROM attempt WHERE delivery_no = d.no) AS first_tried_at
             FROM delivery d
             LEFT JOIN delivery_handle h ON h.channel_id = d.channel_id AND h.alert_no = d.alert_no
             WHERE d.no = ? AND d.state IN ('waiting', 'held')",
        )
        .bind(no)
        .fetch_optional(&self.inner.readers)
        .await
        .doing("reading what is to be sent")?;
        Ok(row.map(|row| ToSend {
            queued: queued(&row),
            id: row.get("id"),
            body: row.get("body"),
            first_tried_at: row.get::<Option<i64>, _>("first_tried_at").map(Timestamp),
            handle: row.get("handle"),
        }))
    }

    /// Takes down an attempt and what follows from it, together: what was sent is not forgotten, and what was not sent is not
    /// taken for sent.
    pub async fn note_attempt(&self, no: i64, attempt: &Attempt, after: &AfterAttempt) -> Result<(), Error> {
        let doing = "noting an attempt";
        let now = self.inner.clock.now();
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        let (state, due_at, done_at, why) = match after {
            AfterAttempt::Sent { .. } => (DeliveryState::Sent, None, Some(now.0), None),
            AfterAttempt::Again(at) => (DeliveryState::Waiting, Some(at.0), None, None),
            AfterAttempt::GivenUp(why) => (DeliveryState::Failed, None, Some(now.0), Some(*why)),
        };
        // It may be gone, with its channel or its alert.
        let known: Option<(String, Option<i64>)> = sqlx::query_as(
            "UPDATE delivery SET state = ?, due_at = coalesce(?, due_at), done_at = ?, why = ?, tries = tries + 1
             WHERE no = ? RETURNING channel_id, alert_no",
        )
        .bind(state.as_str())
        .bind(due_at)
        .bind(done_at)
        .bind(why)
        .bind(no)
        .fetch_optional(&mut *tx)
        .await
        .doing(doing)?;
        let Some((channel, alert)) = known else { return Ok(()) };
        sqlx::query("INSERT INTO attempt (delivery_no, at, took_ms, ok, answer) VALUES (?, ?, ?, ?, ?)")
            .bind(no)
            .bind(attempt.at.0)
            .bind(attempt.took_ms)
            .bind(attempt.ok)
            .bind(&attempt.answer)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        if let (AfterAttempt::Sent { handle: Some(handle) }, Some(alert)) = (after, alert) {
            sqlx::query(
                "INSERT INTO delivery_handle (channel_id, alert_no, handle) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET handle = excluded.handle",
            )
            .bind(channel)
            .bind(alert)
            .bind(handle)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        }
        tx.commit().await.doing(doing)?;
        self.announce(Change::Deliveries);
        Ok(())
    }

    /// Takes down that deliveries need not be sent: why, in a word.
    pub async fn skip_deliveries(&self, numbers: &[i64], why: &str) -> Result<(), Error> {
        if numbers.is_empty() {
            return Ok(());
        }
        let mut query = QueryBuilder::<Sqlite>::new("UPDATE delivery SET state = 'skipped', why = ");
        query.push_bind(why).push(", done_at = ").push_bind(self.inner.clock.now().0);
        query.push(" WHERE state IN ('waiting', 'held') AND no IN (");
        let mut list = query.separated(", ");
        for no in numbers {
            list.push_bind(*no);
        }
        query.push(")");
        query.build().execute(&self.inner.writer).await.doing("skipping deliveries")?;
        self.announce(Change::Deliveries);
        Ok(())
    }

    /// How a channel fails; `None`: its last attempt arrived, or there was none.
    pub async fn failing_streak(&self, channel: &str) -> Result<Option<Streak>, Error> {
        let row = sqlx::query(
            "WITH tried AS (
                SELECT a.no, a.at, a.ok, a.answer, d.state = 'failed' AND d.why = ?2 AS settings
                FROM attempt a JOIN delivery d ON d.no = a.delivery_no WHERE d.channel_id = ?1)
             SELECT count(*) AS failures, min(at) AS since, max(settings) AS settings,
                (SELECT answer FROM tried ORDER BY no DESC LIMIT 1) AS why
             FROM tried WHERE no > coalesce((SELECT max(no) FROM tried WHERE ok), 0)",
        )
        .bind(channel)
        .bind(GIVEN_UP_SETTINGS)
        .fetch_one(&self.inner.readers)
        .await
        .doing("reading how a channel fails")?;
        let failures: u32 = row.get("failures");
        Ok((failures > 0).then(|| Streak {
            failures,
            since: Timestamp(row.get("since")),
            why: row.get("why"),
            settings: row.get("settings"),
        }))
    }

    /// Deliveries with their attempts, the newest first.
    pub async fn deliveries(&self, filter: &DeliveryFilter, page: Page) -> Result<Vec<Delivery>, Error> {
        // In one question: an attempt and what followed from it are seen together.
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT d.*, (SELECT json_group_array(json_array(no, at, took_ms, ok, answer)) FROM (
                SELECT * FROM attempt WHERE delivery_no = d.no ORDER BY no DESC LIMIT ",
        );
        query.push_bind(ATTEMPTS).push(")) AS attempts FROM delivery d WHERE 1");
        query.one_of("d.channel_id", filter.channel.as_deref().into_iter());
        query.one_of("d.state", filter.states.iter().map(|state| state.as_str()));
        query.one_of("d.occasion", filter.occasions.iter().copied());
        if let Some(alert) = filter.alert {
            query.push(" AND d.alert_no = ").push_bind(alert);
        }
        if let Some(Place { at, no }) = page.after {
            query.push(" AND (d.made_at, d.no) < (").push_bind(at.0).push(", ").push_bind(no).push(")");
        }
        query.push(" ORDER BY d.made_at DESC, d.no DESC LIMIT ").push_bind(page.limit);
        let rows = self.reader().await?.fetch_all("reading deliveries", query.build()).await?;
        Ok(rows.iter().filter_map(delivery).collect())
    }

    /// Forgets some of what was done before a moment. Returns how many went: 0 when there is nothing more.
    pub async fn forget_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        sqlx::query(
            "DELETE FROM delivery WHERE no IN (
                SELECT no FROM delivery WHERE made_at < ? AND state IN ('sent', 'failed', 'skipped')
                ORDER BY made_at LIMIT ?)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&self.inner.writer)
        .await
        .map(|done| done.rows_affected())
        .doing("forgetting deliveries")
    }
}

fn queued(row: &SqliteRow) -> Queued {
    Queued {
        no: row.get("no"),
        alert: row.get("alert_no"),
        occasion: row.get("occasion"),
        held: row.get::<&str, _>("state") == DeliveryState::Held.as_str(),
        made_at: Timestamp(row.get("made_at")),
        due_at: Timestamp(row.get("due_at")),
        tries: row.get("tries"),
    }
}

fn delivery(row: &SqliteRow) -> Option<Delivery> {
    Some(Delivery {
        no: row.get("no"),
        id: row.get("id"),
        channel: row.get("channel_id"),
        alert: row.get("alert_no"),
        occasion: row.get("occasion"),
        body: row.get("body"),
        state: DeliveryState::parse(row.get("state"))?,
        why: row.get("why"),
        made_at: Timestamp(row.get("made_at")),
        due_at: Timestamp(row.get("due_at")),
        done_at: row.get::<Option<i64>, _>("done_at").map(Timestamp),
        attempts: attempts(row.get("attempts")),
    })
}

/// The attempts of a delivery, as JSON: number, time, duration, end and answer of each.
fn attempts(json: &str) -> Vec<Attempt> {
    let mut rows: Vec<(i64, i64, i64, i64, String)> = serde_json::from_str(json).unwrap_or_default();
    rows.sort_unstable_by_key(|row| row.0);
    let attempt = |(_, at, took_ms, ok, answer)| Attempt { at: Timestamp(at), took_ms, ok: ok != 0, answer };
    rows.into_iter().map(attempt).collect()
}
