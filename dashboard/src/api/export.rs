//! Whole tables, streamed.

use std::io;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{audit_log, errors, events, parse};
use crate::App;
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;
use crate::export::{Export, Format, What};

fn format(text: Option<&str>) -> Result<Format, ApiError> {
    let format = parse::words("format", Some(text.unwrap_or("csv")), &Format::ALL, Format::as_str)?;
    match format.as_slice() {
        [one] => Ok(*one),
        _ => Err(ApiError::invalid("format", "One of them.")),
    }
}

/// The answer, written as it is read: a client that stops reading stops the queries. An error after the beginning breaks
/// the connection, so that no half file looks whole.
async fn answer(app: &App, what: What, format_word: Option<&str>) -> Result<Response, ApiError> {
    let Ok(place) = app.exports.clone().try_acquire_owned() else {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Many exports are being made. Try again when some are done.",
        ));
    };
    let pages = app.export_pages.clone();
    let mut export = Export::new(app.store.clone(), what, format(format_word)?);
    let media = export.format().media_type();
    let name = format!("attachment; filename=\"{}\"", export.file_name());
    // What fails at once is answered in words.
    let first = export.next().await?;
    let parts = stream::try_unfold((first, export, place), move |(first, mut export, place)| {
        let pages = pages.clone();
        async move {
            if let Some(part) = first {
                return Ok(Some((part, (None, export, place))));
            }
            // Only while it reads: who takes its answer byte by byte keeps nobody else from theirs.
            let _page = pages.acquire().await;
            match export.next().await {
                Ok(Some(part)) => Ok(Some((part, (None, export, place)))),
                Ok(None) => Ok(None),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(error = %error, cause, "an export ended early");
                    Err(io::Error::other(error))
                }
            }
        }
    });
    let media = HeaderValue::from_static(media);
    let mut response = Body::from_stream(parts).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Errors and crashes, as a file
///
/// All that the filters select, with stacks and contexts, as CSV or as lines of JSON. Newest first; with `q` in the order
/// in which the server was told. Of any size: it is read while it is sent.
#[utoipa::path(
    get,
    path = "/errors/export",
    operation_id = "export_errors",
    tag = "errors",
    params(errors::ExportParams),
    responses((status = 200, description = "The file.", content_type = "text/csv", body = String))
)]
pub(super) async fn all_errors(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<errors::ExportParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(params) = params?;
    let filter = params.filter(&app)?;
    answer(&app, What::Errors(filter), params.format.as_deref()).await
}

/// What happened, as a file
///
/// As CSV or as lines of JSON, newest first.
#[utoipa::path(
    get,
    path = "/events/export",
    operation_id = "export_events",
    tag = "errors",
    params(events::ExportParams),
    responses((status = 200, description = "The file.", content_type = "text/csv", body = String))
)]
pub(super) async fn all_events(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<events::ExportParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(params) = params?;
    let filter = params.filter(&app)?;
    answer(&app, What::Events(filter), params.format.as_deref()).await
}

/// The audit log, as a file
///
/// As CSV or as lines of JSON, newest first.
#[utoipa::path(
    get,
    path = "/audit-log/export",
    operation_id = "export_audit_log",
    tag = "audit",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(audit_log::ExportParams),
    responses((status = 200, description = "The file.", content_type = "text/csv", body = String))
)]
pub(super) async fn all_deeds(
    State(app): State<App>,
    _: Admin,
    params: Result<Query<audit_log::ExportParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(params) = params?;
    let filter = params.filter()?;
    answer(&app, What::AuditLog(filter), params.format.as_deref()).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageParams {
    /// Only of this device.
    device: Option<String>,
    /// From this time on.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this time.
    #[param(format = DateTime)]
    to: Option<String>,
    /// `csv` (without it) or `jsonl`.
    format: Option<String>,
}

/// Tokens, as a file
///
/// A row for each quarter of an hour, device, provider, model, OpenClaw agent and trigger, as CSV or as lines of JSON;
/// device by device, oldest first.
#[utoipa::path(
    get,
    path = "/usage/export",
    operation_id = "export_usage",
    tag = "usage",
    params(UsageParams),
    responses((status = 200, description = "The file.", content_type = "text/csv", body = String))
)]
pub(super) async fn all_usage(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<UsageParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(params) = params?;
    let device = parse::device(&app, params.device.as_deref())?;
    let (from, to) = parse::span(params.from.as_deref(), params.to.as_deref())?;
    answer(&app, What::Usage { device, from, to }, params.format.as_deref()).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SampleParams {
    /// From this time on.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this time.
    #[param(format = DateTime)]
    to: Option<String>,
    /// `csv` (without it) or `jsonl`.
    format: Option<String>,
}

/// What was measured of a device, as a file
///
/// Each sample that is still there, as CSV or as lines of JSON, oldest first. What is empty was not measured.
#[utoipa::path(
    get,
    path = "/devices/{id}/samples/export",
    operation_id = "export_samples",
    tag = "samples",
    params(("id" = String, Path, description = "The device's id."), SampleParams),
    responses((status = 200, description = "The file.", content_type = "text/csv", body = String))
)]
pub(super) async fn all_samples(
    State(app): State<App>,
    _: Viewer,
    Path(id): Path<String>,
    params: Result<Query<SampleParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(params) = params?;
    let device = parse::device(&app, Some(&id))?.ok_or_else(|| ApiError::not_found("device"))?;
    let (from, to) = parse::span(params.from.as_deref(), params.to.as_deref())?;
    answer(&app, What::Samples { device, from, to }, params.format.as_deref()).await
}
