use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use store::{Deed, growth};
use utoipa::IntoParams;

use super::parse;
use crate::App;
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;
use crate::neighbours::{BackupRunning, BackupState};
use crate::server_views::{AttemptView, BackupView, BackupsView, KeptView, LastBackupView, RetentionView};
use crate::views::rfc3339;

const DAY_MS: i64 = 86_400_000;
/// As many as are remembered.
const MAX_ATTEMPTS: u32 = 512;

/// How long the past is kept
///
/// And how large the database gets by that: as fast as it grows now, until when it settles, and when the disk is full if it
/// does not. An estimate, by what came in lately.
#[utoipa::path(
    get,
    path = "/retention",
    operation_id = "show_retention",
    tag = "server",
    responses((status = 200, description = "What is kept.", body = RetentionView))
)]
#[expect(clippy::cast_precision_loss, reason = "bytes of a disk are far below 2^53")]
pub(super) async fn retention(State(app): State<App>, _: Viewer) -> Result<Json<RetentionView>, ApiError> {
    let (sizes, amounts) = (app.store.sizes().await?, app.store.daily_amounts().await?);
    let (keep, now) = (&app.keep, app.store.clock().now());
    let disk_free_bytes = (app.health)().disk_free_bytes;
    // What is free in the file is used before any more of the disk.
    let room = disk_free_bytes
        .map(|free| free.saturating_sub(app.min_free_bytes) + sizes.file.saturating_sub(sizes.used));
    let found = growth(amounts, keep, sizes.used as f64, room.map(|room| room as f64), now);
    let day = |days: u32| rfc3339(now.plus_millis(i64::from(days) * DAY_MS));
    let kept = |what, ms: i64, setting| KeptView { what, days: ms / DAY_MS, setting };
    Ok(Json(RetentionView {
        kept: vec![
            kept("samples", keep.raw_ms, "[retention] raw_days"),
            kept("five_minutes", keep.five_minutes_ms, "[retention] five_minutes_days"),
            kept("hours", keep.hour_ms, "[retention] hour_days"),
            kept("errors", keep.errors_ms, "[retention] errors_days"),
        ],
        max_bytes: keep.max_bytes,
        min_free_bytes: app.min_free_bytes,
        database_bytes: sizes.file,
        used_bytes: sizes.used,
        disk_free_bytes,
        samples_per_day: amounts.samples,
        growth_bytes_per_day: found.bytes_per_day,
        lasting_bytes_per_day: found.lasting_bytes_per_day,
        settles_at: (found.settles_in_days > 0).then(|| day(found.settles_in_days)),
        settled_bytes: found.settled_bytes,
        full_at: found.full_in_days.map(day),
    }))
}

/// Looks on the disk, which may be slow.
async fn state(app: &App) -> Result<BackupState, ApiError> {
    let backups = app.backups.clone();
    tokio::task::spawn_blocking(move || backups.show()).await.map_err(|error| ApiError::internal(&error))
}

fn view(state: BackupState) -> BackupsView {
    let copy =
        |copy: crate::BackupCopy| BackupView { file: copy.file, at: rfc3339(copy.at), bytes: copy.bytes };
    BackupsView {
        folder: state.folder,
        every_h: state.every_h,
        keep: state.keep,
        items: state.copies.into_iter().map(copy).collect(),
        running: state.running,
        last: state.last.map(|(at, error)| LastBackupView { at: rfc3339(at), error }),
    }
}

/// Copies of the database
///
/// Which there are, where, how often one is made, and how the last one went.
#[utoipa::path(
    get,
    path = "/backups",
    operation_id = "list_backups",
    tag = "server",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    responses((status = 200, description = "The copies.", body = BackupsView))
)]
pub(super) async fn backups(State(app): State<App>, _: Admin) -> Result<Json<BackupsView>, ApiError> {
    Ok(Json(view(state(&app).await?)))
}

/// Make a copy of the database now
///
/// In the background; ask again for how it went. One at a time.
#[utoipa::path(
    post,
    path = "/backups",
    operation_id = "make_backup",
    tag = "server",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    responses((status = 202, description = "It is being made.", body = BackupsView))
)]
pub(super) async fn make_backup(
    State(app): State<App>,
    Admin(by): Admin,
) -> Result<(StatusCode, Json<BackupsView>), ApiError> {
    if let Err(BackupRunning) = app.backups.make() {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "backup_running",
            "A copy is being made. Wait until it is there.",
        ));
    }
    let deed = Deed { action: "backup", subject: None, before: None, after: None };
    app.store.note(&by, &deed).await?;
    let state = state(&app).await?;
    Ok((StatusCode::ACCEPTED, Json(view(BackupState { running: true, ..state }))))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// At most, up to 512; without it 100.
    limit: Option<u32>,
}

/// Who tried to connect to the device port lately
///
/// Newest first, for whoever wonders why a device does not come: what became of each, and which device its key named. What an
/// address does again within a minute is one entry with a count. Kept in memory since the server's start.
#[utoipa::path(
    get,
    path = "/connection-attempts",
    operation_id = "list_connection_attempts",
    tag = "server",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(Params),
    responses((status = 200, description = "The attempts.", body = [AttemptView]))
)]
pub(super) async fn attempts(
    State(app): State<App>,
    _: Admin,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<Vec<AttemptView>>, ApiError> {
    let Query(Params { limit }) = params?;
    let limit = usize::try_from(parse::limit(limit, MAX_ATTEMPTS)?).unwrap_or(usize::MAX);
    let view = |attempt: crate::Attempt| {
        let name = attempt.device.and_then(|id| app.store.device(id)).map(|device| device.name);
        AttemptView::of(attempt, name)
    };
    Ok(Json((app.connection_attempts)().into_iter().take(limit).map(view).collect()))
}
