//! OpenClaw's own security audit: the one command of its command line that the agent runs.
//!
//! It takes seconds of a processor, so it runs a few times a day, at the lowest priority, as the user whose OpenClaw it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use protocol::{Finding, FindingSeverity, GatewayAudit, Timestamp, limits};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::openclaw::Home;
use crate::openclaw::redact::redact;

/// How long it may take; a busy board needs minutes.
const PATIENCE: Duration = Duration::from_mins(5);
/// What it prints is shorter.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;
const MAX_FINDINGS: usize = 200;

/// How OpenClaw is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The node that the gateway runs in.
    pub(crate) node: PathBuf,
    /// The folder of the package, in which `openclaw.mjs` lies.
    pub(crate) package: PathBuf,
}

/// Runs the audit of a home. What goes wrong is part of the answer.
pub(crate) async fn run(home: &Home, program: &Program, now: Timestamp) -> GatewayAudit {
    let trusted = trusted(home, program).ok_or_else(|| {
        format!("not run: {} may have been put there by somebody else", program.package.display())
    });
    let output = match trusted {
        Ok(program) => output(home, &program).await,
        Err(error) => Err(error),
    };
    let (findings, error) = match output.and_then(|text| parse(&text)) {
        Ok(findings) => (findings, None),
        Err(error) => (Vec::new(), Some(redact(&error, 500))),
    };
    GatewayAudit { gateway: home.name.clone(), ran_at: now, error, findings }
}

async fn output(home: &Home, program: &Program) -> Result<String, String> {
    let entry = program.package.join("openclaw.mjs");
    let arguments = ["security", "audit", "--json"].map(OsString::from);
    let mut command = if cfg!(unix) && Path::new("/usr/bin/nice").exists() {
        let mut command = Command::new("/usr/bin/nice");
        command.args(["-n", "19"]).arg(&program.node);
        command
    } else {
        Command::new(&program.node)
    };
    command
        .arg(&entry)
        .args(arguments)
        // Nothing of ours: our environment may hold the device's key.
        .env_clear()
        .envs(
            ["PATH", "LANG", "TZ", "SystemRoot", "TMPDIR", "TEMP"]
                .iter()
                .filter_map(|name| std::env::var_os(name).map(|value| (*name, value))),
        )
        .env("HOME", &home.user_home)
        .env("USERPROFILE", &home.user_home)
        .env("OPENCLAW_STATE_DIR", &home.state_dir)
        .env("OPENCLAW_CONFIG_PATH", &home.config_path)
        .env("OPENCLAW_NO_AUTO_UPDATE", "1")
        .env("OPENCLAW_DISABLE_BONJOUR", "1")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(folder) = program.package.parent() {
        command.current_dir(folder);
    }
    #[cfg(unix)]
    as_owner(&mut command, &home.state_dir);
    let mut child = command.spawn().map_err(|error| format!("openclaw cannot be started: {error}"))?;
    let mut text = String::new();
    let mut stdout = child.stdout.take().ok_or("it has no output")?.take(MAX_OUTPUT_BYTES);
    let done = timeout(PATIENCE, async {
        stdout.read_to_string(&mut text).await?;
        child.wait().await
    });
    match done.await {
        Ok(Ok(_)) => Ok(text),
        Ok(Err(error)) => Err(format!("its output cannot be read: {error}")),
        Err(_) => Err(format!("it was not done after {} s", PATIENCE.as_secs())),
    }
}

/// The program with its real paths, if nobody but root and the owner of the home could have put it there. Which program a
/// gateway runs is learned from processes and files of others, and what we run, we run with our own rights or the owner's.
fn trusted(home: &Home, program: &Program) -> Option<Program> {
    let real = |path: &Path| path.canonicalize().ok().filter(|path| is_trusted(path, &home.state_dir));
    Some(Program { node: real(&program.node)?, package: real(&program.package)? })
}

/// Whether a path, and every folder above it, belongs to root or to the owner of `state_dir` and can be changed by nobody else.
/// In a folder with the sticky bit, such as `/tmp`, nobody can replace what others own.
#[cfg(unix)]
fn is_trusted(path: &Path, state_dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(owner) = std::fs::metadata(state_dir).map(|home| home.uid()) else { return false };
    path.ancestors().all(|part| {
        std::fs::metadata(part).is_ok_and(|meta| {
            let (mode, uid) = (meta.mode(), meta.uid());
            (uid == 0 || uid == owner) && (mode & 0o022 == 0 || mode & 0o1000 != 0)
        })
    })
}

/// Here it is as safe as the folders are.
#[cfg(not(unix))]
fn is_trusted(_: &Path, _: &Path) -> bool {
    true
}

/// As root, the audit runs as whom the home belongs to: it must not do more than they could, nor leave files of root.
#[cfg(unix)]
fn as_owner(command: &mut Command, state_dir: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    if rustix::process::geteuid().is_root()
        && let Ok(owner) = std::fs::metadata(state_dir)
        && owner.uid() != 0
    {
        command.uid(owner.uid()).gid(owner.gid());
    }
}

/// Reads what the audit prints.
fn parse(text: &str) -> Result<Vec<Finding>, String> {
    #[derive(Deserialize)]
    struct Report {
        findings: Option<Vec<Raw>>,
        error: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Raw {
        check_id: String,
        severity: String,
        title: String,
        detail: Option<String>,
        remediation: Option<String>,
    }
    // A line of a warning may stand before it.
    let json = text.find('{').and_then(|at| text.get(at..)).ok_or("it printed nothing")?;
    let mut stream = serde_json::Deserializer::from_str(json).into_iter::<Report>();
    let Some(Ok(report)) = stream.next() else {
        return Err("what it printed is not understood".to_owned());
    };
    let Some(findings) = report.findings else {
        let why = report.error.as_ref().and_then(|e| e.as_str().or_else(|| e.get("message")?.as_str()));
        return Err(why.unwrap_or("the configuration is not valid").to_owned());
    };
    let one = |raw: Raw| Finding {
        check: redact(&raw.check_id, limits::MAX_TEXT_CHARS),
        severity: match raw.severity.as_str() {
            "info" => FindingSeverity::Info,
            "warn" => FindingSeverity::Warning,
            "critical" => FindingSeverity::Critical,
            _ => FindingSeverity::Unknown,
        },
        title: redact(&raw.title, limits::MAX_TEXT_CHARS),
        detail: raw.detail.map(|text| redact(&text, 1000)),
        remediation: raw.remediation.map(|text| redact(&text, 600)),
    };
    Ok(findings.into_iter().take(MAX_FINDINGS).map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_audit_prints_is_read() {
        let bad = parse(include_str!("../../tests/fixtures/openclaw/cli/audit-bad.json")).unwrap();
        let critical = bad.iter().filter(|f| f.severity == FindingSeverity::Critical).count();
        assert!(critical >= 3 && bad.iter().any(|f| f.check == "fs.config.perms_world_readable"), "{bad:#?}");
        let all = serde_json::to_string(&bad).unwrap();
        assert!(!all.contains("/home/claw1") && all.contains("chmod 600"), "{all}");
        assert!(!parse(include_str!("../../tests/fixtures/openclaw/cli/audit.json")).unwrap().is_empty());
    }

    #[test]
    fn an_audit_that_cannot_be_made_says_why() {
        let check = |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        check("", "it printed nothing");
        check("{", "what it printed is not understood");
        check(
            r#"{"ok":false,"error":"agents.ownership is missing","issues":[]}"#,
            "agents.ownership is missing",
        );
        check(r#"{"ok":false,"error":{"message":"no"}}"#, "no");
        assert_eq!(parse("warning: old\n{\"findings\":[]}\n").unwrap(), []);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn it_runs_without_our_environment() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("openclaw.mjs"),
            r#"env > "$OPENCLAW_STATE_DIR/env"; echo "{\"findings\":[{\"checkId\":\"a.b\",\"severity\":\"warn\",\"title\":\"$1 $2 $3\"}]}""#,
        )
        .unwrap();
        let home = Home {
            name: "default".to_owned(),
            state_dir: dir.path().to_owned(),
            config_path: dir.path().join("openclaw.json"),
            user_home: dir.path().to_owned(),
        };
        let program = Program { node: "/bin/sh".into(), package: dir.path().to_owned() };
        let audit = run(&home, &program, Timestamp(5)).await;
        assert_eq!(audit.findings[0].title, "security audit --json");
        assert_eq!((audit.ran_at, audit.error), (Timestamp(5), None));
        let environment = std::fs::read_to_string(dir.path().join("env")).unwrap();
        assert!(environment.contains("NO_COLOR=1") && !environment.contains("CARGO"), "{environment}");
        // Put there by somebody else. Only root can try that.
        if rustix::process::geteuid().is_root() {
            let strange = dir.path().join("strange");
            std::fs::create_dir(&strange).unwrap();
            std::fs::copy(dir.path().join("openclaw.mjs"), strange.join("openclaw.mjs")).unwrap();
            std::os::unix::fs::chown(&strange, Some(12_345), None).unwrap();
            let strange = run(&home, &Program { package: strange, ..program.clone() }, Timestamp(5)).await;
            assert!(strange.error.unwrap().starts_with("not run"));
        }
        let missing = Program { node: "/no/such".into(), ..program };
        let missing = run(&home, &missing, Timestamp(5)).await;
        assert!(missing.error.is_some() && missing.findings.is_empty());
    }
}
