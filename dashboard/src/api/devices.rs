use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use protocol::{ApiKey, DeviceId};
use store::{DeviceKind, Zone};

use super::usage::{ZoneParams, zone};
use crate::App;
use crate::account_views::Rotation;
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;
use crate::views::{AddedDeviceView, DeviceDetailView, DevicePatch, DeviceView, Each, NewDevice};

/// A week: whoever needs longer has lost sight of the device.
const MAX_OVERLAP_H: u32 = 168;

fn device_id(text: &str) -> Result<DeviceId, ApiError> {
    DeviceId::parse(text).map_err(|_| ApiError::not_found("device"))
}

/// All devices
///
/// With their newest numbers, by name. The same as the first frame of `/live`.
#[utoipa::path(
    get,
    path = "/devices",
    operation_id = "list_devices",
    tag = "devices",
    params(ZoneParams),
    responses((status = 200, description = "The devices.", body = Vec<DeviceView>))
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<ZoneParams>, QueryRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let days = zone(params?.tz.as_deref())?.days(app.store.clock().now());
    // Written as they are made: ten thousand views at once are eight megabytes to move about.
    Ok(Json(Each(&app.store.devices(), &days)).into_response())
}

/// One device
///
/// With its host and its last whole report.
#[utoipa::path(
    get,
    path = "/devices/{id}",
    operation_id = "show_device",
    tag = "devices",
    params(("id" = String, Path, description = "The device's id."), ZoneParams),
    responses((status = 200, description = "The device.", body = DeviceDetailView))
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Viewer,
    Path(id): Path<String>,
    params: Result<Query<ZoneParams>, QueryRejection>,
) -> Result<Json<DeviceDetailView>, ApiError> {
    let id = device_id(&id)?;
    let zone = zone(params?.tz.as_deref())?;
    let device = app.store.device(id).ok_or_else(|| ApiError::not_found("device"))?;
    let host = device.presence.as_ref().and_then(|p| p.host.clone());
    let report = app.store.last_report(id).await?;
    Ok(Json(DeviceDetailView {
        device: DeviceView::of(&device, &zone.days(app.store.clock().now())),
        host: host.map(Into::into),
        report: report.map(Into::into),
    }))
}

/// The host that the browser used to reach us, without its port; `None` for what cannot be a host, and for this
/// machine's own names, which mean something else on a device.
pub(super) fn host_of(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let end = if host.starts_with('[') {
        host.find(']').map(|i| i + 1)?
    } else {
        host.find(':').unwrap_or(host.len())
    };
    let host = host.get(..end)?;
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let loopback =
        host.eq_ignore_ascii_case("localhost") || literal.as_ref().is_ok_and(std::net::IpAddr::is_loopback);
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let valid = literal.is_ok() || (!host.is_empty() && host.chars().all(name));
    (valid && !loopback).then(|| host.to_owned())
}

/// The device that the server runs on is kept by the server while it is watched.
fn refuse_local(app: &App, id: DeviceId, instead: &str) -> Result<(), ApiError> {
    let watched =
        |d: &store::Device| d.kind == DeviceKind::Local && d.presence.as_ref().is_some_and(|p| p.online);
    match app.store.device(id).filter(watched) {
        Some(_) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "local_device",
            format!("This is the machine that the server runs on. {instead}"),
        )),
        None => Ok(()),
    }
}

fn added(app: &App, headers: &HeaderMap, id: DeviceId, key: &ApiKey) -> Result<AddedDeviceView, ApiError> {
    let name = app.store.device(id).map(|d| d.name).ok_or_else(|| ApiError::not_found("device"))?;
    Ok(app.invitation.view(id, &name, key, host_of(headers).as_deref()))
}

/// Add a device
///
/// Answers with its key, which is shown here and never again, and the line to run on it.
#[utoipa::path(
    post,
    path = "/devices",
    operation_id = "add_device",
    tag = "devices",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = NewDevice,
    responses((status = 201, description = "The device with its key.", body = AddedDeviceView))
)]
pub(super) async fn add(
    State(app): State<App>,
    Admin(by): Admin,
    headers: HeaderMap,
    new: Result<Json<NewDevice>, JsonRejection>,
) -> Result<(StatusCode, Json<AddedDeviceView>), ApiError> {
    let Json(new) = new?;
    let (id, key) = app.store.add_device(&by, &new.name, &new.tags, DeviceKind::Agent).await??;
    Ok((StatusCode::CREATED, Json(added(&app, &headers, id, &key)?)))
}

/// Rename a device or change its tags
///
/// What is left out stays as it is. With `rev`, only if nobody has changed it since.
#[utoipa::path(
    patch,
    path = "/devices/{id}",
    operation_id = "change_device",
    tag = "devices",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("id" = String, Path, description = "The device's id.")),
    request_body = DevicePatch,
    responses((status = 200, description = "The device as it is now.", body = DeviceView))
)]
pub(super) async fn change(
    State(app): State<App>,
    Admin(by): Admin,
    Path(id): Path<String>,
    patch: Result<Json<DevicePatch>, JsonRejection>,
) -> Result<Json<DeviceView>, ApiError> {
    let (Json(patch), id) = (patch?, device_id(&id)?);
    app.store.change_device(&by, id, patch.name.as_deref(), patch.tags.as_deref(), patch.rev).await??;
    let device = app.store.device(id).ok_or_else(|| ApiError::not_found("device"))?;
    Ok(Json(DeviceView::of(&device, &Zone::utc().days(app.store.clock().now()))))
}

/// Remove a device
///
/// With its key and everything that it told.
#[utoipa::path(
    delete,
    path = "/devices/{id}",
    operation_id = "remove_device",
    tag = "devices",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("id" = String, Path, description = "The device's id.")),
    responses((status = 204, description = "It is gone."))
)]
pub(super) async fn remove(
    State(app): State<App>,
    Admin(by): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = device_id(&id)?;
    refuse_local(&app, id, "Set `[local_agent] enabled = false` and restart the server, then remove it.")?;
    app.store.remove_device(&by, id).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a device a new key
///
/// The old key ends at once, with the connection that uses it; or goes on working for `overlap_h` hours, so that the device
/// can be given the new one meanwhile.
#[utoipa::path(
    post,
    path = "/devices/{id}/rotate-key",
    operation_id = "rotate_device_key",
    tag = "devices",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("id" = String, Path, description = "The device's id.")),
    request_body = Option<Rotation>,
    responses((status = 200, description = "The device with its new key.", body = AddedDeviceView))
)]
pub(super) async fn rotate_key(
    State(app): State<App>,
    Admin(by): Admin,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<AddedDeviceView>, ApiError> {
    let id = device_id(&id)?;
    // Scripts of before send no body, some of them with the content type of one.
    let Rotation { overlap_h } = if body.is_empty() {
        Rotation::default()
    } else {
        Json::from_bytes(&body).map(|Json(rotation)| rotation)?
    };
    if overlap_h > MAX_OVERLAP_H {
        return Err(ApiError::invalid("overlap_h", format!("At most {MAX_OVERLAP_H} hours.")));
    }
    refuse_local(&app, id, "Its key is the server's own.")?;
    let key = app.store.rotate_key(&by, id, overlap_h).await??;
    Ok(Json(added(&app, &headers, id, &key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_loses_its_port() {
        let host = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, text.parse().unwrap());
            host_of(&headers)
        };
        assert_eq!(host("watch.example.net:38888").as_deref(), Some("watch.example.net"));
        assert_eq!(host("192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(host("[2001:db8::1]:38888").as_deref(), Some("[2001:db8::1]"));
        for none in
            ["[", "", "localhost:38888", "127.0.0.1", "[::1]:1", "$(id)", "a b", "x;y", "a\"b", "`id`"]
        {
            assert_eq!(host(none), None, "{none}");
        }
    }
}
