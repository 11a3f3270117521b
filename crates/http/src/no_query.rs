//! Refuses the parameters of a query on routes that take none: a filter that is silently not applied looks like an answer.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use url::form_urlencoded;

use crate::problem::{FieldError, Problem};

/// The most parameters that are named in one answer.
const MOST: usize = 100;

/// Answers 400 where there is a query, else goes on.
pub(crate) async fn no_query(request: Request, next: Next) -> Response {
    match refusal(request.uri().query().unwrap_or_default()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(query: &str) -> Option<Problem> {
    let unknown = |name: String| FieldError::new(name, "is not known; this route takes no parameters in its query");
    let names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned());
    let errors: Vec<FieldError> = names.take(MOST).map(unknown).collect();
    (!errors.is_empty()).then(|| Problem::invalid_fields(errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_named_and_no_value_is() {
        let problem = refusal("limit=7&%C3%A9=x&limit").unwrap();
        let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!((problem.status.as_u16(), fields), (400, vec!["limit", "\u{e9}", "limit"]));
        assert!(!problem.detail.contains('7'), "{}", problem.detail);
        assert!(refusal("").is_none() && refusal("&&").is_none());
    }
}
