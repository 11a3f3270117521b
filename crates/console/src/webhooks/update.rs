//! `PATCH /v1/webhooks/{id}`: JSON merge patch. Absent fields stay, null resets what has a default, `headers` replaces the
//! whole set (a value given as the mask keeps the one that is there).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::config_store::{Changed, Expected, Record};
use fanfare_core::seal::SealingKey;
use fanfare_core::webhook::Webhook;
use fanfare_http::{Caller, Problem};
use http::HeaderMap;
use serde::Serialize;

use super::fields::{Purpose, WebhookFields};
use super::rules::Surface;
use super::view::WebhookView;
use super::{activate, headers, read, rules, stored, target, warnings};
use crate::api::{Api, contended};
use crate::audit::{self, Act, Actor};
use crate::input::{Given, Object};
use crate::operational;

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Updated {
    #[serde(flatten)]
    webhook: WebhookView,
    warnings: Vec<String>,
}

/// Changes a webhook. From the answer on, every event accepted is matched against what it is now.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 404, 409 for a source and URL that are taken, 413, 422 for fields
/// that do not go together, 503.
pub(crate) async fn patch(
    State(api): State<Arc<Api>>,
    request_headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Updated>, Problem> {
    let caller = api.caller(&request_headers, Scope::Manage).await?;
    let project = caller.project();
    let served = api.webhook(project, &id).await?;
    let (id, kind) = (served.webhook.id, served.webhook.kind);
    let object = Object::read(&request_headers, body, api.console.config.max_body_bytes).await?;
    let fields = WebhookFields::read(&object, Purpose::Update(kind), &api.policy(project))?;
    let warnings = match &fields.url {
        Given::Value(url) => warnings::about_host(&api, url).await.into_iter().collect(),
        Given::Absent | Given::Null => Vec::new(),
    };
    let webhook = change(&api, &caller, id, &fields, Surface::Own).await?;
    Ok(Json(Updated { webhook, warnings }))
}

/// Changes a webhook's record by compare-and-set, audits that, and shows it as it is then.
///
/// Where the change activates it, the order is: 1. the gate goes to releasing, so that what stands behind it is not
/// overtaken; 2. the record says active; 3. the journal is told. A crash after 1 leaves the webhook inactive, which holds
/// everything as before; after 2, active, and only the journal is not told of the gate until its owner lowers it. Asking
/// again completes either. Where it deactivates it, the project is told after the record says so.
///
/// # Errors
/// 400, 404, 409, 422, 503.
pub(crate) async fn change(
    api: &Api,
    caller: &Caller,
    id: WebhookId,
    fields: &WebhookFields,
    surface: Surface,
) -> Result<WebhookView, Problem> {
    let (store, project) = (&*api.console.store, caller.project());
    let activates = matches!(fields.active, Given::Value(true));
    let _held = api.targets.hold(project).await;
    for _ in 0..stored::TRIES {
        let (current, revision) = stored::webhook(store, project, id).await?;
        let changed = merge(&api.console.key, &current, fields, api.clock.now())?;
        rules::check(&changed, surface)?;
        if (&changed.url, &changed.source) != (&current.url, &current.source) {
            target::check(api, &changed, surface).await?;
            target::check_meta(api, &changed).await?;
        }
        let before = read::known(api, &current);
        if activates {
            activate::release(api, &current, fields.release_rate).await?;
        }
        if changed != current {
            let put = store.put(Record::Webhook(changed.clone()), Expected::At(revision)).await;
            match put.map_err(|error| Problem::unavailable(&error))? {
                Changed::Done(_) => {}
                Changed::Conflict => continue,
            }
        }
        if activates {
            activate::journal(api, id).await?;
        }
        let health = stored::health(store, id).await.map_err(|error| Problem::unavailable(&error))?;
        if matches!(fields.active, Given::Value(false)) {
            operational::tell_paused(api, &changed, health.as_ref().map(|(health, _)| health)).await;
        }
        let after = WebhookView::new(&changed, health.as_ref().map(|(health, _)| health), api.clock.now());
        audit::change(&Actor::from(caller), Act::Updated, project, &id, Some(&before), Some(&after));
        return Ok(after);
    }
    Err(contended("webhook"))
}

/// The webhook with the fields that are given; the same as before if they say nothing new.
fn merge(key: &SealingKey, current: &Webhook, fields: &WebhookFields, now: Timestamp) -> Result<Webhook, Problem> {
    let headers = match &fields.headers {
        Given::Absent => current.headers.clone(),
        Given::Null => Vec::new(),
        Given::Value(given) => headers::seal(given, &current.headers, current.id, key, &mut rand::rng())?,
    };
    let active = fields.active.or(&current.active);
    let mut changed = Webhook {
        id: current.id,
        project: current.project.clone(),
        url: fields.url.or(&current.url),
        kind: current.kind,
        events: fields.events.or(&current.events),
        source: fields.source.merged_option(&current.source),
        filter: fields.filter.merged_option(&current.filter),
        description: fields.description.merged_option(&current.description),
        active,
        inactive_since: if active { None } else { current.inactive_since.or(Some(now)) },
        headers,
        payload_version: fields.payload_version.merged(&current.payload_version),
        retry_schedule: fields.retry_schedule.merged(&current.retry_schedule),
        timeout: fields.timeout.merged(&current.timeout),
        rate_limit: fields.rate_limit.merged_option(&current.rate_limit),
        inactivity_minutes: fields.inactivity_minutes.merged_option(&current.inactivity_minutes),
        secret: current.secret.clone(),
        secret_last4: current.secret_last4.clone(),
        previous_secret: current.previous_secret.clone(),
        created_at: current.created_at,
        updated_at: current.updated_at,
    };
    if changed != *current {
        changed.drop_previous_secret(now);
        changed.updated_at = now;
    }
    Ok(changed)
}
