//! The request that a receiver gets: its headers, in the order of the wire format, for one attempt.
//!
//! [`check_own_header`] says which headers a webhook may have besides. Nothing here panics on any header: what cannot be added
//! is left out.

mod own_header;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, Entry, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Timestamp;
use crate::event::EventType;
use crate::ids::IdempotencyKey;
use crate::payload::Payload;
use crate::signature::{SigningKey, webhook_timestamp};
use crate::webhook::PayloadVersion;

pub use own_header::{InvalidOwnHeader, MAX_OWN_HEADER_NAME_BYTES, MAX_OWN_HEADER_VALUE_BYTES, check_own_header};

/// The most headers of its own that a webhook may have.
pub const MAX_OWN_HEADERS: usize = 32;
/// The value of `User-Agent`.
pub const USER_AGENT_VALUE: &str = concat!("Fanfare/", env!("CARGO_PKG_VERSION"));
/// What the delivery log shows in place of a secret value.
pub const MASK: &str = "***";

/// The headers that are Fanfare's: those that [`RequestTemplate::headers`] can set.
const MAX_SET: usize = 12;

const X_WEBHOOK_EVENT: HeaderName = HeaderName::from_static("x-webhook-event");
const X_WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");
const X_WEBHOOK_SIGNATURE_PREVIOUS: HeaderName = HeaderName::from_static("x-webhook-signature-previous");
const X_IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("x-idempotency-key");
const X_WEBHOOK_PAYLOAD_VERSION: HeaderName = HeaderName::from_static("x-webhook-payload-version");
const X_WEBHOOK_ATTEMPT: HeaderName = HeaderName::from_static("x-webhook-attempt");
const X_WEBHOOK_TEST: HeaderName = HeaderName::from_static("x-webhook-test");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The secret before the last rotation, prepared.
#[derive(Clone, Debug)]
pub struct PreviousSigning {
    /// The prepared secret.
    pub key: SigningKey,
    /// Requests made before this time carry its signatures too.
    pub until: Timestamp,
}

/// What every request to one webhook has in common, prepared once: its opened secrets and headers.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    /// The prepared signing secret.
    pub signing: SigningKey,
    /// The secret before the last rotation; used while its overlap lasts.
    pub previous: Option<PreviousSigning>,
    /// The webhook's own headers, opened: at most [`MAX_OWN_HEADERS`] that [`check_own_header`] returned.
    pub own_headers: Arc<[(HeaderName, HeaderValue)]>,
    /// The shape of its bodies.
    pub payload_version: PayloadVersion,
}

/// What one attempt adds.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The body, with the event's name.
    pub payload: &'a Payload,
    /// What the receiver de-duplicates by.
    pub key: IdempotencyKey,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When this attempt begins.
    pub at: Timestamp,
    /// Whether it is a test delivery.
    pub test: bool,
}

impl RequestTemplate {
    /// What the webhook gets of an event of this type with this normalised data.
    pub fn payload(&self, event_type: &EventType, data: &Bytes) -> Payload {
        Payload::new(self.payload_version, event_type, data)
    }

    /// All headers of one attempt but `Host` and `Content-Length`, which the HTTP client sets.
    ///
    /// The signatures are computed here: they cover the time of this very attempt. While a rotation's overlap lasts,
    /// `webhook-signature` is that of the new secret and, after a space, that of the old one; a receiver that knows either
    /// verifies.
    pub fn headers(&self, parts: &RequestParts<'_>) -> HeaderMap {
        let key = parts.key.to_string();
        let body = &parts.payload.body;
        let previous =
            self.previous.as_ref().filter(|previous| parts.at < previous.until).map(|previous| &previous.key);
        let mut standard_signature = self.signing.standard_signature(&key, parts.at, body);
        if let Some(previous) = previous {
            standard_signature.push(' ');
            standard_signature.push_str(&previous.standard_signature(&key, parts.at, body));
        }
        let key = text(key);
        let own = &self.own_headers[..self.own_headers.len().min(MAX_OWN_HEADERS)];

        let mut headers = HeaderMap::with_capacity(MAX_SET + own.len());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        headers.insert(X_WEBHOOK_EVENT, text(parts.payload.event.to_string()));
        headers.insert(X_WEBHOOK_SIGNATURE, text(self.signing.body_signature(body)));
        if let Some(previous) = previous {
            headers.insert(X_WEBHOOK_SIGNATURE_PREVIOUS, text(previous.body_signature(body)));
        }
        headers.insert(X_IDEMPOTENCY_KEY, key.clone());
        headers.insert(X_WEBHOOK_PAYLOAD_VERSION, HeaderValue::from_static(parts.payload.version.as_str()));
        headers.insert(X_WEBHOOK_ATTEMPT, HeaderValue::from(parts.attempt));
        if parts.test {
            headers.insert(X_WEBHOOK_TEST, HeaderValue::from_static("true"));
        }
        headers.insert(WEBHOOK_ID, key);
        headers.insert(WEBHOOK_TIMESTAMP, text(webhook_timestamp(parts.at)));
        headers.insert(WEBHOOK_SIGNATURE, text(standard_signature));
        for (name, value) in own {
            // Stored by an older version that did not yet reserve the name, an own header must not replace ours.
            if let Entry::Vacant(place) = headers.entry(name) {
                place.insert(value.clone());
            }
        }
        headers
    }

    /// The same headers as text for the delivery log, the values of the webhook's own masked.
    pub fn masked(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let is_own = |name: &HeaderName| self.own_headers.iter().any(|(own, _)| own == name);
        let shown = |(name, value): (&HeaderName, &HeaderValue)| {
            let secret = value.is_sensitive() || is_own(name);
            let value = if secret { MASK.into() } else { String::from_utf8_lossy(value.as_bytes()) };
            (name.as_str().to_owned(), value.into_owned())
        };
        headers.iter().map(shown).collect()
    }
}

/// A value of ours. All of them are ASCII without controls (types, UUIDs, digits, hex, base64); one that is not would be
/// sent empty rather than take the worker down.
fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn template(own: &[(&str, &str)]) -> RequestTemplate {
        let secret = Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()).unwrap();
        RequestTemplate {
            signing: SigningKey::new(&secret),
            previous: None,
            own_headers: own.iter().map(|(name, value)| check_own_header(name, value).unwrap()).collect(),
            payload_version: PayloadVersion::V2,
        }
    }

    fn payload(event_type: &str, body: &str) -> Payload {
        let event_type = EventType::new(event_type).unwrap();
        template(&[]).payload(&event_type, &Bytes::copy_from_slice(body.as_bytes()))
    }

    fn parts(payload: &Payload) -> RequestParts<'_> {
        RequestParts {
            payload,
            key: "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11".parse().unwrap(),
            attempt: 3,
            at: Timestamp::from_seconds(1_765_000_001),
            test: false,
        }
    }

    fn shown(headers: &HeaderMap) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_request_has_exactly_the_headers_of_the_wire_format_in_its_order() {
        // Secret, body, id, time and both signatures are the first of the shared vectors.
        let body = concat!(
            r#"{"message":{"id":"wamid.AAA1","timestamp":"1765000000","type":"text","#,
            r#""text":{"body":"Is my order ready?"}},"phone_number_id":"100200300400500"}"#
        );
        let payload = payload("whatsapp.message.received", body);
        let headers = template(&[("Authorization", "Bearer 123")]).headers(&parts(&payload));
        let expected = [
            ("content-type", "application/json"),
            ("user-agent", concat!("Fanfare/", env!("CARGO_PKG_VERSION"))),
            ("x-webhook-event", "whatsapp.message.received"),
            ("x-webhook-signature", "6aa5e9acb37cedd26d8dc70ab2412c5d94a66f6bbdd7c404052aa935d6989a51"),
            ("x-idempotency-key", "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11"),
            ("x-webhook-payload-version", "v2"),
            ("x-webhook-attempt", "3"),
            ("webhook-id", "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11"),
            ("webhook-timestamp", "1765000001"),
            ("webhook-signature", "v1,4kZKzLsxVDfXXD/5QmtKg2JIbh0Par/PVRjDMWIBN2M="),
            ("authorization", "Bearer 123"),
        ];
        assert_eq!(shown(&headers), expected);
    }

    #[test]
    fn what_is_mapped_to_v1_is_signed_and_named_as_it_is_sent() {
        let template = RequestTemplate { payload_version: PayloadVersion::V1, ..template(&[]) };
        let event_type = EventType::new("whatsapp.phone_number.created").unwrap();
        let payload = template.payload(&event_type, &Bytes::from_static(br#"{"phone_number_id":"1"}"#));
        assert_eq!(payload.body, r#"{"whatsapp_config":{"id":"1","phone_number_id":"1"}}"#);
        let headers = template.headers(&parts(&payload));
        assert_eq!(headers["x-webhook-event"], "whatsapp.config.created");
        assert_eq!(headers["x-webhook-payload-version"], "v1");
        assert_eq!(headers["x-webhook-signature"], template.signing.body_signature(&payload.body));
    }

    #[test]
    fn only_a_test_delivery_says_that_it_is_one() {
        let payload = payload("order.paid", "{}");
        let template = template(&[]);
        let parts = parts(&payload);
        assert!(!template.headers(&parts).contains_key("x-webhook-test"));
        let test = template.headers(&RequestParts { test: true, ..parts });
        assert_eq!(test["x-webhook-test"], "true");
        assert_eq!(test["x-webhook-signature"], template.headers(&parts)["x-webhook-signature"]);
    }

    #[test]
    fn both_secrets_sign_until_the_overlap_ends_and_then_the_new_one_alone() {
        #[derive(serde::Deserialize)]
        struct Vector {
            secret: String,
            body: String,
            x_webhook_signature: String,
            webhook_id: String,
            webhook_timestamp: i64,
            webhook_signature: String,
        }
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/signatures.json")).unwrap();
        let key = |vector: &Vector| SigningKey::new(&Secret::new(vector.secret.clone()).unwrap());
        let mut seen = 0;
        for (old, new) in vectors.iter().flat_map(|old| vectors.iter().map(move |new| (old, new))) {
            // Some vectors sign under ids of other libraries, which no request of ours has.
            let Ok(id) = new.webhook_id.parse() else { continue };
            seen += 1;
            let at = Timestamp::from_seconds(new.webhook_timestamp);
            let millisecond = std::time::Duration::from_millis(1);
            let with = |until| RequestTemplate {
                signing: key(new),
                previous: Some(PreviousSigning { key: key(old), until }),
                ..template(&[])
            };
            let payload = payload("order.paid", &new.body);
            let parts = RequestParts { at, key: id, ..parts(&payload) };

            let during = with(at.after(millisecond)).headers(&parts);
            assert_eq!(during["x-webhook-signature"], new.x_webhook_signature);
            assert_eq!(during["x-webhook-signature-previous"], key(old).body_signature(&payload.body));
            let previous = key(old).standard_signature(&new.webhook_id, at, &payload.body);
            assert_eq!(during["webhook-signature"], format!("{} {previous}", new.webhook_signature));
            if (&old.body, &old.webhook_id, old.webhook_timestamp)
                == (&new.body, &new.webhook_id, new.webhook_timestamp)
            {
                assert_eq!(during["x-webhook-signature-previous"], old.x_webhook_signature);
                assert_eq!(previous, old.webhook_signature);
            }

            let after = with(at).headers(&parts);
            assert_eq!(after["x-webhook-signature"], new.x_webhook_signature);
            assert_eq!(after["webhook-signature"], new.webhook_signature);
            assert!(!after.contains_key("x-webhook-signature-previous"));
        }
        assert!(seen > vectors.len(), "the vectors have ids of ours, under more than one secret");
    }

    #[test]
    fn an_own_header_replaces_nothing() {
        let mut template = template(&[("X-Token", "one")]);
        let foreign = (X_WEBHOOK_SIGNATURE, HeaderValue::from_static("forged"));
        template.own_headers = template.own_headers.iter().cloned().chain([foreign]).collect();
        let headers = template.headers(&parts(&payload("order.paid", "{}")));
        assert_ne!(headers["x-webhook-signature"], "forged");
        assert_eq!(headers.get_all("x-webhook-signature").iter().count(), 1);
        assert_eq!(headers["x-token"], "one");
    }

    #[test]
    fn the_log_shows_every_header_but_no_own_value() {
        let template = template(&[("X-Token", "hunter22")]);
        let headers = template.headers(&parts(&payload("order.paid", "{}")));
        let masked = template.masked(&headers);
        assert_eq!(masked.len(), headers.len());
        assert!(masked.contains(&("x-token".to_owned(), "***".to_owned())), "{masked:?}");
        assert!(masked.contains(&("x-webhook-event".to_owned(), "order.paid".to_owned())), "{masked:?}");
        assert!(!format!("{masked:?}{headers:?}{template:?}").contains("hunter22"));
    }
}
