//! Texts as they stand in normalised JSON, compared without decoding them where that can be.
//!
//! In normal form each character has exactly one way to be written, so equal texts have equal bytes, and the ways are such
//! that no one begins another: a text begins with another exactly if its bytes do. They do not end as clearly (`\n` ends
//! with `n`), so where a piece is found inside a text it is made sure that it begins where a character does.

use crate::normalise::Scanner;

/// A text as normalised JSON has it, without its quotes.
pub(super) fn raw(text: &str) -> Box<str> {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or("").into()
}

/// What a text may be asked.
#[derive(Clone, Debug)]
pub(super) enum TextTest {
    /// Begins with this raw text.
    Prefix(Box<str>),
    /// Ends with this raw text.
    Suffix(Box<str>),
    /// Is this folded text, cases folded.
    IgnoreCase(Box<str>),
    /// Begins with this folded text, cases folded.
    PrefixIgnoreCase(Box<str>),
    /// Ends with this folded text, cases folded.
    SuffixIgnoreCase(Box<str>),
    /// Consists of these raw pieces, in this order, with anything in between. At least one.
    Wildcard(Box<[Box<str>]>),
}

impl TextTest {
    /// Whether a raw text passes.
    pub(super) fn passes(&self, raw: &str) -> bool {
        match self {
            TextTest::Prefix(prefix) => raw.starts_with(&**prefix),
            TextTest::Suffix(suffix) => ends_with(raw, suffix, &mut Starts::of(raw)),
            TextTest::IgnoreCase(folded) => folded.chars().eq(fold(characters(raw))),
            TextTest::PrefixIgnoreCase(prefix) => {
                let mut found = fold(characters(raw));
                prefix.chars().all(|wanted| found.next() == Some(wanted))
            }
            TextTest::SuffixIgnoreCase(suffix) => {
                let (found, wanted) = (fold(characters(raw)).count(), suffix.chars().count());
                found >= wanted && fold(characters(raw)).skip(found - wanted).eq(suffix.chars())
            }
            TextTest::Wildcard(pieces) => consists_of(raw, pieces),
        }
    }
}

/// The characters of a raw text.
fn characters(raw: &str) -> impl Iterator<Item = char> {
    let mut scan = Scanner::new(raw);
    std::iter::from_fn(move || scan.character())
}

/// Lowercase, one character after the other, by Unicode's mapping that knows no language and no neighbours.
pub(super) fn fold(characters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    characters.flat_map(char::to_lowercase)
}

/// Where the characters of a raw text begin, asked in ascending order.
struct Starts<'a> {
    scan: Scanner<'a>,
    plain: bool,
}

impl<'a> Starts<'a> {
    fn of(raw: &'a str) -> Self {
        Self { scan: Scanner::new(raw), plain: !raw.contains('\\') }
    }

    /// Whether a character begins at `at`, which is at one of the text's own characters.
    fn has(&mut self, at: usize) -> bool {
        if self.plain {
            return true;
        }
        while self.scan.at() < at {
            if self.scan.character().is_none() {
                return false;
            }
        }
        self.scan.at() == at
    }
}

fn ends_with(raw: &str, suffix: &str, starts: &mut Starts<'_>) -> bool {
    raw.ends_with(suffix) && starts.has(raw.len() - suffix.len())
}

/// Whether the pieces follow one another in the text, the first at its beginning and the last at its end.
///
/// Each piece is taken where it comes first, which leaves most to the others: linear in the text for each piece.
fn consists_of(raw: &str, pieces: &[Box<str>]) -> bool {
    let [first, middle @ .., last] = pieces else {
        return pieces.first().is_some_and(|only| **only == *raw);
    };
    if !raw.starts_with(&**first) {
        return false;
    }
    let mut starts = Starts::of(raw);
    let mut at = first.len();
    for piece in middle {
        match find(raw, piece, at, &mut starts) {
            Some(found) => at = found + piece.len(),
            None => return false,
        }
    }
    raw.len() - at >= last.len() && ends_with(raw, last, &mut starts)
}

/// Where `piece` begins in the text, at `from` or behind it.
fn find(raw: &str, piece: &str, mut from: usize, starts: &mut Starts<'_>) -> Option<usize> {
    loop {
        let found = from + raw.get(from..)?.find(piece)?;
        if starts.has(found) {
            return Some(found);
        }
        // Inside an escape, all of which is ASCII: the next byte is a place to go on from.
        from = found + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select("nb\"\\\n\u{8}\u{1}u0a1é*🎺".chars().collect::<Vec<_>>()), 0..8)
            .prop_map(|characters| characters.into_iter().collect())
    }

    /// Whether `text` consists of the pieces, found by trying every place.
    fn naive(text: &str, pieces: &[String]) -> bool {
        let Some((first, rest)) = pieces.split_first() else { return text.is_empty() };
        let Some(left) = text.strip_prefix(first.as_str()) else { return false };
        if rest.is_empty() {
            return left.is_empty();
        }
        let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
        ends.into_iter().any(|at| naive(&left[at..], rest))
    }

    proptest! {
        #[test]
        fn raw_texts_answer_as_the_texts_themselves(text in texts(), other in texts()) {
            let (in_json, piece) = (raw(&text), raw(&other));
            prop_assert_eq!(*in_json == *piece, text == other);
            prop_assert_eq!(TextTest::Prefix(piece.clone()).passes(&in_json), text.starts_with(&other));
            prop_assert_eq!(TextTest::Suffix(piece).passes(&in_json), text.ends_with(&other));
            prop_assert_eq!(characters(&in_json).collect::<String>(), text);
        }

        #[test]
        fn pieces_are_found_wherever_they_are(text in texts(), pieces in prop::collection::vec(texts(), 1..4)) {
            let raws: Box<[Box<str>]> = pieces.iter().map(|piece| raw(piece)).collect();
            prop_assert_eq!(TextTest::Wildcard(raws).passes(&raw(&text)), naive(&text, &pieces));
        }
    }
}
