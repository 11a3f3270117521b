//! Errors as RFC 9457 problem details: what happened, to what, and what to do.
//!
//! Every answer of Fanfare that is not a success is one of these, and every common case has a constructor here, so that
//! one cause has one code, title and status wherever it comes up.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use fanfare_core::api_key::Scope;
use fanfare_core::ports::{StoreError, StoreErrorKind};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// The longest text in an error, in bytes: room for a list of all allowed names, none for a caller's megabytes.
const MAX_ECHO_BYTES: usize = 1000;

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
    pub retry_after: Option<u32>,
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

impl FieldError {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: shortened(field.into()), message: shortened(message.into()) }
    }
}

impl Problem {
    /// A problem with a detail.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = shortened(detail.into());
        Self { status, code, title, detail, errors: Vec::new(), retry_after: None, existing_id: None }
    }

    /// 400: one field is wrong.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError::new(field, message)])
    }

    /// 400: several fields are wrong. The detail is about the first of them.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        Self::about_fields(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid", errors)
    }

    /// 400: the body is not JSON at all; `where_and_why` names line and column. `field` is where it stands: `$`, or `$.data`
    /// where the body is an event's data.
    pub fn malformed_json(field: impl Into<String>, where_and_why: impl Into<String>) -> Self {
        let errors = vec![FieldError::new(field, where_and_why)];
        Self::about_fields(StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON", errors)
    }

    /// 401: no key, an unknown one, or two that differ. Answered with `WWW-Authenticate: Bearer`.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Authentication is needed", detail)
    }

    /// 403: the key is known, but lacks a scope.
    pub fn forbidden(needed: Scope) -> Self {
        let detail = format!("this API key lacks the scope {}: use a key that has it", needed.as_str());
        Self::new(StatusCode::FORBIDDEN, "missing-scope", "The API key does not allow this", detail)
    }

    /// 403: only the admin key may do this, and it was another one.
    pub fn admin_key_needed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "admin-key-needed", "This needs the admin key", detail)
    }

    /// 403: the admin key was used for what a project's own keys are for.
    pub fn admin_key_refused() -> Self {
        let detail = "the admin key manages projects and API keys alone; use an API key of the project for this";
        Self::new(StatusCode::FORBIDDEN, "admin-key-refused", "The admin key does not allow this", detail)
    }

    /// 404: there is no such thing in the caller's project. `what` is a noun such as `webhook`.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", format!("there is no such {what} in this project"))
    }

    /// 404: no route has this path.
    pub fn no_route(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-path",
            "There is nothing at this path",
            format!("no route is at {path}"),
        )
    }

    /// 405: the path exists, but not with this method. What is allowed is in the header `Allow`.
    pub fn method_not_allowed(method: &http::Method, path: &str) -> Self {
        let detail = format!("{path} does not answer {method}; the methods it answers are in the header Allow");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here", detail)
    }

    /// 408: the body came too slowly.
    pub fn body_timeout(allowed: Duration) -> Self {
        let detail = format!("the body was not complete within {} s", allowed.as_secs_f64());
        Self::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body came too slowly", detail)
    }

    /// 409: something is in the way; `existing_id` names it.
    pub fn conflict(code: &'static str, detail: impl Into<String>, existing_id: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::CONFLICT, code, "There is another one already", detail);
        Self { existing_id: Some(existing_id.into()), ..problem }
    }

    /// 413: the body, or a field of it, is larger than `allowed` bytes.
    pub fn payload_too_large(what: &str, allowed: usize) -> Self {
        let message = format!("{what} may have at most {allowed} bytes");
        Self::too_large(FieldError::new("$", message))
    }

    /// 413: a field is larger than it may be.
    pub fn too_large(field: FieldError) -> Self {
        Self::about_fields(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", vec![field])
    }

    /// 415: another content type or encoding. `field` is the header or JSON path that says which it is.
    pub fn unsupported_media_type(field: impl Into<String>, message: impl Into<String>) -> Self {
        let errors = vec![FieldError::new(field, message)];
        let title = "The content type is not supported";
        Self::about_fields(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title, errors)
    }

    /// 422: well-formed, but it cannot be done as asked.
    pub fn unprocessable(code: &'static str, errors: Vec<FieldError>) -> Self {
        Self::about_fields(StatusCode::UNPROCESSABLE_ENTITY, code, "This cannot be done as asked", errors)
    }

    /// 429: over a quota. `retry_after` is in seconds; 0 is answered as 1.
    pub fn too_many_requests(detail: impl Into<String>, retry_after: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail).after(retry_after)
    }

    /// 503: there is no room for this now. `retry_after` is in seconds; 0 is answered as 1.
    pub fn overloaded(detail: impl Into<String>, retry_after: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Busy for the moment", detail).after(retry_after)
    }

    /// 500: a fault of ours. What it was goes to the log, not to the caller.
    pub fn internal() -> Self {
        let detail = "the server failed at this request; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// 503 from an engine's failure, with `Retry-After`; the cause goes to the log, not to the caller. A record that cannot be
    /// read does not get better by waiting: that is a 500.
    pub fn unavailable(error: &StoreError) -> Self {
        let cause = fanfare_runtime::tasks::report(error);
        if error.kind == StoreErrorKind::Corrupt {
            tracing::error!(%cause, "a request failed: what is stored cannot be read");
        } else {
            tracing::warn!(%cause, "a request was refused for now");
        }
        Self::for_now(error.kind)
    }

    /// What an engine's failure of this kind is answered with.
    pub(crate) fn for_now(kind: StoreErrorKind) -> Self {
        let (code, detail, retry_after) = match kind {
            StoreErrorKind::Unavailable => ("store-unavailable", "the store does not answer at the moment", 1),
            StoreErrorKind::Full => ("store-full", "the store has no room until some is freed", 30),
            StoreErrorKind::Lost => ("store-unavailable", "this moved to another process; ask again", 1),
            StoreErrorKind::Corrupt => return Self::internal(),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Unavailable for the moment", detail).after(retry_after)
    }

    /// The same with `Retry-After`, in seconds; 0 becomes 1, since "at once" invites a loop.
    #[must_use]
    pub fn after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds.max(1)), ..self }
    }

    fn about_fields(status: StatusCode, code: &'static str, title: &'static str, errors: Vec<FieldError>) -> Self {
        let detail = match errors.first() {
            Some(first) => format!("{}: {}", first.field, first.message),
            None => String::new(),
        };
        Self { errors, ..Self::new(status, code, title, detail) }
    }
}

/// The text, cut at a character's end when it is longer than [`MAX_ECHO_BYTES`].
fn shortened(mut text: String) -> String {
    if text.len() > MAX_ECHO_BYTES {
        let end = text.floor_char_boundary(MAX_ECHO_BYTES);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The members of the answer, in the order of RFC 9457.
#[derive(Serialize)]
struct Members<'p> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'p str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'p [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    existing_id: Option<&'p str>,
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = Members {
            r#type: format!("urn:fanfare:problem:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            existing_id: self.existing_id.as_deref(),
        };
        members.serialize(serializer)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a struct of texts and numbers always has a JSON form");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"fanfare\""));
        }
        // For a layer that writes errors in another shape.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests;
