//! Numbers by value: `300`, `300.0` and `3e2` are the same, and integers are compared by all of their digits.
//!
//! A number is its decimal digits and the place of the first of them, both slices of its text, so that nothing is rounded
//! and nothing allocated.

use std::cmp::Ordering;

/// A number in a text: ±0.d₁d₂d₃… × 10^`magnitude`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal<'a> {
    negative: bool,
    magnitude: i64,
    /// From the first digit that is not zero; a decimal point may be among them. Empty for zero.
    digits: &'a str,
}

impl<'a> Decimal<'a> {
    /// Reads a JSON number.
    pub(super) fn read(token: &'a str) -> Self {
        let (negative, unsigned) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)),
            None => (unsigned, 0),
        };
        let Some(first) = mantissa.find(|character| matches!(character, '1'..='9')) else {
            return Self { negative: false, magnitude: 0, digits: "" };
        };
        let point = mantissa.find('.').unwrap_or(mantissa.len());
        // Digits before the point count up, zeros between it and the first digit down.
        let place = if first < point { length(point - first) } else { -length(first - point - 1) };
        Self { negative, magnitude: place.saturating_add(exponent), digits: mantissa.get(first..).unwrap_or("") }
    }

    /// −1, 0 or 1.
    fn sign(self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        }
    }

    fn only_digits(self) -> impl Iterator<Item = u8> {
        self.digits.bytes().filter(|byte| *byte != b'.')
    }

    /// Compares what is left of two numbers but for their signs.
    fn compare_sizes(self, other: Self) -> Ordering {
        let by_digits = || {
            let (mut ours, mut theirs) = (self.only_digits(), other.only_digits());
            loop {
                let pair = match (ours.next(), theirs.next()) {
                    (None, None) => return Ordering::Equal,
                    (our, their) => (our.unwrap_or(b'0'), their.unwrap_or(b'0')),
                };
                if pair.0 != pair.1 {
                    return pair.0.cmp(&pair.1);
                }
            }
        };
        self.magnitude.cmp(&other.magnitude).then_with(by_digits)
    }

    /// Compares by value.
    pub(super) fn compare(self, other: Self) -> Ordering {
        self.sign().cmp(&other.sign()).then_with(|| match self.sign() {
            0 => Ordering::Equal,
            1 => self.compare_sizes(other),
            _ => other.compare_sizes(self),
        })
    }
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An exponent; one beyond all measure is as large as can be, or as small.
fn read_exponent(text: &str) -> i64 {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let beyond = if digits.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    digits.parse().unwrap_or(beyond)
}

/// A number of a filter, read once.
#[derive(Clone, Debug)]
pub(super) struct Number {
    negative: bool,
    magnitude: i64,
    digits: Box<str>,
}

impl Number {
    /// As JSON writes it. An integer that needs more than 64 bits was rounded to 17 digits when the filter was read.
    pub(super) fn new(number: &serde_json::Number) -> Self {
        let text = number.to_string();
        let Decimal { negative, magnitude, digits } = Decimal::read(&text);
        Self { negative, magnitude, digits: digits.into() }
    }

    /// Its value.
    pub(super) fn value(&self) -> Decimal<'_> {
        Decimal { negative: self.negative, magnitude: self.magnitude, digits: &self.digits }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compare(one: &str, other: &str) -> Ordering {
        Decimal::read(one).compare(Decimal::read(other))
    }

    #[test]
    fn numbers_are_ordered_by_value_whatever_their_form() {
        let ascending: &[&[&str]] = &[
            &["-1e400", "-10e399"],
            &["-9007199254740993"],
            &["-9007199254740992", "-9007199254740992.0", "-9.007199254740992e15"],
            &["-10.5", "-1.05E+1"],
            &["-0.001", "-1e-3"],
            &["0", "-0", "0.000", "0e9"],
            &["5e-324"],
            &["0.001", "1e-3", "0.10e-2"],
            &["0.01"],
            &["0.1", "0.10"],
            &["1", "1.000", "10e-1", "0.1e1"],
            &["1.5"],
            &["10"],
            &["300", "300.0", "3e2", "3.00e+2"],
            &["9007199254740992"],
            &["9007199254740993"],
            &["100000000000000000000000", "1e23", "1e+23"],
        ];
        for (n, same) in ascending.iter().enumerate() {
            for (m, others) in ascending.iter().enumerate() {
                for (one, other) in same.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
                    assert_eq!(compare(one, other), n.cmp(&m), "{one} and {other}");
                }
            }
        }
        assert_eq!(compare("1e99999999999999999999", "1"), Ordering::Greater);
        assert_eq!(compare("1e-99999999999999999999", "1"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn integers_compare_as_integers(one in any::<i128>(), other in any::<i128>()) {
            prop_assert_eq!(compare(&one.to_string(), &other.to_string()), one.cmp(&other));
        }

        #[test]
        fn doubles_compare_as_doubles(one in any::<f64>(), other in any::<f64>()) {
            prop_assume!(one.is_finite() && other.is_finite());
            let forms = |number: f64| [format!("{number}"), format!("{number:e}")];
            for (one_form, other_form) in forms(one).iter().zip(forms(other).iter().rev()) {
                prop_assert_eq!(compare(one_form, other_form), one.partial_cmp(&other).unwrap());
            }
        }
    }
}
