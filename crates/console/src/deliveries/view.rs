//! A delivery as the API shows it.

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::DeliveryStatus;
use fanfare_core::event::EventType;
use fanfare_core::ids::{DeliveryId, EventId, Run, WebhookId};
use fanfare_history::DeliveryRow;
use serde::Serialize;

/// See the [module](self).
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryView {
    id: DeliveryId,
    webhook_id: WebhookId,
    webhook_url: String,
    event_id: EventId,
    event_type: EventType,
    /// Null for the original passage, else the retry request or replay that asked for this one.
    run: Run,
    status: DeliveryStatus,
    waiting_reason: Option<String>,
    created_at: Timestamp,
    next_attempt_at: Option<Timestamp>,
    attempt_count: u32,
    last_attempt_at: Option<Timestamp>,
    response_status: Option<u16>,
    last_outcome: Option<OutcomeClass>,
    ended_at: Option<Timestamp>,
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id,
            webhook_id: row.webhook,
            webhook_url: row.webhook_url,
            event_id: row.event,
            event_type: row.event_type,
            run: row.run,
            status: row.status,
            waiting_reason: row.waiting_reason,
            created_at: row.created_at,
            next_attempt_at: row.next_attempt_at,
            attempt_count: row.attempt_count,
            last_attempt_at: row.last_attempt_at,
            response_status: row.response_status,
            last_outcome: row.last_outcome,
            ended_at: row.ended_at,
        }
    }
}
