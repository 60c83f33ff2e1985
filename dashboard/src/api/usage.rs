use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use protocol::DeviceId;
use serde::Deserialize;
use store::{UsageBy, UsageFilter, UsageQuery, Zone};
use utoipa::IntoParams;

use super::parse;
use super::samples::moment;
use crate::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::views::{PricesView, UsageGroupView, UsageSummaryView};

const DAY_MS: i64 = 86_400_000;
/// Without `from`, this long before `to`: thirty days.
const DEFAULT_SPAN_MS: i64 = 30 * DAY_MS;
/// The longest span: ten years.
const MAX_SPAN_MS: i64 = 10 * 366 * DAY_MS;
/// Groups of one answer at most.
const MAX_GROUPS: i64 = 10_000;
/// How long ago a model without a price was used last, to be told.
const IN_USE_MS: i64 = 90 * DAY_MS;

/// Whose days: the zone of a name, UTC without one.
pub(crate) fn zone(name: Option<&str>) -> Result<Zone, ApiError> {
    let unknown =
        "A time zone has a name like Europe/Berlin or Asia/Shanghai; without one, days are those of UTC.";
    name.map_or_else(
        || Ok(Zone::utc()),
        |name| Zone::parse(name).ok_or_else(|| ApiError::invalid("tz", unknown)),
    )
}

/// Whose days are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ZoneParams {
    /// The viewer's time zone, like `Europe/Berlin`: whose today and yesterday. Without it UTC.
    pub(crate) tz: Option<String>,
}

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
    /// In groups by `quarter` (of an hour), `hour`, `day`, `week`, `month`, `model`, `provider`, `device`, `agent` or
    /// `trigger`, or by two of them, of which one may be time: `day,model`. Without it by day.
    by: Option<String>,
    /// The viewer's time zone, like `Europe/Berlin`: whose hours, days, weeks and months. Without it UTC.
    tz: Option<String>,
    /// Names at most, those that cost most; the rest is one group, `other`. Without it 100, or 10 for two ways; up to
    /// 1,000, or 99. Time is not cut.
    limit: Option<u32>,
    /// Only of this device.
    device: Option<String>,
    /// Only of devices with this tag.
    tag: Option<String>,
    /// Only of this provider.
    provider: Option<String>,
    /// Only of this model, without its provider.
    model: Option<String>,
    /// Only of this OpenClaw agent.
    agent: Option<String>,
    /// Only for this reason: `human`, `heartbeat`, `cron`, `sub_agent` or `unknown`.
    trigger: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SummaryParams {
    /// The viewer's time zone, like `Europe/Berlin`: whose days and months. Without it UTC.
    tz: Option<String>,
    /// Only of this device.
    device: Option<String>,
    /// Only of devices with this tag.
    tag: Option<String>,
    /// Only of this provider.
    provider: Option<String>,
    /// Only of this model, without its provider.
    model: Option<String>,
    /// Only of this OpenClaw agent.
    agent: Option<String>,
    /// Only for this reason: `human`, `heartbeat`, `cron`, `sub_agent` or `unknown`.
    trigger: Option<String>,
}

/// The devices that are asked for; `None`: all.
fn devices(app: &App, device: Option<&str>, tag: Option<&str>) -> Result<Option<Vec<DeviceId>>, ApiError> {
    let one = parse::device(app, device)?;
    let Some(tag) = tag else { return Ok(one.map(|id| vec![id])) };
    let fits = |device: &Arc<store::Device>| {
        one.is_none_or(|id| id == device.id) && device.tags.iter().any(|other| other == tag)
    };
    Ok(Some(app.store.devices().into_iter().filter(fits).map(|device| device.id).collect()))
}

fn ways(text: &str) -> Result<(UsageBy, Option<UsageBy>), ApiError> {
    let way = |word: &str| {
        UsageBy::ALL.into_iter().find(|by| by.as_str() == word.trim()).ok_or_else(|| {
            let known: Vec<&str> = UsageBy::ALL.iter().map(|by| by.as_str()).collect();
            ApiError::invalid("by", format!("There are: {}; two have a comma between.", known.join(", ")))
        })
    };
    let (first, second) = text.split_once(',').map_or((text, None), |(first, second)| (first, Some(second)));
    let (first, second) = (way(first)?, second.map(way).transpose()?);
    let time = |by: UsageBy| by.unit_ms().is_some();
    if second.is_some_and(|second| second == first || (time(second) && time(first))) {
        return Err(ApiError::invalid("by", "Two ways are different ones, and only one of them is time."));
    }
    Ok((first, second))
}

fn limit(asked: Option<u32>, two: bool) -> Result<u32, ApiError> {
    let (usual, most) = if two { (10, 99) } else { (100, 1_000) };
    match asked.unwrap_or(usual) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(ApiError::invalid("limit", format!("1 to {most} names."))),
    }
}

/// What was used
///
/// Tokens and cost of a span, in groups ordered by name. Groups of time follow the clock of `tz`, also on days on which
/// it changes.
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
    let (by, then_by) = ways(params.by.as_deref().unwrap_or("day"))?;
    let limit = limit(params.limit, then_by.is_some())?;
    let zone = zone(params.tz.as_deref())?;
    let now = app.store.clock().now();
    // What a device has just told may lie a little ahead of our clock.
    let to =
        params.to.as_deref().map_or_else(|| Ok(now.plus_millis(3_600_000)), |text| moment("to", text))?;
    let from = params
        .from
        .as_deref()
        .map_or_else(|| Ok(to.plus_millis(-DEFAULT_SPAN_MS)), |text| moment("from", text))?;
    let span = to.millis_since(from);
    if !(1..=MAX_SPAN_MS).contains(&span) {
        return Err(ApiError::invalid("from", "`from` lies before `to`, by at most ten years."));
    }
    let groups_of = |by: UsageBy| by.unit_ms().map_or(i64::from(limit) + 1, |unit| span / unit + 2);
    if groups_of(by).saturating_mul(then_by.map_or(1, groups_of)) > MAX_GROUPS + 1 {
        let message = format!(
            "That may be more than {MAX_GROUPS} groups: ask for a shorter span, longer units or a smaller limit."
        );
        return Err(ApiError::invalid("by", message));
    }
    let filter = UsageFilter {
        devices: devices(&app, params.device.as_deref(), params.tag.as_deref())?,
        provider: params.provider,
        model: params.model,
        agent: params.agent,
        trigger: params.trigger,
    };
    let question = UsageQuery { from, to, zone, by, then_by, filter, limit };
    let groups = app.store.usage(&question).await?;
    let view = |group| UsageGroupView::of(group, then_by.is_some());
    Ok(Json(groups.into_iter().map(view).collect()))
}

/// What was used around now
///
/// Today, yesterday, this month and the last one by the clock of `tz`, the total, what is usual by this time of day, and
/// what this month will come to. The forecast is what the month has, plus for each day that remains the mean of the last
/// seven full days (or as many as there are, two at least); its range is one standard deviation of such a sum.
#[utoipa::path(
    get,
    path = "/usage/summary",
    operation_id = "summarize_usage",
    tag = "usage",
    params(SummaryParams),
    responses((status = 200, description = "The summary.", body = UsageSummaryView))
)]
pub(super) async fn summary(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<SummaryParams>, QueryRejection>,
) -> Result<Json<UsageSummaryView>, ApiError> {
    let Query(params) = params?;
    let zone = zone(params.tz.as_deref())?;
    let filter = UsageFilter {
        devices: devices(&app, params.device.as_deref(), params.tag.as_deref())?,
        provider: params.provider,
        model: params.model,
        agent: params.agent,
        trigger: params.trigger,
    };
    let summary = app.store.usage_summary(&zone, &filter).await?;
    Ok(Json(UsageSummaryView::of(&summary, zone.name())))
}

/// The table of prices in force
///
/// What tokens cost of which OpenClaw recorded no cost, which plans cover what, and which models nobody knows a price of.
#[utoipa::path(
    get,
    path = "/prices",
    operation_id = "show_prices",
    tag = "usage",
    responses((status = 200, description = "The table.", body = PricesView))
)]
pub(super) async fn prices(State(app): State<App>, _: Viewer) -> Result<Json<PricesView>, ApiError> {
    let since = app.store.clock().now().plus_millis(-IN_USE_MS);
    let unpriced = app.store.unpriced_models(since, 100).await?;
    Ok(Json(PricesView::of(&app.store.prices(), unpriced)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_one_or_two_different_ones() {
        assert_eq!(ways("day"), Ok((UsageBy::Day, None)));
        assert_eq!(ways("model, hour"), Ok((UsageBy::Model, Some(UsageBy::Hour))));
        for wrong in ["", "year", "day,day", "day,month", "day,model,device", "model,"] {
            assert!(ways(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_have_bounds() {
        assert_eq!((limit(None, false), limit(None, true)), (Ok(100), Ok(10)));
        assert_eq!((limit(Some(1_000), false), limit(Some(99), true)), (Ok(1_000), Ok(99)));
        for (asked, two) in [(0, false), (1_001, false), (100, true)] {
            assert!(limit(Some(asked), two).is_err(), "{asked}");
        }
    }
}
