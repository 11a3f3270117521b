//! Messages: the body is the payload, byte for byte; what is known of it is a header.
//!
//! A header holds JSON, percent-encoded, since NATS trims spaces, and a line break in a header makes two.

use std::borrow::Cow;
use std::str::FromStr;

use async_nats::jetstream::message::PublishMessage;
use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use fanfare_core::clock::Timestamp;
use fanfare_core::ports::StoreResult;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::corrupt;

/// What cannot stand in a header as it is. Whatever is not ASCII is encoded as well.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// A message to be published.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) subject: String,
    payload: Bytes,
    headers: HeaderMap,
}

impl Draft {
    pub(crate) fn new(subject: String, payload: Bytes) -> Self {
        Self { subject, payload, headers: HeaderMap::new() }
    }

    /// A message as it was stored, without what the server says or is told.
    pub(crate) fn copy(subject: String, payload: Bytes, headers: &HeaderMap) -> Self {
        let mut copied = HeaderMap::new();
        for (name, values) in headers.iter() {
            let text: &str = name.as_ref();
            if !text.to_ascii_lowercase().starts_with("nats-") {
                values.iter().for_each(|value| copied.append(name.clone(), value.clone()));
            }
        }
        Self { subject, payload, headers: copied }
    }

    /// With a header that says what is known of the body.
    pub(crate) fn describe(self, name: &'static str, known: &impl Serialize) -> Self {
        let json =
            serde_json::to_string(known).expect("headers are maps with text keys, which always have a JSON form");
        self.header(name, &json)
    }

    /// By this id a repetition is recognised.
    pub(crate) fn id(self, id: &str) -> Self {
        self.header("Nats-Msg-Id", id)
    }

    /// Refused unless the last message on its subject is this one; 0 for none.
    pub(crate) fn expecting(self, sequence: u64) -> Self {
        self.header("Nats-Expected-Last-Subject-Sequence", &sequence.to_string())
    }

    /// Refused unless the last message on another subject is this one.
    pub(crate) fn expecting_on(self, subject: &str, sequence: u64) -> Self {
        self.expecting(sequence).header("Nats-Expected-Last-Subject-Sequence-Subject", subject)
    }

    /// The server publishes it to `target` at that time instead of keeping it here.
    pub(crate) fn at(mut self, at: Timestamp, target: &str) -> Self {
        let schedule = HeaderValue::from_str(&format!("@at {at}")).expect("a time's text form is plain");
        self.headers.insert(HeaderName::from_static("Nats-Schedule"), schedule);
        self.header("Nats-Schedule-Target", target)
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let encoded = Cow::from(utf8_percent_encode(value, ENCODED));
        let value = HeaderValue::from_str(&encoded).expect("the encoding leaves no control characters");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// The message as the library takes it.
    pub(crate) fn into_parts(self) -> (String, PublishMessage) {
        (self.subject, PublishMessage::build().payload(self.payload).headers(self.headers))
    }
}

/// A header's text, if there is one.
pub(crate) fn header<'h>(headers: Option<&'h HeaderMap>, name: &'static str) -> Option<Cow<'h, str>> {
    let value = headers?.get(HeaderName::from_static(name))?;
    percent_decode_str(value.as_str()).decode_utf8().ok()
}

/// What a header says of the body.
///
/// # Errors
/// `Corrupt` when it is missing or says something else.
pub(crate) fn described<T: DeserializeOwned>(
    doing: &'static str,
    headers: Option<&HeaderMap>,
    name: &'static str,
) -> StoreResult<T> {
    let json = header(headers, name).ok_or_else(|| corrupt(doing, format!("a message without the header {name}")))?;
    serde_json::from_str(&json).map_err(|error| corrupt(doing, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_from_a_header(text in any::<String>()) {
            let draft = Draft::new("a".to_owned(), Bytes::new()).header("Fanfare-Test", &text);
            let line = draft.headers.get("Fanfare-Test").unwrap().as_str();
            prop_assert!(line.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(header(Some(&draft.headers), "Fanfare-Test").unwrap(), text);
        }
    }

    #[test]
    fn a_missing_header_is_not_guessed() {
        assert!(described::<String>("read", None, "Fanfare-Test").is_err());
    }
}
