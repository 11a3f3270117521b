//! `POST /v1/deliveries/{id}/retry`, for each state that a delivery can be in.

use std::time::Duration;

use axum::body::Body;
use fanfare_core::delivery::{End, Next, Place};
use fanfare_core::ids::{DeliveryId, IdempotencyKey, Run};
use fanfare_core::ports::DeliveryQueue;
use serde_json::json;

use crate::world::{MANAGER, State, World};

fn path(delivery: DeliveryId) -> String {
    format!("/v1/deliveries/{delivery}/retry")
}

#[tokio::test]
async fn what_has_ended_goes_again_as_a_run_of_its_own_under_the_same_key() {
    for end in [End::Delivered, End::Exhausted, End::Expired, End::Discarded] {
        let world = World::new().await;
        let webhook = world.some_webhook().await;
        let id = world.delivery("order-1", webhook, State::Ended(end)).await;
        let answer = world.call("POST", &path(id), None).await;
        assert_eq!((answer.status, &answer.body["status"]), (202, &json!("pending")), "{end:?}: {}", answer.body);
        let again: DeliveryId = answer.body["delivery_id"].as_str().unwrap().parse().unwrap();
        assert_ne!(again, id);

        let lease = world.lease().await;
        let header = &lease.delivery.header;
        assert_eq!((header.id, header.attempts), (again, 0));
        assert_eq!(header.idempotency_key(), IdempotencyKey::derive(webhook, &header.event));
        assert_eq!(lease.delivery.body, "{\"a\":1}", "the event's data, from the log");
        assert!(matches!(&header.run, Run::Again(run) if run.as_str().starts_with("rty_")), "{:?}", header.run);
        world.settle(&lease, None, Next::End { end: End::Delivered }).await;
        let shown = world.eventually(&format!("/v1/deliveries/{again}"), |a| a.body["status"] == "delivered").await;
        assert!(shown.body["run"].as_str().unwrap().starts_with("rty_"));
        assert_eq!(world.get("/v1/deliveries?event_id=order-1").await.body["data"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_waits_is_brought_forward_and_what_is_on_its_way_is_left() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let waiting = world.delivery("order-1", webhook, State::Waiting).await;
    for _ in 0..2 {
        let answer = world.call("POST", &path(waiting), None).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        assert_eq!(answer.body, json!({"delivery_id": waiting, "status": "pending"}));
    }
    let lease = world.lease().await;
    assert_eq!((lease.delivery.header.id, lease.delivery.header.attempts), (waiting, 1));
    // In flight now: the attempt that was asked for is being made.
    assert_eq!(world.call("POST", &path(waiting), None).await.status, 202);
    world.settle(&lease, None, Next::End { end: End::Delivered }).await;

    let ready = world.delivery("order-2", webhook, State::Ready).await;
    assert_eq!(world.call("POST", &path(ready), None).await.body["delivery_id"], json!(ready));
    let in_flight = {
        world.settle(&world.lease().await, None, Next::End { end: End::Delivered }).await;
        world.delivery("order-3", webhook, State::InFlight).await
    };
    let answer = world.call("POST", &path(in_flight), None).await;
    assert_eq!((answer.status, &answer.body["delivery_id"]), (202, &json!(in_flight)));
}

#[tokio::test]
async fn what_stands_behind_a_paused_webhook_needs_its_activation() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let gated = world.delivery("order-1", webhook, State::Gated).await;
    world.pause(webhook).await;
    let answer = world.call("POST", &path(gated), None).await;
    assert_eq!((answer.status, answer.code()), (409, "webhook-paused"));
    let activate = format!("/v1/webhooks/{webhook}/activate");
    assert!(answer.body["detail"].as_str().unwrap().contains(&activate), "{}", answer.body);

    assert_eq!(world.call("POST", &activate, None).await.status, 200);
    let answer = world.call("POST", &path(gated), None).await;
    assert_eq!((answer.status, &answer.body["status"]), (202, &json!("gated")), "its turn comes");
}

#[tokio::test]
async fn a_new_run_goes_behind_the_gate_that_is_up() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let id = world.delivery("order-1", webhook, State::Ended(End::Exhausted)).await;
    world.pause(webhook).await;
    let answer = world.call("POST", &path(id), None).await;
    assert_eq!((answer.status, &answer.body["status"]), (202, &json!("gated")));
    let again = answer.body["delivery_id"].as_str().unwrap();
    world.eventually(&format!("/v1/deliveries/{again}"), |answer| answer.body["status"] == "gated").await;
}

#[tokio::test]
async fn the_same_idempotency_key_asks_for_one_run() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let id = world.delivery("order-1", webhook, State::Ended(End::Exhausted)).await;
    let ask = async |key: String| {
        let request = http::Request::post(path(id)).header("x-api-key", MANAGER).header("idempotency-key", key);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let (first, second, other) = (ask("a".into()).await, ask("a".into()).await, ask("b".into()).await);
    assert_eq!((first.status, second.status, other.status), (202, 202, 202));
    assert_eq!(first.body["delivery_id"], second.body["delivery_id"]);
    assert_ne!(first.body["delivery_id"], other.body["delivery_id"]);
    let wrong = ask("x".repeat(257)).await;
    assert_eq!((wrong.status, wrong.fields()), (400, vec!["Idempotency-Key".to_owned()]));
}

#[tokio::test]
async fn what_cannot_be_delivered_any_more_is_said_so() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let past = world.clock.now().before(Duration::from_secs(60));
    let event = world.accept_until("late", "{}", Some(past)).await;
    let late = world.fan_out(&event, webhook, Place::Ready).await;
    world.settle(&world.lease().await, None, Next::End { end: End::Expired }).await;
    world.eventually(&format!("/v1/deliveries/{late}"), |answer| answer.body["status"] == "expired").await;
    let answer = world.call("POST", &path(late), None).await;
    assert_eq!((answer.status, answer.code()), (409, "event-expired"));

    // What the log does not have any more, the read model still shows.
    let gone = world.fan_out(&world.event("gone"), webhook, Place::Ready).await;
    world.settle(&world.lease().await, None, Next::End { end: End::Exhausted }).await;
    world.eventually(&format!("/v1/deliveries/{gone}"), |answer| answer.body["status"] == "exhausted").await;
    let answer = world.call("POST", &path(gone), None).await;
    assert_eq!((answer.status, answer.code()), (410, "event-not-retained"));
    assert_eq!(world.get("/v1/events/gone").await.body["data"], json!(null));

    let id = world.delivery("order-1", webhook, State::Ended(End::Exhausted)).await;
    assert_eq!(world.call("DELETE", &format!("/v1/webhooks/{webhook}"), None).await.status, 204);
    let answer = world.call("POST", &path(id), None).await;
    assert_eq!((answer.status, answer.code()), (409, "webhook-deleted"));
}

#[tokio::test]
async fn what_is_in_quarantine_is_shown_with_its_reason_and_put_back() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let worn = world.delivery("order-1", webhook, State::Ready).await;
    for _ in 0..20 {
        let lease = world.lease().await;
        assert_eq!(lease.delivery.header.id, worn);
        world.engine.abandon(&lease).await.unwrap();
    }
    let next = world.delivery("order-2", webhook, State::Ready).await;
    assert_eq!(world.lease().await.delivery.header.id, next);
    let wanted = "/v1/deliveries?status=quarantined";
    let listed = world.eventually(wanted, |answer| answer.body["data"][0]["id"] == json!(worn)).await;
    assert_eq!(listed.body["data"][0]["waiting_reason"], "leased_too_often");

    let answer = world.call("POST", &path(worn), None).await;
    assert_eq!((answer.status, answer.body), (202, json!({"delivery_id": worn, "status": "pending"})));
    world.eventually(&format!("/v1/deliveries/{worn}"), |answer| answer.body["status"] == "pending").await;
    assert_eq!(world.lease().await.delivery.header.id, worn);
}
