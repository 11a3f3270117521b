//! What both forms of an event share: the rules for its attributes, the defaults, and the content hash.
//!
//! The readers of JSON and of headers hand in attributes one by one, in any order, and the data at the end; they alone
//! know how a place in their form is called in a message.

use std::borrow::Cow;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::media_type::is_json;
use super::{
    ContentHash, Event, EventError, EventErrorKind, EventHeader, EventType, Extensions, MAX_DATA_BYTES, Reading,
    Source, Subject,
};
use crate::clock::Timestamp;
use crate::ids::{EventId, InvalidId};
use crate::meta;
use crate::normalise::string_at;
use crate::operational::{self, is_operational};

/// The most extension attributes of an event. They are kept with every event and shown in lists, so they have a bound.
const MAX_EXTENSIONS: usize = 32;
/// The most bytes of an extension attribute, name and value together.
const MAX_EXTENSION_BYTES: usize = 1024;

/// The most names of an event: the extensions, the ten that are known, and a few that are `null`.
const MAX_NAMES: usize = MAX_EXTENSIONS + 16;
const TOO_MANY: &str = "one too many; an event has at most 32 extension attributes";

/// An attribute's value, as the type system of CloudEvents knows it.
pub(super) enum Given<'a> {
    /// `null`, which counts as not there.
    Nothing,
    /// A string.
    Text(Cow<'a, str>),
    /// A boolean.
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// An array or an object.
    Container,
}

/// The attributes of an event that is being read.
pub(super) struct Attributes<'r, 'a> {
    reading: &'r Reading<'r>,
    names: Vec<Cow<'a, str>>,
    id: Option<EventId>,
    event_type: Option<EventType>,
    source: Option<Source>,
    subject: Option<Subject>,
    time: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    extensions: Extensions,
}

impl<'r, 'a> Attributes<'r, 'a> {
    pub(super) fn new(reading: &'r Reading<'r>) -> Self {
        Self {
            reading,
            names: Vec::new(),
            id: None,
            event_type: None,
            source: None,
            subject: None,
            time: None,
            expires_at: None,
            extensions: Extensions::new(),
        }
    }

    /// Notes that a name was given, which must not happen twice: what would be kept is not for us to choose.
    pub(super) fn once(&mut self, name: Cow<'a, str>, place: &impl Fn(&str) -> String) -> Result<(), EventError> {
        if self.names.contains(&name) {
            return Err(EventError::invalid(place(&name), "given twice"));
        }
        if self.names.len() == MAX_NAMES {
            return Err(EventError::invalid(place(&name), TOO_MANY));
        }
        self.names.push(name);
        Ok(())
    }

    /// Takes the attribute `name`; `place` says how it is called in a message.
    pub(super) fn set(
        &mut self,
        name: &str,
        given: Given<'a>,
        place: &impl Fn(&str) -> String,
    ) -> Result<(), EventError> {
        let at = || place(name);
        match name {
            "specversion" => match text(given, "\"1.0\"", at)? {
                Some(version) if version != "1.0" => {
                    return Err(EventError::invalid(
                        at(),
                        "this version of CloudEvents is not known; it must be \"1.0\"",
                    ));
                }
                Some(_) | None => {}
            },
            "id" => self.id = parsed(given, EventId::ALLOWED, EventId::new, at)?,
            "type" => self.event_type = parsed(given, EventType::ALLOWED, EventType::new, at)?,
            "source" => self.source = parsed(given, Source::ALLOWED, Source::new, at)?,
            "subject" => self.subject = parsed(given, Subject::ALLOWED, Subject::new, at)?,
            "time" => self.time = time(given, at)?,
            "expirytime" => self.expires_at = time(given, at)?,
            "datacontenttype" => {
                if let Some(media_type) = text(given, "a media type", at)? {
                    check_media_type(&media_type, at)?;
                }
            }
            _ => self.extension(name, given, at)?,
        }
        Ok(())
    }

    fn extension(&mut self, name: &str, given: Given<'_>, at: impl Fn() -> String) -> Result<(), EventError> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            let message = "not an attribute; names of extension attributes have lowercase letters and digits only";
            return Err(EventError::invalid(at(), message));
        }
        let value: serde_json::Value = match given {
            Given::Nothing => return Ok(()),
            Given::Text(text) => {
                if text.chars().any(char::is_control) {
                    return Err(EventError::invalid(at(), "must be without control characters"));
                }
                text.into_owned().into()
            }
            Given::Bool(value) => value.into(),
            // CloudEvents' Integer has 32 bits.
            Given::Number(digits) => match digits.parse::<i32>() {
                Ok(number) => number.into(),
                Err(_) => {
                    let message = "must be a string, a boolean or an integer of 32 bits; send other numbers as strings";
                    return Err(EventError::invalid(at(), message));
                }
            },
            Given::Container => {
                return Err(EventError::invalid(at(), "must be a string, a boolean or an integer of 32 bits"));
            }
        };
        if name.len() + canonical(&value).len() > MAX_EXTENSION_BYTES {
            let message =
                format!("extension attributes have at most {MAX_EXTENSION_BYTES} bytes, name and value together");
            return Err(EventError::invalid(at(), message));
        }
        if self.extensions.len() == MAX_EXTENSIONS {
            return Err(EventError::invalid(at(), TOO_MANY));
        }
        self.extensions.insert(name.to_owned(), value);
        Ok(())
    }

    /// Whether the data is a raw Meta body, once every attribute is there.
    pub(super) fn is_raw(&self) -> bool {
        self.event_type.as_ref().is_some_and(meta::is_raw)
    }

    /// The event with these attributes and this data, which is normalised, or is a raw Meta body.
    pub(super) fn finish(self, data: Bytes, place: &impl Fn(&str) -> String) -> Result<Event, EventError> {
        let raw = self.is_raw();
        if raw && data.is_empty() {
            return Err(EventError::invalid(place("data"), "must not be empty"));
        }
        if !raw && data.first().is_none_or(|bracket| !matches!(bracket, b'{' | b'[')) {
            return Err(EventError::invalid(place("data"), "must be a JSON object or array"));
        }
        check_size(data.len(), place)?;
        let event_type = match (self.event_type.clone(), self.reading.event_type) {
            (Some(given), Some(said)) if given != *said => {
                return Err(EventError::invalid(
                    place("type"),
                    format!("must be {said}, under which it was published"),
                ));
            }
            (Some(given), _) => given,
            (None, Some(said)) => said.clone(),
            (None, None) => return Err(EventError::invalid(place("type"), "required")),
        };
        if is_operational(&event_type) {
            return Err(EventError::invalid(place("type"), operational::RESERVED));
        }
        let content = self.content(&event_type, &data);
        let (mut source, mut subject) = (self.source, self.subject);
        if raw {
            source = source.or_else(|| meta::source_of(&data));
        } else if let Some(entry) = self.reading.catalogue.get(&event_type)
            && let Ok(json) = std::str::from_utf8(&data)
        {
            let find = |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| string_at(json, pointer));
            // What is there but cannot be a source or a subject is the sender's data, and no reason to refuse it.
            source = source.or_else(|| find(&entry.source_pointer).and_then(|text| Source::new(text).ok()));
            subject = subject.or_else(|| find(&entry.subject_pointer).and_then(|text| Subject::new(text).ok()));
        }
        let header = EventHeader {
            project: self.reading.project.clone(),
            id: self.id.unwrap_or_else(|| (self.reading.new_id)()),
            event_type,
            source,
            subject,
            time: self.time.unwrap_or(self.reading.now),
            expires_at: self.expires_at,
            accepted_at: self.reading.now,
            extensions: self.extensions,
        };
        Ok(Event { header, data, content })
    }

    /// SHA-256 over what was given, each name and value behind its length, so that no two contents share an input.
    ///
    /// Times and extensions go in by value in their canonical text, so that the same event in both forms has one hash. The
    /// input is part of what engines store: a change makes repeated publishes conflicts until the old ones are forgotten.
    fn content(&self, event_type: &EventType, data: &[u8]) -> ContentHash {
        let mut hash = Sha256::new();
        let mut field = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), value] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        };
        field("type", event_type.as_str().as_bytes());
        if let Some(source) = &self.source {
            field("source", source.as_str().as_bytes());
        }
        if let Some(subject) = &self.subject {
            field("subject", subject.as_str().as_bytes());
        }
        if let Some(time) = self.time {
            field("time", &time.as_millis().to_be_bytes());
        }
        if let Some(time) = self.expires_at {
            field("expirytime", &time.as_millis().to_be_bytes());
        }
        for (name, value) in &self.extensions {
            field(name, canonical(value).as_bytes());
        }
        field("data", data);
        ContentHash(hash.finalize().into())
    }
}

/// The canonical string of an attribute's value (CloudEvents 1.0, type system).
fn canonical(value: &serde_json::Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Cow::Borrowed)
}

/// Refuses data over its bound, as received or as normalised.
pub(super) fn check_size(bytes: usize, place: &impl Fn(&str) -> String) -> Result<(), EventError> {
    if bytes <= MAX_DATA_BYTES {
        return Ok(());
    }
    let message =
        format!("has {bytes} bytes; data is at most {MAX_DATA_BYTES} bytes (256 KiB), as sent and as normalised");
    Err(EventError::too_large(place("data"), message))
}

/// Refuses data that is said to be anything but JSON.
pub(super) fn check_media_type(media_type: &str, at: impl Fn() -> String) -> Result<(), EventError> {
    if is_json(media_type) {
        return Ok(());
    }
    let message = "data must be JSON: application/json or a type that ends in +json".to_owned();
    Err(EventError { kind: EventErrorKind::UnsupportedMediaType, path: at(), message, id: None })
}

fn text<'a>(given: Given<'a>, allowed: &str, at: impl Fn() -> String) -> Result<Option<Cow<'a, str>>, EventError> {
    match given {
        Given::Nothing => Ok(None),
        Given::Text(text) => Ok(Some(text)),
        Given::Bool(_) | Given::Number(_) | Given::Container => {
            Err(EventError::invalid(at(), format!("must be a string: {allowed}")))
        }
    }
}

fn parsed<'a, T>(
    given: Given<'a>,
    allowed: &'static str,
    parse: impl Fn(Cow<'a, str>) -> Result<T, InvalidId>,
    at: impl Fn() -> String + Copy,
) -> Result<Option<T>, EventError> {
    let Some(text) = text(given, allowed, at)? else { return Ok(None) };
    parse(text).map(Some).map_err(|invalid| EventError::invalid(at(), format!("must be {invalid}")))
}

fn time(given: Given<'_>, at: impl Fn() -> String + Copy) -> Result<Option<Timestamp>, EventError> {
    let Some(text) = text(given, "an RFC 3339 time such as 2025-12-06T05:46:40Z", at)? else { return Ok(None) };
    Timestamp::parse(&text).map(Some).map_err(|invalid| EventError::invalid(at(), invalid.to_string()))
}
