//! Normalisation: the shared vectors, properties over generated documents, and JavaScript itself as the judge.

mod documents;
mod node;
mod properties;

use fanfare_core::normalise::{MAX_DEPTH, normalise};
use serde_json::Value;

fn text(json: &str) -> String {
    String::from_utf8(normalise(json.as_bytes(), "$").expect(json).to_vec()).expect("it is text")
}

fn refusal(json: impl AsRef<[u8]>) -> (String, String) {
    let error = normalise(json.as_ref(), "$.data").expect_err("it was accepted");
    (error.path, error.message)
}

#[test]
fn the_shared_vectors_hold() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../../vectors/normalise.json")).unwrap();
    assert!(!vectors.is_empty());
    for vector in &vectors {
        let json = vector["in"].as_str().unwrap();
        match vector["out"].as_str() {
            Some(out) => assert_eq!(text(json), out, "{json}"),
            None => assert_eq!(refusal(json).1, vector["error"].as_str().unwrap(), "{json}"),
        }
    }
}

#[test]
fn members_come_in_the_order_of_javascript() {
    for (json, normal) in [
        (r#"{"b":1,"a":2,"1":3,"0":4}"#, r#"{"0":4,"1":3,"b":1,"a":2}"#),
        (r#"{"0":1,"1":2,"a":3}"#, r#"{"0":1,"1":2,"a":3}"#),
        (r#"{"01":1,"4294967295":2,"4294967294":3}"#, r#"{"4294967294":3,"01":1,"4294967295":2}"#),
        (r#"{"__proto__":1,"a":2,"__proto__":{"b":3}}"#, r#"{"__proto__":{"b":3},"a":2}"#),
        ("{\"a\":1, \"b\":2, \"\\u0061\":{\"c\" :3}}", r#"{"a":{"c":3},"b":2}"#),
        (r#"{"é":1,"b":2,"\u00e9":[]}"#, r#"{"é":[],"b":2}"#),
        (r#"{"a\/b":1,"x":{"y":1,"y":2},"a/b":3}"#, r#"{"a/b":3,"x":{"y":2}}"#),
        (r#"{"x":{"2":1,"1":[{"b":1,"b":2}]},"y":0}"#, r#"{"x":{"1":[{"b":2}],"2":1},"y":0}"#),
    ] {
        assert_eq!(text(json), normal, "{json}");
    }
}

#[test]
fn integers_keep_their_digits_and_other_numbers_get_those_of_javascript() {
    let huge = "9".repeat(308);
    for (json, normal) in [
        ("9007199254740993", "9007199254740993"),
        ("-9007199254740993", "-9007199254740993"),
        ("1000000000000000000000000000001", "1000000000000000000000000000001"),
        (huge.as_str(), huge.as_str()),
        ("9007199254740993.0", "9007199254740992"),
        ("-0", "0"),
        ("-0.0e5", "0"),
        ("1E2", "100"),
        ("5e-324", "5e-324"),
        ("1e-400", "0"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("123456789012345680000.0", "123456789012345680000"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ] {
        assert_eq!(text(json), normal, "{json}");
    }
    for beyond in ["1e309", "-1e309", &"9".repeat(309), &format!("[{}.5]", "9".repeat(400))] {
        assert_eq!(refusal(beyond).1, "number out of range", "{beyond}");
    }
}

#[test]
fn a_refusal_names_the_place() {
    for (json, path) in [
        (r#"{"items":[0,1,2,{"name":"\ud800"}]}"#, "$.data.items[3].name"),
        (r#"{"a b":{"":"\udc00\ud800"}}"#, r#"$.data["a b"][""]"#),
        (r#"{"a":{"b":1},"q\"":[[],1e999]}"#, r#"$.data["q\""][1]"#),
        (r#"{"\u0061":"\ud83c"}"#, "$.data.a"),
        (r#"{"a":{"b":1},"\ud800":1}"#, "$.data"),
    ] {
        assert_eq!(refusal(json).0, path, "{json}");
    }
    let long = format!(r#"{{"{}":1e999}}"#, "é".repeat(10_000));
    let (path, _) = refusal(long);
    assert!(path.starts_with("$.data[\"éé") && path.ends_with("…\"]") && path.len() < 100, "{path}");
}

#[test]
fn malformed_text_is_refused_with_line_and_column() {
    for (json, message) in [
        ("", "unexpected end at line 1, column 1"),
        ("{\"a\":\n  é}", "expected a value at line 2, column 3"),
        ("[\"é\" 1]", "expected , or ] at line 1, column 6"),
        ("{\"a\" 1}", "expected : at line 1, column 6"),
        ("{\"a\":1,}", "expected a key at line 1, column 8"),
        ("[1,]", "expected a value at line 1, column 4"),
        ("{,}", "expected a key or } at line 1, column 2"),
        ("[1}", "expected , or ] at line 1, column 3"),
        ("[1", "unexpected end at line 1, column 3"),
        ("01", "expected the end at line 1, column 2"),
        ("-a", "expected a digit at line 1, column 2"),
        ("1.", "unexpected end at line 1, column 3"),
        ("tru", "unexpected end at line 1, column 4"),
        ("nul1", "expected null at line 1, column 4"),
        ("\"\\x\"", "expected an escape such as \\n at line 1, column 3"),
        ("\"\\u00g0\"", "expected four hexadecimal digits at line 1, column 6"),
        ("\"a\nb\"", "unescaped control character in a string at line 1, column 3"),
        ("{} {}", "expected the end at line 1, column 4"),
        ("\u{feff}{}", "expected a value at line 1, column 1"),
    ] {
        assert_eq!(refusal(json).1, message, "{json:?}");
    }
    for (json, path) in [
        (&b"{\"a\":[0,\"x\xff\"]}"[..], "$.data.a[1]"),
        (b"{} \xc3", "$.data"),
        (b"\xff", "$.data"),
        (b"{\"a\":\"\xed\xa0\x80\"}", "$.data.a"),
    ] {
        let (found, message) = refusal(json);
        assert_eq!(found, path);
        assert!(message.starts_with("invalid UTF-8 at line 1, column "), "{message}");
    }
}

#[test]
fn nesting_is_accepted_up_to_the_bound_and_refused_without_recursion() {
    let nested = |levels: usize| format!("{}1{}", "[{\"a\":".repeat(levels / 2), "}]".repeat(levels / 2));
    assert_eq!(text(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
    assert_eq!(refusal(nested(MAX_DEPTH + 2)).1, "more than 64 levels");
    assert_eq!(refusal("[".repeat(1 << 20)).1, "more than 64 levels");
}

#[test]
fn many_members_and_many_duplicates_stay_cheap() {
    // Quadratic work over these would take minutes in a debug build; that the test ends is the assertion.
    let members: Vec<String> = (0..40_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let distinct = format!("{{{}}}", members.join(","));
    assert_eq!(text(&distinct), distinct);
    let repeated = format!("{{{}\"a\":1}}", "\"a\":0,".repeat(40_000));
    assert_eq!(text(&repeated), r#"{"a":1}"#);
    let descending: Vec<String> = (0..20_000).rev().map(|n| format!("\"{n}\":0")).collect();
    let ascending: Vec<String> = (0..20_000).map(|n| format!("\"{n}\":0")).collect();
    assert_eq!(text(&format!("{{{}}}", descending.join(","))), format!("{{{}}}", ascending.join(",")));
}
