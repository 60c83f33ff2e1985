//! What the whole-system tests share: starting the real programs, asking the API, speaking MQTT byte by byte.
//!
//! Each test has its own server on port 0 and its own folder. Nothing here sleeps for a fixed time: [`until`] waits
//! for a condition.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on says so by panicking")]

pub mod cable;
pub mod live;
pub mod mqtt;
pub mod tls;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Waits until `check` gives a value, and panics with `what` after `limit`.
pub async fn until<T>(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(start.elapsed() < limit, "did not happen within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The folder with the programs under test; builds them once.
pub fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let this = std::env::current_exe().expect("a test knows where it is");
        let folder = this.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "openclaw-watch", "-p", "openclaw-watch-agent"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the programs under test do not build");
        folder.to_owned()
    })
}

/// The server's program.
pub fn server_program() -> PathBuf {
    programs().join("openclaw-watch")
}

/// The agent's program.
pub fn agent_program() -> PathBuf {
    programs().join("openclaw-watch-agent")
}

/// A child process that ends with its test.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it prints goes to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::options().create(true).append(true).open(log).expect("a log can be made");
        let again = file.try_clone().expect("a log can be shared");
        let child =
            command.stdin(Stdio::null()).stdout(file).stderr(again).spawn().expect("the program starts");
        Self { child, log: log.to_owned() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by its name, such as `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(sent.expect("kill is there").success(), "signal {name} could not be sent");
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits for its end.
    pub async fn wait(&mut self, limit: Duration) -> ExitStatus {
        until("the program ends", limit, async || self.ended()).await
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub process: Process,
    /// `127.0.0.1:PORT` of the page.
    pub dashboard: String,
    /// `127.0.0.1:PORT` for devices.
    pub broker: String,
    environment: Vec<(String, String)>,
    token: String,
    /// Ends before the folder that it is in, and after the process that uses it.
    _disk: Option<SmallDisk>,
    folder: TempDir,
}

/// A file system of a few megabytes in memory.
#[derive(Debug)]
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder can be made");
        let size = format!("size={mib}m");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        done.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

/// A device that was added, with its key.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: String,
    /// The server's fingerprint.
    pub pin: String,
}

impl Server {
    /// Starts a server on port 0 in its own folder, without "this machine".
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings from the environment, such as `("LOCAL_AGENT__ENABLED", "true")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self::start_in(folder, None, settings).await
    }

    /// The same with its data on a disk of so many MiB; `None` where this user may not mount one.
    pub async fn start_on_disk(mib: u32, settings: &[(&str, &str)]) -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let disk = SmallDisk::mount(&folder.path().join("data"), mib)?;
        Some(Self::start_in(folder, Some(disk), settings).await)
    }

    /// The same in a folder whose `data` may hold a database already.
    pub async fn start_on(folder: TempDir) -> Self {
        Self::start_in(folder, None, &[]).await
    }

    async fn start_in(folder: TempDir, disk: Option<SmallDisk>, settings: &[(&str, &str)]) -> Self {
        let mut environment: Vec<(String, String)> = [
            ("DASHBOARD__LISTEN", "127.0.0.1:0"),
            ("BROKER__LISTEN", "127.0.0.1:0"),
            ("LOCAL_AGENT__ENABLED", "false"),
        ]
        .iter()
        .chain(settings)
        .map(|(key, value)| (format!("OPENCLAW_WATCH__{key}"), (*value).to_owned()))
        .collect();
        let process = Self::spawn(folder.path(), &environment);
        let (dashboard, broker) = Self::addresses(folder.path(), &process).await;
        // A restart must find the same ports.
        for (key, value) in [("DASHBOARD__LISTEN", &dashboard), ("BROKER__LISTEN", &broker)] {
            environment.push((format!("OPENCLAW_WATCH__{key}"), value.clone()));
        }
        let mut server =
            Self { process, dashboard, broker, environment, token: String::new(), _disk: disk, folder };
        let made = server.command(&["token", "create", "--role", "admin"]);
        made["token"].as_str().expect("a token is made").clone_into(&mut server.token);
        server
    }

    fn spawn(folder: &Path, environment: &[(String, String)]) -> Process {
        let mut command = Command::new(server_program());
        command.arg("--data-dir").arg(folder.join("data")).env("RUST_BACKTRACE", "0");
        command.envs(environment.iter().map(|(k, v)| (k, v)));
        Process::start(&mut command, &folder.join("server.log"))
    }

    async fn addresses(folder: &Path, process: &Process) -> (String, String) {
        let file = folder.join("data/addresses.json");
        let what = "the server tells its addresses";
        until(what, Duration::from_secs(20), async || {
            let text = std::fs::read_to_string(&file).ok()?;
            assert!(!process.log().contains("error:"), "{}", process.log());
            let value: Value = serde_json::from_str(&text).ok()?;
            Some((value["dashboard"].as_str()?.to_owned(), value["broker"].as_str()?.to_owned()))
        })
        .await
    }

    /// Its data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder that goes with the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the server with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
        drop(std::fs::remove_file(self.data_dir().join("addresses.json")));
    }

    /// Starts it again on the same folder and ports.
    pub async fn restart(&mut self) {
        self.process = Self::spawn(self.folder.path(), &self.environment);
        Self::addresses(self.folder.path(), &self.process).await;
    }

    /// Runs a command of the server's program beside it, with `--json`.
    pub fn command(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("--json prints JSON")
    }

    /// Runs a command of the server's program beside it, however it ends.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(server_program())
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("--json")
            .args(arguments)
            .output()
            .expect("the program runs")
    }

    /// Adds a device by the command line.
    pub async fn add_device(&self, name: &str) -> Device {
        let added = self.command(&["device", "add", name]);
        let text = |field: &str| added[field].as_str().expect("a text").to_owned();
        let device = Device { id: text("id"), key: text("key"), pin: text("pin") };
        let path = format!("/devices/{}", device.id);
        let known = async || (self.request("GET", &path, None).0 == 200).then_some(());
        until("the server sees the new device", Duration::from_secs(5), known).await;
        device
    }

    /// Makes a key that may read everything.
    pub fn reader(&self) -> String {
        let made = self.command(&["key", "add", "--kind", "reader", "test"]);
        made["key"].as_str().expect("a key").to_owned()
    }

    /// Starts the real agent for a device. The folder of its state is named after the device.
    pub fn start_agent(&self, device: &Device) -> Process {
        let mut command = Command::new(agent_program());
        command
            .args(["run", "--server", &self.broker, "--key", &device.key, "--pin", &device.pin])
            .args(["--interval", "1s", "--state-dir"])
            .arg(self.folder.path().join(format!("agent-{}", device.id)))
            // Not the OpenClaw of whoever runs the tests.
            .arg("--openclaw-home")
            .arg(self.folder.path().join("no-openclaw"));
        Process::start(&mut command, &self.folder.path().join(format!("agent-{}.log", device.id)))
    }

    /// A bearer token of an admin.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Asks the API as an admin.
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Asks the API as an admin; status and JSON body (null when there is none).
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}/api/v1{path}", self.dashboard))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body.map(ToString::to_string).unwrap_or_default())
            .expect("a request");
        let mut response = ureq::Agent::new_with_config(config).run(request).expect("the server answers");
        let text = response.body_mut().read_to_string().unwrap_or_default();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// What `/healthz` says, and whether it says that all is well.
    pub fn health(&self) -> (bool, Value) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let url = format!("http://{}/healthz", self.dashboard);
        let mut response = ureq::Agent::new_with_config(config).get(url).call().expect("the server answers");
        let body = response.body_mut().read_json().expect("JSON");
        (response.status().is_success(), body)
    }

    /// A device as the API shows it.
    pub fn device(&self, id: &str) -> Value {
        self.get(&format!("/devices/{id}"))["device"].clone()
    }

    /// Waits until the API shows the device online (or offline).
    pub async fn wait_online(&self, id: &str, online: bool) -> Value {
        let what = format!("device {id} is online: {online}");
        until(&what, Duration::from_secs(25), async || {
            Some(self.device(id)).filter(|d| d["online"] == online)
        })
        .await
    }
}
