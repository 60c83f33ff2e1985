use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use dashboard::export::{Export, Format, What};
use protocol::Timestamp;
use serde_json::json;
use store::{AuditFilter, ErrorFilter, EventFilter};

use super::{Line, open, print};
use crate::cli::{ExportArgs, ExportFormat, ExportWhat};
use crate::config::Config;

pub(super) async fn run(arguments: ExportArgs, config: &Config, json: bool) -> anyhow::Result<()> {
    let ExportArgs { what, device, from, to, format, output } = arguments;
    let moment = |at: jiff::Timestamp| Timestamp(at.as_millisecond());
    let (from, to) = (from.map(moment), to.map(moment));
    let store = open(config, false).await?;
    if let Some(id) = device {
        anyhow::ensure!(store.device(id).is_some(), "there is no device {id}");
    }
    let what = match what {
        ExportWhat::Errors => What::Errors(ErrorFilter { device, from, to, ..ErrorFilter::default() }),
        ExportWhat::Events => What::Events(EventFilter { device, from, to, ..EventFilter::default() }),
        ExportWhat::AuditLog => {
            anyhow::ensure!(device.is_none(), "the audit log is not one device's; leave --device out");
            What::AuditLog(AuditFilter { from, to, ..AuditFilter::default() })
        }
        ExportWhat::Usage => What::Usage { device, from, to },
        ExportWhat::Samples => {
            let device = device.context("say of which device, with --device ID")?;
            What::Samples { device, from, to }
        }
    };
    let format = match format {
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Jsonl => Format::Jsonl,
    };
    let export = Export::new(store.clone(), what, format);
    match output {
        None => drop(write(export, &mut std::io::stdout().lock(), json).await?),
        Some(path) => {
            let rows = to_file(export, &path, json).await?;
            print(json, &json!({ "file": path, "rows": rows }), || {
                format!("wrote {} ({rows} rows)", path.display())
            });
        }
    }
    store.close().await;
    Ok(())
}

/// The file gets its name when it is whole.
async fn to_file(export: Export, path: &Path, json: bool) -> anyhow::Result<u64> {
    anyhow::ensure!(!path.exists(), "{} exists already; give a new name", path.display());
    let mut draft = path.as_os_str().to_owned();
    draft.push(".partial");
    let draft = Path::new(&draft);
    let cannot = || format!("cannot write {}", draft.display());
    let mut file = std::io::BufWriter::new(std::fs::File::create(draft).with_context(cannot)?);
    let rows = match write(export, &mut file, json).await {
        Ok(rows) => rows,
        Err(error) => {
            drop(std::fs::remove_file(draft));
            return Err(error);
        }
    };
    file.flush().with_context(cannot)?;
    file.get_ref().sync_all().with_context(cannot)?;
    std::fs::rename(draft, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(rows)
}

async fn write(mut export: Export, out: &mut impl Write, json: bool) -> anyhow::Result<u64> {
    let mut line = Line::new(json);
    while let Some(part) = export.next().await? {
        out.write_all(&part).context("cannot write all of it")?;
        line.say(format!("{} rows", export.rows()));
    }
    out.flush().context("cannot write all of it")?;
    Ok(export.rows())
}
