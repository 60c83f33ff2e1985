//! What is told to people, in a form that says nothing of how it travels.

use protocol::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Said, Severity};

/// Why something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// An alert began.
    Fired,
    /// It got worse: another severity, or more devices.
    Worse,
    /// It says something else and is not worse. Only channels that change what they have sent before are told.
    Changed,
    /// It still fires, and somebody wanted to be reminded.
    Reminder,
    /// It is over.
    Resolved,
    /// What happened in a day or a week.
    Digest,
    /// Somebody tries the channel.
    Test,
}

impl Occasion {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Worse => "worse",
            Self::Changed => "changed",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }
}

/// The device that an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Which.
    pub id: DeviceId,
    /// What it is called.
    pub name: String,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Something to tell. It is kept as JSON until it has arrived: new fields have defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Its own id, the same in each attempt: whoever gets it twice knows by it.
    pub id: String,
    /// Why it is told.
    pub occasion: Occasion,
    /// When that was.
    pub at: Timestamp,
    /// The alert's number; `None` for a test or a digest.
    #[serde(default)]
    pub alert: Option<i64>,
    /// The word of the rule's kind, such as `offline`.
    #[serde(default)]
    pub rule: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// In one line, without the device's name.
    pub title: Said,
    /// More about it; of a digest all of it, a line each.
    #[serde(default)]
    pub detail: Option<Said>,
    /// The device; `None`: several of them, the fleet or the server.
    #[serde(default)]
    pub device: Option<Subject>,
    /// How many devices, when it is about several.
    #[serde(default)]
    pub devices: Option<u32>,
    /// When the alert began.
    #[serde(default)]
    pub fired_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default)]
    pub resolved_at: Option<Timestamp>,
    /// Where the page shows it, when the address of the page is known.
    #[serde(default)]
    pub url: Option<String>,
}
