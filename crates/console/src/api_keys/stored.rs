//! An API key's record as the store has it, and what may not be done to the last key that may manage.

use fanfare_core::api_key::ApiKey;
use fanfare_core::ids::{ApiKeyId, ProjectId};
use fanfare_core::ports::config_store::{ConfigStore, Group, Key, Record, Revision};
use fanfare_http::Problem;
use http::StatusCode;

use crate::api::Api;
use crate::audit::Actor;
use crate::stored::mismatch;

/// Reads a key's id; what is not one names no key.
///
/// # Errors
/// 404.
pub(crate) fn key_id(text: &str) -> Result<ApiKeyId, Problem> {
    text.parse().map_err(|_| no_key())
}

/// 404 for a key, another project's included.
pub(crate) fn no_key() -> Problem {
    Problem::not_found("API key")
}

/// The key, if the project has it.
///
/// # Errors
/// 404 when it has not, 503 when the store does not answer.
pub(crate) async fn api_key(
    store: &dyn ConfigStore,
    project: &ProjectId,
    id: ApiKeyId,
) -> Result<(ApiKey, Revision), Problem> {
    let key = Key::ApiKey(id);
    let found = store.get(&key).await.map_err(|error| Problem::unavailable(&error))?;
    match found.map(|versioned| (versioned.record, versioned.revision)) {
        Some((Record::ApiKey(found), revision)) if found.project == *project => Ok((found, revision)),
        Some((Record::ApiKey(_), _)) | None => Err(no_key()),
        Some((
            Record::Webhook(_) | Record::Project(_) | Record::Health(_) | Record::EventType(_) | Record::KeyUse(_),
            _,
        )) => Err(Problem::unavailable(&mismatch(&key))),
    }
}

/// Refuses what would leave the project without a key that may manage, unless the admin key asks for it. The project's lock is
/// held by the caller; it holds within this process, as [`TargetLocks`](crate::webhooks::target::TargetLocks) says.
///
/// # Errors
/// 409, 503 when the store does not answer.
pub(crate) async fn leaves_a_manager(
    api: &Api,
    actor: &Actor,
    project: &ProjectId,
    without: ApiKeyId,
) -> Result<(), Problem> {
    match actor {
        Actor::Admin => return Ok(()),
        Actor::Key(_) => api.fresh(Group::Config).await?,
    }
    if api.console.registry.has_other_manage_key(project, without) {
        return Ok(());
    }
    let detail = "the project would be left without a key that may manage; make another one first";
    let title = "The project needs a key that may manage";
    Err(Problem::new(StatusCode::CONFLICT, "last-manage-key", title, detail))
}
