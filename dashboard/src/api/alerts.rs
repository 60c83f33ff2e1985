use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use protocol::DeviceId;
use serde::{Deserialize, Serialize};
use store::{Alert, AlertFilter, Page, Pause, PauseBody, PauseKind, Said, Severity};
use utoipa::{IntoParams, ToSchema};

use super::parse;
use crate::App;
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;
use crate::openapi::words;
use crate::views::rfc3339;

/// Alerts of one answer at most.
const MAX_ALERTS: u32 = 1_000;

/// A part of the alerts, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AlertListView {
    pub(crate) items: Vec<AlertView>,
    /// Send it as `cursor` for what comes after; absent at the end.
    pub(crate) next: Option<String>,
}

/// What somebody should know, from when to when.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AlertView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) no: i64,
    /// Absent for the whole fleet, or the server.
    pub(crate) device: Option<String>,
    pub(crate) device_name: Option<String>,
    /// The word of the rule that fired it.
    pub(crate) rule: String,
    #[cfg_attr(test, ts(type = "\"critical\" | \"error\" | \"warning\" | \"info\""))]
    #[schema(schema_with = words::severity)]
    pub(crate) severity: &'static str,
    pub(crate) title: SaidView,
    pub(crate) detail: Option<SaidView>,
    #[schema(format = DateTime)]
    pub(crate) fired_at: String,
    /// Absent while it fires.
    #[schema(format = DateTime)]
    pub(crate) resolved_at: Option<String>,
    /// When somebody took note of it.
    #[schema(format = DateTime)]
    pub(crate) acknowledged_at: Option<String>,
    pub(crate) acknowledged_by: Option<String>,
    /// The number of the rule, while there is one.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) rule_no: Option<i64>,
    /// What of the device it is about, such as a channel of OpenClaw; empty: the device itself.
    pub(crate) subject: String,
    /// The devices, when several are one alert.
    pub(crate) members: Vec<AlertMemberView>,
    /// It comes and goes.
    pub(crate) flapping: bool,
    /// Another alert explains it.
    pub(crate) hidden: bool,
    /// It fires in a silence: nobody is told.
    pub(crate) silenced: bool,
}

/// A device of an alert that is about several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AlertMemberView {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A text in the languages of the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct SaidView {
    pub(crate) en: String,
    pub(crate) zh: String,
}

impl From<Said> for SaidView {
    fn from(Said { en, zh }: Said) -> Self {
        Self { en, zh }
    }
}

/// What is asked for each alert of an answer.
struct Around<'a> {
    app: &'a App,
    /// Silences that last now.
    silences: Vec<PauseBody>,
}

impl<'a> Around<'a> {
    async fn now(app: &'a App) -> Result<Self, ApiError> {
        let now = app.store.clock().now();
        let pauses = app.store.pauses(None).await?.into_iter();
        let lasts =
            |pause: &Pause| pause.kind == PauseKind::Silence && pause.body.when.lasts_until(now).is_some();
        Ok(Self { app, silences: pauses.filter(lasts).map(|pause| pause.body).collect() })
    }

    /// Whether nobody is told of it now: a silence has its rule, and its device or all of its devices.
    fn silenced(&self, alert: &Alert) -> bool {
        let own: Vec<DeviceId> = alert.device.iter().map(|(id, _)| *id).collect();
        let devices = if alert.members.is_empty() { &own } else { &alert.members };
        self.silences.iter().any(|silence| {
            let rule =
                silence.rules.is_empty() || alert.rule_no.is_some_and(|no| silence.rules.contains(&no));
            let has = |id: &DeviceId| {
                let tags = self.app.store.device(*id).map(|device| device.tags).unwrap_or_default();
                silence.scope.has(*id, &tags)
            };
            rule && (silence.scope.is_all() || (!devices.is_empty() && devices.iter().all(has)))
        })
    }

    fn view(&self, alert: Alert) -> AlertView {
        let silenced = alert.resolved_at.is_none() && self.silenced(&alert);
        let member = |id: &DeviceId| AlertMemberView {
            id: id.to_string(),
            name: self.app.store.device(*id).map_or_else(|| id.to_string(), |device| device.name),
        };
        let members = alert.members.iter().map(member).collect();
        let (device, device_name) = alert.device.map(|(id, name)| (id.to_string(), name)).unzip();
        let (acknowledged_at, acknowledged_by) = alert.acknowledged.unzip();
        AlertView {
            no: alert.no,
            device,
            device_name,
            rule: alert.rule,
            severity: alert.telling.severity.as_str(),
            title: alert.telling.title.into(),
            detail: alert.telling.detail.map(Into::into),
            fired_at: rfc3339(alert.fired_at),
            resolved_at: alert.resolved_at.map(rfc3339),
            acknowledged_at: acknowledged_at.map(rfc3339),
            acknowledged_by,
            rule_no: alert.rule_no,
            subject: alert.subject,
            members,
            flapping: alert.flapping,
            hidden: alert.hidden,
            silenced,
        }
    }
}

/// What somebody decides about an alert.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AlertPatch {
    /// Somebody knows of it.
    pub(crate) acknowledged: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only those that fire (`firing`), or those that are over (`resolved`).
    state: Option<String>,
    /// Only of these severities, with commas between: `critical,error`.
    severity: Option<String>,
    /// Only of this device.
    device: Option<String>,
    /// Alerts at most, up to 1,000; without it 100.
    limit: Option<u32>,
    /// `next` of the answer before: what comes after it.
    cursor: Option<String>,
}

fn firing(state: Option<&str>) -> Result<Option<bool>, ApiError> {
    match state {
        None => Ok(None),
        Some("firing") => Ok(Some(true)),
        Some("resolved") => Ok(Some(false)),
        Some(_) => Err(ApiError::invalid("state", "There are: firing, resolved.")),
    }
}

/// Alerts
///
/// What fires and what has fired, newest first.
#[utoipa::path(
    get,
    path = "/alerts",
    operation_id = "list_alerts",
    tag = "alerts",
    params(Params),
    responses((status = 200, description = "The alerts.", body = AlertListView))
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<AlertListView>, ApiError> {
    let Query(params) = params?;
    let limit = parse::limit(params.limit, MAX_ALERTS)?;
    let filter = AlertFilter {
        firing: firing(params.state.as_deref())?,
        severities: parse::words("severity", params.severity.as_deref(), &Severity::ALL, Severity::as_str)?,
        device: parse::device(&app, params.device.as_deref())?,
    };
    let after = parse::place('w', params.cursor.as_deref())?;
    let rows = app.store.alerts(&filter, Page { after, limit: limit + 1 }).await?;
    let (rows, next) = parse::page(rows, limit, |row: &Alert| parse::cursor('w', row.place()));
    let around = Around::now(&app).await?;
    Ok(Json(AlertListView { items: rows.into_iter().map(|alert| around.view(alert)).collect(), next }))
}

/// Take note of an alert
///
/// Who was first stays. It goes on firing until what it is about is over.
#[utoipa::path(
    patch,
    path = "/alerts/{no}",
    operation_id = "change_alert",
    tag = "alerts",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("no" = i64, Path, description = "The alert's number.")),
    request_body = AlertPatch,
    responses((status = 200, description = "The alert as it is now.", body = AlertView))
)]
pub(super) async fn change(
    State(app): State<App>,
    Admin(by): Admin,
    Path(no): Path<String>,
    patch: Result<Json<AlertPatch>, JsonRejection>,
) -> Result<Json<AlertView>, ApiError> {
    let missing = || ApiError::not_found("alert");
    let Json(patch) = patch?;
    let no = no.parse().map_err(|_| missing())?;
    let alert = app.store.acknowledge_alert(&by, no, patch.acknowledged).await?.ok_or_else(missing)?;
    Ok(Json(Around::now(&app).await?.view(alert)))
}
