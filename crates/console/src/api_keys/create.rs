//! `POST /v1/api-keys`: the one answer that shows a key.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use fanfare_core::api_key::{ApiKey, KeyHash, KeyText};
use fanfare_core::ids::{ApiKeyId, ProjectId};
use fanfare_core::ports::config_store::{Changed, Expected, Group, Record};
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;

use super::fields::KeyFields;
use super::view::ApiKeyView;
use crate::api::{Api, contended};
use crate::audit::{self, Act};
use crate::input::{Object, Query};
use crate::projects;

/// The answer. No `Debug`.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    key: ApiKeyView,
    #[serde(rename = "key")]
    text: String,
}

/// Makes a key. It may have any scope: who may manage a project may do all that its keys may.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 404 for a project that is not there, 409 for too many keys, 413, 503.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let (actor, project) = api.key_manager(&headers, Query::read(query.as_deref(), &["project"])).await?;
    let object = Object::read(&headers, body, api.console.config.max_body_bytes).await?;
    let (name, scopes) = KeyFields::read(&object)?.required()?;
    let text = KeyText::generate(&mut rand::rng());
    let hash = KeyHash::of(text.expose());
    let key = ApiKey { id: ApiKeyId(api.new_ulid()), project, name, hash, scopes, created_at: api.clock.now() };
    store(&api, &key.project, &key).await?;
    let view = ApiKeyView::new(&key, None);
    audit::change(&actor, Act::KeyCreated, &key.project, &key.id, None, Some(&view));
    let location = format!("/v1/api-keys/{}", key.id);
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    let created = Created { key: view, text: text.expose().to_owned() };
    Ok((StatusCode::CREATED, headers, Json(created)).into_response())
}

/// Stores it if the project is there, under the project's lock: a project being deleted gets no key that outlives it.
async fn store(api: &Api, project: &ProjectId, key: &ApiKey) -> Result<(), Problem> {
    let _held = api.targets.hold(project).await;
    api.fresh(Group::Config).await?;
    projects::stored::exists(api, project)?;
    let most = api.console.config.max_api_keys_per_project;
    if api.console.registry.api_key_count(project) >= most {
        let detail = format!("a project has at most {most} API keys; delete one that is not needed any more");
        return Err(Problem::new(StatusCode::CONFLICT, "too-many-api-keys", "There are too many API keys", detail));
    }
    let put = api.console.store.put(Record::ApiKey(key.clone()), Expected::Absent).await;
    match put.map_err(|error| Problem::unavailable(&error))? {
        Changed::Done(_) => Ok(()),
        Changed::Conflict => Err(contended("API key")),
    }
}
