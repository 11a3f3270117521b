//! The content hash: equal for a repeated publish, different for anything else.

use crate::{parse, parse_binary};

fn hash(members: &str, data: &str) -> String {
    let event = parse(&format!(r#"{{{members},"data":{data}}}"#)).expect(members);
    format!("{:?}", event.content)
}

#[test]
fn the_same_said_otherwise_has_the_same_hash() {
    let plain = hash(r#""type":"a","id":"1","n":5,"b":true,"time":"2025-12-06T05:46:40Z""#, r#"{"x":1}"#);
    let other = hash(
        r#""id":"2","b":true,"time":"2025-12-06T06:46:40.000+01:00","specversion":"1.0","type":"\u0061","n":5,"e":null,
           "datacontenttype":"application/json""#,
        r#" { "\u0078" : 1.0 } "#,
    );
    assert_eq!(plain, other);
    let headers = [("ce-type", "a"), ("ce-n", "5"), ("ce-b", "true"), ("ce-time", "2025-12-06T05:46:40Z")];
    assert_eq!(format!("{:?}", parse_binary(&headers, r#"{"x":1}"#).unwrap().content), plain);
}

#[test]
fn anything_else_said_has_another_hash() {
    let hashes = [
        hash(r#""type":"a""#, "{}"),
        hash(r#""type":"b""#, "{}"),
        hash(r#""type":"a""#, "[]"),
        hash(r#""type":"a","source":"s""#, "{}"),
        hash(r#""type":"a","subject":"s""#, "{}"),
        hash(r#""type":"a","time":"1970-01-01T00:00:00Z""#, "{}"),
        hash(r#""type":"a","expirytime":"1970-01-01T00:00:00Z""#, "{}"),
        hash(r#""type":"a","x":"1","y":"2""#, "{}"),
        hash(r#""type":"a","x":"1y2""#, "{}"),
        hash(r#""type":"a","xy":"12""#, "{}"),
    ];
    for (n, one) in hashes.iter().enumerate() {
        assert!(!hashes[..n].contains(one), "number {n} has the hash of an earlier one");
    }
}

#[test]
fn the_hash_is_what_engines_have_stored() {
    // SHA-256 of: 4 "type" 1 "a", 6 "source" 1 "s", 1 "e" 1 "1", 4 "data" 2 "{}", the lengths as 8 bytes big-endian. Should
    // this change, an event that is published again after an upgrade would be a conflict.
    assert_eq!(
        hash(r#""type":"a","source":"s","e":1"#, "{}"),
        "aeb6680fe40efecf63b77ca8e5f93a683270ebe8ebedf62577e20cf5a279763d"
    );
}
