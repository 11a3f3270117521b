//! The main job: publish once, every subscribed webhook receives it, signed, retried, accounted for.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::{EventId, IdempotencyKey};
use fanfare_core::secret::Secret;
use fanfare_core::signature::SigningKey;
use fanfare_testkit::{Authority, Engine, Fanfare, Received, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::{FIVE, event, order, sample, webhook};

crate::on_both_engines! {
    five_whatsapp_events_arrive_signed_over_https,
    a_receiver_that_fails_twice_is_tried_again_under_the_same_key_and_every_attempt_is_shown,
    retry_after_is_the_earliest_next_attempt,
    an_exhausted_delivery_can_be_sent_again_as_a_new_run_under_the_same_key,
    a_receiver_that_is_gone_pauses_its_webhook_and_activation_releases_what_waited_in_order,
    new_events_skip_an_inactive_webhook_and_the_reason_is_shown,
    deleting_a_webhook_discards_what_waits_for_it,
    an_event_past_its_time_expires_instead_of_arriving,
    a_broken_receiver_does_not_hold_up_a_healthy_one,
    what_happened_is_counted,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text"))
}

/// Holds a request against every promise of the wire format, with the secret that the API gave.
fn assert_genuine(request: &Received, created: &Value, event_id: &str, event_type: &str, attempt: u32) {
    let key = SigningKey::new(&Secret::new(text(&created["secret"]).to_owned()).unwrap());
    let webhook = text(&created["id"]).parse().unwrap();
    let idempotency = IdempotencyKey::derive(webhook, &EventId::new(event_id).unwrap()).to_string();
    assert_eq!(request.header("content-type"), "application/json");
    assert!(request.header("user-agent").starts_with("Fanfare/"));
    assert_eq!(request.header("x-webhook-event"), event_type);
    assert_eq!(request.header("x-webhook-signature"), key.body_signature(&request.body));
    assert_eq!(request.key(), idempotency);
    assert_eq!(request.header("x-webhook-payload-version"), "v2");
    assert_eq!(request.header("x-webhook-attempt"), attempt.to_string());
    assert_eq!(request.header("webhook-id"), idempotency);
    let seconds: i64 = request.header("webhook-timestamp").parse().unwrap();
    let expected = key.standard_signature(&idempotency, Timestamp::from_seconds(seconds), &request.body);
    assert_eq!(request.header("webhook-signature"), expected);
}

async fn five_whatsapp_events_arrive_signed_over_https(engine: Engine) {
    let authority = Authority::new();
    let ca_file = authority.ca_file();
    let fanfare = Fanfare::start_on(engine, &[("FANFARE_EGRESS_CA_FILE", ca_file.to_str().unwrap())]).await;
    let receiver = Receiver::https(&authority, |_| Reply::Status(200)).await;
    let created = fanfare
        .create_webhook(json!({
            "url": receiver.url("/hooks"),
            "events": ["whatsapp.*.*"],
            "headers": {"X-Tenant": "blue"},
        }))
        .await;
    assert_eq!(created["state"], "healthy");

    for event_type in FIVE {
        let id = fanfare.publish(event(event_type)).await;
        let requests =
            receiver.until(event_type, |all| all.iter().any(|r| r.header("x-webhook-event") == event_type)).await;
        let request = requests.iter().find(|request| request.header("x-webhook-event") == event_type).unwrap();
        assert_genuine(request, &created, &id, event_type, 1);
        assert_eq!(request.path, "/hooks");
        assert_eq!(request.header("x-tenant"), "blue");
        assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), sample(event_type));

        let shown = fanfare
            .eventually(&format!("/v1/events/{id}"), |_, shown| shown["deliveries"][0]["status"] == "delivered")
            .await;
        assert_eq!(shown["type"], event_type);
        assert_eq!(shown["source"], "100200300400500");
    }
    assert_eq!(receiver.so_far().len(), FIVE.len(), "each event arrives once");
}

async fn a_receiver_that_fails_twice_is_tried_again_under_the_same_key_and_every_attempt_is_shown(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|request| match request.index {
        0 => Reply::Full(500, vec![("x-trace", "t1".to_owned())], Bytes::from_static(b"boom \xff\x00")),
        1 => Reply::Status(503),
        _ => Reply::Status(204),
    })
    .await;
    let created = fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let id = fanfare.publish(order("order-1")).await;

    let requests = receiver.received(3).await;
    for (request, attempt) in requests.iter().zip(1..) {
        assert_genuine(request, &created, &id, "order.paid", attempt);
    }
    let path = format!("/v1/deliveries?event_id={id}");
    let list = fanfare.eventually(&path, |_, list| list["data"][0]["status"] == "delivered").await;
    let delivery = fanfare.call("GET", &format!("/v1/deliveries/{}", text(&list["data"][0]["id"])), None).await.1;
    assert_eq!(delivery["attempt_count"], 3);
    let attempts = delivery["attempts"].as_array().unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| text(&attempt["outcome"])).collect();
    assert_eq!(outcomes, ["server_error", "server_error", "success"]);
    assert_eq!(attempts[0]["status"], 500);
    assert!(attempts[0].to_string().contains("x-trace"));
    assert_eq!(attempts.iter().map(|a| text(&a["id"])).collect::<HashSet<_>>().len(), 3, "each POST has its own id");
    let webhook = fanfare.call("GET", &format!("/v1/webhooks/{}", text(&created["id"])), None).await.1;
    assert_eq!(webhook["state"], "healthy");
}

async fn retry_after_is_the_earliest_next_attempt(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Full(429, vec![("retry-after", "3600".to_owned())], Bytes::new())).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let id = fanfare.publish(order("order-1")).await;
    let path = format!("/v1/deliveries?event_id={id}");
    let list = fanfare.eventually(&path, |_, list| list["data"][0]["status"] == "waiting").await;
    let delivery = &list["data"][0];
    assert_eq!(delivery["waiting_reason"], "retry_after");
    let (last, next) = (&delivery["last_attempt_at"], &delivery["next_attempt_at"]);
    let (last, next) = (Timestamp::parse(text(last)).unwrap(), Timestamp::parse(text(next)).unwrap());
    let wait = next.since(last).as_secs();
    assert!((3599..=3602).contains(&wait), "waits {wait} s");
    // A retry request brings it forward: the same delivery, its next attempt.
    let path = format!("/v1/deliveries/{}/retry", text(&delivery["id"]));
    receiver.answer(|_| Reply::Status(200));
    let (status, answer) = fanfare.call("POST", &path, None).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["delivery_id"], delivery["id"]);
    let requests = receiver.received(2).await;
    assert_eq!(requests[0].key(), requests[1].key());
    assert_eq!(requests[1].header("x-webhook-attempt"), "2");
}

async fn an_exhausted_delivery_can_be_sent_again_as_a_new_run_under_the_same_key(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(500)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["order.paid"], "retry_schedule": [1]})).await;
    let id = fanfare.publish(order("order-1")).await;
    let path = format!("/v1/deliveries?event_id={id}");
    let list = fanfare.eventually(&path, |_, list| list["data"][0]["status"] == "exhausted").await;
    assert_eq!(list["data"][0]["attempt_count"], 2);

    receiver.answer(|_| Reply::Status(200));
    let retry = format!("/v1/deliveries/{}/retry", text(&list["data"][0]["id"]));
    let (status, answer) = fanfare.call("POST", &retry, None).await;
    assert_eq!(status, 202, "{answer}");
    assert_ne!(answer["delivery_id"], list["data"][0]["id"]);
    let requests = receiver.received(3).await;
    assert!(requests.iter().all(|request| request.key() == requests[0].key()));
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    let list = fanfare.eventually(&path, |_, list| list["data"][0]["status"] == "delivered").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
}

async fn a_receiver_that_is_gone_pauses_its_webhook_and_activation_releases_what_waited_in_order(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(410)).await;
    let created = fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let path = format!("/v1/webhooks/{}", text(&created["id"]));
    fanfare.publish(order("order-0")).await;
    let paused = fanfare.eventually(&path, |_, webhook| webhook["state"] == "paused").await;
    assert_eq!(paused["paused_reason"], "gone");
    assert!(paused["paused_at"].is_string());

    for number in 1..=20 {
        fanfare.publish(order(&format!("order-{number}"))).await;
    }
    let all_gated = |_: u16, list: &Value| list["data"].as_array().is_some_and(|rows| rows.len() == 21);
    fanfare.eventually("/v1/deliveries?status=gated&limit=100", all_gated).await;
    assert_eq!(receiver.so_far().len(), 1, "nothing is sent to a paused webhook");

    receiver.answer(|_| Reply::Status(200));
    let (status, answer) = fanfare.call("POST", &format!("{path}/activate"), None).await;
    assert_eq!(status, 200, "{answer}");
    receiver.received(22).await;
    let all_delivered = |_: u16, list: &Value| list["data"].as_array().is_some_and(|rows| rows.len() == 21);
    fanfare.eventually("/v1/deliveries?status=delivered&limit=100", all_delivered).await;
    fanfare.eventually(&path, |_, webhook| webhook["state"] == "healthy").await;
    let id = fanfare.publish(order("order-21")).await;
    let path = format!("/v1/events/{id}");
    fanfare.eventually(&path, |_, shown| shown["deliveries"][0]["status"] == "delivered").await;
}

async fn new_events_skip_an_inactive_webhook_and_the_reason_is_shown(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let created = fanfare.create_webhook(webhook(&receiver.url("/all"))).await;
    let other = json!({"url": receiver.url("/other"), "events": ["invoice.*"]});
    let other = fanfare.create_webhook(other).await;
    let path = format!("/v1/webhooks/{}", text(&created["id"]));
    let (status, patched) = fanfare.call("PATCH", &path, Some(json!({"active": false}))).await;
    assert_eq!((status, &patched["active"], &patched["state"]), (200, &json!(false), &json!("paused")), "{patched}");
    assert_eq!(patched["paused_reason"], "owner");

    let id = fanfare.publish(order("skipped")).await;
    let path = format!("/v1/events/{id}");
    let shown =
        fanfare.eventually(&path, |_, shown| shown["non_matches"].as_array().is_some_and(|n| n.len() == 2)).await;
    let reason = |webhook: &Value| {
        let non_matches = shown["non_matches"].as_array().unwrap();
        non_matches
            .iter()
            .find(|entry| entry["webhook_id"] == webhook["id"])
            .map(|entry| text(&entry["reason"]).to_owned())
    };
    assert_eq!(reason(&created).as_deref(), Some("inactive"));
    assert_eq!(reason(&other).as_deref(), Some("type"));
    assert_eq!(shown["deliveries"], json!([]));

    // The test is sent all the same, and says so.
    let test = format!("/v1/webhooks/{}/test", text(&created["id"]));
    let (status, answer) = fanfare.call("POST", &test, Some(json!({"event_type": FIVE[0]}))).await;
    assert_eq!((status, &answer["data"]["success"]), (200, &json!(true)), "{answer}");
    let request = &receiver.received(1).await[0];
    assert_eq!(request.header("x-webhook-test"), "true");
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap()["test"], true);
}

async fn deleting_a_webhook_discards_what_waits_for_it(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(410)).await;
    let created = fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    for number in 0..5 {
        fanfare.publish(order(&format!("order-{number}"))).await;
    }
    let five = |_: u16, list: &Value| list["data"].as_array().is_some_and(|rows| rows.len() == 5);
    fanfare.eventually("/v1/deliveries?status=gated", five).await;
    let path = format!("/v1/webhooks/{}", text(&created["id"]));
    assert_eq!(fanfare.call("DELETE", &path, None).await.0, 204);
    assert_eq!(fanfare.call("GET", &path, None).await.0, 404);
    fanfare.eventually("/v1/deliveries?status=discarded", five).await;
}

async fn an_event_past_its_time_expires_instead_of_arriving(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let mut late = order("late");
    late["expirytime"] = json!("2020-01-01T00:00:00Z");
    let id = fanfare.publish(late).await;
    let path = format!("/v1/deliveries?event_id={id}");
    fanfare.eventually(&path, |_, list| list["data"][0]["status"] == "expired").await;
    assert!(receiver.so_far().is_empty());
}

async fn a_broken_receiver_does_not_hold_up_a_healthy_one(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let hanging = Receiver::http(|_| Reply::Hang).await;
    let healthy = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&hanging.url("/"))).await;
    fanfare.create_webhook(webhook(&healthy.url("/"))).await;
    for number in 0..200 {
        fanfare.publish(order(&format!("order-{number}"))).await;
    }
    // The hanging one's first attempts time out after ten seconds at the earliest; its lane is full of them.
    healthy.received(200).await;
    assert!(hanging.so_far().len() <= 32, "a lane has one limit");
}

async fn what_happened_is_counted(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|request| Reply::Status(if request.index == 0 { 500 } else { 200 })).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    fanfare.publish(order("one")).await;
    fanfare.publish(order("one")).await;
    receiver.received(2).await;
    fanfare.eventually("/v1/deliveries", |_, list| list["data"][0]["status"] == "delivered").await;
    for (series, value) in [
        ("fanfare_ingest_events_total{result=\"accepted\"}", 1.0),
        ("fanfare_ingest_events_total{result=\"duplicate\"}", 1.0),
        ("fanfare_fanout_events_total{result=\"matched\"}", 1.0),
        ("fanfare_fanout_deliveries_total", 1.0),
        ("fanfare_delivery_attempts_total{outcome=\"server_error\"}", 1.0),
        ("fanfare_delivery_attempts_total{outcome=\"success\"}", 1.0),
        ("fanfare_delivery_ended_total{end=\"delivered\"}", 1.0),
        ("fanfare_delivery_end_to_end_seconds_count", 1.0),
        ("fanfare_dedup_decisions_total{decision=\"claimed\"}", 2.0),
        ("fanfare_delivery_connections_total{connection=\"new\"}", 1.0),
        ("fanfare_delivery_connections_total{connection=\"reused\"}", 1.0),
    ] {
        assert!(
            (fanfare.metric(series).await - value).abs() < 0.5,
            "{series} is not {value}:\n{}",
            fanfare.metrics().await
        );
    }
    let digits = |signature: &str| STANDARD.decode(signature.trim_start_matches("v1,")).unwrap().len();
    assert_eq!(digits(receiver.so_far()[0].header("webhook-signature")), 32);
}
