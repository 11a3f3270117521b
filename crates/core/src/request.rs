//! The request that a receiver gets: its headers, in the order of the wire format, for one attempt.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Timestamp;
use crate::event::EventType;
use crate::ids::IdempotencyKey;
use crate::signature::SigningKey;
use crate::webhook::PayloadVersion;

/// What every request to one webhook has in common, prepared once: its opened secret and headers.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    /// The prepared signing secret.
    pub signing: SigningKey,
    /// The webhook's own headers, opened.
    pub own_headers: Arc<[(HeaderName, HeaderValue)]>,
    /// The shape of its bodies.
    pub payload_version: PayloadVersion,
}

/// What one attempt adds.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The event's type.
    pub event_type: &'a EventType,
    /// What the receiver de-duplicates by.
    pub key: IdempotencyKey,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When this attempt begins.
    pub at: Timestamp,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// Whether it is a test delivery.
    pub test: bool,
}

impl RequestTemplate {
    /// All headers of one attempt but `Host` and `Content-Length`, which the HTTP client sets.
    pub fn headers(&self, parts: &RequestParts<'_>) -> HeaderMap {
        let _ = parts;
        todo!()
    }

    /// The same headers as text for the delivery log, the values of the webhook's own masked.
    pub fn masked(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let _ = headers;
        todo!()
    }
}

/// Why a webhook may not have a header of its own; says which rule, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOwnHeader(pub String);

/// Checks one of a webhook's own headers.
///
/// # Errors
/// When the name or the value is malformed, or the name is one that Fanfare sets or HTTP reserves.
pub fn check_own_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), InvalidOwnHeader> {
    let _ = (name, value);
    todo!()
}
