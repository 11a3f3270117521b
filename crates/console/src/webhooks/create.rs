//! `POST /v1/webhooks`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::ports::config_store::{Changed, Expected, Group, Record};
use fanfare_core::seal::SealingKey;
use fanfare_core::secret::Secret;
use fanfare_core::webhook::Webhook;
use fanfare_http::{Caller, Problem};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;

use super::fields::{Purpose, WebhookFields};
use super::rules::Surface;
use super::view::WebhookView;
use super::{headers, rules, target, warnings};
use crate::api::{Api, contended};
use crate::audit::{self, Act, Actor};
use crate::input::{Given, Object};
use crate::projects;

/// The answer: the one that shows the secret. No `Debug`.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    webhook: WebhookView,
    secret: String,
    warnings: Vec<String>,
}

/// Makes a webhook. From the answer on, every event accepted is matched against it.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 409 for a source and URL that are taken or too many webhooks, 413, 422 for fields that
/// do not go together, 503.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    request_headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = api.caller(&request_headers, Scope::Manage).await?;
    let object = Object::read(&request_headers, body, api.console.config.max_body_bytes).await?;
    let made = made(&api, &caller, &object, Surface::Own).await?;
    let location = format!("/v1/webhooks/{}", made.webhook.id);
    let created = Created {
        webhook: WebhookView::new(&made.webhook, None, api.clock.now()),
        secret: made.secret.expose().to_owned(),
        warnings: made.warnings,
    };
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(created)).into_response())
}

/// A webhook that was made. No `Debug`: it holds the secret.
pub(crate) struct Made {
    /// The webhook.
    pub(crate) webhook: Webhook,
    /// Its secret.
    pub(crate) secret: Secret,
    /// What is allowed but probably not meant.
    pub(crate) warnings: Vec<String>,
}

/// Makes a webhook of the fields that a request gives.
///
/// # Errors
/// As those of [`create`], but for the caller's.
pub(crate) async fn made(api: &Api, caller: &Caller, object: &Object, surface: Surface) -> Result<Made, Problem> {
    let project = caller.project();
    // The networks that the operator allows may just have been changed.
    api.fresh(Group::Config).await?;
    let fields = WebhookFields::read(object, Purpose::Create, &api.policy(project))?;
    let mut made = make(&api.console.key, api.new_webhook_id(), project, &fields, api.clock.now())?;
    rules::check(&made.webhook, surface)?;
    // Looked up before the lock is taken: a slow resolver holds nobody else up.
    made.warnings.extend(warnings::about_host(api, &made.webhook.url).await);
    made.warnings.extend(warnings::about_secret(&made.secret));

    store(api, &made.webhook, surface).await?;
    let after = WebhookView::new(&made.webhook, None, api.clock.now());
    audit::change(&Actor::from(caller), Act::Created, project, &made.webhook.id, None, Some(&after));
    Ok(made)
}

/// Stores it if its target is free, under the project's lock.
async fn store(api: &Api, webhook: &Webhook, surface: Surface) -> Result<(), Problem> {
    let _held = api.targets.hold(&webhook.project).await;
    target::check(api, webhook, surface).await?;
    target::check_meta(api, webhook).await?;
    // The project may just have been deleted, as the lock's last holder did it.
    projects::stored::exists(api, &webhook.project)?;
    let most = api.console.config.max_webhooks_per_project;
    if api.console.registry.webhook_count(&webhook.project) >= most {
        let detail = format!("a project has at most {most} webhooks; delete one that is not needed any more");
        return Err(Problem::new(StatusCode::CONFLICT, "too-many-webhooks", "There are too many webhooks", detail));
    }
    let put = api.console.store.put(Record::Webhook(webhook.clone()), Expected::Absent).await;
    match put.map_err(|error| Problem::unavailable(&error))? {
        Changed::Done(_) => Ok(()),
        Changed::Conflict => Err(contended("webhook")),
    }
}

fn make(
    key: &SealingKey,
    id: WebhookId,
    project: &ProjectId,
    fields: &WebhookFields,
    now: Timestamp,
) -> Result<Made, Problem> {
    let mut rng = rand::rng();
    let Given::Value(url) = &fields.url else {
        return Err(Problem::invalid("$.url", "is required"));
    };
    let secret = match &fields.secret {
        Given::Value(own) => own.clone(),
        Given::Absent | Given::Null => Secret::generate(&mut rng),
    };
    let headers = match &fields.headers {
        Given::Value(given) => headers::seal(given, &[], id, key, &mut rng)?,
        Given::Absent | Given::Null => Vec::new(),
    };
    let active = fields.active.or(&true);
    let webhook = Webhook {
        id,
        project: project.clone(),
        url: url.clone(),
        kind: fields.kind.merged(&Default::default()),
        events: fields.events.merged(&Vec::new()),
        source: fields.source.merged_option(&None),
        filter: fields.filter.merged_option(&None),
        description: fields.description.merged_option(&None),
        active,
        inactive_since: (!active).then_some(now),
        headers,
        payload_version: fields.payload_version.merged(&Default::default()),
        retry_schedule: fields.retry_schedule.merged(&Default::default()),
        timeout: fields.timeout.merged(&Default::default()),
        rate_limit: fields.rate_limit.merged_option(&None),
        inactivity_minutes: fields.inactivity_minutes.merged_option(&None),
        secret: key.seal(secret.expose(), &Webhook::secret_context(id), &mut rng),
        secret_last4: secret.last4().to_owned(),
        previous_secret: None,
        created_at: now,
        updated_at: now,
    };
    Ok(Made { webhook, secret, warnings: Vec::new() })
}
