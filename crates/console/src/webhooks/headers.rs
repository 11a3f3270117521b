//! A webhook's own headers, as requests give them and as they are stored.
//!
//! Values are secrets: sealed at once, never shown again, and never in an error. Reads show [`MASK`] in their place; a
//! client that sends back what it read keeps the values.

use std::collections::HashSet;

use fanfare_core::ids::WebhookId;
use fanfare_core::request::check_own_header;
use fanfare_core::seal::SealingKey;
use fanfare_core::webhook::{OwnHeader, Webhook};
use fanfare_http::Problem;
use rand::CryptoRng;
use serde_json::{Map, Value};

use crate::input::{Given, Wrong, body};

/// What stands for a header's value in reads, and for the value that is there already in changes.
pub(crate) const MASK: &str = "***";
/// The most headers of its own that a webhook may have.
pub(crate) const MAX_HEADERS: usize = 32;

/// A header as a request gives it. No `Debug`: the value is a secret.
pub(crate) struct GivenHeader {
    name: String,
    value: GivenValue,
}

enum GivenValue {
    /// The one that is stored.
    Kept,
    /// This one.
    New(String),
}

/// Reads `headers`: an object of names and values.
pub(crate) fn read(value: &Value, wrong: &mut Wrong) -> Given<Vec<GivenHeader>> {
    let object = match value {
        Value::Null => return Given::Null,
        Value::Object(object) => object,
        other => {
            wrong.at("$.headers", format!("must be an object of names and values, not {}", body::kind(other)));
            return Given::Absent;
        }
    };
    if object.len() > MAX_HEADERS {
        wrong.at("$.headers", format!("has {} headers; at most {MAX_HEADERS} are allowed", object.len()));
        return Given::Absent;
    }
    let mut names = HashSet::new();
    let mut headers = Vec::with_capacity(object.len());
    for (name, value) in object {
        match read_one(name, value, &mut names) {
            Ok(header) => headers.push(header),
            Err(message) => wrong.at(path(name), message),
        }
    }
    Given::Value(headers)
}

fn read_one(name: &str, value: &Value, names: &mut HashSet<String>) -> Result<GivenHeader, String> {
    let text = body::text(value)?;
    // The mask is a valid value too, so that the name is checked either way.
    check_own_header(name, text).map_err(|error| error.to_string())?;
    if !names.insert(name.to_ascii_lowercase()) {
        return Err("is there twice: names differ by more than upper and lower case".to_owned());
    }
    let value = if text == MASK { GivenValue::Kept } else { GivenValue::New(text.to_owned()) };
    Ok(GivenHeader { name: name.to_owned(), value })
}

/// Seals what is new and keeps what is to be kept; together they are the whole set from now on.
///
/// # Errors
/// 400 when a value is to be kept that is not there.
pub(crate) fn seal(
    given: &[GivenHeader],
    stored: &[OwnHeader],
    webhook: WebhookId,
    key: &SealingKey,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<OwnHeader>, Problem> {
    let mut wrong = Wrong::new();
    let mut headers = Vec::with_capacity(given.len());
    for GivenHeader { name, value } in given {
        let kept = stored.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let value = match (value, kept) {
            (GivenValue::New(text), _) => key.seal(text, &Webhook::header_context(webhook, name), rng),
            (GivenValue::Kept, Some(header)) => header.value.clone(),
            (GivenValue::Kept, None) => {
                wrong.at(path(name), format!("`{MASK}` keeps the value that is there, and there is none"));
                continue;
            }
        };
        headers.push(OwnHeader { name: name.clone(), value });
    }
    wrong.refuse()?;
    Ok(headers)
}

/// The headers as reads show them.
pub(crate) fn masked(headers: &[OwnHeader]) -> Map<String, Value> {
    headers.iter().map(|header| (header.name.clone(), Value::from(MASK))).collect()
}

fn path(name: &str) -> String {
    body::member("$.headers", name)
}
