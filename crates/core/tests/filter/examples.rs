//! What EventBridge's user guide and Event Ruler's readme show, and the rules of arrays.

use serde_json::{Value, json};

use crate::failing;

fn instance() -> Value {
    json!({
        "version": "0",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "time": "2017-10-02T16:24:49Z",
        "region": "us-east-1",
        "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
        "detail": {
            "c-count": 5, "d-count": 3, "x-limit": 301.8, "source-ip": "10.0.0.33",
            "instance-id": "i-000000aaaaaa00000", "state": "running", "nothing": null, "empty": ""
        }
    })
}

#[test]
fn the_documented_patterns_match() {
    for filter in [
        json!({
            "detail-type": ["EC2 Instance State-change Notification"],
            "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
            "detail": {"state": ["initializing", "running"]}
        }),
        json!({"time": [{"prefix": "2017-10-02"}]}),
        json!({"source": [{"prefix": {"equals-ignore-case": "AWS."}}]}),
        json!({"source": [{"suffix": "ec2"}]}),
        json!({"source": [{"suffix": {"equals-ignore-case": "EC2"}}]}),
        json!({"source": [{"equals-ignore-case": "AWS.EC2"}]}),
        json!({"source": [{"wildcard": "a*.e*2"}]}),
        json!({"detail": {"state": [{"anything-but": "initializing"}]}}),
        json!({"detail": {"x-limit": [{"anything-but": 123}]}}),
        json!({"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}),
        json!({"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}}),
        json!({"detail": {"state": [{"anything-but": {"prefix": "init"}}]}}),
        json!({"detail": {"state": [{"anything-but": {"prefix": ["init", "error"]}}]}}),
        json!({"detail": {"instance-id": [{"anything-but": {"suffix": ["1234", "6789"]}}]}}),
        json!({"detail": {"state": [{"anything-but": {"equals-ignore-case": ["Stopped", "OverLoaded"]}}]}}),
        json!({"detail": {"state": [{"anything-but": {"wildcard": ["*/bin/*.jar", "*/bin/*.class"]}}]}}),
        json!({"detail": {
            "c-count": [{"numeric": [">", 0, "<=", 5]}],
            "d-count": [{"numeric": ["<", 10]}],
            "x-limit": [{"numeric": ["=", 3.018e2]}]
        }}),
        json!({"detail": {"c-count": [{"exists": true}]}}),
        json!({"detail": {"z-count": [{"exists": false}]}}),
        json!({"detail": {"nothing": [null], "empty": [""]}}),
        json!({
            "time": [{"prefix": "2017-10-02"}],
            "detail": {
                "state": [{"anything-but": "initializing"}],
                "c-count": [{"numeric": [">", 0, "<=", 5]}],
                "x-limit": [{"anything-but": [100, 200, 300]}]
            }
        }),
        json!({"source": ["aws.ec2"], "$or": [{"region": ["eu-west-1"]}, {"detail": {"state": ["running"]}}]}),
        json!({
            "$or": [{"region": ["us-east-1"]}, {"account": ["1"]}],
            "detail": {"$or": [{"state": ["stopped"]}, {"c-count": [5], "$or": [{"d-count": [1]}, {"d-count": [3]}]}]}
        }),
    ] {
        assert_eq!(failing(&filter, &instance()), None, "{filter}");
    }
}

#[test]
fn what_does_not_match_is_named_by_its_first_condition() {
    for (filter, condition) in [
        (json!({"source": ["aws.s3"]}), "source"),
        (json!({"source": ["AWS.EC2"]}), "source"),
        (json!({"source": ["aws.ec2"], "detail": {"c-count": [5], "state": ["stopped"]}}), "detail.state"),
        (json!({"detail": {"state": ["stopped"], "c-count": [4]}}), "detail.state"),
        (json!({"detail": {"c-count": ["5"]}}), "detail[\"c-count\"]"),
        (json!({"detail": {"c-count": [{"numeric": [">", 5]}]}}), "detail[\"c-count\"]"),
        (json!({"detail": {"c-count": [{"prefix": ""}]}}), "detail[\"c-count\"]"),
        (json!({"detail": {"state": [{"numeric": ["<", 10]}]}}), "detail.state"),
        (json!({"detail": {"state": [{"exists": false}]}}), "detail.state"),
        (json!({"detail": {"gone": [{"exists": true}]}}), "detail.gone"),
        (json!({"detail": {"gone": [{"anything-but": "x"}]}}), "detail.gone"),
        (json!({"detail": {"gone": [null]}}), "detail.gone"),
        (json!({"detail": {"nothing": [""]}}), "detail.nothing"),
        (json!({"detail": {"state": [{"anything-but": ["running"]}]}}), "detail.state"),
        (json!({"detail": {"state": [{"anything-but": {"prefix": "run"}}]}}), "detail.state"),
        (json!({"detail": {"state": {"deeper": ["running"]}}}), "detail.state.deeper"),
        (json!({"detail": ["running"]}), "detail"),
        (json!({"source": ["aws.ec2"], "$or": [{"region": ["a"]}, {"region": ["b"]}], "time": ["c"]}), "$or"),
        (json!({"detail": {"$or": [{"state": ["stopped"]}, {"c-count": [6]}]}}), "detail.$or"),
    ] {
        assert_eq!(failing(&filter, &instance()).as_deref(), Some(condition), "{filter}");
    }
}

#[test]
fn an_array_matches_if_one_of_its_values_does() {
    let data = json!({"tags": ["new", ["vip", 7]], "none": [], "amounts": [1, 50], "deep": [[{"n": 1}]]});
    for (filter, matches) in [
        (json!({"tags": ["vip", "other"]}), true),
        (json!({"tags": [7]}), true),
        (json!({"tags": ["old"]}), false),
        (json!({"tags": [{"anything-but": "new"}]}), true),
        (json!({"amounts": [{"numeric": [">=", 50]}]}), true),
        // One value has to be within both bounds.
        (json!({"amounts": [{"numeric": [">", 1, "<", 50]}]}), false),
        (json!({"none": [{"anything-but": "x"}]}), false),
        (json!({"none": [{"exists": true}]}), true),
        (json!({"none": {"n": [{"exists": false}]}}), true),
        (json!({"deep": {"n": [1]}}), true),
        (json!({"tags": {"n": [1]}}), false),
    ] {
        assert_eq!(failing(&filter, &data).is_none(), matches, "{filter}");
    }
    assert_eq!(failing(&json!({"n": [2]}), &json!([{"n": 1}, {"n": 2}])), None, "data may be an array itself");
}

#[test]
fn all_conditions_on_an_object_in_an_array_are_asked_of_the_same_one() {
    let people = json!({"employees": [
        {"firstName": "John", "lastName": "Doe"}, {"firstName": "Anna", "lastName": "Smith"},
        {"firstName": "Peter", "lastName": "Jones", "left": true}
    ]});
    let matches = |filter: Value| failing(&json!({"employees": filter}), &people);
    assert_eq!(matches(json!({"firstName": ["Anna"], "lastName": ["Smith"]})), None);
    assert_eq!(
        matches(json!({"firstName": ["Anna"], "lastName": ["Jones"]})).as_deref(),
        Some("employees.lastName"),
        "the one that met most of it tells"
    );
    assert_eq!(matches(json!({"firstName": ["John"], "left": [{"exists": false}]})), None);
    assert!(matches(json!({"firstName": ["Peter"], "left": [{"exists": false}]})).is_some());
    let either = json!({"$or": [{"firstName": ["Anna"]}, {"left": [true]}], "lastName": ["Doe"]});
    assert_eq!(matches(either).as_deref(), Some("employees.lastName"));
}

#[test]
fn exists_asks_for_the_field_whatever_it_holds() {
    let data = json!({"referral": {"source_url": "https://ad.example/"}, "list": [], "nothing": null});
    for field in ["referral", "list", "nothing"] {
        assert_eq!(failing(&json!({field: [{"exists": true}]}), &data), None, "{field}");
        assert_eq!(failing(&json!({field: [{"exists": false}]}), &data).as_deref(), Some(field));
    }
    assert_eq!(failing(&json!({"gone": {"deeper": [{"exists": false}]}}), &data), None);
    assert_eq!(failing(&json!({"gone": ["x", {"exists": false}]}), &data), None, "either is enough");
}

#[test]
fn numbers_compare_by_value_and_integers_by_all_their_digits() {
    let matches = |number: &str, data: &str| {
        let filter = json!({"n": [serde_json::from_str::<Value>(number).unwrap()]});
        let filter = fanfare_core::filter::Filter::parse(filter, "$").unwrap();
        let data = fanfare_core::normalise::normalise(format!("{{\"n\":{data}}}").as_bytes(), "$").unwrap();
        filter.matches(&fanfare_core::filter::FilterData::new(&data))
    };
    for (number, data) in [("300", "3.0e2"), ("300.0", "300"), ("-0.0", "0"), ("1e23", "100000000000000000000000")] {
        assert!(matches(number, data), "{number} and {data}");
    }
    assert!(matches("9007199254740993", "9007199254740993"));
    assert!(!matches("9007199254740992", "9007199254740993"));
    assert!(!matches("300", "\"300\""));
}

#[test]
fn wildcards_and_their_escapes() {
    for (pattern, text, matches) in [
        ("*", "", true),
        ("a*", "a", true),
        ("*b*", "abc", true),
        ("a*a", "a", false),
        ("a*b*c", "abbbc", true),
        ("a*b*c", "acb", false),
        ("ab*ab", "abab", true),
        ("ab*ab", "aba", false),
        ("2\\*3", "2*3", true),
        ("2\\*3", "223", false),
        ("*\\\\x", "C:\\x", true),
        ("*n", "\n", false),
        ("*\n*", "a\nb", true),
        ("plain", "plain", true),
    ] {
        let found = failing(&json!({"t": [{"wildcard": pattern}]}), &json!({"t": text})).is_none();
        assert_eq!(found, matches, "{pattern} and {text}");
    }
}

#[test]
fn cases_are_folded_by_unicode() {
    for (wanted, text, matches) in [("ÉCOLE", "école", true), ("straße", "STRASSE", false), ("k", "\u{212a}", true)]
    {
        let filter = json!({"t": [{"equals-ignore-case": wanted}]});
        assert_eq!(failing(&filter, &json!({"t": text})).is_none(), matches, "{wanted} and {text}");
    }
    assert_eq!(failing(&json!({"t": [{"suffix": {"equals-ignore-case": ".PNG\n"}}]}), &json!({"t": "é.png\n"})), None);
}
