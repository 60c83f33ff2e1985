//! What keeps the history in order: moving what is fresh to where it stays, and forgetting what is too old.
//!
//! All of it in steps of about [`STEP`], with as long a pause behind each: whoever records waits for one step at most.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use store::{Expiring, Keep, Settled, Store};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// How long the writer is held at a time.
const STEP: Duration = Duration::from_millis(30);
const FIRST_ROWS: usize = 1_000;
const ROWS: std::ops::RangeInclusive<usize> = 100..=20_000;
/// Samples settle this often ...
const SETTLE_EVERY: Duration = Duration::from_mins(30);
/// ... or when so many of each device wait, as whoever asks for its past reads them one by one ...
const SETTLE_EACH: usize = 300;
/// ... but hardly for less than this, and not for more.
const SETTLE_ROWS: std::ops::RangeInclusive<usize> = 100_000..=1_000_000;
const EXPIRE_EVERY: Duration = Duration::from_mins(10);
/// A server that has just started has better things to do.
const FIRST_EXPIRE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a crash the server was down since the last such note.
const NOTE_EVERY: Duration = Duration::from_secs(30);

/// How many rows a step takes, found out by how long the one before took.
struct Pace {
    rows: usize,
}

impl Pace {
    fn learn(&mut self, took: Duration) {
        let wanted = STEP.as_secs_f64() / took.as_secs_f64().max(0.000_1);
        // At most twice or half: one slow step says little.
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few thousand"
        )]
        let rows = (self.rows as f64 * wanted.clamp(0.5, 2.0)) as usize;
        self.rows = rows.clamp(*ROWS.start(), *ROWS.end());
    }
}

/// One step, then as long a pause; how long it took. `None` when it failed: the next round tries again.
async fn step<T>(deed: impl Future<Output = Result<T, store::Error>>) -> Option<(T, Duration)> {
    let start = Instant::now();
    match deed.await {
        Ok(done) => {
            let took = start.elapsed();
            sleep(took.max(Duration::from_millis(1))).await;
            Some((done, took))
        }
        Err(error) => {
            warn!(error = &error as &dyn Error, "keeping the history in order failed, it is tried again");
            None
        }
    }
}

/// Keeps the history in order until it is told to stop. What is under way is finished at the next start.
pub async fn keep_in_order(store: Store, keep: Keep, shutdown: CancellationToken) {
    let work = async {
        let mut pace = Pace { rows: FIRST_ROWS };
        let start = Instant::now();
        let (mut settled_at, mut noted_at, mut expired_at) = (start, start, None::<Instant>);
        loop {
            sleep(LOOK_EVERY).await;
            if noted_at.elapsed() >= NOTE_EVERY {
                noted_at = Instant::now();
                step(store.note_alive()).await;
            }
            step(store.label_outages()).await;
            let many = (store.count_devices() * SETTLE_EACH).clamp(*SETTLE_ROWS.start(), *SETTLE_ROWS.end());
            if store.unsettled() >= many || settled_at.elapsed() >= SETTLE_EVERY {
                settled_at = Instant::now();
                settle(&store, &mut pace).await;
            }
            let due = expired_at.map_or(start + FIRST_EXPIRE, |at| at + EXPIRE_EVERY);
            if Instant::now() >= due {
                expired_at = Some(Instant::now());
                expire(&store, &keep, &mut pace).await;
                expire_errors(&store, &keep).await;
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

/// Error records of one step.
const ERRORS: u32 = 500;

async fn expire_errors(store: &Store, keep: &Keep) {
    let before = store.clock().now().plus_millis(-keep.errors_ms);
    while let Some((1.., _)) = step(store.expire_errors(before, ERRORS)).await {}
}

async fn settle(store: &Store, pace: &mut Pace) {
    let (start, rows) = (Instant::now(), store.unsettled());
    while let Some((done, took)) = step(store.settle(pace.rows)).await {
        pace.learn(took);
        if done == Settled::Wholly {
            break;
        }
    }
    debug!(rows, duration_ms = start.elapsed().as_millis(), "samples settled");
}

async fn expire(store: &Store, keep: &Keep, pace: &mut Pace) {
    // Each round of a database that is too large takes a part of a day away.
    for _ in 0..100 {
        let Some((sizes, _)) = step(store.sizes()).await else { return };
        let (before, plan) = (store.horizon(), keep.plan(store.horizon(), sizes, store.clock().now()));
        let too_large = keep.max_bytes > 0 && sizes.used > keep.max_bytes;
        if step(store.set_horizon(plan)).await.is_none() {
            return;
        }
        let mut at = Some(Expiring::default());
        while let Some(here) = at {
            let Some((next, took)) = step(store.expire(here, pace.rows)).await else { return };
            pace.learn(took);
            at = next;
        }
        if !too_large || plan == before {
            return;
        }
        info!(
            used_bytes = sizes.used,
            max_bytes = keep.max_bytes,
            "the oldest samples went, the database is too large"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_what_a_step_takes() {
        let mut pace = Pace { rows: 1_000 };
        pace.learn(STEP);
        assert_eq!(pace.rows, 1_000);
        pace.learn(STEP * 10);
        assert_eq!(pace.rows, 500);
        (0..20).for_each(|_| pace.learn(STEP * 10));
        assert_eq!(pace.rows, *ROWS.start());
        (0..20).for_each(|_| pace.learn(Duration::ZERO));
        assert_eq!(pace.rows, *ROWS.end());
    }
}
