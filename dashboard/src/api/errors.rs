use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use protocol::DeviceId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::views::{ErrorRecordView, EventView};

/// Records of one answer at most.
const MAX_RECORDS: u32 = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only of this device.
    device: Option<String>,
    /// Records at most, up to 1,000; without it 100.
    limit: Option<u32>,
}

fn device(text: &str) -> Result<DeviceId, ApiError> {
    DeviceId::parse(text).map_err(|_| ApiError::not_found("device"))
}

fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(100) {
        limit @ 1..=MAX_RECORDS => Ok(limit),
        _ => Err(ApiError::invalid("limit", format!("1 to {MAX_RECORDS} records."))),
    }
}

/// The newest errors and crashes
///
/// Newest first; redacted on the device.
#[utoipa::path(
    get,
    path = "/errors",
    operation_id = "list_errors",
    tag = "errors",
    params(Params),
    responses((status = 200, description = "The records.", body = Vec<ErrorRecordView>))
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<Vec<ErrorRecordView>>, ApiError> {
    let Query(params) = params?;
    let device = params.device.as_deref().map(device).transpose()?;
    let errors = app.store.errors(device, limit(params.limit)?).await?;
    Ok(Json(errors.into_iter().map(Into::into).collect()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventParams {
    /// Events at most, up to 1,000; without it 100.
    limit: Option<u32>,
}

/// What happened on a device
///
/// Gateways that started, stopped, crashed, hung; reboots; upgrades. Newest first.
#[utoipa::path(
    get,
    path = "/devices/{id}/events",
    operation_id = "list_events",
    tag = "errors",
    params(("id" = String, Path, description = "The device's id."), EventParams),
    responses((status = 200, description = "The events.", body = Vec<EventView>))
)]
pub(super) async fn events(
    State(app): State<App>,
    _: Viewer,
    Path(id): Path<String>,
    params: Result<Query<EventParams>, QueryRejection>,
) -> Result<Json<Vec<EventView>>, ApiError> {
    let Query(params) = params?;
    let id = device(&id)?;
    if app.store.device(id).is_none() {
        return Err(ApiError::not_found("device"));
    }
    let events = app.store.events(id, limit(params.limit)?).await?;
    Ok(Json(events.into_iter().map(Into::into).collect()))
}
