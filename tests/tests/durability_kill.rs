//! Stored, then acknowledged: whatever ends the server, no acknowledged report is lost and none is there twice.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::mqtt::{Client, Options, publish};
use e2e::{Device, Server, server_program, until};
use protocol::{Clock, DeviceId, TopicRoot};
use tokio::task::JoinSet;

/// Publishes on its way, as an agent has them.
const WINDOW: usize = 64;

/// What the devices and the test tell each other.
#[derive(Default)]
struct Shared {
    acked: AtomicU64,
    stop: AtomicBool,
    pace: Mutex<Pace>,
}

/// What was acknowledged so far, in order, and the longest time without an acknowledgement.
#[derive(Default)]
struct Pace {
    acked: Vec<(String, u64)>,
    last: Option<Instant>,
    longest: Duration,
}

impl Shared {
    fn acked(&self, device: &str, seq: u64) {
        self.acked.fetch_add(1, Ordering::Relaxed);
        let (mut pace, now) = (self.pace.lock().unwrap(), Instant::now());
        pace.acked.push((device.to_owned(), seq));
        let gap = pace.last.replace(now).map_or(Duration::ZERO, |last| now - last);
        pace.longest = pace.longest.max(gap);
    }

    /// The longest time without an acknowledgement since this was asked before.
    fn longest_gap(&self) -> Duration {
        std::mem::take(&mut self.pace.lock().unwrap().longest)
    }
}

/// A device that publishes as fast as it is acknowledged, until it is told to stop. It repeats what was not
/// acknowledged, and with a grudge: now and then also what was. Gives all numbers that were acknowledged.
async fn publisher(address: String, device: Device, shared: Arc<Shared>) -> Vec<u64> {
    let topic = format!("openclaw/{}/report", device.id);
    let mut acked: Vec<u64> = Vec::new();
    let mut waiting: Vec<u64> = Vec::new();
    let mut next = 1;
    let payload = |seq: u64| {
        let at = Clock::system().now().as_millis();
        let load = r#""cpu":{"pct":12.5,"load1":0.4},"memory":{"used_bytes":1000,"total_bytes":2000}"#;
        let text = format!(r#"{{"v":1,"spool":"aaaaaaaaaaaa","seq":{seq},"at":{at},{load}}}"#);
        text.into_bytes()
    };
    while !shared.stop.load(Ordering::Relaxed) {
        let options = Options::new("device", &device.key);
        let Ok((mut client, connack)) = Client::try_connect(&address, &options).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if connack.body.get(1) != Some(&0) {
            continue;
        }
        // What was under way comes again, and the last one that was acknowledged, too.
        let again: Vec<u64> = waiting.drain(..).chain(acked.last().copied()).collect();
        let mut queue = again.into_iter();
        loop {
            let mut bytes = Vec::new();
            while waiting.len() < WINDOW && !shared.stop.load(Ordering::Relaxed) {
                let seq = queue.next().unwrap_or_else(|| {
                    next += 1;
                    next - 1
                });
                let id = u16::try_from(seq % 60_000).unwrap() + 1;
                bytes.extend(publish(4, &topic, &payload(seq), 1, true, id));
                waiting.push(seq);
            }
            if waiting.is_empty() || (!bytes.is_empty() && client.send(&bytes).await.is_err()) {
                break;
            }
            let Ok(packet) = client.receive().await else { break };
            assert_eq!(packet.first, 0x40, "{packet:?}");
            let id = u64::from(u16::from_be_bytes([packet.body[0], packet.body[1]])) - 1;
            let at = waiting.iter().position(|seq| seq % 60_000 == id).expect("one of ours");
            let seq = waiting.swap_remove(at);
            acked.push(seq);
            shared.acked(&device.id, seq);
        }
        waiting.extend(queue);
    }
    acked
}

struct Load {
    devices: Vec<Device>,
    shared: Arc<Shared>,
    tasks: JoinSet<(String, Vec<u64>)>,
}

impl Load {
    async fn start(server: &Server, devices: usize) -> Self {
        let mut load = Self { devices: Vec::new(), shared: Arc::default(), tasks: JoinSet::new() };
        for n in 0..devices {
            let device = server.add_device(&format!("device {n}")).await;
            let (address, shared, id) = (server.broker.clone(), load.shared.clone(), device.id.clone());
            load.devices.push(device.clone());
            load.tasks.spawn(async move { (id, publisher(address, device, shared).await) });
        }
        load
    }

    /// Waits until `more` reports were acknowledged from now.
    async fn progress(&self, more: u64) {
        let goal = self.shared.acked.load(Ordering::Relaxed) + more;
        let there = async || (self.shared.acked.load(Ordering::Relaxed) >= goal).then_some(());
        until("reports are acknowledged", Duration::from_secs(30), there).await;
    }

    /// Ends the load and compares what was acknowledged with what is in the database. Gives how many there were.
    async fn check(self, data_dir: &Path) -> usize {
        self.shared.stop.store(true, Ordering::Relaxed);
        let all = self.tasks.join_all().await;
        let config = store::Config {
            data_dir: data_dir.to_owned(),
            create: false,
            topic_root: TopicRoot::default(),
            readers: 1,
        };
        let store = store::Store::open(config, Clock::system()).await.unwrap();
        let mut total = 0;
        for (id, mut acked) in all {
            acked.sort_unstable();
            acked.dedup();
            assert!(!acked.is_empty(), "{id} was acknowledged nothing");
            let rows = store.recorded_seqs(DeviceId::parse(&id).unwrap()).await.unwrap();
            let rows: Vec<u64> = rows.into_iter().map(|seq| u64::try_from(seq).unwrap()).collect();
            let lost: Vec<&u64> = acked.iter().filter(|seq| rows.binary_search(seq).is_err()).collect();
            assert!(lost.is_empty(), "{id}: acknowledged and not there: {lost:?}");
            assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "{id}: some are there twice: {rows:?}");
            total += acked.len();
        }
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
        total
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_under_load_lose_and_double_nothing() {
    let mut server = Server::start().await;
    let load = Load::start(&server, 6).await;
    for n in 0..20u64 {
        // At any moment: right after the start, or in full swing.
        load.progress(1 + n * 37 % 400).await;
        server.kill();
        server.restart().await;
    }
    load.progress(300).await;
    let data_dir = server.data_dir();
    let total = load.check(&data_dir).await;
    println!("{total} reports acknowledged over 20 kills, each recorded once");
    assert!(total > 1_000, "{total}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_and_doubles_nothing() {
    let mut server = Server::start().await;
    let load = Load::start(&server, 4).await;
    for _ in 0..3 {
        load.progress(500).await;
        let asked = Instant::now();
        server.process.signal("TERM");
        let status = server.process.wait(Duration::from_secs(25)).await;
        assert!(status.success(), "{status}: {}", server.process.log());
        assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
        server.restart().await;
    }
    load.progress(200).await;
    server.process.signal("TERM");
    assert!(server.process.wait(Duration::from_secs(25)).await.success());
    let data_dir = server.data_dir();
    load.check(&data_dir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_holds_all_that_was_acknowledged_before_it_began() {
    let server = Server::start().await;
    let load = Load::start(&server, 6).await;
    load.progress(500).await;
    load.shared.longest_gap();
    load.progress(3_000).await;
    let usual = load.shared.longest_gap();
    for n in 0..2 {
        let before = load.shared.pace.lock().unwrap().acked.clone();
        let file = server.folder().join(format!("{n}.sqlite"));
        load.shared.longest_gap();
        let name = file.to_str().unwrap();
        tokio::task::block_in_place(|| server.command(&["backup", name]));
        let (gap, meanwhile) = (load.shared.longest_gap(), load.shared.pace.lock().unwrap().acked.len());
        assert!(meanwhile > before.len(), "nothing was acknowledged during the backup");
        println!(
            "backup {n}: of {} reports, {} more meanwhile; longest time without a PUBACK {} ms, before {} ms",
            before.len(),
            meanwhile - before.len(),
            gap.as_millis(),
            usual.as_millis()
        );
        holds(&file, &before).await;
    }
    let data_dir = server.data_dir();
    load.check(&data_dir).await;
}

/// Puts a copy into a new folder: it is whole, has these reports, and a server goes on with it where they ended.
async fn holds(copy: &Path, before: &[(String, u64)]) {
    let folder = tempfile::TempDir::new().unwrap();
    let data_dir = folder.path().join("data");
    let run = |arguments: &[&str]| {
        let output = Command::new(server_program())
            .arg("--data-dir")
            .arg(&data_dir)
            .args(arguments)
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
    };
    tokio::task::block_in_place(|| run(&["restore", copy.to_str().unwrap()]));
    let mut server = Server::start_on(folder).await;
    let mut of: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (id, seq) in before {
        of.entry(id).or_default().push(*seq);
    }
    for id in of.keys() {
        assert_eq!(server.device(id)["id"], *id);
        let samples = server.get(&format!("/devices/{id}/samples?metrics=cpu_pct&points=1"));
        assert!(samples["n"].as_array().unwrap().iter().any(|n| n != 0), "{samples}");
    }
    server.process.signal("TERM");
    assert!(server.process.wait(Duration::from_secs(25)).await.success());
    let config = store::Config {
        data_dir: server.data_dir(),
        create: false,
        topic_root: TopicRoot::default(),
        readers: 1,
    };
    let store = store::Store::open(config, Clock::system()).await.unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    for (id, seqs) in of {
        let rows = store.recorded_seqs(DeviceId::parse(id).unwrap()).await.unwrap();
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "{id}: some are there twice");
        let there = |seq: &u64| rows.binary_search(&i64::try_from(*seq).unwrap()).is_ok();
        let lost: Vec<u64> = seqs.into_iter().filter(|seq| !there(seq)).collect();
        assert!(lost.is_empty(), "{id}: acknowledged before the backup and not in it: {lost:?}");
    }
    store.close().await;
}

/// A file that takes all of the disk's room but so much.
fn fill(folder: &Path, leave: u64) -> std::path::PathBuf {
    let file = folder.join("somebody-elses-film");
    let free = store::free_bytes(folder).unwrap();
    let mut output = std::fs::File::create(&file).unwrap();
    let part = vec![0x5a; 1 << 20];
    let mut left = free.saturating_sub(leave);
    while left > 0 {
        let n = usize::try_from(left.min(1 << 20)).unwrap();
        // Full a little earlier than it said.
        let Ok(written) = std::io::Write::write(&mut output, &part[..n]) else { break };
        left -= written as u64;
    }
    file
}

/// With too little room on the disk, by the server's own measure or by the disk's: nothing is acknowledged, it says so, and
/// goes on by itself.
async fn a_full_disk(min_free: u64, leave: u64, trouble: &str) {
    const DISK_MIB: u32 = 256;
    let min_free = min_free.to_string();
    let settings = [("STORE__MIN_FREE_BYTES", min_free.as_str())];
    let Some(mut server) = Server::start_on_disk(DISK_MIB, &settings).await else {
        eprintln!("left out: this user may not mount a small disk");
        return;
    };
    let load = Load::start(&server, 4).await;
    load.progress(300).await;
    let film = fill(&server.data_dir(), leave);
    let what = format!("/healthz says {trouble}");
    until(&what, Duration::from_mins(1), async || {
        let (well, health) = server.health();
        (!well && health["trouble"] == trouble).then_some(())
    })
    .await;
    let (_live, snapshot) = e2e::live::Live::open(&server).await;
    assert_eq!(snapshot["trouble"], trouble);
    // What was committed before is acknowledged meanwhile; then nothing more.
    let acked = || load.shared.acked.load(Ordering::Relaxed);
    let mut before = u64::MAX;
    until("nothing is acknowledged any more", Duration::from_secs(20), async || {
        let same = before == acked();
        before = acked();
        // Twenty times what a commit takes.
        tokio::time::sleep(Duration::from_millis(500)).await;
        (same && before == acked()).then_some(())
    })
    .await;
    std::fs::remove_file(film).unwrap();
    load.progress(300).await;
    until("all is well again", Duration::from_secs(10), async || server.health().0.then_some(())).await;
    let events = server.get("/events?kind=recording_stopped");
    assert!(events["items"][0]["duration_ms"].as_i64().unwrap() > 0, "{events}");
    server.process.signal("TERM");
    assert!(server.process.wait(Duration::from_secs(25)).await.success());
    let data_dir = server.data_dir();
    let total = load.check(&data_dir).await;
    println!("{total} reports acknowledged around a full disk ({trouble}), each recorded once");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_disk_is_full_nothing_is_acknowledged_until_there_is_room() {
    a_full_disk(96 << 20, 48 << 20, "disk_low").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_loses_nothing_that_was_acknowledged() {
    a_full_disk(0, 0, "store_fails").await;
}

/// Runs the server on a folder until it ends; its exit code and what it said.
fn run_on(data_dir: &Path) -> (Option<i32>, String) {
    let output = Command::new(server_program())
        .arg("--data-dir")
        .arg(data_dir)
        .envs([
            ("OPENCLAW_WATCH__DASHBOARD__LISTEN", "127.0.0.1:0"),
            ("OPENCLAW_WATCH__BROKER__LISTEN", "127.0.0.1:0"),
            ("RUST_BACKTRACE", "0"),
        ])
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_refuses_and_disturbs_nothing() {
    let server = Server::start().await;
    let device = server.add_device("one").await;
    let (code, said) = run_on(&server.data_dir());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another openclaw-watch is running on"), "{said}");
    assert!(said.contains("--data-dir") && !said.contains("panicked"), "{said}");
    // The first one goes on, and is found where it was.
    assert_eq!(server.device(&device.id)["name"], "one");
    assert!(server.data_dir().join("addresses.json").exists());
    let topic = format!("openclaw/{}/report", device.id);
    let mut client = Client::connect(&server.broker, &Options::new("x", &device.key)).await;
    let report = br#"{"v":1,"spool":"aaaaaaaaaaaa","seq":1,"at":1}"#;
    assert_eq!(client.publish(&topic, report, false).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_foreign_database_is_refused_and_left_as_it_is() {
    let mut server = Server::start().await;
    server.add_device("one").await;
    server.process.signal("TERM");
    server.process.wait(Duration::from_secs(25)).await;
    let file = server.data_dir().join("openclaw-watch.sqlite");
    let sound = std::fs::read(&file).unwrap();
    let half = sound[..sound.len() / 2].to_vec();
    let mut garbage = sound.clone();
    garbage[100..4096].fill(0x5a);
    let foreign = b"these are my holiday plans".to_vec();
    for (bytes, word) in
        [(half, "damaged"), (garbage, "damaged"), (Vec::new(), "damaged"), (foreign, "not a database")]
    {
        std::fs::write(&file, &bytes).unwrap();
        let (code, said) = run_on(&server.data_dir());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(word) && said.contains("left as it"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        assert!(std::fs::read(&file).unwrap() == bytes, "the file was changed: {said}");
    }
    std::fs::write(&file, &sound).unwrap();
    server.restart().await;
    assert_eq!(server.get("/devices").as_array().unwrap().len(), 1);
}
