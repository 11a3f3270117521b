//! One event as CloudEvents JSON.

use fanfare_core::clock::Timestamp;
use fanfare_core::event::{EventErrorKind, MAX_DATA_BYTES, json};
use proptest::prelude::*;
use serde_json::json;

use crate::{NOW, malformed, parse, reading, refusal};

/// An event with this member besides type and data.
fn with(member: &str) -> String {
    format!(r#"{{"type":"order.paid",{member},"data":{{}}}}"#)
}

#[test]
fn an_event_with_everything_is_read() {
    let event = parse(
        r#" {"specversion":"1.0", "id":"order-1", "type":"order.paid", "source":"shop/é", "subject":"order 1",
             "time":"2025-12-06T06:46:40+01:00", "expirytime":"2025-12-07T00:00:00Z",
             "datacontenttype":"application/json; charset=utf-8", "dataschema":"https://example.com/schema",
             "traceparent":"00-1", "sampled":true, "priority":-3, "empty":"",
             "data": { "total" : 42.50, "10":1, "9":2, "big":9007199254740993, "total":1.0 } } "#,
    )
    .unwrap();
    let header = &event.header;
    assert_eq!(header.project.as_str(), "acme");
    assert_eq!(header.id.as_str(), "order-1");
    assert_eq!(header.event_type.as_str(), "order.paid");
    assert_eq!(header.source.as_ref().unwrap().as_str(), "shop/é");
    assert_eq!(header.subject.as_ref().unwrap().as_str(), "order 1");
    assert_eq!(header.time, Timestamp::parse("2025-12-06T05:46:40Z").unwrap());
    assert_eq!(header.expires_at, Some(Timestamp::parse("2025-12-07T00:00:00Z").unwrap()));
    assert_eq!(header.accepted_at, NOW);
    let extensions = json!({
        "dataschema": "https://example.com/schema", "empty": "", "priority": -3, "sampled": true, "traceparent": "00-1"
    });
    assert_eq!(serde_json::to_value(&header.extensions).unwrap(), extensions);
    assert_eq!(event.data, r#"{"9":2,"10":1,"total":1,"big":9007199254740993}"#);
}

#[test]
fn what_may_be_left_out_gets_its_default_and_null_is_left_out() {
    let nulls = r#""specversion":null,"id":null,"source":null,"subject":null,"time":null,"expirytime":null,
        "datacontenttype":null,"trace":null"#;
    for json in [r#"{"type":"a","data":[]}"#.to_owned(), format!(r#"{{"data":[],{nulls},"type":"a"}}"#)] {
        let event = parse(&json).unwrap();
        assert_eq!(event.header.id.as_str(), "evt_00000000000000000000000001");
        assert_eq!((event.header.time, event.header.accepted_at), (NOW, NOW));
        assert_eq!((event.header.source, event.header.subject, event.header.expires_at), (None, None, None));
        assert!(event.header.extensions.is_empty());
        assert_eq!(event.data, "[]");
    }
}

#[test]
fn source_and_subject_come_from_the_data_where_the_catalogue_says_so() {
    let event = |members: &str, data: &str| {
        let header =
            parse(&format!(r#"{{"type":"whatsapp.message.received"{members},"data":{data}}}"#)).unwrap().header;
        (header.source.map(|text| text.to_string()), header.subject.map(|text| text.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    let data = r#"{"conversation":{"x":[{"id":"no"}],"id":"c\u002d1\n"},"phone_number_id":"100"}"#;
    assert_eq!(event("", data), (some("100"), None), "a control character is in the conversation id");
    let data = r#"{"conversation":{"x":[{"id":"no"}],"\u0069d":"c\u002d1"},"phone_number_id":"100"}"#;
    assert_eq!(event("", data), (some("100"), some("c-1")));
    assert_eq!(event(r#","subject":"mine","source":null"#, data), (some("100"), some("mine")));
    assert_eq!(event(r#","source":"own""#, data), (some("own"), some("c-1")));
    assert_eq!(event("", r#"{"conversation":null,"phone_number_id":100}"#), (None, None));
    assert_eq!(event("", "[]"), (None, None));
    let other = parse(&format!(r#"{{"type":"other","data":{data}}}"#)).unwrap().header;
    assert_eq!((other.source, other.subject), (None, None));
}

#[test]
fn what_is_not_allowed_is_refused_by_its_path() {
    let long = "x".repeat(257);
    for (json, path, said) in [
        (r#"{"data":{}}"#.to_owned(), "$.type", "required"),
        (r#"{"type":null,"data":{}}"#.to_owned(), "$.type", "required"),
        (r#"{"type":7,"data":{}}"#.to_owned(), "$.type", "must be a string"),
        (r#"{"type":"a..b","data":{}}"#.to_owned(), "$.type", "dot-separated"),
        (format!(r#"{{"type":"{long}","data":{{}}}}"#), "$.type", "256"),
        (r#"{"type":"a"}"#.to_owned(), "$.data", "required"),
        (r#"{"type":"a","data":null}"#.to_owned(), "$.data", "required"),
        (r#"{"type":"a","data":"text"}"#.to_owned(), "$.data", "object or array"),
        (r#"{"type":"a","data":1}"#.to_owned(), "$.data", "object or array"),
        (r#"{"type":"a","data":{"x":[{},"\udead"]}}"#.to_owned(), "$.data.x[1]", "lone surrogate"),
        (r#"{"type":"a","data":{"a b":1e999}}"#.to_owned(), r#"$.data["a b"]"#, "number out of range"),
        (format!(r#"{{"type":"a","data":{}}}"#, "[".repeat(65)), &format!("$.data{}", "[0]".repeat(64)), "64 levels"),
        (
            r#"{"type":"a","data_base64":"e30="}"#.to_owned(),
            "$.data_base64",
            "only for events of type whatsapp.meta.raw",
        ),
        (r#"{"type":"a","data":{},"data":{}}"#.to_owned(), "$.data", "twice"),
        (r#"{"type":"a","t\u0079pe":"a","data":{}}"#.to_owned(), "$.type", "twice"),
        (with(r#""trace":null,"trace":null"#), "$.trace", "twice"),
        (with(r#""specversion":"0.3""#), "$.specversion", "1.0"),
        (with(r#""specversion":1.0"#), "$.specversion", "1.0"),
        (with(r#""id":"""#), "$.id", "1 to 256"),
        (with(r#""id":"a b""#), "$.id", "without spaces"),
        (with(r#""id":true"#), "$.id", "must be a string"),
        (with(&format!(r#""source":"{long}""#)), "$.source", "256"),
        (with(r#""source":{}"#), "$.source", "must be a string"),
        (with(r#""subject":"a\nb""#), "$.subject", "control"),
        (with(r#""subject":"\ud800""#), "$.subject", "lone surrogate"),
        (with(r#""time":"yesterday""#), "$.time", "RFC 3339"),
        (with(r#""time":1765000000"#), "$.time", "RFC 3339"),
        (with(r#""expirytime":"2025-12-06""#), "$.expirytime", "RFC 3339"),
        (with(r#""datacontenttype":[]"#), "$.datacontenttype", "must be a string"),
        (with(r#""traceParent":"x""#), "$.traceParent", "lowercase letters and digits"),
        (with(r#""a_b":null"#), "$.a_b", "lowercase letters and digits"),
        (with(r#""":1"#), r#"$[""]"#, "lowercase letters and digits"),
        (with(r#""a\"":1"#), r#"$["a\""]"#, "lowercase letters and digits"),
        (with(r#""ext":1.5"#), "$.ext", "32 bits"),
        (with(r#""ext":2147483648"#), "$.ext", "32 bits"),
        (with(r#""ext":["x"]"#), "$.ext", "must be a string"),
        (with(r#""ext":"a\u0000""#), "$.ext", "control characters"),
        (with(&format!(r#""ext":"{}""#, "x".repeat(1022))), "$.ext", "1024 bytes"),
        ("[]".to_owned(), "$", "must be an object"),
        ("7".to_owned(), "$", "must be an object"),
    ] {
        let (found, message) = refusal(parse(&json));
        assert_eq!(found, path, "{json}");
        assert!(message.contains(said), "{json}: {message}");
    }
}

#[test]
fn extensions_are_bounded_in_number() {
    let named = |count: u32, value: &str| {
        let members: Vec<String> = (0..count).map(|n| format!("\"e{n}\":{value}")).collect();
        with(&members.join(","))
    };
    assert_eq!(parse(&named(32, "1")).unwrap().header.extensions.len(), 32);
    assert_eq!(refusal(parse(&named(33, "1"))).0, "$.e32");
    assert!(refusal(parse(&named(100_000, "null"))).1.contains("at most 32"));
    assert!(parse(&with(&format!(r#""ext":"{}""#, "x".repeat(1021)))).is_ok());
}

#[test]
fn malformed_json_is_refused_as_a_whole_with_line_and_column() {
    for (json, said) in [
        ("", "unexpected end at line 1, column 1"),
        ("{", "unexpected end at line 1, column 2"),
        ("{\"type\":\"a\",\n\"data\":{\"a\":[1,}]}}", "expected a value at line 2, column 16"),
        ("{\"type\":\"a\",\"data\":{}", "unexpected end"),
        ("{\"type\":\"a\",\"data\":{}} x", "expected the end at line 1, column 24"),
        ("{\"type\":\"a\",}", "expected a key"),
        ("{\"type\" \"a\"}", "expected :"),
        ("{\"type\":\"a\" \"data\":{}}", "expected , or }"),
        ("{\"type\":tru}", "expected true"),
        ("{\"type\":\"a\",\"data\":nul}", "expected null"),
        ("[1,]", "expected a value"),
        ("{type:1}", "expected a key"),
    ] {
        let (path, message) = malformed(parse(json));
        assert_eq!(path, "$", "{json}");
        assert!(message.starts_with("malformed JSON: ") && message.contains(said), "{json}: {message}");
    }
    let error = reading(|reading| json::parse(b"{\"type\":\n\"\xff\"}", reading)).unwrap_err();
    assert_eq!(error.to_string(), "$: malformed JSON: invalid UTF-8 at line 2, column 2");
}

#[test]
fn data_is_bounded_as_sent_and_as_normalised() {
    let sized = |data: &str| parse(&format!(r#"{{"type":"a","data":{data}}}"#));
    let fits = format!("[\"{}\"]", "x".repeat(MAX_DATA_BYTES - 4));
    assert_eq!(sized(&fits).unwrap().data.len(), MAX_DATA_BYTES);
    let too_long = format!("[\"{}\"]", "x".repeat(MAX_DATA_BYTES - 3));
    let padded = format!("[{}]", " ".repeat(MAX_DATA_BYTES));
    // 1e20 has four characters as sent and 21 as JavaScript writes it.
    let growing = format!("[{}1e20]", "1e20,".repeat(MAX_DATA_BYTES / 10));
    for data in [too_long, padded, growing] {
        let error = sized(&data).unwrap_err();
        assert_eq!((error.kind, error.path.as_str()), (EventErrorKind::TooLarge, "$.data"));
    }
}

#[test]
fn data_of_another_type_is_refused_as_such() {
    for (media_type, accepted) in [("application/cloudevents+json", true), ("text/xml", false), ("", false)] {
        let result = parse(&with(&format!(r#""datacontenttype":"{media_type}""#)));
        let refused = result.err().map(|error| (error.kind, error.path));
        let wanted = (EventErrorKind::UnsupportedMediaType, "$.datacontenttype".to_owned());
        assert_eq!(refused, (!accepted).then_some(wanted), "{media_type}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        reading(|reading| {
            let _ = json::parse(&bytes, reading);
            let _ = json::parse_batch(&bytes, reading);
        });
    }

    #[test]
    fn no_spoilt_event_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let event = r#"[{"specversion":"1.0","id":"x","time":"2025-12-06T05:46:40Z","e":"\ud83c\udfba","n":-1,
            "type":"whatsapp.message.received","data":{"conversation":{"id":"c","10":{"a":1,"a":[]},"b":-1.5e3}}}]"#;
        let mut bytes = event.as_bytes().to_vec();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        reading(|reading| {
            let _ = json::parse_batch(&bytes, reading);
            let _ = json::parse(&bytes[1.min(bytes.len())..], reading);
        });
    }
}
