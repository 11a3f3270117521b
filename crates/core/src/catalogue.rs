//! The catalogue of event types: title, explanation, scope, JSON Schema, sample, and where `source` and `subject` come from.
//!
//! It is data, part of the build: the files beside this module, and in `vectors` the samples that were agreed upon. Types that are not in it are
//! accepted like any other; they only have no defaults, no schema and no sample.

mod files;

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::EventType;

/// What an event of a type happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventScope {
    /// One phone number: messages, conversations, contacts.
    Number,
    /// The project as a whole: its phone numbers and accounts, workflows, agents.
    Project,
}

/// One type of the catalogue.
#[derive(Clone, Debug, Serialize)]
pub struct CatalogueEntry {
    /// The type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// What it happens to.
    pub scope: EventScope,
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
    /// Where in `entries` a type is.
    places: HashMap<EventType, usize>,
}

impl Catalogue {
    /// The catalogue of this build, read once.
    pub fn builtin() -> &'static Catalogue {
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| {
            let types = include_str!("catalogue/types.json");
            let definitions = include_str!("catalogue/definitions.json");
            let samples = [include_str!("../vectors/samples.json"), include_str!("catalogue/samples.json")];
            // Proven by `tests/catalogue.rs`: the files are fixed when this is compiled, and reading them has no other input.
            let entries = files::read(types, definitions, &samples).expect("the catalogue's files are well-formed");
            Catalogue::new(entries)
        });
        &BUILTIN
    }

    fn new(entries: Vec<CatalogueEntry>) -> Self {
        let places = entries.iter().enumerate().map(|(place, entry)| (entry.event_type.clone(), place)).collect();
        Self { entries, places }
    }

    /// Every entry, in the order of the catalogue.
    pub fn entries(&self) -> &[CatalogueEntry] {
        &self.entries
    }

    /// The entry of a type.
    pub fn get(&self, event_type: &EventType) -> Option<&CatalogueEntry> {
        self.places.get(event_type).and_then(|place| self.entries.get(*place))
    }
}
