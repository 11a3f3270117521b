//! Strategies for JSON texts as people and programs write them: any whitespace, any escape, any number form, keys that
//! repeat or look like array indexes. None has an integer that JavaScript cannot hold or a number out of range.

use proptest::prelude::*;

/// Whitespace between tokens, mostly none.
fn space() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}

/// A piece of a string's text, as it stands between the quotes.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[^\"\\\\\u{0}-\u{1f}]{0,12}",
        2 => "[ -!#-\\[\\]-~]{0,40}",
        1 => Just("\u{2028}\u{7f}".to_owned()),
        1 => prop::sample::select(vec!["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(|character| escaped(character, false)),
        1 => any::<char>().prop_map(|character| escaped(character, true)),
        1 => (0..0x80u8).prop_map(|byte| escaped(char::from(byte), byte % 2 == 0)),
    ]
}

fn escaped(character: char, uppercase: bool) -> String {
    let mut units = [0; 2];
    let digits = |unit: &u16| if uppercase { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    character.encode_utf16(&mut units).iter().map(digits).collect()
}

fn string() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "-?(0|[1-9][0-9]{0,14})",
        3 => "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,22}",
        2 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,4})?[eE][+-]?[0-9]{1,2}",
        1 => "-?[1-9](\\.[0-9]{1,20})?[eE]-?(30[0-7]|[12][0-9][0-9])",
        2 => any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
    ]
}

fn key() -> impl Strategy<Value = String> {
    let common = vec![
        "\"0\"",
        "\"1\"",
        "\"10\"",
        "\"9\"",
        "\"01\"",
        "\"-1\"",
        "\"4294967294\"",
        "\"4294967295\"",
        "\"99999999999\"",
        "\"a\"",
        "\"\\u0061\"",
        "\"b\"",
        "\"\"",
        "\"__proto__\"",
        "\"toJSON\"",
        "\"constructor\"",
        "\"length\"",
    ];
    prop_oneof![3 => prop::sample::select(common).prop_map(str::to_owned), 1 => string(), 1 => "\"[0-9]{1,11}\""]
}

/// One JSON text, up to 8 levels deep.
pub(crate) fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        1 => prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
        3 => number(),
        4 => string(),
    ];
    let value = scalar.prop_recursive(8, 96, 24, |inner| {
        let item = (space(), inner.clone(), space()).prop_map(|(before, value, after)| before + &value + &after);
        let member = (space(), key(), space(), space(), inner, space())
            .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
        prop_oneof![
            1 => prop::collection::vec(item, 0..8).prop_map(|items| format!("[{}]", items.join(","))),
            2 => prop::collection::vec(member, 0..24).prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => space().prop_map(|space| format!("{{{space}}}")),
        ]
    });
    (space(), value, space()).prop_map(|(before, value, after)| before + &value + &after)
}
