//! An attempt as the API shows it: times in milliseconds, headers as they were sent (the webhook's own are masked before
//! they are recorded), the answer's body as text where it is text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_core::attempt::{Attempt, LoggedHeaders, OutcomeClass, Phases, Snippet};
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::AttemptId;
use serde::Serialize;

/// See the [module](self).
#[derive(Debug, Serialize)]
pub(crate) struct AttemptView {
    id: AttemptId,
    number: u32,
    at: Timestamp,
    duration_ms: f64,
    phases: PhasesView,
    outcome: OutcomeClass,
    status: Option<u16>,
    error: Option<String>,
    request_headers: Vec<HeaderView>,
    response_headers: Vec<HeaderView>,
    response_body: BodyView,
}

/// How long each phase took; null where it did not happen.
#[derive(Debug, Serialize)]
struct PhasesView {
    dns_ms: Option<f64>,
    connect_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    body_ms: Option<f64>,
    connection_reused: bool,
}

/// A header; one name may be there several times.
#[derive(Debug, Serialize)]
struct HeaderView {
    name: String,
    value: String,
}

/// The start of a body.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct BodyView {
    encoding: Encoding,
    content: String,
    truncated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Encoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            id: attempt.id,
            number: attempt.number,
            at: attempt.at,
            duration_ms: millis(attempt.took_us),
            phases: attempt.phases.into(),
            outcome: attempt.outcome,
            status: attempt.status,
            error: attempt.error,
            request_headers: headers(&attempt.request_headers),
            response_headers: headers(&attempt.response_headers),
            response_body: attempt.response_body.into(),
        }
    }
}

impl From<Phases> for PhasesView {
    fn from(phases: Phases) -> Self {
        Self {
            dns_ms: phases.dns_us.map(millis),
            connect_ms: phases.connect_us.map(millis),
            first_byte_ms: phases.first_byte_us.map(millis),
            body_ms: phases.body_us.map(millis),
            connection_reused: phases.reused,
        }
    }
}

impl From<Snippet> for BodyView {
    fn from(Snippet { bytes, truncated }: Snippet) -> Self {
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => Some(text),
            // The cut went through the last character; what is before it is text.
            Err(error) if truncated && error.error_len().is_none() => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        match text {
            Some(text) => Self { encoding: Encoding::Utf8, content: text.to_owned(), truncated },
            None => Self { encoding: Encoding::Base64, content: STANDARD.encode(&bytes), truncated },
        }
    }
}

fn headers(headers: &LoggedHeaders) -> Vec<HeaderView> {
    headers.iter().map(|(name, value)| HeaderView { name: name.to_owned(), value: value.to_owned() }).collect()
}

fn millis(micros: u64) -> f64 {
    // Exact to far past any timeout: 2^53 microseconds are 285 years.
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: &[u8], truncated: bool) -> (Encoding, String) {
        let view = BodyView::from(Snippet { bytes: bytes.to_vec(), truncated });
        assert_eq!(view.truncated, truncated);
        (view.encoding, view.content)
    }

    #[test]
    fn text_is_shown_as_text_and_the_rest_as_base64() {
        assert_eq!(body("größe".as_bytes(), false), (Encoding::Utf8, "größe".to_owned()));
        assert_eq!(body(b"", false), (Encoding::Utf8, String::new()));
        assert_eq!(body(&[0xff, 0x00], false), (Encoding::Base64, "/wA=".to_owned()));
        let cut = &"grö".as_bytes()[..3];
        assert_eq!(body(cut, true), (Encoding::Utf8, "gr".to_owned()), "cut within a character");
        assert_eq!(body(cut, false).0, Encoding::Base64, "not cut, so it never was text");
    }
}
