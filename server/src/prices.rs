//! The table of prices: a file that people edit, read again when it changes.

use std::error::Error as _;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use store::{Prices, Store};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The largest file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Where the table comes from.
#[derive(Debug)]
pub(crate) struct PriceFile {
    path: PathBuf,
    /// It must be there: the settings name it.
    named: bool,
    seen: Option<(SystemTime, u64)>,
    prices: Prices,
    /// Not all that was written has these prices.
    due: bool,
    /// The last try to change that failed, and was told.
    failing: bool,
}

impl PriceFile {
    /// The file that is to be used, read.
    pub(crate) fn open(config: &config::Usage, data_dir: &Path) -> anyhow::Result<Self> {
        let named = !config.prices_file.as_os_str().is_empty();
        let path = if named { config.prices_file.clone() } else { data_dir.join("prices.toml") };
        let mut file = Self { path, named, seen: None, prices: Prices::default(), due: true, failing: false };
        // Looked at before it is read: what changes in between is read once more.
        file.seen = file.changed_at();
        file.prices = file.read()?;
        Ok(file)
    }

    /// The table that is to be in force.
    pub(crate) fn prices(&self) -> Prices {
        self.prices.clone()
    }

    fn changed_at(&self) -> Option<(SystemTime, u64)> {
        let meta = std::fs::metadata(&self.path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    }

    fn read(&self) -> anyhow::Result<Prices> {
        let file = match std::fs::File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound && !self.named => return Ok(Prices::embedded()),
            file => file,
        };
        let cannot = || format!("cannot read the prices in {}", self.path.display());
        let mut text = String::new();
        file.and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text)).with_context(cannot)?;
        if u64::try_from(text.len()).is_ok_and(|len| len > MAX_BYTES) {
            bail!("{} is no table of prices: it has more than {MAX_BYTES} bytes", self.path.display());
        }
        let prices = Prices::parse(&text)
            .with_context(|| format!("the prices in {} are not valid", self.path.display()))?;
        let name = self.path.file_name().unwrap_or_default();
        Ok(prices.from_file(name.to_string_lossy()))
    }

    /// Brings what was written to the table in force, and reads the file again when it changes, until `shutdown`. A file
    /// that cannot be used leaves the table before.
    pub(crate) async fn watch(mut self, store: Store, shutdown: CancellationToken) {
        loop {
            self.look(&store, &shutdown).await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&mut self, store: &Store, shutdown: &CancellationToken) {
        let now = self.changed_at();
        if now != self.seen {
            self.seen = now;
            match self.read() {
                Ok(prices) => {
                    info!(file = prices.file, prices = prices.prices.len(), "prices were read again");
                    (self.prices, self.due) = (prices, true);
                }
                Err(error) => {
                    warn!(error = format!("{error:#}"), "changed prices cannot be used, those before stay");
                }
            }
        }
        if !self.due {
            return;
        }
        let brought = async {
            store.set_prices(self.prices()).await?;
            store.reprice(shutdown).await
        };
        match brought.await {
            Ok(devices) => {
                (self.due, self.failing) = (false, false);
                if devices > 0 {
                    info!(devices, "costs were computed anew");
                }
            }
            // Tried again at the next look, and told once.
            Err(error) if !self.failing => {
                self.failing = true;
                let cause = error.source().map(ToString::to_string);
                warn!(error = %error, cause, "costs cannot be computed anew now, trying again");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Clock, TopicRoot};
    use tempfile::TempDir;

    use super::*;

    fn table(usd: u32) -> String {
        format!(
            "[[price]]\nprovider = \"p\"\nmodel = \"*\"\nfrom = \"2026-01-01\"\ninput = {usd}\noutput = {usd}\n"
        )
    }

    fn input(prices: &Prices) -> i64 {
        prices.prices.first().unwrap().rates.input
    }

    #[test]
    fn a_file_in_the_data_folder_is_used_and_a_bad_one_is_an_error_with_its_line() {
        let dir = TempDir::new().unwrap();
        let open = |config: &config::Usage| {
            PriceFile::open(config, dir.path()).map(|file| file.prices).map_err(|error| format!("{error:#}"))
        };
        let usual = config::Usage::default();
        assert_eq!(open(&usual), Ok(Prices::embedded()));
        let file = dir.path().join("prices.toml");
        std::fs::write(&file, table(3)).unwrap();
        let prices = open(&usual).unwrap();
        assert_eq!((input(&prices), prices.file.as_deref()), (3_000_000, Some("prices.toml")));
        std::fs::write(&file, table(3).replace("output", "outptu")).unwrap();
        let error = open(&usual).unwrap_err();
        assert!(
            error.contains("prices.toml") && error.contains("line 6") && error.contains("outptu"),
            "{error}"
        );
        let named = config::Usage { prices_file: dir.path().join("missing.toml") };
        assert!(open(&named).unwrap_err().contains("missing.toml"));
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_a_bad_one_is_not_taken() {
        let dir = TempDir::new().unwrap();
        let settings = store::Config {
            data_dir: dir.path().to_owned(),
            create: true,
            topic_root: TopicRoot::default(),
            readers: 1,
        };
        let store = Store::open(settings, Clock::system()).await.unwrap();
        let file = dir.path().join("prices.toml");
        let mut watched = PriceFile::open(&config::Usage::default(), dir.path()).unwrap();
        let stop = CancellationToken::new();
        watched.look(&store, &stop).await;
        assert_eq!(*store.prices(), Prices::embedded());
        // Each is longer than the one before: two changes may have the same time.
        for (text, usd) in [
            (table(3), 3),
            (table(40), 40),
            ("[[prices]] # no such table\n".repeat(40), 40),
            (table(500), 500),
        ] {
            std::fs::write(&file, text).unwrap();
            watched.look(&store, &stop).await;
            assert_eq!(input(&store.prices()), usd * 1_000_000);
        }
        std::fs::remove_file(&file).unwrap();
        watched.look(&store, &stop).await;
        assert_eq!(*store.prices(), Prices::embedded());
    }
}
