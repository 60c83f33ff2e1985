//! What of a home changes slowly: versions, agents, sessions, jobs, tasks, workspaces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{Cron, Tasks, Timestamp, Workspace};
use rusqlite::Connection;
use serde::Deserialize;

use super::boots::has_table;
use super::config::{self, Config};
use super::process::{self, Running};
use super::{Home, cron, sqlite, workspace};

/// How recent a session must be to count as active, in milliseconds.
const ACTIVE: i64 = 900_000;
/// How often workspaces are walked through, in milliseconds: that costs the most by far.
const WALK_PAUSE: i64 = 600_000;
/// The most agents that are looked at.
const MAX_AGENTS: usize = 64;
/// The longest of the old lists of sessions and jobs.
const MAX_LIST: u64 = 16 * 1024 * 1024;

/// What the slow part must know.
pub(super) struct Question {
    pub(super) home: Home,
    pub(super) config: Option<Arc<Config>>,
    pub(super) running: Option<Running>,
    pub(super) up_since: Option<Timestamp>,
    /// Where the program lay when it was last seen.
    pub(super) package: Option<PathBuf>,
    pub(super) now: Timestamp,
}

/// What it found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Slow {
    pub(super) installed_version: Option<String>,
    pub(super) package: Option<PathBuf>,
    pub(super) agents: Option<u32>,
    pub(super) sessions: Option<u32>,
    pub(super) sessions_active: Option<u32>,
    pub(super) cron: Option<Cron>,
    pub(super) tasks: Option<Tasks>,
    pub(super) workspaces: Vec<Workspace>,
}

/// What it remembers.
#[derive(Default)]
pub(super) struct Memory {
    walked_at: Option<Timestamp>,
    workspaces: Vec<Workspace>,
    config: Option<Arc<Config>>,
}

/// Reads it all.
pub(super) fn read(question: &Question, memory: &mut Memory) -> Slow {
    let mut slow = Slow::default();
    (slow.installed_version, slow.package) = installed(question);
    let home = &question.home;
    let now = question.now;
    let database = home.state_dir.join("state/openclaw.sqlite");
    let from_database = sqlite::read(&database, |db| {
        Ok((cron::read_jobs(db)?, cron::read_tasks(db, now)?, agent_databases(db).unwrap_or_default()))
    });
    let (jobs, tasks, databases) = from_database.unwrap_or_default();
    let jobs = jobs
        .or_else(|| cron::parse_jobs(&config::read(&home.state_dir.join("cron/jobs.json"), MAX_LIST).ok()?));
    slow.cron = jobs.map(|jobs| cron::judge(&jobs, question.up_since, now));
    slow.tasks = tasks;
    let config = question.config.clone().unwrap_or_default();
    let agents = agents(home, &config, &databases);
    slow.agents = u32::try_from(agents.len()).ok().filter(|count| *count > 0);
    (slow.sessions, slow.sessions_active) = sessions(home, &config, &agents, &databases, now);
    let due = memory.walked_at.is_none_or(|at| now.millis_since(at).abs() >= WALK_PAUSE);
    // One that is not there costs nothing to look for again: it is made by the first turn.
    if due || memory.workspaces.is_empty() || memory.config != question.config {
        memory.workspaces = workspaces(home, &config, &agents);
        memory.walked_at = Some(now);
        memory.config.clone_from(&question.config);
    }
    slow.workspaces.clone_from(&memory.workspaces);
    slow
}

/// The version on disk, and where it lies.
fn installed(question: &Question) -> (Option<String>, Option<PathBuf>) {
    if let Some(package) = question.running.as_ref().and_then(process::package)
        && let Some(version) = process::version_in(&package.inside)
    {
        return (Some(version), Some(package.folder));
    }
    let usual = process::package_folders(&question.home.user_home);
    let mut folders = question.package.iter().chain(&usual);
    folders
        .find_map(|folder| Some((Some(process::version_in(folder)?), Some(folder.clone()))))
        .unwrap_or((None, question.package.clone()))
}

fn agent_databases(db: &Connection) -> rusqlite::Result<BTreeMap<String, PathBuf>> {
    if !has_table(db, "agent_databases")? {
        return Ok(BTreeMap::new());
    }
    let mut rows =
        db.prepare("SELECT agent_id, path FROM agent_databases ORDER BY last_seen_at LIMIT 256")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, PathBuf::from(row.get::<_, String>(1)?))))?;
    rows.collect()
}

/// The agents: those of the configuration; else those that have a database, or a folder.
fn agents(home: &Home, config: &Config, databases: &BTreeMap<String, PathBuf>) -> BTreeSet<String> {
    let mut agents: BTreeSet<String> = config.agents.iter().map(|agent| agent.id.clone()).collect();
    if agents.is_empty() {
        agents.extend(databases.keys().cloned());
    }
    if agents.is_empty() {
        let entries = std::fs::read_dir(home.state_dir.join("agents")).into_iter().flatten().flatten();
        let folders = entries.take(MAX_AGENTS).filter(|entry| entry.path().is_dir());
        agents.extend(folders.filter_map(|entry| entry.file_name().into_string().ok()));
    }
    while agents.len() > MAX_AGENTS {
        agents.pop_last();
    }
    agents
}

fn sessions(
    home: &Home,
    config: &Config,
    agents: &BTreeSet<String>,
    databases: &BTreeMap<String, PathBuf>,
    now: Timestamp,
) -> (Option<u32>, Option<u32>) {
    let since = now.0.saturating_sub(ACTIVE);
    let mut counted = None;
    for agent in agents {
        let folder = home.state_dir.join("agents").join(agent);
        let entry = config.agents.iter().find(|entry| entry.id == *agent);
        let own = entry.and_then(|entry| entry.agent_dir.clone()).unwrap_or_else(|| folder.join("agent"));
        let database = match databases.get(agent) {
            Some(path) => home.state_dir.join(path),
            None => own.join("openclaw-agent.sqlite"),
        };
        let of_database = || sqlite::read(&database, |db| count_sessions(db, since)).ok();
        let of_file = || {
            let text = config::read(&folder.join("sessions/sessions.json"), MAX_LIST).ok()?;
            count_listed(&text, since)
        };
        if let Some((all, active)) = of_database().or_else(of_file) {
            let (all_before, active_before) = counted.unwrap_or((0_u32, 0_u32));
            counted = Some((all_before.saturating_add(all), active_before.saturating_add(active)));
        }
    }
    (counted.map(|(all, _)| all), counted.map(|(_, active)| active))
}

fn count_sessions(db: &Connection, since: i64) -> rusqlite::Result<(u32, u32)> {
    db.query_row(
        "SELECT count(*), coalesce(sum(coalesce(w.transcript_updated_at, n.updated_at) >= ?1), 0)
         FROM session_nodes n LEFT JOIN session_windows w ON w.session_id = n.current_session_id",
        [since],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Counts the sessions of the file in which they were before 2026.8.
fn count_listed(text: &str, since: i64) -> Option<(u32, u32)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        #[serde(default)]
        updated_at: Option<f64>,
    }
    let entries: BTreeMap<String, Entry> = serde_json::from_str(text).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in it")]
    let since = since as f64;
    let active = entries.values().filter(|entry| entry.updated_at.is_some_and(|at| at >= since)).count();
    Some((u32::try_from(entries.len()).ok()?, u32::try_from(active).ok()?))
}

fn workspaces(home: &Home, config: &Config, agents: &BTreeSet<String>) -> Vec<Workspace> {
    let mut seen = BTreeSet::new();
    let is_only = agents.len() == 1;
    let mut found = Vec::new();
    for agent in agents {
        let own =
            config.agents.iter().find(|entry| entry.id == *agent).and_then(|entry| entry.workspace.clone());
        let common = || config.workspace.clone().unwrap_or_else(|| home.state_dir.join("workspace"));
        let folder = own
            .unwrap_or_else(|| if is_only || agent == "main" { common() } else { beside(&common(), agent) });
        // Two agents may work in one place, which is then told once.
        if seen.insert(folder.clone())
            && let Some(workspace) = workspace::measure(agent, &folder)
        {
            found.push(workspace);
        }
    }
    found
}

/// Where an agent works that says nothing: beside the first one.
fn beside(common: &Path, agent: &str) -> PathBuf {
    common.with_file_name(format!("workspace-{agent}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::real_home;
    use super::*;

    #[test]
    fn a_real_home_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let home = real_home(dir.path());
        std::fs::create_dir_all(home.state_dir.join("workspace-ops")).unwrap();
        std::fs::write(home.state_dir.join("workspace-ops/AGENTS.md"), "x").unwrap();
        let text = std::fs::read_to_string(&home.config_path).unwrap();
        let config = config::parse(&text, &home.user_home).map(Arc::new);
        let package = dir.path().join("openclaw");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("package.json"), r#"{"name":"openclaw","version":"2026.9.7"}"#).unwrap();
        let question = Question {
            home,
            config,
            running: None,
            up_since: None,
            package: Some(package.clone()),
            now: Timestamp(1_795_151_900_000),
        };
        let slow = read(&question, &mut Memory::default());
        assert_eq!(slow.installed_version.as_deref(), Some("2026.9.7"));
        assert_eq!((slow.agents, slow.package.as_ref()), (Some(2), Some(&package)));
        assert!(slow.sessions > Some(3) && slow.sessions_active < slow.sessions, "{slow:?}");
        assert_eq!(slow.cron.unwrap().failing, 1);
        let workspaces: Vec<_> =
            slow.workspaces.iter().map(|found| (found.agent.as_str(), found.files)).collect();
        assert_eq!(workspaces, [("ops", Some(1))]);
    }

    #[test]
    fn the_old_list_of_sessions_is_counted() {
        let text = include_str!("../../tests/fixtures/openclaw/2026.6.11/sessions/sessions.json");
        let (all, active) = count_listed(text, 0).unwrap();
        assert!(all > 0 && active == all);
        assert_eq!(count_listed(text, i64::MAX).unwrap().1, 0);
        assert_eq!(count_listed("[", 0), None);
    }
}
