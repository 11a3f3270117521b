//! Raw Meta bodies: what Meta posted to the platform, passed on byte for byte to webhooks of kind `meta`.
//!
//! They come as events of one type whose data is not normalised, so they go to no other webhooks. A number has at most one
//! webhook of this kind. The catalogue has no entry of the type: its sample and its default source are here.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::event::{EventType, Source};
use crate::normalise::{normalise, string_at};
use crate::signature::Hex;

/// The type of events whose data is a raw Meta body.
pub const RAW_TYPE: &str = "whatsapp.meta.raw";
/// Where a raw body names its phone number. One with several entries may name several; its sender then gives `source`.
const NUMBER: &str = "/entry/0/changes/0/value/metadata/phone_number_id";

/// Whether events of this type have raw bodies.
pub fn is_raw(event_type: &EventType) -> bool {
    event_type.as_str() == RAW_TYPE
}

/// The type itself.
pub fn raw_type() -> EventType {
    EventType::new(RAW_TYPE).expect("the constant is a type")
}

/// A sample of a raw body, written as Meta writes them.
pub fn sample() -> Bytes {
    Bytes::from_static(include_bytes!("meta/sample.json"))
}

/// The phone number that a raw body is about, if it says.
pub(crate) fn source_of(raw: &[u8]) -> Option<Source> {
    let normal = normalise(raw, "$").ok()?;
    let text = std::str::from_utf8(&normal).ok()?;
    string_at(text, NUMBER).and_then(|number| Source::new(number).ok())
}

/// What receivers of raw bodies de-duplicate by: lowercase hex of the body's SHA-256, whatever event brought it.
pub fn idempotency_key(body: &[u8]) -> String {
    Hex(&Sha256::digest(body)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_however_the_body_is_written() {
        assert_eq!(source_of(&sample()).unwrap().as_str(), "100200300400500");
        let spaced = br#"{ "entry" : [ {"changes":[{"value":{"metadata":{"phone_number_id":"1\u0030"}}}]} ] }"#;
        assert_eq!(source_of(spaced).unwrap().as_str(), "10");
        for without in [&b"{}"[..], b"", b"\xff", br#"{"entry":[]}"#] {
            assert_eq!(source_of(without), None);
        }
    }

    #[test]
    fn the_key_is_the_bodys_own() {
        assert_eq!(idempotency_key(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_ne!(idempotency_key(b"{}"), idempotency_key(b"{ }"));
        assert!(is_raw(&raw_type()));
    }
}
