//! One event.

use fanfare_core::clock::Clock as _;
use serde_json::json;

use crate::world::{BANK, BATCH, JSON, KEY, ONE, World};

const ORDER: &str = r#"{"id": "order-1", "type": "order.paid", "data": {"total": 1.50}}"#;

#[tokio::test]
async fn an_event_is_accepted_kept_and_recognised_when_it_comes_again() {
    let world = World::new().await;
    let answer = world.post(JSON, ORDER).await;
    assert_eq!((answer.status, answer.json), (202, json!({"id": "order-1", "status": "accepted"})));
    assert_eq!(answer.headers["content-type"], "application/json");
    let answer = world.post(ONE, ORDER).await;
    assert_eq!((answer.status, answer.json), (202, json!({"id": "order-1", "status": "duplicate"})));
    let events = world.log.events();
    assert_eq!(events.len(), 1);
    let header = &events[0].header;
    assert_eq!((header.project.as_str(), header.event_type.as_str()), ("shop", "order.paid"));
    assert_eq!((header.accepted_at, header.time), (world.clock.now(), world.clock.now()));
    assert_eq!(events[0].data, r#"{"total":1.5}"#);
    assert_eq!((world.counted("accepted"), world.counted("duplicate")), (1, 1));
    assert_eq!(world.timed().0, 2);
}

#[tokio::test]
async fn the_same_id_with_other_content_is_a_conflict_but_not_in_another_project() {
    let world = World::new().await;
    assert_eq!(world.post(JSON, ORDER).await.status, 202);
    let other = ORDER.replace("1.50", "2");
    let answer = world.post(JSON, other.clone()).await;
    assert_eq!((answer.status, answer.code(), answer.field()), (409, "event-conflict", "$.id"));
    assert_eq!(answer.json["existing_id"], "order-1");
    let answer = world.post_as(&[BANK, JSON], other).await;
    assert_eq!((answer.status, &answer.json["status"]), (202, &"accepted".into()));
    assert_eq!((world.counted("accepted"), world.counted("conflict")), (2, 1));
}

#[tokio::test]
async fn an_event_without_an_id_gets_one_of_its_own() {
    let world = World::new().await;
    let body = r#"{"type": "order.paid", "data": {}}"#;
    let (one, two) = (world.post(JSON, body).await, world.post(JSON, body).await);
    assert_eq!((&one.json["status"], &two.json["status"]), (&"accepted".into(), &"accepted".into()));
    let ids = world.log.ids();
    assert!(ids[0].starts_with("evt_") && ids[0] != ids[1], "{ids:?}");
    assert_eq!((one.json["id"].as_str(), two.json["id"].as_str()), (Some(&*ids[0]), Some(&*ids[1])));
}

#[tokio::test]
async fn an_event_in_binary_mode_has_its_attributes_in_headers() {
    let world = World::new().await;
    let headers = [
        KEY,
        JSON,
        ("ce-specversion", "1.0"),
        ("ce-id", "order-1"),
        ("ce-type", "order.paid"),
        ("ce-region", "k%C3%B6ln"),
    ];
    let answer = world.post_as(&headers, r#"{"total": 1.50}"#).await;
    assert_eq!((answer.status, answer.json), (202, json!({"id": "order-1", "status": "accepted"})));
    let event = world.log.events().remove(0);
    assert_eq!((event.header.event_type.as_str(), &event.data[..]), ("order.paid", &br#"{"total":1.5}"#[..]));
    assert_eq!(event.header.extensions["region"], "köln");
    let answer = world.post_as(&headers, r#"{"total": 2}"#).await;
    assert_eq!((answer.status, answer.field()), (409, "ce-id"));
}

#[tokio::test]
async fn the_answer_holds_any_id_there_is() {
    let world = World::new().await;
    let body = json!({"id": r#"a"\b"#, "type": "order.paid", "data": []}).to_string();
    assert_eq!(world.post(JSON, body).await.json["id"], r#"a"\b"#);
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let world = World::new().await;
    let wrong = [
        (r#"{"data": {}}"#, "$.type"),
        (r#"{"type": "a..b", "data": {}}"#, "$.type"),
        (r#"{"type": 7, "data": {}}"#, "$.type"),
        (r#"{"type": "a", "id": "two words", "data": {}}"#, "$.id"),
        (r#"{"type": "a", "id": "", "data": {}}"#, "$.id"),
        (r#"{"type": "a", "specversion": "0.3", "data": {}}"#, "$.specversion"),
        (r#"{"type": "a", "source": "", "data": {}}"#, "$.source"),
        (r#"{"type": "a", "subject": "\u0000", "data": {}}"#, "$.subject"),
        (r#"{"type": "a", "time": "yesterday", "data": {}}"#, "$.time"),
        (r#"{"type": "a", "expirytime": 5, "data": {}}"#, "$.expirytime"),
        (r#"{"type": "a"}"#, "$.data"),
        (r#"{"type": "a", "data": "text"}"#, "$.data"),
        (r#"{"type": "a", "data_base64": "AAAA"}"#, "$.data_base64"),
        (r#"{"type": "a", "type": "b", "data": {}}"#, "$.type"),
        (r#"{"type": "a", "data": {"x": [1, "\ud800"]}}"#, "$.data.x[1]"),
        (r#"{"type": "a", "data": {}"#, "$"),
        ("", "$"),
        ("  ", "$"),
        ("7", "$"),
    ];
    for (body, field) in wrong {
        let answer = world.post(JSON, body).await;
        assert_eq!((answer.status, answer.field()), (400, field), "{body}");
    }
    assert_eq!(world.counted("invalid"), wrong.len() as u64);
    for (headers, body, field) in [
        (&[("ce-id", "1")][..], "{}", "ce-type"),
        (&[("ce-type", "a b")], "{}", "ce-type"),
        (&[("ce-type", "a"), ("ce-time", "noon")], "{}", "ce-time"),
        (&[("ce-type", "a")], "", "$.data"),
        (&[("ce-type", "a")], "{", "$.data"),
    ] {
        let headers: Vec<_> = [KEY, JSON].iter().chain(headers).copied().collect();
        let answer = world.post_as(&headers, body).await;
        assert_eq!((answer.status, answer.field()), (400, field), "{headers:?} {body}");
    }
    assert!(world.log.events().is_empty());
}

#[tokio::test]
async fn content_that_is_not_json_is_refused_with_what_is_allowed() {
    let world = World::new().await;
    for (headers, field) in [
        (&[][..], "Content-Type"),
        (&[("content-type", "text/plain")], "Content-Type"),
        (&[("content-type", "application/cloudevents+avro")], "Content-Type"),
        (&[JSON, ("content-encoding", "gzip")], "Content-Encoding"),
        (&[("content-type", "text/xml"), ("ce-type", "a")], "content-type"),
    ] {
        let headers: Vec<_> = [KEY].iter().chain(headers).copied().collect();
        let answer = world.post_as(&headers, ORDER).await;
        assert_eq!((answer.status, answer.field()), (415, field), "{headers:?}");
    }
    let answer = world.post(JSON, r#"{"type": "a", "datacontenttype": "text/xml", "data": {}}"#).await;
    assert_eq!((answer.status, answer.field()), (415, "$.datacontenttype"));
    assert_eq!(world.counted("invalid"), 6);
    assert!(world.log.events().is_empty());
}

#[tokio::test]
async fn what_is_no_json_is_called_that_in_every_form() {
    let world = World::new().await;
    for (headers, body, field) in [
        (&[JSON][..], "{\"type\":", "$"),
        (&[ONE], "{\"type\":", "$"),
        (&[BATCH], "[{}", "$"),
        (&[JSON, ("ce-type", "a")], "{\"a\"", "$.data.a"),
    ] {
        let headers: Vec<_> = [KEY].iter().chain(headers).copied().collect();
        let answer = world.post_as(&headers, body).await;
        assert_eq!((answer.status, answer.code(), answer.field()), (400, "malformed-json", field), "{headers:?}");
        assert!(answer.json["detail"].as_str().unwrap().contains("malformed JSON"), "{}", answer.json);
    }
    let answer = world.post(JSON, r#"{"type": 7, "data": {}}"#).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid-request"));
}

#[tokio::test]
async fn an_event_has_room_for_256_kib_of_data_and_no_more() {
    const KIB: usize = 1024;
    let world = World::new().await;
    let event = |data: usize| format!(r#"{{"type": "a", "data": ["{}"]}}"#, "x".repeat(data - 4));
    assert_eq!(world.post(JSON, event(256 * KIB)).await.status, 202);
    let answer = world.post(JSON, event(256 * KIB + 1)).await;
    assert_eq!((answer.status, answer.field()), (413, "$.data"));
    // More than any event can have: refused before it is read as one.
    let answer = world.post(JSON, event(400 * KIB)).await;
    assert_eq!((answer.status, answer.field()), (413, "$"));
    let data = format!(r#"["{}"]"#, "x".repeat(256 * KIB - 4));
    assert_eq!(world.post_as(&[KEY, JSON, ("ce-type", "a")], data.clone()).await.status, 202);
    let answer = world.post_as(&[KEY, JSON, ("ce-type", "a")], data + " ").await;
    assert_eq!((answer.status, answer.field()), (413, "$"));
    assert_eq!((world.counted("accepted"), world.counted("too_large")), (2, 3));
}

#[tokio::test]
async fn other_methods_are_answered_with_405() {
    use tower::ServiceExt as _;
    let world = World::new().await;
    let request = http::Request::get("/v1/events").body(axum::body::Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST"));
}

#[tokio::test]
async fn a_raw_body_has_the_same_room_in_base64() {
    let world = World::new().await;
    // Three bytes in four characters, and the one or two that are left with padding.
    let event = |end: &str| {
        let base64 = "eHh4".repeat(256 * 1024 / 3);
        format!(r#"{{"type": "whatsapp.meta.raw", "data_base64": "{base64}{end}"}}"#)
    };
    assert_eq!(world.post(JSON, event("eA==")).await.status, 202);
    let answer = world.post(JSON, event("eHg=")).await;
    assert_eq!((answer.status, answer.field()), (413, "$.data"), "{}", answer.json);
}
