//! An attempt: one POST, how it went, and how long each of its phases took.

mod logged_headers;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::AttemptId;

pub use logged_headers::LoggedHeaders;

/// What came of a POST. Closed: it labels metrics and is shown in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// 2xx.
    Success,
    /// 1xx as a final answer, or 3xx: redirects are not followed.
    Redirect,
    /// 410: the webhook is paused.
    Gone,
    /// 429.
    RateLimited,
    /// Any other 4xx.
    ClientError,
    /// 5xx, and statuses outside 100 to 599.
    ServerError,
    /// The name did not resolve.
    Dns,
    /// The egress guard refused the address or the URL; nothing was sent.
    EgressDenied,
    /// No connection could be made in time or at all.
    Connect,
    /// The TLS handshake or the certificate failed.
    Tls,
    /// The attempt's time ran out after the connection was made.
    Timeout,
    /// The connection broke before the answer was complete.
    Reset,
    /// The answer was not HTTP, or over the header bounds.
    InvalidResponse,
}

impl OutcomeClass {
    /// Every class, in the order of their documentation.
    pub const ALL: [OutcomeClass; 13] = [
        OutcomeClass::Success,
        OutcomeClass::Redirect,
        OutcomeClass::Gone,
        OutcomeClass::RateLimited,
        OutcomeClass::ClientError,
        OutcomeClass::ServerError,
        OutcomeClass::Dns,
        OutcomeClass::EgressDenied,
        OutcomeClass::Connect,
        OutcomeClass::Tls,
        OutcomeClass::Timeout,
        OutcomeClass::Reset,
        OutcomeClass::InvalidResponse,
    ];

    /// The class of a final HTTP status.
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => OutcomeClass::Success,
            100..=199 | 300..=399 => OutcomeClass::Redirect,
            410 => OutcomeClass::Gone,
            429 => OutcomeClass::RateLimited,
            400..=499 => OutcomeClass::ClientError,
            _ => OutcomeClass::ServerError,
        }
    }

    /// Its name in the API, in metrics and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeClass::Success => "success",
            OutcomeClass::Redirect => "redirect",
            OutcomeClass::Gone => "gone",
            OutcomeClass::RateLimited => "rate_limited",
            OutcomeClass::ClientError => "client_error",
            OutcomeClass::ServerError => "server_error",
            OutcomeClass::Dns => "dns",
            OutcomeClass::EgressDenied => "egress_denied",
            OutcomeClass::Connect => "connect",
            OutcomeClass::Tls => "tls",
            OutcomeClass::Timeout => "timeout",
            OutcomeClass::Reset => "reset",
            OutcomeClass::InvalidResponse => "invalid_response",
        }
    }
}

impl fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long the phases of a POST took, in microseconds; `None` where a phase did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Looking up the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_us: Option<u64>,
    /// Connecting, with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// From the request's start to the answer's header, connecting included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// From the answer's header to the end of its body, or to the cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_us: Option<u64>,
    /// Whether a kept-alive connection was used.
    #[serde(default)]
    pub reused: bool,
}

/// The first bytes of an answer's body; they may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// The bytes; base64 in JSON.
    #[serde(with = "base64_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<u8>,
    /// Whether the body went on past them.
    #[serde(default)]
    pub truncated: bool,
}

/// One POST and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// 1 for the delivery's first POST.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took in all, in microseconds.
    pub took_us: u64,
    /// How long its phases took.
    pub phases: Phases,
    /// What came of it.
    pub outcome: OutcomeClass,
    /// The HTTP status, if an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong, in words; `None` if an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The request's headers as sent, the values of the webhook's own masked.
    #[serde(default)]
    pub request_headers: LoggedHeaders,
    /// The answer's headers; bytes that are not UTF-8 are replaced.
    #[serde(default)]
    pub response_headers: LoggedHeaders,
    /// The start of the answer's body.
    #[serde(default)]
    pub response_body: Snippet,
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(&*text).map_err(serde::de::Error::custom)
    }
}
