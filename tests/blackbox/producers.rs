//! Producers that nobody here wrote publish in every mode of CloudEvents over HTTP.

use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::kapso::run;
use crate::receivers::{node_script, python, root};

on_both_engines!(cloudevents_for_node_publishes_in_every_mode, cloudevents_for_python_publishes_in_every_mode);

/// What the clients are given to publish; they may write it as they like.
const DATA: &str =
    r#"{"total":12.5,"text":"¿Listo? 🎺 \"sí\" a/b\n<b>&amp;</b>","items":[1,null,true,{"z":0,"a":-0.25}]}"#;

/// Runs a client, and holds what was answered, what is shown, and what a receiver gets to what it sent.
async fn publishes(engine: Engine, client: Command, subject: &str, more: &[&str]) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["**"]})).await;
    let data: Value = serde_json::from_str(DATA).unwrap();
    let answers = run(client, &json!({"url": fanfare.url("/v1/events"), "api_key": API_KEY, "data": data})).await;
    let accepted = |id: &str| json!({"id": id, "status": "accepted"});
    let duplicate = json!({"id": "binary", "status": "duplicate"});
    assert_eq!(answers["structured"], json!([202, accepted("structured")]));
    assert_eq!(answers["binary"], json!([202, accepted("binary")]));
    assert_eq!(answers["batch"], json!([202, {"results": [accepted("batch-1"), accepted("batch-2"), duplicate]}]));
    assert_eq!(answers["again"], json!([202, duplicate]), "the same event in another mode is the same event");
    let mut ids = vec!["structured", "binary", "batch-1", "batch-2"];
    for id in more {
        assert_eq!(answers[id.replace('-', " ")], json!([202, accepted(id)]));
        ids.push(id);
    }
    let got = receiver.received(ids.len()).await;
    for request in got {
        assert_eq!(std::str::from_utf8(&request.body).unwrap(), DATA);
        assert_eq!(request.header("x-webhook-event"), "order.paid");
    }
    for id in ids {
        let shown = fanfare.eventually(&format!("/v1/events/{id}"), |_, shown| shown["status"] == "fanned_out").await;
        let subject = if id.starts_with("old") { "customer 7" } else { subject };
        let attributes = json!([shown["source"], shown["subject"], shown["time"], shown["extensions"]["region"]]);
        assert_eq!(attributes, json!(["/shops/1?a=b&c", subject, "2025-12-06T05:46:40.123Z", "eu"]), "{shown}");
    }
}

async fn cloudevents_for_node_publishes_in_every_mode(engine: Engine) {
    let client = node_script("produce.mjs", &format!("produce-{engine:?}.mjs"));
    publishes(engine, client, "customer 7", &[]).await;
}

async fn cloudevents_for_python_publishes_in_every_mode(engine: Engine) {
    let mut client = Command::new(python());
    client.arg(root().join("tests/clients/python/produce.py"));
    publishes(engine, client, "customer \"7\" ñ 100%", &["old-structured", "old-binary"]).await;
}
