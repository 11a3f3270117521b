//! `GET /v1/deliveries` and `GET /v1/deliveries/{id}`: the delivery log, from the read model.

pub(crate) mod attempt_view;
pub(crate) mod filter;
pub(crate) mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use fanfare_core::api_key::Scope;
use fanfare_core::ids::DeliveryId;
use fanfare_http::Problem;
use http::HeaderMap;
use serde::Serialize;

use crate::api::{Api, history_failed};
use crate::paging::{AfterDelivery, Cursor as _, Page};
use attempt_view::AttemptView;
use view::DeliveryView;

/// A delivery with every attempt.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryWithAttempts {
    #[serde(flatten)]
    delivery: DeliveryView,
    attempts: Vec<AttemptView>,
}

/// The project's deliveries, most recent first.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 503.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<DeliveryView>>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let filter = filter::read(query.as_deref())?;
    let page = api.console.history.deliveries(caller.project(), filter).await;
    let page = page.map_err(|error| history_failed(&error))?;
    let next = page.next.map(|next| AfterDelivery(next).encode());
    Ok(Json(Page { data: page.rows.into_iter().map(DeliveryView::from).collect(), next }))
}

/// One delivery.
///
/// # Errors
/// 401, 403, 404, 503.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<DeliveryWithAttempts>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let found = api.console.history.delivery(caller.project(), delivery_id(&id)?).await;
    let (row, attempts) = found.map_err(|error| history_failed(&error))?.ok_or_else(no_delivery)?;
    let attempts = attempts.into_iter().map(AttemptView::from).collect();
    Ok(Json(DeliveryWithAttempts { delivery: row.into(), attempts }))
}

/// Reads a delivery's id; what is not one names no delivery.
///
/// # Errors
/// 404.
pub(crate) fn delivery_id(text: &str) -> Result<DeliveryId, Problem> {
    text.parse().map_err(|_| no_delivery())
}

/// 404 for a delivery, another project's included.
pub(crate) fn no_delivery() -> Problem {
    Problem::not_found("delivery")
}
