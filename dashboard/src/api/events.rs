use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use store::{EventFilter, FleetEvent, Page};
use utoipa::IntoParams;

use super::parse;
use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::log_views::FleetEventListView;
use crate::views::EventView;

/// Events of one answer at most.
const MAX_EVENTS: u32 = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only of this device.
    device: Option<String>,
    /// Only of these kinds, with commas between: `gateway_crashed,server_crashed`. `activity` comes only when it is named.
    kind: Option<String>,
    /// From this time on.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this time.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Events at most, up to 1,000; without it 100.
    limit: Option<u32>,
    /// `next` of the answer before: what comes after it.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParams {
    /// Only of this device.
    device: Option<String>,
    /// Only of these kinds, with commas between. `activity` comes only when it is named.
    kind: Option<String>,
    /// From this time on.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this time.
    #[param(format = DateTime)]
    to: Option<String>,
    /// `csv` (without it) or `jsonl`.
    pub(super) format: Option<String>,
}

impl ExportParams {
    pub(super) fn filter(&self, app: &App) -> Result<EventFilter, ApiError> {
        let known: Vec<&'static str> = EventFilter::kinds().collect();
        let (from, to) = parse::span(self.from.as_deref(), self.to.as_deref())?;
        Ok(EventFilter {
            device: parse::device(app, self.device.as_deref())?,
            kinds: parse::words("kind", self.kind.as_deref(), &known, |kind| kind)?,
            from,
            to,
        })
    }
}

/// What happened
///
/// On all devices (gateways that started, stopped, crashed, hung; reboots; upgrades) and to the server itself, whose events
/// have no device. Newest first.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "list_fleet_events",
    tag = "errors",
    params(Params),
    responses((status = 200, description = "The events.", body = FleetEventListView))
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<FleetEventListView>, ApiError> {
    let Query(Params { device, kind, from, to, limit, cursor }) = params?;
    let limit = parse::limit(limit, MAX_EVENTS)?;
    let after = parse::place('v', cursor.as_deref())?;
    let filter = ExportParams { device, kind, from, to, format: None }.filter(&app)?;
    let rows = app.store.fleet_events(&filter, Page { after, limit: limit + 1 }).await?;
    let (rows, next) = parse::page(rows, limit, |row: &FleetEvent| parse::cursor('v', row.place()));
    Ok(Json(FleetEventListView { items: rows.into_iter().map(Into::into).collect(), next }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeviceParams {
    /// Events at most, up to 1,000; without it 100.
    limit: Option<u32>,
}

/// What happened on a device
///
/// Gateways that started, stopped, crashed, hung; reboots; upgrades; activities, too. Newest first.
#[utoipa::path(
    get,
    path = "/devices/{id}/events",
    operation_id = "list_events",
    tag = "errors",
    params(("id" = String, Path, description = "The device's id."), DeviceParams),
    responses((status = 200, description = "The events.", body = Vec<EventView>))
)]
pub(super) async fn of_device(
    State(app): State<App>,
    _: Viewer,
    Path(id): Path<String>,
    params: Result<Query<DeviceParams>, QueryRejection>,
) -> Result<Json<Vec<EventView>>, ApiError> {
    let Query(params) = params?;
    let id = parse::device(&app, Some(&id))?.ok_or_else(|| ApiError::not_found("device"))?;
    let events = app.store.events(id, parse::limit(params.limit, MAX_EVENTS)?).await?;
    Ok(Json(events.into_iter().map(Into::into).collect()))
}
