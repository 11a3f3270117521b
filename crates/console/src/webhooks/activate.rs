//! `POST /v1/webhooks/{id}/activate`, and what activating does to the gate: the same as `PATCH` with `active: true`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::health::{Gate, Health};
use fanfare_core::ids::WebhookId;
use fanfare_core::journal::{HealthChanged, JournalEntry};
use fanfare_core::ports::config_store::{Changed, Expected, Record};
use fanfare_core::rate_limit::RateLimit;
use fanfare_core::webhook::Webhook;
use fanfare_http::Problem;
use http::HeaderMap;
use serde_json::Value;

use super::fields::WebhookFields;
use super::rules::Surface;
use super::view::WebhookView;
use super::{stored, update};
use crate::api::{Api, contended};
use crate::input::body::{member, take};
use crate::input::{Given, Object, Wrong};
use crate::operational;

/// Activates a webhook, whoever or whatever paused it; one that is active already stays as it is. What waits is delivered in
/// order, at most `release_rate` a second if the request says so.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 404, 413, 503.
pub(crate) async fn activate(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<WebhookView>, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let id = api.webhook(caller.project(), &id).await?.webhook.id;
    let mut fields = WebhookFields::none();
    fields.active = Given::Value(true);
    fields.release_rate = read(&Object::read_optional(&headers, body, api.console.config.max_body_bytes).await?)?;
    Ok(Json(update::change(&api, &caller, id, &fields, Surface::Own).await?))
}

fn read(object: &Object) -> Result<Option<u32>, Problem> {
    let (mut rate, mut wrong) = (Given::Absent, Wrong::new());
    for (name, value) in object.fields() {
        let at = member("$", name);
        match name {
            "release_rate" => rate = take(value, &at, &mut wrong, release_rate),
            name => wrong.unknown(at, name, &["release_rate"]),
        }
    }
    wrong.refuse()?;
    Ok(rate.merged_option(&None))
}

fn release_rate(value: &Value) -> Result<u32, String> {
    let rate = value.as_u64().and_then(|rate| u32::try_from(rate).ok());
    let rate = rate.filter(|rate| (1..=RateLimit::MOST_COUNT).contains(rate));
    rate.ok_or_else(|| format!("must be a whole number of deliveries a second from 1 to {}", RateLimit::MOST_COUNT))
}

/// Makes the gate a releasing one, if the webhook is paused: by its gate, or by being inactive without one.
///
/// Its owner then works off what stands behind it and lowers it; until then new deliveries go behind it too. Without this,
/// they would be ready at once and overtake those that wait. How long it has been failing is counted anew.
///
/// # Errors
/// 503 when the store does not answer, or others change the record all the time.
pub(crate) async fn release(api: &Api, webhook: &Webhook, rate: Option<u32>) -> Result<(), Problem> {
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
        health.gate = Some(Gate::Releasing { since: api.clock.now(), rate });
        (health.failing_since, health.recovered) = (None, None);
        match store.put(Record::Health(health), expected).await.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => return Ok(()),
            Changed::Conflict => {}
        }
    }
    Err(contended("webhook's health"))
}

/// Tells the journal of a gate that is releasing, and the project; said again where the first time may have been cut off.
///
/// # Errors
/// 503 when the store does not answer.
pub(crate) async fn journal(api: &Api, webhook: WebhookId) -> Result<(), Problem> {
    let store = &*api.console.store;
    let found = stored::health(store, webhook).await.map_err(|error| Problem::unavailable(&error))?;
    let Some((health, _)) = found.filter(|(health, _)| matches!(health.gate, Some(Gate::Releasing { .. }))) else {
        return Ok(());
    };
    operational::tell_activated(api, &health).await;
    let entry = JournalEntry::HealthChanged(HealthChanged { health, at: api.clock.now() });
    api.console.journal.append(vec![entry]).await.map_err(|error| Problem::unavailable(&error))
}
