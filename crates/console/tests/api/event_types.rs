//! A project's own event types, and what strict projects accept.

use fanfare_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::routes::both;
use crate::world::{ADMIN, STRANGER, World};

fn stock_low() -> Value {
    json!({
        "type": "stock.low",
        "title": "Stock is low",
        "schema": {"type": "object", "properties": {"left": {"type": "integer"}}, "required": ["left"]},
        "sample": {"left": 3},
    })
}

#[tokio::test]
async fn a_type_is_made_shown_changed_and_deleted() {
    let world = World::new().await;
    let made = world.call("POST", "/v1/event-types", Some(stock_low())).await;
    assert_eq!((made.status, &made.headers["location"]), (201, &"/v1/event-types/stock.low".parse().unwrap()));
    let path = "/v1/event-types/stock.low";
    assert_eq!(world.get(path).await.body, made.body);
    assert_eq!(world.call_as(STRANGER, "GET", path, None).await.status, 404);
    let again = world.call("POST", "/v1/event-types", Some(stock_low())).await;
    assert_eq!((again.status, again.code()), (409, "event-type-exists"));

    let refused = world.call("PATCH", path, Some(json!({"sample": {"left": "none"}}))).await;
    assert_eq!((refused.status, refused.fields()), (400, vec!["$.sample.left".to_owned()]));
    let changed = world.call("PATCH", path, Some(json!({"schema": null, "sample": {"left": "none"}}))).await;
    assert_eq!((changed.status, &changed.body["schema"]), (200, &Value::Null));
    assert_eq!(world.get(path).await.body, changed.body);
    assert_eq!(world.call("DELETE", path, None).await.status, 204);
    assert_eq!(world.get(path).await.status, 404);
    assert_eq!(world.call("DELETE", path, None).await.status, 404);
}

#[tokio::test]
async fn the_catalogues_types_are_shown_and_stay() {
    let world = World::new().await;
    let path = "/v1/event-types/whatsapp.message.received";
    assert_eq!(world.get(path).await.body["scope"], "number");
    let made = json!({"type": "whatsapp.message.received", "title": "Mine", "sample": {}});
    for answer in [
        world.call("PATCH", path, Some(json!({"title": "Mine"}))).await,
        world.call("DELETE", path, None).await,
        world.call("POST", "/v1/event-types", Some(made)).await,
    ] {
        assert_eq!((answer.status, answer.code()), (409, "built-in-event-type"));
    }
}

#[tokio::test]
async fn pages_have_every_type_once() {
    let world = World::new().await;
    for name in ["b.two", "a.one", "c.three"] {
        let own = json!({"type": name, "title": "Own", "sample": {}});
        assert_eq!(world.call("POST", "/v1/event-types", Some(own)).await.status, 201);
    }
    for limit in [1, 13, 31, 32, 33, 34] {
        let (mut names, mut path) = (Vec::new(), format!("/v1/event-types?limit={limit}"));
        loop {
            let page = world.get(&path).await.body;
            let data = page["data"].as_array().unwrap();
            assert!(!data.is_empty() && data.len() <= limit);
            names.extend(data.iter().map(|entry| entry["type"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/v1/event-types?limit={limit}&after={next}");
        }
        assert_eq!((names.len(), &names[31..]), (34, &["a.one", "b.two", "c.three"].map(str::to_owned)[..]));
    }
    for (own, count, first) in [("true", 3, "a.one"), ("false", 31, "whatsapp.message.received")] {
        let (mut names, mut path) = (Vec::new(), format!("/v1/event-types?limit=2&own={own}"));
        loop {
            let page = world.get(&path).await.body;
            names.extend(page["data"].as_array().unwrap().iter().map(|entry| entry["type"].clone()));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/v1/event-types?limit=2&own={own}&after={next}");
        }
        assert_eq!((names.len(), &names[0]), (count, &json!(first)));
    }
    assert_eq!(world.get("/v1/event-types?own=maybe").await.fields(), ["own"]);
}

#[tokio::test]
async fn a_strict_project_accepts_known_types_whose_data_meets_their_schema() {
    let mut world = World::new().await;
    world.router = both(&world);
    let event = |left: Value| json!({"type": "stock.low", "data": {"left": left}});
    let publish = async |body: Value| world.call_as(STRANGER, "POST", "/v1/events", Some(body)).await;
    assert_eq!(publish(event(json!("free"))).await.status, 202, "not strict yet");
    let strict = world.call_as(ADMIN, "PATCH", "/v1/projects/other", Some(json!({"strict_event_types": true}))).await;
    assert_eq!((strict.status, &strict.body["strict_event_types"]), (200, &json!(true)));

    let unknown = publish(event(json!(1))).await;
    assert_eq!((unknown.status, unknown.code()), (422, "unknown-event-type"));
    assert_eq!(unknown.fields(), ["$.type"]);
    let path = "/v1/event-types";
    assert_eq!(world.call_as(STRANGER, "POST", path, Some(stock_low())).await.status, 201);
    assert_eq!(publish(event(json!(1))).await.status, 202, "from the answer on");
    let broken = publish(event(json!("hidden"))).await;
    assert_eq!((broken.status, broken.code()), (422, "schema-violation"));
    assert_eq!(broken.fields(), ["$.data.left"]);
    assert!(!broken.body.to_string().contains("hidden"), "{}", broken.body);

    let batch = publish(json!([event(json!(2)), event(json!("x")), {"type": "other.type", "data": {}}])).await;
    let results = batch.body["results"].as_array().unwrap();
    assert_eq!((batch.status, &results[0]["status"]), (207, &json!("accepted")));
    assert_eq!(results[1]["error"]["field"], "$[1].data.left");
    assert_eq!(results[2]["error"]["field"], "$[2].type");
    let catalogue = publish(json!({"type": "whatsapp.message.received", "data": {}})).await;
    assert_eq!((catalogue.status, catalogue.code()), (422, "schema-violation"));
}

#[tokio::test]
async fn a_test_of_an_own_type_sends_its_sample() {
    let world = World::new().await;
    assert_eq!(world.call("POST", "/v1/event-types", Some(stock_low())).await.status, 201);
    let receiver = Receiver::http(|_| Reply::Status(204)).await;
    let webhook = world.webhook(json!({"url": receiver.url("/"), "events": ["stock.*"]})).await;
    let path = format!("/v1/webhooks/{}/test", webhook["id"].as_str().unwrap());
    assert_eq!(world.call("POST", &path, None).await.body["data"]["success"], true);
    let sent: Value = serde_json::from_slice(&receiver.received(1).await[0].body).unwrap();
    assert_eq!(sent, json!({"left": 3, "test": true}));
}
