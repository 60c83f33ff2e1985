//! What tests of the whole program must know of the database, and how they make it fail.

use protocol::DeviceId;
use sqlx::{Sqlite, Transaction};

use crate::{Doing as _, Error, Store, lock};

/// Nobody writes while this lives.
pub struct Held(
    #[expect(dead_code, reason = "it is what it does when it is dropped")] Transaction<'static, Sqlite>,
);

impl Store {
    /// The numbers of all samples of a device, in order, each as often as it is there.
    pub async fn recorded_seqs(&self, device: DeviceId) -> Result<Vec<i64>, Error> {
        let no = lock(&self.inner.fleet).devices.get(&device).map(|d| d.no);
        sqlx::query_scalar("SELECT seq FROM samples_raw WHERE device_no = ? ORDER BY seq")
            .bind(no)
            .fetch_all(&self.inner.readers)
            .await
            .doing("reading the numbers")
    }

    /// The numbers of all messages of a device's spools, as ranges: "1-17,19-20".
    pub fn recorded_ranges(&self, device: DeviceId) -> Vec<String> {
        let fleet = lock(&self.inner.fleet);
        let no = fleet.devices.get(&device).map(|d| d.no);
        let spools = fleet.spools.iter().filter(|((of, _), _)| Some(*of) == no);
        spools.map(|(_, spool)| spool.seqs.to_string()).collect()
    }

    /// How many births, farewells and wills of a device are recorded.
    pub async fn recorded_presences(&self, device: DeviceId) -> Result<i64, Error> {
        let no = lock(&self.inner.fleet).devices.get(&device).map(|d| d.no);
        sqlx::query_scalar("SELECT count(*) FROM presence WHERE device_no = ?")
            .bind(no)
            .fetch_one(&self.inner.readers)
            .await
            .doing("counting")
    }

    /// How many rows a rung has, of all devices.
    pub async fn count_samples(&self, rung: crate::Rung) -> Result<i64, Error> {
        let table = if rung == crate::Rung::Raw { "samples_raw" } else { rung.table() };
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&self.inner.readers)
            .await
            .doing("counting")
    }

    /// Keeps everybody else from writing.
    pub async fn hold(&self) -> Result<Held, Error> {
        self.inner.writer.begin_with("BEGIN IMMEDIATE").await.map(Held).doing("holding")
    }

    /// Makes recording fail at once, as a full disk does, until [`Store::mend`].
    pub async fn break_recording(&self) -> Result<(), Error> {
        self.execute("ALTER TABLE sample_hot RENAME TO sample_gone").await
    }

    /// Ends what [`Store::break_recording`] began.
    pub async fn mend(&self) -> Result<(), Error> {
        self.execute("ALTER TABLE sample_gone RENAME TO sample_hot").await
    }

    /// Makes the database refuse samples with this number, and no others.
    pub async fn refuse_seq(&self, seq: u32) -> Result<(), Error> {
        self.execute(&format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON sample_hot WHEN new.seq = {seq}
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        ))
        .await
    }

    /// Moves all samples to where they stay.
    pub async fn settle_all(&self) -> Result<(), Error> {
        // What was under way, and then the rest.
        for _ in 0..2 {
            while self.settle(1_000).await? == crate::Settled::Partly {}
        }
        Ok(())
    }

    async fn execute(&self, sql: &str) -> Result<(), Error> {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&self.inner.writer).await.doing("preparing a test")?;
        Ok(())
    }
}
