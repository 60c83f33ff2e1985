use std::pin::Pin;

use protocol::{ApiKey, Identity, KeyId};
use tokio::sync::watch;

/// Knows who may do what. The gate asks it; the store answers.
pub trait Directory: Send + Sync + 'static {
    /// Whose key this is; `None` for a wrong or revoked one. Compares in constant time, answers from memory.
    fn identify(&self, key: &ApiKey) -> Option<Identity>;

    /// Looks whether another process has just added keys. Asked when a key is not known, before it is refused; many
    /// that ask at once cost one look.
    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// What the key may do now; `None` when it was revoked since.
    fn current(&self, key: KeyId) -> Option<Identity>;

    /// Changes whenever an answer may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}
