//! The fields of an API key that its makers set, as create and update read them.

use fanfare_core::api_key::Scope;
use fanfare_http::Problem;
use serde_json::Value;

use crate::input::body::{kind, member, take, text};
use crate::input::{Given, Object, Wrong};

/// The most characters of a name.
pub(crate) const MAX_NAME: usize = 100;

const SETTABLE: [&str; 2] = ["name", "scopes"];
const READ_ONLY: [&str; 5] = ["id", "project", "key", "created_at", "last_used_at"];

/// The fields.
#[derive(Debug)]
pub(crate) struct KeyFields {
    /// What it is called.
    pub(crate) name: Given<String>,
    /// What it may do.
    pub(crate) scopes: Given<Vec<Scope>>,
}

impl KeyFields {
    /// Reads all fields and checks each.
    ///
    /// # Errors
    /// 400 with every field that is wrong.
    pub(crate) fn read(object: &Object) -> Result<Self, Problem> {
        let mut fields = Self { name: Given::Absent, scopes: Given::Absent };
        let mut wrong = Wrong::new();
        for (field, value) in object.fields() {
            let at = member("$", field);
            match field {
                "name" | "scopes" if value.is_null() => wrong.at(at, "must not be null"),
                "name" => fields.name = take(value, &at, &mut wrong, name),
                "scopes" => fields.scopes = scopes(value, &mut wrong),
                field if READ_ONLY.contains(&field) => wrong.at(at, "is read-only"),
                field => wrong.unknown(at, field, &SETTABLE),
            }
        }
        wrong.refuse()?;
        Ok(fields)
    }

    /// Name and scopes of a new key.
    ///
    /// # Errors
    /// 400 when one is not given.
    pub(crate) fn required(self) -> Result<(String, Vec<Scope>), Problem> {
        let mut wrong = Wrong::new();
        let (name, scopes) = (self.name.value(), self.scopes.value());
        for (field, given) in [("$.name", name.is_some()), ("$.scopes", scopes.is_some())] {
            if !given {
                wrong.at(field, "is required");
            }
        }
        wrong.refuse()?;
        name.zip(scopes).ok_or_else(Problem::internal)
    }
}

fn name(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let allowed = (1..=MAX_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    allowed.then(|| text.to_owned()).ok_or_else(|| format!("must have 1 to {MAX_NAME} characters without controls"))
}

fn scopes(value: &Value, wrong: &mut Wrong) -> Given<Vec<Scope>> {
    let allowed = Scope::ALL.map(Scope::as_str).join(", ");
    let Value::Array(items) = value else {
        wrong.at("$.scopes", format!("must be an array of {allowed}, not {}", kind(value)));
        return Given::Absent;
    };
    if items.is_empty() || items.len() > Scope::ALL.len() {
        wrong.at("$.scopes", format!("must have at least one of {allowed}, each once"));
        return Given::Absent;
    }
    let mut scopes = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match Scope::ALL.into_iter().find(|scope| item.as_str() == Some(scope.as_str())) {
            Some(scope) if scopes.contains(&scope) => wrong.at(format!("$.scopes[{index}]"), "is there twice"),
            Some(scope) => scopes.push(scope),
            None => wrong.at(format!("$.scopes[{index}]"), format!("must be one of {allowed}")),
        }
    }
    Given::Value(scopes)
}
