//! `PATCH /v1/api-keys/{id}`: another name, other scopes. The key's text stays what it is.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use fanfare_core::api_key::{ApiKey, Scope};
use fanfare_core::ports::config_store::{Changed, Expected, Record};
use fanfare_http::Problem;
use http::HeaderMap;

use super::fields::KeyFields;
use super::stored::{self, key_id};
use super::view::ApiKeyView;
use crate::api::{Api, contended};
use crate::audit::{self, Act};
use crate::input::{Object, Query};
use crate::webhooks::stored::TRIES;

/// Changes a key. What it may do no more it may not do from the answer on, wherever the news has arrived: within moments.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 404, 409 for the last key that may manage, 413, 503.
pub(crate) async fn patch(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Json<ApiKeyView>, Problem> {
    let (actor, project) = api.key_manager(&headers, Query::read(query.as_deref(), &["project"])).await?;
    let id = key_id(&id)?;
    let store = &*api.console.store;
    // Before the body is judged: another project's key is not there, whatever is asked of it.
    stored::api_key(store, &project, id).await?;
    let object = Object::read(&headers, body, api.console.config.max_body_bytes).await?;
    let fields = KeyFields::read(&object)?;
    let last_used = || api.console.registry.key_last_used(id);

    let _held = api.targets.hold(&project).await;
    for _ in 0..TRIES {
        let (current, revision) = stored::api_key(store, &project, id).await?;
        let changed = ApiKey {
            name: fields.name.or(&current.name),
            scopes: fields.scopes.or(&current.scopes),
            ..current.clone()
        };
        let view = ApiKeyView::new(&changed, last_used());
        if changed == current {
            return Ok(Json(view));
        }
        if current.scopes.contains(&Scope::Manage) && !changed.scopes.contains(&Scope::Manage) {
            stored::leaves_a_manager(&api, &actor, &project, id).await?;
        }
        let put = store.put(Record::ApiKey(changed), Expected::At(revision)).await;
        match put.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => {
                api.take_up().await;
                let before = ApiKeyView::new(&current, last_used());
                audit::change(&actor, Act::KeyUpdated, &project, &id, Some(&before), Some(&view));
                return Ok(Json(view));
            }
            Changed::Conflict => {}
        }
    }
    Err(contended("API key"))
}
