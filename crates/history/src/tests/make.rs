//! Makes what the tests tell the read model.

use fanfare_core::attempt::{Attempt, LoggedHeaders, OutcomeClass, Phases, Snippet};
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryHeader, DueReason, End, Next, Place, QuarantineReason};
use fanfare_core::event::{EventHeader, EventType};
use fanfare_core::ids::{AttemptId, DeliveryId, EventId, Hop, ProjectId, Run, RunId, WebhookId};
use fanfare_core::journal::{
    BroughtForward, FannedOut, FannedOutTo, JournalEntry, Pushed, Quarantined, Settled, WebhookDeleted,
};
use fanfare_core::ports::config_store::Revision;
use fanfare_core::ports::journal::JournalPosition;
use fanfare_core::webhook::Webhook;
use serde_json::json;
use ulid::Ulid;
use uuid::Uuid;

/// Seconds after the manual clock's start.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_765_000_000 + seconds)
}

pub(super) fn project() -> ProjectId {
    ProjectId::new("acme").unwrap()
}

pub(super) fn webhook(number: u128) -> WebhookId {
    WebhookId::from_uuid(Uuid::from_u128(number))
}

/// A webhook that takes `pattern`.
pub(super) fn subscription(number: u128, pattern: &str, url: &str) -> Webhook {
    let made = at(0).to_string();
    serde_json::from_value(json!({
        "id": webhook(number), "project": project(), "url": url, "events": [pattern], "active": true,
        "headers": [{"name": "X-Token", "value": "v1.k.sealed-header"}],
        "secret": "v1.k.sealed-secret", "secret_last4": "last", "description": "the owner's words",
        "created_at": made, "updated_at": made,
    }))
    .unwrap()
}

pub(super) fn event_id(number: u32) -> EventId {
    EventId::new(format!("order-{number}")).unwrap()
}

pub(super) fn event_of(number: u32, event_type: &str, accepted_at: Timestamp) -> EventHeader {
    EventHeader {
        project: project(),
        id: event_id(number),
        event_type: EventType::new(event_type).unwrap(),
        source: None,
        subject: None,
        time: accepted_at,
        expires_at: None,
        accepted_at,
        extensions: std::collections::BTreeMap::new(),
    }
}

/// An event that was accepted that many seconds after the start.
pub(super) fn event(number: u32) -> EventHeader {
    event_of(number, "order.paid", at(i64::from(number)))
}

/// The event's delivery of a run at hop 0.
pub(super) fn delivery(event: &EventHeader, number: u128, run: Run) -> DeliveryHeader {
    DeliveryHeader {
        id: DeliveryId::derive(webhook(number), &event.id, &run),
        project: event.project.clone(),
        webhook: webhook(number),
        event: event.id.clone(),
        event_type: event.event_type.clone(),
        source: None,
        subject: None,
        expires_at: None,
        accepted_at: event.accepted_at,
        run,
        hop: Hop(0),
        attempts: 0,
    }
}

pub(super) fn original(event: &EventHeader, number: u128) -> DeliveryHeader {
    delivery(event, number, Run::Original)
}

pub(super) fn again(event: &EventHeader, number: u128, run: &str, asked_at: Timestamp) -> DeliveryHeader {
    let mut header = delivery(event, number, Run::Again(RunId::new(run).unwrap()));
    header.accepted_at = asked_at;
    header
}

pub(super) fn attempt(id: u128, number: u32, began: Timestamp, outcome: OutcomeClass, status: Option<u16>) -> Attempt {
    Attempt {
        id: AttemptId(Ulid::from(id)),
        number,
        at: began,
        took_us: 1500,
        phases: Phases::default(),
        outcome,
        status,
        error: None,
        request_headers: LoggedHeaders::from_iter([("X-Token", "***")]),
        response_headers: LoggedHeaders::default(),
        response_body: Snippet { bytes: vec![0, 159, 146, 150], truncated: true },
    }
}

pub(super) fn fanned_out(event: &EventHeader, revision: u64, webhooks: &[u128]) -> JournalEntry {
    let deliveries = webhooks
        .iter()
        .map(|number| FannedOutTo {
            delivery: original(event, *number).id,
            webhook: webhook(*number),
            place: Place::Ready,
        })
        .collect();
    let entry = FannedOut {
        event: event.clone(),
        data_bytes: 17,
        revision: Revision(revision),
        at: event.accepted_at,
        deliveries,
    };
    JournalEntry::FannedOut(entry)
}

pub(super) fn pushed(delivery: &DeliveryHeader) -> JournalEntry {
    JournalEntry::Pushed(Pushed { delivery: delivery.clone(), place: Place::Ready, at: delivery.accepted_at })
}

pub(super) fn settled(
    delivery: &DeliveryHeader,
    hop: u32,
    attempt: Option<Attempt>,
    next: Next,
    when: Timestamp,
) -> JournalEntry {
    let mut delivery = delivery.clone();
    delivery.hop = Hop(hop);
    delivery.attempts = attempt.as_ref().map_or(0, |attempt| attempt.number - 1);
    JournalEntry::Settled(Settled { delivery, attempt, next, at: when })
}

pub(super) fn ended(delivery: &DeliveryHeader, hop: u32, end: End, when: Timestamp) -> JournalEntry {
    settled(delivery, hop, None, Next::End { end }, when)
}

pub(super) fn retry(when: Timestamp) -> Next {
    Next::Move(Place::Due { at: when, reason: DueReason::Retry })
}

pub(super) fn brought_forward(delivery: &DeliveryHeader, hop: u32, when: Timestamp) -> JournalEntry {
    let (project, delivery) = (delivery.project.clone(), delivery.id);
    JournalEntry::BroughtForward(BroughtForward { project, delivery, hop: Hop(hop), at: when })
}

pub(super) fn quarantined(
    delivery: &DeliveryHeader,
    hop: u32,
    reason: QuarantineReason,
    when: Timestamp,
) -> JournalEntry {
    JournalEntry::Quarantined(Quarantined { delivery: delivery.id, hop: Hop(hop), reason, at: when })
}

pub(super) fn webhook_deleted(number: u128, when: Timestamp) -> JournalEntry {
    JournalEntry::WebhookDeleted(WebhookDeleted { project: project(), webhook: webhook(number), at: when })
}

/// The entries with positions from 1 on.
pub(super) fn placed(entries: impl IntoIterator<Item = JournalEntry>) -> Vec<(JournalPosition, JournalEntry)> {
    (1..).map(JournalPosition).zip(entries).collect()
}
