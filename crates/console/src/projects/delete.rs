//! `DELETE /v1/projects/{id}`: a project without webhooks, with its keys and event types.
//!
//! In this order, under the project's lock, so that nothing is made in it meanwhile by this process:
//!
//! 1. There are no webhooks; else 409.
//! 2. Its keys are removed, one by one, each with the note of its last use: from here on nobody calls in its name.
//! 3. Its event types are removed.
//! 4. Its record is removed, by compare-and-set.
//!
//! A crash in between leaves a project with fewer keys; asking again finishes it. The other way round keys would be left that
//! still work. What is known of its events and deliveries stays for as long as it is retained, and a project made later under
//! the same id has it.

use std::sync::Arc;

use axum::extract::{Path, State};
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::config_store::{Changed, Expected, Group, Key};
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode};

use super::stored::{self, project_id};
use super::view::ProjectView;
use crate::api::{Api, contended};
use crate::api_keys::delete::forget_use;
use crate::api_keys::view::ApiKeyView;
use crate::audit::{self, Act, Actor};
use crate::event_types::view::OwnTypeView;
use crate::webhooks::stored::TRIES;

/// Deletes a project.
///
/// # Errors
/// 401, 403, 404 also when it is deleted already, 409 while it has webhooks and for the first project, 503.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.admin(&headers).await?;
    let id = project_id(&id)?;
    let _held = api.targets.hold(&id).await;
    for _ in 0..TRIES {
        let (current, revision) = stored::project(&*api.console.store, &id).await?;
        if current.is_first() {
            let detail = format!("the project {id} is made anew at every start, so it cannot be deleted");
            return Err(conflict("first-project", detail));
        }
        api.fresh(Group::Config).await?;
        let webhooks = api.console.registry.webhook_count(&id);
        if webhooks > 0 {
            let detail =
                format!("the project has {webhooks} webhooks; delete them first, which ends what waits for them");
            return Err(conflict("project-has-webhooks", detail));
        }
        remove_keys(&api, &id).await?;
        remove_types(&api, &id).await?;
        let removed = api.console.store.remove(&Key::Project(id.clone()), Expected::At(revision)).await;
        match removed.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => {
                let before = ProjectView::new(&current);
                audit::change(&Actor::Admin, Act::ProjectDeleted, &id, &id, Some(&before), None);
                api.take_up().await;
                return Ok(StatusCode::NO_CONTENT);
            }
            Changed::Conflict => {}
        }
    }
    Err(contended("project"))
}

/// Step 2.
async fn remove_keys(api: &Api, project: &ProjectId) -> Result<(), Problem> {
    for key in api.console.registry.api_keys_of(project, None, usize::MAX) {
        let removed = api.console.store.remove(&Key::ApiKey(key.id), Expected::Any).await;
        removed.map_err(|error| Problem::unavailable(&error))?;
        let before = ApiKeyView::new(&key, api.console.registry.key_last_used(key.id));
        audit::change(&Actor::Admin, Act::KeyDeleted, project, &key.id, Some(&before), None);
        forget_use(api, key.id).await;
    }
    api.take_up().await;
    Ok(())
}

/// Step 3.
async fn remove_types(api: &Api, project: &ProjectId) -> Result<(), Problem> {
    for served in api.console.registry.event_types_of(project, None, usize::MAX) {
        let name = &served.own.event_type;
        let removed = api.console.store.remove(&Key::EventType(project.clone(), name.clone()), Expected::Any).await;
        removed.map_err(|error| Problem::unavailable(&error))?;
        let before = OwnTypeView::new(&served.own);
        audit::change(&Actor::Admin, Act::TypeDeleted, project, name, Some(&before), None);
    }
    Ok(())
}

fn conflict(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, "The project cannot be deleted", detail)
}
