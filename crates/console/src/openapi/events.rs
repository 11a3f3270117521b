//! Events as they are read.

use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    and_maybe, count, event_id, event_type, list, nullable, object, one_of, page, reference, source, text, time, uuid,
};
use fanfare_http::openapi::{Answer, Operation, Parameter};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Documented, MADE_AT, paging};

const TAG: &str = "Events";

pub(super) fn documented() -> Documented {
    (operations(), schemas())
}

fn extensions() -> Value {
    json!({"type": "object", "additionalProperties": {"type": ["string", "boolean", "integer"]}})
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
        ("extensions", extensions()),
        ("status", one_of(&["pending", "fanned_out", "not_recorded"])),
        ("fanned_out_at", nullable(time())),
        ("data_bytes", count()),
        ("data", json!({"type": ["object", "array", "null"]})),
        ("deliveries", list(reference("Delivery"))),
        ("deliveries_total", count()),
        ("non_matches", list(non_match)),
        ("non_matches_total", count()),
    ]);
    let listed = object([
        ("id", event_id()),
        ("type", event_type()),
        ("source", nullable(source())),
        ("subject", nullable(source())),
        ("time", time()),
        ("expirytime", nullable(time())),
        ("accepted_at", time()),
        ("extensions", extensions()),
        ("status", one_of(&["fanned_out"])),
        ("fanned_out_at", time()),
        ("data_bytes", count()),
        ("deliveries_total", count()),
    ]);
    vec![
        ("Event", and_maybe(event, [("note", text()), ("data_base64", text())])),
        ("ListedEvent", listed),
        ("EventPage", page(reference("ListedEvent"))),
    ]
}

fn operations() -> Vec<Operation> {
    let example = json!({"id": "order-1", "type": "order.paid", "source": null, "subject": null, "time": MADE_AT,
        "expirytime": null, "accepted_at": MADE_AT, "extensions": {}, "status": "pending", "fanned_out_at": null,
        "data_bytes": 24, "data": {"order": 1, "total": 12.5}, "deliveries": [], "deliveries_total": 0, "non_matches": [],
        "non_matches_total": 0});
    let listed = json!({"id": "order-1", "type": "order.paid", "source": null, "subject": null, "time": MADE_AT,
        "expirytime": null, "accepted_at": MADE_AT, "extensions": {}, "status": "fanned_out", "fanned_out_at": MADE_AT,
        "data_bytes": 24, "deliveries_total": 2});
    let its_id = || [Parameter::path("id", event_id(), "The event's id.")];
    let pending = "the delivery log does not know yet where the event went; it can be deleted once it does";
    vec![
        Operation::new(
            Method::GET,
            "/v1/events",
            "listEvents",
            TAG,
            "Events that have been fanned out, most recent first",
        )
        .with([
            Parameter::query("type", event_type(), "Only of this type."),
            Parameter::query("source", source(), "Only of this source."),
            Parameter::query("subject", source(), "Only of this subject."),
            Parameter::query("since", time(), "Only accepted at this time or later."),
            Parameter::query("until", time(), "Only accepted before this time."),
        ])
        .with(paging())
        .answering(
            Answer::json(200, "A page.", reference("EventPage"), json!({"data": [listed], "next": null}))
                .linked(["listEvents"], &[("after", "$response.body#/next")])
                .linked(["getEvent"], &[("id", "$response.body#/data/0/id")]),
        )
        .refusing([Problem::invalid("since", "must be before `until`")]),
        Operation::new(Method::DELETE, "/v1/events/{id}", "deleteEvent", TAG, "Erase an event's data")
            .saying("The lines of its deliveries stay; those that had not ended are discarded.")
            .with(its_id())
            .answering(Answer::nothing("Deleted.").linked(["getEvent"], &[("id", "$request.path.id")]))
            .refusing([
                Problem::not_found("event"),
                Problem::new(StatusCode::CONFLICT, "event-pending", "The event is not fanned out yet", pending),
            ]),
        Operation::new(Method::GET, "/v1/events/{id}", "getEvent", TAG, "An event, and what became of it")
            .with(its_id())
            .answering(
                Answer::json(200, "The event.", reference("Event"), example)
                    .linked(["getDelivery"], &[("id", "$response.body#/deliveries/0/id")])
                    .linked(["deleteEvent"], &[("id", "$response.body#/id")]),
            )
            .refusing([Problem::not_found("event")]),
    ]
}
