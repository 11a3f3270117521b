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
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;

use super::fields::{Purpose, WebhookFields};
use super::view::WebhookView;
use super::{headers, rules, target, warnings};
use crate::api::{Api, contended};
use crate::audit;
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
    let project = caller.project();
    let object = Object::read(&request_headers, body, api.console.config.max_body_bytes).await?;
    // The networks that the operator allows may just have been changed.
    api.fresh(Group::Config).await?;
    let fields = WebhookFields::read(&object, Purpose::Create, &api.policy(project))?;
    let made = make(&api.console.key, api.new_webhook_id(), project, &fields, api.clock.now())?;
    rules::check(&made.webhook)?;
    // Looked up before the lock is taken: a slow resolver holds nobody else up.
    let mut warnings: Vec<String> = warnings::about_host(&api, &made.webhook.url).await.into_iter().collect();
    warnings.extend(warnings::about_secret(&made.secret));

    store(&api, &made.webhook).await?;
    audit::line(&caller, audit::Act::Created, made.webhook.id);
    let location = format!("/v1/webhooks/{}", made.webhook.id);
    let created = Created {
        webhook: WebhookView::new(&made.webhook, None, api.clock.now()),
        secret: made.secret.expose().to_owned(),
        warnings,
    };
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(created)).into_response())
}

/// Stores it if its target is free, under the project's lock.
async fn store(api: &Api, webhook: &Webhook) -> Result<(), Problem> {
    let _held = api.targets.hold(&webhook.project).await;
    target::check(api, webhook).await?;
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

struct Made {
    webhook: Webhook,
    secret: Secret,
}

fn make(
    key: &SealingKey,
    id: WebhookId,
    project: &ProjectId,
    fields: &WebhookFields,
    now: Timestamp,
) -> Result<Made, Problem> {
    let mut rng = rand::rng();
    let (Given::Value(url), Given::Value(events)) = (&fields.url, &fields.events) else {
        return Err(Problem::invalid("$", "`url` and `events` are required"));
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
        events: events.clone(),
        source: fields.source.merged_option(&None),
        filter: fields.filter.merged_option(&None),
        description: fields.description.merged_option(&None),
        active,
        inactive_since: (!active).then_some(now),
        headers,
        payload_version: fields.payload_version.merged(&Default::default()),
        retry_schedule: fields.retry_schedule.merged(&Default::default()),
        timeout: fields.timeout.merged(&Default::default()),
        secret: key.seal(secret.expose(), &Webhook::secret_context(id), &mut rng),
        secret_last4: secret.last4().to_owned(),
        previous_secret: None,
        created_at: now,
        updated_at: now,
    };
    Ok(Made { webhook, secret })
}
