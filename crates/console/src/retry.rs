//! `POST /v1/deliveries/{id}/retry`: a delivery that has ended goes again as a new run; one that waits, or is in quarantine, is
//! brought forward. What is in quarantine and cannot be read goes again as a new run, with the event's data.
//!
//! The receiver's idempotency key is the same either way. With a header `Idempotency-Key` the new run's id is derived from
//! it, so that a request sent twice asks for one run.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::delivery::{Delivery, DeliveryHeader, DeliveryStatus, Place};
use fanfare_core::event::Event;
use fanfare_core::health::GateReason;
use fanfare_core::ids::{DeliveryId, Hop, ProjectId, Run, RunId, WebhookId};
use fanfare_core::journal::{JournalEntry, Pushed};
use fanfare_core::ports::delivery_queue::{BringForward, Push};
use fanfare_history::DeliveryRow;
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use crate::api::{Api, history_failed};
use crate::audit;
use crate::deliveries::{delivery_id, no_delivery};

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Retried {
    delivery_id: DeliveryId,
    status: DeliveryStatus,
}

/// Asks for a delivery again. 202: the attempt is yet to be made.
///
/// # Errors
/// 400, 401, 403, 404, 409 for a webhook that is deleted or paused or an event past its expiry, 410 for one that is no
/// longer retained, 503.
pub(crate) async fn retry(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Retried>), Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let project = caller.project();
    let row = find(&api, project, delivery_id(&id)?).await?.ok_or_else(no_delivery)?;
    // Read whether it is needed or not: a key that is none is refused whatever the delivery is at.
    let run = run_id(&api, row.id, &headers)?;
    let webhook = api.webhook(project, &row.webhook.to_string()).await.map_err(webhook_deleted)?.webhook.id;
    let retried = match row.status {
        DeliveryStatus::Pending | DeliveryStatus::Waiting | DeliveryStatus::Gated => {
            bring_forward(&api, webhook, row.id).await?.ok_or_else(just_ended)?
        }
        DeliveryStatus::Quarantined => match bring_forward(&api, webhook, row.id).await? {
            Some(retried) => retried,
            None => again(&api, project, &row, run).await?,
        },
        DeliveryStatus::Delivered | DeliveryStatus::Exhausted | DeliveryStatus::Expired | DeliveryStatus::Discarded => {
            again(&api, project, &row, run).await?
        }
    };
    audit::line(&caller, audit::Act::Retried, webhook);
    Ok((StatusCode::ACCEPTED, Json(retried)))
}

async fn find(api: &Api, project: &ProjectId, id: DeliveryId) -> Result<Option<DeliveryRow>, Problem> {
    let found = api.console.history.delivery(project, id).await.map_err(|error| history_failed(&error))?;
    Ok(found.map(|(row, _)| row))
}

/// What has not ended is not run twice: it goes now, where it may. Ready and in flight already is as good as done.
/// `None`: the queue has nothing that could go.
async fn bring_forward(api: &Api, webhook: WebhookId, delivery: DeliveryId) -> Result<Option<Retried>, Problem> {
    let brought = api.console.queue.bring_forward(webhook, delivery, api.clock.now()).await;
    let status = match brought.map_err(|error| Problem::unavailable(&error))? {
        BringForward::Ready(_) | BringForward::AlreadyReady => DeliveryStatus::Pending,
        BringForward::Gated => match api.console.registry.gate(webhook) {
            Some(GateReason::Paused) => return Err(paused(webhook)),
            // Its turn comes in order of arrival, without anybody's doing.
            Some(GateReason::Releasing | GateReason::Congested | GateReason::BreakerOpen | GateReason::RateLimit)
            | None => DeliveryStatus::Gated,
        },
        BringForward::Gone => return Ok(None),
    };
    Ok(Some(Retried { delivery_id: delivery, status }))
}

/// A new run of a delivery that has ended: pushed and journalled in one call, which a crash leaves undone or whole. While the
/// webhook has a gate up it goes behind it.
async fn again(api: &Api, project: &ProjectId, row: &DeliveryRow, run: RunId) -> Result<Retried, Problem> {
    let now = api.clock.now();
    let event = api.console.log.get(project, &row.event).await.map_err(|error| Problem::unavailable(&error))?;
    let Event { header: event, data, .. } = event.ok_or_else(not_retained)?;
    if event.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(expired());
    }
    let run = Run::Again(run);
    let header = DeliveryHeader {
        id: DeliveryId::derive(row.webhook, &event.id, &run),
        project: event.project,
        webhook: row.webhook,
        event: event.id,
        event_type: event.event_type,
        source: event.source,
        subject: event.subject,
        expires_at: event.expires_at,
        accepted_at: now,
        run,
        hop: Hop::default(),
        attempts: 0,
    };
    let id = header.id;
    let place = api.console.registry.gate(row.webhook).map_or(Place::Ready, |reason| Place::Gated { reason });
    let entry = JournalEntry::Pushed(Pushed { delivery: header.clone(), place, at: now });
    let push = Push { delivery: Delivery { header, body: data }, place, repeated: true };
    let new = api.console.queue.push(vec![push], vec![entry]).await.map_err(|error| Problem::unavailable(&error))?;
    // Asked for before under the same key: it stands, or has ended, as the read model says.
    let known = if new == 0 { find(api, project, id).await? } else { None };
    Ok(Retried { delivery_id: id, status: known.map_or_else(|| place.into(), |row| row.status) })
}

/// The new run's id: `rty_` and a ULID; with an `Idempotency-Key`, `rty_` and the UUIDv5 of the delivery and the key.
fn run_id(api: &Api, delivery: DeliveryId, headers: &HeaderMap) -> Result<RunId, Problem> {
    let text = match headers.get("idempotency-key") {
        None => format!("rty_{}", api.new_ulid()),
        Some(key) => {
            let key = key.to_str().ok().filter(|key| (1..=256).contains(&key.len()));
            let key = key
                .ok_or_else(|| Problem::invalid("Idempotency-Key", "must be 1 to 256 characters of printable ASCII"))?;
            format!("rty_{}", Uuid::new_v5(delivery.as_uuid(), key.as_bytes()).simple())
        }
    };
    // At most 36 characters of letters, digits and `_`.
    RunId::new(text).map_err(|error| Problem::invalid("Idempotency-Key", error.to_string()))
}

fn webhook_deleted(problem: Problem) -> Problem {
    if problem.status != StatusCode::NOT_FOUND {
        return problem;
    }
    conflict("webhook-deleted", "the delivery's webhook has been deleted, so it cannot be delivered again")
}

fn paused(webhook: WebhookId) -> Problem {
    let detail = format!(
        "the delivery waits because its webhook is paused; POST /v1/webhooks/{webhook}/activate delivers all that waits, \
         in order"
    );
    conflict("webhook-paused", detail)
}

fn just_ended() -> Problem {
    conflict("just-ended", "the delivery has just ended; look at how, and retry it again if it is still wanted")
}

fn expired() -> Problem {
    conflict("event-expired", "the event's `expirytime` has passed: its sender does not want it delivered any more")
}

fn not_retained() -> Problem {
    let detail = "the event's data is no longer retained, so it cannot be delivered again";
    Problem::new(StatusCode::GONE, "event-not-retained", "The event is no longer retained", detail)
}

fn conflict(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, "The delivery cannot be retried now", detail)
}
