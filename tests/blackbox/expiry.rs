//! What waits behind a gate does not wait for ever: its own expiry, and the longest that anything is held.

use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::{order, webhook};

crate::on_both_engines! {
    an_event_that_expires_behind_a_gate_ends_there_and_the_others_are_released_in_order,
    what_is_held_for_too_long_expires,
}

fn rows(list: &Value) -> usize {
    list["data"].as_array().map_or(0, Vec::len)
}

async fn an_event_that_expires_behind_a_gate_ends_there_and_the_others_are_released_in_order(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[("FANFARE_DELIVERY_EXPIRY_INTERVAL", "200ms")]).await;
    let receiver = Receiver::http(|_| Reply::Status(410)).await;
    let created = fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    fanfare.publish(order("order-0")).await;
    fanfare.eventually(&path, |_, webhook| webhook["state"] == "paused").await;
    let first = fanfare.call("GET", "/v1/events/order-0", None).await.1;
    let accepted_at = Timestamp::parse(first["accepted_at"].as_str().unwrap()).unwrap();
    let expiry = accepted_at.after(Duration::from_secs(6));
    for number in 1..=10 {
        let mut event = order(&format!("order-{number}"));
        if number % 2 == 0 {
            event["expirytime"] = json!(expiry);
        }
        fanfare.publish(event).await;
    }
    fanfare.eventually("/v1/deliveries?status=expired&limit=100", |_, list| rows(list) == 5).await;
    fanfare.eventually("/v1/deliveries?status=gated&limit=100", |_, list| rows(list) == 6).await;
    let shown = fanfare.call("GET", "/v1/deliveries?event_id=order-2", None).await.1;
    assert_eq!(shown["data"][0]["status"], "expired", "{shown}");
    assert_eq!(shown["data"][0]["attempt_count"], 0, "{shown}");
    assert_eq!(fanfare.metric("fanfare_delivery_ended_total{end=\"expired\"}").await, 5.0);

    receiver.answer(|_| Reply::Status(200));
    let (status, answer) = fanfare.call("POST", &format!("{path}/activate"), None).await;
    assert_eq!(status, 200, "{answer}");
    fanfare.eventually("/v1/deliveries?status=delivered&limit=100", |_, list| rows(list) == 6).await;
    let order_of = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["order"].as_str().unwrap().to_owned();
    let mut received: Vec<String> = receiver.so_far()[1..].iter().map(|request| order_of(&request.body)).collect();
    received.sort();
    assert_eq!(received, ["order-0", "order-1", "order-3", "order-5", "order-7", "order-9"]);
}

async fn what_is_held_for_too_long_expires(engine: Engine) {
    let environment = [("FANFARE_DELIVERY_HOLD_MAX_AGE", "3s"), ("FANFARE_DELIVERY_EXPIRY_INTERVAL", "200ms")];
    let mut fanfare = Fanfare::start_on(engine, &environment).await;
    let receiver = Receiver::http(|_| Reply::Status(410)).await;
    let created = fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    fanfare.publish(order("order-0")).await;
    fanfare.eventually(&path, |_, webhook| webhook["state"] == "paused").await;
    for number in 1..=20 {
        fanfare.publish(order(&format!("order-{number}"))).await;
    }
    // Whoever owns the gates next goes by the time since which each has been standing there, too.
    fanfare.kill().await;
    fanfare.start_again().await;
    fanfare.eventually("/v1/deliveries?status=expired&limit=100", |_, list| rows(list) == 21).await;
    let webhook = fanfare.call("GET", &path, None).await.1;
    assert_eq!(webhook["state"], "paused", "{webhook}");
    assert_eq!(receiver.so_far().len(), 1);
}
