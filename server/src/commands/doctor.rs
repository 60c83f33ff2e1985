use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use protocol::{Clock, Timestamp};
use serde_json::{Value, json};
use store::{Device, Store};

use super::backup::size;
use super::{Line, health, open, print};
use crate::backups;
use crate::config::Config;
use crate::data_dir;
use crate::tls::Certificate;

const DAY_MS: i64 = 86_400_000;
/// A database up to this size is read through without being asked: it takes a moment.
const SMALL_BYTES: u64 = 256 << 20;
/// A disk that is full in fewer days is a finding.
const FULL_SOON_DAYS: u64 = 14;
/// A certificate that ends in fewer days is a finding.
const ENDS_SOON_DAYS: i64 = 21;
/// So many devices that all say that our clock is off are right.
const WITNESSES: usize = 3;

struct Finding {
    about: &'static str,
    fine: bool,
    says: String,
    /// What to do about it.
    todo: Option<String>,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, about: &'static str, says: impl Into<String>) {
        self.0.push(Finding { about, fine: true, says: says.into(), todo: None });
    }

    fn wrong(&mut self, about: &'static str, says: impl Into<String>, todo: impl Into<String>) {
        self.0.push(Finding { about, fine: false, says: says.into(), todo: Some(todo.into()) });
    }
}

pub(super) async fn run(full: bool, config: &Config, json: bool) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let now = Clock::system().now();
    server(&mut findings, config);
    match open(config, false).await {
        Ok(store) => {
            database(&mut findings, &store, full, json).await?;
            devices(&mut findings, &store).await?;
            disk(&mut findings, &store, config).await?;
            clock(&mut findings, &store.devices());
            secrets(&mut findings, &store).await?;
            backup(&mut findings, config, now);
            store.close().await;
        }
        Err(error) if matches!(error.downcast_ref(), Some(store::Error::Missing { .. })) => findings.wrong(
            "database",
            format!("there is none in {} yet", config.data_dir.display()),
            "start the server once, or give the folder of the one that is meant with --data-dir",
        ),
        Err(error) => findings.wrong(
            "database",
            format!("{error:#}"),
            "when it is damaged, stop the server and put a backup back with `openclaw-watch restore FILE`",
        ),
    }
    certificate(&mut findings, config, now);

    let findings = findings.0;
    let list: Vec<Value> = findings
        .iter()
        .map(|f| json!({ "about": f.about, "ok": f.fine, "says": f.says, "do": f.todo }))
        .collect();
    print(json, &json!(list), || report(&findings));
    if findings.iter().all(|f| f.fine) { Ok(()) } else { bail!("something is wrong, see above") }
}

fn report(findings: &[Finding]) -> String {
    let line = |f: &Finding| format!("{}  {:12} {}", if f.fine { "ok  " } else { "FAIL" }, f.about, f.says);
    let text = findings.iter().map(line).collect::<Vec<_>>().join("\n");
    let todo: Vec<String> =
        findings.iter().filter_map(|f| Some(format!("  - {}: {}", f.about, f.todo.as_ref()?))).collect();
    if todo.is_empty() { text + "\n\nNothing to do." } else { text + "\n\nWhat to do:\n" + &todo.join("\n") }
}

fn server(findings: &mut Findings, config: &Config) {
    let addresses = data_dir::read_addresses(&config.data_dir);
    match (data_dir::in_use(&config.data_dir), addresses) {
        (false, _) => return findings.fine("server", "not running"),
        (true, None) => return findings.fine("server", "starting or stopping"),
        (true, Some(a)) => {
            findings.fine("server", format!("running; page on {}, devices on {}", a.dashboard, a.broker));
        }
    }
    let answer = match health::answer(config) {
        Ok((_, answer)) => answer,
        Err(error) => {
            let todo = "look into its log; restart it when that tells nothing";
            return findings.wrong("health", format!("it does not answer: {error:#}"), todo);
        }
    };
    let failing = answer.get("recorder_failing_s").and_then(Value::as_i64).unwrap_or(0);
    let trouble = answer.get("trouble").and_then(Value::as_str);
    if failing > 0 || trouble.is_some() {
        let todo = match trouble {
            Some("disk_low") => "make room on the disk of the data folder, or change [store] min_free_bytes",
            _ => "look whether the disk is full and into the server's log",
        };
        findings.wrong(
            "recording",
            format!("for {failing} s nothing could be recorded; devices keep what they have to tell"),
            todo,
        );
    } else {
        findings.fine("recording", "what devices tell is recorded");
    }
    match answer.get("database").and_then(Value::as_str) {
        Some("damaged") => findings.wrong(
            "last check",
            "after the last unclean end the database was found damaged",
            "stop the server and put a backup back with `openclaw-watch restore FILE`",
        ),
        Some("checking") => findings.fine("last check", "under way, after an unclean end"),
        _ => {}
    }
}

/// Whether what is sealed can be opened: without its key nobody logs in with an app.
async fn secrets(findings: &mut Findings, store: &Store) -> anyhow::Result<()> {
    let people = store.people().await?.into_iter().filter(|person| person.two_factor);
    let (mut all, mut sealed) = (0, 0);
    for person in people {
        all += 1;
        match store.two_factor(&person.name).await {
            Err(store::Error::Vault(_)) => sealed += 1,
            read => drop(read?),
        }
    }
    if sealed > 0 {
        let says = format!(
            "{sealed} of {all} two-factor logins cannot be checked: the file secrets.key is missing or another"
        );
        let todo = "put secrets.key of this database back into the data folder, or run `openclaw-watch user reset-two-factor NAME`";
        findings.wrong("secrets", says, todo);
    } else if all > 0 {
        findings.fine("secrets", format!("{all} two-factor logins can be checked"));
    }
    Ok(())
}

async fn database(findings: &mut Findings, store: &Store, full: bool, json: bool) -> anyhow::Result<()> {
    let amounts = store.amounts().await?;
    let rows: BTreeMap<_, _> = amounts.rows.iter().copied().collect();
    let rows: Vec<String> = rows.iter().map(|(table, count)| format!("{table} {count}")).collect();
    findings.fine(
        "content",
        format!(
            "{} of which {} free; rows, about: {}",
            size(amounts.bytes),
            size(amounts.free_bytes),
            rows.join(", ")
        ),
    );
    let path = store.path();
    if !full && amounts.bytes > SMALL_BYTES {
        // Opening it has read its first page, its schema and the devices.
        findings.fine(
            "database",
            format!("{} can be read; it is large, so --full reads all of it", path.display()),
        );
        return Ok(());
    }
    let mut line = Line::new(json);
    let damage = store::check_file(path, &mut |table| line.say(format!("checking {table} ..."))).await;
    drop(line);
    match damage {
        Ok(wrong) if wrong.is_empty() => findings.fine("database", format!("{} is whole", path.display())),
        Ok(wrong) => findings.wrong(
            "database",
            format!("damaged: {}", wrong.join("; ")),
            "stop the server and put a backup back with `openclaw-watch restore FILE`",
        ),
        Err(error) => findings.wrong(
            "database",
            format!("cannot be read: {:#}", anyhow::Error::from(error)),
            "stop the server and put a backup back with `openclaw-watch restore FILE`",
        ),
    }
    Ok(())
}

async fn devices(findings: &mut Findings, store: &Store) -> anyhow::Result<()> {
    let devices = store.devices();
    let online = devices.iter().filter(|d| d.presence.as_ref().is_some_and(|p| p.online)).count();
    findings.fine("devices", format!("{} known, {online} online", devices.len()));
    let people = store.count_people().await?;
    findings.fine(
        "people",
        if people == 0 {
            "nobody set up yet: follow the link that the server prints, or run `openclaw-watch user add`"
                .to_owned()
        } else {
            format!("{people} may log in")
        },
    );
    Ok(())
}

/// In how many days a disk is full. `None` when what is known does not tell: it does not grow, or was not watched for a day.
fn days_left(free: u64, sizes: &[(Timestamp, u64)]) -> Option<u64> {
    let ((first_at, first), (last_at, last)) = (*sizes.first()?, *sizes.last()?);
    let span =
        u64::try_from(last_at.millis_since(first_at)).ok().filter(|span| *span >= DAY_MS.unsigned_abs())?;
    let grown = last.checked_sub(first).filter(|grown| *grown > 0)?;
    let days = u128::from(free) * u128::from(span) / u128::from(grown) / u128::from(DAY_MS.unsigned_abs());
    Some(u64::try_from(days).unwrap_or(u64::MAX))
}

async fn disk(findings: &mut Findings, store: &Store, config: &Config) -> anyhow::Result<()> {
    let Some(free) = store::free_bytes(&config.data_dir) else { return Ok(()) };
    let mut sizes: Vec<(Timestamp, u64)> =
        backups::copies(&backups::folder(config)).into_iter().map(|copy| (copy.at, copy.bytes)).collect();
    let amounts = store.amounts().await?;
    sizes.push((store.clock().now(), amounts.bytes.saturating_sub(amounts.free_bytes)));
    let todo = "make room, or move the data folder to a larger disk";
    match days_left(free, &sizes) {
        Some(days) if days < FULL_SOON_DAYS => {
            findings.wrong("disk", format!("{} free; full in about {days} days", size(free)), todo);
        }
        _ if free < amounts.bytes / 4 || free < 512 << 20 => {
            findings.wrong("disk", format!("only {} free", size(free)), todo);
        }
        Some(days) => findings.fine("disk", format!("{} free; enough for about {days} days", size(free))),
        None => findings
            .fine("disk", format!("{} free; how fast it fills is known after some backups", size(free))),
    }
    Ok(())
}

fn clock(findings: &mut Findings, devices: &[Arc<Device>]) {
    let online = devices.iter().filter(|d| d.presence.as_ref().is_some_and(|p| p.online));
    let skews: Vec<i64> = online.map(|device| device.clock_skew_ms).collect();
    let same_sign = skews.iter().all(|skew| *skew > 0) || skews.iter().all(|skew| *skew < 0);
    if skews.len() >= WITNESSES && same_sign {
        let seconds = skews.iter().map(|skew| skew / 1000).min_by_key(|skew| skew.abs()).unwrap_or(0);
        findings.wrong(
            "clock",
            format!(
                "all {} devices that are there say that this machine's clock is {} by {} s or more",
                skews.len(),
                if seconds > 0 { "ahead" } else { "behind" },
                seconds.abs()
            ),
            "set this machine's clock, best with NTP",
        );
        return;
    }
    let off = skews.iter().filter(|skew| **skew != 0).count();
    findings.fine(
        "clock",
        if skews.is_empty() {
            "no device is there to compare with".to_owned()
        } else {
            format!("{} of {} devices agree with it", skews.len() - off, skews.len())
        },
    );
}

fn backup(findings: &mut Findings, config: &Config, now: Timestamp) {
    let folder = backups::folder(config);
    let last = backups::copies(&folder).pop();
    let age_h = last.as_ref().map(|copy| now.millis_since(copy.at) / 3_600_000);
    if config.backup.every_h == 0 {
        return findings.fine("backup", "the server makes none ([backup] every_h = 0)");
    }
    let failed = backups::last_run(&config.data_dir).and_then(|run| run.error);
    let todo =
        format!("make room or choose another folder with [backup] dir; now it is {}", folder.display());
    match (failed, last, age_h) {
        (Some(error), ..) => findings.wrong("backup", format!("the last one failed: {error}"), todo),
        (None, Some(copy), Some(age)) if age > 3 * i64::from(config.backup.every_h) => findings.wrong(
            "backup",
            format!("the last one is {age} hours old: {}", folder.join(copy.name).display()),
            "let the server run; it makes one ten minutes after its start",
        ),
        (None, Some(copy), Some(age)) => findings.fine(
            "backup",
            format!("{}, {age} hours old, {}", folder.join(copy.name).display(), size(copy.bytes)),
        ),
        _ => findings.fine("backup", "none yet; the server makes one ten minutes after its start"),
    }
}

fn certificate(findings: &mut Findings, config: &Config, now: Timestamp) {
    if !Certificate::exists(&config.tls, &config.data_dir) {
        return findings.fine("certificate", "none yet: the server makes one at its first start");
    }
    let certificate = match Certificate::open(&config.tls, &config.data_dir) {
        Ok(certificate) => certificate,
        Err(error) => {
            let todo = "mend the files that [tls] names, or put back the folder tls/";
            return findings.wrong("certificate", format!("{error:#}"), todo);
        }
    };
    let pin = certificate.pin().map(|pin| format!("made here, devices pin {pin}"));
    let says = pin.unwrap_or_else(|| "configured".to_owned());
    let days = certificate.ends_at().map(|end| end.millis_since(now).div_euclid(DAY_MS));
    match days {
        Some(days) if days < 0 => {
            findings.wrong("certificate", format!("{says}; it ended {} days ago", -days), "renew it");
        }
        Some(days) if days < ENDS_SOON_DAYS => {
            findings.wrong("certificate", format!("{says}; it ends in {days} days"), "renew it");
        }
        Some(days) => findings.fine("certificate", format!("{says}; good for {days} more days")),
        None => findings.fine("certificate", says),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lost_key_of_secrets_is_told() {
        let dir = tempfile::TempDir::new().unwrap();
        let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
        let store = crate::serve::open_store(&config, Clock::system(), true).await.unwrap();
        let by = store::Actor::cli("tester");
        store.add_person(&by, "ann", store::Role::Admin, "hash").await.unwrap();
        let told = async || {
            let mut findings = Findings::default();
            secrets(&mut findings, &store).await.unwrap();
            findings.0.iter().map(|finding| finding.fine).collect::<Vec<_>>()
        };
        assert!(told().await.is_empty());
        store.begin_two_factor("ann", b"secret").await.unwrap();
        store.confirm_two_factor(&by, "ann", &[]).await.unwrap();
        assert_eq!(told().await, [true]);
        std::fs::remove_file(config.data_dir.join("secrets.key")).unwrap();
        assert_eq!(told().await, [false]);
        store.close().await;
    }

    #[test]
    fn a_disk_that_fills_is_full_some_day() {
        let day = |n: i64, bytes: u64| (Timestamp(n * DAY_MS), bytes);
        assert_eq!(days_left(1000, &[day(0, 500), day(10, 600)]), Some(100));
        assert_eq!(days_left(5, &[day(0, 500), day(3, 550), day(10, 600)]), Some(0));
        assert_eq!(days_left(1000, &[day(0, 500), day(10, 500)]), None);
        assert_eq!(days_left(1000, &[day(0, 500), day(10, 400)]), None);
        assert_eq!(days_left(1000, &[day(0, 500)]), None);
        assert_eq!(days_left(1000, &[]), None);
        assert_eq!(days_left(u64::MAX, &[day(0, 0), day(1, 1)]), Some(u64::MAX));
    }

    #[test]
    fn it_ends_with_what_to_do() {
        let mut findings = Findings::default();
        findings.fine("a", "well");
        assert!(report(&findings.0).ends_with("Nothing to do."));
        findings.wrong("disk", "full", "make room");
        assert!(report(&findings.0).ends_with("What to do:\n  - disk: make room"));
    }
}
