use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header;
use axum::response::IntoResponse;
use protocol::{DeviceId, OfflineReason, Timestamp};
use store::{Device, Span, StatusPage, Uptime};

use crate::App;
use crate::auth::Admin;
use crate::error::ApiError;
use crate::server_views::{StatusDeviceView, StatusPageView, StatusView};
use crate::views::rfc3339;

const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 90;
const MAX_DEVICES: usize = 200;
const MAX_TITLE: usize = 100;
const MAX_NOTE: usize = 2_000;
/// What everybody may ask is worked out this often at most ...
const KEEP: Duration = Duration::from_secs(10);
/// ... and takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// What everybody was last told.
pub(crate) struct Told {
    view: Option<Arc<StatusView>>,
    until: Instant,
}

fn view(page: StatusPage) -> StatusPageView {
    StatusPageView {
        enabled: page.enabled,
        title: page.title,
        note: page.note,
        devices: page.devices.iter().map(ToString::to_string).collect(),
        show_uptime: page.show_uptime,
        show_reason: page.show_reason,
    }
}

fn text(field: &'static str, text: &str, most: usize) -> Result<String, ApiError> {
    let text = text.trim();
    let fine = text.chars().count() <= most && !text.chars().any(|c| c.is_control() && c != '\n');
    fine.then(|| text.to_owned())
        .ok_or_else(|| ApiError::invalid(field, format!("At most {most} characters.")))
}

fn wanted(app: &App, view: &StatusPageView) -> Result<StatusPage, ApiError> {
    if view.devices.len() > MAX_DEVICES {
        return Err(ApiError::invalid("devices", format!("At most {MAX_DEVICES} devices.")));
    }
    let mut devices = Vec::with_capacity(view.devices.len());
    for text in &view.devices {
        let id = DeviceId::parse(text).ok().filter(|id| app.store.knows_device(*id));
        let id = id.ok_or_else(|| ApiError::invalid("devices", format!("There is no device {text}.")))?;
        if !devices.contains(&id) {
            devices.push(id);
        }
    }
    Ok(StatusPage {
        enabled: view.enabled,
        title: text("title", &view.title, MAX_TITLE)?,
        note: text("note", &view.note, MAX_NOTE)?,
        devices,
        show_uptime: view.show_uptime,
        show_reason: view.show_reason,
    })
}

/// What the status page shows
///
/// As an admin chose it. Off at first.
#[utoipa::path(
    get,
    path = "/status-page",
    operation_id = "show_status_page",
    tag = "status",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    responses((status = 200, description = "The choice.", body = StatusPageView))
)]
pub(super) async fn show(State(app): State<App>, _: Admin) -> Result<Json<StatusPageView>, ApiError> {
    Ok(Json(view(app.store.status_page().await?)))
}

/// Choose what the status page shows
///
/// To everybody, without a login, at `/status`.
#[utoipa::path(
    put,
    path = "/status-page",
    operation_id = "change_status_page",
    tag = "status",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = StatusPageView,
    responses((status = 200, description = "The choice.", body = StatusPageView))
)]
pub(super) async fn change(
    State(app): State<App>,
    Admin(by): Admin,
    page: Result<Json<StatusPageView>, JsonRejection>,
) -> Result<Json<StatusPageView>, ApiError> {
    let page = wanted(&app, &page?.0)?;
    // Held until it is written: nobody is told the choice before any more.
    let mut told = app.status.lock().await;
    app.store.change_status_page(&by, &page).await?;
    *told = None;
    drop(told);
    Ok(Json(view(page)))
}

/// How the chosen devices are
///
/// For everybody, when an admin has turned it on: names, states and uptime of the devices that they chose, and nothing else.
/// Worked out every ten seconds at most.
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "show_status",
    tag = "status",
    security(()),
    responses((status = 200, description = "The devices.", body = StatusView))
)]
pub(super) async fn public(State(app): State<App>) -> Result<impl IntoResponse, ApiError> {
    let now = Instant::now();
    // Whoever comes meanwhile waits for the same answer.
    let mut told = app.status.lock().await;
    let view = match &*told {
        Some(known) if known.until > now => known.view.clone(),
        _ => {
            let view = status(&app).await?.map(Arc::new);
            let done = Instant::now();
            *told = Some(Told { view: view.clone(), until: done + KEEP.max((done - now) * SHARE) });
            view
        }
    };
    drop(told);
    let view = view.ok_or_else(|| ApiError::not_found("status page"))?;
    Ok(([(header::CACHE_CONTROL, "public, max-age=10")], Json(view)).into_response())
}

async fn status(app: &App) -> Result<Option<StatusView>, ApiError> {
    let page = app.store.status_page().await?;
    if !page.enabled {
        return Ok(None);
    }
    let now = app.store.clock().now();
    let windows = windows(now);
    let mut devices = Vec::with_capacity(page.devices.len());
    for device in app.store.some_devices(&page.devices) {
        let uptimes = if page.show_uptime { app.store.uptimes(device.id, &windows).await? } else { None };
        devices.push(one(&device, uptimes.as_deref(), page.show_reason));
    }
    Ok(Some(StatusView { title: page.title, note: page.note, at: rfc3339(now), devices }))
}

/// The days in UTC until now, and last all of them together.
fn windows(now: Timestamp) -> Vec<Span> {
    let today = now.0 - now.0.rem_euclid(DAY_MS);
    let day = |back: i64| Timestamp(today - back * DAY_MS);
    let mut windows: Vec<Span> = (0..DAYS).rev().map(|back| (day(back), day(back - 1).min(now))).collect();
    windows.push((day(DAYS - 1), now));
    windows
}

fn one(device: &Device, uptimes: Option<&[Uptime]>, show_reason: bool) -> StatusDeviceView {
    let (whole, days) = match uptimes.and_then(<[Uptime]>::split_last) {
        Some((whole, days)) => (whole.pct(), Some(days.iter().map(Uptime::pct).collect())),
        None => (None, None),
    };
    let presence = device.presence.as_ref();
    let claw =
        device.latest.as_ref().and_then(|latest| latest.openclaw.as_ref()).map(|claw| claw.state.as_str());
    let state = match (presence.map(|presence| presence.online), claw) {
        (None, _) => "unknown",
        (Some(false), _) => "offline",
        (Some(true), Some("stopped" | "hung")) => "gateway_down",
        (Some(true), Some("degraded")) => "degraded",
        (Some(true), _) => "online",
    };
    // Since when a gateway is down is not known here; since when the device is there says nothing about it.
    let since =
        presence.filter(|_| matches!(state, "online" | "offline")).map(|presence| rfc3339(presence.since));
    let reason = presence.and_then(|presence| presence.reason).filter(|_| show_reason && state == "offline");
    StatusDeviceView {
        name: device.name.clone(),
        state,
        since,
        reason: reason.map(OfflineReason::as_str),
        uptime_90d_pct: whole,
        days,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_days_end_now() {
        let now = Timestamp(1_795_160_000_000);
        let windows = windows(now);
        assert_eq!(windows.len(), 91);
        let (days, whole) = windows.split_at(90);
        assert!(
            days.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].1.millis_since(pair[0].0) == DAY_MS)
        );
        assert_eq!((days[89].1, whole[0]), (now, (days[0].0, now)));
    }
}
