//! `GET /v1/events/{id}`.

use fanfare_core::delivery::Place;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn right_after_its_acceptance_an_event_is_shown_as_pending() {
    let world = World::new().await;
    world.accept("order/1", "{\"z\":1,\"a\":9007199254740993}").await;
    let shown = world.get("/v1/events/order%2F1").await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!((&shown.body["status"], &shown.body["fanned_out_at"]), (&json!("pending"), &Value::Null));
    assert_eq!((&shown.body["id"], &shown.body["type"]), (&json!("order/1"), &json!("order.paid")));
    assert_eq!(shown.body["data"].to_string(), "{\"z\":1,\"a\":9007199254740993}", "byte for byte");
    assert_eq!(shown.body["data_bytes"], 28);
    assert_eq!(shown.body["extensions"], json!({"region": "eu"}));
    assert_eq!((&shown.body["deliveries"], &shown.body["non_matches"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn an_event_that_the_read_model_does_not_know_is_not_called_pending_for_ever() {
    let world = World::new().await;
    let header = world.accepted_before("order-1", std::time::Duration::from_secs(61)).await;
    let shown = world.get("/v1/events/order-1").await.body;
    assert_eq!((&shown["status"], &shown["data"]), (&json!("not_recorded"), &json!({})));
    assert!(shown["note"].as_str().unwrap().contains("history.db"), "{shown}");
    let webhook = world.some_webhook().await;
    world.fan_out(&header, webhook, Place::Ready).await;
    let shown = world.eventually("/v1/events/order-1", |answer| answer.body["status"] == "fanned_out").await.body;
    assert_eq!(shown.get("note"), None, "{shown}");
}

#[tokio::test]
async fn a_fanned_out_event_shows_where_it_went_and_where_it_did_not() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let other = world.webhook(json!({"url": "https://127.0.0.1:1/other", "events": ["invoice.*"]})).await;
    let event = world.accept("order-1", "{}").await;
    let delivery = world.fan_out(&event, webhook, Place::Ready).await;
    let path = "/v1/events/order-1";
    let shown = world.eventually(path, |answer| answer.body["non_matches_total"] == 1).await.body;
    assert_eq!(shown["status"], "fanned_out");
    assert!(shown["fanned_out_at"].is_string());
    assert_eq!((&shown["deliveries_total"], &shown["deliveries"][0]["id"]), (&json!(1), &json!(delivery)));
    assert_eq!(shown["deliveries"][0]["status"], "pending");
    assert_eq!(shown["non_matches"], json!([{"webhook_id": other["id"], "reason": "type"}]));
    assert_eq!(shown["data"], json!({}));
}
