//! The errors of an operation, each from an example: status, code and headers are read from it.

use std::time::Duration;

use fanfare_core::ports::StoreErrorKind;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Operation;
use super::schema::{object, optional, says, text};
use crate::problem::Problem;
use crate::route::{Access, RouteInfo};

/// How errors are written.
#[derive(Debug)]
pub struct ErrorForm {
    /// Their content type.
    pub media_type: &'static str,
    /// The name of their schema; the shared answers' names begin with it.
    pub schema: &'static str,
    /// The members that lead to the code.
    pub code: &'static [&'static str],
    /// A problem's status and body.
    pub write: fn(&Problem) -> (StatusCode, Value),
}

/// RFC 9457.
pub static PROBLEM_DETAILS: ErrorForm = ErrorForm {
    media_type: "application/problem+json",
    schema: "Problem",
    code: &["type"],
    write: |problem| (problem.status, serde_json::to_value(problem).unwrap_or_default()),
};

/// The schema of [`PROBLEM_DETAILS`].
pub(super) fn problem_schema() -> Value {
    let field_error = object([
        ("field", says(text(), "A JSON path such as `$.events[0]`, or the name of a header or parameter.")),
        ("message", says(text(), "What is wrong and what is allowed.")),
    ]);
    let fields = [
        ("type", json!({"type": "string", "pattern": "^urn:fanfare:problem:[a-z0-9-]+$"})),
        ("title", text()),
        ("status", json!({"type": "integer", "minimum": 400, "maximum": 599})),
        ("detail", says(text(), "What happened this time.")),
        ("errors", json!({"type": "array", "minItems": 1, "items": field_error})),
        ("existing_id", says(text(), "The id of what is in the way.")),
    ];
    says(optional(&["type", "title", "status", "detail"], fields), "Problem details, RFC 9457.")
}

/// The errors that a route has because of what is known of it.
fn common(route: &RouteInfo, operation: &Operation) -> Vec<Problem> {
    let mut problems = vec![Problem::unauthorized("send an API key in X-API-Key or Authorization: Bearer")];
    match route.access {
        Access::Key(scope) => problems.extend([Problem::forbidden(scope), Problem::admin_key_refused()]),
        Access::KeyOrAdmin(scope) => problems.push(Problem::forbidden(scope)),
        Access::Admin => {
            let detail = "projects are managed with the admin key, not with a project's";
            problems.push(Problem::admin_key_needed(detail));
        }
    }
    let unknown = if route.query.is_empty() {
        "is not known; this route takes no parameters in its query".to_owned()
    } else {
        format!("is not known; allowed are {}", route.query.join(", "))
    };
    problems.push(Problem::invalid("no_such_parameter", unknown));
    if route.path.contains('{') {
        problems.push(Problem::no_route(&route.path.replace('{', "%FF").replace('}', "")));
    }
    if operation.body.is_some() {
        problems.extend([
            Problem::malformed_json("$", "expected `,` or `}` at line 1 column 17"),
            Problem::invalid("$", "must be an object, not an array"),
            Problem::body_timeout(Duration::from_secs(30)),
            Problem::payload_too_large("the body", 262_144),
            Problem::unsupported_media_type("Content-Type", "it is missing; send Content-Type: application/json"),
        ]);
    }
    problems.push(Problem::internal());
    problems.push(Problem::for_now(StoreErrorKind::Unavailable));
    problems.push(Problem::for_now(StoreErrorKind::Full));
    problems.push(Problem::overloaded("the configuration is not up to date yet; try again", 1));
    problems
}

/// An error of an operation.
struct Refusal {
    code: String,
    title: &'static str,
    body: Value,
    retry_after: bool,
}

/// All errors of an operation, by status, as the document has them.
pub(super) fn refusals(route: &RouteInfo, operation: &Operation) -> Vec<(u16, Value)> {
    let mut by_status: std::collections::BTreeMap<u16, Vec<Refusal>> = std::collections::BTreeMap::new();
    for problem in operation.problems.iter().chain(&common(route, operation)) {
        let (status, body) = (operation.form.write)(problem);
        let code = operation.form.code.iter().fold(&body, |value, member| &value[*member]);
        let code = code.as_str().unwrap_or_default().to_owned();
        let refusal = Refusal { code, title: problem.title, body, retry_after: problem.retry_after.is_some() };
        by_status.entry(status.as_u16()).or_default().push(refusal);
    }
    by_status.into_iter().map(|(status, refusals)| (status, response(status, &refusals, operation.form))).collect()
}

fn response(status: u16, refusals: &[Refusal], form: &ErrorForm) -> Value {
    let mut codes: Vec<&str> = Vec::new();
    let mut titles: Vec<&str> = Vec::new();
    let mut examples = Map::new();
    for refusal in refusals {
        if !codes.contains(&refusal.code.as_str()) {
            codes.push(&refusal.code);
        }
        if !titles.contains(&refusal.title) {
            titles.push(refusal.title);
        }
        let name = refusal.code.rsplit(':').next().unwrap_or_default().to_owned();
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        // The numbers do not end before a free name is found.
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !examples.contains_key(name));
        examples.insert(free.unwrap_or(name), json!({"value": refusal.body}));
    }
    let mut narrowed = json!({"enum": codes});
    for member in form.code.iter().rev() {
        narrowed = json!({"properties": {*member: narrowed}});
    }
    let general = format!("#/components/schemas/{}", form.schema);
    let content = json!({"schema": {"allOf": [{"$ref": general}, narrowed]}, "examples": examples});
    let mut response = json!({"description": titles.join("; "), "content": {form.media_type: content}});
    let mut headers = Map::new();
    if refusals.iter().any(|refusal| refusal.retry_after) {
        let seconds = json!({"type": "integer", "minimum": 1});
        let header = json!({"description": "Seconds after which to try again.", "schema": seconds});
        headers.insert("Retry-After".to_owned(), header);
    }
    if status == StatusCode::UNAUTHORIZED.as_u16() {
        let header = json!({"description": "`Bearer`.", "schema": {"type": "string"}});
        headers.insert("WWW-Authenticate".to_owned(), header);
    }
    if !headers.is_empty() {
        response["headers"] = Value::Object(headers);
    }
    response
}
