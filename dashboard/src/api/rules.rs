use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use protocol::DeviceId;
use store::{AlertFilter, Page, Rule, RuleBody, Scope, Severity, Step};

use crate::alerting_views::{
    DryRunForm, DryRunView, NewRule, RuleBodyView, RuleKindView, RulePatch, RuleView, ScopeView,
};
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;
use crate::{App, NoDryRun};

/// A week: what must be so for longer is no news.
const MAX_SECONDS: u32 = 7 * 86_400;
/// More often is noise.
const MIN_REMIND_S: u32 = 300;
const MAX_DAYS: u32 = 30;
const MAX_TAGS: usize = 20;
const MAX_TAG_CHARS: usize = 60;
const MAX_DEVICES: usize = 500;
const MAX_VALUES: usize = 40;
const MAX_VALUE_CHARS: usize = 200;
/// As many as can fire: what is beyond is not counted.
const MAX_FIRING: u32 = 10_000;

/// Reads a scope. Devices that it had before stay in it although they are gone: without them it might be of all devices.
pub(super) fn scope(app: &App, view: &ScopeView, before: &[DeviceId]) -> Result<Scope, ApiError> {
    let refuse = |message: String| ApiError::invalid("scope", message);
    if view.devices.len() > MAX_DEVICES {
        return Err(refuse(format!("At most {MAX_DEVICES} devices; use a tag for more.")));
    }
    if view.tags.len() > MAX_TAGS {
        return Err(refuse(format!("At most {MAX_TAGS} tags.")));
    }
    let mut scope = Scope::default();
    for text in &view.devices {
        let there = |id: &DeviceId| app.store.knows_device(*id) || before.contains(id);
        let id = DeviceId::parse(text).ok().filter(there);
        let id = id.ok_or_else(|| refuse(format!("There is no device {}.", short(text))))?;
        if !scope.devices.contains(&id) {
            scope.devices.push(id);
        }
    }
    for tag in view.tags.iter().map(|tag| tag.trim()) {
        if tag.is_empty() || tag.chars().count() > MAX_TAG_CHARS || tag.chars().any(store::unseen) {
            return Err(refuse(format!("A tag has 1 to {MAX_TAG_CHARS} characters that can be seen.")));
        }
        if !scope.tags.iter().any(|known| known == tag) {
            scope.tags.push(tag.to_owned());
        }
    }
    Ok(scope)
}

/// What somebody sent, to be said back to them.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !store::unseen(*c)).take(40).collect()
}

/// Channels that there are, or that were named before.
pub(super) async fn channels(
    app: &App,
    field: &'static str,
    ids: &[String],
    before: &[String],
) -> Result<(), ApiError> {
    let known = app.store.channels().await?;
    let there = |id: &String| known.iter().any(|channel| channel.id == *id) || before.contains(id);
    match ids.iter().find(|id| !there(id)) {
        Some(id) => Err(ApiError::invalid(field, format!("There is no channel {}.", short(id)))),
        None => Ok(()),
    }
}

fn seconds(field: &'static str, value: u32, min: u32) -> Result<(), ApiError> {
    if (min..=MAX_SECONDS).contains(&value) {
        return Ok(());
    }
    Err(ApiError::invalid(field, format!("{min} to {MAX_SECONDS} seconds.")))
}

fn steps(first: Severity, steps: &[Step], levels: bool) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::invalid("steps", message));
    let mut before = first;
    for step in steps {
        // The gravest is the smallest.
        if step.severity >= before {
            return refuse("Each step is graver than the one before.");
        }
        before = step.severity;
        match (step.level, step.after_s) {
            (Some(_), _) if !levels => {
                return refuse("This kind of rule has no levels; say after how many seconds.");
            }
            (Some(level), None) if level.is_finite() => {}
            (None, Some(after)) => seconds("steps", after, 1)?,
            _ => return refuse("A step is reached at a level or after a time; say one of them."),
        }
    }
    Ok(())
}

/// What was named before, and may be named although it is gone.
#[derive(Debug, Default)]
struct Named {
    devices: Vec<DeviceId>,
    channels: Vec<String>,
}

/// Reads what people say of a rule, and has its own kind look at it.
async fn body(app: &App, kind: &str, view: RuleBodyView, before: &Named) -> Result<RuleBody, ApiError> {
    let kinds = app.alerting.rule_kinds();
    let Some(known) = kinds.iter().find(|known| known.word == kind) else {
        let words: Vec<&str> = kinds.iter().map(|kind| kind.word).collect();
        return Err(ApiError::invalid("kind", format!("There are: {}.", words.join(", "))));
    };
    let long = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.chars().count() > MAX_VALUE_CHARS,
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => true,
        _ => false,
    };
    if view.values.len() > MAX_VALUES || view.values.values().any(long) {
        return Err(ApiError::invalid(
            "values",
            "Numbers and words only, by the words of the kind's fields.",
        ));
    }
    let body = RuleBody {
        scope: scope(app, &view.scope, &before.devices)?,
        values: view.values,
        for_s: view.for_s,
        severity: view.severity,
        steps: view
            .steps
            .into_iter()
            .map(|step| Step { severity: step.severity, level: step.level, after_s: step.after_s })
            .collect(),
        channels: view.channels,
        remind_s: view.remind_s,
        tell_resolved: view.tell_resolved,
        quiet: view.quiet,
        late: view.late,
    };
    seconds("for_s", body.for_s, 0)?;
    if let Some(remind_s) = body.remind_s {
        seconds("remind_s", remind_s, MIN_REMIND_S)?;
    }
    steps(body.severity, &body.steps, known.levels)?;
    if let Some(ids) = &body.channels {
        channels(app, "channels", ids, &before.channels).await?;
    }
    ApiError::fields(app.alerting.check_rule(kind, &body))?;
    Ok(body)
}

fn view(rule: &Rule, firing: &[Option<i64>]) -> RuleView {
    let count = firing.iter().filter(|no| **no == Some(rule.no)).count();
    RuleView {
        no: rule.no,
        kind: rule.kind.clone(),
        enabled: rule.enabled,
        rev: rule.rev,
        body: (&rule.body).into(),
        firing: u32::try_from(count).unwrap_or(u32::MAX),
    }
}

/// The numbers of the rules whose alerts fire, once for each alert.
async fn firing(app: &App) -> Result<Vec<Option<i64>>, ApiError> {
    let filter = AlertFilter { firing: Some(true), ..AlertFilter::default() };
    let alerts = app.store.alerts(&filter, Page { after: None, limit: MAX_FIRING }).await?;
    Ok(alerts.into_iter().map(|alert| alert.rule_no).collect())
}

/// All rules
///
/// In the order in which they were made.
#[utoipa::path(
    get,
    path = "/rules",
    operation_id = "list_rules",
    tag = "rules",
    responses((status = 200, description = "The rules.", body = [RuleView]))
)]
pub(super) async fn list(State(app): State<App>, _: Viewer) -> Result<Json<Vec<RuleView>>, ApiError> {
    let firing = firing(&app).await?;
    Ok(Json(app.store.rules().await?.iter().map(|rule| view(rule, &firing)).collect()))
}

/// Make a rule
///
/// It is judged from now on; what was so before fires as soon as it is still so.
#[utoipa::path(
    post,
    path = "/rules",
    operation_id = "add_rule",
    tag = "rules",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = NewRule,
    responses((status = 201, description = "The rule.", body = RuleView))
)]
pub(super) async fn add(
    State(app): State<App>,
    Admin(by): Admin,
    new: Result<Json<NewRule>, JsonRejection>,
) -> Result<(StatusCode, Json<RuleView>), ApiError> {
    let Json(new) = new?;
    let body = body(&app, &new.kind, new.body, &Named::default()).await?;
    let rule = app.store.add_rule(&by, &new.kind, new.enabled, &body).await??;
    Ok((StatusCode::CREATED, Json(view(&rule, &[]))))
}

async fn one(app: &App, no: &str) -> Result<Rule, ApiError> {
    let missing = || ApiError::not_found("rule");
    let no: i64 = no.parse().map_err(|_| missing())?;
    app.store.rules().await?.into_iter().find(|rule| rule.no == no).ok_or_else(missing)
}

/// Change a rule
///
/// What is left out stays as it is; its kind always does.
#[utoipa::path(
    patch,
    path = "/rules/{no}",
    operation_id = "change_rule",
    tag = "rules",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("no" = i64, Path, description = "The rule's number.")),
    request_body = RulePatch,
    responses((status = 200, description = "The rule as it is now.", body = RuleView))
)]
pub(super) async fn change(
    State(app): State<App>,
    Admin(by): Admin,
    Path(no): Path<String>,
    patch: Result<Json<RulePatch>, JsonRejection>,
) -> Result<Json<RuleView>, ApiError> {
    let (Json(patch), rule) = (patch?, one(&app, &no).await?);
    let new = match patch.body {
        Some(new) => {
            let named =
                Named { devices: rule.body.scope.devices, channels: rule.body.channels.unwrap_or_default() };
            body(&app, &rule.kind, new, &named).await?
        }
        None => rule.body,
    };
    let enabled = patch.enabled.unwrap_or(rule.enabled);
    let rule = app.store.change_rule(&by, rule.no, patch.rev, enabled, &new).await??;
    Ok(Json(view(&rule, &firing(&app).await?)))
}

/// Remove a rule
///
/// Its alerts stay in the history; those that fire are over.
#[utoipa::path(
    delete,
    path = "/rules/{no}",
    operation_id = "remove_rule",
    tag = "rules",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("no" = i64, Path, description = "The rule's number.")),
    responses((status = 204, description = "It is gone."))
)]
pub(super) async fn remove(
    State(app): State<App>,
    Admin(by): Admin,
    Path(no): Path<String>,
) -> Result<StatusCode, ApiError> {
    let missing = || ApiError::not_found("rule");
    let no = no.parse().map_err(|_| missing())?;
    if app.store.remove_rule(&by, no).await? { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) }
}

/// What can be judged
///
/// Each kind with its sentence and the values that can be changed in it.
#[utoipa::path(
    get,
    path = "/rule-kinds",
    operation_id = "list_rule_kinds",
    tag = "rules",
    responses((status = 200, description = "The kinds.", body = [RuleKindView]))
)]
pub(super) async fn kinds(State(app): State<App>, _: Viewer) -> Json<Vec<RuleKindView>> {
    Json(app.alerting.rule_kinds().into_iter().map(Into::into).collect())
}

/// Try a rule on the stored past
///
/// When it would have fired in the last days. Nothing is sent, and nothing is kept.
#[utoipa::path(
    post,
    path = "/rules/dry-run",
    operation_id = "dry_run_rule",
    tag = "rules",
    request_body = DryRunForm,
    responses((status = 200, description = "What it would have done.", body = DryRunView))
)]
pub(super) async fn dry_run(
    State(app): State<App>,
    _: Viewer,
    form: Result<Json<DryRunForm>, JsonRejection>,
) -> Result<Json<DryRunView>, ApiError> {
    let Json(form) = form?;
    if !(1..=MAX_DAYS).contains(&form.days) {
        return Err(ApiError::invalid("days", format!("1 to {MAX_DAYS} days.")));
    }
    // What a saved rule names may be gone: here that stands in nobody's way.
    let named = Named {
        devices: form.body.scope.devices.iter().filter_map(|id| DeviceId::parse(id).ok()).collect(),
        channels: form.body.channels.clone().unwrap_or_default(),
    };
    let body = body(&app, &form.kind, form.body, &named).await?;
    let busy = || {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Many rules are being tried. Try again in a moment.",
        )
    };
    // A few wait, one runs: the past is read from the same disk as everything else.
    let _place = app.dry_run_room.try_acquire().map_err(|_| busy())?;
    let _turn = app.dry_runs.acquire().await.map_err(|_| busy())?;
    match app.alerting.dry_run(&form.kind, &body, form.days).await {
        Ok(run) => Ok(Json(run.into())),
        Err(NoDryRun::NotStored) => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "not_stored",
            "What is stored of the past does not tell for this kind of rule.",
        )),
        Err(NoDryRun::TooSlow) => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_slow",
            "This took too long and was given up. Ask for fewer days or devices.",
        )),
        Err(NoDryRun::Failed) => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_fails",
            "The database does not answer. Try again in a moment.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(severity: Severity, level: Option<f64>, after_s: Option<u32>) -> Step {
        Step { severity, level, after_s }
    }

    #[test]
    fn steps_grow_in_gravity_and_say_when() {
        let fine = |list: &[Step], levels| steps(Severity::Warning, list, levels).is_ok();
        assert!(fine(&[], false));
        assert!(fine(
            &[step(Severity::Error, Some(90.0), None), step(Severity::Critical, None, Some(1800))],
            true
        ));
        for (list, levels) in [
            (vec![step(Severity::Warning, None, Some(60))], true),
            (vec![step(Severity::Info, None, Some(60))], true),
            (vec![step(Severity::Critical, None, Some(60)), step(Severity::Error, None, Some(90))], true),
            (vec![step(Severity::Error, Some(90.0), None)], false),
            (vec![step(Severity::Error, Some(90.0), Some(60))], true),
            (vec![step(Severity::Error, Some(f64::NAN), None)], true),
            (vec![step(Severity::Error, None, None)], true),
            (vec![step(Severity::Error, None, Some(0))], true),
            (vec![step(Severity::Error, None, Some(MAX_SECONDS + 1))], true),
        ] {
            assert!(!fine(&list, levels), "{list:?}");
        }
    }
}
