//! `POST /v1/webhooks/{id}/activate`, and what activating does to the gate: the same as `PATCH` with `active: true`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::health::{Gate, Health};
use fanfare_core::ids::WebhookId;
use fanfare_core::journal::{HealthChanged, JournalEntry};
use fanfare_core::ports::config_store::{Changed, Expected, Record};
use fanfare_core::webhook::Webhook;
use fanfare_http::Problem;
use http::HeaderMap;

use super::fields::WebhookFields;
use super::rules::Surface;
use super::view::WebhookView;
use super::{stored, update};
use crate::api::{Api, contended};
use crate::input::Given;

/// Activates a webhook, whoever or whatever paused it; one that is active already stays as it is.
///
/// # Errors
/// 401, 403, 404, 503.
pub(crate) async fn activate(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<WebhookView>, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let id = api.webhook(caller.project(), &id).await?.webhook.id;
    let mut fields = WebhookFields::none();
    fields.active = Given::Value(true);
    Ok(Json(update::change(&api, &caller, id, &fields, Surface::Own).await?))
}

/// Makes the gate a releasing one, if the webhook is paused: by its gate, or by being inactive without one.
///
/// Its owner then works off what stands behind it and lowers it; until then new deliveries go behind it too. Without this,
/// they would be ready at once and overtake those that wait. How long it has been failing is counted anew.
///
/// # Errors
/// 503 when the store does not answer, or others change the record all the time.
pub(crate) async fn release(api: &Api, webhook: &Webhook) -> Result<(), Problem> {
    let store = &*api.console.store;
    for _ in 0..stored::TRIES {
        let found = stored::health(store, webhook.id).await.map_err(|error| Problem::unavailable(&error))?;
        let (mut health, expected) = match found {
            Some((health, revision)) => (health, Expected::At(revision)),
            None => (Health::new(webhook.id, webhook.project.clone()), Expected::Absent),
        };
        match health.gate {
            Some(Gate::Releasing { .. }) => return Ok(()),
            Some(Gate::Congested { .. } | Gate::BreakerOpen { .. }) | None if webhook.active => return Ok(()),
            Some(Gate::Paused { .. } | Gate::Congested { .. } | Gate::BreakerOpen { .. }) | None => {}
        }
        health.gate = Some(Gate::Releasing { since: api.clock.now(), rate: None });
        health.failing_since = None;
        match store.put(Record::Health(health), expected).await.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => return Ok(()),
            Changed::Conflict => {}
        }
    }
    Err(contended("webhook's health"))
}

/// Tells the journal of a gate that is releasing; said again where the first time may have been cut off.
///
/// # Errors
/// 503 when the store does not answer.
pub(crate) async fn journal(api: &Api, webhook: WebhookId) -> Result<(), Problem> {
    let store = &*api.console.store;
    let found = stored::health(store, webhook).await.map_err(|error| Problem::unavailable(&error))?;
    let Some((health, _)) = found.filter(|(health, _)| matches!(health.gate, Some(Gate::Releasing { .. }))) else {
        return Ok(());
    };
    let entry = JournalEntry::HealthChanged(HealthChanged { health, at: api.clock.now() });
    api.console.journal.append(vec![entry]).await.map_err(|error| Problem::unavailable(&error))
}
