//! Filters on webhooks, their preview, and the reason they give.

use fanfare_core::delivery::Place;
use serde_json::{Value, json};

use crate::world::{STRANGER, World};

#[tokio::test]
async fn a_filter_is_replaced_as_a_whole_and_taken_away_by_null() {
    let world = World::new().await;
    let hooks = json!({"url": "https://127.0.0.1:1/hooks", "events": ["**"], "filter": {"a": [1], "b": [2]}});
    let id = world.webhook(hooks).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhooks/{id}");
    let patch = async |body: Value| world.call("PATCH", &path, Some(body)).await;
    assert_eq!(patch(json!({"description": "x"})).await.body["filter"], json!({"a": [1], "b": [2]}));
    assert_eq!(patch(json!({"filter": {"b": [3]}})).await.body["filter"], json!({"b": [3]}));
    let wrong = patch(json!({"filter": {"b": [{"prefx": "x"}]}})).await;
    assert_eq!((wrong.status, wrong.fields()), (400, vec!["$.filter.b[0].prefx".to_owned()]));
    assert_eq!(world.get(&path).await.body["filter"], json!({"b": [3]}));
    assert_eq!(patch(json!({"filter": null})).await.body["filter"], Value::Null);
}

#[tokio::test]
async fn a_preview_says_whether_data_or_a_sample_matches_and_what_failed() {
    let world = World::new().await;
    let own = json!({"type": "stock.low", "title": "Stock is low", "sample": {"left": 3}});
    assert_eq!(world.call("POST", "/v1/event-types", Some(own)).await.status, 201);
    let preview = async |body: Value| world.call("POST", "/v1/filters/preview", Some(body)).await;
    let filter = json!({"message": {"type": ["text"], "kapso": {"content": [{"suffix": "ready?"}]}}});
    for (body, failed) in [
        (json!({"filter": filter, "event_type": "whatsapp.message.received"}), Value::Null),
        (json!({"filter": filter, "event_type": "whatsapp.message.sent"}), json!("message.kapso.content")),
        (json!({"filter": {"n": [1e0]}, "data": {"n": 1}}), Value::Null),
        (json!({"filter": {"left": [{"numeric": ["<", 5]}]}, "event_type": "stock.low"}), Value::Null),
        (json!({"filter": {"left": [5]}, "event_type": "stock.low"}), json!("left")),
        (json!({"filter": {"n": [1]}, "data": [{"n": 2}]}), json!("n")),
    ] {
        let answer = preview(body.clone()).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.body);
        assert_eq!(answer.body, json!({"matches": failed.is_null(), "failed_condition": failed}), "{body}");
    }
    for (body, fields) in [
        (json!({}), vec!["$.filter", "$.data"]),
        (json!({"filter": null, "data": {}}), vec!["$.filter"]),
        (json!({"filter": {"a": [{"exists": 1}]}, "data": {}}), vec!["$.filter.a[0].exists"]),
        (json!({"filter": {"a": [1]}, "data": 7}), vec!["$.data"]),
        (json!({"filter": {"a": [1]}, "data": null}), vec!["$.data"]),
        (json!({"filter": {"a": [1]}, "event_type": "order.paid"}), vec!["$.event_type"]),
        (json!({"filter": {"a": [1]}, "event_type": "a b"}), vec!["$.event_type"]),
        (json!({"filter": {"a": [1]}, "event_type": "a", "data": {}}), vec!["$.event_type"]),
        (json!({"filters": {"a": [1]}, "filter": {"a": [1]}, "data": {}}), vec!["$.filters"]),
    ] {
        let answer = preview(body.clone()).await;
        assert_eq!((answer.status, answer.fields()), (400, fields.iter().map(|f| (*f).to_owned()).collect()), "{body}");
    }
}

#[tokio::test]
async fn a_preview_does_not_know_another_projects_types() {
    let world = World::new().await;
    let own = json!({"type": "stock.low", "title": "Stock is low", "sample": {"left": 3}});
    assert_eq!(world.call("POST", "/v1/event-types", Some(own)).await.status, 201);
    let body = json!({"filter": {"left": [3]}, "event_type": "stock.low"});
    let answer = world.call_as(STRANGER, "POST", "/v1/filters/preview", Some(body)).await;
    assert_eq!((answer.status, answer.fields()), (400, vec!["$.event_type".to_owned()]));
}

#[tokio::test]
async fn an_event_shows_at_which_condition_of_a_filter_it_ended() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let filter = json!({"total": [{"numeric": [">", 100]}]});
    let hooks = json!({"url": "https://127.0.0.1:1/dear", "events": ["**"], "filter": filter});
    let dear = world.webhook(hooks).await;
    let event = world.accept("order-1", "{\"total\":100}").await;
    world.fan_out(&event, webhook, Place::Ready).await;
    let shown = world.eventually("/v1/events/order-1", |answer| answer.body["non_matches_total"] == 1).await.body;
    let expected = json!([{"webhook_id": dear["id"], "reason": "filter", "condition": "total"}]);
    assert_eq!(shown["non_matches"], expected);
}
