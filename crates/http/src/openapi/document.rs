//! The document as a whole, and the route that serves it.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::middleware;
use axum::routing::get;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::{Answer, ErrorForm, In, Operation, Parameter, Part, RequestBody, problems};
use crate::no_query::no_query;
use crate::route::{Access, RouteInfo};

const ABOUT: &str = "Fanfare, a durable webhook dispatcher: publish an event once, and every webhook that is subscribed to it \
    gets a signed POST, retried until it is received.\n\nFields and parameters that are not known are refused by name. A known \
    path answers other methods with 405 and `Allow`. What belongs to another project is not there: 404. What is no HTTP, or has \
    larger headers than allowed, is answered with 400, 414 or 431 without a body.";

/// The document of what these services serve.
pub fn document(version: &str, parts: &[Part]) -> Value {
    let operations = || parts.iter().flat_map(|part| &part.operations);
    let served: Vec<(&RouteInfo, &Operation)> = parts
        .iter()
        .flat_map(|part| &part.routes)
        .filter_map(|route| {
            let same = |operation: &&Operation| (&operation.method, operation.path) == (&route.method, route.path);
            operations().find(same).map(|operation| (route, operation))
        })
        .collect();
    let known: BTreeSet<&str> = served.iter().map(|(_, operation)| operation.id).collect();
    let mut shared = Shared::default();
    for (route, operation) in &served {
        problems::refusals(route, operation).iter().for_each(|(_, response)| shared.note(response));
    }
    let mut paths = Map::new();
    for (route, operation) in &served {
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_insert_with(|| json!({}))[method] = written(route, operation, &known, &mut shared);
    }
    let tags: BTreeSet<&str> = served.iter().map(|(_, operation)| operation.tag).collect();
    let tags: Vec<Value> = tags.into_iter().map(|name| json!({"name": name})).collect();
    let mut schemas = Map::new();
    schemas.insert("Problem".to_owned(), problems::problem_schema());
    schemas
        .extend(parts.iter().flat_map(|part| &part.schemas).map(|(name, schema)| ((*name).to_owned(), schema.clone())));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fanfare",
            "version": version,
            "description": ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas, "responses": shared.responses, "securitySchemes": security_schemes()},
    })
}

/// Serves a document at `GET /openapi.json`, to everybody.
pub fn router(document: &Value) -> Router {
    let body = Bytes::from(document.to_string());
    let answer = move || async move { (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body.clone()) };
    Router::new().route("/openapi.json", get(answer).route_layer(middleware::from_fn(no_query)))
}

/// Answers that several operations have, by name.
#[derive(Default)]
struct Shared {
    responses: Map<String, Value>,
    /// By the answer's text: how often it is there, and its name once it has one.
    known: BTreeMap<String, (usize, Option<String>)>,
}

impl Shared {
    /// Counts an answer.
    fn note(&mut self, response: &Value) {
        self.known.entry(response.to_string()).or_insert((0, None)).0 += 1;
    }

    /// An answer of one operation as it is; else a reference to it under its status' name, with a number where others have that.
    fn referred(&mut self, form: &ErrorForm, status: u16, response: Value) -> Value {
        let text = response.to_string();
        match self.known.get(&text) {
            Some((_, Some(name))) => return reference(name),
            Some((2.., None)) => {}
            Some((_, None)) | None => return response,
        }
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Other");
        let words: String = reason.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = format!("{}{words}", form.schema);
        let free = (1_u32..).map(|number| if number == 1 { name.clone() } else { format!("{name}{number}") });
        let name = free.into_iter().find(|name| !self.responses.contains_key(name)).unwrap_or(name);
        self.responses.insert(name.clone(), response);
        let reference = reference(&name);
        self.known.insert(text, (2, Some(name)));
        reference
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/responses/{name}")})
}

fn written(route: &RouteInfo, operation: &Operation, known: &BTreeSet<&str>, shared: &mut Shared) -> Value {
    let mut written = Map::new();
    written.insert("operationId".to_owned(), operation.id.into());
    written.insert("tags".to_owned(), json!([operation.tag]));
    written.insert("summary".to_owned(), operation.summary.into());
    if let Some(description) = operation.description {
        written.insert("description".to_owned(), description.into());
    }
    written.insert("security".to_owned(), security(route.access));
    if !operation.parameters.is_empty() {
        written.insert("parameters".to_owned(), operation.parameters.iter().map(parameter).collect());
    }
    if let Some(body) = &operation.body {
        written.insert("requestBody".to_owned(), request_body(body));
    }
    let mut responses = Map::new();
    for answer in &operation.answers {
        let value = Answer::to_value(answer, |operation| known.contains(operation));
        responses.insert(answer.status.to_string(), value);
    }
    for (status, response) in problems::refusals(route, operation) {
        responses.insert(status.to_string(), shared.referred(operation.form, status, response));
    }
    written.insert("responses".to_owned(), Value::Object(responses));
    Value::Object(written)
}

fn parameter(parameter: &Parameter) -> Value {
    let Parameter { name, place, schema, description } = parameter;
    let required = *place == In::Path;
    json!({"name": name, "in": place.as_str(), "required": required, "description": description, "schema": schema})
}

fn request_body(body: &RequestBody) -> Value {
    let mut contents = Map::new();
    for content in &body.contents {
        let examples: Map<String, Value> =
            content.examples.iter().map(|(name, body)| ((*name).to_owned(), json!({"value": body}))).collect();
        contents.insert(content.media_type.to_owned(), json!({"schema": content.schema, "examples": examples}));
    }
    json!({"required": body.required, "content": contents})
}

fn security(access: Access) -> Value {
    let of_key = |scope: &str| [json!({"apiKey": [scope]}), json!({"bearer": [scope]})];
    let of_admin = [json!({"adminKey": []}), json!({"adminBearer": []})];
    match access {
        Access::Key(scope) => Value::Array(of_key(scope.as_str()).into()),
        Access::Admin => Value::Array(of_admin.into()),
        Access::KeyOrAdmin(scope) => of_key(scope.as_str()).into_iter().chain(of_admin).collect(),
    }
}

fn security_schemes() -> Value {
    let project = "An API key of a project, with the scope that the operation names.";
    let admin = "The operator's key, `FANFARE_ADMIN_KEY`.";
    json!({
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": project},
        "bearer": {"type": "http", "scheme": "bearer", "description": project},
        "adminKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": admin},
        "adminBearer": {"type": "http", "scheme": "bearer", "description": admin},
    })
}
