//! `GET /v1/deliveries` and `GET /v1/deliveries/{id}`.

use fanfare_core::delivery::{End, Next, Place};
use serde_json::{Value, json};

use crate::world::{State, World, attempt};

fn events(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|row| row["event_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_filters_narrow_and_pages_go_on_from_their_cursor() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let second = world.webhook(json!({"url": "https://127.0.0.1:1/second", "events": ["**"]})).await;
    let second = second["id"].as_str().unwrap().parse().unwrap();
    world.delivery("one", webhook, State::Ended(End::Delivered)).await;
    world.delivery("two", webhook, State::Ended(End::Exhausted)).await;
    world.delivery("three", webhook, State::Waiting).await;
    world.delivery("four", second, State::Gated).await;

    for (query, expected) in [
        (String::new(), vec!["four", "three", "two", "one"]),
        (format!("webhook_id={second}"), vec!["four"]),
        ("event_id=two".to_owned(), vec!["two"]),
        ("event_type=order.paid&status=waiting".to_owned(), vec!["three"]),
        ("event_type=order.made".to_owned(), vec![]),
        ("status=delivered,gated".to_owned(), vec!["four", "one"]),
        ("status=delivered&status=exhausted".to_owned(), vec!["two", "one"]),
        ("since=2099-01-01T00:00:00Z".to_owned(), vec![]),
        (
            "since=2020-01-01T00:00:00%2B01:00&until=2099-01-01T00:00:00Z".to_owned(),
            vec!["four", "three", "two", "one"],
        ),
    ] {
        let page = world.get(&format!("/v1/deliveries?{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.body);
        assert_eq!(events(&page.body), expected, "{query}");
        assert_eq!(page.body["next"], Value::Null, "{query}");
    }
    let first = world.get("/v1/deliveries?limit=2").await.body;
    assert_eq!(events(&first), ["four", "three"]);
    let next = first["next"].as_str().unwrap();
    world.delivery("five", webhook, State::Ready).await;
    let rest = world.get(&format!("/v1/deliveries?limit=2&after={next}")).await.body;
    assert_eq!(events(&rest), ["two", "one"], "what comes meanwhile moves nothing");
    assert_eq!(rest["next"], Value::Null);
    // Another list's cursor, and one that was cut.
    for wrong in [&next[1..], "AAAA"] {
        let answer = world.get(&format!("/v1/deliveries?after={wrong}")).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["after".to_owned()]));
    }
}

#[tokio::test]
async fn a_delivery_shows_every_attempt_with_text_as_text_and_the_rest_as_base64() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let event = world.accept("order-1", "{}").await;
    let id = world.fan_out(&event, webhook, Place::Ready).await;
    let lease = world.lease().await;
    world.settle(&lease, Some(attempt(503, "später".as_bytes())), Next::Move(Place::Ready)).await;
    let lease = world.lease().await;
    let mut second = attempt(200, b"\xff\x00");
    (second.number, second.id.0) = (2, ulid::Ulid::from_parts(1_765_000_000_001, 8));
    world.settle(&lease, Some(second), Next::End { end: End::Delivered }).await;

    let path = format!("/v1/deliveries/{id}");
    let shown = world.eventually(&path, |answer| answer.body["status"] == "delivered").await.body;
    for (field, value) in [
        ("id", json!(id)),
        ("webhook_id", json!(webhook)),
        ("webhook_url", json!("https://127.0.0.1:1/hooks")),
        ("event_id", json!("order-1")),
        ("event_type", json!("order.paid")),
        ("run", Value::Null),
        ("attempt_count", json!(2)),
        ("response_status", json!(200)),
        ("last_outcome", json!("success")),
        ("next_attempt_at", Value::Null),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    assert!(shown["ended_at"].is_string());
    let first = &shown["attempts"][0];
    let expected = json!({
        "id": first["id"],
        "number": 1,
        "at": "2025-12-06T05:46:40.000Z",
        "duration_ms": 12.345,
        "phases": {
            "dns_ms": 1.0, "connect_ms": 2.5, "first_byte_ms": null, "body_ms": null, "connection_reused": false,
        },
        "outcome": "server_error",
        "status": 503,
        "error": null,
        "request_headers": [{"name": "X-Tenant", "value": "***"}],
        "response_headers": [{"name": "set-cookie", "value": "a"}, {"name": "set-cookie", "value": "b"}],
        "response_body": {"encoding": "utf-8", "content": "später", "truncated": false},
    });
    assert_eq!(*first, expected);
    let body = &shown["attempts"][1]["response_body"];
    assert_eq!(*body, json!({"encoding": "base64", "content": "/wA=", "truncated": false}));
}
