//! Starting and stopping: a soft stop lets everything finish, a hard stop ends what did not.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a soft stop may take.
pub const SOFT: Duration = Duration::from_secs(20);

/// Waits until the operating system asks us to stop: SIGTERM, SIGINT, Ctrl-C.
pub async fn asked_to_stop() -> std::io::Result<&'static str> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        })
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map(|()| "Ctrl-C")
}

/// The tokens of a life: `soft` asks to finish, `hard` to drop everything.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Finish what is under way.
    pub soft: CancellationToken,
    /// End now.
    pub hard: CancellationToken,
}

/// Runs something long that nobody waits for in a thread of its own, with the least priority (on Linux, where its own
/// threads inherit that). The answer never comes if it could not be started.
pub fn in_background<T, F>(
    name: &'static str,
    work: impl FnOnce() -> F + Send + 'static,
) -> tokio::sync::oneshot::Receiver<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (done, answer) = tokio::sync::oneshot::channel();
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // On Linux this is about the thread, elsewhere about the whole process.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::nice(19) {
            tracing::debug!(%error, work = name, "has the same priority as all else");
        }
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            // Nobody waiting any more is fine.
            drop(done.send(runtime.block_on(work())));
        }
    });
    if let Err(error) = started {
        tracing::warn!(error = %error, work = name, "could not be started");
    }
    answer
}
