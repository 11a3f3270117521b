//! What is not a filter, and where.

use fanfare_core::filter::{Filter, MAX_CONDITIONS, MAX_FILTER_BYTES, MAX_FILTER_DEPTH};
use serde_json::{Value, json};

fn refused(filter: &Value) -> (String, String) {
    let error = Filter::parse(filter.clone(), "$.filter").expect_err(&filter.to_string());
    (error.path, error.message)
}

#[test]
fn each_mistake_is_named_where_it_is() {
    for (filter, path, message) in [
        (json!("x"), "$.filter", "must be an object of fields, not a string"),
        (json!({}), "$.filter", "at least one field"),
        (json!({"message": {}}), "$.filter.message", "at least one field"),
        (json!({"a b": "x"}), "$.filter[\"a b\"]", "array of conditions"),
        (json!({"message": {"type": "text"}}), "$.filter.message.type", "array of conditions"),
        (json!({"message": {"prefix": "x"}}), "$.filter.message.prefix", "array of conditions"),
        (json!({"type": []}), "$.filter.type", "at least one condition"),
        (json!({"type": ["a", ["b"]]}), "$.filter.type[1]", "not an array"),
        (json!({"type": [{}]}), "$.filter.type[0]", "one operator"),
        (json!({"type": [{"prefix": "a", "suffix": "b"}]}), "$.filter.type[0]", "one operator"),
        (json!({"type": [{"prefx": "a"}]}), "$.filter.type[0].prefx", "operators are exists, prefix"),
        (json!({"type": [{"cidr": "10.0.0.0/8"}]}), "$.filter.type[0].cidr", "is not known"),
        (json!({"type": [{"exists": "yes"}]}), "$.filter.type[0].exists", "true or false, not a string"),
        (json!({"type": [{"prefix": 7}]}), "$.filter.type[0].prefix", "not a number"),
        (json!({"type": [{"prefix": {"x": "a"}}]}), "$.filter.type[0].prefix", "equals-ignore-case"),
        (
            json!({"type": [{"suffix": {"equals-ignore-case": 1}}]}),
            "$.filter.type[0].suffix[\"equals-ignore-case\"]",
            "must be a string",
        ),
        (json!({"type": [{"equals-ignore-case": ["a"]}]}), "$.filter.type[0][\"equals-ignore-case\"]", "a string"),
        (json!({"type": [{"wildcard": "a**"}]}), "$.filter.type[0].wildcard", "**"),
        (json!({"type": [{"wildcard": "a\\b"}]}), "$.filter.type[0].wildcard", "backslash"),
        (json!({"type": [{"wildcard": "a\\"}]}), "$.filter.type[0].wildcard", "backslash"),
        (json!({"message": {"type": [{"numeric": 5}]}}), "$.filter.message.type[0].numeric", "[\"=\", 5]"),
        (json!({"n": [{"numeric": [">", 1, "<"]}]}), "$.filter.n[0].numeric", "two of them"),
        (json!({"n": [{"numeric": ["!=", 1]}]}), "$.filter.n[0].numeric[0]", "one of ="),
        (json!({"n": [{"numeric": [">", "1"]}]}), "$.filter.n[0].numeric[1]", "a number, not a string"),
        (json!({"n": [{"numeric": [">", 1, ">=", 2]}]}), "$.filter.n[0].numeric[2]", "other bound"),
        (json!({"n": [{"numeric": ["<", 1, "=", 2]}]}), "$.filter.n[0].numeric[2]", "must not be ="),
        (json!({"n": [{"numeric": [">", 5, "<=", 5]}]}), "$.filter.n[0].numeric", "room between"),
        (json!({"t": [{"anything-but": []}]}), "$.filter.t[0][\"anything-but\"]", "at least one value"),
        (json!({"t": [{"anything-but": [[1]]}]}), "$.filter.t[0][\"anything-but\"][0]", "not an array"),
        (
            json!({"t": [{"anything-but": {"exists": true}}]}),
            "$.filter.t[0][\"anything-but\"].exists",
            "prefix, suffix",
        ),
        (json!({"t": [{"anything-but": {"prefix": []}}]}), "$.filter.t[0][\"anything-but\"].prefix", "one string"),
        (json!({"t": [{"anything-but": {"prefix": ["a", 1]}}]}), "$.filter.t[0][\"anything-but\"].prefix[1]", "number"),
        (json!({"$or": {"a": [1]}}), "$.filter.$or", "array of objects"),
        (json!({"$or": [{"a": [1]}]}), "$.filter.$or", "two alternatives"),
        (json!({"a": {"$or": [{"b": [1]}, [2]]}}), "$.filter.a.$or[1]", "object of fields"),
        (json!({"$or": [{"b": [1]}, {"c": 2}]}), "$.filter.$or[1].c", "array of conditions"),
    ] {
        let (found, said) = refused(&filter);
        assert_eq!(found, path, "{filter}: {said}");
        assert!(said.contains(message), "{filter}: {said}");
        assert!(said.starts_with(char::is_lowercase) && !said.ends_with('.'), "{said}");
    }
}

#[test]
fn a_message_shows_no_value_of_the_filter() {
    let (path, message) = refused(&json!({"name": [{"numeric": ["s-4711", 1]}]}));
    assert!(!path.contains("4711") && !message.contains("4711"), "{path}: {message}");
}

#[test]
fn the_bounds_hold_to_the_last() {
    let conditions = |count: usize| json!({"n": (0..count).collect::<Vec<_>>(), "x": [{"exists": true}]});
    assert!(Filter::parse(conditions(MAX_CONDITIONS - 1), "$").is_ok());
    assert_eq!(refused(&conditions(MAX_CONDITIONS)).0, "$.filter.x[0].exists");
    let nested = |levels: usize| (1..levels).fold(json!({"a": [1]}), |inner, _| json!({"a": inner}));
    assert!(Filter::parse(nested(MAX_FILTER_DEPTH), "$").is_ok());
    assert!(refused(&nested(MAX_FILTER_DEPTH + 1)).1.contains("16 levels"));
    let nested = |levels: usize| (1..levels).fold(json!({"a": [1]}), |inner, _| json!({"$or": [{"b": [1]}, inner]}));
    assert!(Filter::parse(nested(MAX_FILTER_DEPTH), "$").is_ok());
    assert!(refused(&nested(MAX_FILTER_DEPTH + 1)).1.contains("16 levels"));
    let long = |bytes: usize| json!({"a": ["x".repeat(bytes - "{\"a\":[\"\"]}".len())]});
    assert!(Filter::parse(long(MAX_FILTER_BYTES), "$").is_ok());
    assert!(refused(&long(MAX_FILTER_BYTES + 1)).1.contains("16384 bytes"));
}

#[test]
fn a_stored_filter_reads_back_as_it_was_and_a_spoilt_one_not_at_all() {
    let json = json!({"z": [1.5, "x"], "a": {"b": [{"exists": false}]}});
    let filter = Filter::parse(json.clone(), "$").unwrap();
    let text = serde_json::to_string(&filter).unwrap();
    assert_eq!(text, json.to_string());
    let again: Filter = serde_json::from_str(&text).unwrap();
    assert_eq!((&again, again.as_json()), (&filter, &json));
    assert!(serde_json::from_str::<Filter>("{\"a\":1}").is_err());
}
