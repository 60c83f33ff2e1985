//! The API's own description (OpenAPI 3.1), made from the handlers and views themselves.
//!
//! Each handler says beside itself what it takes and answers (`#[utoipa::path]`); a router that is built with `routes!`
//! does not take one that does not. What holds for all of them is said once, here. A test compares real answers with it.

use std::sync::LazyLock;

use axum::Json;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use crate::live::Frame;
use crate::{api, error};

/// Words for those who come without having read anything else.
const DESCRIPTION: &str = include_str!("openapi.md");

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "OpenClaw Watch", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    servers((url = "/api/v1")),
    components(schemas(Frame, error::Body<'static>)),
    tags(
        (name = "session", description = "Who is asking. Scripts need none of it: they send a bearer token."),
        (name = "devices", description = "The machines that are watched."),
        (name = "samples", description = "What was measured on a device over time."),
        (name = "outages", description = "When devices were away, and how much of the time they were there."),
        (name = "errors", description = "Errors, crashes and events of OpenClaw, as devices told them."),
        (name = "alerts", description = "What somebody should know."),
        (name = "rules", description = "What is judged, how gravely, and whom it is told to; and when nobody wants to hear of it."),
        (name = "channels", description = "Where people are told, and what was told to them."),
        (name = "security", description = "How safe devices are."),
        (name = "audit", description = "What people did on the server."),
        (name = "usage", description = "Tokens and what they cost."),
        (name = "accounts", description = "Who may log in or ask, and how their own login is secured."),
        (name = "keys", description = "Keys of the device port, for devices and for MQTT clients of third parties."),
        (name = "server", description = "The server itself: what it keeps, its copies, and who knocks."),
        (name = "status", description = "What everybody may see, without a login."),
        (name = "about", description = "This description."),
    )
)]
struct Base;

/// The words that stand where a view has a plain string.
pub(crate) mod words {
    use utoipa::openapi::{Object, ObjectBuilder, Type};

    fn one_of(words: &[&str]) -> Object {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build()
    }

    pub(crate) fn role() -> Object {
        one_of(&["admin", "viewer"])
    }

    pub(crate) fn outage_label() -> Object {
        let words = store::OutageLabel::ALL.map(store::OutageLabel::as_str);
        let mut known: Vec<Option<&str>> = words.into_iter().map(Some).collect();
        known.push(None);
        ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::String, Type::Null]))
            .enum_values(Some(known))
            .build()
    }

    pub(crate) fn key_kind() -> Object {
        one_of(&["device", "reader", "service"])
    }

    pub(crate) fn status() -> Object {
        one_of(&["online", "offline", "gateway_down", "degraded", "unknown"])
    }

    pub(crate) fn device_kind() -> Object {
        one_of(&["agent", "local"])
    }

    pub(crate) fn gateway_state() -> Object {
        one_of(&[
            "not_installed",
            "stopped",
            "starting",
            "running",
            "degraded",
            "hung",
            "draining",
            "unknown",
        ])
    }

    pub(crate) fn error_state() -> Object {
        one_of(&["open", "resolved", "ignored"])
    }

    pub(crate) fn actor_kind() -> Object {
        one_of(&["user", "token", "cli", "server"])
    }

    pub(crate) fn severity() -> Object {
        one_of(&store::Severity::ALL.map(store::Severity::as_str))
    }

    pub(crate) fn rule_of() -> Object {
        one_of(&["device", "fleet", "server"])
    }

    pub(crate) fn pause_kind() -> Object {
        one_of(&store::PauseKind::ALL.map(store::PauseKind::as_str))
    }

    pub(crate) fn delivery_state() -> Object {
        one_of(&store::DeliveryState::ALL.map(store::DeliveryState::as_str))
    }

    pub(crate) fn digest_every() -> Object {
        one_of(&["day", "week"])
    }

    pub(crate) fn language() -> Object {
        one_of(&["en", "zh-CN"])
    }

    pub(crate) fn field_kind() -> Object {
        one_of(&["text", "lines", "secret", "url", "number", "toggle", "choice"])
    }

    /// A number or a text.
    pub(crate) fn number_or_text() -> Object {
        let both = utoipa::openapi::schema::SchemaType::from_iter([Type::Number, Type::String]);
        ObjectBuilder::new().schema_type(both).build()
    }

    pub(crate) fn finding_severity() -> Object {
        one_of(&["info", "warning", "critical", "unknown"])
    }

    pub(crate) fn error_level() -> Object {
        one_of(&["warning", "error", "exception", "crash", "unknown"])
    }
}

/// The document of all resources, with their handlers' own words.
pub(crate) fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// The whole document.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let document = api::resources().into_openapi();
    // Only maps with keys that are not text could fail.
    finish(serde_json::to_value(document).unwrap_or_default())
});

/// Adds what holds for every operation and view.
fn finish(mut document: Value) -> Value {
    if let Some(info) = document.get_mut("info") {
        put(info, "description", json!(DESCRIPTION));
    }
    let viewer = json!([{ "token": ["viewer"] }, { "login": ["viewer"] }]);
    put(&mut document, "security", viewer);
    if let Some(components) = document.get_mut("components") {
        put(
            components,
            "securitySchemes",
            json!({
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "Made by `openclaw-watch token create --role viewer` (or admin)."
                },
                "login": {
                    "type": "apiKey", "in": "cookie", "name": "ocw_login",
                    "description": "What the page has after POST /login. Under HTTPS it is called __Host-ocw_login. A request \
                                    that changes something also needs the header X-CSRF-Token with the `csrf` of GET /session."
                }
            }),
        );
        let error = json!({ "description": "It was not done; `code` is for programs, `message` says what to do.",
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorView" } } } });
        put(components, "responses", json!({ "Error": error }));
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        // A view always has all of its fields: what is not known is null.
        let keys: Vec<Value> = match schema.get("properties").and_then(Value::as_object) {
            Some(properties) if name.ends_with("View") => properties.keys().map(|key| json!(key)).collect(),
            _ => continue,
        };
        put(schema, "required", json!(keys));
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for operation in paths.into_iter().flatten().filter_map(|(_, item)| item.as_object_mut()).flatten() {
        let (_, operation) = operation;
        if let Some(responses) = operation.get_mut("responses") {
            put(responses, "default", json!({ "$ref": "#/components/responses/Error" }));
        }
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            // What may be left out is left out, and not sent as null.
            if let Some(kind) = parameter.pointer_mut("/schema/type")
                && let Some(one) = kind.as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null"))
            {
                *kind = one.clone();
            }
        }
    }
    document
}

fn put(object: &mut Value, key: &str, value: Value) {
    object.as_object_mut().unwrap_or(&mut Map::new()).insert(key.to_owned(), value);
}

/// This document
///
/// The description of the API as OpenAPI 3.1, made from the program itself. The same to read is at `/api/docs`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "about",
    security(()),
    responses((status = 200, description = "The document.", body = Object))
)]
pub(crate) async fn show() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-cache")], Json(&*DOCUMENT))
}
