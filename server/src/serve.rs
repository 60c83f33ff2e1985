//! The story of the server: open what is durable, take the ports, run, and stop in the reverse order.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use broker::Broker;
use dashboard::{Dashboard, Health, Invitation, Neighbours};
use protocol::{ApiKey, Clock, KeyHash, Publication, TopicRoot};
use recorder::Recorder;
use store::{DeviceKind, Store};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::alerting;
use crate::backups::{self, Keeping};
use crate::config::{self, Config};
use crate::data_dir::{self, Addresses};
use crate::lifecycle::{self, Shutdown};
use crate::logging;
use crate::prices::PriceFile;
use crate::tls::Certificate;
use crate::wiring::{StoreDirectory, attempt, forget_removed, retained};

/// Runs the server until it is asked to stop.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    let _lock = data_dir::take(&config.data_dir)?;
    let clock = Clock::system();
    let store = open_store(&config, clock.clone(), true).await?;
    let keeping = Keeping::default();
    if !Certificate::exists(&config.tls, &config.data_dir)
        && store.devices().iter().any(|d| d.kind == DeviceKind::Agent)
    {
        warn!(
            "the certificate of this data folder is gone and a new one is made: devices that pinned the old one will \
             refuse it; put the folder tls/ of the old server back, or give each device the new fingerprint"
        );
    }
    let certificate = Certificate::open(&config.tls, &config.data_dir)?;
    let last = store.begin_run(env!("CARGO_PKG_VERSION")).await?.filter(|last| !last.clean);
    let unclean = last.is_some();
    if let Some(last) = last {
        warn!(
            down_s = clock.now().millis_since(last.ended_at) / 1000,
            "the last run ended without being asked to"
        );
    }
    let price_file = PriceFile::open(&config.usage, &config.data_dir)?;
    // Before anything is recorded.
    store.set_prices(price_file.prices()).await?;

    let stop = Shutdown::default();
    let (inbox_tx, inbox_rx) = mpsc::channel(recorder::INBOX);
    let kept = store.retained().await?.into_iter().map(retained);
    let directory = Arc::new(StoreDirectory(store.clone()));
    let tls = Some(certificate.server_config(b"")?);
    let broker =
        Broker::bind(config.broker.clone(), clock.clone(), tls, directory, inbox_tx, kept, stop.soft.clone())
            .map_err(|error| port_hint(error, "broker"))?;
    let gate = broker.handle();
    let root = gate.topic_root().clone();

    let publish_status = gate.clone();
    let recorder_config = recorder::Config {
        topic_root: root,
        data_dir: config.data_dir.clone(),
        gather: Duration::from_millis(config.store.commit_every_ms),
        min_free_bytes: config.store.min_free_bytes,
    };
    let recorder = Recorder::new(recorder_config, store.clone(), inbox_rx, move |word: &Publication| {
        publish_status.publish(word);
    });

    let alerting = alerting::assemble(&alerting::Neighbours {
        config: &config,
        store: &store,
        gate: &gate,
        recorder: &recorder.handle(),
        keeping: &keeping,
        certificate: &certificate,
    })
    .await?;

    let setup = setup_token(&store).await?;
    let dashboard = Dashboard::bind(
        config.dashboard.clone(),
        store.clone(),
        Some(certificate.server_config(b"http/1.1")?),
        invitation(&config, broker.address(), certificate.pin()),
        setup.as_deref().map(|token| KeyHash::of(token.as_bytes())),
        neighbours(&gate, &recorder.handle(), &keeping, Arc::new(alerting.for_the_page), &config),
        stop.soft.clone(),
    )
    .await
    .map_err(|error| port_hint(error, "dashboard"))?;

    let addresses = Addresses {
        dashboard: reachable(dashboard.address()).to_string(),
        broker: reachable(broker.address()).to_string(),
    };
    let local = local_agent(&config, &store, broker.address(), certificate.pin()).await;
    info!(dashboard = %dashboard.address(), broker = %broker.address(), "openclaw-watch is running");
    data_dir::write_addresses(&config.data_dir, &addresses)?;
    if let Some(token) = setup {
        announce_setup(dashboard.address(), &token);
    }

    let (clients, recording) = (TaskTracker::new(), TaskTracker::new());
    let drain = CancellationToken::new();
    recording.spawn(recorder.run(drain.clone(), stop.hard.clone()));
    clients.spawn(broker.run());
    clients.spawn(dashboard.run());
    clients.spawn(alerting.judge.run(stop.soft.clone()));
    clients.spawn(alerting.deliveries.run(stop.soft.clone()));
    clients.spawn(certificate.watch(stop.soft.clone()));
    clients.spawn(price_file.watch(store.clone(), stop.soft.clone()));
    clients.spawn(store.clone().watch_registry(stop.soft.clone()));
    clients.spawn(forget_removed(store.clone(), gate, stop.soft.clone()));
    clients.spawn(recorder::keep_in_order(store.clone(), config.retention.keep(), stop.soft.clone()));
    if unclean {
        keeping.check_after_an_unclean_end(store.path().to_owned());
    }
    clients.spawn(backups::run(config.clone(), store.clone(), clock, keeping, stop.soft.clone()));
    let local = local.map(|(agent, key)| LocalAgent::start(agent, key));

    let why = lifecycle::asked_to_stop().await.context("cannot wait for signals")?;
    info!(signal = why, "stopping: connections first, then what is still to be recorded");
    data_dir::forget_addresses(&config.data_dir);
    let finish = async {
        stop.soft.cancel();
        close(&clients).await;
        // After the gate: that the server stops is no outage of the machine it runs on, so its agent says no farewell.
        if let Some(local) = local {
            local.stop().await;
        }
        // Nobody can add to the inbox now.
        drain.cancel();
        close(&recording).await;
    };
    if timeout(lifecycle::SOFT, finish).await.is_err() {
        warn!(after_s = lifecycle::SOFT.as_secs(), "did not finish in time, ending now");
        stop.hard.cancel();
        drop(timeout(Duration::from_secs(2), recording.wait()).await);
    }
    if let Err(error) = store.end_run().await {
        warn!(error = &error as &dyn std::error::Error, "the next start will call this stop a crash");
    }
    store.close().await;
    info!("stopped");
    Ok(())
}

fn close(tasks: &TaskTracker) -> impl Future<Output = ()> + '_ {
    tasks.close();
    tasks.wait()
}

/// Where a program on this machine reaches what listens on `bound`.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Opens the store, for the server and for commands beside it.
pub async fn open_store(config: &Config, clock: Clock, create: bool) -> anyhow::Result<Store> {
    let topic_root = TopicRoot::parse(&config.broker.topic_root).context("[broker] topic_root")?;
    let settings = store::Config {
        data_dir: config.data_dir.clone(),
        create,
        topic_root,
        readers: config.store.readers,
    };
    Ok(Store::open(settings, clock).await?)
}

fn port_hint(error: impl Into<anyhow::Error>, section: &str) -> anyhow::Error {
    let error: anyhow::Error = error.into();
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    let hint = match io {
        Some(std::io::ErrorKind::AddrInUse) => {
            format!("another program has the port; stop it, or choose another with [{section}] listen")
        }
        Some(std::io::ErrorKind::PermissionDenied) => {
            format!("this user may not use the port; choose one above 1023 with [{section}] listen")
        }
        Some(std::io::ErrorKind::AddrNotAvailable) => {
            format!("this machine does not have the address; change [{section}] listen")
        }
        _ => return error,
    };
    anyhow!("{error:#}: {hint}")
}

/// A one-time token, while nobody has been set up.
async fn setup_token(store: &Store) -> anyhow::Result<Option<String>> {
    Ok((store.count_people().await? == 0).then(protocol::new_secret))
}

#[expect(clippy::print_stdout, reason = "the link is for the person who started the server, not for the log")]
fn announce_setup(dashboard: SocketAddr, token: &str) {
    let (port, ip) = (dashboard.port(), dashboard.ip());
    let hosts = if ip.is_unspecified() {
        let outward = outward_address().filter(|ip| !ip.is_loopback()).map(|ip| ip.to_string());
        [Some("localhost".to_owned()), outward]
    } else {
        [Some(SocketAddr::new(ip, port).to_string().trim_end_matches(&format!(":{port}")).to_owned()), None]
    };
    println!("\nOpen this link to set up the first admin (it works once, until the server restarts):\n");
    for host in hosts.into_iter().flatten() {
        println!("    http://{host}:{port}/setup#{token}");
    }
    println!();
}

/// This machine's address as others see it, as far as it can tell. Nothing is sent.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address: only the route to it is looked up.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// What a device must know of this server.
pub fn invitation(config: &Config, broker: SocketAddr, pin: Option<String>) -> Invitation {
    let ip = if broker.ip().is_unspecified() {
        outward_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    } else {
        broker.ip()
    };
    let fallback_host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let public_host = Some(config.dashboard.public_host.clone()).filter(|host| !host.is_empty());
    Invitation { port: broker.port(), pin, public_host, fallback_host }
}

fn neighbours(
    gate: &broker::Handle,
    recorder: &recorder::Handle,
    keeping: &Keeping,
    alerting: Arc<dyn dashboard::Alerting>,
    config: &Config,
) -> Neighbours {
    let (for_copies, data_dir) = (keeping.clone(), config.data_dir.clone());
    let (keeping, for_attempts) = (keeping.clone(), gate.clone());
    let (for_health, for_counters) = (gate.clone(), gate.clone());
    let (recorder_health, recorder_counters) = (recorder.clone(), recorder.clone());
    Neighbours {
        health: Arc::new(move || {
            let (database, backup) = keeping.now();
            Health {
                engine_alive: for_health.engine_alive(),
                recorder_failing_since: recorder_health.failing_since(),
                trouble: recorder_health.trouble().map(|trouble| match trouble {
                    recorder::Trouble::DiskLow => "disk_low",
                    recorder::Trouble::StoreFails => "store_fails",
                }),
                disk_free_bytes: store::free_bytes(&data_dir),
                database,
                backup,
            }
        }),
        counters: Arc::new(move || {
            let mut all = for_counters.metrics().snapshot();
            all.extend(recorder_counters.counters());
            all
        }),
        attempts: Arc::new(move || for_attempts.attempts().into_iter().map(attempt).collect()),
        alerting,
        backups: Arc::new(backups::ForThePage { config: config.clone(), keeping: for_copies }),
        keep: config.retention.keep(),
        min_free_bytes: config.store.min_free_bytes,
    }
}

/// The agent for this machine, through the same port as everybody else. Trouble with it is no trouble of the server.
async fn local_agent(
    config: &Config,
    store: &Store,
    broker: SocketAddr,
    pin: Option<String>,
) -> Option<(agent::Config, Clock)> {
    if !config.local_agent.enabled {
        return None;
    }
    match prepare_local_agent(&config.local_agent, &config.data_dir, store, broker, pin).await {
        Ok(agent) => Some((agent, store.clock().clone())),
        Err(error) => {
            warn!(error = format!("{error:#}"), "this machine is not watched");
            None
        }
    }
}

async fn prepare_local_agent(
    settings: &config::LocalAgent,
    data_dir: &Path,
    store: &Store,
    broker: SocketAddr,
    pin: Option<String>,
) -> anyhow::Result<agent::Config> {
    let dir = data_dir.join("local-agent");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let key = local_key(&dir.join("key"), store).await?;
    let server = agent::ServerAddress::parse(&reachable(broker).to_string())?;
    let mut agent = agent::Config::new(server, key, dir);
    agent.pin = pin.map(|pin| agent::Pin::parse(&pin)).transpose()?;
    agent.interval = Duration::from_secs(settings.interval_s.max(1));
    agent.topic_root = TopicRoot::parse(store.topic_root().as_str())?;
    Ok(agent)
}

/// The key that was kept, while it is good; else a new one.
async fn local_key(file: &Path, store: &Store) -> anyhow::Result<ApiKey> {
    let kept = std::fs::read_to_string(file).ok().and_then(|text| ApiKey::parse(&text).ok());
    if let Some(key) = kept.filter(|key| store.identify(key).is_some()) {
        return Ok(key);
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .unwrap_or_else(|| "this machine".to_owned());
    let (_, key) = store.local_device(name.trim()).await?;
    crate::tls::write_private(file, key.reveal().as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(key)
}

/// The agent in a thread of its own: it cannot slow the server down, nor the server it.
struct LocalAgent {
    stop: CancellationToken,
    done: tokio::sync::oneshot::Receiver<()>,
}

impl LocalAgent {
    fn start(config: agent::Config, clock: Clock) -> Self {
        let (stop, (done_tx, done)) = (CancellationToken::new(), tokio::sync::oneshot::channel());
        let token = stop.clone();
        let started = std::thread::Builder::new().name("local-agent".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let ended = match runtime {
                Ok(runtime) => {
                    runtime.block_on(agent::run(config, clock, token)).map_err(anyhow::Error::from)
                }
                Err(error) => Err(error.into()),
            };
            if let Err(error) = ended {
                warn!(error = format!("{error:#}"), "this machine is not watched");
            }
            drop(done_tx);
        });
        if let Err(error) = started {
            warn!(error = %error, "this machine is not watched");
        }
        Self { stop, done }
    }

    async fn stop(self) {
        self.stop.cancel();
        // Its farewell takes a moment; an agent that hangs must not keep the server.
        drop(timeout(Duration::from_secs(4), self.done).await);
    }
}
