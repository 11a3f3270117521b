//! `DELETE /v1/api-keys/{id}`.
//!
//! In this order: 1. the key's record is removed, by compare-and-set: this is the deletion; 2. the note of its last use is. A
//! crash in between leaves a note without its key, which [`sweep`](crate::sweep) removes, as it does one that another process
//! stored at that very moment.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use fanfare_core::api_key::Scope;
use fanfare_core::ids::{ApiKeyId, ProjectId};
use fanfare_core::ports::config_store::{Changed, Expected, Key};
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode};

use super::stored::{self, key_id};
use super::view::ApiKeyView;
use crate::api::{Api, contended, set_by_option};
use crate::audit::{self, Act, Actor};
use crate::input::Query;
use crate::webhooks::stored::TRIES;

/// Deletes a key, also the one that asks, if another may manage.
///
/// # Errors
/// 401, 403, 404 also when it is deleted already, 409 for the last key that may manage and for the one that an option sets, 503.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    let (actor, project) = api.key_manager(&headers, Query::read(query.as_deref(), &["project"])).await?;
    let id = key_id(&id)?;
    let _held = api.targets.hold(&project).await;
    remove(&api, &actor, &project, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(api: &Api, actor: &Actor, project: &ProjectId, id: ApiKeyId) -> Result<(), Problem> {
    let store = &*api.console.store;
    for _ in 0..TRIES {
        let (current, revision) = stored::api_key(store, project, id).await?;
        if id == ApiKeyId::FIRST && api.console.operator.first_key_by_option {
            let what = "the option `api_key` makes this key, at every start; take the option away first";
            return Err(set_by_option(what));
        }
        if current.scopes.contains(&Scope::Manage) {
            stored::leaves_a_manager(api, actor, project, id).await?;
        }
        let removed = store.remove(&Key::ApiKey(id), Expected::At(revision)).await;
        match removed.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => {
                let before = ApiKeyView::new(&current, api.console.registry.key_last_used(id));
                audit::change(actor, Act::KeyDeleted, project, &id, Some(&before), None);
                forget_use(api, id).await;
                api.take_up().await;
                return Ok(());
            }
            Changed::Conflict => {}
        }
    }
    Err(contended("API key"))
}

/// Step 2. The key is gone, so what is left is not the client's to repeat.
pub(crate) async fn forget_use(api: &Api, id: ApiKeyId) {
    if let Err(error) = api.console.store.remove(&Key::KeyUse(id), Expected::Any).await {
        let error = fanfare_runtime::tasks::report(&error);
        tracing::warn!(key = %id, error, "the note of a deleted key's use is still there; it will be removed");
    }
}
