use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use store::{AuditEntry, AuditFilter};
use utoipa::IntoParams;

use super::parse;
use crate::App;
use crate::auth::Admin;
use crate::error::ApiError;
use crate::log_views::AuditListView;

/// Rows of one answer at most.
const MAX_ROWS: u32 = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only by somebody of this name.
    actor: Option<String>,
    /// Only this action, such as `device.rename`, or all that begin so when it ends with a dot: `device.`.
    action: Option<String>,
    /// Only about something with this id or name.
    subject: Option<String>,
    /// From this time on.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before this time.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Rows at most, up to 1,000; without it 100.
    limit: Option<u32>,
    /// `next` of the answer before: what comes after it.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParams {
    /// Only by somebody of this name.
    actor: Option<String>,
    /// Only this action, or all that begin so when it ends with a dot.
    action: Option<String>,
    /// Only about something with this id or name.
    subject: Option<String>,
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
    pub(super) fn filter(&self) -> Result<AuditFilter, ApiError> {
        let (from, to) = parse::span(self.from.as_deref(), self.to.as_deref())?;
        let Self { actor, action, subject, .. } = self;
        Ok(AuditFilter { actor: actor.clone(), action: action.clone(), subject: subject.clone(), from, to })
    }
}

/// What people did on the server
///
/// Who, what, before and after, without secrets: at the page, with a token, or at the command line. Newest first.
#[utoipa::path(
    get,
    path = "/audit-log",
    operation_id = "list_audit_log",
    tag = "audit",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(Params),
    responses((status = 200, description = "The rows.", body = AuditListView))
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Admin,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<AuditListView>, ApiError> {
    let Query(Params { actor, action, subject, from, to, limit, cursor }) = params?;
    let limit = parse::limit(limit, MAX_ROWS)?;
    let after = parse::numbers('a', cursor.as_deref())?.map(|(_, no)| no);
    let filter = ExportParams { actor, action, subject, from, to, format: None }.filter()?;
    let rows = app.store.audit_log(&filter, after, limit + 1).await?;
    let (rows, next) = parse::page(rows, limit, |row: &AuditEntry| parse::pair('a', 0, row.no));
    Ok(Json(AuditListView { items: rows.into_iter().map(Into::into).collect(), next }))
}
