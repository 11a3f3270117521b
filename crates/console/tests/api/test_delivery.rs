//! `POST /v1/webhooks/{id}/test`.

use std::collections::HashSet;

use bytes::Bytes;
use fanfare_console::ConsoleConfig;
use fanfare_core::secret::Secret;
use fanfare_core::signature::SigningKey;
use fanfare_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::world::World;

async fn webhook(world: &World, receiver: &Receiver, events: Value) -> (Value, String) {
    let created = world.webhook(json!({"url": receiver.url("/hooks"), "events": events})).await;
    let path = format!("/v1/webhooks/{}/test", created["id"].as_str().unwrap());
    (created, path)
}

#[tokio::test]
async fn the_sample_arrives_marked_and_signed_also_while_the_webhook_is_inactive() {
    let world = World::new().await;
    let receiver = Receiver::http(|_| Reply::Full(200, vec![], Bytes::from_static(b"thanks"))).await;
    let (created, path) = webhook(&world, &receiver, json!(["order.paid", "whatsapp.message.*"])).await;
    let webhook = path.trim_end_matches("/test");
    assert_eq!(world.call("PATCH", webhook, Some(json!({"active": false}))).await.status, 200);

    let answer = world.call("POST", &path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let data = &answer.body["data"];
    assert_eq!((&data["success"], &data["status_code"]), (&json!(true), &json!(200)));
    assert_eq!((&data["error"], &data["response_body"]), (&Value::Null, &json!("thanks")));
    assert!(data["latency_ms"].is_u64());

    let request = &receiver.received(1).await[0];
    let key = SigningKey::new(&Secret::new(created["secret"].as_str().unwrap().to_owned()).unwrap());
    assert_eq!(request.header("x-webhook-test"), "true");
    assert_eq!(request.header("x-webhook-attempt"), "1");
    assert_eq!(request.header("x-webhook-signature"), key.body_signature(&request.body));
    // The first subscribed type has no sample; the first that has one is taken.
    assert_eq!(request.header("x-webhook-event"), "whatsapp.message.received");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body.as_object().unwrap().keys().next_back().unwrap(), "test");
    assert_eq!(body["test"], true);
    let types = world.get("/v1/event-types?limit=100").await.body;
    let sample = types["data"].as_array().unwrap().iter().find(|entry| entry["type"] == "whatsapp.message.received");
    let mut sample = sample.unwrap()["sample"].clone();
    sample["test"] = json!(true);
    assert_eq!(body, sample);
    assert_eq!(world.get("/v1/deliveries").await.body["data"], json!([]), "a test is no delivery");
}

#[tokio::test]
async fn a_type_is_sent_if_it_is_subscribed_to() {
    let world = World::new().await;
    let receiver = Receiver::http(|_| Reply::Status(204)).await;
    let (_, path) = webhook(&world, &receiver, json!(["order.*", "whatsapp.message.failed"])).await;
    for (event_type, own_sample) in [("whatsapp.message.failed", true), ("order.paid", false)] {
        let answer = world.call("POST", &path, Some(json!({"event_type": event_type}))).await;
        assert_eq!((answer.status, &answer.body["data"]["success"]), (200, &json!(true)), "{event_type}");
        let request = receiver.so_far().pop().unwrap();
        assert_eq!(request.header("x-webhook-event"), event_type);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body == json!({"test": true}), !own_sample, "{event_type}: {body}");
    }
    let keys: HashSet<String> = receiver.so_far().iter().map(|request| request.key().to_owned()).collect();
    assert_eq!(keys.len(), 2, "no test is taken for an earlier one");

    let answer = world.call("POST", &path, Some(json!({"event_type": "whatsapp.message.received"}))).await;
    assert_eq!((answer.status, answer.code()), (422, "not-subscribed"));
    assert_eq!(answer.fields(), ["$.event_type"]);
    for (body, field) in [
        (json!({"event_type": "whatsapp.*"}), "$.event_type"),
        (json!({"event_type": 7}), "$.event_type"),
        (json!({"event": "a"}), "$.event"),
    ] {
        let answer = world.call("POST", &path, Some(body)).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field.to_owned()]));
    }
    assert_eq!(receiver.so_far().len(), 2);
}

#[tokio::test]
async fn a_webhook_of_unknown_types_is_tested_with_the_first_that_is_named_or_must_be_told() {
    let world = World::new().await;
    let receiver = Receiver::http(|_| Reply::Status(204)).await;
    let (_, path) = webhook(&world, &receiver, json!(["order.*", "invoice.sent"])).await;
    assert_eq!(world.call("POST", &path, None).await.status, 200);
    assert_eq!(receiver.received(1).await[0].header("x-webhook-event"), "invoice.sent");
    let patch = Some(json!({"events": ["order.*"]}));
    assert_eq!(world.call("PATCH", path.trim_end_matches("/test"), patch).await.status, 200);
    let answer = world.call("POST", &path, None).await;
    assert_eq!((answer.status, answer.code()), (422, "event-type-needed"));
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_about_with_200() {
    let world = World::new().await;
    let receiver = Receiver::http(|_| Reply::Full(500, vec![], Bytes::from_static(b"bo\xffom"))).await;
    let (_, path) = webhook(&world, &receiver, json!(["a"])).await;
    let answer = world.call("POST", &path, None).await;
    assert_eq!(answer.status, 200);
    let data = &answer.body["data"];
    assert_eq!((&data["success"], &data["status_code"]), (&json!(false), &json!(500)));
    assert_eq!((&data["error"], &data["response_body"]), (&json!("the receiver answered 500"), &json!("bo\u{fffd}om")));

    // Nobody listens there any more.
    drop(receiver);
    let created = world.webhook(json!({"url": "http://127.0.0.1:1/", "events": ["a"]})).await;
    let answer = world.call("POST", &format!("/v1/webhooks/{}/test", created["id"].as_str().unwrap()), None).await;
    let data = &answer.body["data"];
    assert_eq!((answer.status, &data["success"], &data["status_code"]), (200, &json!(false), &Value::Null));
    assert!(data["error"].is_string() && data["response_body"].is_null(), "{data}");
    let shown = world.get(&format!("/v1/webhooks/{}", created["id"].as_str().unwrap())).await.body;
    assert_eq!(shown["state"], "healthy", "a test says nothing about health");
}

#[tokio::test]
async fn a_project_has_so_many_tests_under_way_and_no_more() {
    let config = ConsoleConfig { max_tests_per_project: 1, ..ConsoleConfig::default() };
    let world = std::sync::Arc::new(World::with_config(config).await);
    let receiver = Receiver::http(|_| Reply::Hang).await;
    let (_, path) = webhook(&world, &receiver, json!(["a"])).await;
    let first = {
        let (world, path) = (std::sync::Arc::clone(&world), path.clone());
        tokio::spawn(async move { world.call("POST", &path, None).await })
    };
    receiver.received(1).await;
    let answer = world.call("POST", &path, None).await;
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains_key("retry-after"));
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    receiver.answer(|_| Reply::Status(200));
    assert_eq!(world.call("POST", &path, None).await.status, 200, "who goes away leaves room");
}

#[tokio::test]
async fn a_test_has_the_webhooks_payload_version() {
    let world = World::new().await;
    let receiver = Receiver::http(|_| Reply::Status(204)).await;
    let fields = json!({"url": receiver.url("/"), "payload_version": "v1",
                        "events": ["whatsapp.phone_number.created", "whatsapp.message.received"]});
    let created = world.webhook(fields).await;
    let path = format!("/v1/webhooks/{}/test", created["id"].as_str().unwrap());
    for event_type in ["whatsapp.phone_number.created", "whatsapp.message.received"] {
        let answer = world.call("POST", &path, Some(json!({"event_type": event_type}))).await;
        assert_eq!(answer.body["data"]["success"], true, "{}", answer.body);
    }
    let requests = receiver.received(2).await;
    assert_eq!(requests[0].header("x-webhook-event"), "whatsapp.config.created");
    let key = SigningKey::new(&Secret::new(created["secret"].as_str().unwrap().to_owned()).unwrap());
    for request in &requests {
        assert_eq!(request.header("x-webhook-payload-version"), "v1");
        assert_eq!(request.header("x-webhook-signature"), key.body_signature(&request.body));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["test"], &body["whatsapp_config"]["id"]), (&json!(true), &json!("100200300400500")));
        assert_eq!(body.get("phone_number_id"), None);
    }
}
