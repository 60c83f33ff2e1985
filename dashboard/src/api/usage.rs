use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use protocol::DeviceId;
use serde::Deserialize;
use store::UsageBy;
use utoipa::IntoParams;

use super::samples::moment;
use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::views::{UsageGroupView, UsageView};

/// Without `from`, this long before `to`: thirty days.
const DEFAULT_SPAN_MS: i64 = 30 * 86_400_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// From this time on (rounded down to a quarter of an hour); without it thirty days before `to`.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Until this time; without it now.
    #[param(format = DateTime)]
    to: Option<String>,
    /// In groups by `day` (of UTC), `model`, `device`, `agent` or `trigger`; without it by day.
    by: Option<String>,
    /// Only of this device.
    device: Option<String>,
}

/// What was used
///
/// By day (of UTC), model, device, OpenClaw agent or trigger.
#[utoipa::path(
    get,
    path = "/usage",
    operation_id = "show_usage",
    tag = "usage",
    params(Params),
    responses((status = 200, description = "The groups, by name.", body = Vec<UsageGroupView>))
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<Vec<UsageGroupView>>, ApiError> {
    let Query(params) = params?;
    let word = params.by.as_deref().unwrap_or("day");
    let by = UsageBy::ALL.into_iter().find(|by| by.as_str() == word).ok_or_else(|| {
        let known: Vec<&str> = UsageBy::ALL.iter().map(|by| by.as_str()).collect();
        ApiError::invalid("by", format!("There are: {}.", known.join(", ")))
    })?;
    let now = app.store.clock().now();
    // What a device has just told may lie a little ahead of our clock.
    let to =
        params.to.as_deref().map_or_else(|| Ok(now.plus_millis(3_600_000)), |text| moment("to", text))?;
    let from = params
        .from
        .as_deref()
        .map_or_else(|| Ok(to.plus_millis(-DEFAULT_SPAN_MS)), |text| moment("from", text))?;
    if from >= to {
        return Err(ApiError::invalid("from", "`from` lies before `to`."));
    }
    let device = params
        .device
        .as_deref()
        .map(|id| DeviceId::parse(id).map_err(|_| ApiError::not_found("device")))
        .transpose()?;
    let groups = app.store.usage(from, to, by, device).await?;
    let view = |(key, counts): (String, _)| UsageGroupView { key, usage: UsageView::of(&counts) };
    Ok(Json(groups.into_iter().map(view).collect()))
}
