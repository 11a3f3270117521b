//! `DELETE /v1/events/{id}`, and how a deletion is finished that was cut off.
//!
//! What is erased: the event's data and attributes, and of its deliveries everything that was sent and answered. What stays is
//! the line of each delivery, with the event's id and type, its status and its times: nothing is dropped silently, so those that
//! were open are shown as discarded. What a receiver gets at this very moment cannot be called back; the delivery then shows what
//! became of it. In this order:
//!
//! 1. The log erases the event. From here on nobody reads its data or sends it again.
//! 2. The journal is told. This is the deletion: the read model erases its rows and closes the open deliveries.
//! 3. The deliveries that were open are withdrawn from the queue.
//!
//! After a crash between 1 and 2 the event is shown without its data, and its owner, who was not answered, repeats the request.
//! After 2 [`sweep`](crate::sweep) does the rest, and looks once more in any case: what somebody was sending in the meantime has
//! come to stand in the queue again, or has ended.
//!
//! An event that the read model does not know yet is refused: fan-out may be making its deliveries just now.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::{DeliveryId, EventId, ProjectId, WebhookId};
use fanfare_core::journal::{EventDeleted, JournalEntry};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::Withdrawal;
use fanfare_history::HistoryError;
use fanfare_http::Problem;
use fanfare_runtime::tasks::report;
use http::{HeaderMap, StatusCode};

use crate::Console;
use crate::api::{Api, history_failed};
use crate::audit::{self, Act, Actor};

/// How long after a deletion it is looked for what was in flight then: longer than any attempt and its settlement take.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Deletes an event.
///
/// # Errors
/// 401, 403, 404 also when it is deleted already, 409 when it is not fanned out yet, 503.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let (project, id) = (caller.project(), EventId::new(id).map_err(|_| Problem::not_found("event"))?);
    let open = open_deliveries(&api, project, &id).await?;
    let (log, journal) = (&api.console.log, &api.console.journal);
    log.erase(project, &id).await.map_err(|error| Problem::unavailable(&error))?;
    let entry = EventDeleted { project: project.clone(), event: id.clone(), at: api.clock.now() };
    let told = journal.append(vec![JournalEntry::EventDeleted(entry)]).await;
    told.map_err(|error| Problem::unavailable(&error))?;
    audit::change::<()>(&Actor::from(&caller), Act::EventDeleted, project, &id, None, None);
    // The event is deleted, so the answer is that it is; what is left to do is not the client's to repeat.
    if let Err(error) = withdraw(&api.console, &open).await {
        tracing::warn!(event = %id, error = %report(&error), "a deletion is not finished yet; it will be");
    }
    erased(&api, project, &id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The deliveries of an event that may be deleted which are open.
async fn open_deliveries(
    api: &Api,
    project: &ProjectId,
    id: &EventId,
) -> Result<Vec<(WebhookId, DeliveryId)>, Problem> {
    let history = &api.console.history;
    if history.event(project, id, None).await.map_err(|error| history_failed(&error))?.is_some() {
        return history.open_deliveries(project, id).await.map_err(|error| history_failed(&error));
    }
    let logged = api.console.log.get(project, id).await.map_err(|error| Problem::unavailable(&error))?;
    Err(if logged.is_some() { pending() } else { Problem::not_found("event") })
}

/// Step 3; answers whether none was in flight.
async fn withdraw(console: &Console, deliveries: &[(WebhookId, DeliveryId)]) -> StoreResult<bool> {
    let mut all = true;
    for (webhook, delivery) in deliveries {
        match console.queue.withdraw(*webhook, *delivery).await? {
            Withdrawal::Discarded | Withdrawal::Gone => {}
            Withdrawal::InFlight => all = false,
        }
    }
    Ok(all)
}

/// Waits until the read model has erased the event, so that who was answered does not see it any more. It is behind by
/// milliseconds; should it be by more, the event is deleted all the same.
async fn erased(api: &Api, project: &ProjectId, id: &EventId) {
    let history = &api.console.history;
    let mut applied = history.applied();
    let gone = async {
        loop {
            applied.borrow_and_update();
            match history.event(project, id, None).await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
            if applied.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = gone => {}
        () = api.clock.sleep(api.console.config.refresh_wait.get()) => {}
    }
}

/// Why a deletion could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfinished {
    /// The read model could not be asked.
    #[error("the read model does not tell which deletions are to be finished")]
    History(#[from] HistoryError),
    /// The log or the queue does not answer.
    #[error("a deleted event is not removed from everywhere yet")]
    Store(#[from] fanfare_core::ports::StoreError),
}

/// Finishes the deletions that were made long enough ago: steps 1 and 3 once more.
///
/// # Errors
/// When a store does not answer; repeating all of it is safe.
pub(crate) async fn finish(console: &Console, now: Timestamp) -> Result<(), Unfinished> {
    loop {
        let open = console.history.open_deletions(now.before(LOOK_AGAIN_AFTER)).await?;
        let mut finished = 0;
        for deletion in &open {
            console.log.erase(&deletion.project, &deletion.event).await?;
            if withdraw(console, &deletion.deliveries).await? {
                console.history.finish_deletion(deletion).await?;
                finished += 1;
            }
        }
        // What is in flight is looked at again by the next sweep.
        if open.is_empty() || finished < open.len() {
            return Ok(());
        }
    }
}

fn pending() -> Problem {
    let detail = "the delivery log does not know yet where the event went; it can be deleted once it does, which is \
                  within moments of its acceptance";
    Problem::new(StatusCode::CONFLICT, "event-pending", "The event is not fanned out yet", detail)
}
