//! Webhooks, and the preview of filters.

pub(super) mod schemas;

use fanfare_http::Problem;
use fanfare_http::openapi::schema::reference;
use fanfare_http::openapi::{Answer, Operation, RequestBody};
use fanfare_http::problem::FieldError;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Documented, MADE_AT, WEBHOOK_ID, id, paging};
use crate::webhooks::headers::MASK;

const TAG: &str = "Webhooks";
const ALL: &str = "/v1/webhooks";
const ONE: &str = "/v1/webhooks/{id}";
/// What can be done with a webhook that is there.
const WITH_ONE: [&str; 8] = [
    "getWebhook",
    "getWebhookHealth",
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
    (operations(), schemas::schemas())
}

fn example() -> Value {
    json!({"id": WEBHOOK_ID, "url": "https://shop.example/hooks", "kind": "kapso", "events": ["order.*"], "source": null,
        "filter": {"total": [{"numeric": [">", 10]}]}, "description": "Orders", "active": true, "state": "healthy",
        "paused_at": null, "paused_reason": null, "headers": {"X-Tenant": MASK}, "payload_version": "v2",
        "retry_schedule": "standard", "timeout_seconds": 10, "rate_limit": null, "inactivity_minutes": null, "secret_last4": "c2U=",
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
        "rate_limit": {"count": 50, "period_seconds": 1, "burst": 10},
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
    let activations = vec![("at once", json!({})), ("slowly", json!({"release_rate": 20}))];
    let healthy = json!({"webhook_id": WEBHOOK_ID, "state": "failing", "failing_since": MADE_AT,
        "gate": {"reason": "breaker_open", "since": MADE_AT, "next_probe_at": MADE_AT, "failed_probes": 3,
            "release_rate": null}, "waiting": 120, "oldest_waiting_at": MADE_AT});
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
            .reading(RequestBody::json(schema("Activation"), activations).optional())
            .answering(Answer::json(200, "The webhook as it is then.", schema("Webhook"), example()))
            .refusing(no_webhook())
            .refusing([Problem::invalid("$.release_rate", "must be a whole number from 1 to 10000")]),
        Operation::new(
            get.clone(),
            "/v1/webhooks/{id}/health",
            "getWebhookHealth",
            TAG,
            "Whether it is served, and what waits",
        )
        .with(its_id())
        .answering(Answer::json(200, "Its health.", schema("WebhookHealth"), healthy))
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
