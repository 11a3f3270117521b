//! A request's JSON body, as an object whose fields are taken one by one.

use axum::body::Body;
use fanfare_http::Problem;
use fanfare_http::body::read_body;
use fanfare_http::json::{check_json_content_type, read_json};
use http::HeaderMap;
use serde_json::{Map, Value};

use super::Wrong;

/// What a body says about one field.
#[derive(Debug)]
pub(crate) enum Given<T> {
    /// Nothing.
    Absent,
    /// That it is to be as if it had never been set.
    Null,
    /// This.
    Value(T),
}

impl<T> Given<T> {
    /// The value; `None` where nothing or null was given.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Given::Absent | Given::Null => None,
            Given::Value(value) => Some(value),
        }
    }

    /// `current` changed as JSON merge patch says: absent leaves it, null resets it to the default.
    pub(crate) fn merged(&self, current: &T) -> T
    where
        T: Clone + Default,
    {
        match self {
            Given::Absent => current.clone(),
            Given::Null => T::default(),
            Given::Value(value) => value.clone(),
        }
    }

    /// As [`Given::merged`], for what may be unset.
    pub(crate) fn merged_option(&self, current: &Option<T>) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Given::Absent => current.clone(),
            Given::Null => None,
            Given::Value(value) => Some(value.clone()),
        }
    }

    /// As [`Given::merged`], for what has no default, so that null was refused before.
    pub(crate) fn or(&self, current: &T) -> T
    where
        T: Clone,
    {
        match self {
            Given::Absent | Given::Null => current.clone(),
            Given::Value(value) => value.clone(),
        }
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Object(Map<String, Value>);

impl Object {
    /// An object of these fields.
    pub(crate) fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Reads a body of at most `limit` bytes.
    ///
    /// # Errors
    /// 400 when it is not one JSON object, 408, 413, 415 when its content type is another.
    pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Self, Problem> {
        check_json_content_type(headers)?;
        Self::parse(&read_body(body, limit).await?)
    }

    /// As [`Object::read`], but no body at all is an object without fields.
    ///
    /// # Errors
    /// As those of [`Object::read`].
    pub(crate) async fn read_optional(headers: &HeaderMap, body: Body, limit: usize) -> Result<Self, Problem> {
        let body = read_body(body, limit).await?;
        if body.is_empty() {
            return Ok(Self(Map::new()));
        }
        check_json_content_type(headers)?;
        Self::parse(&body)
    }

    fn parse(body: &[u8]) -> Result<Self, Problem> {
        match read_json(body)? {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(Problem::invalid("$", format!("must be an object, not {}", kind(&other)))),
        }
    }

    /// The fields, in the order they were sent.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A field's value, if it is there.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether the field is there, null or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// The JSON path of an object's member. A name that is no plain one is quoted.
pub(crate) fn member(of: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if plain { format!("{of}.{name}") } else { format!("{of}[{}]", Value::from(name)) }
}

/// Parses one field's value; what is wrong with it is noted under `field`, and it then counts as absent.
pub(crate) fn take<T>(
    value: &Value,
    field: &str,
    wrong: &mut Wrong,
    parse: impl FnOnce(&Value) -> Result<T, String>,
) -> Given<T> {
    if value.is_null() {
        return Given::Null;
    }
    match parse(value) {
        Ok(value) => Given::Value(value),
        Err(message) => {
            wrong.at(field, message);
            Given::Absent
        }
    }
}

/// A text.
///
/// # Errors
/// In words, when it is something else.
pub(crate) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("must be a string, not {}", kind(value)))
}

/// A truth value.
///
/// # Errors
/// In words, when it is something else.
pub(crate) fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", kind(value)))
}

/// What a value is, in words: said in place of the value, which may be a secret.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
