use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use protocol::LogLevel;
use serde::Deserialize;
use store::{
    ErrorFilter, ErrorGroup, ErrorGroupFilter, ErrorRecord, ErrorState, GroupPlace, GroupSort, Page,
};
use utoipa::IntoParams;

use super::parse;
use crate::App;
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;
use crate::log_views::{
    ErrorGroupDetailView, ErrorGroupListView, ErrorGroupPatch, ErrorListView, ErrorRecordView,
};

/// Records of one answer at most.
const MAX_RECORDS: u32 = 1_000;
/// Groups of one answer at most: of each, devices, versions and hours are added up.
const MAX_GROUPS: u32 = 200;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only of this device.
    device: Option<String>,
    /// Only of devices with this tag.
    tag: Option<String>,
    /// Only of these levels, with commas between: `crash,exception`.
    level: Option<String>,
    /// Only of this part of OpenClaw.
    subsystem: Option<String>,
    /// Only of this group.
    fingerprint: Option<String>,
    /// Only with all of these words, or parts of words, in message, subsystem, name or stack.
    q: Option<String>,
    /// From this time on.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this time.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Records at most, up to 1,000; without it 100.
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
    /// Only of devices with this tag.
    tag: Option<String>,
    /// Only of these levels, with commas between: `crash,exception`.
    level: Option<String>,
    /// Only of this part of OpenClaw.
    subsystem: Option<String>,
    /// Only of this group.
    fingerprint: Option<String>,
    /// Only with all of these words, or parts of words, in message, subsystem, name or stack.
    q: Option<String>,
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
    pub(super) fn filter(&self, app: &App) -> Result<ErrorFilter, ApiError> {
        let Self { device, tag, level, subsystem, fingerprint, q, from, to, format: _ } = self;
        let (from, to) = parse::span(from.as_deref(), to.as_deref())?;
        Ok(ErrorFilter {
            device: parse::device(app, device.as_deref())?,
            tag: tag.clone(),
            levels: levels(level.as_deref())?,
            subsystem: subsystem.clone(),
            fingerprint: fingerprint.clone(),
            from,
            to,
            text: parse::search(q.as_deref())?,
        })
    }
}

impl Params {
    fn filter(self, app: &App) -> Result<ErrorFilter, ApiError> {
        let Self { device, tag, level, subsystem, fingerprint, q, from, to, limit: _, cursor: _ } = self;
        ExportParams { device, tag, level, subsystem, fingerprint, q, from, to, format: None }.filter(app)
    }
}

fn levels(text: Option<&str>) -> Result<Vec<LogLevel>, ApiError> {
    parse::words("level", text, &LogLevel::ALL, LogLevel::as_str)
}

/// Errors and crashes
///
/// Of all devices, newest first; redacted on the device. Stack and context are told one by one: ask for `/errors/{no}`.
#[utoipa::path(
    get,
    path = "/errors",
    operation_id = "list_errors",
    tag = "errors",
    params(Params),
    responses((status = 200, description = "The records.", body = ErrorListView))
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<ErrorListView>, ApiError> {
    let Query(params) = params?;
    let limit = parse::limit(params.limit, MAX_RECORDS)?;
    let after = parse::place('e', params.cursor.as_deref())?;
    let rows = app.store.errors(&params.filter(&app)?, Page { after, limit: limit + 1 }).await?;
    let (rows, next) = parse::page(rows, limit, |row: &ErrorRecord| parse::cursor('e', row.place()));
    Ok(Json(ErrorListView { items: rows.into_iter().map(Into::into).collect(), next }))
}

/// One error or crash, whole
///
/// With its stack, and of a crash the last lines of the log before it.
#[utoipa::path(
    get,
    path = "/errors/{no}",
    operation_id = "show_error",
    tag = "errors",
    params(("no" = i64, Path, description = "The record's number.")),
    responses((status = 200, description = "The record.", body = ErrorRecordView))
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Viewer,
    Path(no): Path<String>,
) -> Result<Json<ErrorRecordView>, ApiError> {
    let missing = || ApiError::not_found("record");
    let no = no.parse().map_err(|_| missing())?;
    let error = app.store.error(no).await?.ok_or_else(missing)?;
    Ok(Json(error.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupParams {
    /// Only in these states, with commas between: `open`, `resolved`, `ignored`.
    state: Option<String>,
    /// Only seen on this device.
    device: Option<String>,
    /// Only of these levels, with commas between.
    level: Option<String>,
    /// Only with all of these words, or parts of words, in the newest message, its subsystem or name.
    q: Option<String>,
    /// Only last seen at this time or later.
    #[param(format = DateTime)]
    from: Option<String>,
    /// The greatest first: `last_seen` (without it), `first_seen` or `count`.
    sort: Option<String>,
    /// Groups at most, up to 200; without it 100.
    limit: Option<u32>,
    /// `next` of the answer before: what comes after it.
    cursor: Option<String>,
}

fn letter(sort: GroupSort) -> char {
    match sort {
        GroupSort::LastSeen => 'l',
        GroupSort::FirstSeen => 'f',
        GroupSort::Count => 'c',
    }
}

fn group_cursor(sort: GroupSort, group: &ErrorGroup) -> String {
    let GroupPlace { value, fingerprint } = sort.place(group);
    // A fingerprint is sixteen hexadecimal digits.
    parse::pair(letter(sort), value, u64::from_str_radix(&fingerprint, 16).unwrap_or(0).cast_signed())
}

/// Errors that are alike, over the fleet
///
/// How many, on how many devices, under which versions, since when and how often of late; and whether somebody has
/// resolved or ignored them. What was resolved and happens again is open again.
#[utoipa::path(
    get,
    path = "/errors/groups",
    operation_id = "list_error_groups",
    tag = "errors",
    params(GroupParams),
    responses((status = 200, description = "The groups.", body = ErrorGroupListView))
)]
pub(super) async fn groups(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<GroupParams>, QueryRejection>,
) -> Result<Json<ErrorGroupListView>, ApiError> {
    let Query(params) = params?;
    let filter = ErrorGroupFilter {
        states: parse::words("state", params.state.as_deref(), &ErrorState::ALL, ErrorState::as_str)?,
        device: parse::device(&app, params.device.as_deref())?,
        levels: levels(params.level.as_deref())?,
        from: parse::span(params.from.as_deref(), None)?.0,
        text: parse::search(params.q.as_deref())?,
    };
    let sorts = parse::words("sort", params.sort.as_deref(), &GroupSort::ALL, GroupSort::as_str)?;
    let sort = sorts.first().copied().unwrap_or(GroupSort::LastSeen);
    let limit = parse::limit(params.limit, MAX_GROUPS)?;
    let after = parse::numbers(letter(sort), params.cursor.as_deref())?
        .map(|(value, print)| GroupPlace { value, fingerprint: format!("{:016x}", print.cast_unsigned()) });
    let rows = app.store.error_groups(&filter, sort, after.as_ref(), limit + 1).await?;
    let (rows, next) = parse::page(rows, limit, |group| group_cursor(sort, group));
    Ok(Json(ErrorGroupListView { items: rows.into_iter().map(Into::into).collect(), next }))
}

/// One group of errors
///
/// With its devices and versions, how many in each of the last 48 hours, and on each of the last 30 days of UTC.
#[utoipa::path(
    get,
    path = "/errors/groups/{fingerprint}",
    operation_id = "show_error_group",
    tag = "errors",
    params(("fingerprint" = String, Path, description = "What the errors have in common.")),
    responses((status = 200, description = "The group.", body = ErrorGroupDetailView))
)]
pub(super) async fn show_group(
    State(app): State<App>,
    _: Viewer,
    Path(fingerprint): Path<String>,
) -> Result<Json<ErrorGroupDetailView>, ApiError> {
    let group = app.store.error_group(&fingerprint).await?;
    Ok(Json(group.ok_or_else(|| ApiError::not_found("group"))?.into()))
}

/// Resolve, ignore or open a group of errors
///
/// Resolved: it opens by itself when it happens again. Ignored: it does not.
#[utoipa::path(
    patch,
    path = "/errors/groups/{fingerprint}",
    operation_id = "change_error_group",
    tag = "errors",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("fingerprint" = String, Path, description = "What the errors have in common.")),
    request_body = ErrorGroupPatch,
    responses((status = 200, description = "The group as it is now.", body = ErrorGroupDetailView))
)]
pub(super) async fn change_group(
    State(app): State<App>,
    Admin(by): Admin,
    Path(fingerprint): Path<String>,
    patch: Result<Json<ErrorGroupPatch>, JsonRejection>,
) -> Result<Json<ErrorGroupDetailView>, ApiError> {
    let Json(patch) = patch?;
    let state = ErrorState::parse(&patch.state)
        .ok_or_else(|| ApiError::invalid("state", "There are: open, resolved, ignored."))?;
    let group = app.store.set_error_state(&by, &fingerprint, state).await?;
    Ok(Json(group.ok_or_else(|| ApiError::not_found("group"))?.into()))
}
