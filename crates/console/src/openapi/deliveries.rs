//! The delivery log, and retries.

use fanfare_core::attempt::OutcomeClass;
use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    and, count, event_id, event_type, list, nullable, object, one_of, page, reference, says, text, time, truth, uuid,
    whole,
};
use fanfare_http::openapi::{Answer, Operation, Parameter};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{DELIVERY_ID, Documented, MADE_AT, WEBHOOK_ID, id, paging};
use crate::deliveries::filter::STATUSES;

const TAG: &str = "Deliveries";
const ONE: &str = "/v1/deliveries/{id}";

pub(super) fn documented() -> Documented {
    (operations(), schemas())
}

fn status() -> Value {
    one_of(&STATUSES.map(|(name, _)| name))
}

fn outcome() -> Value {
    one_of(&OutcomeClass::ALL.map(OutcomeClass::as_str))
}

fn delivery() -> Value {
    object([
        ("id", uuid()),
        ("webhook_id", uuid()),
        ("webhook_url", text()),
        ("event_id", event_id()),
        ("event_type", event_type()),
        ("run", says(nullable(text()), "Null, or the retry or replay it is of.")),
        ("status", status()),
        ("waiting_reason", nullable(text())),
        ("created_at", time()),
        ("next_attempt_at", nullable(time())),
        ("attempt_count", count()),
        ("last_attempt_at", nullable(time())),
        ("response_status", nullable(whole(100, 999))),
        ("last_outcome", nullable(outcome())),
        ("ended_at", nullable(time())),
    ])
}

fn attempt() -> Value {
    let millis = || json!({"type": "number", "minimum": 0});
    let phases = object([
        ("dns_ms", nullable(millis())),
        ("connect_ms", nullable(millis())),
        ("first_byte_ms", nullable(millis())),
        ("body_ms", nullable(millis())),
        ("connection_reused", truth()),
    ]);
    let header = || object([("name", text()), ("value", text())]);
    let encoding = one_of(&["utf-8", "base64"]);
    object([
        ("id", text()),
        ("number", count()),
        ("at", time()),
        ("duration_ms", millis()),
        ("phases", phases),
        ("outcome", outcome()),
        ("status", nullable(whole(100, 999))),
        ("error", nullable(text())),
        ("request_headers", list(header())),
        ("response_headers", list(header())),
        ("response_body", object([("encoding", encoding), ("content", text()), ("truncated", truth())])),
    ])
}

fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("Delivery", delivery()),
        ("DeliveryPage", page(reference("Delivery"))),
        ("Attempt", attempt()),
        ("DeliveryWithAttempts", and(delivery(), [("attempts", list(reference("Attempt")))])),
        ("Retried", object([("delivery_id", uuid()), ("status", status())])),
    ]
}

fn example() -> Value {
    json!({"id": DELIVERY_ID, "webhook_id": WEBHOOK_ID, "webhook_url": "https://shop.example/hooks", "event_id": "order-1",
        "event_type": "order.paid", "run": null, "status": "exhausted", "waiting_reason": null, "created_at": MADE_AT,
        "next_attempt_at": null, "attempt_count": 1, "last_attempt_at": MADE_AT, "response_status": 500,
        "last_outcome": "server_error", "ended_at": MADE_AT})
}

fn example_with_attempts() -> Value {
    let attempt = json!({"id": "01KAZ9C2P4J5T8XK3V7D0N6B1M", "number": 1, "at": MADE_AT, "duration_ms": 41.2,
        "phases": {"dns_ms": 1.0, "connect_ms": 9.5, "first_byte_ms": 40.9, "body_ms": 0.1, "connection_reused": false},
        "outcome": "server_error", "status": 500, "error": null,
        "request_headers": [{"name": "X-Webhook-Event", "value": "order.paid"}],
        "response_headers": [{"name": "content-type", "value": "text/plain"}],
        "response_body": {"encoding": "utf-8", "content": "out of order", "truncated": false}});
    let mut example = example();
    example["attempts"] = json!([attempt]);
    example
}

fn conflict(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, "The delivery cannot be retried now", detail)
}

fn operations() -> Vec<Operation> {
    let no_delivery = || [Problem::not_found("delivery")];
    let its_id = || [id("The delivery's id.")];
    let key = json!({"type": "string", "pattern": "^[ -~]{1,256}$"});
    let not_retained = "the event's data is no longer retained, so it cannot be delivered again";
    let statuses = json!({"type": "array", "items": status()});
    vec![
        Operation::new(Method::GET, "/v1/deliveries", "listDeliveries", TAG, "Deliveries, most recent first")
            .with([
                Parameter::query("webhook_id", uuid(), "Only to this webhook."),
                Parameter::query("event_id", event_id(), "Only of this event."),
                Parameter::query("event_type", event_type(), "Only of events of this type."),
                Parameter::query("status", statuses, "Only of these; repeated, or one list with commas."),
                Parameter::query("since", time(), "Only made at this time or later."),
                Parameter::query("until", time(), "Only made before this time."),
            ])
            .with(paging())
            .answering(
                Answer::json(200, "A page.", reference("DeliveryPage"), json!({"data": [example()], "next": null}))
                    .linked(["listDeliveries"], &[("after", "$response.body#/next")])
                    .linked(["getDelivery", "retryDelivery"], &[("id", "$response.body#/data/0/id")]),
            )
            .refusing([Problem::invalid("since", "must be before `until`")]),
        Operation::new(Method::GET, ONE, "getDelivery", TAG, "A delivery with every attempt")
            .with(its_id())
            .answering(
                Answer::json(200, "The delivery.", reference("DeliveryWithAttempts"), example_with_attempts())
                    .linked(["retryDelivery"], &[("id", "$response.body#/id")])
                    .linked(["getEvent"], &[("id", "$response.body#/event_id")])
                    .linked(["getWebhook"], &[("id", "$response.body#/webhook_id")]),
            )
            .refusing(no_delivery()),
        Operation::new(Method::POST, "/v1/deliveries/{id}/retry", "retryDelivery", TAG, "Deliver it again, or now")
            .saying("One that has ended goes again as a new delivery; one that waits, or is in quarantine, goes now.")
            .with(its_id())
            .with([Parameter::header("Idempotency-Key", key, "The same key asks for the same new delivery.")])
            .answering(
                Answer::json(
                    202,
                    "The attempt is yet to be made.",
                    reference("Retried"),
                    json!({"delivery_id": DELIVERY_ID, "status": "pending"}),
                )
                .linked(["getDelivery"], &[("id", "$response.body#/delivery_id")]),
            )
            .refusing(no_delivery())
            .refusing([
                Problem::invalid("Idempotency-Key", "must be 1 to 256 characters of printable ASCII"),
                conflict("webhook-deleted", "the delivery's webhook has been deleted, so it cannot be delivered again"),
                conflict("webhook-paused", "the delivery waits because its webhook is paused; activate it"),
                conflict("just-ended", "the delivery has just ended; look at how"),
                conflict("event-expired", "the event's `expirytime` has passed"),
                Problem::new(StatusCode::GONE, "event-not-retained", "The event is no longer retained", not_retained),
            ]),
    ]
}
