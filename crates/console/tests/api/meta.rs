//! Webhooks of kind `meta`.

use fanfare_core::meta;
use fanfare_core::secret::Secret;
use fanfare_core::signature::SigningKey;
use fanfare_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::world::World;

fn fields(url: &str) -> Value {
    json!({"url": url, "kind": "meta", "source": "100200300400500"})
}

#[tokio::test]
async fn a_number_has_at_most_one_and_it_needs_no_events() {
    let world = World::new().await;
    let created = world.webhook(fields("https://127.0.0.1:1/a")).await;
    assert_eq!((&created["kind"], &created["events"]), (&json!("meta"), &json!([])));
    let second = world.call("POST", "/v1/webhooks", Some(fields("https://127.0.0.1:1/b"))).await;
    assert_eq!((second.status, second.code()), (409, "meta-webhook-exists"), "{}", second.body);
    assert_eq!(second.body["existing_id"], created["id"]);
    let mut other = fields("https://127.0.0.1:1/b");
    other["source"] = json!("2");
    let other = world.webhook(other).await;
    let path = format!("/v1/webhooks/{}", other["id"].as_str().unwrap());
    let moved = world.call("PATCH", &path, Some(json!({"source": "100200300400500"}))).await;
    assert_eq!((moved.status, moved.code()), (409, "meta-webhook-exists"), "{}", moved.body);
    let other_kind = world.call("PATCH", &path, Some(json!({"kind": "kapso"}))).await;
    assert_eq!((other_kind.status, other_kind.fields()), (400, vec!["$.kind".to_owned()]));
    let same_kind = world.call("PATCH", &path, Some(json!({"kind": "meta", "active": false}))).await;
    assert_eq!((same_kind.status, &same_kind.body["active"]), (200, &json!(false)));
}

#[tokio::test]
async fn what_does_not_go_with_the_kind_is_named() {
    let world = World::new().await;
    for (field, value, wrong) in [
        ("source", Value::Null, "$.source"),
        ("filter", json!({"object": ["x"]}), "$.filter"),
        ("payload_version", json!("v1"), "$.payload_version"),
        ("events", json!(["whatsapp.message.received"]), "$.events[0]"),
    ] {
        let mut fields = fields("https://127.0.0.1:1/a");
        fields[field] = value;
        let refused = world.call("POST", "/v1/webhooks", Some(fields)).await;
        assert_eq!((refused.status, refused.code()), (422, "meta-webhook"), "{}", refused.body);
        assert_eq!(refused.fields(), [wrong]);
    }
    let named = json!({"url": "https://127.0.0.1:1/a", "events": ["order.paid", "whatsapp.meta.raw"]});
    let refused = world.call("POST", "/v1/webhooks", Some(named)).await;
    assert_eq!((refused.status, refused.fields()), (422, vec!["$.events[1]".to_owned()]), "{}", refused.body);
}

#[tokio::test]
async fn its_test_is_a_raw_body_signed_as_meta_signs() {
    let world = World::new().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let created = world.webhook(fields(&receiver.url("/"))).await;
    let path = format!("/v1/webhooks/{}/test", created["id"].as_str().unwrap());
    assert_eq!(world.call("POST", &path, None).await.body["data"]["success"], true);
    let asked = world.call("POST", &path, Some(json!({"event_type": "whatsapp.message.received"}))).await;
    assert_eq!((asked.status, asked.code()), (422, "not-subscribed"), "{}", asked.body);
    let request = &receiver.received(1).await[0];
    let key = SigningKey::new(&Secret::new(created["secret"].as_str().unwrap().to_owned()).unwrap());
    assert_eq!(request.header("x-hub-signature-256"), format!("sha256={}", key.body_signature(&request.body)));
    assert_eq!(request.header("x-idempotency-key"), meta::idempotency_key(&request.body));
    assert_eq!(request.header("x-webhook-test"), "true");
    for absent in ["x-webhook-event", "x-webhook-signature", "x-webhook-payload-version"] {
        assert!(!request.headers.contains_key(absent), "{absent}");
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["object"], &body["test"]), (&json!("whatsapp_business_account"), &json!(true)));
}
