//! Messages of the intake, whatever is in them: those that are kept since they came, and those that have to be read.
//!
//! Read they are as JSON, with headers and body in base64. Direct reads are answered with the headers as they are, which
//! async-nats may not stand.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanfare_core::clock::Timestamp;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::intake::{IntakePosition, Published};
use serde::Deserialize;

use super::headers;
use crate::Distributed;
use crate::connect::bare::Came;
use crate::error::{corrupt, nats_error};
use crate::names::Names;

#[derive(Deserialize)]
struct Answer {
    message: Message,
}

/// The server writes U+FFFD for what is no UTF-8 in a subject.
#[derive(Deserialize)]
struct Message {
    subject: String,
    time: String,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

/// The message under a sequence, from the stream's leader.
pub(crate) async fn get(engine: &Distributed, doing: &'static str, sequence: u64) -> StoreResult<Option<Held>> {
    let (context, names) = (&engine.shared.store.context, &engine.shared.names);
    let request = serde_json::json!({ "seq": sequence });
    let asked = context.request(format!("STREAM.MSG.GET.{}", names.intake()), &request).await;
    let message = match asked.map_err(|error| nats_error(doing, error))? {
        Response::Ok(Answer { message }) => message,
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => return Ok(None),
        Response::Err { error } => return Err(nats_error(doing, error)),
    };
    let bytes = |base64: String| STANDARD.decode(base64).map(Bytes::from).map_err(|error| corrupt(doing, error));
    let at = Timestamp::parse(&message.time).map_err(|error| corrupt(doing, error))?;
    let (headers, body) = (bytes(message.hdrs)?, bytes(message.data)?);
    Ok(Some(Held::new(at, message.subject.as_bytes(), &headers, &body)))
}

/// A message as it came, in as few bytes as it has.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    at: Timestamp,
    /// Subject, headers and body, one after the other.
    bytes: Bytes,
    headers_from: usize,
    body_from: usize,
}

impl Held {
    /// A copy, so that what else came in the same packet need not be kept.
    pub(super) fn of(at: Timestamp, came: &Came) -> Self {
        Self::new(at, &came.subject, &came.headers, &came.body)
    }

    fn new(at: Timestamp, subject: &[u8], headers: &[u8], body: &[u8]) -> Self {
        let headers_from = subject.len();
        let bytes = [subject, headers, body].concat().into();
        Self { at, bytes, headers_from, body_from: headers_from + headers.len() }
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// How many one takes that is made of this.
    pub(super) fn size_of(came: &Came) -> usize {
        size_of::<Self>() + came.subject.len() + came.headers.len() + came.body.len()
    }

    /// What it is, under that sequence.
    ///
    /// # Errors
    /// When its subject is none that the intake has.
    pub(crate) fn published(self, names: &Names, doing: &'static str, sequence: u64) -> StoreResult<Published> {
        let subject = String::from_utf8_lossy(&self.bytes[..self.headers_from]);
        let (project, event_type) =
            names.published_as(&subject).ok_or_else(|| corrupt(doing, "a message without its subject"))?;
        let raw_headers = self.bytes.slice(self.headers_from..self.body_from);
        let (headers, malformed) = match headers::parse(&raw_headers) {
            Ok(headers) => (headers, None),
            Err(wrong) => (Vec::new(), Some(wrong)),
        };
        Ok(Published {
            position: IntakePosition(sequence),
            at: self.at,
            project: project.into(),
            event_type: event_type.to_owned(),
            headers,
            raw_headers,
            malformed,
            body: self.bytes.slice(self.body_from..),
        })
    }
}
