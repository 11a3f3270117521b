//! `GET /v1/event-types`: the catalogue, with a JSON Schema and a sample of each type. Any other type is accepted as well.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fanfare_core::api_key::Scope;
use fanfare_core::catalogue::{Catalogue, CatalogueEntry};
use fanfare_http::Problem;
use http::HeaderMap;

use crate::api::Api;
use crate::paging::Page;

/// The catalogue, on one page.
///
/// # Errors
/// 401, 403.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
) -> Result<Json<Page<&'static CatalogueEntry>>, Problem> {
    api.caller(&headers, Scope::Read).await?;
    Ok(Json(Page { data: Catalogue::builtin().entries().iter().collect(), next: None }))
}
