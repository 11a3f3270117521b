//! The webhooks of the adapter: under `/whatsapp/webhooks` those of the whole project, those of a number among them, and under
//! `/whatsapp/phone_numbers/{phone_number_id}/webhooks` those of that number.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use fanfare_core::api_key::Scope;
use fanfare_core::event::EventType;
use fanfare_core::payload;
use fanfare_core::secret::Secret;
use fanfare_core::webhook::Webhook;
use fanfare_http::{Caller, Problem};
use fanfare_runtime::registry::ServedWebhook;
use http::{HeaderMap, StatusCode, header};

use super::fields::{self, Fields, Purpose};
use super::list::{self, WebhookPage};
use super::view::{Data, KapsoWebhook};
use crate::api::{Api, no_webhook};
use crate::audit;
use crate::input::{Given, Object, Query};
use crate::webhooks::fields as own_fields;
use crate::webhooks::fields::WebhookFields;
use crate::webhooks::rules::Surface;
use crate::webhooks::test::{self, Tested};
use crate::webhooks::{create, delete, rotate, secret, update};

/// `GET /whatsapp/webhooks`.
pub(crate) async fn list_all(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<WebhookPage>, Problem> {
    list(&api, &headers, None, query).await
}

/// `GET /whatsapp/phone_numbers/{phone_number_id}/webhooks`.
pub(crate) async fn list_of_number(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(number): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<WebhookPage>, Problem> {
    list(&api, &headers, Some(&number), query).await
}

/// `POST /whatsapp/webhooks`.
pub(crate) async fn create_any(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    create_one(&api, &headers, None, body).await
}

/// `POST /whatsapp/phone_numbers/{phone_number_id}/webhooks`.
pub(crate) async fn create_of_number(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(number): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    create_one(&api, &headers, Some(&number), body).await
}

/// `GET /whatsapp/webhooks/{id}`.
pub(crate) async fn get_any(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Data<KapsoWebhook>>, Problem> {
    get(&api, &headers, None, &id).await
}

/// `GET /whatsapp/phone_numbers/{phone_number_id}/webhooks/{id}`.
pub(crate) async fn get_of_number(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path((number, id)): Path<(String, String)>,
) -> Result<Json<Data<KapsoWebhook>>, Problem> {
    get(&api, &headers, Some(&number), &id).await
}

/// `PATCH /whatsapp/webhooks/{id}`.
pub(crate) async fn patch_any(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Data<KapsoWebhook>>, Problem> {
    patch(&api, &headers, None, &id, body).await
}

/// `PATCH /whatsapp/phone_numbers/{phone_number_id}/webhooks/{id}`.
pub(crate) async fn patch_of_number(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path((number, id)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Data<KapsoWebhook>>, Problem> {
    patch(&api, &headers, Some(&number), &id, body).await
}

/// `DELETE /whatsapp/webhooks/{id}`.
pub(crate) async fn delete_any(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    remove(&api, &headers, None, &id).await
}

/// `DELETE /whatsapp/phone_numbers/{phone_number_id}/webhooks/{id}`.
pub(crate) async fn delete_of_number(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path((number, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    remove(&api, &headers, Some(&number), &id).await
}

/// `POST /whatsapp/webhooks/{id}/test`: the type stands in the body or in the query.
///
/// # Errors
/// As those of a test under `/v1`.
pub(crate) async fn test(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Json<Tested>, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let served = find(&api, &caller, None, &id).await?;
    let mut query = Query::read(query.as_deref(), &["event_type"]);
    let parse = |text: &str| EventType::new(text).map_err(|_| format!("must be {}", EventType::ALLOWED));
    let in_query = query.one("event_type", parse);
    query.refuse()?;
    let in_body = test::read(&Object::read_optional(&headers, body, api.console.config.max_body_bytes).await?)?;
    let asked = in_body.or(in_query).map(|asked| payload::type_named_in_v1(asked.as_str()).unwrap_or(asked));
    test::run(&api, &caller, &served, asked).await.map(Json)
}

async fn list(
    api: &Api,
    headers: &HeaderMap,
    number: Option<&str>,
    query: Option<String>,
) -> Result<Json<WebhookPage>, Problem> {
    let caller = api.caller(headers, Scope::Read).await?;
    let shown = |served: &ServedWebhook| shown(api, &caller, &served.webhook);
    list::page(api, caller.project(), number, query.as_deref(), shown).await.map(Json)
}

async fn create_one(api: &Api, headers: &HeaderMap, number: Option<&str>, body: Body) -> Result<Response, Problem> {
    let caller = api.caller(headers, Scope::Manage).await?;
    let limit = api.console.config.max_body_bytes;
    let Fields { object, secret: _ } = fields::read(headers, body, limit, Purpose::Create, number).await?;
    let made = create::made(api, &caller, &object, Surface::Kapso).await?;
    let data = KapsoWebhook::new(&made.webhook, None, Some(made.secret.expose().to_owned()));
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, no_store, Json(Data { data })).into_response())
}

async fn get(
    api: &Api,
    headers: &HeaderMap,
    number: Option<&str>,
    id: &str,
) -> Result<Json<Data<KapsoWebhook>>, Problem> {
    let caller = api.caller(headers, Scope::Read).await?;
    let served = find(api, &caller, number, id).await?;
    Ok(Json(Data { data: shown(api, &caller, &served.webhook)? }))
}

/// Changes a webhook, and its secret, in this order: 1. the fields; 2. the secret, as a rotation does it, so that the one
/// before signs beside it for a while. A crash between the two leaves the secret as it was; asking again completes it.
async fn patch(
    api: &Api,
    headers: &HeaderMap,
    number: Option<&str>,
    id: &str,
    body: Body,
) -> Result<Json<Data<KapsoWebhook>>, Problem> {
    let caller = api.caller(headers, Scope::Manage).await?;
    let served = find(api, &caller, number, id).await?;
    let (id, kind) = (served.webhook.id, served.webhook.kind);
    let limit = api.console.config.max_body_bytes;
    let Fields { object, secret } = fields::read(headers, body, limit, Purpose::Update(kind), number).await?;
    let project = caller.project();
    let purpose = own_fields::Purpose::Update(kind);
    let changes = WebhookFields::read(&object, purpose, &api.policy(project))?;
    let new: Option<Secret> = secret
        .map(|value| own_fields::secret(&value))
        .transpose()
        .map_err(|message| Problem::invalid("$.secret", message))?;
    update::change(api, &caller, id, &changes, Surface::Kapso).await?;
    if let Some(new) = new {
        rotate::change(api, &caller, id, &new, &Given::Absent).await?;
    }
    api.take_up().await;
    let served = find(api, &caller, None, &id.to_string()).await?;
    Ok(Json(Data { data: shown(api, &caller, &served.webhook)? }))
}

async fn remove(api: &Api, headers: &HeaderMap, number: Option<&str>, id: &str) -> Result<StatusCode, Problem> {
    let caller = api.caller(headers, Scope::Manage).await?;
    let id = find(api, &caller, number, id).await?.webhook.id;
    delete::run(api, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The project's webhook of this id, which is of the number if one is named.
async fn find(api: &Api, caller: &Caller, number: Option<&str>, id: &str) -> Result<Arc<ServedWebhook>, Problem> {
    let served = api.webhook(caller.project(), id).await?;
    let source = served.webhook.source.as_ref().map(fanfare_core::event::Source::as_str);
    if number.is_some() && source != number {
        return Err(no_webhook());
    }
    Ok(served)
}

/// A webhook as reads show it. The secret is there only where the project says so, for who may read it under `/v1` too; each
/// time is audited.
fn shown(api: &Api, caller: &Caller, webhook: &Webhook) -> Result<KapsoWebhook, Problem> {
    let registry = &api.console.registry;
    let in_reads = registry.project(caller.project()).is_some_and(|served| served.project.secrets_in_reads);
    let secret = if in_reads && caller.key.scopes.contains(&Scope::Manage) {
        audit::line(caller, audit::Act::SecretRead, webhook.id);
        Some(secret::open(&api.console.key, webhook)?)
    } else {
        None
    };
    let health = registry.health(webhook.id);
    Ok(KapsoWebhook::new(webhook, health.as_ref().map(|served| &served.health), secret))
}
