use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use protocol::{ApiKey, DeviceId};
use serde_json::json;
use store::{Device, DeviceKind, Store};

use super::{open, print, who};
use crate::cli::DeviceCommand;
use crate::config::Config;
use crate::data_dir;
use crate::serve::invitation;
use crate::tls::Certificate;

pub(super) async fn run(command: DeviceCommand, config: &Config, json: bool) -> anyhow::Result<()> {
    let store = open(config, matches!(command, DeviceCommand::Add { .. })).await?;
    match command {
        DeviceCommand::Add { name, tags } => {
            let (id, key) = store.add_device(&who::actor(), &name, &tags, DeviceKind::Agent).await??;
            show_key(config, &store, id, &key, json)?;
        }
        DeviceCommand::RotateKey { id, overlap_h } => {
            let key = store.rotate_key(&who::actor(), id, overlap_h).await??;
            show_key(config, &store, id, &key, json)?;
        }
        DeviceCommand::Remove { id } => {
            store.remove_device(&who::actor(), id).await??;
            print(json, &json!({ "removed": id.to_string() }), || format!("removed {id}"));
        }
        DeviceCommand::List => {
            let devices = store.devices();
            let list: Vec<_> = devices.iter().map(|device| row(device)).collect();
            print(json, &json!(list), || table(&devices));
        }
    }
    store.close().await;
    Ok(())
}

fn show_key(config: &Config, store: &Store, id: DeviceId, key: &ApiKey, json: bool) -> anyhow::Result<()> {
    let name = store.device(id).map(|d| d.name).context("the device was removed meanwhile")?;
    let certificate = Certificate::open(&config.tls, &config.data_dir)?;
    // A running server knows its port better than the settings: they may say 0.
    let running = data_dir::read_addresses(&config.data_dir)
        .and_then(|addresses| addresses.broker.parse::<SocketAddr>().ok())
        .map_or(config.broker.listen.port(), |broker| broker.port());
    let broker = SocketAddr::new(config.broker.listen.ip(), running);
    let view = invitation(config, broker, certificate.pin()).view(id, &name, key, None);
    print(
        json,
        &json!({
            "id": view.id, "name": view.name, "key": view.key, "pin": view.pin, "server": view.server,
            "command": view.command,
        }),
        || {
            format!(
                "{name} ({id})\n\nRun this on the device; the key is shown now and never again:\n\n    {}\n",
                view.command
            )
        },
    );
    Ok(())
}

fn row(device: &Device) -> serde_json::Value {
    let presence = device.presence.as_ref();
    json!({
        "id": device.id.to_string(),
        "name": device.name,
        "kind": device.kind.as_str(),
        "tags": device.tags,
        "online": presence.is_some_and(|p| p.online),
        "agent_version": presence.and_then(|p| p.agent_version.clone()),
    })
}

fn table(devices: &[Arc<Device>]) -> String {
    if devices.is_empty() {
        return "no devices yet; add one with `openclaw-watch device add NAME`".to_owned();
    }
    let width = devices.iter().map(|d| d.name.chars().count()).max().unwrap_or(0);
    let line = |device: &Arc<Device>| {
        let state = match &device.presence {
            None => "never seen",
            Some(p) if p.online => "online",
            Some(_) => "offline",
        };
        format!("{}  {:width$}  {state:10}  {}", device.id, device.name, device.tags.join(" "))
    };
    devices.iter().map(line).collect::<Vec<_>>().join("\n")
}
