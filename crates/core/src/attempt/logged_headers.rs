//! A request's or an answer's headers, as the delivery log has them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// How much room one header is expected to take, name and value, in bytes.
const EXPECTED: usize = 48;

/// Names and values in order; in JSON an array of pairs. All of them are one text: each attempt has twenty, which are written,
/// copied, stored and read again together.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LoggedHeaders {
    text: String,
    /// Where each name and each value ends, in turns.
    ends: Vec<usize>,
}

impl LoggedHeaders {
    /// None yet, with room for so many.
    pub fn with_capacity(headers: usize) -> Self {
        Self { text: String::with_capacity(EXPECTED * headers), ends: Vec::with_capacity(2 * headers) }
    }

    /// Adds one.
    pub fn push(&mut self, name: &str, value: &str) {
        self.add(name);
        self.add(value);
    }

    fn add(&mut self, part: &str) {
        self.text.push_str(part);
        self.ends.push(self.text.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut from = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let (name, value) = (&self.text[from..ends[0]], &self.text[ends[0]..ends[1]]);
            from = ends[1];
            (name, value)
        })
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for LoggedHeaders {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(headers: T) -> Self {
        let headers = headers.into_iter();
        let mut logged = Self::with_capacity(headers.size_hint().0);
        headers.for_each(|(name, value)| logged.push(name.as_ref(), value.as_ref()));
        logged
    }
}

impl fmt::Debug for LoggedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for LoggedHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for LoggedHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut logged = Self::default();
        deserializer.deserialize_seq(All(&mut logged))?;
        Ok(logged)
    }
}

struct All<'h>(&'h mut LoggedHeaders);

impl<'de> Visitor<'de> for All<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of pairs of a name and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut headers: A) -> Result<(), A::Error> {
        while headers.next_element_seed(Pair(self.0))?.is_some() {}
        Ok(())
    }
}

struct Pair<'h>(&'h mut LoggedHeaders);

impl<'de> DeserializeSeed<'de> for Pair<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for Pair<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair of a name and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<(), A::Error> {
        for read in 0..2 {
            pair.next_element_seed(Part(self.0))?.ok_or_else(|| A::Error::invalid_length(read, &"two texts"))?;
        }
        Ok(())
    }
}

struct Part<'h>(&'h mut LoggedHeaders);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, part: &str) -> Result<(), E> {
        self.0.add(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_come_back_as_they_were_put_in(pairs in prop::collection::vec((".{0,8}", ".{0,8}"), 0..6)) {
            let logged: LoggedHeaders = pairs.iter().map(|(name, value)| (name, value)).collect();
            prop_assert_eq!(logged.len(), pairs.len());
            prop_assert_eq!(logged.is_empty(), pairs.is_empty());
            let back: Vec<_> = logged.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(&back, &pairs);
            let json = serde_json::to_string(&logged).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&pairs).unwrap());
            prop_assert_eq!(serde_json::from_str::<LoggedHeaders>(&json).unwrap(), logged);
        }
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for json in [r#"[["a"]]"#, r#"[["a","b","c"]]"#, r#"[["a",1]]"#, r#"["a","b"]"#, r#"{"a":"b"}"#] {
            serde_json::from_str::<LoggedHeaders>(json).unwrap_err();
        }
    }
}
