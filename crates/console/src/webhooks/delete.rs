//! `DELETE /v1/webhooks/{id}`, and how a deletion is finished that was cut off.
//!
//! In this order:
//!
//! 1. There is a health record, an empty one if need be. It changes nothing, and is the trace of a deletion that is not
//!    finished once the webhook is gone.
//! 2. The webhook's record is removed, by compare-and-set. This is the deletion: from here on reads answer 404 and no
//!    event matches.
//! 3. The journal is told; the read model closes the open deliveries as discarded.
//! 4. What stands behind the gate is discarded. What is ready or due ends as discarded when a worker leases it.
//! 5. The health record is removed.
//!
//! Removing the record any later would let the read model call deliveries discarded that are then delivered, and any
//! crash in between would leave such a webhook behind; removing it first costs only this: after a crash between 2 and 5,
//! a health record stands without its webhook. [`sweep`](crate::sweep) finds it and does 3 to 5, each of which may be
//! repeated. A push that was under way during 4 lands behind a gate, whose owner ends it as discarded.

use std::sync::Arc;

use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::health::Health;
use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::journal::{JournalEntry, WebhookDeleted};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{Changed, Expected, Key, Record};
use fanfare_http::{Caller, Problem};
use fanfare_runtime::tasks::report;
use http::{HeaderMap, StatusCode};

use super::view::WebhookView;
use super::{read, stored};
use crate::Console;
use crate::api::{Api, contended, webhook_id};
use crate::audit::{self, Act, Actor};

/// Deletes a webhook.
///
/// # Errors
/// 401, 403, 404 also when it is deleted already, 503.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    run(&api, &caller, webhook_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All of it.
///
/// # Errors
/// 404, 503.
pub(crate) async fn run(api: &Api, caller: &Caller, id: WebhookId) -> Result<(), Problem> {
    let project = caller.project();
    let before = remove(api, project, id).await?;
    audit::change(&Actor::from(caller), Act::Deleted, project, &id, Some(&before), None);
    // The webhook is gone, so the answer is that it is; what is left to do is not the client's to repeat.
    if let Err(error) = finish(&api.console, project, id, api.clock.now()).await {
        tracing::warn!(webhook = %id, error = %report(&error), "a deletion is not finished yet; it will be");
    }
    Ok(())
}

/// Steps 1 and 2; shows the webhook as it was.
async fn remove(api: &Api, project: &ProjectId, id: WebhookId) -> Result<WebhookView, Problem> {
    let store = &*api.console.store;
    for _ in 0..stored::TRIES {
        let (webhook, revision) = stored::webhook(store, project, id).await?;
        let before = read::known(api, &webhook);
        let trace = Record::Health(Health::new(id, webhook.project));
        // A conflict says that there is a record already, which is as good.
        store.put(trace, Expected::Absent).await.map_err(|error| Problem::unavailable(&error))?;
        let removed = store.remove(&Key::Webhook(id), Expected::At(revision)).await;
        match removed.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => return Ok(before),
            Changed::Conflict => {}
        }
    }
    Err(contended("webhook"))
}

/// Steps 3 to 5.
///
/// # Errors
/// When the store does not answer; repeating all of it is safe.
pub(crate) async fn finish(console: &Console, project: &ProjectId, id: WebhookId, now: Timestamp) -> StoreResult<()> {
    let entry = JournalEntry::WebhookDeleted(WebhookDeleted { project: project.clone(), webhook: id, at: now });
    console.journal.append(vec![entry]).await?;
    console.queue.discard(id).await?;
    console.store.remove(&Key::Health(id), Expected::Any).await?;
    Ok(())
}
