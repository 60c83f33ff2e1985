//! Measured once, delivered once: whatever happens to the link, the server, the agent or the disk.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use agent::clock::Stamp;
use agent::spool::{Spool, SpoolLimits};
use e2e::cable::{Cable, Socket};
use e2e::{Device, Process, Server, agent_program, until};
use protocol::{Clock, DeviceId, DeviceTopic, Payload as _, Report, TopicRoot};

const PATIENCE: Duration = Duration::from_mins(1);

/// An agent that is started again and again with one folder.
struct Agent {
    device: Device,
    address: String,
    folder: PathBuf,
    runs: u32,
}

impl Agent {
    fn new(server: &Server, device: &Device, address: &str) -> Self {
        let folder = server.folder().join(&device.id);
        std::fs::create_dir_all(folder.join("nobody")).unwrap();
        Self { device: device.clone(), address: address.to_owned(), folder, runs: 0 }
    }

    fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn start(&mut self) -> Process {
        self.command("run")
    }

    fn command(&mut self, command: &str) -> Process {
        self.runs += 1;
        let mut program = Command::new(agent_program());
        program
            .args([command, "--server", &self.address, "--key", &self.device.key, "--pin", &self.device.pin])
            .args(["--interval", "1s", "--state-dir"])
            .arg(self.state_dir())
            .arg("--openclaw-home")
            .arg(self.folder.join("nobody"));
        Process::start(&mut program, &self.folder.join(format!("{}.log", self.runs)))
    }
}

/// Numbers of a device's samples as they are recorded, each as often as it is there.
async fn recorded(server: &Server, device: &Device) -> Vec<u64> {
    let seqs = open(server).await.recorded_seqs(DeviceId::parse(&device.id).unwrap()).await.unwrap();
    seqs.into_iter().map(|seq| u64::try_from(seq).unwrap()).collect()
}

async fn open(server: &Server) -> store::Store {
    let config = store::Config {
        data_dir: server.data_dir(),
        create: false,
        topic_root: TopicRoot::default(),
        readers: 1,
    };
    store::Store::open(config, Clock::system()).await.unwrap()
}

/// Ends the agent when its spool is empty, and holds that every sample is recorded once. Gives how many there are.
async fn all_and_once(server: &Server, agent: &mut Agent, mut running: Process) -> u64 {
    let spool = agent.state_dir().join("spool");
    until("the backlog is gone", PATIENCE, async || {
        let openclaw = server.get(&format!("/devices/{}", agent.device.id));
        (openclaw["report"]["agent"]["spooled"].as_u64()? <= 1).then_some(())
    })
    .await;
    running.signal("TERM");
    assert!(running.wait(PATIENCE).await.success(), "{}", running.log());
    // What was taken after the last look is sent by runs that end when everything is stored. One does not try again.
    until("everything is delivered", Duration::from_mins(2), async || {
        let mut once = agent.command("once");
        once.wait(PATIENCE).await.success().then_some(())
    })
    .await;
    assert_eq!(left(&spool), (0, 0), "nothing waits and nothing was dropped");
    let seqs = recorded(server, &agent.device).await;
    let twice = seqs.windows(2).filter(|pair| pair.first() == pair.last()).count();
    assert_eq!(twice, 0, "{seqs:?}");
    // Without a gap: samples and events share their numbers. They are of one spool, or of another since it was filled.
    let ranges = open(server).await.recorded_ranges(DeviceId::parse(&agent.device.id).unwrap());
    assert!(ranges.iter().all(|range| !range.contains(',')) && ranges.len() <= 2, "missing: {ranges:?}");
    let mut ends: Vec<(u64, u64)> = ranges
        .iter()
        .map(|range| range.split_once('-').unwrap_or((range, range)))
        .map(|(first, last)| (first.parse().unwrap(), last.parse().unwrap()))
        .collect();
    ends.sort_unstable();
    let mut next = 1;
    for (first, last) in ends {
        assert_eq!(first, next, "missing: {ranges:?}");
        next = last + 1;
    }
    seqs.len() as u64
}

fn left(spool: &Path) -> (usize, u64) {
    let spool = Spool::open(spool, SpoolLimits::default(), 0);
    (spool.len(), spool.dropped())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_drops_delays_resets_and_falls_silent_loses_nothing() {
    let server = Server::start().await;
    let device = server.add_device("bad-link").await;
    let socket = Socket::to(&server.broker).await;
    let mut agent = Agent::new(&server, &device, &socket.address);
    let running = agent.start();
    server.wait_online(&device.id, true).await;
    let slow = Cable::Good { delay: Duration::from_millis(300), bytes_per_s: Some(2_000) };
    let ills = [
        (Cable::Cut, 4),
        (Cable::FINE, 3),
        (slow, 6),
        (Cable::Cut, 1),
        (slow, 3),
        (Cable::Silent, 17),
        (Cable::FINE, 2),
    ];
    for (cable, seconds) in ills {
        socket.set(cable);
        let since = Instant::now();
        let what = "the time of this ill is over";
        until(what, PATIENCE, async || (since.elapsed() >= Duration::from_secs(seconds)).then_some(())).await;
        // And besides, what is connected is reset now and then.
        socket.reset();
    }
    let all = all_and_once(&server, &mut agent, running).await;
    assert!(all >= 30, "{all}");
}

/// Puts reports of the last two hours into an agent's spool, as it would have taken them without a server.
fn two_hours(agent: &Agent) -> u64 {
    let now = Clock::system().now();
    let mut spool = Spool::open(&agent.state_dir().join("spool"), SpoolLimits::default(), 0);
    for n in (1..=240).rev() {
        let stamp = Stamp { wall: now.plus_millis(-n * 30_000), uptime_ms: 0, boot: 0 };
        spool.push(DeviceTopic::Report, stamp, |id, seq| {
            let text =
                format!(r#"{{"v":1,"spool":"{id}","seq":{seq},"at":{},"cpu":{{"pct":5.0}}}}"#, stamp.wall.0);
            Report::decode(text.as_bytes()).unwrap().encode()
        });
    }
    spool.close();
    spool.next_seq() - 1
}

#[tokio::test(flavor = "multi_thread")]
async fn after_two_hours_without_a_server_all_arrives_though_everybody_is_killed_meanwhile() {
    let mut server = Server::start().await;
    let device = server.add_device("cut-off").await;
    let broker = server.broker.clone();
    let mut agent = Agent::new(&server, &device, &broker);
    let backlog = two_hours(&agent);
    let before = Clock::system().now();
    let mut running = agent.start();

    // The present comes first: the page is current as soon as the device is there.
    server.wait_online(&device.id, true).await;
    let since = Instant::now();
    let current = async || {
        let at: String = server.device(&device.id)["latest"]["at"].as_str()?.to_owned();
        (at > rfc3339(before.0)).then_some(())
    };
    until("the page is current", Duration::from_secs(2), current).await;
    println!("current {} ms after the birth", since.elapsed().as_millis());

    for round in 1..=3u64 {
        let enough = usize::try_from(round * backlog / 4).unwrap();
        let some = async || (recorded(&server, &device).await.len() >= enough).then_some(());
        until("a part of the backlog is there", PATIENCE, some).await;
        if round == 2 {
            running.kill();
            running = agent.start();
        } else {
            server.kill();
            server.restart().await;
        }
        server.wait_online(&device.id, true).await;
    }
    let all = all_and_once(&server, &mut agent, running).await;
    assert!(all > backlog, "{all}");
    // In their places in time, and not all of them now.
    let path = format!(
        "/devices/{}/samples?points=8&metrics=cpu_pct&from={}",
        device.id,
        rfc3339(before.0 - 7_200_000)
    );
    let places =
        server.get(&path)["cpu_pct"]["avg"].as_array().unwrap().iter().filter(|v| v.is_number()).count();
    assert!(places >= 7, "{places}");
}

fn rfc3339(millis: i64) -> String {
    // The API writes times in one form, so texts compare as times do.
    let seconds = millis.div_euclid(1000);
    let output =
        Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%S.000Z"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_while_it_writes_lose_nothing() {
    let server = Server::start().await;
    let device = server.add_device("killed").await;
    let broker = server.broker.clone();
    let mut agent = Agent::new(&server, &device, &broker);
    let mut taken = 0;
    for n in 0..50u64 {
        let mut running = agent.start();
        // Somewhere around its first samples, which are due 0.3 s after the start and each second from then on.
        let life = Duration::from_millis(350 + n * 37 % 900);
        let since = Instant::now();
        until("its life is over", PATIENCE, async || (since.elapsed() >= life).then_some(())).await;
        running.kill();
        taken += u64::from(running.log().contains("agent started"));
    }
    assert_eq!(taken, 50);
    let running = agent.start();
    server.wait_online(&device.id, true).await;
    let all = all_and_once(&server, &mut agent, running).await;
    assert!(all >= 30, "{all} samples of fifty lives");
}

/// Run by `tests/flaky-link.sh` in a network that loses a fifth of all packets.
#[ignore = "takes as long as it is told to; tests/flaky-link.sh runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn a_long_time_on_a_bad_link() {
    let minutes: u64 = std::env::var("FLAKY_MINUTES").map_or(1, |text| text.parse().unwrap());
    let server = Server::start().await;
    let device = server.add_device("far-away").await;
    let socket = Socket::to(&server.broker).await;
    socket.set(Cable::Good { delay: Duration::from_millis(250), bytes_per_s: None });
    let mut agent = Agent::new(&server, &device, &socket.address);
    let running = agent.start();
    let start = Instant::now();
    let mut resets = 0u64;
    while start.elapsed() < Duration::from_mins(minutes) {
        let life = Duration::from_secs(5 + resets * 7 % 16);
        let since = Instant::now();
        until("the next reset is due", PATIENCE, async || (since.elapsed() >= life).then_some(())).await;
        socket.reset();
        resets += 1;
    }
    socket.set(Cable::FINE);
    let all = all_and_once(&server, &mut agent, running).await;
    println!("{all} samples, {resets} resets, {minutes} min");
    assert!(all >= minutes * 40, "{all}");
}
