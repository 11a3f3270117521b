//! What an event may carry at its utmost: every character and length that is allowed arrives and is shown unchanged, on the
//! way through either engine.

use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::webhook;

crate::on_both_engines! {
    every_allowed_character_arrives_and_is_shown_unchanged,
    data_of_256_kib_arrives_and_one_byte_more_is_refused,
}

/// The path of an event whose id may have any character.
fn path(id: &str) -> String {
    let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/v1/events/{encoded}")
}

async fn every_allowed_character_arrives_and_is_shown_unchanged(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    // Every character that an id may have, and as many as it may have.
    let id: String = ('!'..='~').cycle().take(256).collect();
    let texts = [
        "  spaces at both ends and  inside  ".to_owned(),
        "\"quotes\" 'of' `each` kind, \\ and / and %, %0A, %25 and \u{feff}\u{2028}".to_owned(),
        "🎉 naïve 你好 \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}".to_owned(),
        "🎉".repeat(256),
        ".*>:;,={}[]()<>?#&+~^|$@!".to_owned(),
    ];
    let mut events = vec![(id.clone(), "plain".to_owned(), "plain".to_owned())];
    for (number, text) in texts.iter().enumerate() {
        events.push((format!("%\"'\\/{number}"), text.clone(), texts[texts.len() - 1 - number].clone()));
    }
    for (id, subject, source) in &events {
        let event = json!({"id": id, "type": "order.paid", "subject": subject, "source": source, "data": {"id": id, "s": subject}});
        assert_eq!(fanfare.publish(event).await, *id);
    }
    let requests = receiver.received(events.len()).await;
    for (id, subject, source) in &events {
        let shown = fanfare.eventually(&path(id), |_, shown| shown["deliveries"][0]["status"] == "delivered").await;
        assert_eq!((&shown["id"], &shown["subject"], &shown["source"]), (&json!(id), &json!(subject), &json!(source)));
        let wanted = json!({"id": id, "s": subject});
        let arrived = requests.iter().any(|request| serde_json::from_slice::<Value>(&request.body).unwrap() == wanted);
        assert!(arrived, "{id} did not arrive as it was");
    }
    assert_eq!(receiver.so_far().len(), events.len());

    for (field, text) in [
        ("subject", "a\r\nb".to_owned()),
        ("source", "a\nb".to_owned()),
        ("subject", "a\u{85}b".to_owned()),
        ("subject", "🎉".repeat(257)),
        ("source", "é".repeat(257)),
        ("id", "x".repeat(257)),
        ("id", "é".to_owned()),
        ("id", "a\r\nNats-Msg-Id: b".to_owned()),
    ] {
        let mut event = json!({"type": "order.paid", "data": {}});
        event[field] = json!(text);
        let (status, problem) = fanfare.call("POST", "/v1/events", Some(event)).await;
        assert_eq!(status, 400, "{field} {text:?}: {problem}");
        assert_eq!(problem["errors"][0]["field"], format!("$.{field}"), "{problem}");
    }
}

async fn data_of_256_kib_arrives_and_one_byte_more_is_refused(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let of_size = |bytes: usize| json!({"x": "y".repeat(bytes - "{\"x\":\"\"}".len())});
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
