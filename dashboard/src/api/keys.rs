use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use protocol::{DeviceId, KeyId, KeyKind, TopicFilter};
use store::{KeyInfo, NewKey};

use super::devices::host_of;
use crate::App;
use crate::account_views::{AddedKeyView, KeyView, NewKeyForm};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::views::rfc3339;

/// Filters of one key at most.
const MAX_FILTERS: usize = 32;

fn view(app: &App, key: KeyInfo) -> KeyView {
    let of_device = |filter: &String| {
        let (id, rest) =
            filter.strip_prefix(app.store.topic_root().as_str())?.strip_prefix('/')?.split_once('/')?;
        DeviceId::parse(id).ok().filter(|_| rest == "#").map(|id| id.to_string())
    };
    let devices = match key.kind {
        KeyKind::Reader => key.subscribe.iter().filter_map(of_device).collect(),
        KeyKind::Device | KeyKind::Service => vec![],
    };
    KeyView {
        id: key.id.to_string(),
        kind: key.kind.as_str(),
        name: key.name,
        device: key.device.map(|id| id.to_string()),
        device_name: key.device.and_then(|id| app.store.device(id)).map(|device| device.name),
        publish: key.publish,
        subscribe: key.subscribe,
        devices,
        created_at: rfc3339(key.created_at),
        expires_at: key.expires_at.map(rfc3339),
        last_used_at: key.last_used_at.map(rfc3339),
    }
}

fn filters(field: &'static str, texts: &[String]) -> Result<Vec<TopicFilter>, ApiError> {
    if texts.len() > MAX_FILTERS {
        return Err(ApiError::invalid(field, format!("At most {MAX_FILTERS} filters.")));
    }
    let parse = |text: &String| {
        TopicFilter::parse(text.trim()).map_err(|error| ApiError::invalid(field, format!("{text}: {error}.")))
    };
    texts.iter().map(parse).collect()
}

fn wanted(app: &App, form: &NewKeyForm) -> Result<NewKey, ApiError> {
    let (publish, subscribe) = (filters("publish", &form.publish)?, filters("subscribe", &form.subscribe)?);
    match form.kind.as_str() {
        "reader" => {
            if !(publish.is_empty() && subscribe.is_empty()) {
                return Err(ApiError::invalid(
                    "kind",
                    "A reader has no filters; limit it to devices, or make a service.",
                ));
            }
            let known = |text: &String| {
                let id = DeviceId::parse(text).ok().filter(|id| app.store.knows_device(*id));
                id.ok_or_else(|| ApiError::invalid("devices", format!("There is no device {text}.")))
            };
            Ok(NewKey::Reader(form.devices.iter().map(known).collect::<Result<_, _>>()?))
        }
        "service" if !form.devices.is_empty() => Err(ApiError::invalid(
            "devices",
            "Devices are for readers; give a service filters to subscribe to.",
        )),
        "service" if publish.is_empty() && subscribe.is_empty() => {
            Err(ApiError::invalid("subscribe", "A service needs a filter to publish or to subscribe to."))
        }
        "service" => Ok(NewKey::Service { publish, subscribe }),
        _ => Err(ApiError::invalid("kind", "There are: reader, service.")),
    }
}

/// All keys
///
/// Of the device port: those of devices, and of readers and services of third parties. Without those that were revoked or
/// are over; never their secrets.
#[utoipa::path(
    get,
    path = "/keys",
    operation_id = "list_keys",
    tag = "keys",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    responses((status = 200, description = "The keys.", body = [KeyView]))
)]
pub(super) async fn list(State(app): State<App>, _: Admin) -> Result<Json<Vec<KeyView>>, ApiError> {
    let now = app.store.clock().now();
    let good = |key: &KeyInfo| key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now);
    let keys = app.store.keys().await?.into_iter().filter(good);
    Ok(Json(keys.map(|key| view(&app, key)).collect()))
}

/// Make a key for a reader or a service
///
/// It is shown here and never again, with lines to try it.
#[utoipa::path(
    post,
    path = "/keys",
    operation_id = "add_key",
    tag = "keys",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = NewKeyForm,
    responses((status = 201, description = "The key.", body = AddedKeyView))
)]
pub(super) async fn add(
    State(app): State<App>,
    Admin(by): Admin,
    headers: HeaderMap,
    form: Result<Json<NewKeyForm>, JsonRejection>,
) -> Result<(StatusCode, Json<AddedKeyView>), ApiError> {
    let Json(form) = form?;
    let new = wanted(&app, &form)?;
    let root = app.store.topic_root();
    let topics = |filters: &[TopicFilter]| filters.iter().map(|f| f.as_str().to_owned()).collect::<Vec<_>>();
    let (publish, subscribe) = match &new {
        NewKey::Reader(devices) if devices.is_empty() => (vec![], topics(&[root.everything()])),
        NewKey::Reader(devices) => {
            (vec![], topics(&devices.iter().map(|id| root.device(*id)).collect::<Vec<_>>()))
        }
        NewKey::Service { publish, subscribe } => (topics(publish), topics(subscribe)),
    };
    let (id, key) = app.store.add_key(&by, &form.name, new).await??;
    let host = host_of(&headers);
    Ok((StatusCode::CREATED, Json(app.invitation.key_view(id, &key, host.as_deref(), &publish, &subscribe))))
}

/// Revoke a key
///
/// Its connections are closed at once. A device's key too: then the device needs a new one.
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    operation_id = "revoke_key",
    tag = "keys",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("id" = String, Path, description = "The key's id.")),
    responses((status = 204, description = "It is revoked."))
)]
pub(super) async fn revoke(
    State(app): State<App>,
    Admin(by): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = KeyId::parse(&id).map_err(|_| ApiError::not_found("key"))?;
    app.store.revoke_key(&by, id).await??;
    Ok(StatusCode::NO_CONTENT)
}
