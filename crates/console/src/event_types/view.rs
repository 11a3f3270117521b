//! An event type as the API shows it.

use fanfare_core::catalogue::CatalogueEntry;
use fanfare_core::clock::Timestamp;
use fanfare_core::event::EventType;
use fanfare_core::own_type::OwnType;
use serde::Serialize;
use serde_json::Value;

/// See the [module](self).
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum EventTypeView {
    /// One of the catalogue's.
    Catalogue(&'static CatalogueEntry),
    /// One of the project's own.
    Own(Box<OwnTypeView>),
}

/// A project's own type. It has the catalogue's fields, and when it was made and changed.
#[derive(Debug, Serialize)]
pub(crate) struct OwnTypeView {
    #[serde(rename = "type")]
    event_type: EventType,
    /// The catalogue's alone are told apart so.
    scope: Option<&'static str>,
    title: String,
    description: Option<String>,
    /// Null: the sender alone says what `source` and `subject` are.
    source_pointer: Option<&'static str>,
    subject_pointer: Option<&'static str>,
    schema: Option<Value>,
    sample: Value,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl OwnTypeView {
    /// A type.
    pub(crate) fn new(own: &OwnType) -> Self {
        Self {
            event_type: own.event_type.clone(),
            scope: None,
            title: own.title.clone(),
            description: own.description.clone(),
            source_pointer: None,
            subject_pointer: None,
            schema: own.schema.clone(),
            sample: own.sample.clone(),
            created_at: own.created_at,
            updated_at: own.updated_at,
        }
    }
}
