//! What the promises are tried out with: events, deliveries, settlements, and waits that end.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use fanfare_core::attempt::{Attempt, LoggedHeaders, OutcomeClass, Phases, Snippet};
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, DeliveryHeader, DueReason, End, Next, Place, Settlement};
use fanfare_core::event::{ContentHash, Event, EventHeader, EventType};
use fanfare_core::health::GateReason;
use fanfare_core::ids::{AttemptId, DeliveryId, EventId, Hop, ProjectId, Run, WebhookId};
use fanfare_core::journal::{JournalEntry, WebhookDeleted};
use fanfare_core::ports::delivery_queue::{Lease, Push, QueueDepth};
use ulid::Ulid;
use uuid::Uuid;

use super::{Engine, Harness};

/// How long a claim lasts in these tests.
pub const TTL: Duration = Duration::from_secs(60);

/// Waits for something that is to happen.
///
/// # Panics
/// When it has not happened after a minute of real time; only a failing test waits so long.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("what was waited for did not happen in a minute")
}

/// Polls a future until it is waiting for something, some time at least, and drops it.
///
/// # Panics
/// When it was ready instead.
pub async fn waits<T>(what: impl Future<Output = T>) {
    let early = tokio::time::timeout(Duration::from_millis(20), what).await;
    assert!(early.is_err(), "it was to wait, and did not");
}

/// A project.
///
/// # Panics
/// When the name is none.
pub fn project(name: &str) -> ProjectId {
    ProjectId::new(name).expect("a valid project id")
}

/// An event's id.
///
/// # Panics
/// When the text is none.
pub fn event_id(id: &str) -> EventId {
    EventId::new(id).expect("a valid event id")
}

/// A webhook, by number.
pub fn webhook(number: u128) -> WebhookId {
    WebhookId::from_uuid(Uuid::from_u128(0x0199_e1a0_0000_7000_8000_0000_0000_0000 + number))
}

/// An event whose content hash follows from its data.
///
/// # Panics
/// Never.
pub fn event(of: &str, id: &str, data: &str, at: Timestamp) -> Event {
    let header = EventHeader {
        project: project(of),
        id: event_id(id),
        event_type: EventType::new("order.paid").expect("a valid type"),
        source: None,
        subject: None,
        time: at,
        expires_at: None,
        accepted_at: at,
        extensions: std::collections::BTreeMap::new(),
    };
    let mut content = [0; 32];
    for (at, byte) in data.bytes().enumerate() {
        content[at % 32] ^= byte.rotate_left(u32::try_from(at % 8).unwrap_or(0));
    }
    Event { header, data: Bytes::copy_from_slice(data.as_bytes()), content: ContentHash(content) }
}

/// The delivery of an event to a webhook; its body says which event it is.
///
/// # Panics
/// Never.
pub fn delivery(to: WebhookId, event: &str, at: Timestamp) -> Delivery {
    let id = event_id(event);
    let header = DeliveryHeader {
        id: DeliveryId::derive(to, &id, &Run::Original),
        project: project("shop"),
        webhook: to,
        event: id,
        event_type: EventType::new("order.paid").expect("a valid type"),
        source: None,
        subject: None,
        expires_at: None,
        accepted_at: at,
        run: Run::Original,
        hop: Hop(0),
        attempts: 0,
    };
    Delivery { header, body: Bytes::from(format!("{{\"event\":\"{event}\"}}")) }
}

/// Pushes the delivery of an event to a webhook, and returns it.
///
/// # Panics
/// When it was known already, or the engine fails.
pub async fn push<H: Harness>(harness: &H, engine: &Engine, to: WebhookId, event: &str, place: Place) -> Delivery {
    let delivery = delivery(to, event, harness.clock().now());
    let pushes = vec![Push { delivery: delivery.clone(), place, repeated: true }];
    assert_eq!(engine.queue.push(pushes, Vec::new()).await.expect("pushed"), 1, "{event} was to be new");
    delivery
}

/// Leases exactly that many, however many calls it takes.
///
/// # Panics
/// When they do not come, or more come.
pub async fn lease(engine: &Engine, count: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    while leases.len() < count {
        let more = soon(engine.queue.lease(count - leases.len())).await.expect("leased");
        assert!(!more.is_empty(), "a lease without deliveries");
        leases.extend(more);
    }
    assert_eq!(leases.len(), count, "more was leased than asked for");
    leases
}

/// Leases one.
///
/// # Panics
/// When none comes.
pub async fn lease_one(engine: &Engine) -> Lease {
    lease(engine, 1).await.remove(0)
}

/// The events whose deliveries these are.
pub fn events(leases: &[Lease]) -> Vec<String> {
    leases.iter().map(|lease| lease.delivery.header.event.to_string()).collect()
}

/// Holds the engine to having nothing to lease: what is pushed now must come, and alone.
///
/// # Panics
/// When something else comes.
pub async fn nothing_else<H: Harness>(harness: &H, engine: &Engine) {
    let id = format!("sentinel-{}", Ulid::generate());
    push(harness, engine, webhook(999), &id, Place::Ready).await;
    let leases = soon(engine.queue.lease(100)).await.expect("leased");
    assert_eq!(events(&leases), [id], "only what was pushed last was to be leased");
    engine.queue.settle(&leases[0], ended(harness, End::Delivered)).await.expect("settled");
}

/// How many deliveries are where, once so many are in flight: a server may hear of a settlement a moment later.
///
/// # Panics
/// When other than that many are in flight for a minute.
pub async fn depth_in_flight<H: Harness>(harness: &H, engine: &Engine, in_flight: u64) -> QueueDepth {
    soon(async {
        loop {
            let depth = engine.queue.depth().await.expect("counted");
            if depth.in_flight == in_flight {
                return depth;
            }
            harness.pass(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// A POST that went so.
pub fn attempt(number: u32, outcome: OutcomeClass, at: Timestamp) -> Attempt {
    Attempt {
        id: AttemptId(Ulid::generate()),
        number,
        at,
        took_us: 1_500,
        phases: Phases::default(),
        outcome,
        status: Some(500),
        error: None,
        request_headers: LoggedHeaders::default(),
        response_headers: LoggedHeaders::default(),
        response_body: Snippet::default(),
    }
}

/// The delivery is over, after an attempt.
pub fn ended<H: Harness>(harness: &H, end: End) -> Settlement {
    let at = harness.clock().now();
    Settlement { attempt: Some(attempt(1, OutcomeClass::Success, at)), next: Next::End { end }, at }
}

/// An attempt failed; the delivery goes there.
pub fn failed<H: Harness>(harness: &H, to: Place) -> Settlement {
    let at = harness.clock().now();
    Settlement { attempt: Some(attempt(1, OutcomeClass::ServerError, at)), next: Next::Move(to), at }
}

/// Nothing was tried; the delivery goes there.
pub fn put_off<H: Harness>(harness: &H, to: Place) -> Settlement {
    Settlement { attempt: None, next: Next::Move(to), at: harness.clock().now() }
}

/// Due after that time.
pub fn due_in<H: Harness>(harness: &H, time: Duration) -> Place {
    Place::Due { at: harness.clock().now().after(time), reason: DueReason::Retry }
}

/// Behind its webhook's gate.
pub fn gated() -> Place {
    Place::Gated { reason: GateReason::Paused }
}

/// A journal entry that is told apart by its webhook.
pub fn entry(number: u128) -> JournalEntry {
    let at = Timestamp::from_seconds(1_765_000_000);
    JournalEntry::WebhookDeleted(WebhookDeleted { project: project("shop"), webhook: webhook(number), at })
}
