//! All routes. A resource is one file: parameters, handlers, views.

#![expect(
    unused_qualifications,
    reason = "what `utoipa::path` makes of `params` names types by their whole path"
)]

mod alerting;
pub(crate) mod alerts;
mod audit_log;
pub(crate) mod channels;
mod deliveries;
mod devices;
mod errors;
mod events;
mod export;
pub(crate) mod fleet;
mod health;
mod keys;
mod me;
mod outages;
mod parse;
mod pauses;
mod rules;
mod samples;
pub(crate) mod security;
mod server;
mod session;
pub(crate) mod status_page;
mod tokens;
pub(crate) mod usage;
mod users;

use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{any, get};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::{App, docs, live, openapi, page};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The resources below `/api/v1`. Path and method stand beside each handler, with what it takes and answers.
pub(crate) fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(session::show))
        .routes(routes!(session::set_up))
        .routes(routes!(session::log_in))
        .routes(routes!(session::log_out))
        .routes(routes!(devices::list, devices::add))
        .routes(routes!(devices::show, devices::change, devices::remove))
        .routes(routes!(devices::rotate_key))
        .routes(routes!(fleet::at))
        .routes(routes!(fleet::trends))
        .routes(routes!(outages::list))
        .routes(routes!(outages::uptime))
        .routes(routes!(samples::show))
        .routes(routes!(export::all_samples))
        .routes(routes!(events::of_device))
        .routes(routes!(usage::show))
        .routes(routes!(usage::summary))
        .routes(routes!(usage::prices))
        .routes(routes!(export::all_usage))
        .routes(routes!(errors::list))
        .routes(routes!(errors::show))
        .routes(routes!(errors::groups))
        .routes(routes!(errors::show_group, errors::change_group))
        .routes(routes!(export::all_errors))
        .routes(routes!(security::list))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::change))
        .routes(routes!(rules::list, rules::add))
        .routes(routes!(rules::change, rules::remove))
        .routes(routes!(rules::kinds))
        .routes(routes!(rules::dry_run))
        .routes(routes!(pauses::list, pauses::add))
        .routes(routes!(pauses::change, pauses::remove))
        .routes(routes!(alerting::show, alerting::change))
        .routes(routes!(channels::list, channels::add))
        .routes(routes!(channels::change, channels::remove))
        .routes(routes!(channels::kinds))
        .routes(routes!(channels::test))
        .routes(routes!(channels::test_new))
        .routes(routes!(deliveries::list))
        .routes(routes!(events::list))
        .routes(routes!(export::all_events))
        .routes(routes!(audit_log::list))
        .routes(routes!(export::all_deeds))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::change, users::remove))
        .routes(routes!(me::show))
        .routes(routes!(me::password))
        .routes(routes!(me::begin, me::confirm, me::remove))
        .routes(routes!(me::renew))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(tokens::revoke))
        .routes(routes!(keys::list, keys::add))
        .routes(routes!(keys::revoke))
        .routes(routes!(server::retention))
        .routes(routes!(server::backups, server::make_backup))
        .routes(routes!(server::attempts))
        .routes(routes!(status_page::show, status_page::change))
        .routes(routes!(status_page::public))
        .routes(routes!(openapi::show))
}

pub(crate) fn routes(app: App) -> Router {
    let v1 = Router::from(resources())
        .fallback(async || ApiError::no_such_path())
        .method_not_allowed_fallback(async || ApiError::wrong_method())
        .layer(axum::middleware::from_fn(server_timing));
    Router::new()
        .nest("/api/v1", v1)
        .route("/api/docs", get(docs::page))
        .route("/api/docs.css", get(docs::style))
        .route("/api", any(async || ApiError::no_such_path()))
        .route("/api/{*rest}", any(async || ApiError::no_such_path()))
        .route("/live", get(live::open))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .fallback(page::serve)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}

/// Tells how long the answer took to make, as browsers' tools and the benchmarks read it.
async fn server_timing(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let mut response = next.run(request).await;
    let took = format!("app;dur={:.2}", start.elapsed().as_secs_f64() * 1000.0);
    if let Ok(took) = took.parse() {
        response.headers_mut().insert("server-timing", took);
    }
    response
}
