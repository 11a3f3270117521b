//! Reading single messages of the intake, whatever is in them: as JSON, with headers and body in base64.
//!
//! Direct reads are answered with the headers as they are, which async-nats may not stand.

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
use crate::error::{corrupt, nats_error};

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
pub(super) async fn get(engine: &Distributed, doing: &'static str, sequence: u64) -> StoreResult<Option<Published>> {
    let (context, names) = (&engine.shared.store.context, &engine.shared.names);
    let request = serde_json::json!({ "seq": sequence });
    let asked = context.request(format!("STREAM.MSG.GET.{}", names.intake()), &request).await;
    let message = match asked.map_err(|error| nats_error(doing, error))? {
        Response::Ok(Answer { message }) => message,
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => return Ok(None),
        Response::Err { error } => return Err(nats_error(doing, error)),
    };
    let bytes = |base64: String| STANDARD.decode(base64).map(Bytes::from).map_err(|error| corrupt(doing, error));
    let (project, event_type) =
        names.published_as(&message.subject).ok_or_else(|| corrupt(doing, "a message without its subject"))?;
    let raw_headers = bytes(message.hdrs)?;
    let (headers, malformed) = match headers::parse(&raw_headers) {
        Ok(headers) => (headers, None),
        Err(wrong) => (Vec::new(), Some(wrong)),
    };
    Ok(Some(Published {
        position: IntakePosition(sequence),
        at: Timestamp::parse(&message.time).map_err(|error| corrupt(doing, error))?,
        project: project.into(),
        event_type: event_type.to_owned(),
        headers,
        raw_headers,
        malformed,
        body: bytes(message.data)?,
    }))
}
