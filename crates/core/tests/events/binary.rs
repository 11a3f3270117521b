//! One event in binary mode.

use fanfare_core::clock::Timestamp;
use fanfare_core::event::{EventErrorKind, MAX_DATA_BYTES, binary};
use proptest::prelude::*;

use crate::{NOW, malformed, parse_binary, reading, refusal};

#[test]
fn binary_mode_is_told_by_the_headers() {
    assert!(binary::is_binary(["content-type", "ce-type"]));
    assert!(binary::is_binary(["Ce-Id"]));
    assert!(!binary::is_binary(["content-type", "x-ce-type", "ce", "c€-type", "accept"]));
    assert!(!binary::is_binary([]));
}

#[test]
fn an_event_with_everything_is_read() {
    let event = parse_binary(
        &[
            ("host", "example.com"),
            ("ce-specversion", "1.0"),
            ("ce-type", "order.paid"),
            ("ce-id", "order-1"),
            ("ce-source", "shop%2F%C3%A9"),
            ("ce-subject", "\"order 1\""),
            ("ce-time", "2025-12-06T05:46:40Z"),
            ("Ce-Expirytime", "2025-12-07T00:00:00Z"),
            ("ce-sampled", "true"),
        ],
        " {\"b\" : 1.0, \"a\" : 2} ",
    )
    .unwrap();
    let header = &event.header;
    assert_eq!(header.event_type.as_str(), "order.paid");
    assert_eq!(header.id.as_str(), "order-1");
    assert_eq!(header.source.as_ref().unwrap().as_str(), "shop/é");
    assert_eq!(header.subject.as_ref().unwrap().as_str(), "order 1");
    assert_eq!(header.time, Timestamp::parse("2025-12-06T05:46:40Z").unwrap());
    assert_eq!(header.expires_at, Some(Timestamp::parse("2025-12-07T00:00:00Z").unwrap()));
    assert_eq!(header.extensions["sampled"], "true");
    assert_eq!(event.data, r#"{"b":1,"a":2}"#);
}

#[test]
fn defaults_are_those_of_json() {
    let body = r#"{"phone_number_id":"100","conversation":{"id":"c-1"}}"#;
    let event = parse_binary(&[("ce-type", "whatsapp.message.received")], body).unwrap();
    assert_eq!(event.header.id.as_str(), "evt_00000000000000000000000001");
    assert_eq!(event.header.source.unwrap().as_str(), "100");
    assert_eq!(event.header.subject.unwrap().as_str(), "c-1");
    assert_eq!(event.header.time, NOW);
    let unlabelled = [("ce-type", &b"a"[..])];
    assert!(reading(|reading| binary::parse(unlabelled, None, b"{}", reading)).is_ok());
}

#[test]
fn what_is_not_allowed_is_refused_by_its_header_or_place() {
    let typed = ("ce-type", "a");
    for (headers, body, path, said) in [
        (vec![], "{}", "ce-type", "required"),
        (vec![("ce-type", "a b")], "{}", "ce-type", "dot-separated"),
        (vec![("ce-type", "a"), ("ce-type", "a")], "{}", "ce-type", "twice"),
        (vec![("ce-type", "a"), ("CE-Type", "b")], "{}", "ce-type", "twice"),
        (vec![typed, ("ce-id", "")], "{}", "ce-id", "1 to 256"),
        (vec![typed, ("ce-id", "100%")], "{}", "ce-id", "percent"),
        (vec![typed, ("ce-subject", "%FF")], "{}", "ce-subject", "UTF-8"),
        (vec![typed, ("ce-subject", "a%0Ab")], "{}", "ce-subject", "control"),
        (vec![typed, ("ce-source", "\"a")], "{}", "ce-source", "double quote"),
        (vec![typed, ("ce-specversion", "0.3")], "{}", "ce-specversion", "1.0"),
        (vec![typed, ("ce-time", "now")], "{}", "ce-time", "RFC 3339"),
        (vec![typed, ("ce-trace-id", "x")], "{}", "ce-trace-id", "lowercase letters and digits"),
        (vec![typed, ("ce-", "x")], "{}", "ce-", "lowercase letters and digits"),
        (vec![typed, ("ce-data", "{}")], "{}", "ce-data", "body"),
        (vec![typed], "", "$.data", "required"),
        (vec![typed], "7", "$.data", "object or array"),
        (vec![typed], r#"{"a":"\ud800"}"#, "$.data.a", "lone surrogate"),
    ] {
        let (found, message) = refusal(parse_binary(&headers, body));
        assert_eq!(found, path, "{headers:?} {body}");
        assert!(message.contains(said), "{headers:?} {body}: {message}");
    }
}

#[test]
fn a_body_that_is_no_json_is_called_that() {
    let (path, message) = malformed(parse_binary(&[("ce-type", "a")], "{\"a\":[\n}"));
    assert_eq!((&*path, &*message), ("$.data.a[0]", "malformed JSON: expected a value at line 2, column 1"));
}

#[test]
fn size_and_media_type_are_judged_as_in_json() {
    let body = format!("[\"{}\"]", "x".repeat(MAX_DATA_BYTES));
    let error = parse_binary(&[("ce-type", "a")], &body).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (EventErrorKind::TooLarge, "$.data"));
    let headers = [("ce-type", &b"a"[..])];
    let error = reading(|reading| binary::parse(headers, Some("text/plain"), b"{}", reading)).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (EventErrorKind::UnsupportedMediaType, "content-type"));
}

proptest! {
    #[test]
    fn no_headers_make_it_panic(
        headers in prop::collection::vec(("(ce-)?(type|id|source|time|data|.{0,8})", any::<Vec<u8>>()), 0..8),
        media_type in proptest::option::of(".{0,20}"),
        body in any::<Vec<u8>>(),
    ) {
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        binary::is_binary(headers.iter().map(|(name, _)| name.as_str()));
        reading(|reading| {
            let _ = binary::parse(pairs.clone(), media_type.as_deref(), &body, reading);
            let _ = binary::parse(pairs.chain([("ce-type", &b"a"[..])]), None, b"{}", reading);
        });
    }
}
