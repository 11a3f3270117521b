//! `POST /v1/webhooks`.

use std::sync::Arc;

use fanfare_console::ConsoleConfig;
use fanfare_core::ports::config_store::{Key, Record};
use serde_json::{Value, json};

use crate::world::{World, acme};

fn hooks() -> Value {
    json!({"url": "https://127.0.0.1:1/hooks", "events": ["order.*"]})
}

fn with(field: &str, value: Value) -> Value {
    let mut body = hooks();
    body[field] = value;
    body
}

#[tokio::test]
async fn a_webhook_is_made_as_its_owner_says_and_shows_its_secret_once() {
    let world = World::new().await;
    let answer = world
        .call(
            "POST",
            "/v1/webhooks",
            Some(json!({
                "url": "https://127.0.0.1:1/hooks",
                "events": ["order.paid", "whatsapp.**"],
                "source": "100200300400500",
                "filter": {"z": [1.0], "a": {"b": [{"exists": false}]}},
                "description": "Bücher",
                "active": false,
                "headers": {"X-Tenant": "blue-4711", "Authorization": "Bearer token-4711"},
                "retry_schedule": [1, 60],
                "timeout_seconds": 30,
                "payload_version": "v2",
            })),
        )
        .await;
    assert_eq!(answer.status, 201, "{:#}", answer.body);
    let id = answer.body["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/v1/webhooks/{id}"));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    let secret = answer.body["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"), "{secret}");
    assert_eq!(answer.body["warnings"], json!([]));

    let shown = world.get(&format!("/v1/webhooks/{id}")).await.body;
    let expected = json!({
        "id": id,
        "url": "https://127.0.0.1:1/hooks",
        "kind": "kapso",
        "events": ["order.paid", "whatsapp.**"],
        "source": "100200300400500",
        "filter": {"z": [1.0], "a": {"b": [{"exists": false}]}},
        "description": "Bücher",
        "active": false,
        "state": "paused",
        "paused_at": shown["created_at"],
        "paused_reason": "owner",
        "headers": {"X-Tenant": "***", "Authorization": "***"},
        "payload_version": "v2",
        "retry_schedule": [1, 60],
        "timeout_seconds": 30,
        "rate_limit": null,
        "inactivity_minutes": null,
        "secret_last4": &secret[secret.len() - 4..],
        "previous_secret_until": null,
        "created_at": shown["created_at"],
        "updated_at": shown["created_at"],
    });
    assert_eq!(shown, expected);
    assert!(shown["created_at"].is_string());
    let Record::Webhook(stored) =
        world.store.inner.get(&Key::Webhook(id.parse().unwrap())).await.unwrap().unwrap().record
    else {
        panic!("another record")
    };
    assert_eq!(stored.project, acme());
    let stored = serde_json::to_string(&stored).unwrap();
    assert!(!stored.contains(secret) && !stored.contains("4711"), "what is secret is sealed at rest");
}

#[tokio::test]
async fn what_is_left_out_has_the_documented_default() {
    let world = World::new().await;
    let created = world.webhook(hooks()).await;
    for (field, value) in [
        ("active", json!(true)),
        ("state", json!("healthy")),
        ("paused_at", Value::Null),
        ("paused_reason", Value::Null),
        ("source", Value::Null),
        ("filter", Value::Null),
        ("description", Value::Null),
        ("headers", json!({})),
        ("kind", json!("kapso")),
        ("payload_version", json!("v2")),
        ("retry_schedule", json!("standard")),
        ("timeout_seconds", json!(10)),
    ] {
        assert_eq!(created[field], value, "{field}");
    }
    for later in ["ordering", "buffer_enabled"] {
        assert!(created.get(later).is_none(), "{later} is not there yet");
    }
}

#[tokio::test]
async fn each_wrong_field_is_named_and_nothing_is_made() {
    let world = World::new().await;
    let many: Vec<String> = (0..101).map(|number| format!("a.n{number}")).collect();
    let headers: serde_json::Map<String, Value> = (0..33).map(|n| (format!("X-H{n}"), json!("v"))).collect();
    let mut cases = vec![
        (json!("{"), "$"),
        (json!("[]"), "$"),
        (json!({"events": ["a"]}), "$.url"),
        (json!({"url": "https://127.0.0.1:1/"}), "$.events"),
        (with("url", Value::Null), "$.url"),
        (with("url", json!(7)), "$.url"),
        (with("url", json!("ftp://127.0.0.1/")), "$.url"),
        (with("url", json!("https://user:pass@127.0.0.1/")), "$.url"),
        (with("url", json!("https://10.0.0.1/")), "$.url"),
        (with("url", json!(format!("https://127.0.0.1/{}", "x".repeat(2048)))), "$.url"),
        (with("events", Value::Null), "$.events"),
        (with("events", json!("order.paid")), "$.events"),
        (with("events", json!([])), "$.events"),
        (with("events", json!(many)), "$.events"),
        (with("events", json!(["a", "b", "a"])), "$.events[2]"),
        (with("events", json!(["a", 7])), "$.events[1]"),
        (with("events", json!(["a.**.b"])), "$.events[0]"),
        (with("source", json!("")), "$.source"),
        (with("source", json!(100200300400500u64)), "$.source"),
        (with("source", json!("a\nb")), "$.source"),
        (with("filter", json!("x")), "$.filter"),
        (with("filter", json!({})), "$.filter"),
        (with("filter", json!({"message": {"type": [{"numeric": "x"}]}})), "$.filter.message.type[0].numeric"),
        (with("description", json!("ä".repeat(513))), "$.description"),
        (with("active", json!("yes")), "$.active"),
        (with("headers", json!(["X-A"])), "$.headers"),
        (with("headers", Value::Object(headers)), "$.headers"),
        (with("headers", json!({"X-A": 7})), "$.headers.X-A"),
        (with("headers", json!({"X-A": "a\r\nb"})), "$.headers.X-A"),
        (with("headers", json!({"X-Webhook-Event": "a"})), "$.headers.X-Webhook-Event"),
        (with("headers", json!({"Host": "a"})), "$.headers.Host"),
        (with("headers", json!({"X A": "a"})), "$.headers[\"X A\"]"),
        (with("headers", json!({"X-A": "a", "x-a": "b"})), "$.headers.x-a"),
        (with("headers", json!({"X-A": "***"})), "$.headers.X-A"),
        (with("payload_version", json!("v3")), "$.payload_version"),
        (with("payload_version", json!(2)), "$.payload_version"),
        (with("kind", json!("whatsapp")), "$.kind"),
        (with("inactivity_minutes", json!(0)), "$.inactivity_minutes"),
        (with("inactivity_minutes", json!(1441)), "$.inactivity_minutes"),
        (with("retry_schedule", json!("often")), "$.retry_schedule"),
        (with("retry_schedule", json!([])), "$.retry_schedule"),
        (with("retry_schedule", json!([0])), "$.retry_schedule"),
        (with("retry_schedule", json!([86401])), "$.retry_schedule"),
        (with("retry_schedule", json!([1.5])), "$.retry_schedule"),
        (with("timeout_seconds", json!(0)), "$.timeout_seconds"),
        (with("timeout_seconds", json!(31)), "$.timeout_seconds"),
        (with("timeout_seconds", json!("10")), "$.timeout_seconds"),
        (with("secret", json!("short")), "$.secret"),
        (with("secret", json!(" padded-secret ")), "$.secret"),
        (with("secret", json!(12345678)), "$.secret"),
        (with("id", json!("x")), "$.id"),
        (with("state", json!("healthy")), "$.state"),
        (with("urls", json!("x")), "$.urls"),
    ];
    for later in ["ordering", "buffer_enabled", "buffer_window_seconds", "max_buffer_size", "buffer_events"] {
        let field: &'static str = Box::leak(format!("$.{later}").into_boxed_str());
        cases.push((with(later, Value::Null), field));
    }
    for (body, field) in cases {
        let answer = world.call("POST", "/v1/webhooks", Some(body.clone())).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.fields(), [field], "{body}: {}", answer.body);
    }
    assert_eq!(world.get("/v1/webhooks").await.body["data"], json!([]));
}

#[tokio::test]
async fn all_wrong_fields_are_named_at_once_with_the_right_name_and_without_the_values() {
    let world = World::new().await;
    let body = json!({
        "url": "https://127.0.0.1:1/", "event": ["a"], "timeout_seconds": 0,
        "secret": "s-4711", "headers": {"Host": "h-4711"},
    });
    let answer = world.call("POST", "/v1/webhooks", Some(body)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.fields(), ["$.event", "$.timeout_seconds", "$.secret", "$.headers.Host", "$.events"]);
    let text = answer.body.to_string();
    assert!(text.contains("did you mean `events`?"), "{text}");
    assert!(!text.contains("4711"), "{text}");
    let later = world.call("POST", "/v1/webhooks", Some(with("ordering", json!("auto")))).await;
    assert!(later.body.to_string().contains("not available yet"), "{}", later.body);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused() {
    let world = World::with_config(ConsoleConfig { max_body_bytes: 1000, ..ConsoleConfig::default() }).await;
    let answer = world.call("POST", "/v1/webhooks", Some(with("description", json!("x".repeat(1000))))).await;
    assert_eq!(answer.status, 413);
    let request = http::Request::post("/v1/webhooks").header("x-api-key", crate::world::MANAGER);
    let form = request.header("content-type", "application/x-www-form-urlencoded").body("url=x".into()).unwrap();
    assert_eq!(world.send(form).await.status, 415);
}

#[tokio::test]
async fn the_same_source_and_url_are_there_once_also_for_many_at_the_same_time() {
    let world = Arc::new(World::new().await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let world = Arc::clone(&world);
        calls.spawn(async move { world.call("POST", "/v1/webhooks", Some(hooks())).await });
    }
    let answers = calls.join_all().await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((answer.status, answer.code()), (409, "webhook-exists"));
        assert_eq!(answer.body["existing_id"], made[0].body["id"]);
    }
    world.webhook(with("source", json!("1"))).await;
    let again = world.call("POST", "/v1/webhooks", Some(with("source", json!("1")))).await;
    assert_eq!(again.status, 409, "a source of its own is another webhook, once");
    assert_eq!(world.get("/v1/webhooks").await.body["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_probably_not_meant_is_taken_with_a_warning() {
    let world = World::new().await;
    let mut body = with("secret", json!("my own secret!"));
    // RFC 2606: this top-level domain never resolves.
    body["url"] = json!("https://does-not-resolve.invalid/");
    let created = world.webhook(body).await;
    let warnings = created["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].as_str().unwrap().contains("does-not-resolve"), "{warnings:?}");
    assert!(warnings[1].as_str().unwrap().contains("Standard Webhooks"), "{warnings:?}");
    assert_eq!((&created["secret"], &created["secret_last4"]), (&json!("my own secret!"), &json!("ret!")));
}

#[tokio::test]
async fn a_project_has_so_many_webhooks_and_no_more() {
    let world = World::with_config(ConsoleConfig { max_webhooks_per_project: 1, ..ConsoleConfig::default() }).await;
    world.webhook(hooks()).await;
    let answer = world.call("POST", "/v1/webhooks", Some(with("source", json!("1")))).await;
    assert_eq!((answer.status, answer.code()), (409, "too-many-webhooks"));
}

#[tokio::test]
async fn a_wrong_pattern_is_told_what_it_must_be() {
    let world = World::new().await;
    let body = json!({"url": "https://127.0.0.1/", "events": ["a.**.b"]});
    let answer = world.call("POST", "/v1/webhooks", Some(body)).await;
    assert!(
        answer.body["detail"].as_str().unwrap().starts_with("$.events[0]: must be an event type"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_v1_webhook_cannot_subscribe_to_what_needs_v2() {
    let world = World::new().await;
    let v1 = |events: Value| json!({"url": "https://127.0.0.1:1/v1", "events": events, "payload_version": "v1"});
    for (events, field) in [
        (json!(["whatsapp.phone_number.offboarded"]), "$.events[0]"),
        (json!(["order.paid", "whatsapp.phone_number.*"]), "$.events[1]"),
        (json!(["**"]), "$.events[0]"),
    ] {
        let refused = world.call("POST", "/v1/webhooks", Some(v1(events))).await;
        assert_eq!((refused.status, refused.code()), (422, "payload-version-v2-needed"), "{}", refused.body);
        assert_eq!(refused.fields(), [field]);
    }
    let events = json!(["whatsapp.message.*", "whatsapp.phone_number.created", "order.paid"]);
    let created = world.webhook(v1(events)).await;
    assert_eq!(created["payload_version"], "v1");
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    let wider = world.call("PATCH", &path, Some(json!({"events": ["whatsapp.**"]}))).await;
    assert_eq!((wider.status, wider.code()), (422, "payload-version-v2-needed"), "{}", wider.body);
    let both = json!({"events": ["whatsapp.**"], "payload_version": "v2"});
    assert_eq!(world.call("PATCH", &path, Some(both)).await.status, 200);
    let back = world.call("PATCH", &path, Some(json!({"payload_version": "v1"}))).await;
    assert_eq!((back.status, back.code()), (422, "payload-version-v2-needed"), "{}", back.body);
}
