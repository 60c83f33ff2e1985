//! A real broker, real observers, and the real agent as a child process.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::{ApiKey, DeviceId};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// A child process that does not outlive its test.
pub(crate) struct Kept(pub(crate) Child);

impl Kept {
    pub(crate) fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        Self(command.spawn().unwrap_or_else(|error| {
            panic!("{program} does not start ({error}); these tests need `apt-get install mosquitto mosquitto-clients`")
        }))
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().ok();
        self.0.wait().unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the process to end", || self.0.try_wait().unwrap())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let (_keep, never) = channel::<()>();
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        assert_eq!(never.recv_timeout(Duration::from_millis(10)), Err(RecvTimeoutError::Timeout));
    }
    panic!("waited in vain for {what}");
}

/// What devices find on the broker's port.
pub(crate) enum Door<'a> {
    Plain,
    /// Plain, and no key is good enough.
    Closed,
    /// TLS with this certificate chain and key, as PEM.
    Tls {
        chain: &'a str,
        key: &'a str,
    },
    /// The same, in a WebSocket.
    WebSocket {
        chain: &'a str,
        key: &'a str,
    },
}

/// mosquitto with one port for devices and one for observers.
pub(crate) struct Broker {
    _process: Kept,
    _dir: tempfile::TempDir,
    pub(crate) device_port: u16,
    observer_port: u16,
}

impl Broker {
    pub(crate) fn start(door: &Door<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (device_port, observer_port) = (free_port(), free_port());
        let mut config = vec![
            "user root".to_owned(),
            "per_listener_settings true".to_owned(),
            format!("listener {device_port} 127.0.0.1"),
            format!("allow_anonymous {}", !matches!(door, Door::Closed)),
        ];
        if let Door::Tls { chain, key } | Door::WebSocket { chain, key } = door {
            for (word, content) in [("certfile", chain), ("keyfile", key)] {
                let file = dir.path().join(word);
                std::fs::write(&file, content).unwrap();
                config.push(format!("{word} {}", file.display()));
            }
        }
        if matches!(door, Door::WebSocket { .. }) {
            config.push("protocol websockets".to_owned());
        }
        config.push(format!("listener {observer_port} 127.0.0.1"));
        config.push("allow_anonymous true\n".to_owned());
        let file = dir.path().join("mosquitto.conf");
        std::fs::write(&file, config.join("\n")).unwrap();
        let program =
            if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
        let process = Kept::start(
            Command::new(program).arg("-c").arg(file).stdout(Stdio::null()).stderr(Stdio::null()),
        );
        for port in [device_port, observer_port] {
            wait_for("mosquitto to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
        }
        Self { _process: process, _dir: dir, device_port, observer_port }
    }

    /// Follows everything below `openclaw/`. Returns when the subscription stands.
    pub(crate) fn observe(&self) -> Observer {
        let mut process = Kept::start(
            Command::new("mosquitto_sub")
                .args(["-h", "127.0.0.1", "-p", &self.observer_port.to_string(), "-q", "1", "-F", "%r %t %x"])
                .args(["-t", "openclaw/#", "-t", "subscribed"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let output = process.0.stdout.take().unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(Message::parse(&line)).is_err() {
                    return;
                }
            }
        });
        let observer = Observer { _process: process, messages };
        wait_for("the subscription", || {
            let port = self.observer_port.to_string();
            let mut publish = Command::new("mosquitto_pub");
            Kept::start(publish.args(["-h", "127.0.0.1", "-p", &port, "-t", "subscribed", "-m", "{}"]))
                .wait();
            observer.messages.recv_timeout(Duration::from_millis(200)).ok()
        });
        observer
    }

    /// What is retained below `openclaw/`, once there are `count` messages.
    pub(crate) fn retained(&self, count: usize) -> Vec<Message> {
        let output = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &self.observer_port.to_string(), "-q", "1", "-F", "%r %t %x"])
            .args(["-t", "openclaw/#", "--retained-only", "-W", "10", "-C", &count.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(Message::parse).collect()
    }
}

/// A message as an observer saw it.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) retained: bool,
    pub(crate) topic: String,
    pub(crate) payload: Value,
}

impl Message {
    fn parse(line: &str) -> Self {
        let mut parts = line.splitn(3, ' ');
        let retained = parts.next() == Some("1");
        let topic = parts.next().unwrap().to_owned();
        let hex = parts.next().unwrap();
        let packed: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let payload = protocol::unpack(&packed).unwrap();
        Self { retained, topic, payload: serde_json::from_slice(&payload).unwrap() }
    }

    pub(crate) fn is_presence(&self, state: &str) -> bool {
        self.topic.ends_with("/presence") && self.payload["state"] == state
    }

    pub(crate) fn is_report(&self) -> bool {
        self.topic.ends_with("/report")
    }
}

/// Somebody who follows all devices.
pub(crate) struct Observer {
    _process: Kept,
    messages: Receiver<Message>,
}

impl Observer {
    /// The next message.
    pub(crate) fn next(&self) -> Message {
        self.expect("a message", |_| true)
    }

    /// Waits for a message that fits; the ones before it are passed over.
    pub(crate) fn expect(&self, what: &str, mut fits: impl FnMut(&Message) -> bool) -> Message {
        let start = Instant::now();
        let mut seen = Vec::new();
        while let Some(left) = PATIENCE.checked_sub(start.elapsed()) {
            let Ok(message) = self.messages.recv_timeout(left) else {
                break;
            };
            // Several of our own may have been needed before the subscription stood. And that the agent started is told, too.
            if message.topic == "subscribed" || message.topic.ends_with("/event") {
                continue;
            }
            if fits(&message) {
                return message;
            }
            seen.push(message);
        }
        panic!("waited in vain for {what}; saw {seen:#?}");
    }
}

/// A key and a folder: what makes a device.
pub(crate) struct Device {
    pub(crate) key: ApiKey,
    pub(crate) dir: tempfile::TempDir,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self { key: ApiKey::generate(DeviceId::generate()), dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn topic(&self, what: &str) -> String {
        format!("openclaw/{}/{what}", self.key.subject())
    }

    /// The agent with this device's key and folder, and nothing from the environment.
    pub(crate) fn agent(&self, command: &str, server: &str, more: &[&str]) -> Command {
        let mut agent = bare_agent();
        agent
            .arg(command)
            .args(["--server", server, "--key", self.key.reveal(), "--state-dir"])
            .arg(self.dir.path())
            // Not the OpenClaw of whoever runs the tests.
            .arg("--openclaw-home")
            .arg(self.dir.path().join("no-openclaw"));
        agent.args(more);
        agent
    }

    pub(crate) fn run(&self, server: &str, more: &[&str]) -> Kept {
        Kept::start(self.agent("run", server, more).stdout(Stdio::null()).stderr(Stdio::null()))
    }
}

/// The agent without any argument or environment of ours.
pub(crate) fn bare_agent() -> Command {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_openclaw-watch-agent"));
    for name in ["OPENCLAW_WATCH_SERVER", "NAS_URL", "API_KEY", "OPENCLAW_WATCH_KEY_FILE", "REPORT_INTERVAL"]
    {
        agent.env_remove(name);
    }
    agent
}

/// What a process wrote and how it ended.
pub(crate) fn finished(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

/// A network between agent and broker that can be cut.
pub(crate) struct Cable {
    pub(crate) port: u16,
    plugged: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cable {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cable = Self {
            port: listener.local_addr().unwrap().port(),
            plugged: Arc::new(AtomicBool::new(true)),
            streams: Arc::default(),
        };
        let (plugged, streams) = (Arc::clone(&cable.plugged), Arc::clone(&cable.streams));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if !plugged.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let pairs = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
                for (from, to) in pairs {
                    streams.lock().unwrap().push(from.try_clone().unwrap());
                    std::thread::spawn(move || copy(from, to));
                }
            }
        });
        cable
    }

    pub(crate) fn cut(&self) {
        self.plugged.store(false, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    pub(crate) fn plug(&self) {
        self.plugged.store(true, Ordering::SeqCst);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
