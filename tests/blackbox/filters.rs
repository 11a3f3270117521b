//! Filters, end to end: what is delivered, what is not, and what is said about it.

use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::{sample, webhook};

/// What is different about an event's data.
type Change<'a> = &'a dyn Fn(&mut Value);

crate::on_both_engines!(a_webhook_with_a_filter_gets_what_meets_it_and_the_rest_is_explained);

async fn a_webhook_with_a_filter_gets_what_meets_it_and_the_rest_is_explained(engine: Engine) {
    let mut fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let mut subscription = webhook(&receiver.url("/"));
    subscription["filter"] = json!({
        "message": {"type": ["text"], "kapso": {"content": [{"wildcard": "*order*"}]}},
        "$or": [{"is_new_conversation": [true]}, {"conversation": {"kapso": {"messages_count": [{"numeric": ["<", 3]}]}}}]
    });
    let created = fanfare.create_webhook(subscription).await;
    let event = |id: &str, change: Change<'_>| {
        let mut data = sample("whatsapp.message.received");
        change(&mut data);
        json!({"id": id, "type": "whatsapp.message.received", "data": data})
    };
    let cases: [(&str, Change<'_>, Option<&str>); 4] = [
        ("as-it-is", &|_| {}, None),
        ("image", &|data| data["message"]["type"] = json!("image"), Some("message.type")),
        ("elsewhere", &|data| data["message"]["kapso"]["content"] = json!("hello"), Some("message.kapso.content")),
        (
            "old",
            &|data| {
                data["is_new_conversation"] = json!(false);
                data["conversation"]["kapso"]["messages_count"] = json!(3);
            },
            Some("$or"),
        ),
    ];
    for (id, change, failed) in cases {
        fanfare.publish(event(id, change)).await;
        let path = format!("/v1/events/{id}");
        let shown = fanfare.eventually(&path, |_, shown| shown["status"] == "fanned_out").await;
        let expected = match failed {
            None => json!([]),
            Some(condition) => json!([{"webhook_id": created["id"], "reason": "filter", "condition": condition}]),
        };
        assert_eq!(shown["non_matches"], expected, "{id}");
    }
    // A change of the filter holds from its answer on, and is there after a restart.
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    let (status, changed) =
        fanfare.call("PATCH", &path, Some(json!({"filter": {"message": {"type": ["image"]}}}))).await;
    assert_eq!((status, &changed["filter"]), (200, &json!({"message": {"type": ["image"]}})));
    assert!(fanfare.terminate().await.success());
    fanfare.start_again().await;
    fanfare.publish(event("image-again", &|data| data["message"]["type"] = json!("image"))).await;
    let requests = receiver.received(2).await;
    let types: Vec<Value> = requests
        .iter()
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap()["message"]["type"].clone())
        .collect();
    assert_eq!(types, [json!("text"), json!("image")]);
}
