//! JSON bodies read into types, with errors that name the field by JSON path and say what belongs there.
//!
//! A wrong value is described by its kind and never repeated: what is in the wrong field may be a secret.

use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::body::read_body;
use crate::problem::{FieldError, Problem};

/// The most bytes of a [`JsonBody`]: 1 MiB. A webhook with all its headers and the largest filter is far below.
pub const MAX_JSON_BODY_BYTES: usize = 1024 * 1024;
/// The longest key that a path shows whole, in bytes.
const MAX_KEY_BYTES: usize = 100;

/// A request's body read as JSON. A request with another content type, too large, too slow or malformed is answered with
/// the [`Problem`] that says so.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T>(pub T);

impl<T, S> FromRequest<S> for JsonBody<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_json_content_type(request.headers())?;
        let body = read_body(request.into_body(), MAX_JSON_BODY_BYTES).await?;
        read_json(&body).map(JsonBody)
    }
}

/// Requires `application/json` (or a type that ends in `+json`), in UTF-8 and not compressed.
///
/// # Errors
/// 415 that says what is allowed.
pub fn check_json_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    check_identity_encoding(headers)?;
    let allowed = "send Content-Type: application/json";
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Err(Problem::unsupported_media_type("Content-Type", format!("it is missing; {allowed}")));
    };
    match value.to_str().ok().map(MediaType::parse) {
        Some(media) if media.is_json() && media.is_utf8() => Ok(()),
        Some(_) | None => {
            let given = String::from_utf8_lossy(value.as_bytes());
            Err(Problem::unsupported_media_type("Content-Type", format!("{given} is not supported; {allowed}")))
        }
    }
}

/// Refuses a compressed body.
///
/// # Errors
/// 415 that says what is allowed.
pub fn check_identity_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    for value in headers.get_all(CONTENT_ENCODING) {
        if !value.as_bytes().eq_ignore_ascii_case(b"identity") {
            let given = String::from_utf8_lossy(value.as_bytes());
            let message = format!("{given} is not supported; send the body as it is, without Content-Encoding");
            return Err(Problem::unsupported_media_type("Content-Encoding", message));
        }
    }
    Ok(())
}

/// A content type taken apart as far as JSON needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'h> {
    /// Type and subtype as given, without the parameters; compare it without regard to case.
    pub essence: &'h str,
    /// The parameter `charset`, without quotes.
    pub charset: Option<&'h str>,
}

impl<'h> MediaType<'h> {
    /// Takes a header's value apart. What is malformed is left as it is, and then equals nothing that is allowed.
    pub fn parse(value: &'h str) -> Self {
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let charset = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        });
        Self { essence: essence.trim(), charset }
    }

    /// Whether type and subtype are these.
    pub fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// Whether it is `application/json` or ends in `+json`.
    pub fn is_json(&self) -> bool {
        let suffix = self.essence.len().checked_sub("+json".len()).and_then(|at| self.essence.get(at..));
        self.is("application/json") || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
    }

    /// Whether the characters are UTF-8, the only coding that JSON has.
    pub fn is_utf8(&self) -> bool {
        self.charset
            .is_none_or(|charset| ["utf-8", "utf8", "us-ascii"].iter().any(|utf8| charset.eq_ignore_ascii_case(utf8)))
    }
}

/// Reads JSON into a type.
///
/// # Errors
/// 400: `malformed-json` with line and column, or `invalid-request` with the field's path and what belongs there.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = json_path(error.path());
        problem_of(path, error.inner())
    })?;
    reader.end().map_err(|error| problem_of("$".to_owned(), &error))?;
    Ok(value)
}

/// Reads an already parsed value into a type; the same errors as [`read_json`].
///
/// # Errors
/// 400 `invalid-request` with the field's path and what belongs there.
pub fn read_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| problem_of(json_path(error.path()), error.inner()))
}

fn problem_of(path: String, error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;
    let message = error.to_string();
    match error.classify() {
        // The position stays: a field's path does not tell where a comma is missing.
        Category::Syntax | Category::Eof | Category::Io => Problem::malformed_json("$", message),
        Category::Data => {
            let (path, message) = plain_words(path, &message);
            Problem::invalid_fields(vec![FieldError::new(path, message)])
        }
    }
}

/// `$.events[0].name`; keys that are no plain names are quoted.
fn json_path(path: &Path) -> String {
    let mut text = "$".to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Map { key } | Segment::Enum { variant: key } => push_key(&mut text, key),
            // A key that is no text, which JSON does not have.
            Segment::Unknown => {}
        }
    }
    text
}

fn push_key(path: &mut String, key: &str) {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if plain && key.len() <= MAX_KEY_BYTES {
        path.push('.');
        path.push_str(key);
    } else {
        let end = key.floor_char_boundary(MAX_KEY_BYTES);
        path.push_str(&format!("[{:?}]", &key[..end]));
    }
}

/// serde's words for what is wrong, said in ours: with the path of a field that is missing, and without the wrong value.
fn plain_words(mut path: String, message: &str) -> (String, String) {
    // The path says where; the position is about bytes that nobody counts.
    let message = message.rfind(" at line ").map_or(message, |at| &message[..at]);
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        push_key(&mut path, field);
        return (path, "is required".to_owned());
    }
    if let Some(field) = message.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`')) {
        push_key(&mut path, field);
        return (path, "is given twice".to_owned());
    }
    let wrong = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((given, expected)) = wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
        return (path, format!("expected {expected}, got {}", json_kind(given)));
    }
    if let Some((unknown, expected)) = message.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", ")) {
        // The field is at the end of the path already, where long names are cut.
        let _ = unknown;
        return (path, format!("unknown field, {expected}"));
    }
    if let Some((_, expected)) = message.strip_prefix("unknown variant ").and_then(|rest| rest.rsplit_once("`, ")) {
        return (path, expected.to_owned());
    }
    (path, message.to_owned())
}

/// What JSON calls a value that serde describes, such as ``string "abc"`` or ``integer `5` ``.
fn json_kind(described: &str) -> &'static str {
    match described.split([' ', ',']).next().unwrap_or_default() {
        "string" | "character" => "a string",
        "integer" | "floating" | "number" => "a number",
        "boolean" => "a boolean",
        "null" | "unit" | "Option" => "null",
        "sequence" => "an array",
        "map" => "an object",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests;
