//! What an event may carry at its utmost: every character and length that is allowed arrives and is shown unchanged, on the
//! way through either engine, published over HTTP or straight to NATS; what is not allowed is refused.

use std::time::Duration;

use async_nats::HeaderMap;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::direct::{connect, rejections};

crate::on_both_engines! {
    every_allowed_character_arrives_and_is_shown_unchanged,
    data_of_256_kib_arrives_and_one_byte_more_is_refused,
}

/// The path of an event whose id may have any character.
fn path(id: &str) -> String {
    let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/v1/events/{encoded}")
}

/// Ids, subjects and sources, with every character that they may have, and as many as they may have.
fn allowed() -> Vec<(String, String, String)> {
    let id: String = ('!'..='~').cycle().take(256).collect();
    let texts = [
        "  spaces at both ends and  inside  ".to_owned(),
        "\"quotes\" 'of' `each` kind, \\ and / and %, %0A, %25 and \u{feff}\u{2028}".to_owned(),
        "🎉 naïve 你好 \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}".to_owned(),
        "🎉".repeat(256),
        ".*>:;,={}[]()<>?#&+~^|$@!".to_owned(),
    ];
    let mut events = vec![(id, "plain".to_owned(), "plain".to_owned())];
    for (number, text) in texts.iter().enumerate() {
        events.push((format!("%\"'\\/{number}"), text.clone(), texts[texts.len() - 1 - number].clone()));
    }
    events
}

/// What is allowed nowhere, by field, and nothing that is in it may become something else.
fn forbidden() -> Vec<(&'static str, String)> {
    vec![
        ("subject", "a\r\nb".to_owned()),
        ("subject", "a\r\nNats-Msg-Id: b\r\n\r\n{}".to_owned()),
        ("subject", "\n".to_owned()),
        ("subject", "a\rb".to_owned()),
        ("subject", String::new()),
        ("source", "a\nb".to_owned()),
        ("subject", "a\u{85}b".to_owned()),
        ("subject", "🎉".repeat(257)),
        ("source", "é".repeat(257)),
        ("id", "x".repeat(257)),
        ("id", "é".to_owned()),
        ("id", "a\r\nNats-Msg-Id: b".to_owned()),
    ]
}

async fn every_allowed_character_arrives_and_is_shown_unchanged(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": [1, 1, 1]})).await;
    let events = allowed();
    for (id, subject, source) in &events {
        let event = json!({"id": id, "type": "order.paid", "subject": subject, "source": source, "data": {"id": id, "s": subject}});
        assert_eq!(fanfare.publish(event).await, *id);
    }
    all_are_as_they_were(&fanfare, &receiver, &events).await;
    for (field, text) in forbidden() {
        let mut event = json!({"type": "order.paid", "data": {}});
        event[field] = json!(text);
        let (status, problem) = fanfare.call("POST", "/v1/events", Some(event)).await;
        assert_eq!(status, 400, "{field} {text:?}: {problem}");
        assert_eq!(problem["errors"][0]["field"], format!("$.{field}"), "{problem}");
    }
}

async fn all_are_as_they_were(fanfare: &Fanfare, receiver: &Receiver, events: &[(String, String, String)]) {
    let requests = receiver.received(events.len()).await;
    for (id, subject, source) in events {
        let shown = fanfare.eventually(&path(id), |_, shown| shown["deliveries"][0]["status"] == "delivered").await;
        assert_eq!((&shown["id"], &shown["subject"], &shown["source"]), (&json!(id), &json!(subject), &json!(source)));
        let wanted = json!({"id": id, "s": subject});
        let arrived = requests.iter().any(|request| serde_json::from_slice::<Value>(&request.body).unwrap() == wanted);
        assert!(arrived, "{id} did not arrive as it was");
    }
    assert_eq!(receiver.so_far().len(), events.len());
}

/// Data of so many bytes.
fn of_size(bytes: usize) -> Value {
    json!({"x": "y".repeat(bytes - "{\"x\":\"\"}".len())})
}

async fn data_of_256_kib_arrives_and_one_byte_more_is_refused(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": [1, 1, 1]})).await;
    let largest = of_size(256 * 1024);
    // With every other attribute as long as it may be, too.
    let event = json!({
        "id": "i".repeat(256),
        "type": "t".repeat(256),
        "subject": "🎉".repeat(256),
        "source": "🎉".repeat(256),
        "data": largest,
    });
    fanfare.publish(event).await;
    let requests = receiver.received(1).await;
    assert_eq!(requests[0].body.len(), 256 * 1024);
    assert_eq!(requests[0].body, largest.to_string());
    let event = json!({"id": "too-large", "type": "order.paid", "data": of_size(256 * 1024 + 1)});
    let (status, problem) = fanfare.call("POST", "/v1/events", Some(event)).await;
    assert_eq!(status, 413, "{problem}");
    assert_eq!(fanfare.call("GET", "/v1/events/too-large", None).await.0, 404);
}

/// As `ce-*` headers carry it.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn straight_to_nats_every_allowed_character_arrives_and_what_is_not_allowed_is_rejected() {
    let mut fanfare = Fanfare::start_on(Engine::Distributed, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": [1, 1, 1]})).await;
    let stream = connect(fanfare.servers().unwrap()).await;
    // Half of them in an object, half by headers.
    let events = allowed();
    for (number, (id, subject, source)) in events.iter().enumerate() {
        let data = json!({"id": id, "s": subject});
        let mut headers = HeaderMap::new();
        let mut body = json!({"id": id, "subject": subject, "source": source, "data": data});
        if number % 2 == 1 {
            for (name, value) in [("ce-id", id), ("ce-subject", subject), ("ce-source", source)] {
                headers.insert(name, encoded(value));
            }
            body = data;
        }
        let publishing =
            stream.publish_with_headers("fanfare.events.default.order.paid", headers, body.to_string().into());
        publishing.await.unwrap().await.unwrap();
    }
    all_are_as_they_were(&fanfare, &receiver, &events).await;

    let forbidden = forbidden();
    for (number, (field, text)) in forbidden.iter().enumerate() {
        let subject = |mode: &str| format!("fanfare.events.default.{mode}.n{number}");
        let mut event = json!({"data": {}});
        event[field] = json!(text);
        stream.publish(subject("object"), event.to_string().into()).await.unwrap().await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("ce-type", subject("headers").trim_start_matches("fanfare.events.default."));
        headers.insert(format!("ce-{field}").as_str(), encoded(text));
        let publishing = stream.publish_with_headers(subject("headers"), headers, "{}".into());
        publishing.await.unwrap().await.unwrap();
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let rejected = loop {
        ticks.tick().await;
        let found = rejections(&stream).await;
        if found.len() == 2 * forbidden.len() {
            break found;
        }
    };
    for (number, (field, text)) in forbidden.iter().enumerate() {
        for (mode, place) in [("object", format!("$.{field}")), ("headers", format!("ce-{field}"))] {
            let (_, about) = &rejected[&format!("fanfare.events.default.{mode}.n{number}")];
            assert_eq!(about["field"], place, "{text:?}: {about}");
        }
    }
    assert_eq!(receiver.so_far().len(), events.len(), "nothing of what was rejected is an event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn straight_to_nats_data_of_256_kib_arrives_and_one_byte_more_is_rejected() {
    let mut fanfare = Fanfare::start_on(Engine::Distributed, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": [1, 1, 1]})).await;
    let stream = connect(fanfare.servers().unwrap()).await;
    let (largest, larger) = (of_size(256 * 1024), of_size(256 * 1024 + 1));
    let (id, longest) = ("i".repeat(256), "🎉".repeat(256));
    // With every other attribute as long as it may be, too, in either form.
    let event = json!({"id": id, "subject": longest, "source": longest, "data": largest});
    let mut headers = HeaderMap::new();
    for (name, value) in [("ce-id", &"j".repeat(256)), ("ce-subject", &longest), ("ce-source", &longest)] {
        headers.insert(name, encoded(value));
    }
    let largest_type = format!("fanfare.events.default.{}", "t".repeat(256));
    for (headers, body) in [(HeaderMap::new(), &event), (headers.clone(), &largest)] {
        let publishing = stream.publish_with_headers(largest_type.clone(), headers, body.to_string().into());
        publishing.await.unwrap().await.unwrap();
    }
    for request in receiver.received(2).await {
        assert_eq!(request.body, largest.to_string());
    }
    let event = json!({"id": "too-large", "data": larger});
    for (mode, headers, body) in [("object", HeaderMap::new(), &event), ("headers", headers, &larger)] {
        let subject = format!("fanfare.events.default.larger.{mode}");
        let publishing = stream.publish_with_headers(subject, headers, body.to_string().into());
        publishing.await.unwrap().await.unwrap();
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    while fanfare.metric("fanfare_ingest_events_total{result=\"too_large\"}").await < 2.0 {
        ticks.tick().await;
    }
    let rejected = rejections(&stream).await;
    for (mode, kept) in [("object", event.to_string()), ("headers", larger.to_string())] {
        let (body, about) = &rejected[&format!("fanfare.events.default.larger.{mode}")];
        assert_eq!((&about["code"], &about["field"]), (&json!("too-large"), &json!("$.data")), "{about}");
        assert!(*body == kept, "it is kept whole");
    }
    assert_eq!(receiver.so_far().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_by_which_the_server_names_a_message_s_place_move_none_to_another() {
    let mut fanfare = Fanfare::start_on(Engine::Distributed, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": [1, 1, 1]})).await;
    let stream = connect(fanfare.servers().unwrap()).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("Nats-Subject", "fanfare.intake.0.default.order.refunded"),
        ("Nats-Sequence", "7000"),
        ("Nats-Time-Stamp", "2001-01-01T00:00:00Z"),
        ("Nats-Stream", "FANFARE_EVENTS"),
        ("Fanfare-Rejection", "%7B%7D"),
    ] {
        headers.insert(name, value);
    }
    for number in 0..3 {
        let body = json!({"id": format!("order-{number}"), "data": {"n": number}}).to_string();
        let publishing = stream.publish_with_headers("fanfare.events.default.order.paid", headers.clone(), body.into());
        publishing.await.unwrap().await.unwrap();
    }
    for request in receiver.received(3).await {
        assert_eq!(request.header("x-webhook-event"), "order.paid");
    }
    let shown = fanfare.eventually("/v1/events/order-0", |status, _| status == 200).await;
    assert_ne!(shown["time"].as_str().unwrap()[..4], *"2001", "{shown}");
}
