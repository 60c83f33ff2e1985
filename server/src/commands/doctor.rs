use anyhow::bail;
use serde_json::json;

use super::{open, print};
use crate::config::Config;
use crate::data_dir;
use crate::tls::Certificate;

struct Finding {
    about: &'static str,
    fine: bool,
    says: String,
}

pub(super) async fn run(config: &Config, json: bool) -> anyhow::Result<()> {
    let mut findings = Vec::new();
    let mut add = |about, fine, says: String| findings.push(Finding { about, fine, says });

    let running = data_dir::in_use(&config.data_dir);
    let addresses = data_dir::read_addresses(&config.data_dir);
    add(
        "server",
        true,
        match (running, &addresses) {
            (true, Some(a)) => format!("running; page on {}, devices on {}", a.dashboard, a.broker),
            (true, None) => "starting or stopping".to_owned(),
            (false, _) => "not running".to_owned(),
        },
    );
    match open(config, false).await {
        Ok(store) => {
            let damage = store.check().await?;
            if damage.is_empty() {
                add("database", true, format!("{} is whole", store.path().display()));
            } else {
                add("database", false, format!("damaged, restore a backup: {}", damage.join("; ")));
            }
            let devices = store.devices();
            let online = devices.iter().filter(|d| d.presence.as_ref().is_some_and(|p| p.online)).count();
            add("devices", true, format!("{} known, {online} online", devices.len()));
            let people = store.count_people().await?;
            add(
                "people",
                true,
                if people == 0 {
                    "nobody set up yet: follow the link that the server prints, or run `openclaw-watch user add`".to_owned()
                } else {
                    format!("{people} may log in")
                },
            );
            store.close().await;
        }
        Err(error) => add("database", false, format!("{error:#}")),
    }
    if Certificate::exists(&config.tls, &config.data_dir) {
        match Certificate::open(&config.tls, &config.data_dir) {
            Ok(certificate) => {
                let pin = certificate.pin().map(|pin| format!("made here, devices pin {pin}"));
                add("certificate", true, pin.unwrap_or_else(|| "configured".to_owned()));
            }
            Err(error) => add("certificate", false, format!("{error:#}")),
        }
    } else {
        add("certificate", true, "none yet: the server makes one at its first start".to_owned());
    }

    let list: Vec<_> =
        findings.iter().map(|f| json!({ "about": f.about, "ok": f.fine, "says": f.says })).collect();
    print(json, &json!(list), || {
        let line =
            |f: &Finding| format!("{}  {:12} {}", if f.fine { "ok  " } else { "FAIL" }, f.about, f.says);
        findings.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    if findings.iter().all(|f| f.fine) { Ok(()) } else { bail!("something is wrong, see above") }
}
