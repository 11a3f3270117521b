//! Events as CloudEvents JSON, one or a batch.
//!
//! The text is read in one pass, and `data` is normalised where it stands: no value is built of it, so its key order, its
//! repeated keys and its long integers are the sender's. A raw Meta body ([`crate::meta`]) comes as `data_base64`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::attributes::{Attributes, Given, check_size};
use super::{Event, EventError, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Reading};
use crate::ids::EventId;
use crate::normalise::path::{push_index, push_key};
use crate::normalise::{Fault, FaultKind, Scanner, normalise_value, skip};

/// Reads one event.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(bytes: &[u8], reading: &Reading<'_>) -> Result<Event, EventError> {
    let text = utf8(bytes)?;
    let mut scan = Scanner::new(text);
    scan.skip_whitespace();
    let event = read(&mut scan, "$", reading)?;
    scan.end().map_err(|fault| malformed(fault, text))?;
    Ok(event)
}

/// Reads a batch: a JSON array of events, each judged for itself.
///
/// # Errors
/// When the whole is not an array, is too large, or has too many events.
pub fn parse_batch(bytes: &[u8], reading: &Reading<'_>) -> Result<Vec<Result<Event, EventError>>, EventError> {
    if bytes.len() > MAX_BATCH_BYTES {
        let message = format!("has {} bytes; a batch is at most {MAX_BATCH_BYTES} bytes (8 MiB)", bytes.len());
        return Err(EventError::too_large("$", message));
    }
    let text = utf8(bytes)?;
    // All of the text is looked at before any event is: whether it is JSON decides about the batch as a whole.
    let elements = split(text)?;
    let read_element = |(index, element)| {
        let mut root = "$".to_owned();
        push_index(&mut root, index);
        read(&mut Scanner::new(element), &root, reading).map_err(|error| EventError { id: id_of(element), ..error })
    };
    Ok(elements.into_iter().enumerate().map(read_element).collect())
}

/// The texts of an array's items.
fn split(text: &str) -> Result<Vec<&str>, EventError> {
    let malformed = |fault| malformed(fault, text);
    let mut scan = Scanner::new(text);
    scan.skip_whitespace();
    if !scan.take(b'[') {
        // Only what is JSON can be said to be no array.
        skip(&mut scan).and_then(|_value| scan.end()).map_err(malformed)?;
        return Err(EventError::invalid("$", "must be an array of events"));
    }
    let mut elements = Vec::new();
    scan.skip_whitespace();
    if !scan.take(b']') {
        loop {
            if elements.len() == MAX_BATCH_EVENTS {
                return Err(EventError::too_large("$", format!("a batch has at most {MAX_BATCH_EVENTS} events")));
            }
            elements.push(skip(&mut scan).map_err(malformed)?);
            scan.skip_whitespace();
            if scan.take(b']') {
                break;
            }
            if !scan.take(b',') {
                return Err(malformed(scan.expected(", or ]")));
            }
            scan.skip_whitespace();
        }
    }
    scan.end().map_err(malformed)?;
    Ok(elements)
}

/// Reads the event at the cursor and leaves the cursor behind it. `root` is the event's own path.
fn read<'a>(scan: &mut Scanner<'a>, root: &str, reading: &Reading<'_>) -> Result<Event, EventError> {
    let text = scan.text();
    let malformed = |fault| malformed(fault, text);
    let place = |name: &str| member_path(root, name);
    if !scan.take(b'{') {
        skip(scan).map_err(malformed)?;
        return Err(EventError::invalid(root, "must be an object, a CloudEvents event"));
    }
    let mut attributes = Attributes::new(reading);
    let (mut data, mut raw) = (None, None);
    scan.skip_whitespace();
    if !scan.take(b'}') {
        loop {
            let name = key(scan).map_err(|fault| refused(fault, root, text))?;
            attributes.once(name.clone(), &place)?;
            match &*name {
                "data" => data = read_data(scan, &place("data"), &place)?,
                "data_base64" => raw = read_base64(scan, &place(&name), &place)?,
                _ => {
                    let given = given(scan).map_err(|fault| refused(fault, &place(&name), text))?;
                    attributes.set(&name, given, &place)?;
                }
            }
            scan.skip_whitespace();
            if scan.take(b'}') {
                break;
            }
            if !scan.take(b',') {
                return Err(malformed(scan.expected(", or }")));
            }
            scan.skip_whitespace();
        }
    }
    let data = match (attributes.is_raw(), data, raw) {
        (true, None, Some(raw)) => raw,
        (true, None, None) => return Err(EventError::invalid(place("data_base64"), RAW_REQUIRED)),
        // As JSON it would not be kept as it is.
        (true, Some(_), _) => return Err(EventError::invalid(place("data"), RAW_ALONE)),
        (false, _, Some(_)) => return Err(EventError::invalid(place("data_base64"), RAW_ONLY)),
        (false, Some(data), None) => data,
        (false, None, None) => return Err(EventError::invalid(place("data"), "required: a JSON object or array")),
    };
    attributes.finish(data, &place)
}

const RAW_ONLY: &str = "only for events of type whatsapp.meta.raw; send JSON in data";
const RAW_ALONE: &str = "not for events of type whatsapp.meta.raw, whose bodies are kept as they are; send data_base64";
const RAW_REQUIRED: &str = "required: the raw body in base64";

/// Reads a raw body in standard base64; `None` if it is `null`.
fn read_base64(
    scan: &mut Scanner<'_>,
    path: &str,
    place: &impl Fn(&str) -> String,
) -> Result<Option<Bytes>, EventError> {
    let allowed = || EventError::invalid(path, "must be a string in standard base64, with padding");
    let given = given(scan).map_err(|fault| refused(fault, path, scan.text()))?;
    let text = match given {
        Given::Nothing => return Ok(None),
        Given::Text(text) => text,
        Given::Bool(_) | Given::Number(_) | Given::Container => return Err(allowed()),
    };
    // Before decoding; what this lets through by its padding is refused after it.
    check_size((text.len() / 4 * 3).saturating_sub(2), place)?;
    STANDARD.decode(text.as_bytes()).map(|raw| Some(raw.into())).map_err(|_| allowed())
}

/// Reads a member's name and moves to its value.
fn key<'a>(scan: &mut Scanner<'a>) -> Result<Cow<'a, str>, Fault> {
    if scan.peek() != Some(b'"') {
        return Err(scan.expected("a key"));
    }
    let name = scan.string()?;
    scan.skip_whitespace();
    if !scan.take(b':') {
        return Err(scan.expected(":"));
    }
    scan.skip_whitespace();
    Ok(name)
}

/// Normalises the data at the cursor; `None` if it is `null`.
fn read_data(scan: &mut Scanner<'_>, path: &str, place: &impl Fn(&str) -> String) -> Result<Option<Bytes>, EventError> {
    let start = scan.at();
    if scan.peek() == Some(b'n') {
        scan.literal("null").map_err(|fault| malformed(fault, scan.text()))?;
        return Ok(None);
    }
    let data = normalise_value(scan, path).map_err(|(path, fault)| refused(fault, &path, scan.text()))?;
    check_size(scan.at() - start, place)?;
    Ok(Some(data))
}

/// Reads an attribute's value.
fn given<'a>(scan: &mut Scanner<'a>) -> Result<Given<'a>, Fault> {
    Ok(match scan.peek() {
        Some(b'"') => Given::Text(scan.string()?),
        Some(b'{' | b'[') => {
            skip(scan)?;
            Given::Container
        }
        Some(_) | None => match skip(scan)? {
            "null" => Given::Nothing,
            "true" => Given::Bool(true),
            "false" => Given::Bool(false),
            number => Given::Number(number),
        },
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, EventError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        malformed(Fault { at: error.valid_up_to(), kind: FaultKind::InvalidUtf8 }, valid)
    })
}

/// The error of a fault at `path`: text that is not JSON has no paths, so it is refused as a whole.
fn refused(fault: Fault, path: &str, text: &str) -> EventError {
    if fault.is_malformed() { malformed(fault, text) } else { EventError::invalid(path, fault.message(text)) }
}

fn malformed(fault: Fault, text: &str) -> EventError {
    EventError::malformed("$", fault.message(text))
}

/// The id that an item of a batch was sent with, if it is one.
fn id_of(element: &str) -> Option<EventId> {
    #[derive(Deserialize)]
    struct Sent<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    serde_json::from_str::<Sent<'_>>(element).ok().and_then(|sent| EventId::new(sent.id).ok())
}

/// The path of an event's member.
fn member_path(root: &str, name: &str) -> String {
    let quoted = serde_json::Value::from(name).to_string();
    let written = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted);
    let mut path = root.to_owned();
    push_key(&mut path, written);
    path
}
