use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum_extra::extract::cookie::CookieJar;
use protocol::KeyHash;
use store::Actor;

use crate::auth::{self, Peer, Proof, Tried, Viewer, authenticate, check_credentials};
use crate::error::ApiError;
use crate::views::{LoginForm, SessionView, SetupForm, UserView, rfc3339};
use crate::{App, lock};

async fn view(app: &App, viewer: Option<Viewer>) -> Result<SessionView, ApiError> {
    let csrf = viewer.as_ref().and_then(|v| v.csrf.clone());
    let user = match viewer {
        Some(Viewer { name: Some(name), role, .. }) => {
            let two_factor = app.store.has_two_factor(&name).await?;
            Some(UserView { name, role: role.as_str(), two_factor })
        }
        Some(Viewer { role, .. }) => {
            Some(UserView { name: "token".to_owned(), role: role.as_str(), two_factor: false })
        }
        None => None,
    };
    Ok(SessionView {
        setup_needed: app.store.count_people().await? == 0,
        csrf,
        user,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        server_time: rfc3339(app.store.clock().now()),
    })
}

/// Who is signed in
///
/// And what a page needs to begin. Answers everybody.
#[utoipa::path(
    get,
    path = "/session",
    operation_id = "show_session",
    tag = "session",
    security(()),
    responses((status = 200, description = "The session.", body = SessionView))
)]
pub(super) async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Json<SessionView>, ApiError> {
    let viewer = authenticate(&headers, &app).await.ok().flatten();
    Ok(Json(view(&app, viewer).await?))
}

async fn signed_in(
    app: &App,
    peer: Peer,
    jar: CookieJar,
    name: &str,
    password_hash: &str,
) -> Result<(CookieJar, Json<SessionView>), ApiError> {
    let (cookie, csrf) = auth::sign_in(app, peer, name, password_hash).await?.ok_or_else(bad_credentials)?;
    let (_, role) = app.store.person(name).await?.ok_or_else(ApiError::unauthenticated)?;
    let proof = Proof::Cookie(KeyHash::of(cookie.value().as_bytes()));
    let viewer = Viewer { name: Some(name.to_owned()), role, csrf: Some(csrf), proof, token: None };
    Ok((jar.add(cookie), Json(view(app, Some(viewer)).await?)))
}

/// Set the first admin up
///
/// Once, with the token of the link that the server printed at its start. Sets the cookie of a login.
#[utoipa::path(
    post,
    path = "/setup",
    operation_id = "set_up",
    tag = "session",
    security(()),
    request_body = SetupForm,
    responses((status = 200, description = "Signed in.", body = SessionView))
)]
pub(super) async fn set_up(
    State(app): State<App>,
    peer: Peer,
    jar: CookieJar,
    form: Result<Json<SetupForm>, JsonRejection>,
) -> Result<(CookieJar, Json<SessionView>), ApiError> {
    let Json(form) = form?;
    let refused = || {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "setup_token_invalid",
            "This link is not valid any more. Restart the server for a new one, or run `openclaw-watch user add`.",
        )
    };
    if lock(&app.setup).is_none() {
        return Err(refused());
    }
    let tried = Tried::set_up(peer);
    app.attempts.count(&tried, app.config.login_attempts, Instant::now()).map_err(ApiError::too_many)?;
    let shown = KeyHash::of(form.token.as_bytes());
    if !lock(&app.setup).is_some_and(|token| token.matches(&shown)) {
        return Err(refused());
    }
    let name = form.name.trim().to_owned();
    check_credentials(&name, &form.password).map_err(|(field, why)| ApiError::invalid(field, why))?;
    let hash = auth::hash_password(form.password).await.map_err(|error| ApiError::internal(&error))?;
    if !app.store.add_first_person(&Actor::user(&name, peer.address), &name, &hash).await? {
        return Err(refused());
    }
    *lock(&app.setup) = None;
    app.attempts.forget(&tried);
    tracing::info!(person = %name, "first admin was set up");
    signed_in(&app, peer, jar, &name, &hash).await
}

fn refused(code: &'static str, message: &'static str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, code, message)
}

fn bad_credentials() -> ApiError {
    refused("bad_credentials", "The name or the password is wrong.")
}

async fn note_refused(app: &App, peer: Peer, name: &str) {
    tracing::warn!(peer.address = %peer.address, "login refused");
    if let Err(error) = app.store.note_refused_login(name, peer.address).await {
        // Refused all the same: a full disk must not look like another answer.
        tracing::warn!(error = &error as &dyn std::error::Error, "a refused login is not in the audit log");
    }
}

/// How many names an address may use up its attempts under.
const MANY_NAMES: u32 = 10;

/// Log in
///
/// Sets the cookie of a login. Where two-factor login is on, the right password alone is answered with `two_factor_needed`:
/// ask again with `code`.
#[utoipa::path(
    post,
    path = "/login",
    operation_id = "log_in",
    tag = "session",
    security(()),
    request_body = LoginForm,
    responses((status = 200, description = "Signed in.", body = SessionView))
)]
pub(super) async fn log_in(
    State(app): State<App>,
    peer: Peer,
    jar: CookieJar,
    form: Result<Json<LoginForm>, JsonRejection>,
) -> Result<(CookieJar, Json<SessionView>), ApiError> {
    let Json(form) = form?;
    let name = form.name.trim().to_owned();
    let limit = app.config.login_attempts;
    // One password under many names is guessing too; a right one does not pay for that.
    let any = limit.saturating_mul(MANY_NAMES);
    app.attempts.count(&Tried::any_log_in(peer), any, Instant::now()).map_err(ApiError::too_many)?;
    let tried = Tried::log_in(peer, &name);
    app.attempts.count(&tried, limit, Instant::now()).map_err(ApiError::too_many)?;
    let Some(hash) = auth::verify(&app, &name, form.password).await? else {
        note_refused(&app, peer, &name).await;
        return Err(bad_credentials());
    };
    if app.store.has_two_factor(&name).await? {
        let code = form.code.as_deref().map(str::trim).filter(|code| !code.is_empty());
        let code =
            code.ok_or_else(|| refused("two_factor_needed", "Enter the code of your authenticator app."))?;
        let guessed = Tried::code(peer, &name);
        app.attempts.count(&guessed, limit, Instant::now()).map_err(ApiError::too_many)?;
        if !auth::check_code(&app, &Actor::user(&name, peer.address), &name, code).await? {
            note_refused(&app, peer, &name).await;
            return Err(refused(
                "two_factor_wrong",
                "This code is wrong, or was used already. Take the next one.",
            ));
        }
        app.attempts.forget(&guessed);
    }
    app.attempts.forget(&tried);
    signed_in(&app, peer, jar, &name, &hash).await
}

/// Log out
///
/// Ends the login, and the live sockets that were opened with it.
#[utoipa::path(
    post,
    path = "/logout",
    operation_id = "log_out",
    tag = "session",
    responses((status = 204, description = "Signed out."))
)]
pub(super) async fn log_out(
    State(app): State<App>,
    peer: Peer,
    jar: CookieJar,
    viewer: Viewer,
) -> Result<(CookieJar, StatusCode), ApiError> {
    if let Proof::Cookie(cookie) = &viewer.proof {
        app.store.remove_login(&viewer.actor(peer), cookie).await?;
        app.logouts.send_modify(|times| *times += 1);
    }
    Ok((jar.add(auth::end_cookie(peer)), StatusCode::NO_CONTENT))
}
