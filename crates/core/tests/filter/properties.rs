//! The evaluator agrees with the naive one on what matches and on what failed, and nothing makes it panic.

use fanfare_core::filter::{Filter, FilterData};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{failing, naive};

fn keys() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "é", "q\"\n"]).prop_map(str::to_owned)
}

fn texts() -> impl Strategy<Value = String> {
    let pieces =
        prop::sample::select(vec!["a", "A", "b", "n", "\n", "\"", "\\", "é", "É", "\u{1}", "\u{212a}", "k", "*"]);
    prop::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

fn numbers() -> impl Strategy<Value = Value> {
    let common = vec![
        json!(0),
        json!(-0.0),
        json!(1),
        json!(1.0),
        json!(-1),
        json!(0.5),
        json!(-0.5),
        json!(300),
        json!(3e2),
        json!(9_007_199_254_740_992u64),
        json!(9_007_199_254_740_993u64),
        json!(9_007_199_254_740_992.0),
        json!(1e21),
        json!(1e-7),
        json!(u64::MAX),
        json!(i64::MIN),
    ];
    prop_oneof![3 => prop::sample::select(common), 1 => (-3i64..4).prop_map(Value::from)]
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => numbers(),
        4 => texts().prop_map(Value::from),
    ]
}

fn data() -> impl Strategy<Value = Value> {
    let value = scalars().prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            2 => prop::collection::vec((keys(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop_oneof![
        4 => prop::collection::vec((keys(), value.clone()), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        1 => prop::collection::vec(value, 0..4).prop_map(Value::from),
    ]
}

fn wildcards() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec!["a", "b", "n", "\n", "\\*", "\\\\", "*", "é", "\""]);
    let joined = prop::collection::vec(pieces, 0..5).prop_map(|pieces| pieces.concat());
    joined.prop_filter("no two in a row", |pattern| !pattern.contains("**"))
}

fn text_operand(operator: &'static str) -> BoxedStrategy<Value> {
    match operator {
        "wildcard" => wildcards().prop_map(Value::from).boxed(),
        "equals-ignore-case" => texts().prop_map(Value::from).boxed(),
        _ => prop_oneof![texts().prop_map(Value::from), texts().prop_map(|text| json!({"equals-ignore-case": text}))]
            .boxed(),
    }
}

fn text_operators() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["prefix", "suffix", "equals-ignore-case", "wildcard"])
}

fn numerics() -> impl Strategy<Value = Value> {
    let one = prop::sample::select(vec!["=", "<", "<=", ">", ">="]);
    let single = (one, numbers()).prop_map(|(comparison, number)| json!([comparison, number]));
    let lower = prop::sample::select(vec![">", ">="]);
    let upper = prop::sample::select(vec!["<", "<="]);
    let range =
        (lower, -3i64..1, upper, 1i64..301).prop_map(|(above, low, below, high)| json!([above, low, below, high]));
    prop_oneof![single, range]
}

fn conditions() -> impl Strategy<Value = Value> {
    let text = text_operators()
        .prop_flat_map(|operator| text_operand(operator).prop_map(move |operand| json!({operator: operand})));
    let but_text = text_operators().prop_flat_map(|operator| {
        prop::collection::vec(text_operand(operator), 1..3)
            .prop_map(move |operands| json!({"anything-but": {operator: operands}}))
    });
    prop_oneof![
        4 => scalars(),
        2 => any::<bool>().prop_map(|exists| json!({"exists": exists})),
        2 => text,
        1 => but_text,
        1 => scalars().prop_map(|value| json!({"anything-but": value})),
        1 => prop::collection::vec(scalars(), 1..4).prop_map(|values| json!({"anything-but": values})),
        2 => numerics().prop_map(|numeric| json!({"numeric": numeric})),
    ]
}

/// The members of an object of fields. Not every object of them is allowed, but an empty one is the only one that is not.
fn filters() -> impl Strategy<Value = Value> {
    let object = |members: Vec<(String, Value)>| Value::Object(members.into_iter().collect::<Map<_, _>>());
    let leaf = prop::collection::vec(conditions(), 1..7).prop_map(Value::from).boxed();
    let fields = prop::collection::vec((keys(), leaf.clone()), 1..3).prop_map(object);
    fields.prop_recursive(3, 24, 3, move |inner| {
        let either = prop::collection::vec(inner.clone(), 2..4).prop_map(|all| ("$or".to_owned(), Value::from(all)));
        let member = prop_oneof![
            3 => (keys(), leaf.clone()),
            2 => (keys(), inner),
            1 => either,
        ];
        prop::collection::vec(member, 1..4).prop_map(object)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_agrees_with_the_naive_evaluator(filter in filters(), data in data()) {
        let expected = naive::ask(&filter, &data).err().map(|(_, path)| path);
        prop_assert_eq!(failing(&filter, &data), expected, "{} of {}", filter, data);
    }
}

/// Any JSON, with the names that filters know among its keys.
fn nearly_filters() -> impl Strategy<Value = Value> {
    let names =
        vec!["a", "$or", "exists", "prefix", "suffix", "equals-ignore-case", "wildcard", "numeric", "anything-but"];
    let scalar = prop_oneof![scalars(), prop::sample::select(vec!["=", "<", ">=", "**", "\\"]).prop_map(Value::from)];
    scalar.prop_recursive(5, 40, 4, move |inner| {
        let member = (prop::sample::select(names.clone()).prop_map(str::to_owned), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            prop::collection::vec(member, 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_parsed_or_refused_with_a_path_and_what_is_parsed_can_be_asked(
        filter in nearly_filters(), data in data(), bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        match Filter::parse(filter.clone(), "$.filter") {
            Ok(parsed) => {
                prop_assert_eq!(failing(&filter, &data), naive::ask(&filter, &data).err().map(|(_, path)| path));
                // Bytes that are no JSON meet nothing.
                let judged = FilterData::new(&bytes);
                if serde_json::from_slice::<Value>(&bytes).is_err() {
                    prop_assert!(!parsed.matches(&judged));
                }
            }
            Err(error) => prop_assert!(error.path.starts_with("$.filter"), "{}", error),
        }
    }
}
