use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use protocol::{DeviceId, Timestamp};
use store::{Pause, PauseBody, TimeOfDay, When, Zone};

use super::rules::scope;
use super::samples::moment;
use crate::App;
use crate::alerting_views::{NewPause, PausePatch, PauseView, PauseWhen, ScopeView};
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;
use crate::views::rfc3339;

const DAY_MS: i64 = 86_400_000;
/// Whoever wants to hear nothing for longer removes the rule.
const MAX_DAYS: i64 = 366;
const MAX_MINUTES: u32 = 7 * 1440;
const MAX_NOTE: usize = 200;
const MAX_RULES: usize = 100;

pub(super) fn time_of_day(field: &'static str, text: &str) -> Result<TimeOfDay, ApiError> {
    TimeOfDay::parse(text).ok_or_else(|| ApiError::invalid(field, "A time of day looks like 23:00."))
}

pub(super) fn zone(text: &str) -> Result<String, ApiError> {
    Zone::parse(text)
        .map(|zone| zone.name().to_owned())
        .ok_or_else(|| ApiError::invalid("zone", "A time zone looks like Asia/Shanghai."))
}

fn when(view: &PauseWhen, now: Timestamp) -> Result<When, ApiError> {
    let refuse = |message: String| Err(ApiError::invalid("when", message));
    match view {
        PauseWhen::Once { from, to } => {
            let (from, to) = (moment("when", from)?, moment("when", to)?);
            if from >= to {
                return refuse("`from` lies before `to`.".to_owned());
            }
            if to <= now {
                return refuse("It would be over already.".to_owned());
            }
            if to.millis_since(from) > MAX_DAYS * DAY_MS {
                return refuse(format!("At most {MAX_DAYS} days."));
            }
            Ok(When::Once { from, to })
        }
        PauseWhen::Weekly { days, from, minutes, zone: name } => {
            let mut days = days.clone();
            days.sort_unstable();
            days.dedup();
            if days.is_empty() || days.iter().any(|day| !(1..=7).contains(day)) {
                return refuse("Days are 1 (Monday) to 7 (Sunday), at least one of them.".to_owned());
            }
            if !(1..=MAX_MINUTES).contains(minutes) {
                return refuse(format!("1 to {MAX_MINUTES} minutes."));
            }
            Ok(When::Weekly { days, from: time_of_day("when", from)?, minutes: *minutes, zone: zone(name)? })
        }
    }
}

fn note(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let fine = text.chars().count() <= MAX_NOTE && !text.chars().any(store::unseen);
    fine.then(|| text.to_owned())
        .ok_or_else(|| ApiError::invalid("note", format!("At most {MAX_NOTE} characters, in one line.")))
}

/// Rules that there are, or that were named before.
async fn rules(app: &App, wanted: &[i64], before: &[i64]) -> Result<Vec<i64>, ApiError> {
    if wanted.len() > MAX_RULES {
        return Err(ApiError::invalid("rules", format!("At most {MAX_RULES} rules.")));
    }
    let known: Vec<i64> = match wanted {
        [] => return Ok(vec![]),
        _ => app.store.rules().await?.into_iter().map(|rule| rule.no).collect(),
    };
    match wanted.iter().find(|no| !known.contains(no) && !before.contains(no)) {
        Some(no) => Err(ApiError::invalid("rules", format!("There is no rule {no}."))),
        None => Ok(wanted.to_vec()),
    }
}

fn view(pause: Pause, now: Timestamp) -> PauseView {
    let active_until = pause.body.when.lasts_until(now).map(rfc3339);
    PauseView {
        no: pause.no,
        kind: pause.kind.as_str(),
        scope: ScopeView::from(&pause.body.scope),
        rules: pause.body.rules,
        when: match pause.body.when {
            When::Once { from, to } => PauseWhen::Once { from: rfc3339(from), to: rfc3339(to) },
            When::Weekly { days, from, minutes, zone } => {
                PauseWhen::Weekly { days, from: from.into(), minutes, zone }
            }
        },
        note: pause.body.note,
        made_by: pause.made_by,
        made_at: rfc3339(pause.made_at),
        rev: pause.rev,
        active_until,
    }
}

/// When nobody wants to hear
///
/// Silences and maintenance that are not over, in the order in which they were made.
#[utoipa::path(
    get,
    path = "/pauses",
    operation_id = "list_pauses",
    tag = "rules",
    responses((status = 200, description = "The pauses.", body = [PauseView]))
)]
pub(super) async fn list(State(app): State<App>, _: Viewer) -> Result<Json<Vec<PauseView>>, ApiError> {
    let now = app.store.clock().now();
    Ok(Json(app.store.pauses(None).await?.into_iter().map(|pause| view(pause, now)).collect()))
}

/// Make a silence or maintenance
///
/// In a silence alerts fire and nobody is told; in maintenance they do not fire.
#[utoipa::path(
    post,
    path = "/pauses",
    operation_id = "add_pause",
    tag = "rules",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = NewPause,
    responses((status = 201, description = "The pause.", body = PauseView))
)]
pub(super) async fn add(
    State(app): State<App>,
    Admin(by): Admin,
    new: Result<Json<NewPause>, JsonRejection>,
) -> Result<(StatusCode, Json<PauseView>), ApiError> {
    let (Json(new), now) = (new?, app.store.clock().now());
    let body = PauseBody {
        scope: scope(&app, &new.scope, &[])?,
        rules: rules(&app, &new.rules, &[]).await?,
        when: when(&new.when, now)?,
        note: note(&new.note)?,
    };
    let pause = app.store.add_pause(&by, new.kind, &body).await??;
    Ok((StatusCode::CREATED, Json(view(pause, now))))
}

async fn one(app: &App, no: &str) -> Result<Pause, ApiError> {
    let missing = || ApiError::not_found("pause");
    let no: i64 = no.parse().map_err(|_| missing())?;
    app.store.pauses(None).await?.into_iter().find(|pause| pause.no == no).ok_or_else(missing)
}

/// Change a silence or maintenance
///
/// What is left out stays as it is.
#[utoipa::path(
    patch,
    path = "/pauses/{no}",
    operation_id = "change_pause",
    tag = "rules",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("no" = i64, Path, description = "The pause's number.")),
    request_body = PausePatch,
    responses((status = 200, description = "The pause as it is now.", body = PauseView))
)]
pub(super) async fn change(
    State(app): State<App>,
    Admin(by): Admin,
    Path(no): Path<String>,
    patch: Result<Json<PausePatch>, JsonRejection>,
) -> Result<Json<PauseView>, ApiError> {
    let (Json(patch), pause, now) = (patch?, one(&app, &no).await?, app.store.clock().now());
    let before: &[DeviceId] = &pause.body.scope.devices;
    let body = PauseBody {
        scope: match &patch.scope {
            Some(new) => scope(&app, new, before)?,
            None => pause.body.scope.clone(),
        },
        rules: match &patch.rules {
            Some(new) => rules(&app, new, &pause.body.rules).await?,
            None => pause.body.rules.clone(),
        },
        when: match &patch.when {
            Some(new) => when(new, now)?,
            None => pause.body.when.clone(),
        },
        note: note(patch.note.as_deref().unwrap_or(&pause.body.note))?,
    };
    let pause = app.store.change_pause(&by, pause.no, patch.rev, &body).await??;
    Ok(Json(view(pause, now)))
}

/// End a silence or maintenance
///
/// What fires then is told.
#[utoipa::path(
    delete,
    path = "/pauses/{no}",
    operation_id = "remove_pause",
    tag = "rules",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("no" = i64, Path, description = "The pause's number.")),
    responses((status = 204, description = "It is gone."))
)]
pub(super) async fn remove(
    State(app): State<App>,
    Admin(by): Admin,
    Path(no): Path<String>,
) -> Result<StatusCode, ApiError> {
    let missing = || ApiError::not_found("pause");
    let no = no.parse().map_err(|_| missing())?;
    if app.store.remove_pause(&by, no).await? { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_has_a_length_and_an_end() {
        let now = Timestamp(1_795_160_000_000);
        let once = |from: &str, to: &str| {
            when(&PauseWhen::Once { from: from.to_owned(), to: to.to_owned() }, now).is_ok()
        };
        assert!(once("2026-11-20T00:00:00Z", "2026-11-25T00:00:00Z"));
        assert!(!once("2026-11-25T00:00:00Z", "2026-11-25T00:00:00Z"), "no length");
        assert!(!once("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"), "over");
        assert!(!once("2026-11-20T00:00:00Z", "2028-11-25T00:00:00Z"), "for years");
        assert!(!once("soon", "later"));
        let weekly = |days: &[u8], from: &str, minutes, zone: &str| {
            let (days, from, zone) = (days.to_vec(), from.to_owned(), zone.to_owned());
            when(&PauseWhen::Weekly { days, from, minutes, zone }, now).is_ok()
        };
        assert!(weekly(&[7, 6, 6], "23:00", 180, "Asia/Shanghai"));
        assert!(!weekly(&[], "23:00", 180, "UTC") && !weekly(&[0], "23:00", 180, "UTC"));
        assert!(!weekly(&[1], "24:00", 180, "UTC") && !weekly(&[1], "23:00", 0, "UTC"));
        assert!(!weekly(&[1], "23:00", MAX_MINUTES + 1, "UTC") && !weekly(&[1], "23:00", 1, "Mars/Base"));
    }
}
