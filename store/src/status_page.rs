//! What the status page shows to everybody.

use protocol::DeviceId;
use serde_json::json;
use sqlx::Row as _;

use crate::audit_log::{self, Actor, Deed};
use crate::{Doing as _, Error, Store};

/// What an admin chose to show without a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusPage {
    /// There is one.
    pub enabled: bool,
    /// Its heading.
    pub title: String,
    /// A text under it.
    pub note: String,
    /// The devices, in their order. Those that were removed since are not in it.
    pub devices: Vec<DeviceId>,
    /// How much of the last 90 days each was there.
    pub show_uptime: bool,
    /// Why one is not there.
    pub show_reason: bool,
}

impl Store {
    /// What the status page shows.
    pub async fn status_page(&self) -> Result<StatusPage, Error> {
        let row = sqlx::query("SELECT * FROM status_page")
            .fetch_one(&self.inner.readers)
            .await
            .doing("reading what the status page shows")?;
        let ids: Vec<String> = serde_json::from_str(row.get("devices")).unwrap_or_default();
        let known = |id: &String| DeviceId::parse(id).ok().filter(|id| self.device(*id).is_some());
        Ok(StatusPage {
            enabled: row.get("enabled"),
            title: row.get("title"),
            note: row.get("note"),
            devices: ids.iter().filter_map(known).collect(),
            show_uptime: row.get("show_uptime"),
            show_reason: row.get("show_reason"),
        })
    }

    /// Changes what the status page shows.
    pub async fn change_status_page(&self, by: &Actor, page: &StatusPage) -> Result<(), Error> {
        let doing = "changing what the status page shows";
        let before = self.status_page().await?;
        let ids: Vec<&str> = page.devices.iter().map(DeviceId::as_str).collect();
        let told = |page: &StatusPage| {
            let ids: Vec<&str> = page.devices.iter().map(DeviceId::as_str).collect();
            json!({
                "enabled": page.enabled, "title": page.title, "note": page.note, "devices": ids,
                "show_uptime": page.show_uptime, "show_reason": page.show_reason,
            })
        };
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
        sqlx::query(
            "UPDATE status_page SET enabled = ?, title = ?, note = ?, devices = ?, show_uptime = ?, show_reason = ?",
        )
        .bind(page.enabled)
        .bind(&page.title)
        .bind(&page.note)
        .bind(json!(ids).to_string())
        .bind(page.show_uptime)
        .bind(page.show_reason)
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        if before != *page {
            let deed = Deed {
                action: "status_page.change",
                subject: None,
                before: Some(told(&before)),
                after: Some(told(page)),
            };
            audit_log::write(&mut tx, self.inner.clock.now(), by, &deed).await.doing(doing)?;
        }
        tx.commit().await.doing(doing)
    }
}
