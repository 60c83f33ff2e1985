use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::FieldProblem;

/// What a request is answered with when it is not done. Tells what to do, never how we are built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    fields: BTreeMap<String, String>,
    retry_after_s: Option<u64>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ErrorView)]
pub(crate) struct Body<'a> {
    #[schema(inline)]
    error: Inner<'a>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Inner<'a> {
    /// For programs; does not change.
    code: &'a str,
    /// For people: what is wrong, and what to do.
    message: &'a str,
    /// Which parameter or field was wrong, and how.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: &'a BTreeMap<String, String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: BTreeMap::new(), retry_after_s: None }
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}."))
    }

    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message.clone());
        error.fields.insert(field.to_owned(), message);
        error
    }

    /// Several fields were wrong, each in its own way.
    pub(crate) fn fields(problems: impl IntoIterator<Item = FieldProblem>) -> Result<(), Self> {
        let fields: BTreeMap<String, String> =
            problems.into_iter().map(|problem| (problem.field, problem.message)).collect();
        let Some(message) = fields.values().next().cloned() else { return Ok(()) };
        Err(Self { fields, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message) })
    }

    /// The name is somebody else's.
    pub(crate) fn taken(message: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, code: "name_taken", ..Self::invalid("name", message) }
    }

    /// What the framework says of a value that it cannot read, `How it was read: field: why`, without its first part,
    /// which tells how we are built.
    fn unreadable(status: StatusCode, text: &str) -> Self {
        let said = text.split_once(": ").map_or(text, |(_, said)| said);
        let mut error = Self::new(status, "bad_request", said);
        if let Some((field, why)) = said.split_once(": ").filter(|(field, _)| !field.contains(' ')) {
            error.fields.insert(field.to_owned(), why.to_owned());
        }
        error
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Log in, or send a bearer token.")
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This needs the role admin.")
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "The request took too long.")
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such path.")
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This path does not know this method.",
        )
    }

    pub(crate) fn too_many(retry_after_s: u64) -> Self {
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            format!("Too many attempts. Try again in {retry_after_s} s."),
        );
        error.retry_after_s = Some(retry_after_s);
        error
    }

    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let id = protocol::KeyId::generate();
        let cause = error.source().map(ToString::to_string);
        tracing::error!(request.id = %id, error = %error, cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format!("Something failed on the server. Its log tells more: look for {id}."),
        )
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        if let store::Error::Vault(error) = &error {
            tracing::error!(error = error as &dyn std::error::Error, "a secret cannot be read");
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "secrets_unreadable",
                "The server cannot read its secrets. Put the file secrets.key back into its data folder, use a recovery code, \
                 or run `openclaw-watch user reset-two-factor NAME`.",
            );
        }
        if let store::Error::TooSlow { doing } = error {
            tracing::warn!(doing, "a question took too long and was given up");
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_slow",
                "This took too long and was given up. Ask for a shorter span or less at once, or try again later.",
            );
        }
        Self::internal(&error)
    }
}

impl From<store::EditRefusal> for ApiError {
    fn from(refusal: store::EditRefusal) -> Self {
        match refusal {
            store::EditRefusal::Gone => {
                Self::new(StatusCode::NOT_FOUND, "not_found", "It is not there any more.")
            }
            store::EditRefusal::Conflict => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "Somebody else has changed this meanwhile. Look at it again.",
            ),
            store::EditRefusal::TooMany => Self::new(
                StatusCode::CONFLICT,
                "too_many",
                "There are too many of them. Remove one that is not needed.",
            ),
        }
    }
}

impl From<store::PersonRefusal> for ApiError {
    fn from(refusal: store::PersonRefusal) -> Self {
        match refusal {
            store::PersonRefusal::NoPerson => Self::not_found("user"),
            store::PersonRefusal::LastAdmin => Self::new(
                StatusCode::CONFLICT,
                "last_admin",
                "This is the only admin. Make somebody else an admin first.",
            ),
        }
    }
}

impl From<store::Refusal> for ApiError {
    fn from(refusal: store::Refusal) -> Self {
        use store::Refusal as R;
        match &refusal {
            R::Name => Self::invalid("name", refusal.to_string()),
            R::Tags => Self::invalid("tags", refusal.to_string()),
            R::NameTaken(_) => Self::taken(refusal.to_string()),
            R::NoDevice(_) => Self::not_found("device"),
            R::NoKey(_) => Self::not_found("key"),
            R::Conflict => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "Somebody else has changed this device meanwhile. Look at it again.",
            ),
        }
    }
}

impl From<axum::extract::rejection::JsonRejection> for ApiError {
    fn from(rejection: axum::extract::rejection::JsonRejection) -> Self {
        match &rejection {
            axum::extract::rejection::JsonRejection::JsonDataError(error) => {
                Self::unreadable(rejection.status(), &error.body_text())
            }
            _ => Self::new(rejection.status(), "bad_request", rejection.body_text()),
        }
    }
}

impl From<axum::extract::rejection::QueryRejection> for ApiError {
    fn from(rejection: axum::extract::rejection::QueryRejection) -> Self {
        Self::unreadable(rejection.status(), &rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Body { error: Inner { code: self.code, message: &self.message, fields: &self.fields } };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(secs) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}
