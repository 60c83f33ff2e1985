use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use store::{Delivery, DeliveryFilter, DeliveryState, Page, Said};
use utoipa::IntoParams;

use super::parse;
use crate::App;
use crate::alerting_views::{DeliveryAttemptView, DeliveryListView, DeliveryView};
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::views::rfc3339;

/// Deliveries of one answer at most: each has its attempts.
const MAX_DELIVERIES: u32 = 200;
/// Why something can be told.
const OCCASIONS: [&str; 7] = ["fired", "worse", "changed", "reminder", "resolved", "digest", "test"];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only to this channel, by its id.
    channel: Option<String>,
    /// Only in these states, with commas between: `waiting,held,sent,failed,skipped`.
    state: Option<String>,
    /// Only about this alert, by its number.
    alert: Option<i64>,
    /// Only of these occasions, with commas between: `fired,worse,changed,reminder,resolved,digest,test`.
    occasion: Option<String>,
    /// Deliveries at most, up to 200; without it 100.
    limit: Option<u32>,
    /// `next` of the answer before: what comes after it.
    cursor: Option<String>,
}

/// What is shown of what was stored to be told.
#[derive(Debug, Default, Deserialize)]
struct Told {
    title: Option<Said>,
    device: Option<ToldDevice>,
}

#[derive(Debug, Deserialize)]
struct ToldDevice {
    name: String,
}

fn view(delivery: Delivery, names: &HashMap<String, String>) -> DeliveryView {
    let told: Told = serde_json::from_str(&delivery.body).unwrap_or_default();
    DeliveryView {
        no: delivery.no,
        id: delivery.id,
        channel_name: names.get(&delivery.channel).cloned(),
        channel: delivery.channel,
        alert: delivery.alert,
        occasion: delivery.occasion,
        title: told.title.map(Into::into),
        device_name: told.device.map(|device| device.name),
        state: delivery.state.as_str(),
        why: delivery.why,
        made_at: rfc3339(delivery.made_at),
        due_at: rfc3339(delivery.due_at),
        done_at: delivery.done_at.map(rfc3339),
        attempts: delivery
            .attempts
            .into_iter()
            .map(|attempt| DeliveryAttemptView {
                at: rfc3339(attempt.at),
                took_ms: attempt.took_ms,
                ok: attempt.ok,
                answer: attempt.answer,
            })
            .collect(),
    }
}

/// What was told to whom
///
/// Newest first, each with its attempts and what the other side said.
#[utoipa::path(
    get,
    path = "/deliveries",
    operation_id = "list_deliveries",
    tag = "channels",
    params(Params),
    responses((status = 200, description = "The deliveries.", body = DeliveryListView))
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Viewer,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<DeliveryListView>, ApiError> {
    let Query(params) = params?;
    let limit = parse::limit(params.limit, MAX_DELIVERIES)?;
    let filter = DeliveryFilter {
        channel: params.channel,
        states: parse::words("state", params.state.as_deref(), &DeliveryState::ALL, DeliveryState::as_str)?,
        alert: params.alert,
        occasions: parse::words("occasion", params.occasion.as_deref(), &OCCASIONS, |word| word)?,
    };
    let after = parse::place('d', params.cursor.as_deref())?;
    let rows = app.store.deliveries(&filter, Page { after, limit: limit + 1 }).await?;
    let (rows, next) = parse::page(rows, limit, |row: &Delivery| parse::cursor('d', row.place()));
    let channels = app.store.channels().await?;
    let names = channels.into_iter().map(|channel| (channel.id, channel.name)).collect();
    Ok(Json(DeliveryListView { items: rows.into_iter().map(|row| view(row, &names)).collect(), next }))
}
