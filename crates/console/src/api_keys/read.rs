//! `GET /v1/api-keys` and `GET /v1/api-keys/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use fanfare_core::ports::config_store::Group;
use fanfare_http::Problem;
use http::HeaderMap;

use super::stored::{key_id, no_key};
use super::view::ApiKeyView;
use crate::api::Api;
use crate::input::Query;
use crate::paging::{self, AfterApiKey, Cursor as _, Page};

/// One key.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 404, 503.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<ApiKeyView>, Problem> {
    let (_, project) = api.key_manager(&headers, Query::read(query.as_deref(), &["project"])).await?;
    api.fresh(Group::State).await?;
    let registry = &api.console.registry;
    let key = registry.api_key_with_id(key_id(&id)?).filter(|key| key.project == project).ok_or_else(no_key)?;
    Ok(Json(ApiKeyView::new(&key, registry.key_last_used(key.id))))
}

/// The project's keys, oldest first.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 404 for a project that is not there, 503.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ApiKeyView>>, Problem> {
    let mut query = Query::read(query.as_deref(), &["project", "limit", "after"]);
    let limit = paging::limit(&mut query);
    let after: Option<AfterApiKey> = paging::after(&mut query);
    let (_, project) = api.key_manager(&headers, query).await?;
    api.fresh(Group::State).await?;

    // One more than is shown tells whether there is a next page.
    let registry = &api.console.registry;
    let mut keys = registry.api_keys_of(&project, after.map(|after| after.0), limit + 1);
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = keys.last().filter(|_| more).map(|last| AfterApiKey(last.id).encode());
    let data = keys.iter().map(|key| ApiKeyView::new(key, registry.key_last_used(key.id))).collect();
    Ok(Json(Page { data, next }))
}
