//! The order of an object's members in JavaScript: array indexes first, ascending, then the others as they first came.
//!
//! It is `OrdinaryOwnPropertyKeys` of ECMAScript, with `JSON.parse` as the one who sets the properties: a key that comes
//! again keeps its first place and gets the last value.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Up to this many members keys are compared one with another, which needs no memory; beyond it they are hashed, so that
/// a body with ten thousand members costs no hundred million comparisons.
const FEW: usize = 16;

/// The array index that a key is, if it is one: `0` to `4294967294`, without sign and leading zeros.
pub(super) fn array_index(key: &[u8]) -> Option<u32> {
    let canonical = matches!(key, [b'0'] | [b'1'..=b'9', ..]) && key.len() <= 10;
    if !canonical {
        return None;
    }
    let mut value: u64 = 0;
    for byte in key {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
    }
    u32::try_from(value).ok().filter(|index| *index < u32::MAX)
}

/// Which members an object has in the end, by their number of appearance; `None` if all of them as they are.
///
/// `key` gives the n-th key; keys are equal if their normal forms are.
pub(super) fn final_order<'k>(count: usize, key: impl Fn(usize) -> &'k [u8]) -> Option<Vec<usize>> {
    let few_and_plain = count <= FEW
        && (0..count).all(|n| {
            let this = key(n);
            array_index(this).is_none() && (0..n).all(|earlier| key(earlier) != this)
        });
    if few_and_plain {
        return None;
    }
    let mut places: Vec<(Option<u32>, usize)> = Vec::with_capacity(count);
    let mut known: HashMap<&[u8], usize> = HashMap::with_capacity(count);
    for n in 0..count {
        match known.entry(key(n)) {
            Entry::Vacant(entry) => {
                entry.insert(places.len());
                places.push((array_index(key(n)), n));
            }
            Entry::Occupied(entry) => places[*entry.get()].1 = n,
        }
    }
    places.sort_by_key(|(index, _)| index.map_or(u64::MAX, u64::from));
    let order: Vec<usize> = places.into_iter().map(|(_, n)| n).collect();
    (order.len() != count || !order.is_sorted()).then_some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers_below_the_last_one_are_indexes() {
        assert_eq!(array_index(b"0"), Some(0));
        assert_eq!(array_index(b"4294967294"), Some(4_294_967_294));
        for other in ["", "00", "01", "-1", "+1", "1.0", "1e3", "4294967295", "9999999999", "42949672940", "1a", "१"]
        {
            assert_eq!(array_index(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn many_members_are_ordered_like_few() {
        let keys: Vec<String> = (0..40).map(|n| format!("{}", (n * 7) % 20)).collect();
        let order = final_order(keys.len(), |n| keys[n].as_bytes()).unwrap();
        let found: Vec<&str> = order.iter().map(|n| keys[*n].as_str()).collect();
        let wanted: Vec<String> = (0..20).map(|n: u32| n.to_string()).collect();
        assert_eq!(found, wanted);
        assert!(order.iter().all(|n| *n >= 20), "each key has its last value");
    }
}
