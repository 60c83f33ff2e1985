use serde_json::json;
use store::NewKey;

use super::{open, print, who};
use crate::cli::{KeyCommand, NewKeyKind};
use crate::config::Config;

pub(super) async fn run(command: KeyCommand, config: &Config, json: bool) -> anyhow::Result<()> {
    let store = open(config, matches!(command, KeyCommand::Add { .. })).await?;
    match command {
        KeyCommand::Add { kind, devices, publish, subscribe, name } => {
            let new = match kind {
                NewKeyKind::Reader => {
                    anyhow::ensure!(
                        publish.is_empty() && subscribe.is_empty(),
                        "a reader has no --publish and --subscribe; give --device to limit it, or use --kind service"
                    );
                    NewKey::Reader(devices)
                }
                NewKeyKind::Service => {
                    anyhow::ensure!(
                        devices.is_empty(),
                        "--device is for readers; give a service --subscribe FILTER"
                    );
                    anyhow::ensure!(
                        !(publish.is_empty() && subscribe.is_empty()),
                        "a service needs --publish FILTER or --subscribe FILTER"
                    );
                    NewKey::Service { publish, subscribe }
                }
            };
            let name = if name.is_empty() { "unnamed" } else { &name };
            let (id, key) = store.add_key(&who::actor(), name, new).await??;
            print(json, &json!({ "id": id.to_string(), "key": key.reveal() }), || {
                format!(
                    "{name} ({id})\n\nThe key is shown now and never again. It is the MQTT password; any user name will do:\n\n    {}\n",
                    key.reveal()
                )
            });
        }
        KeyCommand::List => {
            let keys = store.keys().await?;
            let list: Vec<_> = keys
                .iter()
                .map(|key| {
                    json!({
                        "id": key.id.to_string(),
                        "kind": key.kind.as_str(),
                        "name": key.name,
                        "device": key.device.map(|d| d.to_string()),
                        "revoked": key.revoked_at.is_some(),
                        "expires_at": key.expires_at.map(|at| at.0),
                        "last_used_at": key.last_used_at.map(|at| at.0),
                    })
                })
                .collect();
            print(json, &json!(list), || {
                let line = |key: &store::KeyInfo| {
                    let state = if key.revoked_at.is_some() { "revoked" } else { "" };
                    let device = key.device.map(|d| d.to_string()).unwrap_or_default();
                    format!("{}  {:8}  {:12}  {}  {state}", key.id, key.kind.as_str(), device, key.name)
                };
                keys.iter().map(line).collect::<Vec<_>>().join("\n")
            });
        }
        KeyCommand::Revoke { id } => {
            store.revoke_key(&who::actor(), id).await??;
            print(json, &json!({ "revoked": id.to_string() }), || format!("revoked {id}"));
        }
    }
    store.close().await;
    Ok(())
}
