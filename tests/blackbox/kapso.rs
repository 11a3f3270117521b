//! Clients and receivers that were written for Kapso's platform, by others, work against Fanfare as they are.

use std::process::Stdio;

use fanfare_core::catalogue::Catalogue;
use fanfare_core::meta;
use fanfare_core::secret::Secret;
use fanfare_core::signature::SigningKey;
use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::receivers::{node_script, python, root, run_of, verifiers};
use crate::samples::{event, sample};

on_both_engines!(
    the_python_client_goes_through_both_scopes,
    the_python_client_iterates_deliveries_with_every_filter,
    the_chat_adapter_handles_what_it_gets_and_refuses_what_was_changed,
    a_v1_webhook_gets_what_it_knows_signed_as_sent,
    raw_bodies_arrive_byte_for_byte_and_nowhere_else,
    a_body_that_is_parsed_and_written_again_still_verifies,
);

const NUMBER: &str = "100200300400500";

/// Runs a client with this on its standard input, and returns what it printed.
pub(crate) async fn run(mut command: Command, input: &Value) -> Value {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

async fn python_client(fanfare: &Fanfare, what: &str, receiver: &Receiver) -> Value {
    let mut python = Command::new(python());
    python.arg(root().join("tests/clients/python/kapso.py"));
    let input = json!({"what": what, "base_url": fanfare.url("/platform/v1"), "api_key": API_KEY,
                       "receiver": receiver.url("/"), "number": NUMBER});
    run(python, &input).await
}

/// Makes a webhook of the number through Kapso's API.
async fn of_number(fanfare: &Fanfare, fields: Value) -> Value {
    let path = format!("/platform/v1/whatsapp/phone_numbers/{NUMBER}/webhooks");
    let (status, created) = fanfare.call("POST", &path, Some(json!({"whatsapp_webhook": fields}))).await;
    assert_eq!(status, 201, "{created}");
    created["data"].clone()
}

fn key(webhook: &Value) -> SigningKey {
    SigningKey::new(&Secret::new(webhook["secret_key"].as_str().unwrap().to_owned()).unwrap())
}

async fn the_python_client_goes_through_both_scopes(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let seen = python_client(&fanfare, "webhooks", &receiver).await;
    let expected = json!({
        "not subscribed": [422, "not_subscribed"],
        "messages without a number": [422, "phone_number_id_needed"],
        "buffered": [422, "validation_failed"],
        "deleted": [404, "not_found"],
        "another number": [404, "not_found"],
        "stranger": [401, "unauthorized"],
    });
    assert_eq!(seen, expected);
    let tests = receiver.received(2).await;
    assert_eq!(tests[0].header("x-webhook-event"), "whatsapp.config.created");
    assert_eq!(tests[0].header("x-tenant"), "blue");
    assert_eq!(tests[1].header("x-webhook-event"), "project.event");
}

async fn the_python_client_iterates_deliveries_with_every_filter(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &crate::samples::NO_BREAKER).await;
    let good = Receiver::http(|_| Reply::Status(200)).await;
    let bad = Receiver::http(|_| Reply::Status(500)).await;
    let waiting = Receiver::http(|_| Reply::Status(503)).await;
    for (receiver, events, schedule) in [
        (&good, json!(["whatsapp.**", "project.*"]), json!([3600])),
        (&bad, json!(["whatsapp.**", "project.*"]), json!([1])),
        (&waiting, json!(["project.event"]), json!([3600])),
    ] {
        let webhook = json!({"url": receiver.url("/"), "events": events, "retry_schedule": schedule});
        fanfare.create_webhook(webhook).await;
    }
    for index in 0..20 {
        let types = ["whatsapp.message.received", "whatsapp.message.read", "project.event"];
        fanfare.publish(event(types[index % 3])).await;
    }
    let settled = |shown: &Value| {
        let rows = shown["data"].as_array().map_or(&[][..], Vec::as_slice);
        let settled = |row: &Value| row["status"] != "pending" || row["response_status"] == 503;
        rows.len() == 46 && rows.iter().all(settled)
    };
    fanfare.eventually("/platform/v1/webhook_deliveries?limit=100", |_, shown| settled(shown)).await;
    let seen = python_client(&fanfare, "deliveries", &good).await;
    let expected = json!({
        "pending": 6, "delivered": 20, "failed": 20, "conversation": "+15557654321", "number": NUMBER,
        "wrong period": [400, "invalid_parameter"], "stranger": [401, "unauthorized"],
    });
    assert_eq!(seen, expected);
}

async fn the_chat_adapter_handles_what_it_gets_and_refuses_what_was_changed(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let fields =
        json!({"url": receiver.url("/"), "events": ["whatsapp.message.received"], "secret_key": "one for both"});
    of_number(&fanfare, fields).await;
    let raw = json!({"url": receiver.url("/meta"), "events": [], "kind": "meta", "secret_key": "one for both"});
    of_number(&fanfare, raw).await;
    fanfare.publish(event("whatsapp.message.received")).await;
    let mut second = event("whatsapp.message.received");
    second["data"]["message"]["id"] = json!("wamid.AAA2");
    second["data"]["message"]["text"]["body"] = json!("¿Listo? 🎺 a/b");
    receiver.received(1).await;
    fanfare.publish(second).await;
    receiver.received(2).await;
    let mut of_meta: Value = serde_json::from_slice(&meta::sample()).unwrap();
    of_meta["entry"][0]["changes"][0]["value"]["messages"][0]["id"] = json!("wamid.AAA3");
    publish_raw(&fanfare, of_meta.to_string().into()).await;
    let requests = receiver.received(3).await;
    let name = format!("kapso-{engine:?}.mjs");
    let seen =
        run(node_script("kapso.mjs", &name), &json!({"secret": "one for both", "requests": run_of(&requests)})).await;
    let handled = ["Is my order ready?", "¿Listo? 🎺 a/b", "¿Is my order ready?"];
    assert_eq!(seen, json!({"handled": handled, "refused": 3}));
}

/// Publishes a raw body in binary mode.
pub(crate) async fn publish_raw(fanfare: &Fanfare, body: Vec<u8>) {
    let request = fanfare.client().post(fanfare.url("/v1/events")).bearer_auth(API_KEY);
    let request = request.header("ce-type", meta::RAW_TYPE).header("content-type", "application/json").body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202, "{}", answer.text().await.unwrap());
}

async fn a_v1_webhook_gets_what_it_knows_signed_as_sent(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let v1 = Receiver::http(|_| Reply::Status(200)).await;
    let v2 = Receiver::http(|_| Reply::Status(200)).await;
    let events = json!(["whatsapp.message.received", "whatsapp.config.created"]);
    let old = json!({"url": v1.url("/"), "events": events, "payload_version": "v1"});
    let old = of_number(&fanfare, old).await;
    of_number(&fanfare, json!({"url": v2.url("/"), "events": ["whatsapp.message.received"]})).await;
    let mut sent = event("whatsapp.message.received");
    sent["data"]["whatsapp_config"] = json!({"id": "cfg-1", "phone_number_id": NUMBER});
    fanfare.publish(sent).await;
    let mapped = v1.received(1).await.remove(0);
    assert_eq!(mapped.header("x-webhook-payload-version"), "v1");
    assert_eq!(mapped.header("x-webhook-event"), "whatsapp.message.received");
    assert_eq!(mapped.header("x-webhook-signature"), key(&old).body_signature(&mapped.body));
    let body: Value = serde_json::from_slice(&mapped.body).unwrap();
    assert_eq!(
        (&body["message"]["content"], &body["whatsapp_config"]["id"]),
        (&json!("Is my order ready?"), &json!("cfg-1"))
    );
    let plain = v2.received(1).await.remove(0);
    assert_eq!(plain.header("x-webhook-payload-version"), "v2");
    assert_eq!(plain.body, sample("whatsapp.message.received").to_string().as_bytes());
    fanfare.publish(event("whatsapp.phone_number.created")).await;
    assert_eq!(v1.received(2).await[1].header("x-webhook-event"), "whatsapp.config.created");
}

async fn raw_bodies_arrive_byte_for_byte_and_nowhere_else(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let all = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = of_number(&fanfare, json!({"url": receiver.url("/"), "kind": "meta"})).await;
    assert_eq!((&webhook["kind"], &webhook["events"]), (&json!("meta"), &json!([])));
    fanfare.create_webhook(json!({"url": all.url("/"), "events": ["**"]})).await;
    // As nobody would normalise it: spaces, escapes, a number in another form, a line's end.
    let body =
        String::from_utf8(meta::sample().to_vec()).unwrap().replace("\"field\"", "\"n\" : 1.0e2,\n \"field\"") + "\n";
    publish_raw(&fanfare, body.clone().into()).await;
    let request = receiver.received(1).await.remove(0);
    assert_eq!(request.body, body.as_bytes());
    assert_eq!(
        request.header("x-hub-signature-256"),
        format!("sha256={}", key(&webhook).body_signature(body.as_bytes()))
    );
    assert_eq!(request.header("x-idempotency-key"), meta::idempotency_key(body.as_bytes()));
    assert!(!request.headers.contains_key("x-webhook-signature") && !request.headers.contains_key("x-webhook-event"));
    let id = fanfare.publish(json!({"type": "order.paid", "source": NUMBER, "data": {"order": 1}})).await;
    all.received(1).await;
    let shown = fanfare.eventually(&format!("/v1/events/{id}"), |_, shown| shown["status"] == "fanned_out").await;
    assert_eq!(shown["non_matches"][0]["webhook_id"], webhook["id"], "the kind gets nothing else");
    assert_eq!(all.received(1).await[0].header("x-webhook-event"), "order.paid", "a pattern takes no raw bodies in");
    let (status, second) = fanfare
        .call(
            "POST",
            &format!("/platform/v1/whatsapp/phone_numbers/{NUMBER}/webhooks"),
            Some(json!({"whatsapp_webhook": {"url": receiver.url("/2"), "kind": "meta"}})),
        )
        .await;
    assert_eq!((status, &second["error"]["code"]), (409, &json!("meta_webhook_exists")), "{second}");
}

/// Every type of the catalogue, in the version that a webhook of each gets, through libraries whose receivers parse first.
async fn a_body_that_is_parsed_and_written_again_still_verifies(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let types = Catalogue::builtin().entries().iter().map(|entry| entry.event_type.as_str());
    // Those that Fanfare tells of itself nobody may publish.
    let types: Vec<&str> = types.filter(|name| !name.starts_with("fanfare.")).collect();
    let needs_v2 = ["offboarded", "disconnected", "reconnected"].map(|last| format!("whatsapp.phone_number.{last}"));
    let v1: Vec<&str> = types.iter().copied().filter(|name| !needs_v2.iter().any(|other| other == name)).collect();
    let secret = crate::receivers::SECRET;
    for (path, version, events) in [("/v2", "v2", &types), ("/v1", "v1", &v1)] {
        let fields = json!({"url": receiver.url(path), "events": events, "payload_version": version, "secret": secret});
        fanfare.create_webhook(fields).await;
    }
    for event_type in &types {
        fanfare.publish(event(event_type)).await;
    }
    let requests = receiver.received(types.len() + v1.len()).await;
    for verifier in verifiers(&format!("catalogue-{engine:?}")) {
        crate::receivers::verified(verifier, &json!(secret), &run_of(&requests)).await;
    }
}
