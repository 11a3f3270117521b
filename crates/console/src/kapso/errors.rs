//! Errors in Kapso's shape: `{"error": {"code", "message"}}`, whatever part of the server they come from.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use fanfare_http::Problem;
use fanfare_http::openapi::ErrorForm;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::PREFIX;

/// The shape, for the document of the API.
pub(crate) static FORM: ErrorForm = ErrorForm {
    media_type: "application/json",
    schema: "KapsoError",
    code: &["error", "code"],
    write: |problem| {
        let (status, error) = translated(problem);
        (status, serde_json::to_value(Envelope { error }).unwrap_or_default())
    },
};

#[derive(Serialize)]
struct Envelope {
    error: Error,
}

#[derive(Serialize)]
struct Error {
    code: String,
    message: String,
}

/// Turns the problems that paths of the adapter answer with into Kapso's shape. To be called on the whole router, so that
/// unknown paths and methods are among them.
pub(crate) fn reshaped(router: Router) -> Router {
    router.layer(middleware::from_fn(reshape))
}

async fn reshape(request: Request, next: Next) -> Response {
    let ours = !request.uri().path().starts_with(PREFIX);
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    if ours {
        return response;
    }
    let (status, error) = translated(&problem);
    let Ok(body) = serde_json::to_vec(&Envelope { error }) else { return Problem::internal().into_response() };
    let (mut parts, _) = response.into_parts();
    parts.status = status;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(body))
}

/// A wrong field is 422 there, as a wrong parameter is 400; what cannot be parsed stays 400.
fn translated(problem: &Problem) -> (StatusCode, Error) {
    let about_body = problem.errors.iter().all(|error| error.field.starts_with('$'));
    let (status, code) = match problem.code {
        "invalid-request" if problem.errors.iter().any(|error| error.field == "$") => (problem.status, "invalid_body"),
        "invalid-request" if about_body => (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"),
        "invalid-request" => (problem.status, "invalid_parameter"),
        code => (problem.status, code),
    };
    (status, Error { code: code.replace('-', "_"), message: message(problem) })
}

/// All that is wrong, each with its field as Kapso calls it.
fn message(problem: &Problem) -> String {
    if problem.errors.is_empty() {
        return problem.detail.clone();
    }
    let told = problem.errors.iter().map(|error| {
        let field = error.field.trim_start_matches("$.");
        let field = match field.split_at_checked("source".len()) {
            Some(("source", rest)) if problem.errors.iter().all(|error| error.field.starts_with('$')) => {
                format!("phone_number_id{rest}")
            }
            _ if field == "secret" => "secret_key".to_owned(),
            _ => field.to_owned(),
        };
        format!("{field} {}", error.message)
    });
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use fanfare_http::problem::FieldError;

    use super::*;

    #[test]
    fn fields_are_named_as_kapso_names_them() {
        let errors = [("$.source", "is required"), ("$.secret", "is short"), ("$.headers.X-A", "is long")];
        let errors = errors.map(|(field, message)| FieldError::new(field, message)).to_vec();
        let (status, error) = translated(&Problem::invalid_fields(errors));
        assert_eq!((status.as_u16(), error.code.as_str()), (422, "validation_failed"));
        assert_eq!(error.message, "phone_number_id is required; secret_key is short; headers.X-A is long");
        let (status, error) = translated(&Problem::invalid("period", "must be 24h"));
        assert_eq!((status.as_u16(), error.code.as_str()), (400, "invalid_parameter"));
        let (status, error) = translated(&Problem::not_found("webhook"));
        assert_eq!((status.as_u16(), error.code.as_str()), (404, "not_found"));
    }
}
