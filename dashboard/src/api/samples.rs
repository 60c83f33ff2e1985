use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use protocol::{DeviceId, GatewayState, OfflineReason, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{Metric, OutageFilter, Range};
use utoipa::IntoParams;

use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::views::{GapView, SamplesView, SeriesView, rfc3339};

/// Points of one answer at most.
const MAX_POINTS: usize = 2_000;
/// The longest span, in milliseconds: ten years.
const MAX_SPAN_MS: i64 = 10 * 366 * 86_400_000;
/// Devices report every 30 s unless told otherwise: finer steps would be mostly gaps.
const SHORTEST_STEP_MS: i64 = 30_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// From this time on; without it one hour before `to`.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Until this time; without it now.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Points at most, up to 2,000 and never fewer than 2; without it 600.
    points: Option<usize>,
    /// Which, with commas between: `cpu_pct,memory_used_bytes`. Without it all.
    metrics: Option<String>,
}

pub(super) fn moment(field: &'static str, text: &str) -> Result<Timestamp, ApiError> {
    text.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_millisecond())).map_err(|_| {
        ApiError::invalid(field, "A time looks like 2026-11-20T06:53:06Z; the + of an offset is written %2B.")
    })
}

fn metrics(text: Option<&str>) -> Result<Vec<Metric>, ApiError> {
    let Some(text) = text else {
        return Ok(Metric::ALL.to_vec());
    };
    text.split(',')
        .map(|name| {
            Metric::parse(name.trim()).ok_or_else(|| {
                let known: Vec<&str> = Metric::ALL.iter().map(|m| m.as_str()).collect();
                ApiError::invalid("metrics", format!("There are: {}.", known.join(", ")))
            })
        })
        .collect()
}

/// What was measured of a device
///
/// A column for each metric beside `at`, with the least, mean and greatest value of each step; null where nothing was
/// measured. `n` samples are in each step, `late` says which steps were back-filled (in part), `openclaw` is its worst
/// state. `gaps` are the spans in which the device or the server was away. `rung` says how fine the past is still kept.
#[utoipa::path(
    get,
    path = "/devices/{id}/samples",
    operation_id = "show_samples",
    tag = "samples",
    params(("id" = String, Path, description = "The device's id."), Params),
    responses((status = 200, description = "The columns.", body = SamplesView))
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Viewer,
    Path(id): Path<String>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<Map<String, Value>>, ApiError> {
    let Query(params) = params?;
    let id = DeviceId::parse(&id).map_err(|_| ApiError::not_found("device"))?;
    let to = params.to.as_deref().map_or_else(|| Ok(app.store.clock().now()), |text| moment("to", text))?;
    let from =
        params.from.as_deref().map_or_else(|| Ok(to.plus_millis(-3_600_000)), |text| moment("from", text))?;
    if from >= to || to.millis_since(from) > MAX_SPAN_MS {
        return Err(ApiError::invalid("from", "`from` lies before `to`, by at most ten years."));
    }
    let points = params.points.unwrap_or(600);
    if !(1..=MAX_POINTS).contains(&points) {
        return Err(ApiError::invalid("points", format!("1 to {MAX_POINTS} points.")));
    }
    let range = app.store.range(from, to, points, SHORTEST_STEP_MS);
    let metrics = metrics(params.metrics.as_deref())?;
    let samples =
        app.store.samples(id, range, &metrics).await?.ok_or_else(|| ApiError::not_found("device"))?;
    let at: Vec<String> = (0..)
        .take(range.steps)
        .map(|step: i64| rfc3339(range.from.plus_millis(step.saturating_mul(range.step_ms))))
        .collect();
    let mut answer = Map::new();
    answer.insert("at".to_owned(), json!(at));
    answer.insert("step_s".to_owned(), json!(range.step_ms / 1000));
    answer.insert("rung".to_owned(), json!(samples.rung.as_str()));
    answer.insert("n".to_owned(), json!(samples.n));
    answer.insert("late".to_owned(), json!(samples.late));
    let states: Vec<Option<&str>> =
        samples.openclaw.iter().map(|state| state.map(GatewayState::as_str)).collect();
    answer.insert("openclaw".to_owned(), json!(states));
    answer.insert("gaps".to_owned(), json!(gaps(&app, id, range).await?));
    for series in samples.series {
        let name = series.metric.as_str().to_owned();
        answer.insert(name, json!(SeriesView { min: series.min, avg: series.avg, max: series.max }));
    }
    Ok(Json(answer))
}

/// Gaps of one answer at most; a device that was away more often than that is drawn by its samples alone.
const MAX_GAPS: u32 = 500;

/// When the device or the server was away, in order.
async fn gaps(app: &App, device: DeviceId, range: Range) -> Result<Vec<GapView>, ApiError> {
    let filter = OutageFilter {
        device: Some(device),
        from: Some(range.from),
        to: Some(range.end()),
        ..OutageFilter::default()
    };
    let mut gaps: Vec<(Timestamp, GapView)> = Vec::new();
    for outage in app.store.outages(&filter, MAX_GAPS).await? {
        let known = outage.label.map(store::OutageLabel::as_str);
        let reason = known.or(outage.reason.map(OfflineReason::as_str)).unwrap_or("unknown");
        let view = GapView { from: rfc3339(outage.from), to: outage.to.map(rfc3339), reason };
        gaps.push((outage.from, view));
    }
    for (from, to) in app.store.down_spans(range.from, range.end()).await? {
        gaps.push((from, GapView { from: rfc3339(from), to: Some(rfc3339(to)), reason: "server_down" }));
    }
    gaps.sort_by_key(|(from, _)| *from);
    Ok(gaps.into_iter().map(|(_, view)| view).collect())
}
