use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;

use crate::App;
use crate::account_views::{CodeForm, MyAccountView, NewTwoFactorView, PasswordForm, RecoveryCodesView};
use crate::auth::{self, Peer, Person, Tried, check_credentials};
use crate::error::ApiError;
use crate::totp;

fn count_attempt(app: &App, tried: &Tried) -> Result<(), ApiError> {
    app.attempts.count(tried, app.config.login_attempts, Instant::now()).map_err(ApiError::too_many)
}

/// Whoever sits at an open page must show the code, too.
async fn check_code(app: &App, peer: Peer, me: &Person, code: &str) -> Result<(), ApiError> {
    let tried = Tried::code(peer, &me.name);
    count_attempt(app, &tried)?;
    if !auth::check_code(app, &me.by, &me.name, code).await? {
        return Err(ApiError::invalid("code", "This code is wrong, or was used already. Take the next one."));
    }
    app.attempts.forget(&tried);
    Ok(())
}

fn not_on() -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "two_factor_off", "Two-factor login is not on.")
}

fn no_random(error: &totp::NoRandom) -> ApiError {
    ApiError::internal(error)
}

/// One's own account
///
/// How one's own login is secured.
#[utoipa::path(
    get,
    path = "/me",
    operation_id = "show_me",
    tag = "accounts",
    responses((status = 200, description = "The account.", body = MyAccountView))
)]
pub(super) async fn show(State(app): State<App>, me: Person) -> Result<Json<MyAccountView>, ApiError> {
    Ok(Json(MyAccountView {
        two_factor: app.store.has_two_factor(&me.name).await?,
        recovery_codes: app.store.count_recovery_codes(&me.name).await?,
        name: me.name,
    }))
}

/// Change one's own password
///
/// Ends one's other logins.
#[utoipa::path(
    put,
    path = "/me/password",
    operation_id = "change_my_password",
    tag = "accounts",
    request_body = PasswordForm,
    responses((status = 204, description = "It is changed."))
)]
pub(super) async fn password(
    State(app): State<App>,
    peer: Peer,
    me: Person,
    form: Result<Json<PasswordForm>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(form) = form?;
    check_credentials(&me.name, &form.new).map_err(|(_, why)| ApiError::invalid("new", why))?;
    let tried = Tried::log_in(peer, &me.name);
    count_attempt(&app, &tried)?;
    if auth::verify(&app, &me.name, form.old).await?.is_none() {
        return Err(ApiError::invalid("old", "This is not your password."));
    }
    app.attempts.forget(&tried);
    let hash = auth::hash_password(form.new).await.map_err(|error| ApiError::internal(&error))?;
    app.store.change_person(&me.by, &me.name, None, Some(&hash), Some(&me.cookie)).await??;
    app.logouts.send_modify(|times| *times += 1);
    Ok(StatusCode::NO_CONTENT)
}

/// Begin two-factor login
///
/// Answers with a secret for an authenticator app (TOTP). It is asked for at logins only when a code of it has come back.
#[utoipa::path(
    post,
    path = "/me/two-factor",
    operation_id = "begin_two_factor",
    tag = "accounts",
    responses((status = 200, description = "The secret.", body = NewTwoFactorView))
)]
pub(super) async fn begin(State(app): State<App>, me: Person) -> Result<Json<NewTwoFactorView>, ApiError> {
    let secret = totp::new_secret().map_err(|error| no_random(&error))?;
    if !app.store.begin_two_factor(&me.name, &secret).await? {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "two_factor_on",
            "Two-factor login is on. Turn it off first to use another app.",
        ));
    }
    let otpauth_url = totp::otpauth(&me.name, &secret);
    let (qr_path, qr_size) = totp::picture(&otpauth_url).unwrap_or_default();
    Ok(Json(NewTwoFactorView { secret: totp::base32(&secret), otpauth_url, qr_path, qr_size }))
}

/// Turn two-factor login on
///
/// With a code of the app. Answers with recovery codes, which are shown here and never again.
#[utoipa::path(
    put,
    path = "/me/two-factor",
    operation_id = "confirm_two_factor",
    tag = "accounts",
    request_body = CodeForm,
    responses((status = 200, description = "It is on.", body = RecoveryCodesView))
)]
pub(super) async fn confirm(
    State(app): State<App>,
    peer: Peer,
    me: Person,
    form: Result<Json<CodeForm>, JsonRejection>,
) -> Result<Json<RecoveryCodesView>, ApiError> {
    let Json(form) = form?;
    check_code(&app, peer, &me, &form.code).await?;
    let (recovery_codes, kept) = totp::recovery_codes().map_err(|error| no_random(&error))?;
    if !app.store.confirm_two_factor(&me.by, &me.name, &kept).await? {
        return Err(ApiError::new(StatusCode::CONFLICT, "two_factor_on", "Two-factor login is on already."));
    }
    Ok(Json(RecoveryCodesView { recovery_codes }))
}

/// New recovery codes
///
/// Those before are good no more. Needs a code.
#[utoipa::path(
    post,
    path = "/me/two-factor/recovery-codes",
    operation_id = "renew_recovery_codes",
    tag = "accounts",
    request_body = CodeForm,
    responses((status = 200, description = "The codes.", body = RecoveryCodesView))
)]
pub(super) async fn renew(
    State(app): State<App>,
    peer: Peer,
    me: Person,
    form: Result<Json<CodeForm>, JsonRejection>,
) -> Result<Json<RecoveryCodesView>, ApiError> {
    let Json(form) = form?;
    if !app.store.has_two_factor(&me.name).await? {
        return Err(not_on());
    }
    check_code(&app, peer, &me, &form.code).await?;
    let (recovery_codes, kept) = totp::recovery_codes().map_err(|error| no_random(&error))?;
    app.store.renew_recovery_codes(&me.by, &me.name, &kept).await?;
    Ok(Json(RecoveryCodesView { recovery_codes }))
}

/// Turn two-factor login off
///
/// Needs a code, of the app or for recovery.
#[utoipa::path(
    delete,
    path = "/me/two-factor",
    operation_id = "remove_two_factor",
    tag = "accounts",
    request_body = CodeForm,
    responses((status = 204, description = "It is off."))
)]
pub(super) async fn remove(
    State(app): State<App>,
    peer: Peer,
    me: Person,
    form: Result<Json<CodeForm>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(form) = form?;
    if !app.store.has_two_factor(&me.name).await? {
        return Err(not_on());
    }
    check_code(&app, peer, &me, &form.code).await?;
    app.store.remove_two_factor(&me.by, &me.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
