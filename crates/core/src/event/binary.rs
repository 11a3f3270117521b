//! Events in CloudEvents binary mode: attributes in `ce-*` headers, percent-encoded, data in the body.

mod header_value;

use std::borrow::Cow;

use bytes::Bytes;

use super::attributes::{Attributes, Given, check_media_type, check_size};
use super::{Event, EventError, Reading};
use crate::normalise::normalise;

const PREFIX: &str = "ce-";

/// Whether a request with these header names is in binary mode: whether one of them begins with `ce-`, in any case.
///
/// A request in structured mode may carry such headers as well (HTTP binding, §3.2.3): one whose content type is
/// `application/cloudevents…` is to be read by [`super::json`] whatever its headers.
pub fn is_binary<'h>(names: impl IntoIterator<Item = &'h str>) -> bool {
    names.into_iter().any(|name| attribute_of(name).is_some())
}

/// Reads one event. `headers` are all the message's headers, names in lowercase; `content_type` is the body's.
///
/// Values are decoded as the HTTP binding of CloudEvents 1.0 says (§3.1.3.2): double quotes are taken off, then one round
/// of percent-decoding. A message without a content type is taken for JSON. Places in errors are header names, and
/// `$.data` for the body. The body of a raw Meta event ([`crate::meta`]) is kept byte for byte.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    content_type: Option<&str>,
    body: &[u8],
    reading: &Reading<'_>,
) -> Result<Event, EventError> {
    if let Some(media_type) = content_type {
        check_media_type(media_type, || "content-type".to_owned())?;
    }
    let mut attributes = Attributes::new(reading);
    for (header, value) in headers {
        let Some(name) = attribute_of(header) else { continue };
        attributes.once(name.clone(), &place)?;
        if matches!(&*name, "data" | "data_base64") {
            return Err(EventError::invalid(header_name(&name), "not an attribute; data is the message's body"));
        }
        let value = header_value::decode(value).map_err(|wrong| EventError::invalid(header_name(&name), wrong))?;
        attributes.set(&name, Given::Text(value), &place)?;
    }
    check_size(body.len(), &place)?;
    if body.is_empty() {
        return Err(EventError::invalid(place("data"), "required: a JSON object or array as the message's body"));
    }
    if attributes.is_raw() {
        return attributes.finish(Bytes::copy_from_slice(body), &place);
    }
    let data = normalise(body, "$.data").map_err(|error| match error.malformed {
        true => EventError::malformed(error.path, error.message),
        false => EventError::invalid(error.path, error.message),
    })?;
    attributes.finish(data, &place)
}

/// The attribute that a header carries, if it carries one.
fn attribute_of(header: &str) -> Option<Cow<'_, str>> {
    let (prefix, name) = header.split_at_checked(PREFIX.len())?;
    if !prefix.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let lowercase = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if lowercase { name.into() } else { name.to_ascii_lowercase().into() })
}

fn place(name: &str) -> String {
    if name == "data" { "$.data".to_owned() } else { header_name(name) }
}

/// The header of an attribute. NATS puts no bound on a name, so the message does.
fn header_name(name: &str) -> String {
    let shown = name.get(..name.floor_char_boundary(64)).unwrap_or(name);
    let cut = if shown.len() < name.len() { "…" } else { "" };
    format!("{PREFIX}{shown}{cut}")
}
