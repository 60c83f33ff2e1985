use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use protocol::{OfflineReason, Timestamp};
use serde::Deserialize;
use store::{Outage, OutageFilter, OutageLabel, Place};
use utoipa::IntoParams;

use super::parse;
use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::history_views::{OutageListView, OutageView};
use crate::views::rfc3339;

/// Outages of one answer at most.
const MAX_OUTAGES: u32 = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only of this device.
    device: Option<String>,
    /// Only those that were this: `host_rebooted`, `machine_slept`, `gateway_crashed`, `agent_restarted`, `server_down` or
    /// `network_only`.
    label: Option<String>,
    /// That lasted at or after this time.
    #[param(format = DateTime)]
    from: Option<String>,
    /// That began before this time.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Outages at most, up to 1,000; without it 100.
    limit: Option<u32>,
    /// `next` of the answer before: what comes after it.
    cursor: Option<String>,
}

/// When devices were away
///
/// Newest first. An outage is labelled when its device is back, from the boots of its host, its own events, and what it
/// measured meanwhile; while its backlog arrives the label may still change.
#[utoipa::path(
    get,
    path = "/outages",
    operation_id = "list_outages",
    tag = "outages",
    params(Params),
    responses((status = 200, description = "The outages.", body = OutageListView))
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<OutageListView>, ApiError> {
    let Query(params) = params?;
    let limit = parse::limit(params.limit, MAX_OUTAGES)?;
    let (from, to) = parse::span(params.from.as_deref(), params.to.as_deref())?;
    let labels = parse::words("label", params.label.as_deref(), &OutageLabel::ALL, OutageLabel::as_str)?;
    let filter = OutageFilter {
        device: parse::device(&app, params.device.as_deref())?,
        from,
        to,
        labels,
        after: parse::place('o', params.cursor.as_deref())?,
    };
    let rows = app.store.outages(&filter, limit + 1).await?;
    let place = |outage: &Outage| parse::cursor('o', Place { at: outage.from, no: outage.no });
    let (rows, next) = parse::page(rows, limit, place);
    let now = app.store.clock().now();
    Ok(Json(OutageListView { items: rows.into_iter().map(|outage| view(&app, outage, now)).collect(), next }))
}

fn view(app: &App, outage: Outage, now: Timestamp) -> OutageView {
    let until = outage.to.unwrap_or(now);
    OutageView {
        no: outage.no,
        device: outage.device.to_string(),
        device_name: app.store.device(outage.device).map(|device| device.name),
        from: rfc3339(outage.from),
        to: outage.to.map(rfc3339),
        duration_s: until.millis_since(outage.from).max(0) / 1000,
        reason: outage.reason.map(OfflineReason::as_str),
        label: outage.label.map(OutageLabel::as_str),
        openclaw_kept_running: outage.openclaw_kept_running,
    }
}
