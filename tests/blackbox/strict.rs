//! Strict projects: known types alone, and data that meets their schemas, whichever way it comes.

use fanfare_core::catalogue::Catalogue;
use fanfare_core::meta;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::direct::{connect, publish, rejections};
use crate::kapso::publish_raw;
use crate::samples::event;

on_both_engines!(a_strict_project_takes_what_it_knows_and_nothing_else);

const ADMIN: &str = "admin-key-0123456789abcdef";

/// A strict project with a type of its own.
async fn strict(engine: Engine) -> Fanfare {
    let fanfare = Fanfare::start_on(engine, &[("FANFARE_ADMIN_KEY", ADMIN)]).await;
    let request = fanfare.client().patch(fanfare.url("/v1/projects/default")).bearer_auth(ADMIN);
    let request = request.header("content-type", "application/json").body(r#"{"strict_event_types": true}"#);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
    let own = json!({
        "type": "stock.low", "title": "Stock is low", "sample": {"left": 3},
        "schema": {"type": "object", "properties": {"left": {"type": "integer", "maximum": 10}}, "required": ["left"]},
    });
    let (status, created) = fanfare.call("POST", "/v1/event-types", Some(own)).await;
    assert_eq!(status, 201, "{created}");
    // What was made stricter holds within moments.
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
    let stricter = async {
        while fanfare.call("POST", "/v1/events", Some(json!({"type": "un.known", "data": {}}))).await.0 != 422 {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(60), stricter).await.is_ok(), "it does not get strict");
    fanfare
}

fn problem(answer: &Value) -> (&str, &str) {
    (answer["type"].as_str().unwrap_or_default(), answer["errors"][0]["field"].as_str().unwrap_or_default())
}

async fn a_strict_project_takes_what_it_knows_and_nothing_else(engine: Engine) {
    let mut fanfare = strict(engine).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["whatsapp.**", "stock.*"]})).await;
    let raw = json!({"url": receiver.url("/raw"), "events": [], "kind": "meta", "source": "100200300400500"});
    fanfare.create_webhook(raw).await;

    let own = |left: Value| json!({"type": "stock.low", "data": {"left": left}});
    let mut broken = event("whatsapp.message.received");
    broken["data"]["message"]["id"] = json!(7);
    for (event, code, field) in [
        (json!({"type": "stock.lost", "data": {}}), "unknown-event-type", "$.type"),
        (own(json!(11)), "schema-violation", "$.data.left"),
        (json!({"type": "stock.low", "data": {}}), "schema-violation", "$.data"),
        (broken, "schema-violation", "$.data.message.id"),
    ] {
        let (status, answer) = fanfare.call("POST", "/v1/events", Some(event.clone())).await;
        let code = format!("urn:fanfare:problem:{code}");
        assert_eq!((status, problem(&answer)), (422, (&*code, field)), "{event}: {answer}");
    }
    let batch = json!([own(json!(3)), own(json!("three")), {"type": "stock.lost", "data": {}}]);
    let (status, answer) = fanfare.call("POST", "/v1/events", Some(batch)).await;
    assert_eq!((status, &answer["results"][0]["status"]), (207, &json!("accepted")), "{answer}");
    assert!(answer["results"][1]["error"].to_string().contains("$[1].data.left"), "{answer}");
    assert!(answer["results"][2]["error"].to_string().contains("$[2].type"), "{answer}");

    let types = Catalogue::builtin().entries().iter().map(|entry| entry.event_type.as_str());
    // Those that Fanfare tells of itself nobody may publish.
    let types: Vec<&str> = types.filter(|name| !name.starts_with("fanfare.")).collect();
    for event_type in &types {
        fanfare.publish(event(event_type)).await;
    }
    publish_raw(&fanfare, meta::sample().to_vec()).await;
    let subscribed = types.iter().filter(|name| name.starts_with("whatsapp.")).count();
    let got = receiver.received(subscribed + 2).await;
    assert_eq!(got.iter().filter(|request| request.body[..] == meta::sample()[..]).count(), 1);
    let (status, refused) = fanfare
        .call("POST", "/v1/event-types", Some(json!({"type": meta::RAW_TYPE, "title": "Raw", "sample": {}})))
        .await;
    assert_eq!((status, problem(&refused).0), (409, "urn:fanfare:problem:built-in-event-type"), "{refused}");

    if let Some(servers) = fanfare.servers() {
        let stream = connect(servers).await;
        publish(&stream, "stock.low", &json!({"id": "by-nats", "data": {"left": 4}})).await;
        publish(&stream, "stock.low.again", &json!({"data": {"left": 4}})).await;
        publish(&stream, "stock.low", &json!({"data": {"left": 12}})).await;
        let got = receiver.received(subscribed + 3).await;
        assert_eq!(&got.last().unwrap().body[..], br#"{"left":4}"#);
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        let rejected = loop {
            ticks.tick().await;
            let found = rejections(&stream).await;
            if found.len() == 2 {
                break found;
            }
        };
        let about = |event_type: &str| &rejected[&format!("fanfare.events.default.{event_type}")].1;
        assert_eq!(about("stock.low")["field"], "$.data.left", "{rejected:?}");
        assert!(about("stock.low.again")["reason"].to_string().contains("not a known event type"), "{rejected:?}");
    }
}
