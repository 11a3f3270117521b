//! An accepted event: a CloudEvents 1.0 event whose attributes are checked and whose data is normalised.
//!
//! [`json`] and [`binary`] read the two forms in which events arrive; what they return is complete and needs no further
//! check. The content hash tells a repeated publish from another event under the same id.

mod attributes;
pub mod binary;
pub mod json;
mod media_type;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::clock::Timestamp;
use crate::ids::{EventId, ProjectId, text_id};

/// The most bytes an event's data may have, as received and as normalised: 256 KiB.
pub const MAX_DATA_BYTES: usize = 256 * 1024;
/// The most events in one batch.
pub const MAX_BATCH_EVENTS: usize = 500;
/// The most bytes of one batch: 8 MiB.
pub const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

text_id!(
    /// An event's type, such as `whatsapp.message.received`.
    EventType,
    "1 to 16 dot-separated segments of A-Z, a-z, 0-9, _ and -, at most 256 characters in all",
    |text| text.len() <= 256
        && text.split('.').count() <= 16
        && text.split('.').all(|segment| {
            !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        })
);

text_id!(
    /// What an event is about: for WhatsApp the phone number id. Webhooks can be limited to one source.
    Source,
    "1 to 256 characters without control characters",
    |text| !text.is_empty() && text.chars().count() <= 256 && !text.chars().any(char::is_control)
);

text_id!(
    /// The ordering key: for WhatsApp the conversation id.
    Subject,
    "1 to 256 characters without control characters",
    |text| !text.is_empty() && text.chars().count() <= 256 && !text.chars().any(char::is_control)
);

/// SHA-256 over what the sender said: every given attribute and the normalised data, not what was defaulted from the clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Extension attributes by name: kept and shown, not sent.
pub type Extensions = BTreeMap<String, serde_json::Value>;

/// An event's attributes: everything but its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHeader {
    /// The project it was published to.
    pub project: ProjectId,
    /// Unique within the project.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// What it is about, if the sender or the catalogue says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Its ordering key, if the sender or the catalogue says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// When it happened, by the sender's word; the time of acceptance if there is none.
    pub time: Timestamp,
    /// Not to be delivered after this (CloudEvents `expirytime`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When Fanfare accepted it.
    pub accepted_at: Timestamp,
    /// Other extension attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: Extensions,
}

/// An accepted event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its attributes.
    pub header: EventHeader,
    /// Its normalised data, of which bodies are made; of a raw Meta body, that body byte for byte.
    pub data: Bytes,
    /// What a repeated publish is compared by.
    pub content: ContentHash,
}

/// What reading an event needs besides its bytes.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The project it is published to.
    pub project: &'a ProjectId,
    /// The time of acceptance.
    pub now: Timestamp,
    /// Where the defaults of `source` and `subject` are looked up.
    pub catalogue: &'a Catalogue,
    /// The type that the way in says, where it does: the event may leave it out, and must not say another.
    pub event_type: Option<&'a EventType>,
    /// Makes the id of an event that brings none.
    pub new_id: &'a dyn Fn() -> EventId,
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("project", self.project).field("now", &self.now).finish_non_exhaustive()
    }
}

/// Why an event cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct EventError {
    /// What kind of refusal it is, which decides the HTTP status.
    pub kind: EventErrorKind,
    /// Where, as a JSON path such as `$.data.items[3]`, or the name of a header in binary mode.
    pub path: String,
    /// What is wrong and what is allowed; lowercase, no final period.
    pub message: String,
    /// The id that the event was sent with, if it is one; told of events of a batch, whose sender has to know which it was.
    pub id: Option<EventId>,
}

/// The kinds of [`EventError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventErrorKind {
    /// Not allowed (400).
    Invalid,
    /// Not JSON at all (400).
    Malformed,
    /// Over a size bound (413).
    TooLarge,
    /// Data of a content type other than JSON (415).
    UnsupportedMediaType,
}

impl EventError {
    /// A forbidden value at `path`.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(EventErrorKind::Invalid, path, message)
    }

    /// Text that is no JSON; `message` says where and why.
    pub(crate) fn malformed(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::new(EventErrorKind::Malformed, path, format!("malformed JSON: {message}"))
    }

    /// A value at `path` over its size bound.
    pub fn too_large(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(EventErrorKind::TooLarge, path, message)
    }

    fn new(kind: EventErrorKind, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, path: path.into(), message: message.into(), id: None }
    }
}
