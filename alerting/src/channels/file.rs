//! A log file on the server's own disk: a line for each notification, a file for each day of UTC.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::{Clock, Timestamp};
use store::Zone;

use super::form::Form;
use super::words::{Words, severity_word, subject};
use super::{
    Arrived, Channel, ChannelKind, Failed, Fault, Field, FieldKind, Language, Message, Opens, Problem,
    Sending,
};
use crate::Occasion;

const FOLDER: &str = "logs";
const DAY_MS: i64 = 86_400_000;

pub(super) const KIND: ChannelKind = ChannelKind {
    word: "file",
    name: ("Log file", "日志文件"),
    help: (
        "logs/health-YYYY-MM-DD.log in the server's data folder, a file a day (UTC).",
        "写入服务器数据目录下的 logs/health-YYYY-MM-DD.log，每天一个文件（UTC）。",
    ),
    own: &[
        Field {
            word: "days",
            label: ("Keep for days", "保留天数"),
            kind: FieldKind::Number { min: 1, max: 3_650 },
            default: "30",
            placeholder: "30",
            ..Field::EMPTY
        },
        Field {
            word: "megabytes",
            label: ("Megabytes a day at most", "每日上限（MB）"),
            kind: FieldKind::Number { min: 1, max: 1_000 },
            default: "10",
            placeholder: "10",
            ..Field::EMPTY
        },
    ],
    http: false,
    edits: false,
    must_end: false,
    read,
};

struct File {
    folder: PathBuf,
    days: i64,
    bytes: u64,
    clock: Clock,
}

fn read(form: &Form<'_>) -> Result<Opens, Vec<Problem>> {
    let number = |word| form.number(word).ok_or_else(|| vec![Problem::new(word, "fill this in")]);
    let (days, megabytes) = (number("days")?, number("megabytes")?);
    let bytes = u64::try_from(megabytes).unwrap_or(1) << 20;
    Ok(Box::new(move |outside| {
        Box::new(File { folder: outside.data_dir.join(FOLDER), days, bytes, clock: outside.clock.clone() })
    }))
}

impl Channel for File {
    fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Box::pin(async move {
            let now = self.clock.now();
            let line = line(&message);
            let (folder, bytes, oldest) =
                (self.folder.clone(), self.bytes, now.plus_millis(-self.days * DAY_MS));
            let written = tokio::task::spawn_blocking(move || {
                let written = append(&folder, &name(now), &line, bytes)?;
                remove_before(&folder, &name(oldest))?;
                io::Result::Ok(written)
            });
            let written = written.await.map_err(io::Error::other).and_then(|written| written);
            let answer = match written {
                Ok(true) => format!("written to {FOLDER}/{}", name(now)),
                Ok(false) => format!("not written: {FOLDER}/{} has as much as a day may have", name(now)),
                Err(error) => {
                    let why = format!("cannot write to {FOLDER}/{}: {error}", name(now));
                    return Err(Failed::new(Fault::Channel, why));
                }
            };
            Ok(Arrived { handle: None, answer })
        })
    }
}

/// The file of a moment. Their order is that of their days.
fn name(at: Timestamp) -> String {
    format!("health-{}.log", Zone::utc().date(at))
}

/// `[UTC time] [SEVERITY] [rule] device: title - detail`, in one line whatever is in it.
fn line(message: &Message<'_>) -> String {
    let (said, language) = (message.notification, message.voice.language);
    let words = Words::of(message);
    let time = Zone::utc().time(said.at);
    let at = format!(
        "{}T{:02}:{:02}:{:02}Z",
        Zone::utc().date(said.at),
        time.hour(),
        time.minute(),
        time.second()
    );
    // For tools that look for it, in one language.
    let word = if said.occasion == Occasion::Resolved {
        "RESOLVED"
    } else {
        severity_word(said.severity, Language::En)
    };
    let rule = said.rule.as_deref().unwrap_or(said.occasion.as_str());
    let mut line = format!("[{at}] [{word}] [{rule}] ");
    if let Some(subject) = subject(said, language) {
        line.push_str(&subject);
        line.push_str(": ");
    }
    line.push_str(&words.title);
    if !words.detail.is_empty() {
        line.push_str(" - ");
        line.push_str(&words.detail.join("; "));
    }
    line.push('\n');
    line
}

/// Writes a line, unless the file would be too long then.
fn append(folder: &Path, name: &str, line: &str, bytes: u64) -> io::Result<bool> {
    fs::create_dir_all(folder)?;
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(folder.join(name))?;
    if file.metadata()?.len() + line.len() as u64 > bytes {
        return Ok(false);
    }
    file.write_all(line.as_bytes())?;
    file.sync_data()?;
    Ok(true)
}

/// Removes the files of days before that of a name; nothing else that lies there.
fn remove_before(folder: &Path, oldest: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.file_name();
        let Some(found) = found.to_str() else { continue };
        let day = found.strip_prefix("health-").and_then(|rest| rest.strip_suffix(".log"));
        let ours = day.is_some() && found.len() == oldest.len();
        if ours && found < oldest {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
