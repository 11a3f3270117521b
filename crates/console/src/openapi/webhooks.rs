//! Webhooks, and the preview of filters.

use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    and, and_maybe, count, event_type, list, nullable, object, one_of, optional, page, reference, says, source, text,
    time, truth, uuid, whole,
};
use fanfare_http::openapi::{Answer, Operation, RequestBody};
use fanfare_http::problem::FieldError;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Documented, MADE_AT, WEBHOOK_ID, id, paging};
use crate::webhooks::fields::{MAX_DESCRIPTION, MAX_EVENTS, MAX_URL};
use crate::webhooks::headers::{MASK, MAX_HEADERS};
use crate::webhooks::rotate::MAX_OVERLAP_SECONDS;

const TAG: &str = "Webhooks";
const ALL: &str = "/v1/webhooks";
const ONE: &str = "/v1/webhooks/{id}";
/// What can be done with a webhook that is there.
const WITH_ONE: [&str; 7] = [
    "getWebhook",
    "updateWebhook",
    "testWebhook",
    "activateWebhook",
    "getWebhookSecret",
    "rotateWebhookSecret",
    "deleteWebhook",
];
/// The same without an end to it, for webhooks that others may still want.
const READS: [&str; 1] = ["getWebhook"];

pub(super) fn documented() -> Documented {
    (operations(), schemas())
}

/// An event type, or one in which whole segments are wildcards.
pub(super) fn pattern() -> Value {
    let pattern = r"^(?:(?:[A-Za-z0-9_-]+|\*)\.){0,15}(?:[A-Za-z0-9_-]+|\*|\*\*)$";
    let says_what = "An event type; any whole segment may be `*`, and the last one `**`.";
    json!({"type": "string", "description": says_what, "maxLength": 256, "pattern": pattern})
}

/// A URL that webhooks may have.
pub(super) fn url() -> Value {
    let pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s#@\\]+$";
    let says_what = "https to a public address; the operator can allow others.";
    json!({"type": "string", "description": says_what, "maxLength": MAX_URL, "pattern": pattern})
}

/// Own headers.
pub(super) fn headers() -> Value {
    let name = json!({"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"});
    let value = json!({"type": "string", "maxLength": 4096});
    let says_what =
        format!("Headers of its own. Reads show `{MASK}` for each value, which keeps it when it is sent back.");
    json!({"type": "object", "description": says_what, "maxProperties": MAX_HEADERS, "propertyNames": name,
        "additionalProperties": value})
}

/// A signing secret of one's own.
pub(super) fn secret() -> Value {
    json!({"type": "string", "minLength": 8, "maxLength": 256, "pattern": "^[!-~][ -~]*[!-~]$"})
}

pub(super) fn kind() -> Value {
    one_of(&["kapso", "meta"])
}

pub(super) fn payload_version() -> Value {
    one_of(&["v1", "v2"])
}

pub(super) fn inactivity_minutes() -> Value {
    says(nullable(whole(1, 1440)), "After how long a conversation is inactive for it.")
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
        ("state", one_of(&["healthy", "failing", "paused"])),
        ("paused_at", nullable(time())),
        ("paused_reason", nullable(one_of(&["gone", "owner"]))),
        ("headers", headers()),
        ("payload_version", payload_version()),
        ("retry_schedule", retry_schedule()),
        ("timeout_seconds", whole(1, 30)),
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
            ("inactivity_minutes", inactivity_minutes()),
        ],
    )
}

fn schemas() -> Vec<(&'static str, Value)> {
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

fn example() -> Value {
    json!({"id": WEBHOOK_ID, "url": "https://shop.example/hooks", "kind": "kapso", "events": ["order.*"], "source": null,
        "filter": {"total": [{"numeric": [">", 10]}]}, "description": "Orders", "active": true, "state": "healthy",
        "paused_at": null, "paused_reason": null, "headers": {"X-Tenant": MASK}, "payload_version": "v2",
        "retry_schedule": "standard", "timeout_seconds": 10, "inactivity_minutes": null, "secret_last4": "c2U=",
        "previous_secret_until": null, "created_at": MADE_AT, "updated_at": MADE_AT})
}

fn with(mut value: Value, fields: &Value) -> Value {
    for (name, field) in fields.as_object().into_iter().flatten() {
        value[name] = field.clone();
    }
    value
}

fn every_field() -> Value {
    json!({"url": "https://shop.example/hooks", "kind": "kapso", "events": ["order.*"], "source": "eu",
        "filter": {"total": [{"numeric": [">", 10]}]}, "description": "Orders", "active": true,
        "headers": {"X-Tenant": "blue"}, "payload_version": "v2", "retry_schedule": [5, 60, 3600], "timeout_seconds": 5,
        "inactivity_minutes": 30})
}

fn conflict(code: &'static str, detail: &str) -> Problem {
    Problem::conflict(code, detail, WEBHOOK_ID)
}

/// What is wrong with a field, and what stands in the way of the whole, on create and update.
fn clashes() -> Vec<Problem> {
    let version = "takes in whatsapp.call.received, which needs payload version v2; this webhook is to have v1";
    vec![
        Problem::invalid("$.url", "must be a string, not a number"),
        conflict("webhook-exists", "another webhook has this source and URL already; change that one"),
        conflict("meta-webhook-exists", "another webhook of kind meta has this number already; there is at most one"),
        Problem::unprocessable("payload-version-v2-needed", vec![FieldError::new("$.events[0]", version)]),
        Problem::unprocessable("meta-webhook", vec![FieldError::new("$.source", "is required with kind `meta`")]),
    ]
}

pub(super) fn too_many_webhooks() -> Problem {
    let detail = "a project has at most 100000 webhooks; delete one that is not needed any more";
    Problem::new(StatusCode::CONFLICT, "too-many-webhooks", "There are too many webhooks", detail)
}

/// What a test is refused with.
pub(super) fn untestable() -> [Problem; 4] {
    let field = |message| vec![FieldError::new("$.event_type", message)];
    [
        Problem::invalid("$.event_type", "must be a string, not a number"),
        Problem::unprocessable("not-subscribed", field("the webhook is not subscribed to this type; see its `events`")),
        Problem::unprocessable(
            "event-type-needed",
            field("the webhook subscribes to patterns that no known type matches"),
        ),
        Problem::too_many_requests("4 test deliveries of this project are under way; wait for one to end", 1),
    ]
}

pub(super) fn test_result() -> Value {
    json!({"data": {"success": true, "status_code": 200, "latency_ms": 41, "error": null, "response_body": "ok"}})
}

fn operations() -> Vec<Operation> {
    let (get, post) = (Method::GET, Method::POST);
    let no_webhook = || [Problem::not_found("webhook")];
    let its_id = || [id("The webhook's id.")];
    let from_body = [("id", "$response.body#/id")];
    let same = [("id", "$request.path.id")];
    let minimal = json!({"url": "https://shop.example/hooks", "events": ["order.paid"]});
    let of_meta = json!({"url": "https://shop.example/meta", "kind": "meta", "source": "100200300400500"});
    let new = vec![
        ("minimal", minimal),
        ("every field", with(every_field(), &json!({"secret": "a secret of its own"}))),
        ("raw Meta bodies", of_meta),
    ];
    let made = with(example(), &json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwc2U=", "warnings": []}));
    let changes = vec![("paused by its owner", json!({"active": false})), ("every field", every_field())];
    let tests = vec![("first of its types", json!({})), ("a type", json!({"event_type": "order.paid"}))];
    let rotations = vec![
        ("generated", json!({})),
        ("own", json!({"secret": "another secret of its own", "overlap_seconds": 3600})),
    ];
    let previews = vec![
        ("data", json!({"filter": {"total": [{"numeric": [">", 10]}]}, "data": {"total": 12.5}})),
        (
            "the sample of a type",
            json!({"filter": {"message": {"type": ["text"]}}, "event_type": "whatsapp.message.received"}),
        ),
    ];
    let listed = json!({"data": [example()], "next": null});
    let schema = reference;
    vec![
        Operation::new(get.clone(), ALL, "listWebhooks", TAG, "The project's webhooks, oldest first")
            .with(paging())
            .answering(
                Answer::json(200, "A page.", schema("WebhookPage"), listed)
                    .linked(["listWebhooks"], &[("after", "$response.body#/next")])
                    .linked(READS, &[("id", "$response.body#/data/0/id")]),
            ),
        Operation::new(post.clone(), ALL, "createWebhook", TAG, "Make a webhook")
            .saying("From the answer on, every event accepted is matched against it.")
            .reading(RequestBody::json(schema("NewWebhook"), new))
            .answering(
                Answer::json(201, "The webhook, with its secret.", schema("MadeWebhook"), made.clone())
                    .header("Location", "Its path.")
                    .linked(WITH_ONE, &from_body),
            )
            .refusing(clashes())
            .refusing([too_many_webhooks(), Problem::not_found("project")]),
        Operation::new(get.clone(), ONE, "getWebhook", TAG, "A webhook")
            .with(its_id())
            .answering(Answer::json(200, "The webhook.", schema("Webhook"), example()))
            .refusing(no_webhook()),
        Operation::new(Method::PATCH, ONE, "updateWebhook", TAG, "Change a webhook")
            .saying("JSON merge patch: absent fields stay, null resets; `headers` and `filter` are replaced whole.")
            .with(its_id())
            .reading(RequestBody::json(schema("WebhookChanges"), changes))
            .answering(
                Answer::json(
                    200,
                    "The webhook as it is then.",
                    schema("ChangedWebhook"),
                    with(example(), &json!({"warnings": []})),
                )
                .linked(["getWebhook"], &same),
            )
            .refusing(no_webhook())
            .refusing(clashes()),
        Operation::new(Method::DELETE, ONE, "deleteWebhook", TAG, "Delete a webhook")
            .saying("Deliveries that have not ended are discarded.")
            .with(its_id())
            .answering(Answer::nothing("Deleted.").linked(["getWebhook"], &same))
            .refusing(no_webhook()),
        Operation::new(post.clone(), "/v1/webhooks/{id}/test", "testWebhook", TAG, "Send a sample at once")
            .with(its_id())
            .reading(RequestBody::json(schema("TestRequest"), tests).optional())
            .answering(Answer::json(
                200,
                "What came of it; also when the receiver failed.",
                schema("TestResult"),
                test_result(),
            ))
            .refusing(no_webhook())
            .refusing(untestable()),
        Operation::new(post.clone(), "/v1/webhooks/{id}/activate", "activateWebhook", TAG, "End a pause")
            .with(its_id())
            .answering(Answer::json(200, "The webhook as it is then.", schema("Webhook"), example()))
            .refusing(no_webhook()),
        Operation::new(get, "/v1/webhooks/{id}/secret", "getWebhookSecret", TAG, "The signing secret")
            .saying("Every read is in the audit log.")
            .with(its_id())
            .answering(Answer::json(200, "The secret.", schema("WebhookSecret"), json!({"secret": made["secret"]})))
            .refusing(no_webhook()),
        Operation::new(
            post.clone(),
            "/v1/webhooks/{id}/rotate-secret",
            "rotateWebhookSecret",
            TAG,
            "Replace the signing secret",
        )
        .saying("The old secret signs beside the new one for a while: 24 hours if not given.")
        .with(its_id())
        .reading(RequestBody::json(schema("Rotation"), rotations).optional())
        .answering(Answer::json(200, "The webhook, with the new secret.", schema("MadeWebhook"), made))
        .refusing(no_webhook())
        .refusing([Problem::invalid(
            "$.overlap_seconds",
            "must be a whole number of seconds from 0 to 604800 (7 days)",
        )]),
        Operation::new(post, "/v1/filters/preview", "previewFilter", TAG, "Whether a filter matches some data")
            .reading(RequestBody::json(schema("FilterPreview"), previews))
            .answering(Answer::json(
                200,
                "Whether it does, and if not, at which condition it ends.",
                schema("FilterResult"),
                json!({"matches": false, "failed_condition": "message.type"}),
            ))
            .refusing([Problem::invalid("$.filter", "is required")]),
    ]
}
