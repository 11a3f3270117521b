use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the errors are looked at")]
struct Order {
    id: u32,
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default)]
    labels: BTreeMap<String, bool>,
    #[serde(default)]
    project: Option<fanfare_core::ids::ProjectId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the errors are looked at")]
struct Item {
    price: f64,
    kind: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Book,
    Game,
}

fn refused(json: &str) -> FieldError {
    let problem = read_json::<Order>(json.as_bytes()).unwrap_err();
    assert_eq!((problem.status.as_u16(), problem.errors.len()), (400, 1), "{problem:?}");
    assert_eq!(problem.detail, format!("{}: {}", problem.errors[0].field, problem.errors[0].message));
    problem.errors[0].clone()
}

#[test]
fn each_wrong_field_is_named_with_what_belongs_there() {
    for (json, field, message) in [
        (r#"{}"#, "$.id", "is required"),
        (r#"{"id": "secret, expected u32"}"#, "$.id", "expected u32, got a string"),
        (r#"{"id": null}"#, "$.id", "expected u32, got null"),
        (r#"{"id": -1}"#, "$.id", "expected u32, got a number"),
        (r#"{"id": 1.5}"#, "$.id", "expected u32, got a number"),
        (r#"{"id": []}"#, "$.id", "expected u32, got an array"),
        (r#"{"id": {}}"#, "$.id", "expected u32, got an object"),
        (r#"{"id": 1, "id": 2}"#, "$.id", "is given twice"),
        (r#"{"id": 1, "itmes": []}"#, "$.itmes", "unknown field, expected one of `id`, `items`, `labels`, `project`"),
        (r#"{"id": 1, "items": [{"price": 1, "kind": "book"}, {"kind": "game"}]}"#, "$.items[1].price", "is required"),
        (r#"{"id": 1, "items": [{"price": true, "kind": "book"}]}"#, "$.items[0].price", "expected f64, got a boolean"),
        (r#"{"id": 1, "items": [{"price": 1, "kind": "x`, y"}]}"#, "$.items[0].kind", "expected `book` or `game`"),
        (r#"{"id": 1, "labels": {"two words": 2}}"#, r#"$.labels["two words"]"#, "expected a boolean, got a number"),
        (r#"{"id": 1, "project": "A B"}"#, "$.project", "1 to 40 characters of a-z, 0-9 and -"),
    ] {
        assert_eq!(refused(json), FieldError::new(field, message), "{json}");
    }
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    for (json, place) in
        [("", "line 1 column 0"), (r#"{"id": 1,}"#, "line 1 column 10"), (r#"{"id": 1} x"#, "line 1 column 11")]
    {
        let problem = read_json::<Order>(json.as_bytes()).unwrap_err();
        assert_eq!(problem.code, "malformed-json");
        assert!(problem.detail.contains(place), "{}", problem.detail);
    }
}

#[test]
fn a_wrong_value_is_never_repeated_and_a_long_key_is_cut() {
    let problem = read_json::<Order>(br#"{"id": "whsec_abc"}"#).unwrap_err();
    assert!(!format!("{problem:?}").contains("whsec_abc"));
    let long = format!(r#"{{"id": 1, "{}": 2}}"#, "x".repeat(100_000));
    let problem = read_json::<Order>(long.as_bytes()).unwrap_err();
    assert!(serde_json::to_vec(&problem).unwrap().len() < 4096);
}

#[test]
fn content_types_are_told_apart() {
    for (value, json, utf8) in [
        ("application/json", true, true),
        ("Application/JSON ; charset=\"UTF-8\"", true, true),
        ("application/cloudevents+json;charset=utf-8", true, true),
        ("application/json; charset=iso-8859-1", true, false),
        ("text/plain", false, true),
        ("application/jsonp", false, true),
        ("json", false, true),
        ("", false, true),
    ] {
        let media = MediaType::parse(value);
        assert_eq!((media.is_json(), media.is_utf8()), (json, utf8), "{value}");
    }
}
