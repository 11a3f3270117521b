//! What webhooks are, as they are shown and as they are given.

use fanfare_core::rate_limit::RateLimit;
use fanfare_http::openapi::schema::{
    and, and_maybe, count, event_type, list, nullable, object, one_of, optional, page, reference, says, source, text,
    time, truth, uuid, whole,
};
use serde_json::{Value, json};

use crate::webhooks::fields::{MAX_DESCRIPTION, MAX_EVENTS, MAX_URL};
use crate::webhooks::headers::{MASK, MAX_HEADERS};
use crate::webhooks::rotate::MAX_OVERLAP_SECONDS;

/// An event type, or one in which whole segments are wildcards.
pub(in crate::openapi) fn pattern() -> Value {
    let pattern = r"^(?:(?:[A-Za-z0-9_-]+|\*)\.){0,15}(?:[A-Za-z0-9_-]+|\*|\*\*)$";
    let says_what = "An event type; any whole segment may be `*`, and the last one `**`.";
    json!({"type": "string", "description": says_what, "maxLength": 256, "pattern": pattern})
}

/// A URL that webhooks may have.
pub(in crate::openapi) fn url() -> Value {
    let pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s#@\\]+$";
    let says_what = "https to a public address; the operator can allow others.";
    json!({"type": "string", "description": says_what, "maxLength": MAX_URL, "pattern": pattern})
}

/// Own headers.
pub(in crate::openapi) fn headers() -> Value {
    let name = json!({"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"});
    let value = json!({"type": "string", "maxLength": 4096});
    let says_what =
        format!("Headers of its own. Reads show `{MASK}` for each value, which keeps it when it is sent back.");
    json!({"type": "object", "description": says_what, "maxProperties": MAX_HEADERS, "propertyNames": name,
        "additionalProperties": value})
}

/// A signing secret of one's own.
pub(in crate::openapi) fn secret() -> Value {
    json!({"type": "string", "minLength": 8, "maxLength": 256, "pattern": "^[!-~][ -~]*[!-~]$"})
}

pub(in crate::openapi) fn kind() -> Value {
    one_of(&["kapso", "meta"])
}

pub(in crate::openapi) fn payload_version() -> Value {
    one_of(&["v1", "v2"])
}

pub(in crate::openapi) fn inactivity_minutes() -> Value {
    says(nullable(whole(1, 1440)), "After how long a conversation is inactive for it.")
}

fn rate_limit() -> [(&'static str, Value); 3] {
    [
        ("count", whole(1, RateLimit::MOST_COUNT.into())),
        ("period_seconds", whole(1, RateLimit::LONGEST_PERIOD_SECONDS.into())),
        ("burst", whole(1, RateLimit::MOST_BURST.into())),
    ]
}

fn health() -> Value {
    let reasons = ["paused", "releasing", "congested", "breaker_open", "rate_limit"];
    let gate = object([
        ("reason", one_of(&reasons)),
        ("since", nullable(time())),
        ("next_probe_at", nullable(time())),
        ("failed_probes", nullable(count())),
        ("release_rate", nullable(whole(1, RateLimit::MOST_COUNT.into()))),
    ]);
    object([
        ("webhook_id", uuid()),
        ("state", state()),
        ("failing_since", nullable(time())),
        ("gate", says(nullable(gate), "What holds its deliveries; null while nothing does.")),
        ("waiting", count()),
        ("oldest_waiting_at", nullable(time())),
    ])
}

fn state() -> Value {
    one_of(&["healthy", "failing", "paused"])
}

fn retry_schedule() -> Value {
    let own = json!({"type": "array", "minItems": 1, "maxItems": 20, "items": whole(1, 86_400)});
    json!({"description": "A preset, or delays in seconds.", "anyOf": [one_of(&["standard", "kapso"]), own]})
}

fn description() -> Value {
    json!({"type": "string", "maxLength": MAX_DESCRIPTION})
}

fn webhook() -> Value {
    object([
        ("id", uuid()),
        ("url", url()),
        ("kind", kind()),
        ("events", list(pattern())),
        ("source", nullable(source())),
        ("filter", nullable(reference("Filter"))),
        ("description", nullable(description())),
        ("active", truth()),
        ("state", state()),
        ("paused_at", nullable(time())),
        ("paused_reason", nullable(one_of(&["gone", "failing", "owner"]))),
        ("headers", headers()),
        ("payload_version", payload_version()),
        ("retry_schedule", retry_schedule()),
        ("timeout_seconds", whole(1, 30)),
        ("rate_limit", nullable(object(rate_limit()))),
        ("inactivity_minutes", inactivity_minutes()),
        ("secret_last4", text()),
        ("previous_secret_until", nullable(time())),
        ("created_at", time()),
        ("updated_at", time()),
    ])
}

/// What create and update take alike.
fn settable() -> Value {
    let events = json!({"type": "array", "maxItems": MAX_EVENTS, "uniqueItems": true, "items": pattern()});
    optional(
        &[],
        [
            ("url", url()),
            ("kind", says(nullable(kind()), "Cannot be changed.")),
            ("events", events),
            ("source", says(nullable(source()), "Only events of this source.")),
            ("filter", nullable(reference("Filter"))),
            ("description", nullable(description())),
            ("active", truth()),
            ("headers", nullable(headers())),
            ("payload_version", nullable(payload_version())),
            ("retry_schedule", nullable(retry_schedule())),
            ("timeout_seconds", nullable(whole(1, 30))),
            ("rate_limit", nullable(optional(&["count"], rate_limit()))),
            ("inactivity_minutes", inactivity_minutes()),
        ],
    )
}

/// All of them.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let mut new = and_maybe(settable(), [("active", nullable(truth())), ("secret", nullable(secret()))]);
    new["required"] = json!(["url"]);
    let events = json!({"required": ["events"], "properties": {"events": {"minItems": 1}}});
    let of_meta = json!({"required": ["kind"], "properties": {"kind": {"const": "meta"}}});
    new["anyOf"] = json!([events, of_meta]);
    let warnings = || ("warnings", says(list(text()), "What is allowed, and probably not meant."));
    let shown = || ("secret", says(text(), "The signing secret."));
    let tested = object([
        ("success", truth()),
        ("status_code", nullable(whole(100, 999))),
        ("latency_ms", count()),
        ("error", nullable(text())),
        ("response_body", nullable(text())),
    ]);
    let filter = "Conditions on an event's data, in the event-pattern form of AWS EventBridge.";
    let preview =
        json!({"data": {"type": ["object", "array"]}, "event_type": event_type(), "filter": reference("Filter")});
    let either = json!([{"required": ["data"]}, {"required": ["event_type"]}]);
    let preview = json!({"type": "object", "required": ["filter"], "properties": preview, "oneOf": either,
        "additionalProperties": false});
    vec![
        ("Filter", json!({"type": "object", "minProperties": 1, "description": filter})),
        ("FilterPreview", preview),
        ("FilterResult", object([("matches", truth()), ("failed_condition", nullable(text()))])),
        ("Webhook", webhook()),
        ("WebhookPage", page(reference("Webhook"))),
        ("NewWebhook", new),
        ("MadeWebhook", and(webhook(), [shown(), warnings()])),
        ("WebhookChanges", settable()),
        ("ChangedWebhook", and(webhook(), [warnings()])),
        ("WebhookSecret", object([shown()])),
        ("WebhookHealth", health()),
        ("Activation", optional(&[], [("release_rate", nullable(whole(1, RateLimit::MOST_COUNT.into())))])),
        ("TestRequest", optional(&[], [("event_type", nullable(event_type()))])),
        ("TestResult", object([("data", tested)])),
        (
            "Rotation",
            optional(
                &[],
                [
                    ("secret", says(nullable(secret()), "A secret of one's own; one is generated if not given.")),
                    (
                        "overlap_seconds",
                        says(nullable(whole(0, MAX_OVERLAP_SECONDS)), "For how long the old one signs, too."),
                    ),
                ],
            ),
        ),
    ]
}
