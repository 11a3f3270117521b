//! The paths that Kapso's clients know.

use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    count, event_type, list, nullable, object, one_of, optional, reference, says, source, text, time, truth, uuid,
    whole,
};
use fanfare_http::openapi::{Answer, Operation, Parameter, RequestBody};
use fanfare_http::problem::FieldError;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::webhooks::schemas as fields;
use super::{DELIVERY_ID, Documented, MADE_AT, WEBHOOK_ID, boolean, id, webhooks};
use crate::kapso::errors::FORM;
use crate::kapso::pages::MAX_PER_PAGE;

const TAG: &str = "Kapso";
const ANY: &str = "/platform/v1/whatsapp/webhooks";
const ONE_OF_ANY: &str = "/platform/v1/whatsapp/webhooks/{id}";
const OF_NUMBER: &str = "/platform/v1/whatsapp/phone_numbers/{phone_number_id}/webhooks";
const ONE_OF_NUMBER: &str = "/platform/v1/whatsapp/phone_numbers/{phone_number_id}/webhooks/{id}";
const DELIVERIES: &str = "/platform/v1/webhook_deliveries";
const TEST: &str = "/platform/v1/whatsapp/webhooks/{id}/test";

pub(super) fn documented() -> Documented {
    (operations(), schemas())
}

/// What may be set, but for what create and update take differently.
fn settable() -> Value {
    let ignored = || json!({"description": "Read-only; ignored."});
    let off = json!({"type": ["boolean", "null"], "enum": [false, null], "description": "Not available yet."});
    optional(
        &[],
        [
            ("url", fields::url()),
            ("kind", nullable(fields::kind())),
            ("events", says(list(text()), "Types or patterns, also by their names in v1; none for kind `meta`.")),
            ("active", truth()),
            ("headers", nullable(fields::headers())),
            ("payload_version", nullable(fields::payload_version())),
            ("secret_key", nullable(fields::secret())),
            ("phone_number_id", nullable(source())),
            ("buffer_enabled", off),
            ("buffer_window_seconds", nullable(whole(1, 60))),
            ("max_buffer_size", nullable(whole(1, 100))),
            ("buffer_events", json!({"type": ["array", "null"]})),
            ("inactivity_minutes", fields::inactivity_minutes()),
            ("id", ignored()),
            ("project_id", ignored()),
            ("created_at", ignored()),
            ("updated_at", ignored()),
        ],
    )
}

fn schemas() -> Vec<(&'static str, Value)> {
    let webhook = object([
        ("id", uuid()),
        ("url", fields::url()),
        ("kind", fields::kind()),
        ("events", list(fields::pattern())),
        ("active", says(truth(), "False also while it is paused.")),
        ("headers", fields::headers()),
        ("payload_version", fields::payload_version()),
        ("buffer_enabled", truth()),
        ("buffer_window_seconds", nullable(whole(1, 60))),
        ("max_buffer_size", nullable(whole(1, 100))),
        ("buffer_events", list(fields::pattern())),
        ("inactivity_minutes", fields::inactivity_minutes()),
        ("project_id", text()),
        ("phone_number_id", nullable(source())),
        ("created_at", time()),
        ("updated_at", time()),
        ("secret_key", nullable(text())),
    ]);
    let delivery = object([
        ("id", uuid()),
        ("event", event_type()),
        ("status", one_of(&["pending", "delivered", "failed"])),
        ("created_at", time()),
        ("webhook_id", uuid()),
        ("webhook_url", text()),
        ("attempt_count", count()),
        ("response_status", nullable(whole(100, 999))),
        ("delivered_at", nullable(time())),
        ("failed_at", nullable(time())),
        ("last_attempt_at", nullable(time())),
        ("phone_number_id", nullable(source())),
        ("whatsapp_config_id", nullable(text())),
        ("conversation_phone_number", nullable(text())),
    ]);
    let meta = object([("page", count()), ("per_page", count()), ("total_pages", count()), ("total_count", count())]);
    let cursors = object([("before", nullable(text())), ("after", nullable(text()))]);
    let paging = object([("cursors", cursors), ("next", nullable(text())), ("previous", nullable(text()))]);
    let error = object([("code", text()), ("message", text())]);
    let envelope = |inner| object([("whatsapp_webhook", inner)]);
    let mut to_make = settable();
    to_make["required"] = json!(["url"]);
    to_make["properties"]["active"] = nullable(truth());
    // What stands beside the envelope is not looked at.
    let [new, changes] = [to_make, settable()].map(|fields_in_it| {
        let mut body = envelope(fields_in_it);
        body["additionalProperties"] = json!(true);
        body
    });
    vec![
        ("KapsoError", object([("error", error)])),
        ("KapsoWebhook", webhook),
        ("KapsoWebhookData", object([("data", reference("KapsoWebhook"))])),
        ("KapsoWebhookPage", object([("data", list(reference("KapsoWebhook"))), ("meta", meta.clone())])),
        ("NewKapsoWebhook", new),
        ("KapsoWebhookChanges", changes),
        ("KapsoDelivery", delivery),
        ("KapsoDeliveryPage", object([("data", list(reference("KapsoDelivery"))), ("paging", paging), ("meta", meta)])),
    ]
}

fn example() -> Value {
    json!({"id": WEBHOOK_ID, "url": "https://shop.example/kapso", "kind": "kapso", "events": ["whatsapp.message.received"],
        "active": true, "headers": {}, "payload_version": "v2", "buffer_enabled": false, "buffer_window_seconds": null,
        "max_buffer_size": null, "buffer_events": [], "inactivity_minutes": null, "project_id": "default",
        "phone_number_id": "100200300400500", "created_at": MADE_AT, "updated_at": MADE_AT, "secret_key": null})
}

fn shown() -> Value {
    json!({"data": example()})
}

fn made() -> Value {
    let mut made = example();
    made["secret_key"] = json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwc2U=");
    json!({"data": made})
}

fn every_field() -> Value {
    json!({"url": "https://shop.example/kapso", "kind": "kapso", "events": ["whatsapp.phone_number.created"], "active": true,
        "headers": {"X-Tenant": "blue"}, "payload_version": "v2", "secret_key": "a secret of its own",
        "phone_number_id": "100200300400500", "buffer_enabled": false, "buffer_window_seconds": 5, "max_buffer_size": 50,
        "buffer_events": ["whatsapp.message.received"], "inactivity_minutes": 30})
}

fn body(schema: &str, minimal: &Value) -> RequestBody {
    let examples = [("minimal", minimal.clone()), ("every field", every_field())];
    let examples = examples.map(|(name, fields)| (name, json!({"whatsapp_webhook": fields})));
    RequestBody::json(reference(schema), examples.to_vec())
}

fn pages() -> [Parameter; 2] {
    [
        Parameter::query("page", json!({"type": "integer", "minimum": 1}), "From 1."),
        Parameter::query("per_page", whole(1, MAX_PER_PAGE as u64), "20 if not given."),
    ]
}

/// What is no number's id has no webhooks, as far as reading goes.
fn any_number() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn filters() -> [Parameter; 5] {
    let day_or_time = || json!({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]});
    [
        Parameter::query("url_contains", text(), "Only those whose URL has this in it, in upper or lower case."),
        Parameter::query("kind", fields::kind(), "Only of this kind."),
        Parameter::query("active", boolean(), "Only active ones, or only others."),
        Parameter::query("created_after", day_or_time(), "A time, or a day, in UTC."),
        Parameter::query("created_before", day_or_time(), "A time, or a day, in UTC."),
    ]
}

/// What create and update refuse alike.
fn clashes() -> Vec<Problem> {
    let field = |field: &str, message: &str| vec![FieldError::new(field, message)];
    let missing = "send the webhook's fields as an object under `whatsapp_webhook`";
    let version = "takes in whatsapp.call.received, which needs payload version v2; this webhook is to have v1";
    let meta =
        "webhook 0199e1a0-7b5c-7000-8000-000000000001 of kind meta has this number already; there is at most one";
    vec![
        Problem::new(StatusCode::BAD_REQUEST, "missing-parameter", "A parameter is missing", missing),
        Problem::invalid("$.url", "is required"),
        Problem::unprocessable(
            "phone-number-id-needed",
            field("$.events[0]", "is of a phone number: give `phone_number_id`"),
        ),
        Problem::unprocessable("payload-version-v2-needed", field("$.events[0]", version)),
        Problem::unprocessable("meta-webhook", field("$.source", "is required with kind `meta`")),
        Problem::conflict("meta-webhook-exists", meta, WEBHOOK_ID),
    ]
}

/// The five operations on webhooks, of a number or of all.
struct Webhooks {
    all: &'static str,
    one: &'static str,
    of: &'static [&'static str; 5],
    number: bool,
}

const OF_ALL: Webhooks = Webhooks {
    all: ANY,
    one: ONE_OF_ANY,
    of: &["kapsoListWebhooks", "kapsoCreateWebhook", "kapsoGetWebhook", "kapsoUpdateWebhook", "kapsoDeleteWebhook"],
    number: false,
};
const OF_ONE_NUMBER: Webhooks = Webhooks {
    all: OF_NUMBER,
    one: ONE_OF_NUMBER,
    of: &[
        "kapsoListWebhooksOfNumber",
        "kapsoCreateWebhookOfNumber",
        "kapsoGetWebhookOfNumber",
        "kapsoUpdateWebhookOfNumber",
        "kapsoDeleteWebhookOfNumber",
    ],
    number: true,
};

impl Webhooks {
    fn operations(&self) -> Vec<Operation> {
        let [list, create, get, update, delete] = *self.of;
        let number = || self.number.then(|| Parameter::path("phone_number_id", any_number(), "The number's id."));
        let new =
            |method, path, id, summary| Operation::new(method, path, id, TAG, summary).in_form(&FORM).with(number());
        let its_id = || [id("The webhook's id.")];
        let no_webhook = || [Problem::not_found("webhook")];
        let mut made_with = vec![("id", "$response.body#/data/id")];
        let mut same = vec![("id", "$request.path.id")];
        if self.number {
            made_with.push(("phone_number_id", "$request.path.phone_number_id"));
            same.push(("phone_number_id", "$request.path.phone_number_id"));
        }
        let listed =
            json!({"data": [example()], "meta": {"page": 1, "per_page": 20, "total_pages": 1, "total_count": 1}});
        let minimal = json!({"url": "https://shop.example/kapso", "events": ["whatsapp.phone_number.created"]});
        let created = Answer::json(201, "The webhook, with its secret.", reference("KapsoWebhookData"), made());
        let created = created.linked([get, update, delete], &made_with);
        let created = if self.number { created } else { created.linked(["kapsoTestWebhook"], &made_with) };
        vec![
            new(Method::GET, self.all, list, "Webhooks, oldest first")
                .with(pages())
                .with(filters())
                .answering(Answer::json(200, "A page.", reference("KapsoWebhookPage"), listed)),
            new(Method::POST, self.all, create, "Make a webhook")
                .reading(body("NewKapsoWebhook", &minimal))
                .answering(created)
                .refusing(clashes())
                .refusing([webhooks::too_many_webhooks(), Problem::not_found("project")]),
            new(Method::GET, self.one, get, "A webhook")
                .with(its_id())
                .answering(Answer::json(200, "The webhook.", reference("KapsoWebhookData"), shown()))
                .refusing(no_webhook()),
            new(Method::PATCH, self.one, update, "Change a webhook")
                .with(its_id())
                .reading(body("KapsoWebhookChanges", &json!({"active": false})))
                .answering(
                    Answer::json(200, "The webhook as it is then.", reference("KapsoWebhookData"), shown())
                        .linked([get], &same),
                )
                .refusing(clashes())
                .refusing(no_webhook()),
            new(Method::DELETE, self.one, delete, "Delete a webhook")
                .with(its_id())
                .answering(Answer::nothing("Deleted.").linked([get], &same))
                .refusing(no_webhook()),
        ]
    }
}

fn operations() -> Vec<Operation> {
    let tests = vec![("a type", json!({"event_type": "whatsapp.phone_number.created"}))];
    let test = Operation::new(Method::POST, TEST, "kapsoTestWebhook", TAG, "Send a sample at once")
        .in_form(&FORM)
        .with([id("The webhook's id.")])
        .with([Parameter::query("event_type", event_type(), "Unless the body names it.")])
        .reading(RequestBody::json(reference("TestRequest"), tests).optional())
        .answering(Answer::json(200, "What came of it.", reference("TestResult"), webhooks::test_result()))
        .refusing(webhooks::untestable())
        .refusing([Problem::not_found("webhook")]);
    OF_ALL.operations().into_iter().chain(OF_ONE_NUMBER.operations()).chain([test, deliveries()]).collect()
}

fn deliveries() -> Operation {
    let cursor = "Zmb3AAAAAAAAAAc";
    let delivery = json!({"id": DELIVERY_ID, "event": "whatsapp.message.received", "status": "delivered", "created_at": MADE_AT,
        "webhook_id": WEBHOOK_ID, "webhook_url": "https://shop.example/kapso", "attempt_count": 1, "response_status": 200,
        "delivered_at": MADE_AT, "failed_at": null, "last_attempt_at": MADE_AT, "phone_number_id": "100200300400500",
        "whatsapp_config_id": null, "conversation_phone_number": "+15550100"});
    let listed = json!({"data": [delivery],
        "paging": {"cursors": {"before": cursor, "after": cursor}, "next": null, "previous": null},
        "meta": {"page": 1, "per_page": 20, "total_pages": 1, "total_count": 1}});
    Operation::new(Method::GET, DELIVERIES, "kapsoListDeliveries", TAG, "Deliveries, most recent first")
        .in_form(&FORM)
        .with([
            Parameter::query("status", one_of(&["pending", "delivered", "failed"]), "Only of this status."),
            Parameter::query("event", event_type(), "Only of events of this type, also by its name in v1."),
            Parameter::query("webhook_id", uuid(), "Only to this webhook."),
            Parameter::query("errors_only", boolean(), "Only what failed, or waits after a failed attempt."),
            Parameter::query("period", one_of(&["24h", "7d", "30d"]), "24h if not given."),
            Parameter::query("limit", whole(1, MAX_PER_PAGE as u64), "20 if not given."),
            Parameter::query("before", text(), "A cursor of another page."),
            Parameter::query("after", text(), "A cursor of another page."),
        ])
        .with(pages())
        .answering(
            Answer::json(200, "A page.", reference("KapsoDeliveryPage"), listed)
                .linked(["kapsoListDeliveries"], &[("after", "$response.body#/paging/cursors/after")]),
        )
        .refusing([Problem::invalid("before", "cannot be given together with `after`")])
}
