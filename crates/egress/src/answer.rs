//! What came of a request, and the record it becomes in the delivery log.

use std::time::Duration;

use fanfare_core::attempt::{Attempt, LoggedHeaders, OutcomeClass, Phases, Snippet};
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::AttemptId;
use http::HeaderMap;

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its class.
    pub outcome: OutcomeClass,
    /// The status, if the head of an answer came. It may be there although the outcome is a failure of the connection: the
    /// answer broke off, or its body did not end in time.
    pub status: Option<u16>,
    /// What went wrong, in words, if no complete answer came. Never holds the URL's path or query.
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
    /// An answer of which nothing came.
    pub(crate) fn none(outcome: OutcomeClass, error: String, took: Duration) -> Self {
        Self {
            outcome,
            status: None,
            error: Some(error),
            took,
            phases: Phases::default(),
            headers: HeaderMap::new(),
            body: Snippet::default(),
        }
    }

    /// The record of the attempt.
    pub fn into_attempt(self, id: AttemptId, number: u32, at: Timestamp, request_headers: LoggedHeaders) -> Attempt {
        Attempt {
            id,
            number,
            at,
            took_us: micros(self.took),
            phases: self.phases,
            outcome: self.outcome,
            status: self.status,
            error: self.error,
            request_headers,
            response_headers: self
                .headers
                .iter()
                .map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes())))
                .collect(),
            response_body: self.body,
        }
    }
}

/// Whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
