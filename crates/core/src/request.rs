//! The request that a receiver gets: its headers, in the order of the wire format, for one attempt.
//!
//! [`check_own_header`] says which headers a webhook may have besides. Nothing here panics on any header: what cannot be added
//! is left out.

mod own_header;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, Entry, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::attempt::LoggedHeaders;
use crate::clock::Timestamp;
use crate::event::EventType;
use crate::ids::IdempotencyKey;
use crate::meta;
use crate::payload::Payload;
use crate::signature::{SigningKey, webhook_timestamp};
use crate::webhook::{PayloadVersion, WebhookKind};

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
const X_HUB_SIGNATURE_256: HeaderName = HeaderName::from_static("x-hub-signature-256");
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
    /// What it gets.
    pub kind: WebhookKind,
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
        match self.kind {
            WebhookKind::Kapso => Payload::new(self.payload_version, event_type, data),
            WebhookKind::Meta => Payload::raw(data),
        }
    }

    /// All headers of one attempt but `Host` and `Content-Length`, which the HTTP client sets.
    ///
    /// The signatures are computed here: they cover the time of this very attempt. While a rotation's overlap lasts,
    /// `webhook-signature` is that of the new secret and, after a space, that of the old one; a receiver that knows either
    /// verifies.
    pub fn headers(&self, parts: &RequestParts<'_>) -> HeaderMap {
        let key = match self.kind {
            WebhookKind::Kapso => parts.key.to_string(),
            WebhookKind::Meta => meta::idempotency_key(&parts.payload.body),
        };
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
        let signature = self.signing.body_signature(body);
        match self.kind {
            WebhookKind::Kapso => {
                let version = parts.payload.version.as_str();
                headers.insert(X_WEBHOOK_EVENT, text(parts.payload.event.to_string()));
                headers.insert(X_WEBHOOK_SIGNATURE, text(signature));
                if let Some(previous) = previous {
                    headers.insert(X_WEBHOOK_SIGNATURE_PREVIOUS, text(previous.body_signature(body)));
                }
                headers.insert(X_IDEMPOTENCY_KEY, key.clone());
                headers.insert(X_WEBHOOK_PAYLOAD_VERSION, HeaderValue::from_static(version));
            }
            // Receivers that take both kinds at one URL tell them apart by `X-Webhook-Event` and `X-Webhook-Signature`, which
            // therefore never come with a raw body.
            WebhookKind::Meta => {
                headers.insert(X_HUB_SIGNATURE_256, text(format!("sha256={signature}")));
                headers.insert(X_IDEMPOTENCY_KEY, key.clone());
            }
        }
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
    pub fn masked(&self, headers: &HeaderMap) -> LoggedHeaders {
        let is_own = |name: &HeaderName| self.own_headers.iter().any(|(own, _)| own == name);
        let mut logged = LoggedHeaders::with_capacity(headers.len());
        for (name, value) in headers {
            let secret = value.is_sensitive() || is_own(name);
            let shown = if secret { MASK.into() } else { String::from_utf8_lossy(value.as_bytes()) };
            logged.push(name.as_str(), &shown);
        }
        logged
    }
}

/// A value of ours. All of them are ASCII without controls (types, UUIDs, digits, hex, base64); one that is not would be
/// sent empty rather than take the worker down.
fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests;
