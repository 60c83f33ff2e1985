use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use protocol::DeviceId;
use serde::Deserialize;
use store::UsageBy;

use super::samples::moment;
use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::views::{UsageGroupView, UsageView};

/// Without `from`, this long before `to`: thirty days.
const DEFAULT_SPAN_MS: i64 = 30 * 86_400_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
    device: Option<String>,
}

/// What was used, by day (of UTC), model, device, OpenClaw agent or trigger.
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
