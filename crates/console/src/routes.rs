//! Which path answers what.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::api::Api;
use crate::webhooks::{activate, create, delete, read, rotate, secret, test, update};
use crate::{deliveries, event_types, events, filters, retry};

/// The routes, without fallbacks: the router is merged with others, and what none of them knows is answered by the whole.
pub(crate) fn routes(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/webhooks", get(read::list).post(create::create))
        .route("/v1/webhooks/{id}", get(read::one).patch(update::patch).delete(delete::delete))
        .route("/v1/webhooks/{id}/test", post(test::test))
        .route("/v1/webhooks/{id}/activate", post(activate::activate))
        .route("/v1/webhooks/{id}/secret", get(secret::secret))
        .route("/v1/webhooks/{id}/rotate-secret", post(rotate::rotate))
        .route("/v1/filters/preview", post(filters::preview))
        .route("/v1/event-types", get(event_types::list))
        .route("/v1/events/{id}", get(events::one))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}", get(deliveries::one))
        .route("/v1/deliveries/{id}/retry", post(retry::retry))
        .with_state(api)
}
