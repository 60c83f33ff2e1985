use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use jiff::ToSpan as _;
use protocol::{DeviceId, GatewayState, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Metric, OutageFilter, Range, UsageBy, UsageFilter, UsageQuery, Zone};
use utoipa::{IntoParams, ToSchema};

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

/// Devices of one answer at most.
const MAX_DEVICES: usize = 60;
/// A day in half hours.
const BEATS: usize = 48;
const BEAT_MS: i64 = 1_800_000;
/// An hour in steps of two minutes.
const TRAFFIC_STEPS: usize = 30;
const TRAFFIC_STEP_MS: i64 = 120_000;
/// Shorter absences do not mark their half hour: a connection that was renewed.
const ABSENT_MS: i64 = 30_000;
const WEEK: i64 = 7;
/// Outages of one device that are looked at.
const MAX_OUTAGES: u32 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrendsParams {
    /// Ids of the devices, with commas between, at most 60.
    devices: String,
    /// Until this moment; without it now.
    #[param(format = DateTime)]
    time: Option<String>,
    /// The viewer's time zone, like `Europe/Berlin`: whose days. Without it UTC.
    tz: Option<String>,
}

/// The small pictures of a device in the overview.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TrendsView {
    /// Where they end.
    #[schema(format = DateTime)]
    pub(crate) time: String,
    pub(crate) devices: Vec<TrendView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TrendView {
    pub(crate) id: String,
    /// The last 24 hours, a letter for each half hour: `.` all well, `w` something failed, `e` a gateway was down or hung,
    /// `o` the device was offline, `s` the server was down, `n` nothing is known.
    pub(crate) beats: String,
    /// The last hour's network traffic, both ways together, in bytes per second, in steps of two minutes.
    pub(crate) traffic: Vec<Option<f64>>,
    /// Tokens of the last seven days of the viewer, today the last.
    #[cfg_attr(test, ts(type = "Array<number>"))]
    pub(crate) week: Vec<i64>,
}

/// A span of time.
type Between = (Timestamp, Timestamp);

/// Whether a span holds at least so much of a half hour.
fn covers(from: Timestamp, span: Between, least_ms: i64) -> bool {
    let end = from.plus_millis(BEAT_MS);
    span.1.min(end).millis_since(span.0.max(from)) >= least_ms
}

/// The letters of a day, from what was measured in each half hour (how much, and the worst of OpenClaw).
fn beats(
    from: Timestamp,
    measured: &[(u32, Option<GatewayState>)],
    outages: &[Between],
    down: &[Between],
) -> String {
    let letter = |(i, (n, worst)): (i64, &(u32, Option<GatewayState>))| {
        let at = from.plus_millis(i * BEAT_MS);
        let covered = |spans: &[Between], least| spans.iter().any(|span| covers(at, *span, least));
        match worst {
            _ if covered(outages, ABSENT_MS) => 'o',
            _ if *n == 0 => {
                if covered(down, BEAT_MS / 2) {
                    's'
                } else {
                    'n'
                }
            }
            Some(GatewayState::Stopped | GatewayState::Hung) => 'e',
            Some(GatewayState::Degraded) => 'w',
            _ => '.',
        }
    };
    (0..).zip(measured).map(letter).collect()
}

async fn trend(
    app: &App,
    id: DeviceId,
    now: Timestamp,
    down: &[Between],
) -> Result<Option<(String, Vec<Option<f64>>)>, ApiError> {
    let day = Range { from: Timestamp(now.0 - BEAT_MS * 48), step_ms: BEAT_MS, steps: BEATS };
    let Some(samples) = app.store.samples(id, day, &[]).await? else {
        return Ok(None);
    };
    let measured: Vec<_> = samples.n.into_iter().zip(samples.openclaw).collect();
    let filter =
        OutageFilter { device: Some(id), from: Some(day.from), to: Some(now), ..OutageFilter::default() };
    let outages: Vec<Between> = app
        .store
        .outages(&filter, MAX_OUTAGES)
        .await?
        .into_iter()
        .map(|outage| (outage.from, outage.to.unwrap_or(now)))
        .collect();
    let hour = Range {
        from: Timestamp(now.0 - TRAFFIC_STEP_MS * 30),
        step_ms: TRAFFIC_STEP_MS,
        steps: TRAFFIC_STEPS,
    };
    let samples = app.store.samples(id, hour, &[Metric::NetworkUp, Metric::NetworkDown]).await?;
    let series = samples.map(|samples| samples.series).unwrap_or_default();
    let traffic = match series.as_slice() {
        [up, down] => {
            let both = up.avg.iter().zip(&down.avg).map(|(up, down)| match (up, down) {
                (None, None) => None,
                (up, down) => Some(up.unwrap_or(0.0) + down.unwrap_or(0.0)),
            });
            both.collect()
        }
        _ => Vec::new(),
    };
    Ok(Some((beats(day.from, &measured, &outages, down), traffic)))
}

/// Tokens of the last seven days of a viewer, by device.
async fn weeks(
    app: &App,
    devices: &[DeviceId],
    now: Timestamp,
    zone: &Zone,
) -> Result<HashMap<String, Vec<i64>>, ApiError> {
    let today = zone.date(now);
    let days: Vec<String> = (0..WEEK)
        .rev()
        .filter_map(|ago| today.checked_sub(ago.days()).ok())
        .map(|day| day.to_string())
        .collect();
    let first = today.checked_sub((WEEK - 1).days()).unwrap_or(today);
    let question = UsageQuery {
        from: zone.start_of(first),
        to: now.plus_millis(1),
        zone: zone.clone(),
        by: UsageBy::Device,
        then_by: Some(UsageBy::Day),
        filter: UsageFilter { devices: Some(devices.to_vec()), ..UsageFilter::default() },
        limit: 99,
    };
    let mut weeks: HashMap<String, Vec<i64>> = HashMap::new();
    for group in app.store.usage(&question).await? {
        let (Some(device), Some(day)) = (group.key, group.second) else { continue };
        let place = days.iter().position(|known| *known == day);
        let week = weeks.entry(device).or_insert_with(|| vec![0; days.len()]);
        if let Some(tokens) = place.and_then(|place| week.get_mut(place)) {
            *tokens = group.counts.tokens();
        }
    }
    Ok(weeks)
}

/// The small pictures of the overview
///
/// For some devices, as many as fit a screen: how each half hour of the last day was, its traffic of the last hour, and its
/// tokens of the last seven days.
#[utoipa::path(
    get,
    path = "/fleet/trends",
    operation_id = "show_fleet_trends",
    tag = "devices",
    params(TrendsParams),
    responses((status = 200, description = "Those of the devices that there are.", body = TrendsView))
)]
pub(super) async fn trends(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<TrendsParams>, QueryRejection>,
) -> Result<Json<TrendsView>, ApiError> {
    let Query(params) = params?;
    let ids: Option<Vec<DeviceId>> =
        params.devices.split(',').map(|id| DeviceId::parse(id.trim()).ok()).collect();
    let ids = ids.filter(|ids| ids.len() <= MAX_DEVICES).ok_or_else(|| {
        ApiError::invalid("devices", format!("Ids of devices with commas between, {MAX_DEVICES} at most."))
    })?;
    let zone = zone(params.tz.as_deref())?;
    let now = app.store.clock().now();
    let time = params.time.as_deref().map_or(Ok(now), |text| moment("time", text))?;
    if time > now {
        return Err(ApiError::invalid("time", "That is in the future."));
    }
    let down = app.store.down_spans(Timestamp(time.0 - BEAT_MS * 48), time).await?;
    let mut weeks = weeks(&app, &ids, time, &zone).await?;
    let mut devices = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some((beats, traffic)) = trend(&app, id, time, &down).await? {
            let (id, none) = (id.to_string(), || vec![0; 7]);
            let week = weeks.remove(&id).unwrap_or_else(none);
            devices.push(TrendView { id, beats, traffic, week });
        }
    }
    Ok(Json(TrendsView { time: rfc3339(time), devices }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_hour_is_told_by_its_worst() {
        let at = |minutes: i64| Timestamp(minutes * 60_000);
        let fine = (60, Some(GatewayState::Running));
        let measured = [
            fine,
            (60, Some(GatewayState::Degraded)),
            (60, Some(GatewayState::Stopped)),
            fine,
            (0, None),
            (0, None),
            (60, None),
        ];
        let outages = [(at(91), at(100)), (Timestamp(1000), Timestamp(2000))];
        assert_eq!(beats(at(0), &measured, &outages, &[(at(120), at(150))]), ".weosn.");
    }
}
