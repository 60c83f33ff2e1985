//! Reading with a time limit.
//!
//! A question that somebody asks over HTTP goes through [`Store::reader`]:
//!
//! ```ignore
//! let mut reader = self.reader().await?;
//! let rows = reader.fetch_all("reading errors", sqlx::query("SELECT ...").bind(from)).await?;
//! ```
//!
//! Waiting for a connection and all that is asked through it take [`LIMIT`] together, and then end with
//! [`Error::TooSlow`], which the API tells the user with what to do. Without it one question over years of data could
//! keep a reader from everybody else; there are few. What must run as long as it takes (a start, a backup) asks the pool.
//! So does what is answered at once, such as who sends a token: one connection is always left for that, or whoever asks
//! fifty large questions would lock everybody out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqlitePool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Store};

/// For what somebody waits for before a page.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
/// For a page of an export. The API begins to answer within half a minute or gives up.
const EXPORT_LIMIT: Duration = Duration::from_secs(25);
/// Steps of SQLite's machine between two looks at the clock: well below a millisecond.
const STEPS: i32 = 4_000;
/// SQLite's code for "interrupted".
const INTERRUPTED: &str = "9";

/// A connection for reading, for a limited time.
pub(crate) struct Reader {
    connection: PoolConnection<Sqlite>,
    /// Whether the time limit holds. SQLite keeps what looks at it when the connection goes back to the pool.
    armed: Arc<AtomicBool>,
    /// A question has no answer yet.
    asking: bool,
    _place: OwnedSemaphorePermit,
}

/// How many read at once with a time limit: all but one.
pub(crate) fn places(readers: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(readers).unwrap_or(usize::MAX).saturating_sub(1).max(1)))
}

impl Reader {
    pub(crate) async fn within(
        pool: &SqlitePool,
        places: &Arc<Semaphore>,
        limit: Duration,
    ) -> Result<Self, Error> {
        let deadline = Instant::now() + limit;
        let doing = "waiting for a connection";
        let sql = |source| Error::Sql { doing, source };
        let place_and_connection = async {
            // Nobody closes it.
            let place = places.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
            Ok((place, pool.acquire().await?))
        };
        let both = tokio::time::timeout(limit, place_and_connection).await;
        let (place, connection) = both.map_err(|_| Error::TooSlow { doing })?.map_err(sql)?;
        let armed = Arc::new(AtomicBool::new(true));
        let mut reader = Self { connection, armed: armed.clone(), asking: false, _place: place };
        let mut handle = reader.connection.lock_handle().await.map_err(sql)?;
        handle
            .set_progress_handler(STEPS, move || !armed.load(Ordering::Relaxed) || Instant::now() < deadline);
        drop(handle);
        Ok(reader)
    }

    /// All rows of an answer.
    pub(crate) async fn fetch_all(
        &mut self,
        doing: &'static str,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Vec<SqliteRow>, Error> {
        self.asking = true;
        let answer = query.fetch_all(&mut *self.connection).await;
        self.asking = false;
        answer.map_err(|source| {
            let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
            if code.as_deref() == Some(INTERRUPTED) {
                Error::TooSlow { doing }
            } else {
                Error::Sql { doing, source }
            }
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.asking {
            // Whoever asked has gone. SQLite does not know and works on until the limit: nobody else may have it.
            self.connection.close_on_drop();
        } else {
            self.armed.store(false, Ordering::Relaxed);
        }
    }
}

impl Store {
    /// A connection for a question that somebody waits for.
    pub(crate) async fn reader(&self) -> Result<Reader, Error> {
        Reader::within(&self.inner.readers, &self.inner.asking, LIMIT).await
    }

    /// The same for a page of an export: a rare thing is looked for in all that there is.
    pub(crate) async fn export_reader(&self) -> Result<Reader, Error> {
        Reader::within(&self.inner.readers, &self.inner.asking, EXPORT_LIMIT).await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    const ENDLESS: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    const LONG: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT count(*) FROM n";

    async fn pool() -> SqlitePool {
        SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap()
    }

    #[tokio::test]
    async fn an_endless_question_ends_and_the_connection_is_good_again() {
        let pool = pool().await;
        let mut reader = Reader::within(&pool, &places(1), Duration::from_millis(20)).await.unwrap();
        let answer = reader.fetch_all("counting", sqlx::query(ENDLESS)).await;
        assert!(matches!(answer, Err(Error::TooSlow { doing: "counting" })));
        drop(reader);
        // Long after the deadline, without a limit and with a new one.
        sqlx::query(LONG).fetch_all(&pool).await.unwrap();
        let mut reader = Reader::within(&pool, &places(1), LIMIT).await.unwrap();
        assert_eq!(reader.fetch_all("counting", sqlx::query(LONG)).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_takes_its_connection_along() {
        let pool = pool().await;
        let mut reader = Reader::within(&pool, &places(1), Duration::from_millis(300)).await.unwrap();
        let given_up = tokio::time::timeout(
            Duration::from_millis(1),
            reader.fetch_all("counting", sqlx::query(ENDLESS)),
        );
        assert!(given_up.await.is_err());
        drop(reader);
        sqlx::query(LONG).fetch_all(&pool).await.unwrap();
    }

    #[tokio::test]
    async fn waiting_for_a_connection_counts() {
        let pool = pool().await;
        let _held = pool.acquire().await.unwrap();
        let waited = Reader::within(&pool, &places(1), Duration::from_millis(5)).await;
        assert!(matches!(waited, Err(Error::TooSlow { .. })));
    }

    #[tokio::test]
    async fn one_connection_is_left_for_what_is_answered_at_once() {
        let (folder, clock) = (tempfile::TempDir::new().unwrap(), protocol::Clock::system());
        let config = crate::Config {
            data_dir: folder.path().to_owned(),
            create: true,
            topic_root: protocol::TopicRoot::default(),
            readers: 1,
        };
        let store = Store::open(config, clock).await.unwrap();
        let mut held = Vec::new();
        let soon = Duration::from_millis(50);
        while let Ok(reader) = Reader::within(&store.inner.readers, &store.inner.asking, soon).await {
            held.push(reader);
        }
        assert!(!held.is_empty());
        assert_eq!(store.person("nobody").await.unwrap(), None);
    }
}
