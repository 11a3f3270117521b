//! In which form a request brings its events: by its content type and headers, and for `application/json` by the first
//! character of the body.

use fanfare_core::event::{MAX_BATCH_BYTES, MAX_DATA_BYTES, binary};
use fanfare_http::Problem;
use fanfare_http::json::{MediaType, check_identity_encoding};
use fanfare_http::problem::FieldError;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};

/// The most bytes of a request with one event: the data at its largest, in base64, which takes four bytes for three, and 44 KiB
/// for the attributes, more than all of them can have.
pub(crate) const MAX_EVENT_BYTES: usize = MAX_DATA_BYTES.div_ceil(3) * 4 + 44 * 1024;

const ALLOWED: &str = "send application/json, application/cloudevents+json or application/cloudevents-batch+json, \
                       or an event in binary mode: its data as application/json, its attributes in ce-* headers";

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One CloudEvents object.
    One,
    /// An array of them.
    Batch,
    /// Either, as the body's first character will tell.
    OneOrBatch,
    /// One event, its attributes in headers.
    Binary,
}

impl Form {
    /// The form of a request, as far as its headers tell.
    ///
    /// # Errors
    /// 415, saying what is allowed.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        check_identity_encoding(headers)?;
        let is_binary = || binary::is_binary(headers.keys().map(HeaderName::as_str));
        let Some(value) = headers.get(CONTENT_TYPE) else {
            if is_binary() {
                return Ok(Self::Binary);
            }
            return Err(unsupported(&format!("it is missing; {ALLOWED}")));
        };
        let given = String::from_utf8_lossy(value.as_bytes());
        let media = MediaType::parse(&given);
        if !media.is_utf8() {
            return Err(unsupported(&format!("{given}: JSON is UTF-8; send it so, and without charset")));
        }
        // Structured mode goes by its content type alone, whatever ce-* headers there are (HTTP binding, section 3.2.3).
        if media.is("application/cloudevents+json") {
            Ok(Self::One)
        } else if media.is("application/cloudevents-batch+json") {
            Ok(Self::Batch)
        } else if is_other_structured(&media) {
            Err(unsupported(&format!("{given} is not supported; {ALLOWED}")))
        } else if is_binary() {
            // Whether the data's content type will do is for the reader of binary mode to say.
            Ok(Self::Binary)
        } else if media.is("application/json") {
            Ok(Self::OneOrBatch)
        } else {
            Err(unsupported(&format!("{given} is not supported; {ALLOWED}")))
        }
    }

    /// The form, once the beginning of the body is known.
    pub(crate) fn given(self, body: &[u8]) -> Self {
        match self {
            Self::OneOrBatch => match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'[') => Self::Batch,
                Some(_) => Self::One,
                None => Self::OneOrBatch,
            },
            Self::One | Self::Batch | Self::Binary => self,
        }
    }

    /// The most bytes of the body.
    pub(crate) fn limit(self) -> usize {
        match self {
            Self::One => MAX_EVENT_BYTES,
            Self::Batch | Self::OneOrBatch => MAX_BATCH_BYTES,
            Self::Binary => MAX_DATA_BYTES,
        }
    }

    /// The problem of a body over the limit.
    pub(crate) fn too_large(self) -> Problem {
        let batch = format!("a batch may have at most {MAX_BATCH_BYTES} bytes (8 MiB)");
        let one = format!(
            "a request with one event may have at most {MAX_EVENT_BYTES} bytes, of which its data at most \
             {MAX_DATA_BYTES} (256 KiB)"
        );
        let message = match self {
            Self::One => one,
            Self::Batch => batch,
            Self::OneOrBatch => format!("{batch}; {one}"),
            Self::Binary => format!("an event's data may have at most {MAX_DATA_BYTES} bytes (256 KiB)"),
        };
        Problem::too_large(FieldError::new("$", message))
    }
}

fn is_other_structured(media: &MediaType<'_>) -> bool {
    const STRUCTURED: &str = "application/cloudevents";
    media.essence.get(..STRUCTURED.len()).is_some_and(|start| start.eq_ignore_ascii_case(STRUCTURED))
}

fn unsupported(message: &str) -> Problem {
    Problem::unsupported_media_type("Content-Type", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(headers: &[(&str, &str)]) -> Result<Form, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        Form::of(&map).map_err(|problem| {
            assert_eq!(problem.status, 415);
            problem.detail
        })
    }

    #[test]
    fn headers_tell_the_form() {
        for (headers, expected) in [
            (&[("content-type", "application/json")][..], Form::OneOrBatch),
            (&[("content-type", "Application/JSON; charset=UTF-8")], Form::OneOrBatch),
            (&[("content-type", "application/cloudevents+json")], Form::One),
            (&[("content-type", "application/cloudevents-batch+json; charset=utf-8")], Form::Batch),
            (&[("content-type", "application/json"), ("ce-type", "a")], Form::Binary),
            (&[("content-type", "text/plain"), ("ce-type", "a")], Form::Binary),
            (&[("ce-type", "a")], Form::Binary),
            (&[("content-type", "application/cloudevents+json"), ("ce-type", "a")], Form::One),
            (&[("content-type", "application/json"), ("content-encoding", "identity")], Form::OneOrBatch),
        ] {
            assert_eq!(form(headers), Ok(expected), "{headers:?}");
        }
    }

    #[test]
    fn other_types_and_encodings_are_refused_with_what_is_allowed() {
        for (headers, says) in [
            (&[][..], "Content-Type: it is missing; send application/json"),
            (&[("content-type", "text/plain")], "Content-Type: text/plain is not supported; send application/json"),
            (&[("content-type", "application/vnd.api+json")], "is not supported; send application/json"),
            (
                &[("content-type", "application/cloudevents+xml"), ("ce-type", "a")],
                "application/cloudevents+xml is not",
            ),
            (&[("content-type", "application/json; charset=latin1")], "JSON is UTF-8"),
            (&[("content-type", "application/json"), ("content-encoding", "gzip")], "Content-Encoding: gzip is not"),
        ] {
            let detail = form(headers).unwrap_err();
            assert!(detail.contains(says), "{headers:?}: {detail}");
        }
    }

    #[test]
    fn the_first_character_tells_one_from_many() {
        for (body, expected) in [
            ("", Form::OneOrBatch),
            (" \r\n\t", Form::OneOrBatch),
            (" [", Form::Batch),
            ("{", Form::One),
            ("x", Form::One),
        ] {
            assert_eq!(Form::OneOrBatch.given(body.as_bytes()), expected, "{body:?}");
            assert_eq!(Form::One.given(body.as_bytes()), Form::One);
        }
    }
}
