//! Scheduled jobs and background tasks: how many, and how they ended. Never what they are about.

use protocol::{Cron, CronJob, Tasks, Timestamp};
use rusqlite::Connection;
use serde::Deserialize;

use super::boots::has_table;

/// How late a job may be.
const GRACE: i64 = 600_000;
/// How long a task may be silent.
const STUCK: i64 = 1_800_000;
const DAY: i64 = 86_400_000;
/// The most jobs that are named.
const MAX_TROUBLED: usize = 20;
/// The most jobs that are read.
const MAX_JOBS: u32 = 5_000;

/// What counts of a job, however it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Job {
    id: String,
    agent: Option<String>,
    enabled: bool,
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct State {
    next_run_at_ms: Option<i64>,
    running_at_ms: Option<i64>,
    last_run_at_ms: Option<i64>,
    last_run_status: Option<String>,
    last_status: Option<String>,
    consecutive_errors: Option<u32>,
}

/// Reads the jobs of the state database; `None` where it has no such table.
pub(crate) fn read_jobs(db: &Connection) -> rusqlite::Result<Option<Vec<Job>>> {
    if !has_table(db, "cron_jobs")? {
        return Ok(None);
    }
    let mut rows = db.prepare("SELECT job_id, agent_id, enabled, state_json FROM cron_jobs LIMIT ?")?;
    let jobs = rows.query_map([MAX_JOBS], |row| {
        let state: Option<String> = row.get(3)?;
        Ok(Job {
            id: row.get(0)?,
            agent: row.get(1)?,
            enabled: row.get::<_, Option<i64>>(2)?.unwrap_or(0) != 0,
            state: state.and_then(|state| serde_json::from_str(&state).ok()).unwrap_or_default(),
        })
    })?;
    jobs.collect::<Result<_, _>>().map(Some)
}

/// Reads the jobs of the file in which they were before 2026.6.
pub(crate) fn parse_jobs(text: &str) -> Option<Vec<Job>> {
    #[derive(Deserialize)]
    struct File {
        jobs: Vec<OfFile>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OfFile {
        id: String,
        #[serde(default)]
        agent_id: Option<String>,
        #[serde(default = "yes")]
        enabled: bool,
        #[serde(default)]
        state: State,
    }
    fn yes() -> bool {
        true
    }
    let file: File = serde_json::from_str(text).ok()?;
    let job = |job: OfFile| Job { id: job.id, agent: job.agent_id, enabled: job.enabled, state: job.state };
    Some(file.jobs.into_iter().map(job).collect())
}

/// Counts. `up_since` is since when the gateway runs: while it does not, nothing can be missed, and after its start it first
/// makes up for what was due.
pub(crate) fn judge(jobs: &[Job], up_since: Option<Timestamp>, now: Timestamp) -> Cron {
    let limit = now.plus_millis(-GRACE);
    let can_miss = up_since.is_some_and(|since| since < limit);
    let mut cron = Cron::default();
    for job in jobs.iter().filter(|job| job.enabled) {
        let Job { state, .. } = job;
        cron.enabled += 1;
        let status = state.last_run_status.as_ref().or(state.last_status.as_ref());
        // `skipped` is no failure: a heartbeat that has nobody to tell is skipped each time.
        let fails = status.is_some_and(|status| status == "error");
        let due = state.next_run_at_ms.map(Timestamp);
        let is_missed = can_miss && state.running_at_ms.is_none() && due.is_some_and(|due| due < limit);
        cron.failing += u32::from(fails);
        cron.missed += u32::from(is_missed);
        if (fails || is_missed) && cron.troubled.len() < MAX_TROUBLED {
            cron.troubled.push(CronJob {
                id: clip(&job.id),
                agent: job.agent.as_deref().map(clip),
                last_status: status.map(|status| clip(status)),
                last_run_at: state.last_run_at_ms.map(Timestamp),
                due_at: due,
                consecutive_errors: state.consecutive_errors.unwrap_or(0),
            });
        }
    }
    cron
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Counts the background tasks; `None` where there is no such table.
pub(crate) fn read_tasks(db: &Connection, now: Timestamp) -> rusqlite::Result<Option<Tasks>> {
    if !has_table(db, "task_runs")? {
        return Ok(None);
    }
    // Nothing but states and times is asked for: the other columns hold what was said.
    db.query_row(
        "SELECT coalesce(sum(status IN ('queued', 'running')), 0),
                coalesce(sum(status = 'running' AND coalesce(last_event_at, started_at, created_at) < ?1), 0),
                coalesce(sum(status IN ('failed', 'timed_out', 'lost')
                             AND coalesce(ended_at, last_event_at, created_at) >= ?2), 0)
         FROM task_runs",
        [now.0.saturating_sub(STUCK), now.0.saturating_sub(DAY)],
        |row| Ok(Some(Tasks { active: row.get(0)?, stuck: row.get(1)?, failed_day: row.get(2)? })),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{sqlite, tests::unpacked};
    use super::*;

    #[test]
    fn the_real_jobs_and_tasks_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = unpacked(dir.path(), "2026.9.6/state/openclaw.sqlite.gz");
        let now = Timestamp(1_795_151_900_000);
        let up = Some(Timestamp(1_795_149_899_226));
        let jobs = sqlite::read(&path, read_jobs).unwrap().unwrap();
        let cron = judge(&jobs, up, now);
        assert_eq!((cron.enabled, cron.failing, cron.missed), (6, 1, 0));
        let job = &cron.troubled[0];
        assert_eq!(job.id, "5fa2c196-8e0b-460b-9f58-79167070ddde");
        assert_eq!((job.last_status.as_deref(), job.consecutive_errors), (Some("error"), 1));
        let sent = serde_json::to_string(&cron).unwrap();
        for private in ["lab-", "private-text", "Authentication", "heartbeat", "Dreaming"] {
            assert!(!sent.contains(private), "{sent}");
        }
        let tasks = sqlite::read(&path, |db| read_tasks(db, now)).unwrap().unwrap();
        assert_eq!(tasks, Tasks { active: 0, stuck: 0, failed_day: 10 });
        let later = Timestamp(now.0 + 2 * DAY);
        let tasks = sqlite::read(&path, |db| read_tasks(db, later)).unwrap().unwrap();
        assert_eq!(tasks.failed_day, 0);
        // Two hours on, with nothing of it done.
        assert_eq!(judge(&jobs, up, Timestamp(now.0 + 7_200_000)).missed, 3);
        assert_eq!(judge(&jobs, None, Timestamp(now.0 + 7_200_000)).missed, 0);
        let just_started = Some(Timestamp(now.0 + 7_100_000));
        assert_eq!(judge(&jobs, just_started, Timestamp(now.0 + 7_200_000)).missed, 0);
    }

    #[test]
    fn what_is_off_or_running_is_not_missed() {
        let jobs = parse_jobs(
            r#"{"version": 1, "jobs": [
                {"id": "a", "enabled": false, "name": "private", "state": {"nextRunAtMs": 1, "lastStatus": "error"}},
                {"id": "b", "agentId": "main", "state": {"nextRunAtMs": 1, "runningAtMs": 2}},
                {"id": "c", "state": {"nextRunAtMs": 1, "lastStatus": "skipped", "lastError": "private"}},
                {"id": "d"}]}"#,
        );
        let cron = judge(&jobs.unwrap(), Some(Timestamp(0)), Timestamp(GRACE * 2));
        assert_eq!((cron.enabled, cron.failing, cron.missed, cron.troubled.len()), (3, 0, 1, 1));
        assert_eq!(cron.troubled[0].id, "c");
        for bad in ["", "{}", "[]", r#"{"jobs": 1}"#] {
            assert_eq!(parse_jobs(bad), None);
        }
        let none = Connection::open_in_memory().unwrap();
        assert_eq!((read_jobs(&none).unwrap(), read_tasks(&none, Timestamp(0)).unwrap()), (None, None));
    }

    #[test]
    fn a_silent_task_is_stuck() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE task_runs (status, created_at, started_at, ended_at, last_event_at);
             INSERT INTO task_runs VALUES ('running', 0, 0, NULL, NULL), ('running', 0, 0, NULL, 90000000),
             ('queued', 0, NULL, NULL, NULL), ('lost', 0, 0, NULL, 90000000), ('failed', 0, 0, 5, NULL)",
        )
        .unwrap();
        let tasks = read_tasks(&db, Timestamp(90_000_000)).unwrap();
        assert_eq!(tasks, Some(Tasks { active: 3, stuck: 1, failed_day: 1 }));
    }
}
