//! What ingest says of itself for `GET /openapi.json`.

use fanfare_core::event::{MAX_BATCH_EVENTS, MAX_DATA_BYTES};
use fanfare_core::ids::EventId;
use fanfare_core::meta;
use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    and_maybe, event_id, event_type, list, nullable, object, one_of, reference, says, source, text, time,
};
use fanfare_http::openapi::{Answer, Content, Operation, Parameter, Part, RequestBody};
use fanfare_http::problem::FieldError;
use http::Method;
use serde_json::{Value, json};

use crate::form::Form;
use crate::publish::over_quota;
use crate::{answer, routes};

/// See the [module](self).
pub(crate) fn part() -> Part {
    Part { routes: routes(), operations: vec![publish()], schemas: schemas() }
}

fn schemas() -> Vec<(&'static str, Value)> {
    let extension = json!({"type": ["string", "boolean", "integer", "null"], "description": "An extension attribute.",
        "minimum": i32::MIN, "maximum": i32::MAX});
    let data = says(json!({"type": ["object", "array"]}), "At most 256 KiB.");
    let attributes = json!({
        "specversion": {"type": ["string", "null"], "enum": ["1.0", null]},
        "id": says(nullable(event_id()), "The idempotency key; made up if not given."),
        "type": event_type(),
        "source": nullable(source()),
        "subject": nullable(source()),
        "time": nullable(time()),
        "expirytime": says(nullable(time()), "Not to be delivered after this."),
        "datacontenttype": says(nullable(text()), "JSON, if given."),
    });
    // The two ways of the data, each without the other.
    let absent = json!({"type": "null"});
    let mut plain = attributes.clone();
    plain["type"]["not"] = json!({"const": meta::RAW_TYPE});
    (plain["data"], plain["data_base64"]) = (data, absent.clone());
    let mut raw = attributes;
    raw["type"] = json!({"type": "string", "const": meta::RAW_TYPE});
    raw["data_base64"] = json!({"type": "string", "minLength": 4, "contentEncoding": "base64"});
    raw["data"] = absent;
    let event = |properties: Value, data: &str| {
        json!({"type": "object", "required": ["type", data], "properties": properties,
            "propertyNames": {"pattern": "^(?:[a-z0-9]+|data_base64)$"}, "additionalProperties": extension})
    };
    let events = json!({"type": "array", "maxItems": MAX_BATCH_EVENTS, "items": reference("NewEvent")});
    let kept = || object([("id", event_id()), ("status", one_of(&["accepted", "duplicate"]))]);
    let error = object([("code", text()), ("detail", text()), ("field", text())]);
    let rejected = object([("status", one_of(&["rejected"])), ("error", error)]);
    let rejected = and_maybe(rejected, [("id", event_id())]);
    let result = json!({"oneOf": [kept(), rejected]});
    vec![
        ("NewEvent", json!({"anyOf": [event(plain, "data"), event(raw, "data_base64")]})),
        ("NewEvents", says(events, "At most 8 MiB in all.")),
        ("Published", kept()),
        ("PublishedBatch", object([("results", list(kept()))])),
        ("PublishedInPart", object([("results", list(result))])),
    ]
}

/// The attributes of binary mode. What each may be is as in the body of structured mode.
fn headers() -> [Parameter; 6] {
    [
        Parameter::header("ce-type", text(), "Binary mode: the event's type; the body is its data."),
        Parameter::header("ce-id", text(), "Binary mode: the event's id."),
        Parameter::header("ce-source", text(), "Binary mode: what it is about."),
        Parameter::header("ce-subject", text(), "Binary mode: the ordering key."),
        Parameter::header("ce-time", text(), "Binary mode: when it happened."),
        Parameter::header("ce-expirytime", text(), "Binary mode: not to be delivered after this."),
    ]
}

fn publish() -> Operation {
    let minimal = json!({"type": "order.paid", "data": {"order": 1}});
    let whole = json!({"specversion": "1.0", "id": "order-1", "type": "order.paid", "source": "eu", "subject": "customer-7",
        "time": "2026-11-02T09:30:00Z", "expirytime": "2036-11-02T09:30:00Z", "datacontenttype": "application/json",
        "region": "eu", "data": {"order": 1, "total": 12.5}});
    let raw = json!({"type": meta::RAW_TYPE, "source": "100200300400500", "data_base64": "e30="});
    let batch = json!([{"id": "order-2", "type": "order.paid", "data": {"order": 2}}]);
    let one =
        || vec![("minimal", minimal.clone()), ("every attribute", whole.clone()), ("a raw Meta body", raw.clone())];
    let either = json!({"anyOf": [reference("NewEvent"), reference("NewEvents")]});
    let mut examples = one();
    examples.push(("a batch", batch.clone()));
    let contents = vec![
        Content { media_type: "application/json", schema: either, examples },
        Content { media_type: "application/cloudevents+json", schema: reference("NewEvent"), examples: one() },
        Content {
            media_type: "application/cloudevents-batch+json",
            schema: reference("NewEvents"),
            examples: vec![("a batch", batch)],
        },
    ];
    let accepted = json!({"anyOf": [reference("Published"), reference("PublishedBatch")]});
    let in_part = json!({"results": [{"id": "order-2", "status": "accepted"},
        {"status": "rejected", "error": {"code": "invalid-request", "detail": "required", "field": "$[1].type"}}]});
    let too_large = FieldError::new("$.data", format!("may have at most {MAX_DATA_BYTES} bytes (256 KiB)"));
    let unknown = "is not a known event type, and this project accepts no others: see GET /v1/event-types";
    let broken = "does not meet the type's schema: \"order\" is a required property";
    let mut refused = vec![
        Problem::invalid("$.type", "required"),
        Form::One.too_large(),
        Problem::too_large(too_large),
        Problem::unprocessable("unknown-event-type", vec![FieldError::new("$.type", unknown)]),
        Problem::unprocessable("schema-violation", vec![FieldError::new("$.data", broken)]),
        over_quota(1),
    ];
    refused.extend(EventId::new("order-1").map(|id| answer::conflict(&id, "$.id".to_owned())));
    Operation::new(Method::POST, "/v1/events", "publishEvents", "Events", "Publish an event, or a batch of up to 500")
        .saying(
            "CloudEvents 1.0, structured or in batches; with `ce-*` headers in binary mode, in which the body is the data, of \
             any form. Answered once it is durable. The same id again with the same content is a `duplicate`.",
        )
        .with(headers())
        .reading(RequestBody { required: true, contents })
        .answering(
            Answer::json(202, "Kept, as a whole.", accepted, json!({"id": "order-1", "status": "accepted"}))
                .linked(["getEvent"], &[("id", "$response.body#/id")])
                .linked(["listDeliveries"], &[("event_id", "$response.body#/id")]),
        )
        .answering(Answer::json(207, "Some of a batch was rejected.", reference("PublishedInPart"), in_part))
        .refusing(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingest_alone_has_its_own_routes_and_links_to_no_others() {
        let document = fanfare_http::openapi::document("0.0.0", &[part()]);
        let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["/v1/events"]);
        let accepted = &document["paths"]["/v1/events"]["post"]["responses"]["202"];
        assert!(accepted.is_object() && accepted.get("links").is_none(), "{accepted}");
    }
}
