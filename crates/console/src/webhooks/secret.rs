//! `GET /v1/webhooks/{id}/secret`: the signing secret, for who may manage the webhook. Each read is audited.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use fanfare_core::api_key::Scope;
use fanfare_core::seal::SealingKey;
use fanfare_core::webhook::Webhook;
use fanfare_http::Problem;
use http::{HeaderMap, header};
use serde::Serialize;

use crate::api::Api;
use crate::audit;

/// The answer. No `Debug`.
#[derive(Serialize)]
struct Shown {
    secret: String,
}

/// Shows a webhook's secret.
///
/// # Errors
/// 401, 403, 404, 500 when it cannot be opened, 503.
pub(crate) async fn secret(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let served = api.webhook(caller.project(), &id).await?;
    let id = served.webhook.id;
    let secret = open(&api.console.key, &served.webhook)?;
    // Written before the secret is shown: who has it is in the log.
    audit::line(&caller, audit::Act::SecretRead, id);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Shown { secret })).into_response())
}

/// Opens the secret that a webhook signs with.
///
/// # Errors
/// 500 when it does not open; the cause goes to the log.
pub(crate) fn open(key: &SealingKey, webhook: &Webhook) -> Result<String, Problem> {
    key.open(&webhook.secret, &Webhook::secret_context(webhook.id)).map_err(|error| {
        tracing::error!(webhook = %webhook.id, %error, "a webhook's secret cannot be opened");
        Problem::internal()
    })
}
