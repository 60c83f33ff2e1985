use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::auth::Viewer;
use crate::views::HealthView;
use crate::{App, BackupHealth, DatabaseHealth};

/// Public, so that a container or a load balancer can ask; says no more than they need.
pub(super) async fn healthz(State(app): State<App>) -> (StatusCode, Json<HealthView>) {
    let health = (app.health)();
    let store_writable = tokio::time::timeout(std::time::Duration::from_secs(3), app.store.writable())
        .await
        .is_ok_and(|written| written.is_ok());
    let failing_s = health
        .recorder_failing_since
        .map_or(0, |since| app.store.clock().now().millis_since(since).max(0) / 1000);
    let well = store_writable && health.engine_alive && health.recorder_failing_since.is_none();
    let view = HealthView {
        status: if well { "ok" } else { "failing" },
        store_writable,
        engine_alive: health.engine_alive,
        recorder_failing_s: failing_s,
        trouble: health.trouble,
        disk_free_bytes: health.disk_free_bytes,
        // Told, and no reason to send people elsewhere: the server does what it can.
        database: match health.database {
            DatabaseHealth::Ok => "ok",
            DatabaseHealth::Checking => "checking",
            DatabaseHealth::Damaged => "damaged",
        },
        backup: match health.backup {
            BackupHealth::Off => "off",
            BackupHealth::None => "none",
            BackupHealth::Ok => "ok",
            BackupHealth::Failed => "failed",
        },
        version: env!("CARGO_PKG_VERSION"),
    };
    (if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(view))
}

/// Prometheus' text format.
pub(super) async fn metrics(State(app): State<App>, _: Viewer) -> impl IntoResponse {
    let mut text = String::new();
    for (name, value) in (app.counters)() {
        let (suffix, kind) = match name.strip_suffix("_now") {
            Some(gauge) => (gauge.to_owned(), "gauge"),
            None => (format!("{name}_total"), "counter"),
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "# TYPE openclaw_watch_{suffix} {kind}\nopenclaw_watch_{suffix} {value}");
    }
    let devices = app.store.devices();
    let online = devices.iter().filter(|d| d.presence.as_ref().is_some_and(|p| p.online)).count();
    let _ = writeln!(
        text,
        "# TYPE openclaw_watch_devices gauge\nopenclaw_watch_devices{{state=\"online\"}} {online}\n\
         openclaw_watch_devices{{state=\"offline\"}} {}",
        devices.len() - online
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
