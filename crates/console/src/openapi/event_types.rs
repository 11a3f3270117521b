//! Event types.

use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    event_type, nullable, object, one_of, optional, page, reference, says, text, time,
};
use fanfare_http::openapi::{Answer, Operation, Parameter, RequestBody};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Documented, MADE_AT, boolean, paging};
use crate::event_types::fields::{MAX_DESCRIPTION, MAX_TITLE};

const TAG: &str = "Event types";
const ALL: &str = "/v1/event-types";
const ONE: &str = "/v1/event-types/{type}";

pub(super) fn documented() -> Documented {
    (operations(), schemas())
}

fn words(most: usize) -> Value {
    let pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$";
    json!({"type": "string", "minLength": 1, "maxLength": most, "pattern": pattern})
}

fn sample() -> Value {
    json!({"type": ["object", "array"]})
}

fn data_schema() -> Value {
    json!({"type": ["object", "null"], "description": "JSON Schema of the data."})
}

fn own() -> Value {
    object([
        ("type", event_type()),
        ("scope", json!({"type": "null"})),
        ("title", words(MAX_TITLE)),
        ("description", nullable(words(MAX_DESCRIPTION))),
        ("source_pointer", json!({"type": "null"})),
        ("subject_pointer", json!({"type": "null"})),
        ("schema", data_schema()),
        ("sample", sample()),
        ("created_at", time()),
        ("updated_at", time()),
    ])
}

fn built_in() -> Value {
    object([
        ("type", event_type()),
        ("scope", one_of(&["number", "project"])),
        ("title", text()),
        ("description", text()),
        ("source_pointer", nullable(text())),
        ("subject_pointer", nullable(text())),
        ("schema", json!({"type": "object"})),
        ("sample", sample()),
    ])
}

fn schemas() -> Vec<(&'static str, Value)> {
    let settable = || {
        [
            ("title", words(MAX_TITLE)),
            ("description", nullable(words(MAX_DESCRIPTION))),
            ("schema", data_schema()),
            ("sample", says(sample(), "Data that meets the schema; tests of webhooks send it.")),
        ]
    };
    let mut new = optional(&["type", "title", "sample"], settable());
    new["properties"]["type"] = event_type();
    vec![
        ("OwnEventType", own()),
        ("BuiltInEventType", built_in()),
        ("EventType", json!({"oneOf": [reference("BuiltInEventType"), reference("OwnEventType")]})),
        ("EventTypePage", page(reference("EventType"))),
        ("NewEventType", new),
        ("EventTypeChanges", optional(&[], settable())),
    ]
}

fn example() -> Value {
    json!({"type": "order.paid", "scope": null, "title": "Order paid", "description": "An order was paid in full.",
        "source_pointer": null, "subject_pointer": null,
        "schema": {"type": "object", "required": ["order"], "properties": {"order": {"type": "integer"}}},
        "sample": {"order": 1, "total": 12.5}, "created_at": MADE_AT, "updated_at": MADE_AT})
}

fn built_in_refused() -> Problem {
    let detail = "whatsapp.message.received is one of the catalogue's types, which cannot be changed";
    Problem::new(StatusCode::CONFLICT, "built-in-event-type", "The type comes with Fanfare", detail)
}

fn operations() -> Vec<Operation> {
    let name = || [Parameter::path("type", event_type(), "The type's name.")];
    let no_type = || [Problem::not_found("event type")];
    let shown = example();
    let every_field = json!({"title": shown["title"], "description": shown["description"], "schema": shown["schema"],
        "sample": shown["sample"]});
    let mut all_of_it = every_field.clone();
    all_of_it["type"] = shown["type"].clone();
    let minimal = json!({"type": "stock.low", "title": "Stock is low", "sample": {}});
    let too_many = "a project has at most 500 event types of its own; delete one that is not needed any more";
    let same = [("type", "$request.path.type")];
    vec![
        Operation::new(Method::GET, ALL, "listEventTypes", TAG, "The catalogue's types, then the project's own")
            .with([Parameter::query("own", boolean(), "The project's own alone, or the catalogue's alone.")])
            .with(paging())
            .answering(
                Answer::json(200, "A page.", reference("EventTypePage"), json!({"data": [example()], "next": null}))
                    .linked(["listEventTypes"], &[("after", "$response.body#/next")])
                    .linked(["getEventType"], &[("type", "$response.body#/data/0/type")]),
            ),
        Operation::new(Method::POST, ALL, "createEventType", TAG, "Make a type of the project's own")
            .reading(RequestBody::json(
                reference("NewEventType"),
                vec![("minimal", minimal), ("every field", all_of_it)],
            ))
            .answering(
                Answer::json(201, "The type.", reference("OwnEventType"), example())
                    .header("Location", "Its path.")
                    .linked(
                        ["getEventType", "updateEventType", "deleteEventType"],
                        &[("type", "$response.body#/type")],
                    ),
            )
            .refusing([
                Problem::invalid("$.sample", "is required"),
                Problem::conflict(
                    "event-type-exists",
                    "there is a type order.paid already; change that one",
                    "order.paid",
                ),
                built_in_refused(),
                Problem::new(StatusCode::CONFLICT, "too-many-event-types", "There are too many event types", too_many),
                Problem::not_found("project"),
            ]),
        Operation::new(Method::GET, ONE, "getEventType", TAG, "A type, the catalogue's or the project's own")
            .with(name())
            .answering(Answer::json(200, "The type.", reference("EventType"), example()))
            .refusing(no_type()),
        Operation::new(Method::PATCH, ONE, "updateEventType", TAG, "Change a type of the project's own")
            .saying("Absent fields stay, null resets; `schema` and `sample` are replaced whole.")
            .with(name())
            .reading(RequestBody::json(
                reference("EventTypeChanges"),
                vec![("no schema", json!({"schema": null})), ("every field", every_field)],
            ))
            .answering(
                Answer::json(200, "The type as it is then.", reference("OwnEventType"), example())
                    .linked(["getEventType"], &same),
            )
            .refusing(no_type())
            .refusing([Problem::invalid("$.title", "must be a string, not a number"), built_in_refused()]),
        Operation::new(Method::DELETE, ONE, "deleteEventType", TAG, "Delete a type of the project's own")
            .saying("Events and webhooks of the type stay.")
            .with(name())
            .answering(Answer::nothing("Deleted.").linked(["getEventType"], &same))
            .refusing(no_type())
            .refusing([built_in_refused()]),
    ]
}
