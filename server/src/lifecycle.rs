//! Starting and stopping: a soft stop lets everything finish, a hard stop ends what did not.

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
