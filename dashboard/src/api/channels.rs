use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;
use store::{Channel, ChannelBody, ChannelDraft, Role};

use super::rules::short;
use crate::alerting_views::{
    AlertChannelView, ChannelKindView, ChannelPatch, ChannelTest, ChannelTroubleView, NewChannel, TriedView,
};
use crate::auth::{Admin, Viewer};
use crate::error::ApiError;
use crate::views::rfc3339;
use crate::{App, ChannelTrouble, lock};

const MAX_NAME: usize = 60;
const MAX_VALUE_CHARS: usize = 8_000;

/// When tests were sent lately: a test reaches somebody, and is no way to flood them.
#[derive(Debug, Default)]
pub(crate) struct Tests(Mutex<VecDeque<Instant>>);

const WINDOW: Duration = Duration::from_mins(1);
const MAX_TESTS: usize = 10;

impl Tests {
    /// Counts a test; how many seconds to wait if there were too many.
    fn count(&self, now: Instant) -> Result<(), u64> {
        let mut sent = lock(&self.0);
        while sent.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
            sent.pop_front();
        }
        if sent.len() >= MAX_TESTS
            && let Some(first) = sent.front()
        {
            return Err(WINDOW.saturating_sub(now.saturating_duration_since(*first)).as_secs().max(1));
        }
        sent.push_back(now);
        Ok(())
    }
}

fn name(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let fine = (1..=MAX_NAME).contains(&text.chars().count()) && !text.chars().any(store::unseen);
    fine.then(|| text.to_owned())
        .ok_or_else(|| ApiError::invalid("name", format!("1 to {MAX_NAME} characters that can be seen.")))
}

fn language(text: &str) -> Result<String, ApiError> {
    if matches!(text, "en" | "zh-CN") {
        return Ok(text.to_owned());
    }
    Err(ApiError::invalid("language", "There are: en, zh-CN."))
}

/// What somebody filled into the form of a kind: that secrets are sent as such, and that the kind can use it all. `kept` are
/// the secrets that it has already.
fn check(
    app: &App,
    kind: &str,
    settings: &BTreeMap<String, Value>,
    given: &BTreeMap<String, String>,
    kept: BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, ApiError> {
    let kinds = app.alerting.channel_kinds();
    let Some(known) = kinds.iter().find(|known| known.word == kind) else {
        let words: Vec<&str> = kinds.iter().map(|kind| kind.word).collect();
        return Err(ApiError::invalid("kind", format!("There are: {}.", words.join(", "))));
    };
    let is_secret =
        |word: &str| known.fields.iter().find(|field| field.word == word).map(|f| f.kind == "secret");
    for word in settings.keys() {
        match is_secret(word) {
            Some(false) => {}
            // It would be stored in the clear, and shown.
            Some(true) => {
                return Err(ApiError::invalid(
                    "settings",
                    format!("{word} is a secret: send it in `secrets`."),
                ));
            }
            None => return Err(ApiError::invalid("settings", format!("There is no field {}.", short(word)))),
        }
    }
    if let Some(word) = given.keys().find(|word| is_secret(word) != Some(true)) {
        return Err(ApiError::invalid("secrets", format!("There is no secret {}.", short(word))));
    }
    let long = |value: &Value| match value {
        Value::String(text) => text.chars().count() > MAX_VALUE_CHARS,
        Value::Number(_) | Value::Bool(_) => false,
        _ => true,
    };
    if settings.values().any(long) || given.values().any(|text| text.chars().count() > MAX_VALUE_CHARS) {
        let message = format!("Texts of at most {MAX_VALUE_CHARS} characters, numbers, and true or false.");
        return Err(ApiError::invalid("settings", message));
    }
    let mut secrets = kept;
    secrets.extend(given.clone());
    secrets.retain(|_, value| !value.is_empty());
    let mut all = settings.clone();
    all.extend(secrets.into_iter().map(|(word, value)| (word, Value::String(value))));
    ApiError::fields(app.alerting.check_channel(kind, &all))?;
    Ok(all)
}

/// What a channel has. Without the server's key the old ones are lost: then they must be given anew, which must be possible.
async fn kept(app: &App, id: &str) -> Result<BTreeMap<String, String>, ApiError> {
    match app.store.channel_secrets(id).await {
        Ok(secrets) => Ok(secrets),
        Err(store::Error::Vault(_)) => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

fn view(channel: Channel, troubles: &BTreeMap<String, ChannelTrouble>, role: Role) -> AlertChannelView {
    let trouble = troubles
        .get(&channel.id)
        .map(|trouble| ChannelTroubleView { since: rfc3339(trouble.since), why: trouble.why.clone() });
    AlertChannelView {
        id: channel.id,
        kind: channel.kind,
        name: channel.name,
        enabled: channel.enabled,
        rev: channel.rev,
        made_at: rfc3339(channel.made_at),
        settings: if role == Role::Admin { channel.body.settings } else { BTreeMap::new() },
        secrets: channel.secrets,
        language: channel.body.language,
        least: channel.body.least,
        takes_all: channel.body.takes_all,
        always: channel.body.always,
        trouble,
    }
}

async fn one(app: &App, id: &str) -> Result<Channel, ApiError> {
    let found = app.store.channels().await?.into_iter().find(|channel| channel.id == id);
    found.ok_or_else(|| ApiError::not_found("channel"))
}

/// All channels
///
/// By name, without their secrets; of what they fail, if they do.
#[utoipa::path(
    get,
    path = "/channels",
    operation_id = "list_channels",
    tag = "channels",
    responses((status = 200, description = "The channels.", body = [AlertChannelView]))
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
) -> Result<Json<Vec<AlertChannelView>>, ApiError> {
    let (channels, troubles) = (app.store.channels().await?, app.alerting.channel_troubles());
    Ok(Json(channels.into_iter().map(|channel| view(channel, &troubles, viewer.role)).collect()))
}

/// Make a channel
///
/// Its secrets are sealed and never shown again.
#[utoipa::path(
    post,
    path = "/channels",
    operation_id = "add_channel",
    tag = "channels",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = NewChannel,
    responses((status = 201, description = "The channel.", body = AlertChannelView))
)]
pub(super) async fn add(
    State(app): State<App>,
    Admin(by): Admin,
    new: Result<Json<NewChannel>, JsonRejection>,
) -> Result<(StatusCode, Json<AlertChannelView>), ApiError> {
    let Json(new) = new?;
    check(&app, &new.kind, &new.settings, &new.secrets, BTreeMap::new())?;
    let draft = ChannelDraft {
        name: name(&new.name)?,
        enabled: new.enabled,
        body: ChannelBody {
            settings: new.settings,
            language: language(&new.language)?,
            least: new.least,
            takes_all: new.takes_all,
            always: new.always,
        },
        secrets: new.secrets,
    };
    let channel = app.store.add_channel(&by, &new.kind, &draft).await??;
    Ok((StatusCode::CREATED, Json(view(channel, &BTreeMap::new(), Role::Admin))))
}

/// Change a channel
///
/// What is left out stays as it is, secrets too; its kind always does.
#[utoipa::path(
    patch,
    path = "/channels/{id}",
    operation_id = "change_channel",
    tag = "channels",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("id" = String, Path, description = "The channel's id.")),
    request_body = ChannelPatch,
    responses((status = 200, description = "The channel as it is now.", body = AlertChannelView))
)]
pub(super) async fn change(
    State(app): State<App>,
    Admin(by): Admin,
    Path(id): Path<String>,
    patch: Result<Json<ChannelPatch>, JsonRejection>,
) -> Result<Json<AlertChannelView>, ApiError> {
    let (Json(patch), before) = (patch?, one(&app, &id).await?);
    let secrets = patch.secrets.unwrap_or_default();
    let draft = ChannelDraft {
        name: name(patch.name.as_deref().unwrap_or(&before.name))?,
        enabled: patch.enabled.unwrap_or(before.enabled),
        body: ChannelBody {
            language: language(patch.language.as_deref().unwrap_or(&before.body.language))?,
            least: patch.least.unwrap_or(before.body.least),
            takes_all: patch.takes_all.unwrap_or(before.body.takes_all),
            always: patch.always.unwrap_or(before.body.always),
            settings: match patch.settings {
                // One that does not work any more can still be turned off, or renamed.
                None if secrets.is_empty() => before.body.settings,
                settings => {
                    let settings = settings.unwrap_or(before.body.settings);
                    check(&app, &before.kind, &settings, &secrets, kept(&app, &id).await?)?;
                    settings
                }
            },
        },
        secrets,
    };
    let channel = app.store.change_channel(&by, &id, patch.rev, &draft).await??;
    Ok(Json(view(channel, &app.alerting.channel_troubles(), Role::Admin)))
}

/// Remove a channel
///
/// With its secrets and what was told to it.
#[utoipa::path(
    delete,
    path = "/channels/{id}",
    operation_id = "remove_channel",
    tag = "channels",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("id" = String, Path, description = "The channel's id.")),
    responses((status = 204, description = "It is gone."))
)]
pub(super) async fn remove(
    State(app): State<App>,
    Admin(by): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    if app.store.remove_channel(&by, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("channel"))
    }
}

/// Ways to tell people
///
/// Each kind of channel with its form.
#[utoipa::path(
    get,
    path = "/channel-kinds",
    operation_id = "list_channel_kinds",
    tag = "channels",
    responses((status = 200, description = "The kinds.", body = [ChannelKindView]))
)]
pub(super) async fn kinds(State(app): State<App>, _: Viewer) -> Json<Vec<ChannelKindView>> {
    Json(app.alerting.channel_kinds().into_iter().map(Into::into).collect())
}

async fn send(
    app: &App,
    kind: &str,
    settings: &BTreeMap<String, Value>,
    language: &str,
) -> Result<Json<TriedView>, ApiError> {
    if let Err(wait_s) = app.tests.count(Instant::now()) {
        return Err(ApiError::too_many(wait_s));
    }
    Ok(Json(app.alerting.try_channel(kind, settings, language).await.into()))
}

/// Try a channel
///
/// Sends a test and answers what the other side said. Ten a minute at most.
#[utoipa::path(
    post,
    path = "/channels/{id}/test",
    operation_id = "test_channel",
    tag = "channels",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("id" = String, Path, description = "The channel's id.")),
    responses((status = 200, description = "What became of it.", body = TriedView))
)]
pub(super) async fn test(
    State(app): State<App>,
    Admin(_): Admin,
    Path(id): Path<String>,
) -> Result<Json<TriedView>, ApiError> {
    let channel = one(&app, &id).await?;
    let mut settings = channel.body.settings;
    let secrets = app.store.channel_secrets(&id).await?;
    settings.extend(secrets.into_iter().map(|(word, value)| (word, Value::String(value))));
    send(&app, &channel.kind, &settings, &channel.body.language).await
}

/// Try settings that are not saved
///
/// With `id`, the secrets of that channel stand for those that are not given. Ten a minute at most.
#[utoipa::path(
    post,
    path = "/channels/test",
    operation_id = "test_new_channel",
    tag = "channels",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = ChannelTest,
    responses((status = 200, description = "What became of it.", body = TriedView))
)]
pub(super) async fn test_new(
    State(app): State<App>,
    Admin(_): Admin,
    form: Result<Json<ChannelTest>, JsonRejection>,
) -> Result<Json<TriedView>, ApiError> {
    let Json(form) = form?;
    let language = language(&form.language)?;
    let kept = match &form.id {
        Some(id) => {
            // A secret of one kind must not go where another kind sends things.
            if one(&app, id).await?.kind != form.kind {
                return Err(ApiError::invalid("kind", "The channel is of another kind."));
            }
            kept(&app, id).await?
        }
        None => BTreeMap::new(),
    };
    let settings = check(&app, &form.kind, &form.settings, &form.secrets, kept)?;
    send(&app, &form.kind, &settings, &language).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tests_a_minute() {
        let (tests, start) = (Tests::default(), Instant::now());
        for n in 0..10 {
            assert_eq!(tests.count(start + Duration::from_secs(n)), Ok(()));
        }
        assert_eq!(tests.count(start + Duration::from_secs(20)), Err(40));
        assert_eq!(tests.count(start + Duration::from_mins(1)), Ok(()), "the first is forgotten");
        assert!(tests.count(start + Duration::from_mins(1)).is_err(), "the second is not");
    }
}
