//! All routes. A resource is one file: parameters, handlers, views.

mod devices;
mod errors;
mod health;
mod samples;
mod session;
mod usage;

use axum::Router;
use axum::routing::{any, get, post};

use crate::error::ApiError;
use crate::{App, live, page};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

pub(crate) fn routes(app: App) -> Router {
    let v1 = Router::new()
        .route("/session", get(session::show))
        .route("/setup", post(session::set_up))
        .route("/login", post(session::log_in))
        .route("/logout", post(session::log_out))
        .route("/devices", get(devices::list).post(devices::add))
        .route("/devices/{id}", get(devices::show).patch(devices::change).delete(devices::remove))
        .route("/devices/{id}/rotate-key", post(devices::rotate_key))
        .route("/devices/{id}/samples", get(samples::show))
        .route("/devices/{id}/events", get(errors::events))
        .route("/usage", get(usage::show))
        .route("/errors", get(errors::list))
        .fallback(async || ApiError::no_such_path())
        .method_not_allowed_fallback(async || ApiError::wrong_method());
    Router::new()
        .nest("/api/v1", v1)
        .route("/api", any(async || ApiError::no_such_path()))
        .route("/api/{*rest}", any(async || ApiError::no_such_path()))
        .route("/live", get(live::open))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .fallback(page::serve)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}
