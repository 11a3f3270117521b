//! What Fanfare tells a project about its webhooks arrives as any event does, and nobody else can say it.

use std::collections::HashSet;

use fanfare_testkit::{Engine, Fanfare, Received, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::order;

crate::on_both_engines! {
    a_project_is_told_of_pauses_activations_and_exhausted_deliveries,
    nothing_is_told_of_what_is_told,
    producers_cannot_publish_what_fanfare_tells,
}

fn told(requests: &[Received]) -> Vec<(String, Value)> {
    let of = |request: &Received| {
        (request.header("x-webhook-event").to_owned(), serde_json::from_slice(&request.body).unwrap())
    };
    requests.iter().map(of).collect()
}

async fn a_project_is_told_of_pauses_activations_and_exhausted_deliveries(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let listener = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": listener.url("/"), "events": ["fanfare.**"]})).await;
    let sick = Receiver::http(|_| Reply::Status(503)).await;
    let fields = json!({"url": sick.url("/?token=s3cret"), "events": ["order.**"], "retry_schedule": [1]});
    let webhook = fanfare.create_webhook(fields).await["id"].clone();
    let path = format!("/v1/webhooks/{}", webhook.as_str().unwrap());

    fanfare.publish(order("order-1")).await;
    let (name, exhausted) = told(&listener.received(1).await).remove(0);
    assert_eq!(name, "fanfare.delivery.exhausted");
    let deliveries =
        fanfare.eventually("/v1/deliveries?event_id=order-1", |_, l| l["data"][0]["status"] == "exhausted");
    assert_eq!(exhausted["delivery_id"], deliveries.await["data"][0]["id"]);
    assert_eq!((&exhausted["webhook_id"], &exhausted["event_id"]), (&webhook, &json!("order-1")));
    assert_eq!((&exhausted["event_type"], &exhausted["attempts"]), (&json!("order.paid"), &json!(2)));
    assert_eq!((&exhausted["last_outcome"], &exhausted["last_status"]), (&json!("server_error"), &json!(503)));

    sick.answer(|_| Reply::Status(410));
    fanfare.publish(order("order-2")).await;
    let (name, paused) = told(&listener.received(2).await).remove(1);
    assert_eq!(
        (name.as_str(), &paused["reason"], &paused["webhook_id"]),
        ("fanfare.webhook.paused", &json!("gone"), &webhook)
    );
    let shown = fanfare.call("GET", &path, None).await.1;
    assert_eq!(paused["since"], shown["paused_at"]);

    sick.answer(|_| Reply::Status(200));
    assert_eq!(fanfare.call("POST", &format!("{path}/activate"), None).await.0, 200);
    let (name, activated) = told(&listener.received(3).await).remove(2);
    assert_eq!((name.as_str(), &activated["reason"]), ("fanfare.webhook.activated", &json!("owner")));
    // Of one that is active nothing is to be told.
    fanfare.eventually(&path, |_, webhook| webhook["state"] == "healthy").await;
    assert_eq!(fanfare.call("POST", &format!("{path}/activate"), None).await.0, 200);

    for _ in 0..2 {
        assert_eq!(fanfare.call("PATCH", &path, Some(json!({"active": false}))).await.0, 200);
    }
    let (name, paused) = told(&listener.received(4).await).remove(3);
    assert_eq!((name.as_str(), &paused["reason"]), ("fanfare.webhook.paused", &json!("owner")));
    let events =
        fanfare.eventually("/v1/events?limit=100", |_, list| list["data"].as_array().is_some_and(|l| l.len() == 6));
    let types: HashSet<String> = events.await["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types.len(), 4, "{types:?}");
    assert!(told(&listener.so_far()).iter().all(|(_, data)| !data.to_string().contains("s3cret")));
    assert_eq!(listener.so_far().len(), 4);
}

async fn nothing_is_told_of_what_is_told(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let listener = Receiver::http(|request| Reply::Status(if request.index < 2 { 500 } else { 410 })).await;
    let fields = json!({"url": listener.url("/"), "events": ["fanfare.**"], "retry_schedule": [1]});
    let listening = fanfare.create_webhook(fields).await;
    let sick = Receiver::http(|_| Reply::Status(500)).await;
    fanfare.create_webhook(json!({"url": sick.url("/"), "events": ["order.**"], "retry_schedule": [1]})).await;
    for (order_id, requests) in [("order-1", 2), ("order-2", 3)] {
        fanfare.publish(order(order_id)).await;
        listener.received(requests).await;
        let path = format!("/v1/deliveries?event_id={order_id}");
        fanfare.eventually(&path, |_, list| list["data"][0]["status"] == "exhausted").await;
    }
    let path = format!("/v1/webhooks/{}", listening["id"].as_str().unwrap());
    fanfare.eventually(&path, |_, webhook| webhook["state"] == "paused").await;
    // Two orders, and that each is exhausted; nothing of the one told that is exhausted too, nor of the listener's pause.
    fanfare.publish(order("order-3")).await;
    let six = |_: u16, list: &Value| list["data"].as_array().is_some_and(|list| list.len() == 6);
    let events = fanfare.eventually("/v1/events?limit=100", six).await;
    let told: Vec<&Value> = events["data"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(told.iter().filter(|name| **name == "fanfare.delivery.exhausted").count(), 3, "{told:?}");
}

async fn producers_cannot_publish_what_fanfare_tells(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    for event_type in ["fanfare.webhook.paused", "fanfare.anything"] {
        let (status, answer) = fanfare.call("POST", "/v1/events", Some(json!({"type": event_type, "data": {}}))).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (400, &json!("$.type")), "{answer}");
    }
    let own = json!({"type": "fanfare.mine", "title": "Mine", "sample": {}});
    let (status, answer) = fanfare.call("POST", "/v1/event-types", Some(own)).await;
    assert_eq!((status, &answer["errors"][0]["field"]), (400, &json!("$.type")), "{answer}");
    let (_, known) = fanfare.call("GET", "/v1/event-types/fanfare.delivery.exhausted", None).await;
    assert_eq!(known["sample"]["attempts"], 10, "{known}");
}
