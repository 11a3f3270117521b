//! What can be wrong with a JSON text, and where.
//!
//! A fault that makes the text no JSON at all is told apart from one that only has no normal form: the first has a line and
//! a column, the second is an answer about one value.

use super::MAX_DEPTH;

/// What is wrong at one place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The text ends where more of the value is needed.
    UnexpectedEnd,
    /// Another character than what is named here.
    Expected(&'static str),
    /// A control character inside a string, unescaped.
    Control,
    /// A byte that is not UTF-8.
    InvalidUtf8,
    /// Half of a surrogate pair, which has no UTF-8.
    LoneSurrogate,
    /// A number that JavaScript reads as an infinity.
    OutOfRange,
    /// Nesting deeper than [`MAX_DEPTH`].
    TooDeep,
}

/// A fault with the byte offset at which it showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) kind: FaultKind,
}

impl Fault {
    /// Whether the text is not JSON at all, rather than JSON that has no normal form.
    pub(crate) fn is_malformed(self) -> bool {
        match self.kind {
            FaultKind::UnexpectedEnd | FaultKind::Expected(_) | FaultKind::Control | FaultKind::InvalidUtf8 => true,
            FaultKind::LoneSurrogate | FaultKind::OutOfRange | FaultKind::TooDeep => false,
        }
    }

    /// The message for a reader: a fault of the syntax comes with its line and column in `text`, both from 1, the column in
    /// characters.
    pub(crate) fn message(self, text: &str) -> String {
        let what = match self.kind {
            FaultKind::LoneSurrogate => return "lone surrogate".to_owned(),
            FaultKind::OutOfRange => return "number out of range".to_owned(),
            FaultKind::TooDeep => return format!("more than {MAX_DEPTH} levels"),
            FaultKind::UnexpectedEnd => "unexpected end".to_owned(),
            FaultKind::Expected(what) => format!("expected {what}"),
            FaultKind::Control => "unescaped control character in a string".to_owned(),
            FaultKind::InvalidUtf8 => "invalid UTF-8".to_owned(),
        };
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{what} at line {line}, column {column}")
    }
}
