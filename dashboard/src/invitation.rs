//! The line that a new device runs.

use protocol::{ApiKey, DeviceId, KeyId};

use crate::account_views::{AddedKeyView, CommandView};
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

/// One word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Invitation {
    fn host<'a>(&'a self, asked: Option<&'a str>) -> &'a str {
        self.public_host.as_deref().or(asked).unwrap_or(&self.fallback_host)
    }

    /// A reader's or a service's key with lines to try it.
    pub(crate) fn key_view(
        &self,
        id: KeyId,
        key: &ApiKey,
        asked_host: Option<&str>,
        publish: &[String],
        subscribe: &[String],
    ) -> AddedKeyView {
        let (host, port, key) = (self.host(asked_host), self.port, key.reveal().to_owned());
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut commands = Vec::new();
        // Made for this machine's own names; under any other it is known by itself, not by its name.
        let trust = match &self.pin {
            Some(_) => {
                commands.push(CommandView {
                    label: "certificate",
                    line: format!("openssl s_client -connect {host}:{port} </dev/null | openssl x509 -out openclaw-watch.pem"),
                });
                commands.push(CommandView {
                    label: "fingerprint",
                    line: "openssl x509 -in openclaw-watch.pem -noout -fingerprint -sha256".to_owned(),
                });
                "--cafile openclaw-watch.pem --insecure"
            }
            None => "--tls-use-os-certs",
        };
        let client = |program: &str| format!("{program} -h {bare} -p {port} {trust} -u any -P {key}");
        if !subscribe.is_empty() {
            let topics: Vec<String> =
                subscribe.iter().map(|filter| format!("-t {}", quoted(filter))).collect();
            let topics = topics.join(" ");
            commands.push(CommandView {
                label: "subscribe",
                line: format!("{} {topics} -v", client("mosquitto_sub")),
            });
        }
        if let Some(filter) = publish.first() {
            let topic = quoted(&filter.replace(['#', '+'], "test"));
            commands.push(CommandView {
                label: "publish",
                line: format!("{} -t {topic} -m hello", client("mosquitto_pub")),
            });
        }
        AddedKeyView {
            id: id.to_string(),
            key,
            server: format!("{host}:{port}"),
            pin: self.pin.clone(),
            commands,
        }
    }

    /// A device's key with the line to run.
    pub fn view(&self, id: DeviceId, name: &str, key: &ApiKey, asked_host: Option<&str>) -> AddedDeviceView {
        let host = self.host(asked_host);
        let server = format!("{host}:{}", self.port);
        let key = key.reveal().to_owned();
        let pin = self.pin.as_ref().map(|pin| format!(" --pin {pin}")).unwrap_or_default();
        let unix = format!("openclaw-watch-agent run --server {server} --key {key}{pin}");
        let powershell = format!(".\\openclaw-watch-agent.exe run --server {server} --key {key}{pin}");
        // As root: OpenClaw's files are readable by their owner alone. The host's processes and network are what is measured.
        let docker = format!(
            "docker run -d --name openclaw-watch-agent --restart unless-stopped --user root --pid host --network host \
             -v \"$HOME/.openclaw:/openclaw:ro\" -v openclaw-watch-agent:/state --entrypoint openclaw-watch-agent \
             openclaw-watch run --server {server} --key {key}{pin} --state-dir /state --openclaw-home /openclaw"
        );
        AddedDeviceView {
            id: id.to_string(),
            name: name.to_owned(),
            key,
            pin: self.pin.clone(),
            server,
            command: unix.clone(),
            commands: CommandsView { unix, powershell, docker },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_whom_to_trust() {
        let key = ApiKey::generate(DeviceId::generate());
        let lines = |pin: Option<&str>| {
            let host = "[2001:db8::1]".to_owned();
            let pin = pin.map(str::to_owned);
            let invitation = Invitation { port: 1, pin, public_host: None, fallback_host: host };
            let (publish, subscribe) = (["home/#".to_owned()], ["it's/+".to_owned(), "b".to_owned()]);
            let view = invitation.key_view(KeyId::generate(), &key, None, &publish, &subscribe);
            assert_eq!(view.server, "[2001:db8::1]:1");
            view.commands
                .into_iter()
                .map(|command| command.line.replace(key.reveal(), "KEY"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lines(None),
            [
                "mosquitto_sub -h 2001:db8::1 -p 1 --tls-use-os-certs -u any -P KEY -t 'it'\\''s/+' -t 'b' -v",
                "mosquitto_pub -h 2001:db8::1 -p 1 --tls-use-os-certs -u any -P KEY -t 'home/test' -m hello",
            ]
        );
        let pinned = lines(Some("sha256:00"));
        assert_eq!(pinned.len(), 4);
        assert!(pinned[0].starts_with("openssl s_client -connect [2001:db8::1]:1 "), "{}", pinned[0]);
        assert!(pinned[2].contains("--cafile openclaw-watch.pem --insecure"), "{}", pinned[2]);
    }
}
