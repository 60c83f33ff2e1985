//! The line that a new device runs.

use protocol::{ApiKey, DeviceId};

use crate::views::{AddedDeviceView, CommandsView};

/// What a device must know of this server.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The broker's port.
    pub port: u16,
    /// `sha256:HEX` of the certificate that was made here; `None` when a public authority vouches for it.
    pub pin: Option<String>,
    /// Host name for devices; `None`: whatever the browser used.
    pub public_host: Option<String>,
    /// Used when neither is known.
    pub fallback_host: String,
}

impl Invitation {
    /// A device's key with the line to run.
    pub fn view(&self, id: DeviceId, name: &str, key: &ApiKey, asked_host: Option<&str>) -> AddedDeviceView {
        let host = self.public_host.as_deref().or(asked_host).unwrap_or(&self.fallback_host);
        let server = format!("{host}:{}", self.port);
        let key = key.reveal().to_owned();
        let pin = self.pin.as_ref().map(|pin| format!(" --pin {pin}")).unwrap_or_default();
        let unix = format!("openclaw-watch-agent run --server {server} --key {key}{pin}");
        let powershell = format!(".\\openclaw-watch-agent.exe run --server {server} --key {key}{pin}");
        AddedDeviceView {
            id: id.to_string(),
            name: name.to_owned(),
            key,
            pin: self.pin.clone(),
            server,
            command: unix.clone(),
            commands: CommandsView { unix, powershell },
        }
    }
}
