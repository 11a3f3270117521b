//! What holds for every document and for every sequence of bytes.

use fanfare_core::normalise::normalise;
use proptest::prelude::*;
use serde_json::Value;

use crate::documents::document;

/// Whether two values are the same but for the order of members and the last digit of a number, which serde_json does not
/// read exactly; that the digits are right is Node's to say.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let close = |(one, other): (f64, f64)| (one - other).abs() <= one.abs() * 1e-15 + f64::MIN_POSITIVE;
            one.as_f64().zip(other.as_f64()).is_some_and(close)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

proptest! {
    #[test]
    fn the_normal_form_means_the_same_and_is_its_own_normal_form(json in document()) {
        let normal = normalise(json.as_bytes(), "$").unwrap();
        let before: Value = serde_json::from_str(&json).unwrap();
        let after: Value = serde_json::from_slice(&normal).unwrap();
        prop_assert!(same(&before, &after), "{before} became {after}");
        prop_assert_eq!(normalise(&normal, "$").unwrap(), normal);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = normalise(&bytes, "$");
    }

    #[test]
    fn what_is_accepted_of_nearly_json_is_what_serde_json_accepts(
        json in document(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = json.into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        // serde_json skips over out-of-range numbers and lone surrogates as it does over others when nobody asks for them.
        let valid = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        match normalise(&bytes, "$") {
            Ok(_) => prop_assert!(valid, "accepted {:?}", String::from_utf8_lossy(&bytes)),
            Err(error) => prop_assert!(
                !valid || ["lone surrogate", "number out of range"].contains(&error.message.as_str())
                    || error.message.starts_with("invalid UTF-8"),
                "refused {:?}: {}", String::from_utf8_lossy(&bytes), error
            ),
        }
    }
}
