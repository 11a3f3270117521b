//! A webhook as Kapso's clients send it, translated into the fields of `/v1`, which check it.

use axum::body::Body;
use fanfare_core::payload;
use fanfare_core::webhook::WebhookKind;
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::input::body::{kind, truth};
use crate::input::{Object, Wrong};

/// The key that everything is under.
const ENVELOPE: &str = "whatsapp_webhook";
/// What reads show and clients may send back; not theirs to set.
const READ_ONLY: [&str; 4] = ["id", "project_id", "created_at", "updated_at"];
/// What may be set.
const SETTABLE: [&str; 13] = [
    "url",
    "kind",
    "events",
    "active",
    "headers",
    "payload_version",
    "secret_key",
    "phone_number_id",
    "buffer_enabled",
    "buffer_window_seconds",
    "max_buffer_size",
    "buffer_events",
    "inactivity_minutes",
];

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A new webhook.
    Create,
    /// A change of one of this kind.
    Update(WebhookKind),
}

/// The fields of a request.
pub(super) struct Fields {
    /// As `/v1` has them, but for the secret of a change.
    pub(super) object: Object,
    /// A new secret for a webhook that has one.
    pub(super) secret: Option<Value>,
}

/// Reads a request's body. With `number`, the path's phone number, the webhook is of that number.
///
/// # Errors
/// 400 without the envelope or for what is no JSON, 413, 415, 422 with every field that cannot be honoured.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    purpose: Purpose,
    number: Option<&str>,
) -> Result<Fields, Problem> {
    let body = Object::read(headers, body, limit).await?;
    let given = match body.field(ENVELOPE) {
        Some(Value::Object(given)) => given,
        Some(_) | None => {
            let detail = format!("send the webhook's fields as an object under `{ENVELOPE}`");
            let title = "A parameter is missing";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "missing-parameter", title, detail));
        }
    };
    translate(given, purpose, number)
}

fn translate(given: &Map<String, Value>, purpose: Purpose, number: Option<&str>) -> Result<Fields, Problem> {
    let mut wrong = Wrong::new();
    let mut fields = Map::new();
    let mut secret = None;
    let of_kind_meta = match purpose {
        Purpose::Create => given.get("kind").and_then(Value::as_str) == Some(WebhookKind::Meta.as_str()),
        Purpose::Update(kind) => kind == WebhookKind::Meta,
    };
    for (name, value) in given {
        let at = format!("$.{name}");
        match (name.as_str(), purpose) {
            // What it gets does not depend on them.
            ("events", _) if of_kind_meta => {}
            ("events", _) => drop(fields.insert("events".to_owned(), events(value))),
            ("secret_key", Purpose::Create) => drop(fields.insert("secret".to_owned(), value.clone())),
            // Masked or left out in reads, so null is what a client sends back.
            ("secret_key", Purpose::Update(_)) => secret = Some(value.clone()).filter(|value| !value.is_null()),
            ("phone_number_id", _) => drop(fields.insert("source".to_owned(), value.clone())),
            ("buffer_enabled", _) => buffering(value, &mut wrong),
            ("buffer_window_seconds", _) => within(value, 60, &at, &mut wrong),
            ("max_buffer_size", _) => within(value, 100, &at, &mut wrong),
            ("buffer_events", _) => {
                if !(value.is_null() || value.is_array()) {
                    wrong.at(at, format!("must be an array of event types, not {}", kind(value)));
                }
            }
            ("url" | "kind" | "active" | "headers" | "payload_version" | "inactivity_minutes", _) => {
                fields.insert(name.clone(), value.clone());
            }
            (name, _) if READ_ONLY.contains(&name) => {}
            (name, _) => wrong.unknown(at, name, &SETTABLE),
        }
    }
    if let Some(number) = number {
        match fields.insert("source".to_owned(), number.into()) {
            None | Some(Value::Null) => {}
            Some(Value::String(same)) if same == number => {}
            Some(_) => wrong.at("$.phone_number_id", "is not the phone number of the path"),
        }
    }
    wrong.refuse()?;
    Ok(Fields { object: Object::of(fields), secret })
}

/// The subscriptions, by their names in v2.
fn events(value: &Value) -> Value {
    let Value::Array(items) = value else { return value.clone() };
    let in_v2 = |item: &Value| {
        let renamed = item.as_str().and_then(payload::type_named_in_v1);
        renamed.map_or_else(|| item.clone(), |event_type| event_type.as_str().into())
    };
    Value::Array(items.iter().map(in_v2).collect())
}

/// Buffering is refused while it is not there: a webhook that is told it has it would get what it does not expect.
fn buffering(value: &Value, wrong: &mut Wrong) {
    match truth(value) {
        Ok(true) => wrong.at("$.buffer_enabled", "cannot be true: buffering is not available yet"),
        Ok(false) => {}
        Err(_) if value.is_null() => {}
        Err(message) => wrong.at("$.buffer_enabled", message),
    }
}

/// The bounds of a buffer, which are checked and have no effect while there is none.
fn within(value: &Value, most: u64, at: &str, wrong: &mut Wrong) {
    let allowed = value.is_null() || value.as_u64().is_some_and(|number| (1..=most).contains(&number));
    if !allowed {
        wrong.at(at, format!("must be a whole number from 1 to {most}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn translated(given: &Value, purpose: Purpose, number: Option<&str>) -> Result<Value, Vec<String>> {
        let given = given.as_object().unwrap();
        match translate(given, purpose, number) {
            Ok(fields) => {
                let fields = fields.object.fields().map(|(name, value)| (name.to_owned(), value.clone()));
                Ok(Value::Object(fields.collect()))
            }
            Err(problem) => Err(problem.errors.into_iter().map(|error| error.field).collect()),
        }
    }

    #[test]
    fn names_are_translated_and_what_reads_show_may_be_sent_back() {
        let given = json!({"id": "x", "url": "u", "events": ["whatsapp.config.created", "a", 7], "secret_key": "s",
            "phone_number_id": "1", "buffer_enabled": false, "buffer_window_seconds": null, "max_buffer_size": 50,
            "buffer_events": [], "project_id": "p", "created_at": "t", "updated_at": "t", "inactivity_minutes": null});
        let expected = json!({"url": "u", "events": ["whatsapp.phone_number.created", "a", 7], "secret": "s",
            "source": "1", "inactivity_minutes": null});
        assert_eq!(translated(&given, Purpose::Create, None), Ok(expected));
        let of_meta = json!({"kind": "meta", "events": ["whatsapp.message.received"]});
        assert_eq!(translated(&of_meta, Purpose::Create, Some("1")), Ok(json!({"kind": "meta", "source": "1"})));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let update = Purpose::Update(WebhookKind::Kapso);
        for (given, field) in [
            (json!({"buffer_enabled": true}), "$.buffer_enabled"),
            (json!({"buffer_enabled": "yes"}), "$.buffer_enabled"),
            (json!({"buffer_window_seconds": 61}), "$.buffer_window_seconds"),
            (json!({"max_buffer_size": 0}), "$.max_buffer_size"),
            (json!({"buffer_events": "x"}), "$.buffer_events"),
            (json!({"urll": "x"}), "$.urll"),
            (json!({"phone_number_id": "2"}), "$.phone_number_id"),
            (json!({"phone_number_id": 1}), "$.phone_number_id"),
        ] {
            for purpose in [Purpose::Create, update] {
                assert_eq!(translated(&given, purpose, Some("1")), Err(vec![field.to_owned()]), "{given}");
            }
        }
    }
}
