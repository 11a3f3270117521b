//! A project's own event type: what it is, and the schema that its data is held to where the project is strict.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::event::EventType;
use crate::ids::ProjectId;

/// An event type as it is stored. Its name is not one of the catalogue's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnType {
    /// The project.
    pub project: ProjectId,
    /// The type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// A short title.
    pub title: String,
    /// When it fires, in a few words.
    #[serde(default)]
    pub description: Option<String>,
    /// The JSON Schema of `data`, which compiles; without one any data will do.
    #[serde(default)]
    pub schema: Option<Value>,
    /// A sample of `data` that meets the schema.
    pub sample: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
