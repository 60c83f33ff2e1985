use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use protocol::{DeviceId, OfflineReason, Timestamp};
use serde::Deserialize;
use store::{Outage, OutageFilter, OutageLabel, Place, Span};
use utoipa::IntoParams;

use super::parse;
use super::usage::zone;
use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::history_views::{OutageListView, OutageView, UptimeView};
use crate::views::rfc3339;

/// Outages of one answer at most.
const MAX_OUTAGES: u32 = 1_000;
/// Spans of one answer at most: more than a year of days.
const MAX_SPANS: usize = 400;
/// Without `from`, this long before `to`: thirty days.
const DEFAULT_SPAN_MS: i64 = 30 * 86_400_000;

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
/// measured meanwhile; while its backlog arrives the label may still change. One of a minute or more that nothing tells of
/// has none: the agent may have hung, or keeps no backlog.
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
    Ok(Json(OutageListView { items: rows.iter().map(|outage| view(&app, outage, now)).collect(), next }))
}

fn view(app: &App, outage: &Outage, now: Timestamp) -> OutageView {
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

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UptimeParams {
    /// `day` (without it), `week` (from Monday), `month`, or `all`: the whole time at once.
    by: Option<String>,
    /// From this time on; without it thirty days before `to`.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Until this time; without it now.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Whose days, such as `Europe/Berlin`; without it UTC.
    tz: Option<String>,
}

/// How much of the time a device was there
///
/// By day, week or month of a time zone. The time before the device first came, and the time in which the server itself was
/// down, count neither way; a span of which nothing is known has no percentage.
#[utoipa::path(
    get,
    path = "/devices/{id}/uptime",
    operation_id = "show_uptime",
    tag = "outages",
    params(("id" = String, Path, description = "The device's id."), UptimeParams),
    responses((status = 200, description = "The spans, oldest first.", body = [UptimeView]))
)]
pub(super) async fn uptime(
    State(app): State<App>,
    _: Viewer,
    Path(id): Path<String>,
    params: Result<Query<UptimeParams>, QueryRejection>,
) -> Result<Json<Vec<UptimeView>>, ApiError> {
    let Query(params) = params?;
    let id = DeviceId::parse(&id).map_err(|_| ApiError::not_found("device"))?;
    let (from, to) = parse::span(params.from.as_deref(), params.to.as_deref())?;
    let to = to.unwrap_or_else(|| app.store.clock().now());
    let from = from.unwrap_or_else(|| to.plus_millis(-DEFAULT_SPAN_MS));
    let windows = windows(params.by.as_deref().unwrap_or("day"), from, to, params.tz.as_deref())?;
    let uptimes = app.store.uptimes(id, &windows).await?.ok_or_else(|| ApiError::not_found("device"))?;
    let view = |((from, to), uptime): (&Span, store::Uptime)| UptimeView {
        from: rfc3339(*from),
        to: rfc3339(*to),
        uptime_pct: uptime.pct(),
        online_s: uptime.online_ms / 1000,
        offline_s: uptime.offline_ms / 1000,
    };
    Ok(Json(windows.iter().zip(uptimes).map(view).collect()))
}

/// Calendar days, weeks or months of a zone that `from` to `to` touches, cut to it.
fn windows(by: &str, from: Timestamp, to: Timestamp, tz: Option<&str>) -> Result<Vec<Span>, ApiError> {
    let zone = zone(tz)?;
    if from >= to {
        return Err(ApiError::invalid("from", "`from` lies before `to`."));
    }
    let first = zone.date(from);
    let next = |day: jiff::civil::Date| {
        let weekday = i64::from(day.weekday().to_monday_zero_offset());
        match by {
            "day" => day.tomorrow(),
            "week" => day.checked_add(jiff::Span::new().days(7 - weekday)),
            _ => day.last_of_month().tomorrow(),
        }
    };
    match by {
        "all" => return Ok(vec![(from, to)]),
        "day" | "week" | "month" => {}
        _ => return Err(ApiError::invalid("by", "There are: day, week, month, all.")),
    }
    let (mut windows, mut day, mut begins) = (Vec::new(), first, from);
    while begins < to {
        if windows.len() >= MAX_SPANS {
            return Err(ApiError::invalid(
                "from",
                format!("At most {MAX_SPANS} spans: ask for less, or by week or month."),
            ));
        }
        day = next(day).map_err(|_| ApiError::invalid("to", "That is too far away."))?;
        let ends = zone.start_of(day).min(to);
        // A day that a zone has skipped has no length.
        if ends > begins {
            windows.push((begins, ends));
            begins = ends;
        }
    }
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_the_calendars_of_the_zone() {
        let ms = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let lengths = |by: &str, from: &str, to: &str, tz: &str| {
            let windows = windows(by, ms(from), ms(to), Some(tz)).unwrap();
            assert!(windows.windows(2).all(|pair| pair[0].1 == pair[1].0), "no gap: {windows:?}");
            assert_eq!((windows[0].0, windows[windows.len() - 1].1), (ms(from), ms(to)));
            windows.iter().map(|(from, to)| to.millis_since(*from) / 3_600_000).collect::<Vec<_>>()
        };
        // The clocks go back on the 25th.
        let found = lengths("day", "2026-10-24T10:00:00Z", "2026-10-26T12:00:00Z", "Europe/Berlin");
        assert_eq!(found, [12, 25, 13]);
        let found = lengths("week", "2026-10-24T10:00:00Z", "2026-11-02T00:00:00Z", "Europe/Berlin");
        assert_eq!(found, [12 + 25, 7 * 24, 1]);
        let found = lengths("month", "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z", "UTC");
        assert_eq!(found, [28 * 24, 31 * 24]);
        assert_eq!(lengths("all", "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z", "UTC"), [59 * 24]);
        // The 30th of December 2011 never was.
        let found = lengths("day", "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z", "Pacific/Apia");
        assert_eq!(found, [24, 24]);
        for (by, from, to) in [
            ("year", "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"),
            ("day", "2026-04-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("day", "1990-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ] {
            assert!(windows(by, ms(from), ms(to), None).is_err(), "{by} {from}");
        }
    }
}
