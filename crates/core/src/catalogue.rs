//! The catalogue of event types: title, explanation, scope, JSON Schema, sample, and where `source` and `subject` come from.

use serde::Serialize;
use serde_json::Value;

use crate::event::EventType;

/// One type of the catalogue.
#[derive(Clone, Debug, Serialize)]
pub struct CatalogueEntry {
    /// The type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// A short title.
    pub title: String,
    /// One line that says when it fires.
    pub description: String,
    /// JSON Pointer into `data` that gives `source` when the sender does not, such as `/phone_number_id`.
    pub source_pointer: Option<String>,
    /// JSON Pointer into `data` that gives `subject` when the sender does not, such as `/conversation/id`.
    pub subject_pointer: Option<String>,
    /// JSON Schema (2020-12) of `data`.
    pub schema: Value,
    /// A sample of `data`.
    pub sample: Value,
}

/// All types that come with Fanfare.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<CatalogueEntry>,
}

impl Catalogue {
    /// The catalogue of this build, read once.
    pub fn builtin() -> &'static Catalogue {
        todo!()
    }

    /// Every entry, in the order of the catalogue.
    pub fn entries(&self) -> &[CatalogueEntry] {
        &self.entries
    }

    /// The entry of a type.
    pub fn get(&self, event_type: &EventType) -> Option<&CatalogueEntry> {
        let _ = event_type;
        todo!()
    }
}
