use std::pin::Pin;

use protocol::{ApiKey, DeviceId, Identity, KeyId};
use tokio::sync::watch;

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// It is nobody's.
    Unknown,
    /// It was revoked.
    Revoked,
    /// It was replaced, and its time is over.
    Expired,
}

/// Knows who may do what. The gate asks it; the store answers.
pub trait Directory: Send + Sync + 'static {
    /// Whose key this is; `None` for a wrong or revoked one. Compares in constant time, answers from memory.
    fn identify(&self, key: &ApiKey) -> Option<Identity>;

    /// Looks whether another process has just added keys. Asked when a key is not known, before it is refused; many
    /// that ask at once cost one look.
    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Why a key is refused: for people who look for the reason, never told to the client. Answers from memory.
    fn why_not(&self, key: &ApiKey) -> WhyNot;

    /// Whether there is such a device.
    fn knows(&self, device: DeviceId) -> bool;

    /// What the key may do now; `None` when it was revoked since.
    fn current(&self, key: KeyId) -> Option<Identity>;

    /// Changes whenever an answer may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}
