//! Events as they are read.

use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    and_maybe, count, event_id, event_type, list, nullable, object, one_of, reference, source, text, time, uuid,
};
use fanfare_http::openapi::{Answer, Operation, Parameter};
use http::Method;
use serde_json::{Value, json};

use super::{Documented, MADE_AT};

const TAG: &str = "Events";

pub(super) fn documented() -> Documented {
    (operations(), schemas())
}

fn schemas() -> Vec<(&'static str, Value)> {
    let reason = one_of(&["not_yet_created", "inactive", "type", "source", "filter"]);
    let non_match = object([("webhook_id", uuid()), ("reason", reason)]);
    let non_match = and_maybe(non_match, [("condition", nullable(text()))]);
    let event = object([
        ("id", event_id()),
        ("type", event_type()),
        ("source", nullable(source())),
        ("subject", nullable(source())),
        ("time", time()),
        ("expirytime", nullable(time())),
        ("accepted_at", time()),
        ("extensions", json!({"type": "object", "additionalProperties": {"type": ["string", "boolean", "integer"]}})),
        ("status", one_of(&["pending", "fanned_out", "not_recorded"])),
        ("fanned_out_at", nullable(time())),
        ("data_bytes", count()),
        ("data", json!({"type": ["object", "array", "null"]})),
        ("deliveries", list(reference("Delivery"))),
        ("deliveries_total", count()),
        ("non_matches", list(non_match)),
        ("non_matches_total", count()),
    ]);
    vec![("Event", and_maybe(event, [("note", text()), ("data_base64", text())]))]
}

fn operations() -> Vec<Operation> {
    let example = json!({"id": "order-1", "type": "order.paid", "source": null, "subject": null, "time": MADE_AT,
        "expirytime": null, "accepted_at": MADE_AT, "extensions": {}, "status": "pending", "fanned_out_at": null,
        "data_bytes": 24, "data": {"order": 1, "total": 12.5}, "deliveries": [], "deliveries_total": 0, "non_matches": [],
        "non_matches_total": 0});
    vec![
        Operation::new(Method::GET, "/v1/events/{id}", "getEvent", TAG, "An event, and what became of it")
            .with([Parameter::path("id", event_id(), "The event's id.")])
            .answering(
                Answer::json(200, "The event.", reference("Event"), example)
                    .linked(["getDelivery"], &[("id", "$response.body#/deliveries/0/id")]),
            )
            .refusing([Problem::not_found("event")]),
    ]
}
