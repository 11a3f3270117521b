//! Requests out, through hostile country: one guarded HTTP client for deliveries and tests.
//!
//! Every connection goes to an address that the project's [`EgressPolicy`] allows, checked at the address connected to. No
//! proxy, no redirects, no decompression; every size and time is bounded; an answer's body is read to a small cap.

use std::time::Duration;

use bytes::Bytes;
use fanfare_core::attempt::{Attempt, OutcomeClass, Phases, Snippet};
use fanfare_core::clock::Timestamp;
use fanfare_core::egress::{EgressPolicy, WebhookUrl};
use fanfare_core::ids::AttemptId;
use fanfare_telemetry::Metrics;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// Bounds and roots of requests out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// PEM file of certificate authorities to trust besides the built-in ones; empty for none.
    pub ca_file: String,
}

/// Why the client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {}

/// A request to be made.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub url: &'a WebhookUrl,
    /// What the project may connect to.
    pub policy: &'a EgressPolicy,
    /// All headers but `Host` and `Content-Length`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long it may take in all.
    pub timeout: Duration,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its class.
    pub outcome: OutcomeClass,
    /// The status, if an answer came.
    pub status: Option<u16>,
    /// What went wrong, in words, if no answer came.
    pub error: Option<String>,
    /// How long it took in all.
    pub took: Duration,
    /// How long its phases took.
    pub phases: Phases,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The start of the answer's body.
    pub body: Snippet,
}

impl Answer {
    /// The record of the attempt.
    pub fn into_attempt(
        self,
        id: AttemptId,
        number: u32,
        at: Timestamp,
        request_headers: Vec<(String, String)>,
    ) -> Attempt {
        let _ = (id, number, at, request_headers);
        todo!()
    }
}

/// The guarded client. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Egress {}

impl Egress {
    /// Sets the client up.
    ///
    /// # Errors
    /// When the certificate authorities cannot be read.
    pub fn new(config: &EgressConfig, metrics: Metrics) -> Result<Self, EgressSetupError> {
        let _ = (config, metrics);
        todo!()
    }

    /// Makes one POST. Never fails: whatever happens is an answer of some class.
    pub async fn post(&self, request: Outgoing<'_>) -> Answer {
        let _ = request;
        todo!()
    }

    /// Looks a webhook's host up, to warn on create when it does not resolve. True for addresses.
    pub async fn resolves(&self, url: &WebhookUrl) -> bool {
        let _ = url;
        todo!()
    }
}
