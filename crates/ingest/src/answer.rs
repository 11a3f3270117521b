//! What is answered: one event's fate, or those of a batch.

use axum::response::{IntoResponse as _, Response};
use fanfare_core::event::{EventError, EventErrorKind};
use fanfare_core::ids::EventId;
use fanfare_core::ports::event_log::Appended;
use fanfare_http::Problem;
use fanfare_http::problem::FieldError;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// One event's answer.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    /// Absent only if it was refused and brought none that is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EventId>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ItemError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Accepted,
    Duplicate,
    Rejected,
}

/// Why one event of a batch was refused: what a [`Problem`] says about one field.
#[derive(Debug, Serialize)]
struct ItemError {
    code: &'static str,
    detail: String,
    field: String,
}

impl Item {
    /// An event that is kept, now or before.
    fn kept(id: EventId, status: Status) -> Self {
        Self { id: Some(id), status, error: None }
    }

    /// An event of a batch that was refused, with the problem that it would have been answered with alone.
    pub(crate) fn refused(id: Option<EventId>, problem: Problem) -> Self {
        let Problem { code, detail, errors, .. } = problem;
        let (field, detail) = match errors.into_iter().next() {
            Some(FieldError { field, message }) => (field, message),
            None => ("$".to_owned(), detail),
        };
        Self { id, status: Status::Rejected, error: Some(ItemError { code, detail, field }) }
    }

    /// The answer for an event that the log was asked to keep; `field` is where its id was given.
    pub(crate) fn appended(id: EventId, appended: Appended, field: impl FnOnce() -> String) -> Result<Self, Problem> {
        match appended {
            Appended::Accepted => Ok(Self::kept(id, Status::Accepted)),
            Appended::Duplicate => Ok(Self::kept(id, Status::Duplicate)),
            Appended::Conflict => Err(conflict(&id, field())),
        }
    }

    fn is_refused(&self) -> bool {
        self.status == Status::Rejected
    }
}

/// 202 for one event.
pub(crate) fn one(item: &Item) -> Response {
    json(StatusCode::ACCEPTED, item, 64)
}

/// 202 for a batch that is kept as a whole, 207 if some of it was refused.
pub(crate) fn batch(items: &[Item]) -> Response {
    #[derive(Serialize)]
    struct Results<'a> {
        results: &'a [Item],
    }
    let status = if items.iter().any(Item::is_refused) { StatusCode::MULTI_STATUS } else { StatusCode::ACCEPTED };
    json(status, &Results { results: items }, 64 * items.len())
}

/// The problem of an event that cannot be accepted.
pub(crate) fn refusal(error: EventError) -> Problem {
    let EventError { kind, path, message, id: _ } = error;
    match kind {
        EventErrorKind::Invalid => Problem::invalid(path, message),
        EventErrorKind::Malformed => Problem::malformed_json(path, message),
        EventErrorKind::TooLarge => Problem::too_large(FieldError::new(path, message)),
        EventErrorKind::UnsupportedMediaType => Problem::unsupported_media_type(path, message),
    }
}

/// The problem of an event under whose id another was accepted.
pub(crate) fn conflict(id: &EventId, field: String) -> Problem {
    let message = "another event was accepted under this id before; to repeat that one send the same content, \
                   to send another one use another id";
    let problem = Problem::conflict("event-conflict", format!("{field}: {message}"), id.as_str());
    Problem { errors: vec![FieldError::new(field, message)], ..problem }
}

fn json(status: StatusCode, value: &impl Serialize, size_hint: usize) -> Response {
    let mut body = Vec::with_capacity(size_hint);
    serde_json::to_writer(&mut body, value).expect("texts in structs always have a JSON form, and a Vec takes them");
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
