use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use protocol::{KeyHash, KeyId};

use super::samples::moment;
use super::users::role;
use crate::App;
use crate::account_views::{AddedTokenView, NewToken, TokenView};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::views::rfc3339;

/// A name of something that people made.
fn name(text: &str) -> Result<String, ApiError> {
    let name = text.trim();
    let fine = (1..=64).contains(&name.chars().count()) && !name.chars().any(store::unseen);
    fine.then(|| name.to_owned()).ok_or_else(|| {
        ApiError::invalid("name", "A name has 1 to 64 characters that can be seen, on one line.")
    })
}

/// All tokens
///
/// Bearer tokens of scripts, newest first. What they are is never shown again.
#[utoipa::path(
    get,
    path = "/tokens",
    operation_id = "list_tokens",
    tag = "accounts",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    responses((status = 200, description = "The tokens.", body = [TokenView]))
)]
pub(super) async fn list(State(app): State<App>, _: Admin) -> Result<Json<Vec<TokenView>>, ApiError> {
    let view = |token: store::TokenInfo| TokenView {
        id: token.id.to_string(),
        name: token.name,
        role: token.role.as_str(),
        created_at: rfc3339(token.created_at),
        last_used_at: token.last_used_at.map(rfc3339),
        expires_at: token.expires_at.map(rfc3339),
    };
    Ok(Json(app.store.tokens().await?.into_iter().map(view).collect()))
}

/// Make a token
///
/// It is shown here and never again.
#[utoipa::path(
    post,
    path = "/tokens",
    operation_id = "add_token",
    tag = "accounts",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = NewToken,
    responses((status = 201, description = "The token.", body = AddedTokenView))
)]
pub(super) async fn add(
    State(app): State<App>,
    Admin(by): Admin,
    new: Result<Json<NewToken>, JsonRejection>,
) -> Result<(StatusCode, Json<AddedTokenView>), ApiError> {
    let Json(new) = new?;
    let (name, role) = (name(&new.name)?, role(&new.role)?);
    let expires_at = new.expires_at.as_deref().map(|text| moment("expires_at", text)).transpose()?;
    if expires_at.is_some_and(|at| at <= app.store.clock().now()) {
        return Err(ApiError::invalid("expires_at", "This lies in the past."));
    }
    let token = format!("ocwt_{}", protocol::new_secret());
    let id = app.store.add_token(&by, &KeyHash::of(token.as_bytes()), role, &name, expires_at).await?;
    Ok((StatusCode::CREATED, Json(AddedTokenView { id: id.to_string(), token })))
}

/// Revoke a token
///
/// It is refused from now on, and live sockets that were opened with it are closed.
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    operation_id = "revoke_token",
    tag = "accounts",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("id" = String, Path, description = "The token's id.")),
    responses((status = 204, description = "It is revoked."))
)]
pub(super) async fn revoke(
    State(app): State<App>,
    Admin(by): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let missing = || ApiError::not_found("token");
    let id = KeyId::parse(&id).map_err(|_| missing())?;
    if !app.store.revoke_token(&by, id).await? {
        return Err(missing());
    }
    app.logouts.send_modify(|times| *times += 1);
    Ok(StatusCode::NO_CONTENT)
}
