//! Many events in one request.

use fanfare_core::ports::StoreErrorKind;
use serde_json::{Value, json};

use crate::world::{BATCH, JSON, ONE, World};

fn event(id: &str, number: usize) -> Value {
    json!({"id": id, "type": "order.paid", "data": {"number": number}})
}

#[tokio::test]
async fn a_batch_is_answered_one_by_one_in_its_order() {
    let world = World::new().await;
    let batch = json!([event("a", 1), event("b", 2), event("a", 1)]).to_string();
    for (content_type, statuses) in
        [(JSON, ["accepted", "accepted", "duplicate"]), (BATCH, ["duplicate", "duplicate", "duplicate"])]
    {
        let answer = world.post(content_type, batch.clone()).await;
        let results = json!({"results": [
            {"id": "a", "status": statuses[0]},
            {"id": "b", "status": statuses[1]},
            {"id": "a", "status": statuses[2]},
        ]});
        assert_eq!((answer.status, answer.json), (202, results));
    }
    assert_eq!(world.log.ids(), ["a", "b"]);
    assert_eq!((world.counted("accepted"), world.counted("duplicate")), (2, 4));
}

#[tokio::test]
async fn what_is_wrong_in_a_batch_does_not_hold_up_the_rest() {
    let world = World::new().await;
    let large = json!({"id": "e", "type": "a", "data": ["x".repeat(256 * 1024)]});
    let untyped = json!({"id": "b", "data": {}});
    let xml = json!({"id": "f", "type": "a", "datacontenttype": "text/xml", "data": {}});
    let batch = json!([event("a", 1), untyped, event("a", 2), 7, large, xml, event("c", 3)]);
    let answer = world.post(BATCH, batch.to_string()).await;
    assert_eq!(answer.status, 207);
    let results = answer.json["results"].as_array().unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|result| {
            let error = &result["error"];
            assert_eq!(error.is_null(), result["status"] != "rejected", "{result}");
            assert!(error.is_null() || error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{result}");
            [&result["id"], &result["status"], &error["code"], &error["field"]]
                .map(|value| value.as_str().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ["a", "accepted", "-", "-"],
            ["b", "rejected", "invalid-request", "$[1].type"],
            ["a", "rejected", "event-conflict", "$[2].id"],
            ["-", "rejected", "invalid-request", "$[3]"],
            ["e", "rejected", "too-large", "$[4].data"],
            ["f", "rejected", "unsupported-media-type", "$[5].datacontenttype"],
            ["c", "accepted", "-", "-"],
        ]
    );
    assert_eq!(world.log.ids(), ["a", "c"]);
    let counted = ["accepted", "conflict", "invalid", "too_large"].map(|result| world.counted(result));
    assert_eq!(counted, [2, 1, 3, 1]);
}

#[tokio::test]
async fn a_batch_of_nothing_but_wrong_events_needs_no_store() {
    let world = World::new().await;
    world.log.fail_with(Some(StoreErrorKind::Unavailable));
    let answer = world.post(BATCH, "[{}, {}]").await;
    assert_eq!((answer.status, answer.json["results"].as_array().map(Vec::len)), (207, Some(2)));
}

#[tokio::test]
async fn what_is_no_batch_is_refused_whole() {
    let world = World::new().await;
    let many =
        Value::from((0..501).map(|number| event(&format!("e-{number}"), number)).collect::<Vec<_>>()).to_string();
    for (content_type, body, status, field) in [
        (BATCH, event("a", 1).to_string(), 400, "$"),
        (ONE, json!([event("a", 1)]).to_string(), 400, "$"),
        (JSON, format!("[{}, ", event("a", 1)), 400, "$"),
        (JSON, many, 413, "$"),
        (JSON, format!("[{}]", " ".repeat(8 * 1024 * 1024)), 413, "$"),
        (BATCH, format!("[{}]", " ".repeat(8 * 1024 * 1024)), 413, "$"),
    ] {
        let answer = world.post(content_type, body).await;
        assert_eq!((answer.status, answer.field()), (status, field));
    }
    assert!(world.log.events().is_empty());
}

#[tokio::test]
async fn the_largest_and_the_smallest_batch_are_taken() {
    let world = World::new().await;
    let many: Vec<_> = (0..500).map(|number| event(&format!("e-{number}"), number)).collect();
    let answer = world.post(JSON, format!("\n {}", Value::from(many))).await;
    assert_eq!((answer.status, answer.json["results"].as_array().map(Vec::len)), (202, Some(500)));
    let ids: Vec<_> = (0..500).map(|number| format!("e-{number}")).collect();
    assert_eq!(world.log.ids(), ids);
    let answer = world.post(BATCH, "[]").await;
    assert_eq!((answer.status, answer.json), (202, json!({"results": []})));
    let answer = world.post(JSON, format!("[{}]", " ".repeat(8 * 1024 * 1024 - 2))).await;
    assert_eq!(answer.status, 202);
}
