//! `DELETE /v1/event-types/{type}`. Events and webhooks of the type stay; a strict project accepts no more of them.

use std::sync::Arc;

use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::ports::config_store::{Changed, Expected, Key};
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode};

use super::stored;
use super::view::OwnTypeView;
use crate::api::{Api, contended};
use crate::audit::{self, Act, Actor};
use crate::webhooks::stored::TRIES;

/// Deletes one of the project's own types.
///
/// # Errors
/// 401, 403, 404 also when it is deleted already, 409 for one of the catalogue's, 503.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let (project, name) = (caller.project(), stored::name(&text)?);
    stored::not_built_in(&name)?;
    let store = &*api.console.store;
    for _ in 0..TRIES {
        let (current, revision) = stored::own(store, project, &name).await?;
        let removed = store.remove(&Key::EventType(project.clone(), name.clone()), Expected::At(revision)).await;
        match removed.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => {
                let before = OwnTypeView::new(&current);
                audit::change(&Actor::from(&caller), Act::TypeDeleted, project, &name, Some(&before), None);
                api.take_up().await;
                return Ok(StatusCode::NO_CONTENT);
            }
            Changed::Conflict => {}
        }
    }
    Err(contended("event type"))
}
