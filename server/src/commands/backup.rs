use std::path::Path;

use protocol::Clock;
use serde_json::json;
use store::{Deed, Progress, Subject};

use super::{Line, open, print, who};
use crate::backups;
use crate::config::Config;
use crate::data_dir;

/// What a copy leaves free. Little: somebody who makes one on a full disk knows why.
const SPARE_BYTES: u64 = 16 << 20;

/// Bytes as people read them.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenths, mut unit) = (bytes, 0, 0);
    while whole >= 1024 && unit + 1 < units.len() {
        (whole, tenths, unit) = (whole / 1024, whole % 1024 * 10 / 1024, unit + 1);
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

fn teller(json: bool) -> impl FnMut(Progress) + Send {
    let mut line = Line::new(json);
    move |progress| match progress {
        Progress::Copying(done, all) => {
            let pct = done.saturating_mul(100) / all.max(1);
            let full = usize::try_from(pct / 5).unwrap_or(0).min(20);
            let bar = format!("{:20}", "#".repeat(full));
            line.say(format!("[{bar}] {pct:3} %  {} of {}", size(done), size(all)));
        }
        Progress::Checking => line.say("reading it through ...".to_owned()),
    }
}

pub(super) async fn make(file: &Path, config: &Config, json: bool) -> anyhow::Result<()> {
    let store = open(config, false).await?;
    let made = store.backup(file, SPARE_BYTES, &mut teller(json)).await?;
    let name = file.display().to_string();
    let deed = Deed {
        action: "backup",
        subject: Some(Subject { kind: "file", id: &name, name: &name }),
        before: None,
        after: Some(json!({ "bytes": made.bytes })),
    };
    store.note(&who::actor(), &deed).await?;
    print(json, &json!({ "file": file, "bytes": made.bytes }), || {
        format!(
            "wrote {} ({}); it was read again and is whole\nThe certificate is not in it: keep {} too, devices pin it.",
            file.display(),
            size(made.bytes),
            config.data_dir.join("tls").display()
        )
    });
    store.close().await;
    Ok(())
}

pub(super) async fn restore(file: &Path, config: &Config, json: bool) -> anyhow::Result<()> {
    // Held to the end: no server starts meanwhile, and none that runs is disturbed.
    let _lock = data_dir::take(&config.data_dir)?;
    let label = backups::stamp(Clock::system().now());
    let done = store::restore(file, &config.data_dir, &label, &mut teller(json)).await?;
    // Brings an older copy to this version's form, too.
    let store = open(config, false).await?;
    let name = file.display().to_string();
    let deed = Deed {
        action: "restore",
        subject: Some(Subject { kind: "file", id: &name, name: &name }),
        before: done.kept.as_ref().map(|kept| json!({ "kept": kept })),
        after: Some(json!({ "bytes": done.bytes })),
    };
    store.begin_anew(&who::actor(), &deed).await?;
    store.close().await;
    print(json, &json!({ "file": file, "bytes": done.bytes, "kept": done.kept }), || {
        let kept = done.kept.as_ref().map_or_else(String::new, |kept| {
            format!("\nWhat was there before is kept as {}; remove it when all is well.", kept.display())
        });
        format!(
            "{} is the database now ({}).{kept}\nKeys, people and tokens are those of the copy: what was revoked since then \
             works again.",
            file.display(),
            size(done.bytes)
        )
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in
            [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (u64::MAX, "16777215.9 TiB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
