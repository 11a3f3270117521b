//! What a filter asks of one field's value.

use super::number::{Decimal, Number};
use super::text::TextTest;

/// A value that holds no others.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    /// A text as normalised JSON has it, without its quotes.
    Text(&'a str),
    /// A number.
    Number(Decimal<'a>),
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`.
    Null,
}

/// The conditions on one field, of which one has to be met.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Met if the field is not there.
    pub(super) absent: bool,
    /// Met if the field is there, whatever it is.
    pub(super) present: bool,
    /// Met by each of these.
    pub(super) values: Values,
    /// Met by what passes one of these.
    pub(super) tests: Vec<Test>,
}

impl Conditions {
    /// Whether the value meets one of them.
    pub(super) fn met_by(&self, scalar: Scalar<'_>) -> bool {
        self.values.have(scalar) || self.tests.iter().any(|test| test.passes(scalar))
    }

    /// Makes them ready to be asked.
    pub(super) fn finish(&mut self) {
        self.values.finish();
        self.tests.shrink_to_fit();
        for test in &mut self.tests {
            match test {
                Test::Text(_) | Test::Numeric(_) => {}
                Test::AnythingBut { values, texts } => {
                    values.finish();
                    texts.shrink_to_fit();
                }
            }
        }
    }
}

/// Exact values.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Raw texts; sorted once finished.
    pub(super) texts: Vec<Box<str>>,
    /// Sorted by value once finished.
    pub(super) numbers: Vec<Number>,
    /// Whether `true`, `false` and `null` are among them.
    pub(super) yes: bool,
    pub(super) no: bool,
    pub(super) null: bool,
}

impl Values {
    fn have(&self, scalar: Scalar<'_>) -> bool {
        match scalar {
            Scalar::Text(raw) => self.texts.binary_search_by(|text| (**text).cmp(raw)).is_ok(),
            Scalar::Number(value) => self.numbers.binary_search_by(|number| number.value().compare(value)).is_ok(),
            Scalar::True => self.yes,
            Scalar::False => self.no,
            Scalar::Null => self.null,
        }
    }

    fn finish(&mut self) {
        self.texts.sort_unstable();
        self.texts.shrink_to_fit();
        self.numbers.sort_unstable_by(|one, other| one.value().compare(other.value()));
        self.numbers.shrink_to_fit();
    }
}

/// A condition that is not an exact value.
#[derive(Debug)]
pub(super) enum Test {
    /// A text that passes.
    Text(TextTest),
    /// A number within bounds.
    Numeric(Range),
    /// Any value but these, and but texts that pass one of these.
    AnythingBut {
        /// The values.
        values: Values,
        /// What texts must not pass.
        texts: Vec<TextTest>,
    },
}

impl Test {
    fn passes(&self, scalar: Scalar<'_>) -> bool {
        let text = |test: &TextTest| match scalar {
            Scalar::Text(raw) => test.passes(raw),
            Scalar::Number(_) | Scalar::True | Scalar::False | Scalar::Null => false,
        };
        match self {
            Test::Text(test) => text(test),
            Test::Numeric(range) => match scalar {
                Scalar::Number(value) => range.has(value),
                Scalar::Text(_) | Scalar::True | Scalar::False | Scalar::Null => false,
            },
            Test::AnythingBut { values, texts } => !values.have(scalar) && !texts.iter().any(text),
        }
    }
}

/// Bounds of a number, each with whether it is within.
#[derive(Debug, Default)]
pub(super) struct Range {
    /// The lower one.
    pub(super) lower: Option<(Number, bool)>,
    /// The upper one.
    pub(super) upper: Option<(Number, bool)>,
}

impl Range {
    fn has(&self, value: Decimal<'_>) -> bool {
        let above = self.lower.as_ref().is_none_or(|(lower, within)| {
            let order = value.compare(lower.value());
            order.is_gt() || (*within && order.is_eq())
        });
        above
            && self.upper.as_ref().is_none_or(|(upper, within)| {
                let order = value.compare(upper.value());
                order.is_lt() || (*within && order.is_eq())
            })
    }

    /// Whether no number is within.
    pub(super) fn is_empty(&self) -> bool {
        let (Some((lower, lower_within)), Some((upper, upper_within))) = (&self.lower, &self.upper) else {
            return false;
        };
        let order = lower.value().compare(upper.value());
        order.is_gt() || (order.is_eq() && !(*lower_within && *upper_within))
    }
}
