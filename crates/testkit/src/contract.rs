//! A served OpenAPI document, to hold requests and answers to.
//!
//! Whatever a test calls is looked up by method and path. Each answer must be one that the document has, status, content type
//! and body, and each request that was accepted must be as the document says: so nothing is answered or taken unsaid.

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

/// See the [module](self).
#[derive(Debug)]
pub struct Contract {
    document: Value,
    /// By the schema's text.
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

/// A request and its answer.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's path, without its query.
    pub path: &'a str,
    /// The request's query.
    pub query: Option<&'a str>,
    /// The request's content type and body, if it has one and that is JSON.
    pub sent: Option<(&'a str, &'a Value)>,
    /// The answer's status.
    pub status: u16,
    /// The answer's content type.
    pub content_type: Option<&'a str>,
    /// The answer's body.
    pub body: &'a Value,
}

impl Contract {
    /// Of this document.
    pub fn new(document: Value) -> Self {
        Self { document, compiled: Mutex::default() }
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every operation with its method and path.
    pub fn operations(&self) -> impl Iterator<Item = (String, &str, &Value)> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (method.to_ascii_uppercase(), path.as_str(), operation))
        })
    }

    /// Checks an exchange. A path and method that the document does not have must not be a success.
    ///
    /// # Errors
    /// What is not as the document says.
    pub fn check(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let Exchange { method, path, status, .. } = exchange;
        let said = |what: String| format!("{method} {path}, {status}: {what}");
        let found = self.operations().find(|(other, template, _)| other == method && is_path_of(path, template));
        let Some((_, _, operation)) = found else {
            let undocumented = (200..400).contains(status).then(|| said("is not in the document".to_owned()));
            return undocumented.map_or(Ok(()), Err);
        };
        self.check_answer(operation, exchange).map_err(said)?;
        if *status < 300 { self.check_request(operation, exchange).map_err(said) } else { Ok(()) }
    }

    /// Checks a value against a schema of the document.
    ///
    /// # Errors
    /// Every place that breaks it.
    pub fn check_value(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let validator = self.compiled(schema)?;
        let wrong: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{} at {}", error, error.instance_path())).collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("{} in {value}", wrong.join("; "))) }
    }

    fn check_answer(&self, operation: &Value, exchange: &Exchange<'_>) -> Result<(), String> {
        let response = &operation["responses"][exchange.status.to_string()];
        if response.is_null() {
            return Err(format!("the status is not in the document: {}", exchange.body));
        }
        let response = self.resolved(response);
        match (response["content"].as_object(), exchange.body) {
            (None, Value::Null) => Ok(()),
            (None, body) => Err(format!("there is a body, and none is in the document: {body}")),
            (Some(contents), body) => {
                let content = exchange.content_type.and_then(|content_type| contents.get(content_type));
                let content = content
                    .ok_or_else(|| format!("the content type {:?} is not in the document", exchange.content_type))?;
                self.check_value(&content["schema"], body)
            }
        }
    }

    fn check_request(&self, operation: &Value, exchange: &Exchange<'_>) -> Result<(), String> {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for pair in exchange.query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap_or_default();
            if !parameters.iter().any(|parameter| parameter["in"] == "query" && parameter["name"] == name) {
                return Err(format!("the parameter {name} was accepted and is not in the document"));
            }
        }
        let Some((content_type, body)) = exchange.sent else { return Ok(()) };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let content = &operation["requestBody"]["content"][&essence];
        if content.is_null() {
            return Ok(());
        }
        self.check_value(&content["schema"], body).map_err(|wrong| format!("it was accepted, and {wrong}"))
    }

    /// What a reference names, or the value itself.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let named = value["$ref"].as_str().and_then(|to| self.document.pointer(to.trim_start_matches('#')));
        named.unwrap_or(value)
    }

    fn compiled(&self, schema: &Value) -> Result<Arc<Validator>, String> {
        let text = schema.to_string();
        if let Some(validator) = self.compiled.lock().get(&text) {
            return Ok(Arc::clone(validator));
        }
        let mut root = Map::new();
        root.insert("components".to_owned(), json!({"schemas": self.document["components"]["schemas"]}));
        root.insert("allOf".to_owned(), json!([schema]));
        let options = jsonschema::options().should_validate_formats(true);
        let built = options.build(&Value::Object(root)).map_err(|error| format!("the schema is none: {error}"))?;
        let validator = Arc::new(built);
        self.compiled.lock().insert(text, Arc::clone(&validator));
        Ok(validator)
    }
}

/// Whether a path is of this template. A plain segment goes before one in braces: there are no two templates that could both
/// be meant.
fn is_path_of(path: &str, template: &str) -> bool {
    let (mut given, mut wanted) = (path.split('/'), template.split('/'));
    loop {
        match (given.next(), wanted.next()) {
            (None, None) => return true,
            (Some(given), Some(wanted)) if wanted.starts_with('{') => {
                if given.is_empty() {
                    return false;
                }
            }
            (Some(given), Some(wanted)) if given == wanted => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}
