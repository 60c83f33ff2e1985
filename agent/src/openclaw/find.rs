//! Where OpenClaw keeps its data on this host.
//!
//! [`find`] is a function of an [`Env`] and of the files; it is asked every minute, and looks at a few names in each home
//! directory only. A folder counts when it looks like OpenClaw's; links to the same folder count once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Home, short_hash};

/// The most home directories that are looked into.
const MAX_USERS: usize = 256;
/// The most homes of OpenClaw that are reported.
const MAX_HOMES: usize = protocol::limits::MAX_GATEWAYS;
/// The most names that are read in one home directory.
const MAX_NAMES: usize = 4096;
/// The names that OpenClaw had before; a folder of such a name counts only where the new one is absent.
const OLD_NAMES: [&str; 2] = [".clawdbot", ".moltbot"];
const VARS: [&str; 4] = ["OPENCLAW_HOME", "OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "OPENCLAW_PROFILE"];

/// What finding depends on besides the files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Env {
    /// The variables of the agent's own environment that OpenClaw would heed.
    pub(crate) vars: BTreeMap<String, String>,
    /// The people of this host; the agent's own user first.
    pub(crate) users: Vec<User>,
    /// Whether every home directory may be looked into.
    pub(crate) root: bool,
}

/// Somebody with a home directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// What the host calls them.
    pub(crate) name: String,
    /// Their home directory.
    pub(crate) home: PathBuf,
    /// Their number, where it is known.
    pub(crate) uid: Option<u32>,
}

/// A gateway that was seen running, and where its files are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Owner {
    /// Its state folder; empty when only whose it is can be seen.
    pub(crate) state_dir: PathBuf,
    /// Its configuration, when it is not in there.
    pub(crate) config_path: Option<PathBuf>,
    /// Whose it is.
    pub(crate) uid: Option<u32>,
}

/// A home, and why the agent cannot see into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The home.
    pub(crate) home: Home,
    /// Why nothing of it can be read, and what to do.
    pub(crate) problem: Option<String>,
}

impl Env {
    /// The environment of this process.
    pub(crate) fn current() -> Self {
        let vars = VARS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let uid = own_uid();
        let mut users = Vec::new();
        if let Some(home) = std::env::home_dir().filter(|home| home.is_absolute()) {
            let name = home.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            users.push(User { name, home, uid });
        }
        #[cfg(unix)]
        {
            let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            let known = parse_passwd(&passwd);
            if let (Some(own), Some(entry)) =
                (users.first_mut(), known.iter().find(|user| uid.is_some() && user.uid == uid))
            {
                own.name.clone_from(&entry.name);
            }
            users.extend(known);
            for folder in ["/home", "/Users"] {
                let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_USERS);
                users.extend(entries.map(|entry| User {
                    name: entry.file_name().to_string_lossy().into_owned(),
                    home: entry.path(),
                    uid: None,
                }));
            }
            users.push(User { name: "root".to_owned(), home: PathBuf::from("/root"), uid: Some(0) });
        }
        Self { vars, users: distinct(users), root: uid == Some(0) }
    }

    fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(|value| value.trim())
    }
}

/// All homes. `given` is what `--openclaw-home` says, and then nothing else is looked for; `owners` are gateways that run,
/// `names` what homes were called before, by the path of the state folder: a name once given stays.
pub(crate) fn find(
    env: &Env,
    given: Option<&Path>,
    owners: &[Owner],
    names: &BTreeMap<PathBuf, String>,
) -> Vec<Found> {
    let mut candidates = Vec::new();
    if let Some(given) = given {
        candidates.extend(from_given(env, given));
    } else {
        from_environment(env, &mut candidates);
        let reach = if env.root { MAX_USERS } else { 1 };
        for user in env.users.iter().take(reach) {
            from_home_directory(user, &mut candidates);
        }
        for owner in owners {
            from_process(env, owner, &mut candidates);
        }
        // One that lay elsewhere and was found running is still there when it has stopped.
        for state_dir in names.keys().filter(|dir| !OLD_NAMES.iter().any(|old| dir.ends_with(old))) {
            from_process(env, &Owner { state_dir: state_dir.clone(), ..Owner::default() }, &mut candidates);
        }
    }
    named(candidates, env, names)
}

struct Candidate {
    user: String,
    /// What distinguishes it among the homes of one user.
    label: String,
    state_dir: PathBuf,
    config_path: Option<PathBuf>,
    user_home: PathBuf,
    problem: Option<String>,
}

impl Candidate {
    fn new(user: &User, label: &str, state_dir: PathBuf) -> Self {
        let problem = problem(&state_dir);
        Self {
            user: user.name.clone(),
            label: label.to_owned(),
            state_dir,
            config_path: None,
            user_home: user.home.clone(),
            problem,
        }
    }
}

/// The home that is given, if there is one: elsewhere is not looked.
fn from_given(env: &Env, given: &Path) -> Option<Candidate> {
    let inner = given.join(".openclaw");
    let (state_dir, user_home) = if !looks_like_openclaw(given) && inner.is_dir() {
        (inner, given.to_owned())
    } else {
        (given.to_owned(), given.parent().unwrap_or(given).to_owned())
    };
    let label = label_of(&state_dir);
    let user = User { home: user_home, ..own(env) };
    let candidate = Candidate::new(&user, &label, state_dir);
    // One that cannot be read may well be one.
    (candidate.problem.is_some() || looks_like_openclaw(&candidate.state_dir)).then_some(candidate)
}

fn own(env: &Env) -> User {
    env.users.first().cloned().unwrap_or_else(|| User {
        name: String::new(),
        home: PathBuf::from("/"),
        uid: None,
    })
}

fn from_environment(env: &Env, candidates: &mut Vec<Candidate>) {
    if env.vars.is_empty() {
        return;
    }
    let mut user = own(env);
    let expand = |text: &str| expand(text, &user.home);
    if let Some(home) = env.var("OPENCLAW_HOME").and_then(expand) {
        user.home = home;
    }
    let profile = env.var("OPENCLAW_PROFILE").filter(|name| is_profile(name) && *name != "default");
    let config_path = env.var("OPENCLAW_CONFIG_PATH").and_then(|text| self::expand(text, &user.home));
    let state_dir = env.var("OPENCLAW_STATE_DIR").and_then(|text| self::expand(text, &user.home));
    let state_dir = state_dir.unwrap_or_else(|| {
        user.home.join(profile.map_or_else(|| ".openclaw".to_owned(), |name| format!(".openclaw-{name}")))
    });
    if !looks_like_openclaw(&state_dir) && problem(&state_dir).is_none() && config_path.is_none() {
        return;
    }
    let label = profile.map_or_else(|| label_of(&state_dir), str::to_owned);
    let mut candidate = Candidate::new(&user, &label, state_dir);
    candidate.config_path = config_path;
    candidates.push(candidate);
}

fn from_home_directory(user: &User, candidates: &mut Vec<Candidate>) {
    let default = user.home.join(".openclaw");
    let mut present = false;
    if looks_like_openclaw(&default) || problem(&default).is_some() {
        present = true;
        candidates.push(Candidate::new(user, "default", default));
    }
    let mut profiles: Vec<String> = std::fs::read_dir(&user.home)
        .into_iter()
        .flatten()
        .flatten()
        .take(MAX_NAMES)
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(".openclaw-").map(str::to_owned))
        .filter(|name| is_profile(name))
        .collect();
    profiles.sort();
    for profile in profiles {
        let folder = user.home.join(format!(".openclaw-{profile}"));
        // A folder of ours, or anybody's: only what can be looked into and is right counts.
        if looks_like_openclaw(&folder) {
            candidates.push(Candidate::new(user, &profile, folder));
        }
    }
    for name in OLD_NAMES {
        let folder = user.home.join(name);
        // What an upgrade has left behind is no gateway that stopped.
        if !present && looks_like_openclaw(&folder) {
            present = true;
            candidates.push(Candidate::new(user, name.trim_start_matches('.'), folder));
        }
    }
}

fn from_process(env: &Env, owner: &Owner, candidates: &mut Vec<Candidate>) {
    if owner.state_dir.as_os_str().is_empty() {
        // Somebody else's process, of which nothing but the owner can be seen.
        let mut users = env.users.iter();
        if let Some(user) = users.find(|user| user.uid.is_some() && user.uid == owner.uid) {
            let state_dir = user.home.join(".openclaw");
            let mut candidate = Candidate::new(user, "default", state_dir);
            candidate.problem = Some(other_user());
            candidates.push(candidate);
        }
        return;
    }
    if !looks_like_openclaw(&owner.state_dir) && problem(&owner.state_dir).is_none() {
        return;
    }
    let home = owner.state_dir.parent().unwrap_or(&owner.state_dir);
    let mut users = env.users.iter();
    let user = users
        .find(|user| user.home == home || (user.uid.is_some() && user.uid == owner.uid))
        .cloned()
        .unwrap_or_else(|| User { home: home.to_owned(), ..own(env) });
    let mut candidate = Candidate::new(&user, &label_of(&owner.state_dir), owner.state_dir.clone());
    candidate.config_path.clone_from(&owner.config_path);
    candidates.push(candidate);
}

fn named(candidates: Vec<Candidate>, env: &Env, names: &BTreeMap<PathBuf, String>) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let mut distinct = Vec::new();
    for candidate in candidates {
        let real =
            std::fs::canonicalize(&candidate.state_dir).unwrap_or_else(|_| candidate.state_dir.clone());
        if seen.insert(real.clone()) && distinct.len() < MAX_HOMES {
            distinct.push((candidate, real));
        }
    }
    let users: BTreeSet<_> = distinct.iter().map(|(candidate, _)| candidate.user.as_str()).collect();
    let several = users.len() > 1;
    let mut taken: BTreeSet<String> =
        distinct.iter().filter_map(|(candidate, _)| names.get(&candidate.state_dir).cloned()).collect();
    // The agent's own user keeps the short name only as long as it is alone.
    let own_name = own(env).name;
    let mut found = Vec::with_capacity(distinct.len());
    for (candidate, real) in &distinct {
        let name = names.get(&candidate.state_dir).cloned().unwrap_or_else(|| {
            let user = if candidate.user.is_empty() { &own_name } else { &candidate.user };
            let plain = if several && !user.is_empty() {
                format!("{user}/{}", candidate.label)
            } else {
                candidate.label.clone()
            };
            let plain: String = plain.chars().filter(|c| !c.is_control()).take(100).collect();
            if taken.contains(&plain) {
                let hash: String = short_hash(&[&real.to_string_lossy()]).chars().take(4).collect();
                format!("{plain}-{hash}")
            } else {
                plain
            }
        });
        taken.insert(name.clone());
        let config_path = candidate.config_path.clone().unwrap_or_else(|| config_in(&candidate.state_dir));
        found.push(Found {
            home: Home {
                name,
                state_dir: candidate.state_dir.clone(),
                config_path,
                user_home: candidate.user_home.clone(),
            },
            problem: candidate.problem.clone(),
        });
    }
    found
}

/// The configuration file of a state folder; before it was renamed it was called after the program.
fn config_in(state_dir: &Path) -> PathBuf {
    let usual = state_dir.join("openclaw.json");
    let old = ["clawdbot.json", "moltbot.json"].map(|name| state_dir.join(name));
    if usual.exists() { usual } else { old.into_iter().find(|path| path.exists()).unwrap_or(usual) }
}

/// What distinguishes a state folder, without telling where it is.
fn label_of(state_dir: &Path) -> String {
    let name = state_dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    match name.strip_prefix(".openclaw-") {
        Some(profile) if is_profile(profile) => profile.to_owned(),
        _ => match OLD_NAMES.iter().find(|old| **old == name) {
            Some(old) => old.trim_start_matches('.').to_owned(),
            None => "default".to_owned(),
        },
    }
}

fn is_profile(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn looks_like_openclaw(folder: &Path) -> bool {
    ["openclaw.json", "clawdbot.json", "moltbot.json", "state", "agents"]
        .iter()
        .any(|name| folder.join(name).exists())
}

/// Why a folder that is there cannot be looked into.
fn problem(folder: &Path) -> Option<String> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Some(other_user()),
        _ => None,
    }
}

fn other_user() -> String {
    "The agent may not read OpenClaw's folder: run the agent as the user who runs OpenClaw, or as root."
        .to_owned()
}

fn expand(text: &str, home: &Path) -> Option<PathBuf> {
    let path = match text.strip_prefix('~') {
        Some(rest) => home.join(rest.trim_start_matches(['/', '\\'])),
        None => PathBuf::from(text),
    };
    path.is_absolute().then_some(path)
}

fn distinct(users: Vec<User>) -> Vec<User> {
    let mut seen = BTreeSet::new();
    users.into_iter().filter(|user| seen.insert(user.home.clone())).take(MAX_USERS).collect()
}

#[cfg(unix)]
fn parse_passwd(text: &str) -> Vec<User> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            let [name, _, uid, _, _, home, ..] = fields.as_slice() else { return None };
            // Services have homes such as `/`, `/bin` or `/nonexistent`; nobody's OpenClaw lies there.
            let home = Path::new(home);
            (home.is_absolute() && home.components().count() > 2 || *home == *"/root").then(|| User {
                name: (*name).to_owned(),
                home: home.to_owned(),
                uid: uid.parse().ok(),
            })
        })
        .take(MAX_USERS)
        .collect()
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn own_uid() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn own_uid() -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claw(path: &Path) {
        std::fs::create_dir_all(path).unwrap();
        std::fs::write(path.join("openclaw.json"), "{}").unwrap();
    }

    fn user(dir: &Path, name: &str, uid: u32) -> User {
        let home = dir.join(name);
        std::fs::create_dir_all(&home).unwrap();
        User { name: name.to_owned(), home, uid: Some(uid) }
    }

    fn names(found: &[Found]) -> Vec<&str> {
        found.iter().map(|found| found.home.name.as_str()).collect()
    }

    fn look(env: &Env) -> Vec<Found> {
        find(env, None, &[], &BTreeMap::new())
    }

    #[test]
    fn default_profiles_and_later_ones_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let ann = user(dir.path(), "ann", 1);
        let env = Env { users: vec![ann.clone()], ..Env::default() };
        assert!(look(&env).is_empty());
        std::fs::create_dir(ann.home.join(".openclaw-watch")).unwrap();
        std::fs::create_dir(ann.home.join(".openclaw")).unwrap();
        assert!(look(&env).is_empty(), "an empty folder is no OpenClaw");
        claw(&ann.home.join(".openclaw"));
        claw(&ann.home.join(".openclaw-work"));
        std::fs::create_dir_all(ann.home.join(".openclaw-dev/state")).unwrap();
        claw(&ann.home.join(".clawdbot"));
        let found = look(&env);
        assert_eq!(names(&found), ["default", "dev", "work"], "an old name beside the new one is a leftover");
        assert_eq!(found[0].home.config_path, ann.home.join(".openclaw/openclaw.json"));
        assert_eq!(found[0].home.user_home, ann.home);
    }

    #[test]
    fn an_old_name_counts_where_it_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ann = user(dir.path(), "ann", 1);
        claw(&ann.home.join(".moltbot"));
        assert_eq!(names(&look(&Env { users: vec![ann], ..Env::default() })), ["moltbot"]);
    }

    #[test]
    fn root_sees_everybody_and_others_only_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let (ann, bob) = (user(dir.path(), "ann", 1), user(dir.path(), "bob", 2));
        claw(&ann.home.join(".openclaw"));
        claw(&bob.home.join(".openclaw"));
        let mut env = Env { users: vec![ann.clone(), bob.clone()], root: true, ..Env::default() };
        assert_eq!(names(&look(&env)), ["ann/default", "bob/default"]);
        // Ann's was there before Bob's: its name stays.
        let before = BTreeMap::from([(ann.home.join(".openclaw"), "default".to_owned())]);
        assert_eq!(names(&find(&env, None, &[], &before)), ["default", "bob/default"]);
        env.root = false;
        assert_eq!(names(&look(&env)), ["default"]);
        let owner = Owner { uid: Some(2), ..Owner::default() };
        let found = find(&env, None, &[owner], &BTreeMap::new());
        assert!(found[1].problem.as_ref().unwrap().contains("as the user who runs OpenClaw"));
    }

    #[test]
    fn the_environment_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let ann = user(dir.path(), "ann", 1);
        claw(&ann.home.join(".openclaw"));
        claw(&dir.path().join("srv/state"));
        claw(&dir.path().join("srv/home/.openclaw"));
        let with = |vars: &[(&str, &str)]| {
            let vars = vars
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.replace('@', &dir.path().to_string_lossy())));
            let found = look(&Env { vars: vars.collect(), users: vec![ann.clone()], root: false });
            let first = &found[0].home;
            let rest = |path: &Path| path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned();
            (found.len(), rest(&first.state_dir), rest(&first.config_path))
        };
        let check = |vars, n: usize, state: &str, config: &str| {
            assert_eq!(with(vars), (n, state.to_owned(), config.to_owned()));
        };
        check(&[("OPENCLAW_STATE_DIR", "@/srv/state")], 2, "srv/state", "srv/state/openclaw.json");
        check(
            &[("OPENCLAW_HOME", "@/srv/home")],
            2,
            "srv/home/.openclaw",
            "srv/home/.openclaw/openclaw.json",
        );
        check(&[("OPENCLAW_CONFIG_PATH", "~/c.json")], 1, "ann/.openclaw", "ann/c.json");
        check(&[("OPENCLAW_PROFILE", "gone")], 1, "ann/.openclaw", "ann/.openclaw/openclaw.json");
        check(&[("OPENCLAW_STATE_DIR", "relative")], 1, "ann/.openclaw", "ann/.openclaw/openclaw.json");
    }

    #[test]
    fn what_is_given_overrides_all() {
        let dir = tempfile::tempdir().unwrap();
        let ann = user(dir.path(), "ann", 1);
        claw(&ann.home.join(".openclaw"));
        claw(&dir.path().join("other/.openclaw"));
        let env = Env { users: vec![ann], ..Env::default() };
        for given in ["other", "other/.openclaw"] {
            let found = find(&env, Some(&dir.path().join(given)), &[], &BTreeMap::new());
            assert_eq!((names(&found), found[0].problem.as_ref()), (vec!["default"], None));
            assert_eq!(found[0].home.state_dir, dir.path().join("other/.openclaw"));
            assert_eq!(found[0].home.user_home, dir.path().join("other"));
        }
        let found = find(&env, Some(&dir.path().join("none")), &[], &BTreeMap::new());
        assert_eq!(names(&found), [""; 0], "and not the one that is there");
    }

    #[cfg(unix)]
    #[test]
    fn links_to_one_folder_are_one_home() {
        let dir = tempfile::tempdir().unwrap();
        let ann = user(dir.path(), "ann", 1);
        claw(&dir.path().join("disk/claw"));
        std::os::unix::fs::symlink(dir.path().join("disk/claw"), ann.home.join(".openclaw")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("disk/claw"), ann.home.join(".openclaw-b")).unwrap();
        let env = Env { users: vec![ann], ..Env::default() };
        let owner = Owner { state_dir: dir.path().join("disk/claw"), ..Owner::default() };
        assert_eq!(names(&find(&env, None, &[owner], &BTreeMap::new())), ["default"]);
    }

    #[test]
    fn a_running_gateway_shows_its_folder_and_names_differ() {
        let dir = tempfile::tempdir().unwrap();
        let ann = user(dir.path(), "ann", 1);
        claw(&ann.home.join(".openclaw"));
        claw(&dir.path().join("private-place/claws"));
        let env = Env { users: vec![ann], ..Env::default() };
        let owner = Owner { state_dir: dir.path().join("private-place/claws"), ..Owner::default() };
        let found = find(&env, None, std::slice::from_ref(&owner), &BTreeMap::new());
        let second = &found[1].home.name;
        assert!(second.starts_with("default-") && second.len() == 12, "{second}");
        assert_eq!(found, find(&env, None, &[owner], &BTreeMap::new()), "and stay the same");
        let before: BTreeMap<_, _> =
            found.iter().map(|found| (found.home.state_dir.clone(), found.home.name.clone())).collect();
        assert_eq!(find(&env, None, &[], &before), found, "also when it has stopped");
    }

    #[cfg(unix)]
    #[test]
    fn homes_of_services_are_left_alone() {
        let text =
            "root:x:0:0:root:/root:/bin/bash\nbin:x:2:2:bin:/bin:/x\nann:x:1000:1000:,,,:/home/ann:/b\nbad\n";
        let names: Vec<_> = parse_passwd(text).into_iter().map(|user| user.name).collect();
        assert_eq!(names, ["root", "ann"]);
    }
}
