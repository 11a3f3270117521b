//! A webhook's records as the store has them, with their revisions: what changes begin with.

use fanfare_core::health::Health;
use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{ConfigStore, Key, Record, Revision};
use fanfare_core::webhook::Webhook;
use fanfare_http::Problem;

use crate::api::no_webhook;
use crate::stored::mismatch;

/// How often a change is tried again after others were quicker, before the client is asked to.
pub(crate) const TRIES: usize = 16;

/// The webhook, if the project has it.
///
/// # Errors
/// 404 when it has not, 503 when the store does not answer.
pub(crate) async fn webhook(
    store: &dyn ConfigStore,
    project: &ProjectId,
    id: WebhookId,
) -> Result<(Webhook, Revision), Problem> {
    let key = Key::Webhook(id);
    let found = store.get(&key).await.map_err(|error| Problem::unavailable(&error))?;
    match found.map(|versioned| (versioned.record, versioned.revision)) {
        Some((Record::Webhook(webhook), revision)) if webhook.project == *project => Ok((webhook, revision)),
        Some((Record::Webhook(_), _)) | None => Err(no_webhook()),
        Some((
            Record::Project(_) | Record::ApiKey(_) | Record::Health(_) | Record::EventType(_) | Record::KeyUse(_),
            _,
        )) => Err(Problem::unavailable(&mismatch(&key))),
    }
}

/// The webhook's health record, if there is one.
///
/// # Errors
/// When the store does not answer, or has something else under that key.
pub(crate) async fn health(store: &dyn ConfigStore, id: WebhookId) -> StoreResult<Option<(Health, Revision)>> {
    let key = Key::Health(id);
    match store.get(&key).await?.map(|versioned| (versioned.record, versioned.revision)) {
        Some((Record::Health(health), revision)) => Ok(Some((health, revision))),
        Some((
            Record::Webhook(_) | Record::Project(_) | Record::ApiKey(_) | Record::EventType(_) | Record::KeyUse(_),
            _,
        )) => Err(mismatch(&key)),
        None => Ok(None),
    }
}
