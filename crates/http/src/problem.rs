//! Errors as RFC 9457 problem details: what happened, to what, and what to do.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

/// A problem, answered as `application/problem+json`.
///
/// `{"type": "urn:fanfare:problem:<code>", "title", "status", "detail", "errors"?: [{"field", "message"}], …}`
#[derive(Clone, Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// Names the kind of problem, in kebab case: the last part of `type`.
    pub code: &'static str,
    /// A short title, the same for every problem of the kind.
    pub title: &'static str,
    /// What happened this time.
    pub detail: String,
    /// Which fields are wrong and what is allowed.
    pub errors: Vec<FieldError>,
    /// Seconds after which to try again: the header `Retry-After`.
    pub retry_after: Option<u64>,
    /// The id of the resource that is in the way, as `existing_id`.
    pub existing_id: Option<String>,
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON path such as `$.events[0]`, or the name of a header or parameter.
    pub field: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl Problem {
    /// A problem with a detail.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), errors: Vec::new(), retry_after: None, existing_id: None }
    }

    /// 400: one field is wrong.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let _ = (field.into(), message.into());
        todo!()
    }

    /// 404: there is no such thing in the caller's project.
    pub fn not_found(what: &str) -> Self {
        let _ = what;
        todo!()
    }

    /// 503 from an engine's failure, with `Retry-After`; the cause goes to the log, not to the caller.
    pub fn unavailable(error: &fanfare_core::ports::StoreError) -> Self {
        let _ = error;
        todo!()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        todo!()
    }
}
