use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use store::{PersonInfo, Role};

use crate::App;
use crate::account_views::{NewPerson, PersonPatch, PersonView};
use crate::auth::{self, Admin, Proof, Viewer, check_credentials};
use crate::error::ApiError;
use crate::views::rfc3339;

/// Reads a role.
pub(super) fn role(text: &str) -> Result<Role, ApiError> {
    Role::parse(text).ok_or_else(|| ApiError::invalid("role", "There are: admin, viewer."))
}

/// The login that asks: it goes on when all others of its person end.
pub(super) fn own(viewer: &Viewer) -> Option<&protocol::KeyHash> {
    match &viewer.proof {
        Proof::Cookie(hash) => Some(hash),
        Proof::Token(_) => None,
    }
}

fn view(person: PersonInfo) -> PersonView {
    PersonView {
        name: person.name,
        role: person.role.as_str(),
        two_factor: person.two_factor,
        created_at: rfc3339(person.created_at),
        last_login_at: person.last_login_at.map(rfc3339),
    }
}

async fn one(app: &App, name: &str) -> Result<Json<PersonView>, ApiError> {
    let found = app.store.people().await?.into_iter().find(|person| person.name == name);
    found.map(|person| Json(view(person))).ok_or_else(|| ApiError::not_found("user"))
}

/// All users
///
/// By name.
#[utoipa::path(
    get,
    path = "/users",
    operation_id = "list_users",
    tag = "accounts",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    responses((status = 200, description = "The users.", body = [PersonView]))
)]
pub(super) async fn list(State(app): State<App>, _: Admin) -> Result<Json<Vec<PersonView>>, ApiError> {
    Ok(Json(app.store.people().await?.into_iter().map(view).collect()))
}

/// Add a user
///
/// With a password that they change themselves.
#[utoipa::path(
    post,
    path = "/users",
    operation_id = "add_user",
    tag = "accounts",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    request_body = NewPerson,
    responses((status = 201, description = "The user.", body = PersonView))
)]
pub(super) async fn add(
    State(app): State<App>,
    Admin(by): Admin,
    new: Result<Json<NewPerson>, JsonRejection>,
) -> Result<(StatusCode, Json<PersonView>), ApiError> {
    let Json(new) = new?;
    let (name, role) = (new.name.trim().to_owned(), role(&new.role)?);
    check_credentials(&name, &new.password).map_err(|(field, why)| ApiError::invalid(field, why))?;
    let hash = auth::hash_password(new.password).await.map_err(|error| ApiError::internal(&error))?;
    if !app.store.add_person(&by, &name, role, &hash).await? {
        return Err(ApiError::taken("There is a user of that name already."));
    }
    Ok((StatusCode::CREATED, one(&app, &name).await?))
}

/// Change what a user may do, or their password
///
/// What is left out stays as it is. Either ends their logins, and the live sockets that were opened with them. The last admin
/// stays one.
#[utoipa::path(
    patch,
    path = "/users/{name}",
    operation_id = "change_user",
    tag = "accounts",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("name" = String, Path, description = "The user's name.")),
    request_body = PersonPatch,
    responses((status = 200, description = "The user as they are now.", body = PersonView))
)]
pub(super) async fn change(
    State(app): State<App>,
    viewer: Viewer,
    Admin(by): Admin,
    Path(name): Path<String>,
    patch: Result<Json<PersonPatch>, JsonRejection>,
) -> Result<Json<PersonView>, ApiError> {
    let Json(patch) = patch?;
    let role = patch.role.as_deref().map(role).transpose()?;
    let hash = match patch.password {
        Some(password) => {
            check_credentials(&name, &password).map_err(|(field, why)| ApiError::invalid(field, why))?;
            Some(auth::hash_password(password).await.map_err(|error| ApiError::internal(&error))?)
        }
        None => None,
    };
    app.store.change_person(&by, &name, role, hash.as_deref(), own(&viewer)).await??;
    app.logouts.send_modify(|times| *times += 1);
    one(&app, &name).await
}

/// Remove a user
///
/// With their logins. The last admin stays.
#[utoipa::path(
    delete,
    path = "/users/{name}",
    operation_id = "remove_user",
    tag = "accounts",
    security(("token" = ["admin"]), ("login" = ["admin"])),
    params(("name" = String, Path, description = "The user's name.")),
    responses((status = 204, description = "They are gone."))
)]
pub(super) async fn remove(
    State(app): State<App>,
    Admin(by): Admin,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.store.remove_person(&by, &name).await??;
    app.logouts.send_modify(|times| *times += 1);
    Ok(StatusCode::NO_CONTENT)
}
