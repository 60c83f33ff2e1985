use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::samples::moment;
use super::usage::zone;
use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::history_views::FleetAtView;
use crate::views::{Each, rfc3339};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// The moment.
    #[param(format = DateTime)]
    time: String,
    /// The viewer's time zone, like `Europe/Berlin`: whose today and yesterday. Without it UTC.
    tz: Option<String>,
}

/// A [`FleetAtView`], whose devices are written as they are made.
#[derive(Serialize)]
struct Answer<'a> {
    time: String,
    rung: &'static str,
    server_down: bool,
    devices: Each<'a>,
}

/// The fleet as it was
///
/// All devices that there were at a moment of the past (and still are), as the overview would have shown them; what a device
/// could only tell later is included. Names and tags are those of today. Numbers are of the last sample before the moment,
/// or of the five minutes or the hour where samples are not kept any more (`rung`). Usage counts the whole quarter of an hour
/// of the moment.
#[utoipa::path(
    get,
    path = "/fleet/at",
    operation_id = "show_fleet_at",
    tag = "devices",
    params(Params),
    responses((status = 200, description = "The fleet.", body = FleetAtView))
)]
pub(super) async fn at(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Query(params) = params?;
    let at = moment("time", &params.time)?;
    if at > app.store.clock().now() {
        return Err(ApiError::invalid("time", "That is in the future; the present is at /devices."));
    }
    let days = zone(params.tz.as_deref())?.days(at);
    let fleet = app.store.fleet_at(at, &days).await?;
    let devices = Each(&fleet.devices, &days);
    Ok(Json(Answer { time: rfc3339(at), rung: fleet.rung.as_str(), server_down: fleet.server_down, devices })
        .into_response())
}
